"""Makes the wheels of binarynas and binarynas-runtime: for any machine, and for five systems with the engine built in.

`make wheels` calls it: `python wheels/make.py --out dist`. Words after `--pip` are for pip, which builds the two wheels
for any machine.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the checkout, which need not be installed

import archive
import engines
import runtime_source

from models.onebit.native import build


def main() -> None:
    """Make all of them, and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the folder to write to (dist)")
    parser.add_argument("--only", nargs="*", metavar="TAG", help="systems whose tags begin so (all)")
    parser.add_argument("--pip", nargs=argparse.REMAINDER, default=[], help="options of `pip wheel`")
    options = parser.parse_args()
    wanted = [
        target
        for target in engines.TARGETS
        if options.only is None or any(target.tag.startswith(start) for start in options.only)
    ]
    if options.only and not wanted:
        parser.error(f"no tag begins so; the tags are {', '.join(target.tag for target in engines.TARGETS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime_source.write(_new(folder / "source"))
        shutil.rmtree(runtime_source.HOME / "build" / "lib", ignore_errors=True)  # else what it holds goes in, too
        wheels = [_wheel(source, options.out, options.pip) for source in (folder / "source", runtime_source.HOME)]
        made = [*wheels]
        for target in wanted:
            library = engines.compiled(target, folder)
            name = build.prebuilt(target.platform).name
            made += [archive.with_library(wheel, library.read_bytes(), name, target.tag) for wheel in wheels]
            print(f"{library.stat().st_size / 1000:7.0f} KB  engine for {target.triple}", flush=True)
    for wheel in sorted(made):
        print(f"{wheel.stat().st_size / 1000:7.0f} KB  {wheel}")


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _wheel(source: Path, out: Path, options: list[str]) -> Path:
    """The wheel for any machine of a source tree."""
    with tempfile.TemporaryDirectory(dir=out) as name:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *options, "--wheel-dir", name]
        subprocess.run([*command, str(source)], check=True)  # noqa: S603  (pip)
        (made,) = Path(name).glob("*-any.whl")
        return made.replace(out / made.name)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, subprocess.SubprocessError) as error:
        sys.exit(f"make wheels: {error}")
