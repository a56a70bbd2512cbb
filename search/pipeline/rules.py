"""What in a configuration does not go with the data, the space or itself; each rule yields its problems."""

from collections.abc import Iterator

import torch

from models.checkpoints.folder import CheckpointError
from models.checkpoints.networks import same_shapes
from models.families import SupernetTraining, build_network, family_of
from search.config.run import Method
from search.config.sections import ConfigError, TrainConfig
from search.config.trainings import DifferentiableConfig
from search.pipeline.networks import notes_on
from search.pipeline.prepared import Prepared
from search.proposers import make_proposer
from search.proposers.loaded import rehearse
from search.registry import is_extension
from search.runs.teachers import staged_sections, start_problems, teacher_notes, teacher_problems
from search.training.own import TrainingCode
from spaces import SpaceError
from spaces.errors import listed, unknown
from spaces.hyperparameters.kinds import KNOWN
from spaces.joint.networks import NetworksSpace
from spaces.limits import Limits, require_reachable
from spaces.space import number_text

FEW_IMAGES, UNEQUAL = 5, 3
_LONG = 80  # characters of a difference beyond which it is only named


def problems_of(given: Prepared) -> list[str]:
    """Every problem, as a sentence that says what to do."""
    methods = (_one_shot, _differentiable, _inheritance, _references, _networks, _given_networks, _teachers_and_stages)
    trainings = (_silent_decay, _hyperparameters, _own_code)
    rules = (_data, _limits, _proposer, _supernet, _start, _parent, *methods, *trainings)
    return [problem for rule in rules for problem in rule(given)]


def _data(given: Prepared) -> Iterator[str]:
    """The image size has one owner, the space, for which operations are counted; the digits have no path."""
    config, size = given.config.data, given.architectures.image_size
    if given.data.image_size != size:
        yield (
            f"data.image_size is {config.image_size}, but the networks of {given.architectures.name!r} are for {size} "
            f"pixels: leave it out, or set space.image_size"
        )
    if config.name == "digits" and config.path is not None:
        yield f"data.path is {config.path}, but data.name is digits, which have no path: give --data PATH"


def _proposer(given: Prepared) -> Iterator[str]:
    """Whether a sampler or a proposer of the user's own can be made, and proposes for this space and objectives."""
    search = given.config.search
    try:
        if is_extension(search.proposer):
            rehearse(given.space, search, given.config.seed)
        elif search.proposer_options or search.constraints or search.proposer == "exhaustive":
            make_proposer(given.space, search.model_copy(update={"latency_max": None}), given.config.seed)
    except ConfigError as error:
        yield str(error)


def _limits(given: Prepared) -> Iterator[str]:
    search = given.config.search
    if given.config.method is not Method.DIFFERENTIABLE:
        try:
            require_reachable(given.space, search.limits)
        except SpaceError as error:
            yield str(error)
        least = given.space.cost(given.space.smallest()).bytes
        if search.bytes_max is not None and least > search.bytes_max:
            yield (
                f"the smallest network of space {given.space.name!r} has {least:,} bytes, search.bytes_max is "
                f"{search.bytes_max:,.0f}: raise it, or take a smaller space (NAME@SIZE/FACTOR)"
            )
        return
    if search.limits != Limits():
        yield "ops_min and ops_max do not limit a differentiable search: leave them out"
    if search.objectives[0] != "accuracy":
        yield "a differentiable search is compared by accuracy alone: leave balanced_accuracy out of the objectives"
    if search.bytes_max is not None:
        yield "bytes_max does not limit a differentiable search: leave it out"
    if search.latency_max is not None:
        yield "latency_max does not limit a differentiable search: leave it out"


