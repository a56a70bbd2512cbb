"""What in a configuration does not go with the data, the space or itself."""

from pathlib import Path
from typing import Any

import torch

from models.checkpoints.folder import CheckpointError
from models.checkpoints.networks import load_network, load_supernet
from models.families import Family, SupernetTraining, build_network, family_of
from search.config.run import Method, RunConfig
from search.config.sections import TrainConfig
from search.config.trainings import DifferentiableConfig
from search.data.dataset import DataSet
from spaces import Space, SpaceError
from spaces.limits import Limits, require_reachable
from spaces.space import number_text


def misfits(config: RunConfig, data: DataSet) -> list[str]:
    """What in a configuration does not go with the data or with itself."""
    problems: list[str] = []
    shape = {"classes": len(data.class_names), "channels": data.channels}
    try:
        architectures = config.space.architectures(**shape)
        space = config.searched_space(**shape)
        if config.method is not Method.DIFFERENTIABLE:
            require_reachable(space, config.search.limits)
        if config.supernet.checkpoint is not None:
            problems += _checkpoint_misfits(Path(config.supernet.checkpoint), architectures)
        if config.parent.checkpoint is not None:
            problems += _parent_misfits(Path(config.parent.checkpoint), architectures)
        problems += _method_misfits(config, architectures)
    except SpaceError as error:
        problems.append(str(error))
    problems += [
        f"the batch size of {section} is {size}, but there are {len(data.train)} training images"
        for section, size in _batch_sizes(config, family_of(config.space.architectures())).items()
        if size > len(data.train)
    ]
    return problems


def _batch_sizes(config: RunConfig, family: Family) -> dict[str, int]:
    """Those of the trainings that the run will do, by section."""
    sizes: dict[str, int] = {}
    mixed = family.supernet_training is SupernetTraining.BILEVEL
    bilevel = config.method is Method.DIFFERENTIABLE or (config.method is Method.ONE_SHOT and mixed)
    if bilevel:
        sizes["differentiable"] = config.differentiable.batch_size
    if config.method is Method.ONE_SHOT:
        if not bilevel:
            sizes["supernet"] = config.supernet.batch_size
        sizes["evaluation"] = config.evaluation.recalibration_batch_size
    if config.method is Method.TRAINING:
        sizes["training"] = config.training.batch_size
    if config.parent.epochs:
        sizes["parent"] = config.parent.batch_size
    if config.finetune.networks:
        sizes["finetune"] = config.finetune.batch_size
    if config.final.networks:
        sizes["final"] = config.final.batch_size
    return sizes


