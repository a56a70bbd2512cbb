"""Images a second in supernet training and candidates a second in evaluation, against a naive implementation.

Run with the allocator that training uses (see docs):
    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 python benchmarks/supernet.py

Both sides take the same steps in turn, in one process and one thread, so that a busy machine slows both; time is that
of the processor, and the ratio of each pair is printed as its median and quartiles. A training step is four forward and
backward passes (the largest member with float weights, then the smallest and two random ones against its softmax) and
one step of Adam. A candidate is extracted, its batch norms are recalibrated on one batch, and it is evaluated.
"""

import argparse
import random
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from models.layers.modes import Mode
from models.layers.recalibration import recalibrate
from models.nasbnn.supernet import NasBnnSupernet
from spaces import get_space

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "models"))
import reference


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


def report(name, unit, count, ours, naive):
    ratios = sorted(b / a for a, b in zip(ours, naive, strict=True))
    low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    print(
        f"{name}: {count / statistics.median(ours):.1f} {unit}, naive {count / statistics.median(naive):.1f}; "
        f"ratio {median:.2f} (quartiles {low:.2f} to {high:.2f}, {len(ratios)} pairs)"
    )


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

    supernet, twin = NasBnnSupernet(space), NasBnnSupernet(space)
    twin.load_state_dict(supernet.state_dict())
    tensors = reference.published(twin)

    def ours(images, member, weights):
        return supernet(images, member, Mode.FWBA if weights == "float" else Mode.BWBA)

    def naive(images, member, weights):
        return reference.forward(tensors, space, member, images, weights=weights, training=True)

    sides = [(f, torch.optim.Adam(s.parameters(), lr=1e-3, fused=True)) for f, s in ((ours, supernet), (naive, twin))]
    times = ([], [])
    rng = random.Random(0)
    for step in range(options.steps + 1):
        members = [space.largest(), space.smallest(), space.sample(rng), space.sample(rng)]
        for (forward, optimizer), taken in zip(sides, times, strict=True):
            taken.append(timed(sandwich, forward, images, labels, members, optimizer))
        if step == 0:  # the first one warms up
            times[0].clear(), times[1].clear()
    report("training", "images/s", options.batch, *times)

    batches = -(-options.images // options.batch)

    @torch.no_grad()
    def candidate(member):
        network = supernet.extract(member)
        recalibrate(network, [images])
        for _ in range(batches):
            network(images)

    @torch.no_grad()
    def naive_candidate(member):
        reference.forward(tensors, space, member, images, training=True)
        for _ in range(batches):
            reference.forward(tensors, space, member, images)

    times = ([], [])
    for member in [space.sample(rng) for _ in range(options.candidates + 1)]:
        times[0].append(timed(candidate, member))
        times[1].append(timed(naive_candidate, member))
    report(f"evaluation on {options.images} images", "candidates/s", 1, times[0][1:], times[1][1:])


if __name__ == "__main__":
    main()