def _supernet(given: Prepared) -> Iterator[str]:
    """A given supernet must have been trained for this space."""
    try:
        if given.supernet is None:
            return
    except CheckpointError as error:
        yield str(error)
        return
    ours, theirs = given.architectures.declaration(), given.supernet.space.declaration()
    differ = [key for key in ours if key not in {"name", "non_decreasing"} and ours[key] != theirs.get(key)]
    if differ:
        texts = {key: f"{key} {theirs.get(key)} there, {ours[key]} here" for key in differ}
        what = ", ".join(text if len(text) <= _LONG else f"{key} are others" for key, text in texts.items())
        folder = given.config.supernet.checkpoint
        yield f"the supernet in {folder} was trained for another space, {theirs['name']!r}: {what}"
    asked = [name for name in ("teachers", "multi_stage") if getattr(given.config.supernet, name)]
    if asked:
        yield f"the supernet of supernet.checkpoint is not trained on: leave {' and '.join(asked)} of supernet out"


def _start(given: Prepared) -> Iterator[str]:
    """A training can start from a supernet of the same kind, whose weights fit at least in part."""
    config = given.config.supernet
    try:
        if given.start is None:
            return
    except CheckpointError as error:
        yield str(error)
        return
    if config.checkpoint is not None:
        yield "supernet.start and supernet.checkpoint exclude each other: the latter is not trained on"
    if given.family.supernet_training is not SupernetTraining.SANDWICH:
        yield f"supernet.start is for supernets that share weights, as NAS-BNN's do; {_kind(given)}"
    elif not _shared_blocks(given):
        yield (
            f"no layer of the supernet in {config.start}, of space {given.start.space.name!r}, has the shape of one of "
            f"{given.architectures.name!r}: start from a run of a space with the same widths"
        )


def _shared_blocks(given: Prepared) -> tuple[str, ...]:
    """The tensors beyond stem and classifier that a training takes from the supernet that it starts from."""
    supernet = given.family.supernet
    assert supernet is not None, "a family that trains a supernet has one"
    with torch.device("meta"):
        own = supernet(given.architectures, given.start.options)
    return tuple(name for name in same_shapes(own, given.start) if name.startswith("stages."))


def _parent(given: Prepared) -> Iterator[str]:
    """Candidates can start from a given network of the same base that is as wide as the widest."""
    folder = given.config.parent.checkpoint
    try:
        if given.parent is None:
            return
        inherit = family_of(given.parent.space).inherit
        if inherit is None:
            yield f"the network in {folder} is one of space {given.parent.space.name!r}, which is not a width space"
            return
        with torch.device("meta"):
            inherit(build_network(given.architectures, given.architectures.largest()), given.parent)
    except (CheckpointError, SpaceError, ValueError) as error:
        yield f"parent.checkpoint {folder}: {error}"


def _one_shot(given: Prepared) -> Iterator[str]:
    if given.config.method is not Method.ONE_SHOT:
        return
    space, family = given.architectures, given.family
    if family.supernet is None:
        yield f"a {space.family} space has no supernet: search {space.name!r} with method: training"
    elif not family.candidates_deployable and given.config.final.networks == 0:
        yield "mixed edges make no network that can be deployed: give final.networks, to train some of the front"
    if given.config.space.hyperparameters:
        yield "hyperparameters belong to trainings: search them with method: training, or leave them out"


def _differentiable(given: Prepared) -> Iterator[str]:
    if given.config.method is not Method.DIFFERENTIABLE:
        return
    if given.family.supernet_training is not SupernetTraining.BILEVEL:
        yield f"only cells are searched with method: differentiable; {_kind(given)}"
    if given.config.final.networks == 0:
        yield "a differentiable search needs final.networks: how many of the genotypes found are trained"


def _inheritance(given: Prepared) -> Iterator[str]:
    """Whether candidates can start from a parent, and final training from candidates."""
    config, binariser = given.config, "binariser" in given.config.space.hyperparameters
    if config.method is Method.TRAINING and config.parent.used:
        if given.family.inherit is None:
            yield f"only width spaces have a parent: leave parent.epochs at 0 for {given.architectures.name!r}"
        if binariser:
            yield (
                "candidates cannot inherit from a parent of another binariser: leave parent.epochs at 0, or binariser "
                "out"
            )
    if config.final.start == "inherited":
        if config.method is not Method.TRAINING:
            yield "final.start: inherited goes with method: training, whose candidates have weights of their own"
        if binariser:
            yield "final.start: inherited and a searched binariser exclude each other: start from scratch"


