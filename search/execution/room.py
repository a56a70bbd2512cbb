"""How many candidates are in flight, and what each one takes of a machine or a cluster."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.config.execution import ExecutionConfig

ROOM_SECONDS = 15.0
"""Of waiting for room after which that is said."""


@dataclass(frozen=True)
class Room:
    """What there is: cores, and GPUs that candidates use (none where they run on the CPU). A cluster may grow."""

    cores: float
    gpus: float
    may_grow: bool = False

    def workers(self, execution: ExecutionConfig) -> int:
        """How many tasks run at once: as asked for, else one per GPU or share of one, else as many as have cores."""
        if execution.workers:
            return execution.workers
        room = self.cores / execution.threads
        if self.gpus:
            room = min(room, self.gpus / (execution.gpu_share or 1))
        return max(1, int(room))

    def share(self, execution: ExecutionConfig) -> float:
        """Of a GPU, per candidate: as asked for, else a whole one of a cluster, and on one machine as much as lets the
        workers fill all GPUs alike.

        Ray fills one GPU before it begins another. A quarter for each of four workers would leave all but one idle.
        """
        if execution.gpu_share or not self.gpus:
            return execution.gpu_share or 0.0
        if self.may_grow:
            return 1.0
        return 1 / math.ceil(self.workers(execution) / self.gpus)


def lacking(nodes: Sequence[Mapping[str, float]], bundle: Mapping[str, float], count: int = 1) -> str | None:
    """Why so many workers, each with a bundle of resources on one node, do not fit; None where they do.

    `nodes` are what each node has in all, by Ray's names.
    """
    needed = {name: amount for name, amount in bundle.items() if amount > 0}
    if sum(_fitting(node, needed) for node in nodes) >= count:
        return None
    wanted = " and ".join(_amount(name, amount) for name, amount in needed.items())
    kinds = Counter(" and ".join(_amount(name, node.get(name, 0.0)) for name in needed) for node in nodes)
    there = "; ".join(f"{number} with {what}" for what, number in kinds.items()) or "none"
    workers = "a worker needs" if count == 1 else f"{count} workers need, each,"
    return f"{workers} {wanted} on one node, and the nodes are: {there}"


def _fitting(node: Mapping[str, float], bundle: Mapping[str, float]) -> float:
    return min((math.floor(node.get(name, 0.0) / amount + 1e-9) for name, amount in bundle.items()), default=math.inf)


def _amount(name: str, amount: float) -> str:
    return f"{amount:g} {name}" + ("" if amount == 1 else "s")
