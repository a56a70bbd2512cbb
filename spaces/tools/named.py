"""Networks that papers have given a name, as members of spaces."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedNetwork:
    """A network of a paper: a member of a named space, by its text form, for that space's images.

    `ops` are the equivalent operations that the paper gives, as printed, and `source` says where.
    """

    name: str
    space: str
    architecture: str
    ops: float
    source: str

    @property
    def text(self) -> str:
        """The space and the text form, as anything else than a name is given."""
        return f"{self.space}: {self.architecture}"