def _references(given: Prepared) -> Iterator[str]:
    """Networks to compare with: uniform ratios, full-precision twins."""
    config, name, allowed = given.config, given.architectures.name, given.architectures.uniform_ratios
    ratios = listed(map(number_text, allowed))
    if config.final.full_precision and config.search.needs_latency:
        yield "latencies are those of 1-bit networks: leave final.full_precision out, or latency"
    if not allowed:
        if config.final.uniform:
            yield f"final.uniform is for width spaces; {_kind(given)}"
        if config.final.full_precision and config.method is Method.NETWORKS:
            yield from _without_twin(given)
        elif config.final.full_precision:
            yield f"final.full_precision is for width spaces, and for `binarynas train`; {_kind(given)}"
        return
    foreign = [ratio for ratio in config.final.uniform if ratio not in allowed]
    if foreign:
        yield f"final.uniform {listed(map(number_text, foreign))}: the ratios of {name!r} are {ratios}"
    if 1 not in allowed and (config.search.proposer == "fitness" or config.final.full_precision):
        yield f"the proposer fitness and final.full_precision need the ratio 1; those of {name!r} are {ratios}"


def _without_twin(given: Prepared) -> Iterator[str]:
    """Why some of the networks have no full-precision twin."""
    space = given.architectures
    for place in range(space.count()):
        try:
            space.full_precision_cost(space.unrank(place))
        except SpaceError as error:
            yield f"final.full_precision: {error}"


def _networks(given: Prepared) -> Iterator[str]:
    """Options of trainings that the family's networks must have."""
    training, final, name = given.config.training, given.config.final, given.architectures.name
    staged = any(section.multi_stage for _, section in staged_sections(given.config))
    if staged and not given.family.has_option("mode"):
        yield f"networks of {name!r} have no multi-stage training: leave multi_stage out"
    if max(training.drop_path, final.drop_path) > 0 and not given.family.has_option("drop_path"):
        yield f"networks of {name!r} have no paths to drop: leave drop_path out"


def _given_networks(given: Prepared) -> Iterator[str]:
    """Networks to train are listed, and trained by the section `final`."""
    if given.config.method is Method.NETWORKS and not isinstance(given.architectures, NetworksSpace):
        yield (
            f"method: networks trains given networks, and {given.architectures.name!r} is a space to search: list some "
            "in space.networks, or take another method"
        )


def _teachers_and_stages(given: Prepared) -> Iterator[str]:
    """Teachers must be there and for these data, and so must be what stages start from."""
    config = given.config
    yield from teacher_problems(config, given.data)
    yield from start_problems(config, given.architectures.family)
    if config.plan.seconds and config.supernet.multi_stage:
        yield "a planned run trains its supernet in one stage: leave supernet.multi_stage out"
    if given.is_bilevel and (config.supernet.multi_stage or config.supernet.teachers):
        yield f"supernet.teacher and supernet.multi_stage are for supernets of the sandwich rule; {_kind(given)}"
    for name, section in staged_sections(config):
        of_stages = any(stage.epochs is not None for stage in section.multi_stage)
        if of_stages and "epochs" in config.space.hyperparameters:
            yield f"{name}.multi_stage says the epochs of its stages: leave epochs out of the hyperparameters"


def _silent_decay(given: Prepared) -> Iterator[str]:
    """Weights that OvSW takes the signs of decay, and no others."""
    config, searched = given.config, given.config.space.hyperparameters
    sections = (config.parent, config.training, config.finetune, config.final)
    used = "silent_decay" in searched or any(section.silent_decay > 0 for section in sections)
    binariser = given.architectures.network_options.get("binariser")
    if used and "binariser" not in searched and binariser != "ovsw":
        name = given.architectures.name
        yield (
            f"silent_decay is for the binariser ovsw, and networks of {name!r} have {binariser or 'another one'}: set "
            "space.binariser=ovsw, if they are of a width space, or leave silent_decay out"
        )


