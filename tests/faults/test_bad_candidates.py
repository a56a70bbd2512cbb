"""Candidates that hang, crash or freeze their worker, on Ray: killed, tried again, set aside with the reason; the
search ends and no other candidate suffers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.trials import load_trials

# A driver whose workers do harm for some candidates. It travels to them by value, since it is the main program's.
DRIVER = """
import os, signal, sys, time
from pathlib import Path
import search.tune_executor as tune_executor

marks = Path(sys.argv[1])

class Trainable(tune_executor._Trainable):
    def reset_config(self, new_config):
        super().reset_config(new_config)
        self._task = tune_executor.json.loads(new_config["task"])
        self._reports = self._harmful(self._reports)
        return True

    def _harmful(self, reports):
        for candidate in self._task.get("candidates", []):
            number = candidate["number"]
            first = not (marks / str(number)).exists()
            (marks / str(number)).touch()
            if number == 3:
                time.sleep(1000)
            if number == 7:
                os.kill(os.getpid(), signal.SIGSEGV)
            if number == 11 and first:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 14 and first:
                os.kill(os.getpid(), signal.SIGSTOP)
            yield next(reports)
        yield from reports

tune_executor._Trainable = Trainable
sys.argv = ["binarynas", *sys.argv[2:]]
import binarynas
binarynas.main()
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="stops processes as Linux does")
@pytest.mark.skipif("SOAK_RUNS" not in os.environ, reason="make soak: waits for time limits, minutes")
def test_they_are_set_aside_with_the_reason_and_the_rest_goes_on(small_search, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    run = tmp_path / "run"
    settings = (
        "supernet.epochs=0",
        "search.trials=24",
        "execution.workers=2",
        "execution.timeout=25",
        "execution.retries=1",
    )
    arguments = [str(argument) for argument in small_search(run, *settings)[3:]]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(marks), *arguments], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    trials = load_trials(run).set_index("number")
    reasons = trials[trials["state"] == "failed"]["reason"].to_dict()
    assert set(reasons) == {3, 7}, reasons
    assert reasons[3] == "timed out after 25 s"
    assert reasons[7].startswith("the worker was lost: ")
    assert len(trials) == 24
    assert trials["attempt"][14] == 2, "the worker that was frozen was killed, and its candidate tried again"
    assert trials["attempt"][11] == 1, "a worker that is lost once is not charged to what it had in hand"
    assert (trials["state"] == "finished").sum() == 22
    front = (run / "front.csv").read_text()
    assert not any(trials["id"][number] in front for number in reasons)
