"""Architectures a second: priced in one call and one at a time, drawn, ranked, mutated, parsed."""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

from spaces import SPACES


def rate(work: Callable[[], object], count: int) -> float:
    """Architectures a second of one call, by processor time."""
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="nasbnn", choices=SPACES)
    parser.add_argument("--count", type=int, default=100_000, help="architectures priced in one call")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    space = SPACES[arguments.space]
    rng = random.Random(0)
    many = [space.sample(rng) for _ in range(arguments.count)]
    few = many[:500]

    tasks: dict[str, tuple[Callable[[], object], int]] = {
        "costs, one call": (lambda: space.costs(many), len(many)),
        "cost, one at a time": (lambda: [space.cost(member) for member in few], len(few)),
        "sample": (lambda: [space.sample(rng) for _ in few], len(few)),
        "rank": (lambda: [space.rank(member) for member in few], len(few)),
        "mutate": (lambda: [space.mutate(member, rng) for member in few], len(few)),
        "parse": (lambda: [space.parse(space.format(member)) for member in few], len(few)),
    }
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(arguments.repeats):  # interleaved, so that a busy spell of the machine meets all of them
        for name, (work, count) in tasks.items():
            rates[name].append(rate(work, count))
    ratios = [one / other for one, other in zip(rates["costs, one call"], rates["cost, one at a time"], strict=True)]

    print(
        f"space {space.name}, architectures a second of processor time: median (least to most) of {arguments.repeats}"
    )
    for name, values in rates.items():
        print(f"  {name:20} {statistics.median(values):10,.0f}  ({min(values):,.0f} to {max(values):,.0f})")
    print(
        f"  one call against one at a time: {statistics.median(ratios):.0f}x ({min(ratios):.0f}x to {max(ratios):.0f}x)"
    )
    print(json.dumps({"space": space.name, "rates": rates, "ratios": ratios}))


if __name__ == "__main__":
    main()
