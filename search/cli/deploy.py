"""Commands that take a network out of a run: as a 1-bit file, timed, and at work on images."""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.output import fail, human_bytes, parse_count, print_json, print_table, stderr, stdout

if TYPE_CHECKING:
    from models.onebit.file import Model

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A .bnn file, as `binarynas export` writes it.")]
Threads = Annotated[int, typer.Option(min=1, max=256, help="Threads that share the images of a batch.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class FileFormat(StrEnum):
    """What `export` writes."""

    BNN = "bnn"
    ONNX = "onnx"
    QONNX = "qonnx"
    C = "c"
    HTML = "html"


FORMATS = {".onnx": FileFormat.ONNX, ".qonnx": FileFormat.QONNX, ".html": FileFormat.HTML}
"""By the end of a file's name; every other one is a .bnn file, and C has a folder."""
IMAGE_FILES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("export")(export)
    app.command("bench")(bench)
    app.command("predict")(predict)


def export(
    source: Annotated[Path, typer.Argument(metavar="RUN|CHECKPOINT", help="A run, or a network's own folder.")],
    out: Annotated[Path, typer.Option(help="The file to write, such as model.bnn; for C a new folder.")],
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|ID", help="Which one, of a one-shot run any of its space; else the best within the limit."
        ),
    ] = None,
    ops_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="OPS", help="At most so many OPs: 5M.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="For a folder outside of a run: its images' mean, 0.5,0.5,0.5.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="For a folder outside of a run: their deviation.")] = None,
    form: Annotated[
        FileFormat | None,
        typer.Option("--format", help="By the name of the file if left out: .onnx is plain ONNX, .html a page."),
    ] = None,
) -> None:
    """Write a trained network as a file of 1-bit weights that holds no code, with all that images need.

    Also as plain C for any machine, as a page for browsers, and for other tools as ONNX, whose weights are floats.
    """
    from search.outputs.deployment import find_network, model_of

    found = find_network(source, architecture, ops_max)
    model, bits = model_of(found, _numbers(mean), _numbers(std))
    words = _write(out, model, form or FORMATS.get(out.suffix.lower(), FileFormat.BNN), bits)
    stdout().print(f"{model.facts['architecture']}", soft_wrap=True, markup=False)
    stdout().print(f"{out}: {words}", soft_wrap=True, markup=False)
    if found.note:
        stderr().print(f"note: its weights are {found.note}", soft_wrap=True, markup=False)


def _write(out: Path, model: "Model", form: FileFormat, bits: int) -> str:
    """Write the file; what there is to say of it."""
    suffix = out.suffix.lower()
    if form is FileFormat.C:
        if suffix in (".bnn", *FORMATS):
            fail(f"{out} ends in {out.suffix}, as a file does; C is written into a folder")
        from models.onebit.standalone.source import write_c

        flash, ram = write_c(out, model)
        return f"{human_bytes(flash)} of constants, {human_bytes(ram)} of memory; build it with: make -C {out}"
    if form is FileFormat.HTML:
        if suffix != ".html":
            fail(f"{out} must end in .html, as browsers want it")
        from models.onebit.standalone.page import write_page

        return f"{human_bytes(write_page(out, model))}; open it in a browser"
    if form is not FileFormat.BNN:
        from models.onnx.export import SENTENCES, Format, write_onnx

        return f"{human_bytes(write_onnx(out, model, Format(form)))}; {SENTENCES[Format(form)]}"
    if suffix in FORMATS:
        fail(f"{out} ends in {out.suffix}; a 1-bit file ends in .bnn")
    from models.onebit.file import write_model

    size = write_model(out, model)
    return f"{human_bytes(size)} ({human_bytes(bits / 8)} by count); time it with: binarynas bench {out}"


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(word) for word in text.split(","))
    except ValueError:
        fail(f"{text!r} are no numbers; write one a channel, with commas: 0.485,0.456,0.406")


def bench(
    model: ModelFile,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Images a call.")] = 1,
    threads: Threads = 1,
    seconds: Annotated[float, typer.Option(min=0.05, max=600, help="How long to measure each engine.")] = 3.0,
    against_float: Annotated[bool, typer.Option("--float", help="Time torch's float convolutions, too.")] = False,
    as_json: Json = False,
) -> None:
    """Time a network on this machine: milliseconds an image, median and quartiles, after a warm-up."""
    from models.onebit.engine import Engine
    from models.onebit.timing import Timing, processor, time_in_turns, torch_alternatives

    program = _read(model).program
    engine = Engine(program)
    if engine.hint:
        stderr().print(f"note: {engine.hint}", soft_wrap=True, markup=False)
    import torch

    torch.set_num_threads(threads)
    images = torch.randn(batch, *program.image, generator=torch.Generator().manual_seed(0))
    tasks: dict[str, Any] = {engine.name: lambda: engine(images, threads=threads)}
    if against_float:
        tasks |= torch_alternatives(program, images)
    timings: dict[str, Timing] = time_in_turns(tasks, batch, seconds)
    first = timings[engine.name]
    facts = {"processor": processor(), "threads": threads, "batch": batch, "load": os.getloadavg()[0]}
    if as_json:
        print_json(facts | {"engines": {name: timing._asdict() for name, timing in timings.items()}})
        return
    typer.echo(f"{facts['processor']}, threads {threads}, batch {batch}, load {facts['load']:.1f} beforehand")
    rows = [(name, *timing.words(), f"{timing.median / first.median:.2f}x") for name, timing in timings.items()]
    print_table(("engine", "ms an image", "quartiles", "images/s", "calls", "times"), rows)


def predict(
    model: ModelFile,
    source: Annotated[Path, typer.Argument(metavar="IMAGE|FOLDER", help="PNG, JPEG, WebP or GIF.")],
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Tell the class of an image, or of every image in a folder, and how probable the network holds it."""
    from models.onebit.engine import Engine
    from search.outputs.deployment import ImageError, probabilities

    loaded = _read(model)
    engine = Engine(loaded.program)
    if engine.hint:
        stderr().print(f"note: {engine.hint}", soft_wrap=True, markup=False)
    results: list[dict[str, Any]] = []
    bad = False
    for file in _image_files(source):
        try:
            found = probabilities(loaded, engine, file, threads)
        except ImageError as error:
            if file == source:
                fail(str(error))
            stderr().print(f"left out: {error}", soft_wrap=True, markup=False)
            bad = True
            continue
        best = int(found.argmax())
        result = {"file": str(file), "class": loaded.class_names[best], "probability": float(found[best])}
        results.append(result)
        if not as_json:
            typer.echo(f"{result['class']}  {100 * result['probability']:.1f} %  {file}")
    if as_json:
        print_json(results)
    if bad:
        raise SystemExit(1)


def _read(path: Path) -> "Model":
    from models.onebit.file import read_model

    return read_model(path)


def _image_files(source: Path) -> Iterator[Path]:
    """The file, or the images of a folder and the folders in it, by name."""
    if not source.exists():
        fail(f"{source} does not exist; give an image or a folder of images")
    if source.is_file():
        yield source
        return
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in IMAGE_FILES and path.is_file())
    if not files:
        fail(f"{source} holds no images; they end in {', '.join(IMAGE_FILES)}")
    yield from files
