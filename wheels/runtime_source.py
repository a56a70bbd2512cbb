"""The source of the distribution binarynas-runtime: `models.onebit.runtime` with all that it imports, in one package.

No file is kept twice: modules are copied when a wheel is made, and their imports renamed, `from models.` to
`from binarynas_runtime.models.`, so that the package stands beside the whole of binarynas, or anyone's folder `models`.
"""

import ast
import re
import shutil
import tomllib
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PACKAGE = "binarynas_runtime"
OURS = ("models", "spaces")
_IMPORT = re.compile(rf"^(\s*from )(?=(?:{'|'.join(OURS)})\b)", re.MULTILINE)


def write(folder: Path) -> None:
    """Write the source tree of the distribution into an empty folder."""
    version = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    own = HOME / "wheels" / "runtime"
    project = (own / "pyproject.toml").read_text("utf-8").replace('version = "0"', f'version = "{version}"')
    (folder / "pyproject.toml").write_text(project, "utf-8")
    shutil.copy(own / "README.md", folder)
    shutil.copy(HOME / "LICENSE", folder)
    package = folder / PACKAGE
    for name in ("__init__.py", "__main__.py"):
        _copy(own / name, package / name)
    for module in modules({own / "__init__.py", own / "__main__.py"}):
        _copy(module, package / module.relative_to(HOME))
        for parent in module.relative_to(HOME).parents[:-1]:
            _package(parent, package)
    for file in (HOME / "models" / "onebit" / "native").glob("*.[ch]"):
        shutil.copy(file, package / file.relative_to(HOME))


def modules(start: set[Path]) -> set[Path]:
    """The files of ours that these import, directly or not."""
    found, ahead = set[Path](), set(start)
    while ahead:
        more = set().union(*(_imported(file) for file in ahead))
        ahead = more - found
        found |= more
    return found


def _imported(file: Path) -> set[Path]:
    """The files of ours that a file imports; a name must come from a module, not from a package's `__init__`."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            place = HOME.joinpath(*node.module.split("."))
            files = [place.with_suffix(".py")] if not place.is_dir() else [place / f"{n.name}.py" for n in node.names]
            if missing := [each for each in files if not each.is_file()]:
                raise ValueError(f"{file} imports {missing[0].stem} of {node.module}: name the module that defines it")
            found.update(files)
    return found


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(_IMPORT.sub(rf"\1{PACKAGE}.", file.read_text("utf-8")), "utf-8")


def _package(folder: Path, package: Path) -> None:
    """The `__init__.py` of a folder: its docstring alone, as the names that it gives may need torch."""
    words = ast.get_docstring(ast.parse((HOME / folder / "__init__.py").read_text("utf-8"))) or ""
    (package / folder).mkdir(parents=True, exist_ok=True)
    (package / folder / "__init__.py").write_text(f'"""{words.splitlines()[0]}"""\n', "utf-8")
