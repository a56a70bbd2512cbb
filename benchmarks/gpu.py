"""Training and evaluation of a supernet on a GPU: ours, fused and not, against plain eager code, in one run.

    python benchmarks/gpu.py                           # NAS-BNN's supernet at 224 pixels, 512 images or what fits
    python benchmarks/gpu.py --device cpu --batch 4 --space nasbnn-digits --steps 1     # whether this script works

The eager code is the tests' oracle: the same mathematics, one operation of torch's after another. All take the same
steps in turn: four forward and backward passes (the largest member with float weights, the smallest and two random ones
against its softmax), convolutions in bfloat16, and one step of Adam. Ratios are printed as the median of all rounds
with quartiles. Then: memory, the share of a step's time in products, and candidates per second.
"""

import argparse
import random
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "models"))

import reference

from models.layers.fused.choice import Fusion, fusion
from models.layers.modes import Mode
from models.layers.norms.recalibration import recalibrate
from models.nasbnn.supernet import NasBnnSupernet
from search.training.steps import add_gradients
from spaces import get_space

SIDES = ("fused", "not fused", "eager")
PRODUCTS = ("conv", "aten::mm", "aten::addmm", "aten::bmm", "aten::linear")


class Side:
    """One way to train a supernet, from weights that all ways start from."""

    def __init__(self, name, space, weights, device):
        self.name, self.space, self.device = name, space, device
        self.supernet = NasBnnSupernet(space).to(device)
        self.supernet.load_state_dict(weights)
        self.parameters = list(self.supernet.parameters())
        self.tensors = reference.published(self.supernet)
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        self.choice = Fusion.AUTO if name == "fused" else Fusion.NEVER

    def logits(self, images, member, mode):
        if self.name != "eager":
            return self.supernet(images, member, mode)
        weights = "float" if mode is Mode.FWBA else "binary"
        return reference.forward(self.tensors, self.space, member, images, weights=weights, training=True)

    def backward(self, loss):
        if self.name == "eager":
            loss.backward()
        else:
            add_gradients(loss, self.parameters)

    def step(self, images, labels, members, dtype):
        self.optimizer.zero_grad(set_to_none=True)
        targets = None
        for member in members:
            mode = Mode.FWBA if targets is None else Mode.BWBA
            with torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32):
                logits = self.logits(images, member, mode).float()
                loss = F.cross_entropy(logits, labels if targets is None else targets)
            self.backward(loss)
            targets = logits.detach().softmax(1) if targets is None else targets
        self.optimizer.step()

    @torch.no_grad()
    def candidate(self, images, member, batches):
        if self.name == "eager":
            reference.forward(self.tensors, self.space, member, images, training=True)
            for _ in range(batches):
                reference.forward(self.tensors, self.space, member, images)
            return
        network = self.supernet.extract(member)
        recalibrate(network, [images])
        for _ in range(batches):
            network(images)


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(side, call, *arguments):
    wait(side.device)
    start = time.perf_counter()
    with fusion(side.choice):
        call(*arguments)
        wait(side.device)
    return time.perf_counter() - start


def spread(values, form):
    if len(values) < 2:
        return f"{values[0]:{form}}"
    low, median, high = statistics.quantiles(values, n=4)
    return f"{median:{form}} ({low:{form}} to {high:{form}})"


def fits(sides, space, batch, dtype, device):
    """A batch that all sides can train on: the one given, or half of it as often as needed. Warms up, too."""
    while True:
        shape = (batch, space.channels, space.image_size, space.image_size)
        images, labels = torch.randn(shape, device=device), torch.randint(space.classes, (batch,), device=device)
        peaks = []
        try:
            for side in sides:
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                seconds(side, side.step, images, labels, [space.largest(), space.smallest()], dtype)
                peaks.append(torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None)
        except torch.cuda.OutOfMemoryError:
            for side in sides:
                side.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            batch //= 2
            if batch == 0:
                sys.exit("not even one image fits into this GPU's memory")
            continue
        return images, labels, peaks


def share_of_products(side, device, *arguments):
    """The share of a step's time on the device that convolutions and products of matrices take."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as found:
        seconds(side, side.step, *arguments)
    times = {
        each.key: each.self_device_time_total if device.type == "cuda" else each.self_cpu_time_total
        for each in found.key_averages()
        if device.type == "cpu" or each.key.startswith(("aten::", "binarynas::"))
    }
    return sum(t for name, t in times.items() if any(part in name for part in PRODUCTS)) / sum(times.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--space", default="nasbnn")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=7, help="rounds that are measured")
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="evaluated for each candidate")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    options = parser.parse_args()
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "no GPU is here, so nothing was measured; --device cpu --batch 4 --space nasbnn-digits tries the script"
        )
    torch.manual_seed(0)
    space = get_space(options.space)
    weights = NasBnnSupernet(space).state_dict()
    sides = [Side(name, space, weights, device) for name in SIDES]
    images, labels, peaks = fits(sides, space, options.batch, dtype, device)
    where = (
        torch.cuda.get_device_name()
        if device.type == "cuda"
        else "the CPU, where nothing is fused and which says nothing of a GPU"
    )
    print(f"{options.space}, {len(images)} images of {space.image_size} pixels, {options.dtype}, on {where}")

    rng = random.Random(0)
    rounds = []
    for _ in range(options.steps):
        members = [space.largest(), space.smallest(), space.sample(rng), space.sample(rng)]
        rounds.append([seconds(side, side.step, images, labels, members, dtype) for side in sides])
    for place, side in enumerate(sides):
        rates = [len(images) / each[place] for each in rounds]
        ratios = [each[-1] / each[place] for each in rounds]
        peak = "" if peaks[place] is None else f"; {peaks[place]:.1f} GB at the peak"
        products = share_of_products(side, device, images, labels, members, dtype)
        print(
            f"  training, {side.name}: {spread(rates, '.1f')} images/s, {spread(ratios, '.2f')} times eager; "
            f"{products:.0%} of the time in products{peak}"
        )
    batches = max(1, options.images // len(images))
    members = [space.sample(rng) for _ in range(options.candidates + 1)]
    for side in sides:
        taken = [seconds(side, side.candidate, images, member, batches) for member in members]
        rates = spread([1 / each for each in taken[1:]], ".3f")
        print(f"  {batches * len(images)} images evaluated, {side.name}: {rates} candidates/s")


if __name__ == "__main__":
    main()
