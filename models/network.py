"""What the networks and the supernets of all families have in common."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeAlias, TypeVar

from torch import Tensor, nn

from models.options import Options
from spaces import Space

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


class Supernet(nn.Module, ABC, Generic[S, A, O]):
    """One set of weights for all architectures of a space. What its forward pass takes is up to the family."""

    space: S
    options: O

    @abstractmethod
    def extract(self, architecture: A) -> Network[S, A, Options]:
        """The network of one architecture, with these weights. Raises `SpaceError` for one outside the space."""


AnyNetwork: TypeAlias = Network[AnySpace, Any, Options]
AnySupernet: TypeAlias = Supernet[AnySpace, Any, Options]
