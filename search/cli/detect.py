"""Commands about detectors: what they cost, and training them on the networks of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import RunFolder
from search.cli.output import fail, note, print_json, print_table
from search.cli.run import begin

if TYPE_CHECKING:
    from search.config.detection import DetectionConfig
    from search.config.space import AnySpace
    from search.runs.folder import Run
    from spaces import Cost, DetectorCost

COCO_CLASSES = 80
_OTHER_SECTIONS = ("execution.", "evaluation.", "search.")
"""What a run of detectors takes from the run of its backbones, beside what is of the section detection."""


def detect(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option(help="Pictures with boxes: a folder in COCO's format, or digits, the built-in set.")
    ] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="How many of the run's front, over its cost.")] = None,
    architecture: Annotated[
        list[str] | None, typer.Option(metavar="TEXT|ID", help="This network; may be given several times.")
    ] = None,
    front: Annotated[bool, typer.Option("--front", help="Every network of the run's front.")] = False,
    objectives: Annotated[
        str | None,
        typer.Option(help="Such as map,ops: search RUN's supernet for backbones, measured in one detector they share."),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Of that search; as many as RUN's if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="The new run's folder; RUN-detectors if left out.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE.yaml", help="Whose section detection to take; RUN's own if left out."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The root of all randomness; RUN's if left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Detectors that are trained at once.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Of the section detection: epochs=6; or with its name, of execution, evaluation or search.",
        ),
    ] = None,
) -> None:
    """Train detectors on networks of a run's front, each a trial with its mAP; ends with their front and a plot.

    With --objectives, one detector is trained on RUN's supernet, and a search for detection measures candidates as its
    backbones. Either way they are a run of their own: resume, status, best, report and compare work on it.
    """
    from search.config.loading import changed
    from search.pipeline.detection import detection_config, front_of, prepare_detection, shared_config
    from search.runs.folder import open_run

    source = open_run(run)
    if architecture and (front or networks):
        fail("--architecture names the networks already: leave --front and --networks out")
    if front and networks:
        fail("--front takes every network: leave --networks out")
    if objectives and (architecture or front or networks):
        fail("--objectives searches the whole supernet: leave --architecture, --front and --networks out")
    if trials and not objectives:
        fail("--trials is how long a search is: give --objectives map,ops too, or leave it out")
    others = [each for each in settings or () if each.startswith(_OTHER_SECTIONS)]
    if not objectives and any(each.startswith("search.") for each in others):
        fail("detectors on chosen networks search nothing: leave settings of search out, or give --objectives map,ops")
    own = [each for each in settings or () if each not in others]
    section, root = _section(source, preset, data, own), source.config.seed if seed is None else seed
    if objectives:
        config = shared_config(source, section, objectives.split(","), trials, root)
    else:
        count = None if front else networks or section.networks
        texts = _texts(source, architecture) if architecture else front_of(source, count)
        config = detection_config(source, section, texts, root)
    config = changed(config, {"execution": {"workers": workers}}, others, "detect")
    made = prepare_detection(config, out or run.with_name(f"{run.name}-detectors"))
    for each in made.info["data"].get("notes", ()):
        note(each)
    begin(made)


def _section(source: "Run", preset: str | None, data: str | None, settings: Sequence[str]) -> "DetectionConfig":
    """The section `detection` of a preset, a file or the run, with what was given on top."""
    from search.config.loading import load_config
    from search.data.detection.config import recognise_pictures

    begun = source.config.detection if preset is None else load_config(preset).detection
    values: dict[str, Any] = {"detection": begun.model_dump(mode="json")}
    if data is not None:
        given = recognise_pictures(data).model_dump(mode="json", exclude_unset=True)
        values["detection"]["data"] = {**begun.data.model_dump(mode="json"), "path": None, "name": "digits", **given}
    from search.config.loading import check_config, set_values

    return check_config(set_values(values, {}, [f"detection.{each}" for each in settings]), "detect").detection


def _texts(source: "Run", names: Sequence[str]) -> list[str]:
    """The text forms of architectures given by text or id."""
    from search.runs.study import read_records
    from spaces import SpaceError

    by_id = {record.id: record.architecture for record in read_records(source.journal)}
    space, texts = source.architectures, list[str]()
    for name in names:
        if name.isalnum() and name not in by_id:
            raise SpaceError(
                f"{source.path} has no network {name!r}; give an id of its front, or an architecture's text"
            )
        texts.append(space.format(space.parse(by_id.get(name, name))))
    return texts


def predict_objects(
    folder: Path,
    files: Sequence[Path],
    threads: int,
    drawn: Path | None,
    least: float,
    *,
    onebit: bool,
    as_json: bool,
) -> None:
    """Find objects in images with the detector in a folder."""
    import torch

    from models.detection.checkpoints import load_detector
    from search.data.detection.boxes import draw_one
    from search.outputs.detectors import engine_detector, find_objects, objects_of

    if drawn is not None and (len(files) > 1 or drawn.suffix.lower() != ".png"):
        fail(f"--draw writes one image as a .png file; got {len(files)} images and {drawn}")
    torch.set_num_threads(threads)
    detector = engine_detector(folder, threads) if onebit else load_detector(folder)
    names, results = detector.seen.class_names, list[dict[str, Any]]()
    for file in files:
        image, found, parts = find_objects(detector, file, least)
        objects, whole = objects_of(found, names), parts.pop("in all")
        results.append({"file": str(file), "milliseconds": whole, "parts": parts, "objects": objects})
        if drawn is not None:
            draw_one(drawn, image, found, names)
        if not as_json:
            typer.echo(f"{file}: {len(objects)} objects in {whole:.1f} ms")
            for each in objects:
                corners = " ".join(f"{value:.1f}" for value in each["box"])
                typer.echo(f"  {each['class']}  {100 * each['score']:.1f} %  {corners}")
    if as_json:
        print_json(results)


def bench_detector(folder: Path, threads: int, seconds: float, *, as_json: bool) -> None:
    """Time the parts of the detector in a folder: backbone and pyramid by the 1-bit engine, and everything in torch."""
    import os

    import torch

    from models.detection.checkpoints import load_detector
    from models.detection.lowered import BODY_FILE
    from models.onebit.timing import processor
    from search.outputs.detectors import engine_detector, time_detectors

    torch.set_num_threads(threads)
    detectors = {"torch": load_detector(folder)}
    if (folder / BODY_FILE).is_file():
        detectors["1-bit"] = engine_detector(folder, threads)
    facts = {"processor": processor(), "threads": threads, "load": os.getloadavg()[0]}
    found = time_detectors(detectors, seconds)
    if as_json:
        print_json(
            facts | {"engines": {name: {p: t._asdict() for p, t in each.items()} for name, each in found.items()}}
        )
        return
    typer.echo(f"{facts['processor']}, threads {threads}, one image a call, load {facts['load']:.1f} beforehand")
    rows = [(part, *(f"{each[part].median:.3g}" for each in found.values())) for part in found["torch"]]
    print_table(("part", *(f"{name}, ms" for name in found)), rows)


def show_detector_cost(
    space: "AnySpace", text: str, design: str, image_size: int | None, classes: int | None, *, as_json: bool
) -> None:
    """Count a detector, part by part, and its three totals: as published, and whole at two sizes of images."""
    import dataclasses

    from analysis.units import quantity
    from spaces import SpaceError, detector_cost
    from spaces.cost.detector import DESIGNS, PUBLISHED_SIZE
    from spaces.errors import unknown

    if design not in DESIGNS:
        raise SpaceError(unknown("design of a detector", design, DESIGNS, "designs"))
    member, chosen = space.parse(text), dataclasses.replace(DESIGNS[design], classes=classes or COCO_CLASSES)
    sizes = dict.fromkeys((PUBLISHED_SIZE, image_size or PUBLISHED_SIZE))
    found = {size: detector_cost(space.cost(member, size), size, chosen, space.name) for size in sizes}
    counted, used = found[PUBLISHED_SIZE], found[image_size or PUBLISHED_SIZE]
    totals = {
        "published_ops": counted.published_ops,
        "ops_at_320": counted.whole.ops,
        "ops_at_size": used.whole.ops,
    }
    if as_json:
        shape = {"image_size": image_size or PUBLISHED_SIZE, "classes": chosen.classes, "design": design}
        parts = {name: cost.metrics() for name, cost in _parts(used).items()}
        layers = [{"name": layer.name} | layer.metrics() for layer in used.whole.layers]
        names = {"space": space.name, "architecture": space.format(member), "id": space.id(member)}
        print_json({**names, **shape, **totals, "parts": parts, "layers": layers})
        return
    rows = [(name, *_cells(cost)) for name, cost in _parts(used).items()]
    print_table(
        ("part", "float", "int8", "binary", "OPs", "params", "size"), rows, total=("in all", *_cells(used.whole))
    )
    print_table(
        ("total", ""),
        [
            ("as Table 3 of NAS-BNN counts, at 320 pixels", quantity(totals["published_ops"], "OPs")),
            ("everything, at 320 pixels", quantity(totals["ops_at_320"], "OPs")),
            (f"everything, at {image_size or PUBLISHED_SIZE} pixels", quantity(totals["ops_at_size"], "OPs")),
        ],
    )


def _parts(cost: "DetectorCost") -> "dict[str, Cost]":
    return {"backbone": cost.backbone, "pyramid": cost.pyramid, "proposals": cost.proposals, "box head": cost.head}


def _cells(cost: "Cost") -> tuple[str, ...]:
    from analysis.units import quantity

    counts = (cost.flops, cost.int8_ops, cost.bops, cost.ops, cost.params)
    return (*(quantity(count, "") if count else "-" for count in counts), quantity(cost.bytes, "B"))
