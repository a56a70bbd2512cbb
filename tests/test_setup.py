"""What `make venv` relies on: the check of torch and torchvision, and constraints that agree with the project."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent


def check(path: Path, code: str) -> subprocess.CompletedProcess[str]:
    (path / "torchvision").mkdir()
    (path / "torchvision" / "__init__.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "search.cli.install_check"],
        cwd=HOME,
        env={"PYTHONPATH": f"{path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("raise RuntimeError('operator torchvision::nms does not exist')", "operator torchvision::nms does not exist"),
        ("raise OSError('undefined symbol: x\\nmore')", "undefined symbol: x"),
        ("", "No module named 'torchvision.ops'"),
    ],
)
def test_a_torchvision_that_does_not_fit_is_one_sentence_with_the_remedy(tmp_path, code, cause):
    result = check(tmp_path, code)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert f"do not fit ({cause}); install both again in one call: pip install --force-reinstall" in result.stderr


def test_a_pair_that_fits_says_so():
    result = subprocess.run(
        [sys.executable, "-m", "search.cli.install_check"], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("fit each other\n")


def constraints() -> dict[str, str]:
    lines = [line for line in (HOME / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}


def test_everything_the_project_asks_for_has_a_version_in_the_constraints():
    project = tomllib.loads((HOME / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    asked = [*project["project"]["dependencies"], *groups["dev"], *groups["docs"]]
    names = [re.match(r"[A-Za-z0-9._-]+", requirement)[0] for requirement in asked]
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in names} <= set(constraints())


def test_make_help_lists_the_targets():
    text = subprocess.run(["make", "help"], cwd=HOME, capture_output=True, text=True, check=True).stdout
    targets = ("venv", "test", "lint", "types", "docs", "demo", "benchmarks", "studies", "wheel", "wheels", "clean")
    assert all(f"make {target} " in text for target in targets)
