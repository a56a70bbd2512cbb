"""A Parquet file that tells whether it is whole: the SHA-256 of its bytes stands in its own metadata.

Parquet can check its pages, but not its footer, where one flipped bit may rename a column or lose rows without a word.
The digest is that of the file with a place holder where the digest then stands. Files without one are taken as they
are: other programs write none, and older versions wrote none.
"""

from __future__ import annotations

import hashlib
import re

KEY = b"binarynas.sha256"
PLACE_HOLDER = hashlib.sha256(KEY).hexdigest().encode()
"""What the metadata hold under `KEY` when the file is written; as long as a digest, and nowhere else in any file."""

_DIGEST = re.compile(re.escape(KEY) + rb"..([0-9a-f]{64})", re.DOTALL)  # between them: Parquet's type and length


def seal(data: bytes) -> bytes:
    """A file's bytes with the digest in its place."""
    before, found, behind = data.partition(PLACE_HOLDER)
    assert found, "it is written with the place holder in its metadata"
    return before + hashlib.sha256(data).hexdigest().encode() + behind


def is_damaged(data: bytes) -> bool:
    """Whether a file's bytes differ from those that were sealed."""
    every = list(_DIGEST.finditer(data))
    if not every:
        return False
    found = every[-1]  # metadata come behind everything else
    whole = data[: found.start(1)] + PLACE_HOLDER + data[found.end(1) :]
    return hashlib.sha256(whole).hexdigest().encode() != found[1]
