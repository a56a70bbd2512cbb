"""Seals Parquet files: the SHA-256 of a file's bytes is in its own metadata, so that damage is noticed.

Parquet can check its pages, but not its footer, where one flipped bit may rename a column or lose rows silently. The
digest is that of the file with a placeholder in the digest's place. A file without a digest is accepted: other programs
and older versions write none.
"""

import hashlib
import re

KEY = b"binarynas.sha256"
# the metadata's value of `KEY` when the file is written: as long as a digest, and nowhere else in any file
PLACE_HOLDER = hashlib.sha256(KEY).hexdigest().encode()
_DIGEST = re.compile(re.escape(KEY) + rb"..([0-9a-f]{64})", re.DOTALL)  # between them: Parquet's type and length


def seal(data: bytes) -> bytes:
    """The file's bytes with the digest in place of the placeholder."""
    before, found, after = data.partition(PLACE_HOLDER)
    assert found, "the file is written with the placeholder in its metadata"
    return before + hashlib.sha256(data).hexdigest().encode() + after


def is_damaged(data: bytes) -> bool:
    """Whether a file's bytes differ from those that were sealed."""
    digests = list(_DIGEST.finditer(data))
    if not digests:
        return False
    found = digests[-1]  # the metadata are at the end of the file
    whole = data[: found.start(1)] + PLACE_HOLDER + data[found.end(1) :]
    return hashlib.sha256(whole).hexdigest().encode() != found[1]
