"""Detectors in the one training loop: the step with torchvision's losses, and average precision as COCO has it."""

# torch and torchvision annotate their functions only in part, faster-coco-eval not at all
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.detection.detector import Detector, DetectorOptions, RegionDetector
from models.detection.shared import SharedDetector
from search.config.detection import DetectionConfig
from search.data.detection.pictures import Pictures, PictureSplit, Target
from search.data.order import in_order
from search.seeds import derive_rng
from search.training.steps import Batch, Step, autocast
from spaces import Precision

Found = Mapping[str, Tensor]
"""What a detector found in an image: `boxes` (found, 4), `labels` and `scores` (found,)."""

Detects = Callable[[list[Tensor]], Sequence[Found]]
"""Finds objects in images of any sizes, float32 (channels, H, W), pixels 0..1."""

METRICS = ("map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
RECALL = "ar"
_RECALL_PLACE = 8  # of COCO's twelve numbers: with at most 100 boxes per image


def detector_options(config: DetectionConfig, precision: Precision | None = None) -> DetectorOptions:
    """The options of a run's detectors; with a precision, of one all of whose parts have it."""
    parts = ("backbone", "pyramid", "proposals", "head")
    numbers = (
        "channels", "hidden", "image_size", "largest_size", "anchor_scale", "boxes", "boxes_trained", "boxes_sampled",
    )  # fmt: skip
    chosen = {name: precision or getattr(config, name) for name in parts}
    return DetectorOptions(**chosen, **{name: getattr(config, name) for name in numbers})


def detector_step(
    detector: RegionDetector,
    pictures: Pictures,
    config: DetectionConfig,
    teacher: Detector | None = None,
    precision: torch.dtype = torch.float32,
) -> Step:
    """Torchvision's four losses. With a teacher, the maps of both pyramids are drawn together (their mean squared
    difference, each map at unit deviation), times `config.teacher_weight`.

    Half of the pictures are mirrored where the configuration says so; which ones depends on the batch's seed alone. The
    sizes to which a batch may be resized are drawn by torchvision, from torch's generator.
    """
    device = next(detector.parameters()).device
    sizes = (*config.training_sizes, config.image_size)
    cast("Any", detector.transform).min_size = sizes
    maps: list[Any] = []
    if teacher is not None:
        assert isinstance(detector, Detector), "one that is shared has no teacher"
        detector.body.pyramid.register_forward_hook(lambda _module, _given, out: maps.append(out))

    def step(batch: Batch) -> Tensor:
        rng = derive_rng(batch.seed, "flips")
        images: list[Tensor] = []
        targets: list[dict[str, Tensor]] = []
        for image, place in zip(batch.images, batch.labels.tolist(), strict=True):
            target, (height, width) = pictures.target(place), pictures.size(place)
            mirrored = config.flip and rng.random() < 0.5
            image = image[:, :height, :width]
            images.append(image.flip(2) if mirrored else image)
            targets.append(_trained(target, width if mirrored else None, device))
        maps.clear()
        with autocast(device, precision):
            losses = detector(images, targets)
            loss = sum(losses.values(), torch.zeros((), device=device))
            if teacher is not None and isinstance(detector, Detector):
                loss = loss + config.teacher_weight * _difference(detector, teacher, images, maps[-1])
        loss.backward()
        maps.clear()
        return loss.detach()

    return step


def shared_step(
    detector: SharedDetector, pictures: Pictures, config: DetectionConfig, precision: torch.dtype = torch.float32
) -> Step:
    """The `detector_step` of some members of its supernet, drawn for every batch by the batch's seed alone: the mean of
    their losses, and of their gradients."""
    one = detector_step(detector, pictures, config, precision=precision)
    space = detector.supernet.space

    def step(batch: Batch) -> Tensor:
        rng = derive_rng(batch.seed, "members")
        losses: list[Tensor] = []
        for _ in range(config.members):
            detector.choose(space.sample(rng))
            losses.append(one(batch))
        if config.members > 1:
            for parameter in detector.parameters():
                if parameter.grad is not None:
                    parameter.grad /= config.members
        return torch.stack(losses).mean()

    return step


def _trained(target: Target, mirrored_in: int | None, device: torch.device) -> dict[str, Tensor]:
    """The objects that a detector learns, in a picture of this width where it is mirrored: no crowds."""
    boxes, classes = target.boxes[~target.crowd], target.classes[~target.crowd]
    if mirrored_in is not None:
        boxes = torch.stack((mirrored_in - boxes[:, 2], boxes[:, 1], mirrored_in - boxes[:, 0], boxes[:, 3]), 1)
    return {"boxes": boxes.to(device), "labels": classes.to(device)}


def _difference(detector: Detector, teacher: Detector, images: list[Tensor], own: Mapping[str, Tensor]) -> Tensor:
    """The mean squared difference of the levels of two pyramids, on images that are not resized at random."""
    with torch.no_grad():
        given, _ = teacher.transform(images)
        theirs = teacher.backbone(given.tensors)
    parts = [
        F.mse_loss(_unit(own[name]), _unit(F.interpolate(theirs[name], own[name].shape[2:])))
        for name in ("0", "1", "2")
    ]
    return torch.stack(parts).mean()


def _unit(x: Tensor) -> Tensor:
    return x / (x.detach().std((1, 2, 3), keepdim=True) + 1e-6)


def evaluate_detector(detector: RegionDetector, split: PictureSplit, batch_size: int) -> dict[str, float]:
    """Average precision on every picture of a split (see `average_precision`); leaves the detector in evaluation
    mode."""
    detector.eval()
    device = next(detector.parameters()).device
    found: dict[int, Found] = {}
    with torch.no_grad():
        for images, places in split.batches(batch_size, order=in_order(), device=device):
            sizes = [split.pictures.size(place) for place in places.tolist()]
            cut = [image[:, :height, :width] for image, (height, width) in zip(images, sizes, strict=True)]
            results = cast("Sequence[Found]", detector(cut))
            found |= dict(zip(places.tolist(), results, strict=True))
    return average_precision(split, found, len(detector.seen.class_names))


def average_precision(split: PictureSplit, found: Mapping[int, Found], classes: int) -> dict[str, float]:
    """COCO's numbers, each from 0 to 1: `map` (AP, the mean over overlaps from 0.5 to 0.95), `ap50`, `ap75`, those of
    small, medium and large objects where the split has some, and `ar`, the recall with at most 100 boxes per picture.

    `found` holds what was found in the picture at each place. Computed by faster-coco-eval.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO()
    truth.dataset = coco_truth(split, classes)
    rows = coco_rows(found)
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        if not truth.dataset["annotations"]:
            return dict.fromkeys((*METRICS[:3], RECALL), 0.0)
        evaluation = COCOeval_faster(truth, truth.loadRes(rows) if rows else _nothing(truth), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = [float(value) for value in np.asarray(evaluation.stats)[: _RECALL_PLACE + 1]]
    named = dict(zip(METRICS, stats, strict=False)) | {RECALL: stats[_RECALL_PLACE]}
    return {name: value for name, value in named.items() if value >= 0}  # -1: there is no such object


def _nothing(truth: Any) -> Any:
    """No detections at all, which `loadRes` does not take."""
    from faster_coco_eval import COCO

    empty = COCO()
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def coco_truth(split: PictureSplit, classes: int) -> dict[str, Any]:
    """The objects of a split in COCO's format; a picture's id is its place."""
    annotations: list[dict[str, Any]] = []
    images: list[dict[str, int]] = []
    for place in split.places.tolist():
        height, width = split.pictures.size(place)
        images.append({"id": place, "height": height, "width": width})
        target = split.pictures.target(place)
        columns = (target.boxes.tolist(), target.classes.tolist(), target.areas.tolist(), target.crowd.tolist())
        for (left, top, right, bottom), label, area, crowd in zip(*columns, strict=True):
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": place,
                "category_id": label,
                "bbox": [left, top, right - left, bottom - top],
                "area": area,
                "iscrowd": int(crowd),
            })  # fmt: skip
    return {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label, "name": str(label)} for label in range(1, classes + 1)],
    }


def coco_rows(found: Mapping[int, Found]) -> list[dict[str, Any]]:
    """Detections as rows of COCO's results format."""
    rows: list[dict[str, Any]] = []
    for place, each in found.items():
        columns = (each["boxes"].float().tolist(), each["labels"].tolist(), each["scores"].float().tolist())
        for (left, top, right, bottom), label, score in zip(*columns, strict=True):
            box = [left, top, right - left, bottom - top]
            rows.append({"image_id": place, "category_id": label, "bbox": box, "score": score})
    return rows
