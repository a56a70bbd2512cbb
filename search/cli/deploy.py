"""Commands that deploy a network of a run: write it as a file, time it, and classify images with it."""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json, OpsMax
from search.cli.output import fail, note, print_json, print_table

if TYPE_CHECKING:
    from models.onebit.engine import Engine
    from models.onebit.file import Model

ModelOrDetector = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL|DETECTOR", help="A .bnn file, as `binarynas export` writes it, or the folder of a detector."
    ),
]
Threads = Annotated[int, typer.Option(min=1, max=256, help="Threads that share the images of a batch.")]


class FileFormat(StrEnum):
    """The formats that `export` writes."""

    BNN = "bnn"
    ONNX = "onnx"
    QONNX = "qonnx"
    C = "c"
    HTML = "html"


FORMATS = {".onnx": FileFormat.ONNX, ".qonnx": FileFormat.QONNX, ".html": FileFormat.HTML}
"""By the suffix of a file's name; every other one is a .bnn file, and C has a folder."""


def export(
    source: Annotated[Path, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a network's own folder.")],
    out: Annotated[Path, typer.Option(help="The file to write, such as model.bnn; for C a new folder.")],
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|ID", help="Which network (of a one-shot run, any of its space); else the best in the limit."
        ),
    ] = None,
    ops_max: OpsMax = None,
    mean: Annotated[
        str | None, typer.Option(help="For a folder outside of a run: the mean of its images, 0.5,0.5,0.5.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="For a folder outside of a run: their standard deviation.")] = None,
    form: Annotated[
        FileFormat | None,
        typer.Option("--format", help="By the name of the file if left out: .onnx is plain ONNX, .html a page."),
    ] = None,
) -> None:
    """Write a trained network as a file of 1-bit weights that holds no code, with all that images need.

    Also as plain C for any machine, as a page for browsers, and for other tools as ONNX, whose weights are floats.
    """
    from search.outputs.deployment import find_network, model_of

    out, suffix = out.expanduser(), out.suffix.lower()
    if form is None:
        if suffix not in ("", ".bnn", *FORMATS):
            fail(
                f"{out} ends in {out.suffix}; by its name a file is one of .bnn, {', '.join(FORMATS)}, or give --format"
            )
        form = FORMATS.get(suffix, FileFormat.BNN)
    found = find_network(source, architecture, ops_max)
    model, bits = model_of(found, _numbers(mean), _numbers(std))
    words = _write(out, model, form, bits)
    typer.echo(model.facts["architecture"])
    typer.echo(f"{out}: {words}")
    if found.note:
        note(f"its weights are {found.note}")


def _write(out: Path, model: "Model", form: FileFormat, bits: int) -> str:
    """Write the file; what there is to say about it."""
    from analysis.units import quantity

    suffix = out.suffix.lower()
    if form is FileFormat.C:
        if suffix in (".bnn", *FORMATS):
            fail(f"{out} ends in {out.suffix}, as a file does; C is written into a folder")
        from models.onebit.standalone.source import write_c

        flash, ram = (quantity(size, "B") for size in write_c(out, model))
        return f"{flash} of constants, {ram} of memory; build it with: make -C {out}"
    if form is FileFormat.HTML:
        if suffix != ".html":
            fail(f"{out} must end in .html, as browsers want it")
        from models.onebit.standalone.page import write_page

        return f"{quantity(write_page(out, model), 'B')}; open it in a browser"
    if form is not FileFormat.BNN:
        from models.onnx.export import SENTENCES, Format, write_onnx

        return f"{quantity(write_onnx(out, model, Format(form)), 'B')}; {SENTENCES[Format(form)]}"
    if suffix in FORMATS:
        fail(f"{out} ends in {out.suffix}; a 1-bit file ends in .bnn")
    from models.onebit.file import write_model

    size = write_model(out, model)
    return f"{quantity(size, 'B')} ({quantity(bits / 8, 'B')} by count); time it with: binarynas bench {out}"


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(word) for word in text.split(","))
    except ValueError:
        fail(f"expected one number per channel, separated by commas, such as 0.485,0.456,0.406; got {text!r}")


