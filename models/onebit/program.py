"""A 1-bit network as a program: its operations in order, checked as a whole."""

from models.onebit.checks import check, require_logits
from models.onebit.operations import Operation, Shape


class Program:
    """A checked program: `operations`, the `shapes` of all tensors (one more than operations), the image's first.

    Raises `ProgramError` that names the first operation that does not fit.
    """

    def __init__(self, image: Shape, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self.shapes = check(image, operations)
        self._check_output()

    def _check_output(self) -> None:
        require_logits(self.shapes[-1])

    @property
    def image(self) -> Shape:
        """What the program reads."""
        return self.shapes[0]

    @property
    def classes(self) -> int:
        """How many logits an image gets."""
        return self.shapes[-1].size


class MapProgram(Program):
    """A piece of a network, whose last operation puts out a map. An `Engine` gives its numbers flat, in the order
    (height, width, channel)."""

    def _check_output(self) -> None:
        """Any shape will do."""
