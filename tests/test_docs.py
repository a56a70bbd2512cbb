"""Every command and piece of code in docs/ runs, page by page, in a folder with some images and two small runs."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.main import get_command

from search.cli import app
from search.config.loading import load_config

HOME = Path(__file__).resolve().parent.parent
DOCS = HOME / "docs"
PAGES = (
    "search-your-data", "your-images", "search-widths", "search-cells", "train", "stronger-blocks", "detection",
    "tune-a-training", "tune", "optuna", "tables", "accuracy",
    "add-a-space", "add-a-proposer", "add-a-binariser",
    "add-a-layer-type", "read-a-run", "deploy", "deploy-here", "deploy-pi", "deploy-c", "deploy-microcontroller",
    "deploy-web", "deploy-fpga",
    "interchange", "scale",
)  # fmt: skip
LONG = ("add-a-space", "detection", "tune", "deploy-fpga", "accuracy", "train", "deploy-c")
"""Pages that take a minute or more."""
NEEDS = {
    "deploy-c": ("make", "cmake", "aarch64-linux-gnu-gcc", "riscv64-linux-gnu-gcc", "qemu-aarch64", "qemu-riscv64"),
    "deploy-pi": ("make", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "deploy-microcontroller": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "deploy-fpga": ("qonnx-cleanup", "qonnx-to-channels-last"),
}
"""Programs without which a page is skipped."""
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = ("spaces", "models", "search", "analysis")
SMALL = (
    "--set", "supernet.epochs=1", "--set", "finetune.networks=1", "--set", "finetune.epochs=1",
    "--set", "execution.executor=inline",
)  # fmt: skip
FEWER_IMAGES = (
    "--set", "data.validation_limit=64", "--set", "data.test_limit=64", "--set", "evaluation.recalibration_batches=1",
)  # fmt: skip
# its own `binarynas` first, wherever the tests were started from
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def runs(cli, tmp_path_factory) -> Path:
    """Two small runs, named as the pages name them."""
    folder = tmp_path_factory.mktemp("docs") / "runs"
    for seed, name in enumerate(("demo", "other")):
        done = cli("search", "nasbnn-digits", "--out", folder / name, "--seed", str(seed), "--trials", "12", *SMALL)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory) -> Path:
    """The package binarynas-runtime as pip would install it: a folder to import it from, its command in `bin`."""
    spec = spec_from_file_location("runtime_source", HOME / "wheels" / "runtime_source.py")
    source = module_from_spec(spec)
    spec.loader.exec_module(source)
    folder = tmp_path_factory.mktemp("runtime")
    source.write(folder)
    (folder / "bin").mkdir()
    command = folder / "bin" / "binarynas-runtime"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" -m binarynas_runtime "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture
def place(runs, runtime, tmp_path, monkeypatch) -> Path:
    """A folder as the pages take it to be."""
    from PIL import Image
    from sklearn.datasets import load_digits

    shutil.copytree(runs, tmp_path / "runs")
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:600], digits.target[:600], strict=True)):
        folder = tmp_path / "my-images" / f"digit-{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(runtime)
    monkeypatch.setitem(ENVIRONMENT, "PATH", f"{runtime / 'bin'}{os.pathsep}{ENVIRONMENT['PATH']}")
    return tmp_path


def shell(block: str, cli: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Run a block of commands. Those of ours run in this process, and a search sees few images; what is more than one
    command a line goes to a real shell."""
    try:
        lines = [shlex.split(line, comments=True) for line in block.replace("\\\n", "").splitlines()]
    except ValueError:  # quotes across lines
        lines = []
    commands = [words for words in lines if words]
    if not commands or any(words[0] != "binarynas" or {"|", ">", "&&"} & {*words} for words in commands):
        subprocess.run(["bash", "-euc", block], check=True, env=ENVIRONMENT)
        return
    for _, *arguments in commands:
        if arguments[0] == "search":
            source = Path(arguments[1])
            limited = "train_limit" in block or (source.is_file() and "train_limit" in source.read_text())
            arguments += [*FEWER_IMAGES, *(() if limited else ("--set", "data.train_limit=256"))]
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr


def apply_diff(file: Path, diff: str) -> None:
    """Put the lines of a block with a plus where the block says: after its other lines, which stand there once."""
    old = "".join(line[1:] for line in diff.splitlines(keepends=True) if line.startswith(" "))
    new = "".join(line[1:] for line in diff.splitlines(keepends=True))
    content = file.read_text("utf-8")
    assert content.count(old) == 1, f"{file.name} has changed: the page's lines are not in it"
    file.write_text(content.replace(old, new), "utf-8")