def _hyperparameters(given: Prepared) -> Iterator[str]:
    """Which hyperparameters can be searched with which method."""
    config, searched = given.config, set(given.config.space.hyperparameters)
    reads_others = any(isinstance(value, str) and is_extension(value) for value in dict(config.training).values())
    for own in () if reads_others else sorted(searched - KNOWN.keys()):
        yield f"{unknown('hyperparameter', own, KNOWN)}; others need a training step of yours, which reads them"
    searched &= KNOWN.keys()
    of_searches = set(DifferentiableConfig.model_fields) | {"seed"}
    only_searches = searched & (of_searches - set(TrainConfig.model_fields))
    if config.method is Method.NETWORKS:
        only_searches -= {"seed"}  # a network may be trained several times
    if only_searches and config.method is not Method.DIFFERENTIABLE:
        yield f"{listed(sorted(only_searches))} are settings of differentiable searches: set method: differentiable"
    taught = searched & {"teacher_weight", "teacher_temperature"}
    if taught and not config.training.teachers:
        yield f"{listed(sorted(taught))} need training.teacher: give it, or leave them out"
    if searched - of_searches and config.method is Method.DIFFERENTIABLE:
        yield f"{listed(sorted(searched - of_searches))} are not settings of differentiable searches: leave them out"
    if "epochs" in searched and config.method is Method.TRAINING and config.training.early_stopping:
        yield "epochs and training.early_stopping exclude each other: candidates are compared after equal epochs"
    if "binariser" in searched and "binariser" not in given.architectures.network_options:
        name = given.architectures.name
        yield f"networks of {name!r} have one binariser: leave it out of the hyperparameters"


def notes_of(given: Prepared) -> list[str]:
    """What a person should know of a run that begins: what becomes smaller, since there are few images."""
    teachers = teacher_notes(given.config, given.data)
    return [*notes_on(given.architectures), *_batch_sizes(given), *_few(given), *teachers]


def _few(given: Prepared) -> Iterator[str]:
    """What few, or unequal, classes mean."""
    least, most = (int(f) for f in torch.aminmax(torch.bincount(given.data.train.labels)))
    fewest = int(torch.bincount(given.data.validation.labels).min())
    if fewest < FEW_IMAGES:
        yield (
            f"the search chooses by {len(given.data.validation)} validation images, {fewest} in the smallest class: "
            "differences of a few points are chance"
        )
    if most > UNEQUAL * least and given.config.search.objectives[0] == "accuracy":
        yield (
            f"the classes have {least} to {most} training images: accuracy favours the large ones; see "
            "balanced_accuracy, as an objective too, and class_weights=balanced of each training"
        )


def _own_code(given: Prepared) -> Iterator[str]:
    """A user's own loss or step must be there."""
    config = given.config
    for section in (config.parent, config.training, config.finetune, config.final):
        try:
            TrainingCode.of(section.loss, section.step)
        except ConfigError as error:
            yield str(error)


def _batch_sizes(given: Prepared) -> Iterator[str]:
    """Those of the trainings that the run will do, which become smaller where there are fewer images."""
    config, images, one_shot = given.config, len(given.data.train), given.config.method is Method.ONE_SHOT
    for section, used, size in (
        ("differentiable", given.is_bilevel, config.differentiable.batch_size),
        ("supernet", one_shot and not given.is_bilevel, config.supernet.batch_size),
        ("evaluation", one_shot, config.evaluation.recalibration_batch_size),
        ("training", config.method is Method.TRAINING, config.training.batch_size),
        ("parent", config.parent.epochs > 0, config.parent.batch_size),
        ("finetune", config.finetune.networks > 0, config.finetune.batch_size),
        ("final", config.final.networks > 0 or config.method is Method.NETWORKS, config.final.batch_size),
    ):
        if used and size > images:
            yield f"the batch size of {section} is {size}, but there are {images} training images: it becomes {images}"


def _kind(given: Prepared) -> str:
    return f"{given.architectures.name!r} is a {given.architectures.family} space"
