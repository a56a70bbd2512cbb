"""Candidates that hang, crash or freeze their worker, on Ray: killed, tried again, set aside with the reason; the
search ends and no other candidate suffers."""

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.runs.trials import load_trials

LIMIT = 8
"""Seconds for a candidate. One that does no harm takes a tenth of a second, and ten times that on a busy machine."""

# A driver whose workers do harm for some candidates. It travels to them by value, since it is the main program's.
DRIVER = """
import os, signal, sys, time
from pathlib import Path
import search.execution.tune as tune_executor

marks = Path(sys.argv[1])

class Trainable(tune_executor.RunTrial):
    def reset_config(self, new_config):
        super().reset_config(new_config)
        self._reports = self._harmful(self._reports)
        return True

    def _harmful(self, reports):
        for number in [trial.number for trial in getattr(self._task, "trials", ())]:
            first = not (marks / str(number)).exists()
            (marks / str(number)).touch()
            if number == 3 and first:
                time.sleep(1000)
            if number == 3:
                os.kill(os.getpid(), signal.SIGSTOP)
            if number == 5:
                os.kill(os.getpid(), signal.SIGSEGV)
            if number == 8 and first:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 10 and first:
                time.sleep(1000)
            yield next(reports)
        yield from reports

tune_executor.RunTrial = Trainable
tune_executor._GRACE = 1.0
tune_executor._FREE_LOSSES = 1
sys.argv = ["binarynas", *sys.argv[2:]]
import binarynas
binarynas.main()
"""


@pytest.mark.long
@pytest.mark.timeout(600)  # less than a minute on a quiet machine
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="stops processes as Linux does")
def test_they_are_set_aside_with_the_reason_and_the_rest_goes_on(small_search, untrained, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    run = tmp_path / "run"
    settings = (
        untrained,
        "search.trials=12",
        "search.first_generation=12",
        "execution.workers=2",
        f"execution.timeout={LIMIT}",
        "execution.retries=1",
    )
    arguments = [str(argument) for argument in small_search(run, *settings)[3:]]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(marks), *arguments], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    trials = load_trials(run).set_index("number")
    reasons = trials[trials["state"] == "failed"]["reason"].to_dict()
    assert set(reasons) == {3, 5}, reasons
    assert reasons[3] == f"timed out after {LIMIT} s", "it slept, and the second time it froze its worker"
    assert reasons[5].startswith("the worker was lost: ")
    assert len(trials) == 12
    assert trials["attempt"][10] == 2, "a worker that hangs is killed, and its candidate tried again"
    assert trials["attempt"][8] == 1, "a worker that is lost once is not charged to what it had in hand"
    assert (trials["state"] == "finished").sum() == 10
    front = (run / "front.csv").read_text()
    assert not any(trials["id"][number] in front for number in reasons)