def in_a_copy(place: Path, blocks: list[tuple[str, str, str]]) -> None:
    """Carry out a page that adds files to the packages: in a copy of these, every block in a process of its own."""
    for package in ("binarynas", *PACKAGES):
        shutil.copytree(HOME / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**ENVIRONMENT, "PYTHONPATH": str(place)}
    for language, file, content in blocks:
        if language == "diff":
            apply_diff(place / file, content)
        elif file:
            (place / file).parent.mkdir(exist_ok=True)
            (place / file).write_text(content, "utf-8")
        else:
            assert language in ("sh", "python"), f"a block of {language}, which no test runs"
            command = ["bash", "-euc", content] if language == "sh" else [sys.executable, "-c", content]
            subprocess.run(command, check=True, cwd=place, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.long) if page in LONG else page for page in PAGES]
)
def test_page(place, cli, page):
    if missing := [program for program in NEEDS.get(page, ()) if not shutil.which(program, path=ENVIRONMENT["PATH"])]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    namespace: dict[str, object] = {}
    blocks = BLOCK.findall((DOCS / f"{page}.md").read_text("utf-8"))
    assert blocks
    if any(file.partition("/")[0] in PACKAGES for _, file, _ in blocks):
        in_a_copy(place, blocks)
        return
    for language, file, content in blocks:
        if file:
            (place / file).write_text(content)
        elif language == "sh":
            shell(content, cli)
        else:
            assert language == "python", f"{page} has a block of {language}, which no test runs"
            exec(compile(content, f"{page}.md", "exec"), namespace)


def test_every_page_with_code_is_run():
    with_code = {page.stem for page in DOCS.glob("*.md") if BLOCK.search(page.read_text("utf-8"))}
    assert with_code == set(PAGES)


def told(page: str) -> Iterator[list[str]]:
    """The arguments of our commands in a page's indented blocks, which no test runs."""
    text = (DOCS / f"{page}.md").read_text("utf-8").replace("\\\n", "")
    for line in text.splitlines():
        if line.startswith("    binarynas "):
            yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", ["scale", "cluster"])
def test_commands_that_are_only_told_have_options_and_settings_that_there_are(page):
    group = get_command(app)
    commands = list(told(page))
    assert len(commands) > 5
    for name, *arguments in commands:
        parsed = group.get_command(None, name).make_context(name, arguments).params
        if name == "search":
            data = {"data": {"name": "folder", "path": parsed["data"]}} if parsed["data"] else {}
            load_config(parsed["source"], parsed["settings"] or (), data)


def ours(code: str) -> Iterator[tuple[str, str]]:
    """The module and the name of everything of ours that a piece of code imports."""
    for node in ast.walk(ast.parse(code)):
        module = node.module.removeprefix("binarynas.") if isinstance(node, ast.ImportFrom) and node.module else ""
        if module.partition(".")[0] in PACKAGES:
            yield from ((module, name.name) for name in node.names)


def test_pages_and_notebooks_import_public_names():
    """From the packages themselves, whose `__all__` is the interface. Pages that extend a room may reach into it."""
    pages = [page.read_text("utf-8") for page in DOCS.glob("*.md") if not page.stem.startswith("add-a-")]
    code = [content for page in pages for language, _, content in BLOCK.findall(page) if language == "python"]
    code += [notebook.read_text("utf-8") for notebook in (HOME / "notebooks").glob("*.py")]
    imported = {each for piece in code for each in ours(piece)}
    assert {module for module, _ in imported} <= {*PACKAGES}
    for module, name in imported:
        assert module not in PACKAGES or name in import_module(module).__all__, f"{module} has no public {name}"


def test_links_between_pages_lead_somewhere():
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (DOCS / target).exists(), f"{page.name} links to {target}"


def test_papers_page_names_code_that_is_there():
    """Files must exist, and so must every name that stands behind one, up to the end of the table's cell."""
    named = re.compile(r"`((?:spaces|models|search|analysis)/[\w/.-]+)`((?:,? `[A-Za-z_][\w.]*`)*)")
    found = named.findall((DOCS / "papers.md").read_text("utf-8"))
    assert len(found) > 80
    for file, names in found:
        path = DOCS.parent / file
        assert path.exists(), f"papers.md names {file}, which is not there"
        for name in re.findall(r"`([\w.]+)`", names):
            content = path.read_text("utf-8")
            assert all(part in content for part in name.split(".")), f"papers.md: {file} has no {name}"
