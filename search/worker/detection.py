"""Detectors: training one on a given network, what it costs, and its test."""

import shutil
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from analysis.runs.layout import MANIFEST_FILE, PLOTS
from analysis.runs.schema import MAP
from models.checkpoints.networks import load_network
from models.detection.checkpoints import load_detector, save_detector
from models.detection.detector import BackboneNorms, Detector, Seen
from models.detection.lowered import write_body
from models.families import build_network
from search.config.detection import DetectionConfig
from search.data.detection.boxes import draw_found
from search.runs.records import EpochReport, Stage
from search.training.detection import detector_options, detector_step, evaluate_detector
from search.worker.attempt import Attempt
from search.worker.context import Context, initial_weights
from search.worker.tasks import Deploy, Deployed, Fit, Report
from spaces import Precision, detector_cost

_SHOWN = 12
"""Pictures that are drawn of each detector of the front."""


def fit_detector(context: Context, task: Fit) -> Iterator[Report]:
    """Train the detector of one trial, measure it on the validation pictures, and keep it.

    One that was killed goes on from its last epoch; one that was killed after its training is only measured again.
    """
    (trial,) = task.trials
    with Attempt(trial.number) as attempt:
        config, folder = context.config.detection, context.run.weights(Stage.DETECTOR, trial.id)
        kept = folder / "network"
        if (kept / MANIFEST_FILE).exists():
            detector = load_detector(kept).to(context.device)
        else:
            detector = yield from _trained(context, trial.architecture, trial.id, config)
            if context.keeps:
                save_detector(kept, detector, {"stage": Stage.DETECTOR.value})
        attempt.metrics = {
            **measured(detector, context, config),
            **detector_metrics(context, trial.architecture),
            "epochs": config.epochs,
        }
        for checkpoints in folder.glob("*checkpoints"):
            shutil.rmtree(checkpoints)
    yield attempt.outcome()


def measured(detector: Detector, context: Context, config: DetectionConfig) -> dict[str, float]:
    """Average precision on the validation pictures; what objectives call accuracy is the mean."""
    found = evaluate_detector(detector, context.pictures.validation, config.eval_batch_size)
    return {"accuracy": found[MAP], **found}


def detector_metrics(context: Context, architecture: str) -> dict[str, float]:
    """What a detector costs: operations as Table 3 of NAS-BNN counts them, at `counted_size`; parameters, bits and
    bytes of all of it; and `detector_ops`, all operations at the size in use."""
    config, space = context.config.detection, context.run.architectures
    member, design = space.parse(architecture), detector_options(config).design(len(context.pictures.class_names))
    counted, used = (
        detector_cost(space.cost(member, size), size, design, space.name)
        for size in (config.counted_size, config.image_size)
    )
    return {**counted.compared.metrics(), "detector_ops": used.whole.ops}


def seen_by(context: Context) -> Seen:
    """The classes of the pictures, and the normalisation that the backbone was trained with."""
    data = context.run.info["data"]
    return Seen(context.pictures.class_names, tuple(data["mean"]), tuple(data["std"]))


def new_detector(context: Context, architecture: str, identity: str, precision: Precision | None = None) -> Detector:
    """A detector with the weights that it starts from: the backbone's of the source or random ones, the others random,
    from the run's seed and the candidate's id."""
    config, space = context.config.detection, context.run.architectures
    with initial_weights(context.seed("initial weights", identity)):
        if config.start == "random":
            network = build_network(space, space.parse(architecture))
        else:
            network = load_network(context.run.backbone(identity))
        detector = Detector(network, seen_by(context), detector_options(config, precision))
        for parameter in detector.parameters():  # mapped from a file, perhaps
            parameter.data = parameter.data.clone()
    detector.freeze(config.frozen_scales, BackboneNorms(config.norms))
    return detector.to(context.device)


def _trained(
    context: Context, architecture: str, identity: str, config: DetectionConfig
) -> Generator[Report, None, Detector]:
    """Train a detector, after its teacher where it has one; the float twin of all parts."""
    folder = context.run.weights(Stage.DETECTOR, identity)
    teacher = None
    if config.teacher_weight > 0:
        teacher = new_detector(context, architecture, identity, Precision.FLOAT)
        yield from _epochs(context, teacher, None, "teacher", identity, folder / "teacher-checkpoints")
        teacher.eval()
    detector = new_detector(context, architecture, identity)
    yield from _epochs(context, detector, teacher, Stage.DETECTOR.value, identity, folder / "checkpoints")
    return detector


def _epochs(
    context: Context, detector: Detector, teacher: Detector | None, phase: str, identity: str, checkpoints: Path
) -> Iterator[Report]:
    config, pictures = context.config.detection, context.pictures.train
    step = detector_step(detector, pictures.pictures, config, teacher, context.precision)
    seed = context.seed(phase, identity)
    for epoch in context.train(detector, step, pictures, config, seed=seed, checkpoints=checkpoints):
        yield EpochReport(phase, identity, **asdict(epoch))


def deploy_detector(context: Context, task: Deploy) -> Deployed:
    """Deploy a detector that was trained on its own; see `deployed`."""
    return deployed(context, task, load_detector(context.run.weights(Stage.DETECTOR, task.id) / "network"))


def deployed(context: Context, task: Deploy, detector: Detector) -> Deployed:
    """Write a detector of the front, draw what it finds in validation pictures, and measure it on the test split."""
    config = context.config.detection
    save_detector(context.run.deployed(task.id), detector, {"stage": task.stage.value, "data": context.pictures.name})
    write_body(context.run.deployed(task.id), detector)
    detector.to(context.device)
    shown = context.pictures.validation.subset(torch.arange(min(_SHOWN, len(context.pictures.validation))))
    plots, seen = context.run.path / PLOTS, detector.eval().seen
    plots.mkdir(exist_ok=True)
    drawn = plots / f"detections-{task.id}.png"
    draw_found(drawn, lambda images: detector([each.to(context.device) for each in images]), seen.class_names, shown)
    metrics = evaluate_detector(detector, context.pictures.test, config.eval_batch_size)
    return Deployed(task.id, task.stage, metrics[MAP])
