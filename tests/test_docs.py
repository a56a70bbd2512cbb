"""Every command and piece of code in docs/ runs, page by page, in a folder with some images and two small runs."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = (
    "search-your-data", "search-widths", "search-cells", "tune-a-training", "add-a-space", "add-a-proposer",
    "add-a-layer-type", "read-a-run", "deploy", "interchange",
)  # fmt: skip
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = (
    "--set", "supernet.epochs=1", "--set", "finetune.networks=1", "--set", "finetune.epochs=1",
    "--set", "execution.executor=inline",
)  # fmt: skip
# its own `binarynas` first, wherever the tests were started from
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two small runs, named as the pages name them."""
    folder = tmp_path_factory.mktemp("docs")
    for seed, name in enumerate(("demo", "other")):
        command = ["binarynas", "search", "nasbnn-digits", "--out", f"runs/{name}", "--seed", str(seed)]
        subprocess.run([*command, "--trials", "12", *SMALL], check=True, cwd=folder, env=ENVIRONMENT)
    return folder / "runs"


@pytest.fixture
def place(runs, tmp_path, monkeypatch) -> Path:
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
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_page(place, page):
    namespace: dict[str, object] = {}
    blocks = BLOCK.findall((DOCS / f"{page}.md").read_text("utf-8"))
    assert blocks
    for language, file, content in blocks:
        if file:
            (place / file).write_text(content)
        elif language == "sh":
            subprocess.run(["bash", "-euc", content], check=True, cwd=place, env=ENVIRONMENT)
        else:
            assert language == "python", f"{page} has a block of {language}, which no test runs"
            exec(compile(content, f"{page}.md", "exec"), namespace)


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


def test_interface_page_holds_every_module_it_names(tmp_path, monkeypatch):
    out = tmp_path / "api.md"
    monkeypatch.setattr(sys, "argv", ["make_api.py", str(out)])
    module = runpy.run_path(str(DOCS / "make_api.py"), run_name="__main__")
    text = out.read_text("utf-8")
    assert text == module["api"]()
    for modules in module["PAGES"].values():
        for name in modules:
            assert f"### `{name}`" in text
    assert text.count("```") % 2 == 0
