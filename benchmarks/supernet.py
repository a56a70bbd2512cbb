"""Images a second in supernet training, in float32 and in what `precision: auto` is, against the steps of the authors.

Run with the allocator that training uses (see docs):
    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 python benchmarks/supernet.py

The rival does what the public code of NAS-BNN does, operation by operation and in its order, written anew and eagerly:
torch's batch norm, PReLU and additions one by one, the gradients of signs by indicators, scales within the weights,
maps with channels first, Adam parameter by parameter. It shares the allocator, which that code would not have.

All sides take the same steps in turn, in one process and one thread, so that a busy machine slows all; time is that
of the processor, and the ratio of each pair is printed as its median and quartiles. A training step is four forward and
backward passes (the largest member with float weights, then the smallest and two random ones against its softmax) and
one step of Adam. A candidate is extracted, its batch norms are recalibrated on one batch, and it is evaluated.
"""

import argparse
import os
import random
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F

from models.layers.modes import Mode
from models.layers.norms.recalibration import recalibrate
from models.nasbnn.supernet import NasBnnSupernet
from search.training.steps import at_full_precision, autocast
from search.worker.device import SMALL_IMAGES, pick_precision, precision_name
from spaces import get_space

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "models"))
import reference

CPU = torch.device("cpu")


class Sign(torch.autograd.Function):
    """The sign, whose gradient is made of indicators: of activations with Bi-Real's slope, of weights without."""

    @staticmethod
    def forward(ctx, x, of):
        ctx.save_for_backward(x)
        ctx.of = of
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        within = 1.0 - (x < -1).float() - (x > 1).float()
        slope = (-2 * x.sign() * x + 2) * within if ctx.of == "activations" else within
        return slope * gradient, None


