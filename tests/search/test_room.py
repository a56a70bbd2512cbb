"""Room for candidates: cores, and GPUs that are filled alike."""

from collections import Counter

import pytest

from search.config.execution import ExecutionConfig
from search.execution.room import Room


@pytest.mark.parametrize(
    ("room", "settings", "workers", "share"),
    [
        (Room(16, 0), {}, 16, 0),
        (Room(16, 0), {"threads": 4}, 4, 0),
        (Room(2, 0), {"threads": 4}, 1, 0),
        (Room(16, 0), {"workers": 40}, 40, 0),
        (Room(64, 8), {}, 8, 1),
        (Room(64, 8), {"gpu_share": 0.25}, 32, 0.25),
        (Room(4, 8), {}, 4, 1),
        (Room(64, 8), {"workers": 4}, 4, 1),
        (Room(64, 8), {"workers": 16}, 16, 0.5),
        (Room(64, 8), {"workers": 17}, 17, 1 / 3),
        (Room(16, 1), {"workers": 4}, 4, 0.25),
        (Room(16, 1, may_grow=True), {"workers": 4}, 4, 1),
    ],
)
def test_workers_and_shares(room, settings, workers, share):
    execution = ExecutionConfig(**settings)
    assert (room.workers(execution), room.share(execution)) == (workers, share)


@pytest.mark.long
def test_candidates_spread_over_all_gpus():
    """Ray hands out GPUs that are not there just as well."""
    ray = pytest.importorskip("ray")
    execution = ExecutionConfig(workers=8)
    room = Room(8, 4)
    ray.init(address="local", num_cpus=8, num_gpus=4, include_dashboard=False, log_to_driver=False)
    try:

        @ray.remote(num_cpus=1, num_gpus=room.share(execution))
        class Candidate:
            def gpu(self) -> str:
                import os

                return os.environ["CUDA_VISIBLE_DEVICES"]

        candidates = [Candidate.remote() for _ in range(room.workers(execution))]
        assert Counter(ray.get([each.gpu.remote() for each in candidates])) == dict.fromkeys("0123", 2)
    finally:
        ray.shutdown()
