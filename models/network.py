"""What the networks and the supernets of all families have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from torch import Tensor, nn

from models.options import Options
from spaces import Space, SpaceError

AnySpace: TypeAlias = Space[Any]
S = TypeVar("S", bound=AnySpace, covariant=True)
A = TypeVar("A")
O = TypeVar("O", bound=Options, covariant=True)  # noqa: E741 - space, architecture, options


class Network(nn.Module, ABC, Generic[S, A, O]):
    """The network of one architecture of a space.

    It keeps what it was made from, so that its checkpoint says what the tensors belong to.
    """

    space: S
    architecture: A
    options: O

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""

    def parts(self) -> Mapping[str, nn.Module]:
        """The modules before the classifier, from input to output, by the name that `space.cost` gives the last layer
        of each. Raises `SpaceError` where a network is no backbone for a detector."""
        raise SpaceError(
            f"networks of space {self.space.name!r} are no backbones for detectors: take one of NAS-BNN or of widths"
        )

    def maps(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """What every module of `parts` puts out, with its name: float images (N, channels, H, W) of any size that the
        strides divide -> maps (N, width, H / stride, W / stride)."""
        raise NotImplementedError


class Supernet(nn.Module, ABC, Generic[S, A, O]):
    """One set of weights for all architectures of a space. What its forward pass takes is up to the family."""

    space: S
    options: O

    @abstractmethod
    def extract(self, architecture: A) -> Network[S, A, Options]:
        """The network of one architecture, with these weights. Raises `SpaceError` for one outside the space."""


AnyNetwork: TypeAlias = Network[AnySpace, Any, Options]
AnySupernet: TypeAlias = Supernet[AnySpace, Any, Options]
