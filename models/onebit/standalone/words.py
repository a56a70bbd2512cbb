"""How values are written in C: names, strings, comments and arrays of numbers."""

import re

import numpy as np
import numpy.typing as npt

_TAKEN = re.compile("main|bench|classify|kernels|all|clean|test|help|install|std.*|float|string|time|math")
"""Names of files beside, of what make and CMake build, and of headers of C."""
_LINE = 118


def identifier(word: str) -> str:
    """A name for C that looks like a word.

    >>> identifier("Digits-3"), identifier("3 digits"), identifier("main"), identifier("é")
    ('digits_3', 'net_3_digits', 'net_main', 'net')
    """
    name = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")
    return name if name[:1].isalpha() and not _TAKEN.fullmatch(name) else f"net_{name}".rstrip("_")


def string(text: str) -> str:
    r"""A string of C in UTF-8; every byte that is not plain ASCII is escaped.

    >>> print(string('a "b"?\n'))
    "a \"b\"\?\012"
    """
    plain = {byte: chr(byte) for byte in range(32, 127)} | {ord(sign): f"\\{sign}" for sign in '"\\?'}
    return '"' + "".join(plain.get(byte, f"\\{byte:03o}") for byte in text.encode(errors="replace")) + '"'


def comment(text: str) -> str:
    """Words that do not end the comment in which they stand.

    >>> comment("*/ int x; é")
    '* / int x; ?'
    """
    return re.sub(r"\*(?=/)|/(?=\*)", r"\g<0> ", re.sub(r"[^ -~]", "?", text)).replace("\\", "/")


def number(value: float) -> str:
    """A float32 in C, exactly.

    >>> number(0.75), number(-1), number(0.1), number(-0.0)
    ('0x1.8p-1f', '-0x1p+0f', '0x1.99999ap-4f', '-0x0p+0f')
    """
    return re.sub(r"\.?0*p", "p", float(np.float32(value)).hex()) + "f"


def numbers(values: npt.NDArray[np.generic]) -> str:
    """What stands between the braces of an array, in lines."""
    match values.dtype:
        case np.float32:
            words = [number(value) for value in values.ravel().tolist()]
        case np.uint32:
            words = [f"0x{value:x}u" for value in values.ravel().tolist()]
        case _:
            words = [str(value) for value in values.ravel().tolist()]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > _LINE:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])
