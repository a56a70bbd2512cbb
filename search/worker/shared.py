"""One detector for all candidates: trained once on a supernet, and every candidate is measured as its backbone."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice

import torch
from torch import Tensor

from models.checkpoints.networks import load_supernet
from models.detection.checkpoints import save_shared
from models.detection.detector import Detector
from models.detection.shared import SharedDetector
from models.layers.norms.recalibration import recalibrate
from models.nasbnn.supernet import NasBnnSupernet
from search.data.order import shuffled
from search.runs.records import EpochReport, Stage
from search.training.detection import detector_options, shared_step
from search.worker.attempt import Attempt
from search.worker.context import REPORT_SECONDS, Context, initial_weights
from search.worker.detection import deployed, detector_metrics, measured, seen_by
from search.worker.tasks import Deploy, Deployed, Evaluate, Report, Trained
from spaces import NasBnnSpace


def train_shared(context: Context) -> Iterator[Report]:
    """Train the detector that candidates share, or go on with it, and save it. Its supernet begins with the weights of
    the run that it comes from, or with random ones."""
    config, pictures = context.config.detection, context.pictures.train
    with initial_weights(context.seed("shared", "initial weights")):
        detector = SharedDetector(_supernet(context), seen_by(context), detector_options(config))
        for parameter in detector.parameters():  # mapped from a file, perhaps
            parameter.data = parameter.data.clone()
    detector.to(context.device)
    step = shared_step(detector, pictures.pictures, config, context.precision)
    seed = context.seed("shared", "training")
    for epoch in context.train(
        detector,
        step,
        pictures,
        config,
        seed=seed,
        checkpoints=context.run.shared_checkpoints,
        report_seconds=REPORT_SECONDS,
    ):
        yield EpochReport(Stage.SHARED.value, None, **asdict(epoch))
    if context.keeps:
        save_shared(context.run.shared, detector, {"data": context.pictures.fingerprint})
    yield Trained()


def _supernet(context: Context) -> NasBnnSupernet:
    space = context.run.architectures
    assert isinstance(space, NasBnnSpace), "`prepare_detection` sees to it"
    if context.config.detection.start == "random":
        return NasBnnSupernet(space)
    supernet = load_supernet(context.run.supernet)
    assert isinstance(supernet, NasBnnSupernet), "as its space is"
    return supernet


def evaluate_backbones(context: Context, task: Evaluate) -> Iterator[Report]:
    """Average precision of candidates as backbones of the detector that they share."""
    for trial in task.trials:
        with Attempt(trial.number) as attempt:
            detector = candidate_detector(context, trial.architecture)
            attempt.metrics = {
                **measured(detector, context, context.config.detection),
                **detector_metrics(context, trial.architecture),
            }
        yield attempt.outcome()


def deploy_backbone(context: Context, task: Deploy) -> Deployed:
    """Deploy the detector of a candidate; see `deployed`."""
    return deployed(context, task, candidate_detector(context, task.architecture))


def candidate_detector(context: Context, architecture: str) -> Detector:
    """The detector of a candidate, with shared weights, and batch norm statistics made for it; the training pictures
    are the same for every candidate."""
    detector = context.shared.extract(context.run.architectures.parse(architecture)).eval()
    recalibrate(detector.body, _recalibrating(context, detector))
    return detector


@torch.no_grad()
def _recalibrating(context: Context, detector: Detector) -> Iterator[Tensor]:
    """Batches of training pictures as a backbone sees them: (N, channels, H, W)."""
    split, config = context.pictures.train, context.config
    order = shuffled(context.seed("recalibration"))
    batches = split.batches(config.detection.eval_batch_size, order=order, device=context.device)
    for images, places in islice(batches, config.evaluation.recalibration_batches):
        sizes = [split.pictures.size(place) for place in places.tolist()]
        own = [image[:, :height, :width] for image, (height, width) in zip(images, sizes, strict=True)]
        yield detector.transform(own)[0].tensors
