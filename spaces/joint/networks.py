"""The space of some given networks, each of a space of its own: what `binarynas train` trains side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

from spaces.catalogue import NETWORKS, get_network, get_space, resized
from spaces.cost import Cost, Costs
from spaces.errors import SpaceError, listed, refuse, shown
from spaces.product import ProductSpace
from spaces.space import Candidate, Space
from spaces.tools.json_form import Json
from spaces.tools.named import NamedNetwork


@dataclass(frozen=True)
class Given:
    """A given network: its name, or its space and its text form, as `SPACE: TEXT`."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return self.text.__format__(spec)


@dataclass(frozen=True)
class NetworksSpace(ProductSpace[Given, str]):
    """Networks of any named spaces, for images of one size: names of `spaces.catalogue.NETWORKS`, or `SPACE: TEXT`.

    The one gene is which of them. A named space is taken at the image size by the rule of sizes (`spaces.catalogue`).
    A `binariser` is that of all of them. Raises `SpaceError` that lists everything wrong with a declaration.

    >>> space = NetworksSpace("two", ("bi-real-18", "react-net-a"))
    >>> [f"{space.cost(space.unrank(place)).ops / 1e6:.0f} M" for place in range(2)]
    ['164 M', '87 M']
    """

    family: ClassVar[str] = "networks"
    declared_by: ClassVar[tuple[str, ...]] = ("networks",)

    name: str
    networks: tuple[str, ...]
    image_size: int = 224
    classes: int = 1000
    channels: int = 3
    binariser: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "networks", tuple(self.networks))
        refuse(self.name, self.problems())
        object.__setattr__(self, "networks", tuple(map(canonical_name, self.networks)))

    def problems(self) -> Iterator[str]:
        """Everything wrong with the fields."""
        if not self.networks:
            yield "needs at least one network"
        seen: dict[str, str] = {}
        for given in self.networks:
            try:
                name = canonical_name(given)
                self._resolved(name)
            except SpaceError as error:
                yield str(error)
                continue
            if name in seen:
                yield f"{shown(given)} is given twice" + (
                    "" if given == seen[name] else f", once as {shown(seen[name])}"
                )
            seen[name] = given

    def _resolved(self, name: str) -> tuple[Space[object], object]:
        """The space and the architecture of a canonical name, for the images."""
        space, text = _parts(name)
        own = space.image_size
        space = resized(space, self.image_size) if self.image_size != own else space
        if space.image_size != self.image_size:
            raise SpaceError(
                f"{shown(name)} cannot be had for images of {self.image_size} pixels, since its maps are halved: the "
                f"nearest size is {space.image_size}, its own {own}; give an image size, or another network"
            )
        space = space.for_data(classes=self.classes, channels=self.channels)
        if self.binariser is not None:
            space = space.with_binariser(self.binariser)
        return space, space.parse(text)

    @cached_property
    def members(self) -> Mapping[str, tuple[Space[object], object]]:
        """The space and the architecture of every network, by name."""
        return {name: self._resolved(name) for name in self.networks}

    def split(self, member: Given) -> Candidate:
        """The architecture in its own space."""
        return Candidate(*self.members[self.require(member).text], {})

    def with_binariser(self, binariser: str) -> Self:
        """The same networks with another binariser; raises `SpaceError` where one of them has no choice of them."""
        return replace(self, binariser=binariser)

    @property
    def network_options(self) -> Mapping[str, str]:
        """The binariser, where all have a choice of them."""
        every = [space.network_options.get("binariser", "") for space, _ in self.members.values()]
        return {"binariser": self.binariser or every[0]} if all(every) else {}

    def genes(self) -> dict[str, tuple[str, ...]]:
        """Which network."""
        return {"network": self.networks}

    def _values(self, member: Given) -> tuple[str, ...]:
        return (member.text,)

    def _member(self, values: tuple[str, ...]) -> Given:
        return Given(*values)

    def objections(self, member: Given) -> Iterator[str]:
        """Why something is not one of the networks."""
        if member.text not in self.networks:
            yield f"its networks are {listed(self.networks)}"

    def smallest(self) -> Given:
        """The one with the fewest operations."""
        return min(map(Given, self.networks), key=lambda member: self.cost(member).ops)

    def largest(self) -> Given:
        """The one with the most operations."""
        return max(map(Given, self.networks), key=lambda member: self.cost(member).ops)

    def parse(self, text: str) -> Given:
        """Read a name, or `SPACE: TEXT`. Raises `SpaceError` with the reason for anything else."""
        return self.require(Given(canonical_name(text)))

    def _to_json(self, member: Given) -> dict[str, Json]:
        return {"network": member.text}

    def _from_json(self, data: Mapping[str, Json]) -> Given:
        return Given(str(data["network"]))

    def cost(self, member: Given, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a network costs, at the space's own image size and classes or at others."""
        space, architecture = self.members[self.require(member).text]
        return space.cost(architecture, image_size, classes)

    def full_precision_cost(self, member: Given) -> Cost:
        """What the full-precision twin of a network costs; raises `SpaceError` where none is built, as of cells."""
        space, architecture = self.members[self.require(member).text]
        return space.full_precision_cost(architecture)

    def costs(self, members: list[Given], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many of them cost."""
        parts = [(space, [architecture]) for space, architecture in (self.members[each.text] for each in members)]
        return Costs.joined([space.costs(architectures, image_size, classes) for space, architectures in parts])


def published_ops(network: NamedNetwork) -> float:
    """What a network of a paper costs as that paper counts: BNAS leaves the skips' float convolutions out,
    Real-to-Binary adds what is done number by number."""
    space = get_space(network.space)
    return space.papers_ops(space.parse(network.architecture))


def canonical_name(text: str) -> str:
    """The one text of a network: the name of a named one, else its space and its text form.

    Raises `SpaceError` for a name that is not known, with those that are, and for a text form without a space.

    >>> canonical_name("bi-real-18: 1-1-1-1")
    'bi-real-18'
    >>> canonical_name("vgg-digits:1.0-0.5-1-1")
    'vgg-digits: 1-0.5-1-1'
    """
    text = " ".join(text.split())
    if text.lower() in NETWORKS:
        return text.lower()
    space, member = _parts(text)
    written = f"{space.name}: {space.format(space.parse(member))}"
    return next((name for name, known in NETWORKS.items() if known.text == written), written)


def _parts(text: str) -> tuple[Space[object], str]:
    """The space, as it is named, and the text form of a network."""
    if text in NETWORKS:
        return get_space(get_network(text).space), get_network(text).architecture
    name, colon, member = text.partition(":")
    if not colon or name in ("normal", "reduce"):
        if not any(sign in text for sign in "|@;") and not text[:1].isdigit():
            get_network(text)  # raises
        raise SpaceError(f"{shown(text)} is the text form of a network: say of which space, as SPACE: TEXT")
    return get_space(name.strip()), member.strip()
