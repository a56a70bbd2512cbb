"""How many candidates are in flight, and what each one takes of a machine or a cluster."""

import math
from dataclasses import dataclass

from search.config.execution import ExecutionConfig


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