def _method_misfits(config: RunConfig, space: Space[Any]) -> list[str]:
    """What does not go with how accuracies are found, or with the family of the space."""
    searched, family, name = config.space.hyperparameters, family_of(space), space.name
    kind = f"{name!r} is a {space.family} space"
    method = config.method
    inherits = method is Method.TRAINING and config.parent.used
    of_searches = set(searched) & (set(DifferentiableConfig.model_fields) - set(TrainConfig.model_fields) | {"seed"})
    of_trainings = set(searched) - set(DifferentiableConfig.model_fields) - {"seed"}
    allowed = space.uniform_ratios
    ratios = ", ".join(map(number_text, allowed))
    foreign = [ratio for ratio in config.final.uniform if allowed and ratio not in allowed]
    needs_one = config.search.proposer == "fitness" or config.final.full_precision
    rules = [
        (
            method is Method.ONE_SHOT and family.supernet is None,
            f"a {space.family} space has no supernet: search {name!r} with method: training",
        ),
        (
            method is Method.ONE_SHOT and bool(searched),
            "hyperparameters belong to trainings: search them with method: training, or leave them out",
        ),
        (
            method is Method.DIFFERENTIABLE and family.supernet_training is not SupernetTraining.BILEVEL,
            f"only cells are searched with method: differentiable; {kind}",
        ),
        (
            method is Method.DIFFERENTIABLE and config.final.networks == 0,
            "a differentiable search needs final.networks: how many of the genotypes found are trained",
        ),
        (
            method is Method.DIFFERENTIABLE and config.search.limits != Limits(),
            "ops_min and ops_max do not limit a differentiable search: leave them out",
        ),
        (
            method is Method.DIFFERENTIABLE and config.search.latency_max is not None,
            "latency_max does not limit a differentiable search: leave it out",
        ),
        (
            config.final.full_precision and config.search.needs_latency,
            "latencies are those of 1-bit networks: leave final.full_precision out, or latency",
        ),
        (
            method is Method.ONE_SHOT
            and family.supernet is not None
            and not family.candidates_deployable
            and config.final.networks == 0,
            "mixed edges make no network that can be deployed: give final.networks, to train some of the front",
        ),
        (
            inherits and family.inherit is None,
            f"only width spaces have a parent: leave parent.epochs at 0 for {name!r}",
        ),
        (
            inherits and "binariser" in searched,
            "candidates cannot inherit from a parent of another binariser: leave parent.epochs at 0, or binariser out",
        ),
        (
            config.final.start == "inherited" and method is not Method.TRAINING,
            "final.start: inherited goes with method: training, whose candidates have weights of their own",
        ),
        (
            config.final.start == "inherited" and "binariser" in searched,
            "final.start: inherited and a searched binariser exclude each other: start from scratch",
        ),
        (
            method is Method.TRAINING and "epochs" in searched and config.training.early_stopping,
            "epochs and training.early_stopping exclude each other: candidates are compared after equal epochs",
        ),
        (
            bool(of_searches) and method is not Method.DIFFERENTIABLE,
            f"{', '.join(sorted(of_searches))} are settings of differentiable searches: set method: differentiable",
        ),
        (
            bool(config.final.uniform or config.final.full_precision) and not allowed,
            f"final.uniform and final.full_precision are for width spaces; {kind}",
        ),
        (
            (config.training.multi_stage or config.final.multi_stage) and not family.has_option("mode"),
            f"networks of {name!r} have no multi-stage training: leave multi_stage out",
        ),
        (
            max(config.training.drop_path, config.final.drop_path) > 0 and not family.has_option("drop_path"),
            f"networks of {name!r} have no paths to drop: leave drop_path out",
        ),
        (
            "binariser" in searched and "binariser" not in space.network_options,
            f"networks of {name!r} have one binariser: leave it out of the hyperparameters",
        ),
        (
            method is Method.DIFFERENTIABLE and bool(of_trainings),
            f"{', '.join(sorted(of_trainings))} are no settings of differentiable searches: leave them out",
        ),
        (
            bool(foreign),
            f"final.uniform {', '.join(map(number_text, foreign))}: the ratios of {name!r} are {ratios}",
        ),
        (
            bool(allowed) and 1 not in allowed and needs_one,
            f"the proposer fitness and final.full_precision need the ratio 1; those of {name!r} are {ratios}",
        ),
    ]
    return [problem for wrong, problem in rules if wrong]


def _parent_misfits(folder: Path, space: Space[Any]) -> list[str]:
    """Whether candidates can start from a network: from one of the same base that is as wide as the widest."""
    try:
        parent = load_network(folder)
        inherit = family_of(parent.space).inherit
        if inherit is None:
            return [f"the network in {folder} is one of space {parent.space.name!r}, which is no width space"]
        with torch.device("meta"):
            inherit(build_network(space, space.largest()), parent)
    except (CheckpointError, SpaceError, ValueError) as error:
        return [f"parent.checkpoint {folder}: {error}"]
    return []


def _checkpoint_misfits(folder: Path, space: Space[Any]) -> list[str]:
    try:
        theirs = load_supernet(folder).space.declaration()
    except CheckpointError as error:
        return [str(error)]
    ours = space.declaration()
    free = {"name", "non_decreasing"}
    differ = [key for key in ours if key not in free and ours[key] != theirs.get(key)]
    told = ", ".join(f"{key} {theirs.get(key)} there, {ours[key]} here" for key in differ)
    return [f"the supernet in {folder} was trained for another space, {theirs['name']!r}: {told}"] if differ else []