class Rival:
    """The supernet's own tensors under their published names, run by the steps of the authors' public code."""

    def __init__(self, supernet):
        self.space, self.tensors = supernet.space, reference.published(supernet)

    def norm(self, x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.tensors[f"{name}.bn.{n}"][: x.shape[1]] for n in names), self.training, 0.1, 1e-5)

    def move(self, x, name):
        return x + self.tensors[f"{name}.bias"][:, : x.shape[1]].expand_as(x)

    def rprelu(self, x, first, slope, last):
        x = F.prelu(self.move(x, first), self.tensors[f"{slope}.prelu.weight"][: x.shape[1]])
        return self.move(x, last)

    def kernel(self, name, out, inputs, size, groups, sizes, weights):
        """The filters of a member: cut, brought to its kernel size, and each group's run of inputs one by one."""
        cut, largest = self.tensors[f"{name}.weight"][:out, :inputs], sizes[-1]
        for small, large in reversed(list(pairwise(sizes))):
            if small >= size:
                edge = (large - small) // 2
                window = cut[:, :, edge:-edge, edge:-edge].contiguous()
                cut = self.times(window, f"{name}.matrix_{large}to{small}")
        run = inputs // groups
        runs = cut.shape[1] // run
        parts = [part[:, i % runs * run : (i % runs + 1) * run] for i, part in enumerate(cut.chunk(groups))]
        weight = torch.cat(parts)
        if weights == "binary" and size == largest > 1:
            weight = self.times(weight, f"{name}.fp2bin_{size}")
        return weight.contiguous()

    def times(self, weight, name):
        matrix = self.tensors[name]
        return F.linear(weight.view(-1, len(matrix)), matrix).view(weight.shape)

    def binarised(self, weight, weights):
        axes = (1, 2, 3)
        mean, deviation = weight.mean(axes, keepdim=True), weight.std(axes, keepdim=True)
        normal = (weight - mean) / deviation
        if weights == "float":
            return normal
        return normal.detach().abs().mean(axes, keepdim=True) * Sign.apply(normal, "weights")

    def unit(self, x, name, norm, moves, weight, stride, groups, weights):
        first, second, slope, last = (f"{name}.{each}" for each in moves)
        signs = Sign.apply(self.move(x, first), "activations")
        sums = F.conv2d(signs, self.binarised(weight, weights), None, stride, weight.shape[-1] // 2, 1, groups)
        out = self.norm(sums, f"{name}.{norm}")
        x = F.avg_pool2d(x, 2, stride=2) if stride == 2 else x
        if out.shape[1] != x.shape[1]:
            x = torch.cat([x] * round(out.shape[1] / x.shape[1] + 0.5), dim=1)[:, : out.shape[1]]
        return self.rprelu(out + x, second, slope, last)

    def stem(self, images, architecture):
        weight = self.tensors["features.0.0.conv.weight"][: architecture.stem].contiguous()
        step = self.tensors["features.0.0.conv.w_scale"][: architecture.stem]
        scaled = step * (weight.numel() * 127) ** -0.5
        step = (step.detach() - scaled.detach() + scaled).view(-1, 1, 1, 1)
        levels = weight / step
        weight = (levels.round().detach() - levels.detach() + levels).clamp(-128, 127) * step
        x = self.norm(F.conv2d(images, weight, None, self.space.stem_stride, 1), "features.0.0.bn")
        return self.rprelu(x, "features.0.0.move1", "features.0.0.relu", "features.0.0.move2")

    def __call__(self, images, architecture, weights="binary", *, training=True):
        """Logits of one member."""
        self.training = training
        x = self.stem(images, architecture)
        for i, (stage, layers) in enumerate(zip(self.space.stages, architecture.stages, strict=True), 1):
            for j, layer in enumerate(layers):
                name, width = f"features.{i}.{j}", x.shape[1]
                sizes = (width, width, layer.kernel_size, layer.groups, stage.kernel_sizes, weights)
                weight = self.kernel(f"{name}.binary_conv", *sizes)
                moves = ("move11", "move12", "prelu1", "move13")
                x = self.unit(x, name, "bn1", moves, weight, stage.stride if j == 0 else 1, layer.groups, weights)
                weight = self.kernel(f"{name}.binary_conv1x1", layer.width, width, 1, 1, (1,), weights)
                x = self.unit(x, name, "bn2", ("move21", "move22", "prelu2", "move23"), weight, 1, 1, weights)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return F.linear(x, self.tensors["fc.weight"][:, : x.shape[1]].contiguous(), self.tensors["fc.bias"])


class Ours:
    """The supernet as training runs it, in a precision."""

    def __init__(self, supernet, precision):
        self.supernet, self.precision = supernet, precision

    def __call__(self, images, member, weights="binary"):
        with autocast(CPU, self.precision):
            return at_full_precision(self.supernet(images, member, Mode.FWBA if weights == "float" else Mode.BWBA))


def sandwich(forward, images, labels, members, optimizer):
    """One step; `forward(images, member, weights)` with weights "float" or "binary"."""
    optimizer.zero_grad()
    teacher = forward(images, members[0], "float")
    F.cross_entropy(teacher, labels, label_smoothing=0.1).backward()
    targets = teacher.detach().softmax(1)
    for member in members[1:]:
        F.cross_entropy(forward(images, member, "binary"), targets).backward()
    optimizer.step()


def timed(function, *arguments):
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def ratio(ours, theirs):
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{median:.2f} (quartiles {low:.2f} to {high:.2f})"


def report(name, unit, count, times):
    """A line per side of ours with its ratio to the last one, the authors'; and of ours to each other."""
    *ours, (rival, theirs) = times.items()
    print(f"{name}: {rival} {count / statistics.median(theirs):.1f} {unit}; {len(theirs)} of each in turn")
    for side, taken in ours:
        print(f"  {side} {count / statistics.median(taken):.1f} {unit}, {ratio(taken, theirs)} times {rival}")
    if len(ours) > 1:
        print(f"  {ours[1][0]} {ratio(ours[1][1], ours[0][1])} times {ours[0][0]}")


def training(options, space, supernet, images, labels):
    half = pick_precision("auto", CPU, max(space.image_size, SMALL_IMAGES))  # of small images, to see that it loses
    sides = {"ours in float32": (Ours(supernet, torch.float32), supernet)}
    if half != torch.float32:
        twin = copied(supernet)
        sides[f"ours in {precision_name(half)}"] = (Ours(twin, half), twin)
    twin = copied(supernet)
    sides["the authors' steps"] = (Rival(twin), twin)
    optimizers = {
        name: torch.optim.Adam(owner.parameters(), lr=1e-3, fused=owner is not twin)
        for name, (_, owner) in sides.items()
    }
    rng = random.Random(0)
    times = {name: [] for name in sides}
    for step in range(options.steps + 1):
        members = [space.largest(), space.smallest(), space.sample(rng), space.sample(rng)]
        for name, (forward, _) in sides.items():
            taken = timed(sandwich, forward, images, labels, members, optimizers[name])
            if step > 0:  # the first one warms up
                times[name].append(taken)
    report("training", "images/s", options.batch, times)


def copied(supernet):
    twin = NasBnnSupernet(supernet.space)
    twin.load_state_dict(supernet.state_dict())
    return twin


@torch.no_grad()
def evaluation(options, space, supernet, images):
    rival, batches = Rival(copied(supernet)), -(-options.images // options.batch)

    def candidate(member):
        network = supernet.extract(member)
        recalibrate(network, [images])
        for _ in range(batches):
            network(images)

    def theirs(member):
        rival(images, member)
        for _ in range(batches):
            rival(images, member, training=False)

    rng = random.Random(1)
    times = {"ours": [], "the authors' steps": []}
    for number in range(options.candidates + 1):
        member = space.sample(rng)
        for name, each in zip(times, (candidate, theirs), strict=True):
            taken = timed(each, member)
            if number > 0:
                times[name].append(taken)
    report(f"evaluation on {options.images} images", "candidates/s", 1, times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--space", default="nasbnn-32-quarter")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--images", type=int, default=512, help="evaluated for each candidate")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    space = get_space(options.space)
    shape = (options.batch, space.channels, space.image_size, space.image_size)
    images, labels = torch.randn(shape), torch.randint(space.classes, (options.batch,))
    supernet = NasBnnSupernet(space)
    auto = precision_name(pick_precision("auto", CPU, space.image_size))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{options.space}, batch {options.batch}, auto is {auto}, {load}")
    training(options, space, supernet, images, labels)
    if options.candidates:
        evaluation(options, space, supernet, images)


if __name__ == "__main__":
    main()
