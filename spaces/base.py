"""What the spaces have in common whose members are read, named and looked up in the same way."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from spaces.parameters import Parameter, Suggests, Values, suggest_values, tune_space
from spaces.space import Membership, SpaceError, content_id

JSON_VERSION = 1
A = TypeVar("A")


class BaseSpace(ABC, Generic[A]):
    """The part of `spaces.space.Space` that follows from the rest. A subclass is a frozen dataclass; its members print
    as their text form."""

    name: str

    @abstractmethod
    def count(self) -> int:
        """How many members there are, exactly."""

    @abstractmethod
    def _unrank(self, index: int) -> A:
        """The member at a place that exists."""

    @abstractmethod
    def _objections(self, architecture: A) -> Iterator[str]:
        """Every reason why an architecture is not in the space."""

    @abstractmethod
    def _to_json(self, architecture: A) -> dict[str, Any]:
        """The fields of the JSON form behind version and space."""

    @abstractmethod
    def _from_json(self, data: Mapping[str, Any]) -> A:
        """The inverse of `_to_json`; raises `KeyError` or `TypeError` for fields that are missing or wrong."""

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The space as independent parameters, for Tune and Optuna."""

    @abstractmethod
    def decode(self, values: Values) -> A:
        """The member that a setting of `parameters()` stands for."""

    def __getstate__(self) -> dict[str, Any]:
        fields: dict[str, Any] = vars(type(self))["__dataclass_fields__"]
        return {name: value for name, value in vars(self).items() if name in fields}  # caches cannot be pickled

    def unrank(self, index: int) -> A:
        """The member at a place; the inverse of `rank`. Raises `IndexError` outside `range(count())`."""
        if not 0 <= index < self.count():
            raise IndexError(f"space {self.name!r} has {self.count()} members; there is none at {index}")
        return self._unrank(index)

    def contains(self, architecture: A) -> Membership:
        """Whether the architecture belongs to the space and, where not, the first reason why."""
        return Membership(next(self._objections(architecture), None))

    def require(self, architecture: A) -> A:
        """The architecture itself where it is a member; raises `SpaceError` with the reason where not."""
        membership = self.contains(architecture)
        if not membership:
            raise SpaceError(f"{str(architecture)!r} is not in space {self.name!r}: {membership.reason}")
        return architecture

    def format(self, architecture: A) -> str:
        """The text form."""
        return str(architecture)

    def id(self, architecture: A) -> str:
        """The content id of a member: twelve hexadecimal digits made of the space's name and the text form."""
        return content_id(self.name, self.format(architecture))

    def to_json(self, architecture: A) -> dict[str, Any]:
        """The JSON form, with the version of the form, the space and what the member is made of."""
        return {"version": JSON_VERSION, "space": self.name, **self._to_json(architecture)}

    def from_json(self, data: Mapping[str, Any]) -> A:
        """Read the JSON form of a member; raises `SpaceError` where it is not one."""
        try:
            version, space = data["version"], data["space"]
            if version == JSON_VERSION and space == self.name:
                return self.require(self._from_json(data))
        except KeyError as error:
            raise SpaceError(f"a member of space {self.name!r} in JSON needs the field {error}") from error
        except (AttributeError, OverflowError, TypeError) as error:
            raise SpaceError(f"this is not the JSON form of a member of space {self.name!r}: {error}") from error
        raise SpaceError(
            f"expected version {JSON_VERSION} of a member of space {self.name!r}; got version {version!r} of space "
            f"{space!r}"
        )

    def param_space(self) -> dict[str, Any]:
        """The space for Ray Tune; `decode` turns a sampled configuration into a member."""
        return tune_space(self.parameters())

    def suggest(self, trial: Suggests) -> A:
        """A member, from an Optuna trial."""
        return self.decode(suggest_values(self.parameters(), trial))
