"""Room for candidates: cores, and GPUs that are filled alike."""

from collections import Counter

import pytest

from search.config.execution import ExecutionConfig
from search.execution.room import Room, lacking


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


@pytest.mark.parametrize(
    ("nodes", "bundle", "count", "words"),
    [
        ([{"CPU": 8.0}], {"CPU": 2.0, "GPU": 0.0}, 4, None),
        ([{"CPU": 1.0}] * 4, {"CPU": 1.0}, 4, None),
        ([{"CPU": 1.0}] * 4, {"CPU": 4.0}, 1, "a worker needs 4 CPUs on one node, and the nodes are: 4 with 1 CPU"),
        ([{"CPU": 8.0}], {"CPU": 1.0, "GPU": 1.0}, 1, "needs 1 CPU and 1 GPU on one node, and the nodes are: 1 with 8"),
        ([{"CPU": 0.0}], {"CPU": 1.0}, 1, "the nodes are: 1 with 0 CPUs"),
        ([{"CPU": 4.0, "GPU": 1.0}, {"CPU": 2.0}], {"CPU": 2.0, "GPU": 0.5}, 3, "3 workers need, each, 2 CPUs and 0.5"),
        ([], {"CPU": 1.0}, 1, "the nodes are: none"),
    ],
)
def test_what_is_lacking_is_said_node_by_node(nodes, bundle, count, words):
    found = lacking(nodes, bundle, count)
    assert found is None if words is None else words in found


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
