"""Fused kernels as programs of a GPU: they compile, are the same for all widths, and round where they must."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.layers.fused.choice import has_triton

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not has_triton(), reason="Triton is not installed")


def compiled(what, cache):
    done = subprocess.run(
        [sys.executable, HERE / "compiled_kernels.py", what],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "TRITON_CACHE_DIR": str(cache)},
        capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip
    if "ptxas" in done.stderr and done.returncode:
        pytest.skip("Triton has no assembler here")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_tail_compiles_once_for_all_widths_and_rounds_every_product(tmp_path):
    found = compiled("tails", tmp_path)
    assert found["counts"] == [{"tail": 1}] * 4
    assert found["fused"] == {"tail": 0}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_kernel_compiles_and_further_subnets_compile_none(tmp_path):
    found = compiled("subnets", tmp_path)
    counts = found["counts"]
    assert len(counts[0]) == 12
    assert counts[2:] == [counts[2]] * 4
    assert sum(counts[-1].values()) < 60
    assert set(found["fused"].values()) == {0}