def bench(
    model: ModelOrDetector,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Images per call.")] = 1,
    threads: Threads = 1,
    seconds: Annotated[float, typer.Option(min=0.05, max=600, help="How long to measure each engine.")] = 3.0,
    against_float: Annotated[bool, typer.Option("--float", help="Time torch's float convolutions, too.")] = False,
    as_json: Json = False,
) -> None:
    """Time a network on this machine: milliseconds per image, median and quartiles, after a warm-up.

    With the folder of a detector: those of its parts, backbone and pyramid by the 1-bit engine and in torch.
    """
    if model.is_dir():
        from search.cli.detect import bench_detector

        if batch != 1 or against_float:
            fail(f"{model} is a detector, which is timed image by image, in torch too: leave --batch and --float out")
        bench_detector(model, threads, seconds, as_json=as_json)
        return
    from models.onebit.simulation import torch_alternatives
    from models.onebit.timing import processor, time_in_turns

    loaded, engine = _open(model)
    import torch

    torch.set_num_threads(threads)
    images = torch.randn(batch, *loaded.program.image, generator=torch.Generator().manual_seed(0))
    tasks: dict[str, Callable[[], object]] = {engine.name: lambda: engine(images, threads=threads)}
    if against_float:
        tasks |= torch_alternatives(loaded.program, images)
    timings = time_in_turns(tasks, batch, seconds)
    first = timings[engine.name]
    facts = {"processor": processor(), "threads": threads, "batch": batch, "load": os.getloadavg()[0]}
    if as_json:
        print_json(facts | {"engines": {name: timing._asdict() for name, timing in timings.items()}})
        return
    typer.echo(f"{facts['processor']}, threads {threads}, batch {batch}, load {facts['load']:.1f} beforehand")
    rows = [(name, *timing.words(), f"{timing.median / first.median:.2f}x") for name, timing in timings.items()]
    print_table(("engine", "ms per image", "quartiles", "images/s", "calls", "times"), rows)


def predict(
    model: ModelOrDetector,
    source: Annotated[Path, typer.Argument(metavar="IMAGE|FOLDER", help="PNG, JPEG, WebP or GIF.")],
    threads: Threads = 1,
    draw: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Of a detector: draw what it finds in the image.")
    ] = None,
    least: Annotated[float, typer.Option("--score", min=0, max=1, help="Of a detector: the least score.")] = 0.5,
    onebit: Annotated[
        bool, typer.Option("--onebit", help="Of a detector: backbone and pyramid by the 1-bit engine, not by torch.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify an image, or every image in a folder, with the probability that the network gives the class.

    With the folder of a detector: find objects, each with its class, score and box.
    """
    if model.is_dir():
        from analysis.runs.layout import MANIFEST_FILE
        from search.cli.detect import predict_objects

        if not (model / MANIFEST_FILE).is_file():
            fail(f"{model} is a folder, but not that of a detector: give a .bnn file, as `binarynas export` writes it")
        predict_objects(model, _image_files(source), threads, draw, least, onebit=onebit, as_json=as_json)
        return
    if draw is not None:
        fail(f"{model} is not the folder of a detector, and only what detectors find can be drawn: leave --draw out")
    from search.data.errors import DataError
    from search.outputs.deployment import probabilities

    loaded, engine = _open(model)
    results: list[dict[str, str | float]] = []
    bad = False
    for file in _image_files(source):
        try:
            found = probabilities(loaded, engine, file, threads)
        except DataError as error:
            if file == source:
                raise
            typer.echo(f"left out: {error}", err=True)
            bad = True
            continue
        best = int(found.argmax())
        name, probability = loaded.class_names[best], float(found[best])
        results.append({"file": str(file), "class": name, "probability": probability})
        if not as_json:
            typer.echo(f"{name}  {100 * probability:.1f} %  {file}")
    if as_json:
        print_json(results)
    if bad:
        raise SystemExit(1)


def _open(path: Path) -> "tuple[Model, Engine]":
    """The model in a file, and its engine; a note says what would make that faster."""
    from models.onebit.engine import Engine
    from models.onebit.file import read_model

    model = read_model(path)
    engine = Engine(model.program)
    if engine.hint:
        note(engine.hint)
    return model, engine


def _image_files(source: Path) -> list[Path]:
    """The file, or the images of a folder and its subfolders, by name."""
    from search.data.sources.names import IMAGE_SUFFIXES, is_image

    if not source.exists():
        fail(f"{source} does not exist; give an image or a folder of images")
    if source.is_file():
        return [source]
    files = sorted(path for path in source.rglob("*") if is_image(path) and not path.is_dir())
    if not files:
        fail(f"{source} has no images; they end in {', '.join(IMAGE_SUFFIXES)}")
    return files
