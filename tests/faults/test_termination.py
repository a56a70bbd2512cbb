"""SIGTERM to the whole process group, as `timeout` and batch systems send it, at several moments."""

import os
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="sends signals to process groups")


@pytest.mark.parametrize("moment", ["preparing", pytest.param("running", marks=pytest.mark.long)])
def test_a_terminated_group_ends_with_one_sentence(moment, small_search, wait, tmp_path):
    run = tmp_path / "run"
    command = [*small_search(run, "supernet.epochs=300", "supernet.batch_size=16"), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    if moment == "preparing":
        wait(lambda: any(tmp_path.iterdir()), process)
    else:
        wait((run / "supernet" / "checkpoints").exists, process)
    os.killpg(process.pid, signal.SIGTERM)
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 143), errors
    assert errors.count("binarynas: stopped") == 1, errors
    assert "Traceback" not in errors
    assert time.monotonic() - begun < 30, "10 s on a quiet machine"
