"""The error of the four packages, and the phrases that its messages share."""

from collections.abc import Iterable
from difflib import get_close_matches


class BinarynasError(Exception):
    """Something that the user can mend: the message says what was given, what is allowed and what to do.

    The command line prints it as one sentence; subclasses name the subject, and are `ValueError` or `RuntimeError` too.
    """


class SpaceError(BinarynasError, ValueError):
    """A space, an architecture or a text form that is not valid."""


def refuse(space: str, problems: Iterable[str]) -> None:
    """Raise a `SpaceError` that lists everything wrong with the declaration of a space; nothing if nothing is."""
    listing = "; ".join(problems)
    if listing:
        raise SpaceError(f"space {space!r}: {listing}")


def nearest(given: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the known one that looks most like it, or nothing.

    >>> nearest("widht", ["width", "depth"])
    "; did you mean 'width'?"
    >>> nearest("x", ["width"])
    ''
    """
    near = get_close_matches(str(given), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown(what: str, given: object, known: Iterable[str], plural: str | None = None) -> str:
    """The sentence about an unknown name: what was given, the nearest known one, and all of them.

    >>> unknown("space", "vgg-smal", ["vgg-small", "resnet-18"])
    "unknown space 'vgg-smal'; did you mean 'vgg-small'? The spaces are vgg-small, resnet-18"
    """
    known = list(known)
    hint = nearest(given, known) or "."
    quoted = shown(given) if isinstance(given, str) else repr(given)
    return f"unknown {what} {quoted}{hint} The {plural or what + 's'} are {', '.join(known)}"


def shown(text: str, most: int = 40) -> str:
    """A text in quotes, cut where it is long.

    >>> shown("abcdefghij", 8)
    "'abcde...'"
    """
    return repr(text if len(text) <= most else text[: most - 3] + "...")


def listed(values: Iterable[object]) -> str:
    """Values with commas between them.

    >>> listed((1, 2, 4))
    '1, 2, 4'
    """
    return ", ".join(map(str, values))
