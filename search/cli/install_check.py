"""`python -m search.cli.install_check`: whether the installed torch and torchvision fit each other."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

REMEDY = "install both again in one call: pip install --force-reinstall -c constraints.txt torch torchvision"


def problem() -> str | None:
    """What is wrong with the pair, in one sentence that ends with the remedy; None if nothing is.

    torchvision's compiled operators are built for one release of torch, and a CPU build of torch does not fit the
    registry's torchvision either. Importing them is what tells: a mismatch raises "operator torchvision::nms does not
    exist", or an error of the loader.
    """
    try:
        nms = import_module("torchvision.ops").nms
        torch = import_module("torch")
        nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return f"torch {_version('torch')} and torchvision {_version('torchvision')} do not fit ({cause}); {REMEDY}"
    return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def main() -> None:
    """Print that the pair fits; or exit with the sentence that says why not."""
    found = problem()
    if found:
        sys.exit(found)
    print(f"torch {_version('torch')} and torchvision {_version('torchvision')} fit each other")


if __name__ == "__main__":
    main()
