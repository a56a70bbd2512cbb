"""A run of detectors: its backbones are chosen from another run, everything is checked, and its folder made."""

from collections.abc import Sequence
from pathlib import Path

from analysis.findings.front import load_front
from analysis.runs.layout import RunError
from models.checkpoints.networks import save_network
from models.detection.detector import Detector, DetectorOptions, Seen
from models.families import build_network
from search.config.detection import DetectionConfig
from search.config.run import Method, RunConfig
from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.config.space import AnySpace
from search.config.trainings import FinalConfig, FinetuneConfig, ParentConfig
from search.data.detection.opening import open_pictures
from search.data.detection.pictures import PictureSet
from search.data.errors import DataError
from search.outputs.deployment import ExportError, find_network
from search.runs.folder import Run, creating, open_run, write_facts
from search.runs.fronts import spread
from search.runs.records import Proposal
from spaces import SpaceError, detector_cost


def detection_config(source: Run, config: DetectionConfig, architectures: Sequence[str], seed: int) -> RunConfig:
    """The configuration of a run of detectors on networks of a space that another run has searched."""
    begun = source.config
    texts = tuple(dict.fromkeys(architectures))
    space = begun.space.model_copy(update={"hyperparameters": {}, "architecture": None})
    return begun.model_copy(
        update={
            "seed": seed,
            "method": Method.DETECTION,
            "space": space,
            "detection": config.model_copy(update={"source": source.path.absolute(), "architectures": texts}),
            "search": SearchConfig(proposer="random", trials=max(len(texts), 1), generation=max(len(texts), 1)),
            "parent": ParentConfig(),
            "finetune": FinetuneConfig(),
            "final": FinalConfig(),
        }
    )


def front_of(source: Run, networks: int | None) -> list[str]:
    """The architectures of a run's front, spread over its cost; all of them where `networks` is None."""
    found: list[str] = []
    for text in load_front(source.path)["architecture"].astype("str").tolist():
        space = source.architectures if " with " not in text else source.space
        member = space.split(space.parse(text)).architecture
        found.append(source.architectures.format(member))
    distinct = list(dict.fromkeys(found))
    if not distinct:
        raise RunError(f"no trial of {source.path} has finished, so it has no network for a detector yet")
    return spread(distinct, networks or len(distinct))


def prepare_detection(config: RunConfig, path: Path) -> Run:
    """Check everything that can be wrong, and make the folder of a run of detectors, with their backbones in it.

    Raises `ConfigError` that lists every problem, `DataError` or `RunError`, before anything is trained.
    """
    detection = config.detection
    assert detection.source is not None, "`detection_config` gives it"
    source = open_run(detection.source)
    space = source.architectures
    problems: list[str] = []
    try:
        pictures = open_pictures(detection.data, space.channels, config.seed)
    except DataError as error:
        raise ConfigError(str(error)) from error
    problems += _problems(detection, space, pictures)
    if problems:
        raise ConfigError("; ".join(problems))
    with creating(path) as run:
        if detection.start == "inherited":
            for text in detection.architectures:
                try:
                    found = find_network(source.path, text, None)
                except ExportError as error:
                    raise ConfigError(f"{error}; or begin with random weights: --set start=random") from error
                save_network(run.backbone(space.id(space.parse(text))), found.network, {"source": str(found.source)})
        data = {**source.info["data"], **_described(pictures)}
        write_facts(run, config, data, space.declaration())
    return Run(path)


def _described(pictures: PictureSet) -> dict[str, object]:
    """What a run says about its pictures. Its space keeps the number of classes that its networks were trained for."""
    facts = pictures.describe()
    counts = {name: facts.pop(name) for name in ("train", "validation", "test")}
    objects = {"objects": facts.pop("class_names"), "pictures": counts}
    unknown = dict.fromkeys(("train", "validation", "test", "listing"))  # those of the images of classes
    return {**unknown, **facts, **objects}


def _problems(config: DetectionConfig, space: AnySpace, pictures: PictureSet) -> list[str]:
    """What does not go together."""
    problems: list[str] = []
    if config.batch_size > len(pictures.train):
        problems.append(f"the batch size is {config.batch_size}, but there are {len(pictures.train)} training pictures")
    if config.image_size > config.largest_size:
        problems.append(f"image_size is {config.image_size}, and largest_size only {config.largest_size}")
    design = DetectorOptions().design(len(pictures.class_names))
    for text in config.architectures[:1]:
        try:
            member = space.parse(text)
            seen = Seen(pictures.class_names, (0.5,) * space.channels, (0.5,) * space.channels)
            Detector(build_network(space, member), seen, DetectorOptions(channels=8, hidden=8))
            for size in (config.counted_size, config.image_size):
                detector_cost(space.cost(member, size), size, design, space.name)
        except SpaceError as error:
            problems.append(str(error))
    return problems


def detector_proposals(run: Run) -> list[Proposal]:
    """The networks on which a run trains detectors."""
    space = run.architectures
    texts = run.config.detection.architectures
    return [Proposal(text, space.id(space.parse(text)), "chosen") for text in texts]
