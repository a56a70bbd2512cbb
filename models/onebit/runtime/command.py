"""The command line of a machine that only runs networks: what a file holds, classes of images, milliseconds."""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from models.onebit.runtime.classifier import Array, Classifier, ImageError, softmax
from models.onebit.timing import processor, time_in_turns
from spaces.errors import BinarynasError

PROGRAM = "binarynas-runtime"
_BAD_INPUT = 2


class _FileError(ImageError):
    """A file that holds no image: its message follows the file's name."""


def main(words: Sequence[str] | None = None) -> None:
    """Carry out a command; what is wrong is said in one sentence, with exit code 2."""
    options = _parser().parse_args(words)
    try:
        network = Classifier(options.model)
        if network.engine.hint:
            print(f"note: {network.engine.hint}", file=sys.stderr)
        options.carry_out(network, options)
    except BinarynasError as error:
        _fail(str(error))
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(sentence: str) -> NoReturn:
    print(f"{PROGRAM}: {sentence}", file=sys.stderr)
    raise SystemExit(_BAD_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description="Run a binary network from a .bnn file, with numpy alone.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="what a file holds, and which engine runs it")
    predict = commands.add_parser("predict", help="the classes of images")
    bench = commands.add_parser("bench", help="milliseconds an image on this machine")
    for command, carry_out in ((info, _info), (predict, _predict), (bench, _bench)):
        command.add_argument("model", type=Path, metavar="MODEL", help="a .bnn file, as `binarynas export` writes it")
        command.add_argument("--json", action="store_true", help="for programs")
        command.set_defaults(carry_out=carry_out)
    predict.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE",
        help="a .npy file of one image or several, or the bytes of one's pixels and nothing else",
    )  # fmt: skip
    predict.add_argument("--logits", action="store_true", help="print the logits, too")
    bench.add_argument("--batch", type=_between(int, 1, 4096), default=1, help="images per call (1)")
    bench.add_argument("--seconds", type=_between(float, 0.05, 600), default=3.0, help="how long to measure (3)")
    for command in (predict, bench):
        command.add_argument("--threads", type=_between(int, 1, 256), default=1, help="threads that share a batch (1)")
    return parser


def _between(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """What reads the number of an option, within bounds."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"give a number from {low} to {high}, not {text!r}")
        return value

    return parse


def _info(network: Classifier, options: argparse.Namespace) -> None:
    model = network.model
    facts = {
        "image": "×".join(map(str, network.shape)) + " (height, width, channels)",
        "classes": ", ".join(network.class_names),
        "mean": ", ".join(f"{value:.6g}" for value in model.mean),
        "std": ", ".join(f"{value:.6g}" for value in model.std),
        "centre crop": f"{model.centre_crop:.6g}",
        **model.facts,
        "operations": str(len(model.program.operations)),
        "engine": network.engine.name,
    }
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        print(f"{name + ':':<14}{value}")


def _predict(network: Classifier, options: argparse.Namespace) -> None:
    found: list[dict[str, object]] = []
    for file in options.images:
        try:
            logits = network.logits(_read(file, network), options.threads)
        except ImageError as error:
            raise ImageError(f"{file} {error}" if type(error) is _FileError else f"{file}: {error}") from error
        for number, (row, chances) in enumerate(zip(logits, softmax(logits), strict=True)):
            name = str(file) if len(logits) == 1 else f"{file}[{number}]"
            best = int(chances.argmax())
            each = {"file": name, "class": network.class_names[best], "probability": float(chances[best])}
            found.append(each | ({"logits": row.tolist()} if options.logits else {}))
            if not options.json:
                print(f"{network.class_names[best]}  {100 * chances[best]:.1f} %  {name}")
                if options.logits:
                    print(*(f"{value:.9g}" for value in row.tolist()))
    if options.json:
        print(json.dumps(found, indent=2))


def _read(file: Path, network: Classifier) -> Array:
    """The array of a .npy file, or the pixels of a raw image: rows from the top, the channels of a pixel together."""
    size, wanted = 0, math.prod(network.shape)
    try:
        if file.suffix.lower() == ".npy":
            return np.load(file, mmap_mode="r", allow_pickle=False)
        size = file.stat().st_size
        data = file.read_bytes() if size == wanted else b""
    except OSError as error:
        raise _FileError(f"cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise _FileError("is damaged, or no .npy file of numbers") from error
    if not data:
        raise _FileError(
            f"has {size} bytes, where the pixels of an image of {'×'.join(map(str, network.shape))} have {wanted}; no "
            "formats such as PNG and JPEG are read here: resize it and save its pixels, by numpy.save for one"
        )
    return np.frombuffer(data, np.uint8).reshape(network.shape)


def _bench(network: Classifier, options: argparse.Namespace) -> None:
    images = np.random.default_rng(0).standard_normal((options.batch, *network.shape), np.float32)
    name = network.engine.name
    (timing,) = time_in_turns(
        {name: lambda: network.logits(images, options.threads)}, options.batch, options.seconds
    ).values()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if options.json:
        facts = {"processor": processor(), "threads": options.threads, "batch": options.batch, "load": load}
        print(json.dumps(facts | {"engines": {name: timing._asdict()}}, indent=2))
        return
    beforehand = "" if load is None else f", load {load:.1f}"
    print(f"{processor()}, threads {options.threads}, batch {options.batch}{beforehand}")
    median, quartiles, rate, calls = timing.words()
    print(f"{name}: {median} ms per image (quartiles {quartiles}), {rate} images/s, {calls} calls")
