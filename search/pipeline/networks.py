"""A run of given networks, trained side by side: its configuration, its trials, and what a person should know."""

from collections.abc import Iterator, Sequence
from typing import Any

from search.config.loading import check_config, set_values
from search.config.recipes import DEFAULT, recipe
from search.config.run import Method, RunConfig
from search.config.sections import ConfigError
from search.data.config import DataConfig
from search.runs.records import Proposal
from spaces import Space, get_space
from spaces.catalogue import NETWORKS
from spaces.joint.networks import NetworksSpace, canonical_name

NAME = "networks"
"""Of the space of the networks that a run trains."""

_NATIVE = {"digits": 8, "cifar10": 32, "cifar100": 32, "mnist": 28, "fashion-mnist": 28}
_SECTION = "final"


def networks_config(
    networks: Sequence[str],
    data: DataConfig,
    recipe_name: str | None = None,
    image_size: int | None = None,
    seeds: int = 1,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
) -> RunConfig:
    """The configuration of a run that trains networks: names of `spaces.catalogue.NETWORKS`, or `SPACE: TEXT`.

    Images are as large as a known data set has them, else as the networks are made for. With several `seeds` each
    network is trained so many times. `settings` without a dot are those of the section `final`. Raises `SpaceError`,
    for networks that are not known or not to be had for these images, or `ConfigError` that lists every problem.
    """
    names = [canonical_name(network) for network in networks]
    size = image_size or data.image_size or _NATIVE.get(data.name) or _own_size(names)
    NetworksSpace(NAME, tuple(names), size)  # raises, in words of its own
    space: dict[str, Any] = {"name": NAME, "networks": names, "image_size": size}
    if seeds > 1:
        space["hyperparameters"] = {"seed": list(range(seeds))}
    trials = len(names) * seeds
    values: dict[str, Any] = {
        **recipe(recipe_name or DEFAULT),
        "method": Method.NETWORKS.value,
        "space": space,
        "data": data.model_dump(mode="json", exclude_unset=True),
        "search": {"proposer": "random", "trials": trials, "generation": trials},
    }
    whole = [each if "." in each.partition("=")[0] else f"{_SECTION}.{each}" for each in settings]
    return check_config(set_values(values, options or {}, whole), "train")


def _own_size(names: Sequence[str]) -> int:
    """The image size that all the networks are made for. Raises `ConfigError` where they are for several ones."""
    sizes: dict[int, str] = {}
    for name in names:
        space = NETWORKS[name].space if name in NETWORKS else name.partition(":")[0]
        sizes.setdefault(get_space(space).image_size, name)
    if len(sizes) > 1:
        which = ", ".join(f"{name!r} for {size}" for size, name in sizes.items())
        raise ConfigError(f"the networks are made for images of several sizes ({which}): say which with --image-size")
    return next(iter(sizes))


def given_proposals(space: Space[Any]) -> list[Proposal]:
    """Every network of a run, with every seed, the first seed of all before the second one."""
    members = [space.unrank(place) for place in range(space.count())]
    members.sort(key=lambda member: dict(space.split(member).hyperparameters).get("seed", 0))
    return [Proposal(space.format(member), space.id(member), "given") for member in members]


def notes_on(space: Space[Any]) -> Iterator[str]:
    """Which of the networks are not as their papers have them, because the images have another size."""
    if not isinstance(space, NetworksSpace):
        return
    for name, (built, member) in space.members.items():
        known = NETWORKS.get(name)
        if known is None or (own := get_space(known.space)).image_size == built.image_size:
            continue
        halvings = [_halvings(each, known.architecture) for each in (own, built)]
        kept = "" if halvings[0] == halvings[1] else f", where its maps are halved {halvings[1]} times of {halvings[0]}"
        yield (
            f"{name} is made for {own.image_size} pixels; for {built.image_size}{kept}, it has "
            f"{built.cost(member).ops / 1e6:.3g} M OPs, of the {known.ops / 1e6:.3g} M published"
        )


def _halvings(space: Space[Any], text: str) -> int:
    """How often the maps of a network are halved on the way to its classifier."""
    layers = space.cost(space.parse(text)).layers
    return (space.image_size // layers[-2].out_size).bit_length() - 1
