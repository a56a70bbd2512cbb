"""A run of detectors: its backbones are chosen from another run, everything is checked, and its folder made."""

from collections.abc import Sequence
from pathlib import Path

from analysis.findings.front import load_front
from analysis.runs.layout import MANIFEST_FILE, RunError
from analysis.runs.schema import MAP
from models.checkpoints.networks import load_supernet, save_network, save_supernet
from models.detection.checkpoints import load_shared
from models.detection.detector import Detector, DetectorOptions, Seen
from models.families import build_network
from search.config.detection import DetectionConfig
from search.config.plan import PlanConfig
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
from search.runs.fronts import spread_over
from search.runs.records import Proposal
from search.training.detection import detector_options
from spaces import NasBnnSpace, Precision, SpaceError, detector_cost
from spaces.nasbnn.backbones import BackboneSpace

_COSTS = ("ops", "params", "bytes")


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
            "plan": PlanConfig(),
        }
    )


def shared_config(
    source: Run, config: DetectionConfig, objectives: Sequence[str], trials: int | None, seed: int
) -> RunConfig:
    """The configuration of a search for detection itself: one detector is trained on the supernet of a run, and
    candidates are measured as its backbones, by `objectives`: map, and what they cost. How they are proposed is as in
    that run, but for its limits of costs, which are those of networks that classify.

    Raises `ConfigError` for other objectives.
    """
    first, *costs = objectives
    if first != MAP or not set(costs) <= set(_COSTS):
        raise ConfigError(
            f"the objectives of a search for detectors begin with {MAP}, and go on with {', '.join(_COSTS)}; got "
            f"{','.join(objectives)}"
        )
    begun = source.config.search
    free: dict[str, object] = {
        "objectives": ("accuracy", *costs),  # what a detector's map is to proposers, which know no tasks
        "trials": trials or begun.trials,
        "constraints": {},
        **dict.fromkeys(("ops_min", "ops_max", "latency_max", "bytes_max")),
    }
    base = detection_config(source, config, (), seed)
    return base.model_copy(update={"method": Method.SHARED_DETECTOR, "search": begun.model_copy(update=free)})


def front_of(source: Run, networks: int | None) -> list[str]:
    """The architectures of a run's front, spread over its operations; all of them where `networks` is None.

    The largest comes first: its training takes longest, and the others fill what the workers have left.
    """
    front, costs = load_front(source.path), dict[str, float]()
    for text, ops in zip(front["architecture"].astype("str"), front["ops"], strict=True):
        space = source.architectures if " with " not in text else source.space
        member = space.split(space.parse(text)).architecture
        costs.setdefault(source.architectures.format(member), float(ops))
    if not costs:
        raise RunError(f"no trial of {source.path} has finished, so it has no network for a detector yet")
    texts = list(costs)
    return [texts[place] for place in reversed(spread_over(list(costs.values()), networks or len(texts)))]


def prepare_detection(config: RunConfig, path: Path) -> Run:
    """Check everything that can be wrong, and make the folder of a run of detectors, with their backbones in it.

    Raises `ConfigError` that lists every problem, `DataError` or `RunError`, before anything is trained.
    """
    detection = config.detection
    assert detection.source is not None, "`detection_config` gives it"
    source = open_run(detection.source)
    space = source.architectures
    try:
        pictures = open_pictures(detection.data, space.channels, config.seed)
    except DataError as error:
        raise ConfigError(str(error)) from error
    shared = config.method is Method.SHARED_DETECTOR
    problems = [*_problems(detection, space, pictures), *(_problems_of_sharing(source, detection) if shared else ())]
    if problems:
        raise ConfigError("; ".join(problems))
    with creating(path) as run:
        if detection.start == "inherited":
            if shared:
                save_supernet(run.supernet, load_supernet(source.supernet), {"source": str(source.supernet)})
            else:
                _take_backbones(source, run, detection.architectures)
        data = {**source.info["data"], **_described(pictures)}
        write_facts(run, config, data, space.declaration())
    return Run(path)


def _take_backbones(source: Run, run: Run, architectures: Sequence[str]) -> None:
    """Copy the networks on which detectors begin into a run. Raises `ConfigError` where the source has no weights."""
    space = source.architectures
    shared = load_shared(source.shared) if source.config.method is Method.SHARED_DETECTOR else None
    for text in architectures:
        member = space.parse(text)
        if shared is not None:
            network, place = shared.supernet.extract(member), source.shared
        else:
            try:
                found = find_network(source.path, text, None)
            except ExportError as error:
                raise ConfigError(f"{error}; or begin with random weights: --set start=random") from error
            network, place = found.network, found.source
        save_network(run.backbone(space.id(member)), network, {"source": str(place)})


def _problems_of_sharing(source: Run, config: DetectionConfig) -> list[str]:
    """Why the run's supernet cannot be the backbone of a detector that its networks share."""
    problems: list[str] = []
    if not isinstance(source.architectures, NasBnnSpace):
        problems.append(
            f"{source.path} searches space {source.architectures.name!r}, which has no supernet for detectors: search "
            "one of NAS-BNN, or leave --objectives out to train detectors one by one"
        )
    elif config.start == "inherited" and not (source.supernet / MANIFEST_FILE).is_file():
        problems.append(
            f"{source.path} has no trained supernet; give a run that trains one, or begin with random weights: "
            "--set start=random"
        )
    for name, usual in (("frozen_scales", 0), ("norms", "trained"), ("teacher_weight", 0.0)):
        if getattr(config, name) != usual:
            problems.append(f"a detector that networks share is trained whole: leave {name} at {usual}")
    if config.backbone is Precision.FLOAT:
        problems.append("the networks of a supernet are binary: leave backbone at binary")
    return problems


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
    try:
        member = space.parse(config.architectures[0]) if config.architectures else space.smallest()
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


def proposed_space(run: Run) -> AnySpace:
    """The space in which candidates are proposed: where they share a detector, their costs are those of detectors."""
    config, space = run.config.detection, run.architectures
    if run.config.method is not Method.SHARED_DETECTOR:
        return run.space
    assert isinstance(space, NasBnnSpace), "`prepare_detection` sees to it"
    design = detector_options(config).design(len(run.info["data"]["objects"]))
    return BackboneSpace.of(space, design, config.counted_size)
