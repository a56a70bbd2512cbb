"""Whether weights and activations are binary or float in a forward pass: students are binary, teachers are not."""

from enum import Enum, StrEnum


class Weights(Enum):
    """The domain of a convolution's weights."""

    BINARY = "binary"
    FLOAT = "float"


class Activations(Enum):
    """What a convolution reads: signs, or the values themselves (for a network of full precision)."""

    BINARY = "binary"
    FLOAT = "float"


class Mode(StrEnum):
    """The domains of weights and activations in one forward pass (NAS-BNN, section 3.3.1).

    BWBA is a binary network. FWBA has float weights and binary activations: the Bi-Teacher of NAS-BNN, the
    first of BNAS v2's two training stages. FWFA has full precision: no sign at all; what convolutions then read is
    documented with them (`models.layers.unit` for NAS-BNN, `models.layers.binary` for the other spaces).
    """

    BWBA = "bwba"
    FWBA = "fwba"
    FWFA = "fwfa"

    @property
    def weights(self) -> Weights:
        """The domain of the weights of the binary convolutions."""
        return Weights.BINARY if self is Mode.BWBA else Weights.FLOAT

    @property
    def activations(self) -> Activations:
        """What the binary convolutions read."""
        return Activations.FLOAT if self is Mode.FWFA else Activations.BINARY
