"""One root seed, and an independent stream for every use of randomness."""

import hashlib
import json
import random


def derive_seed(root: int, *purpose: str | int) -> int:
    """A 63-bit seed for one use, from the root seed and words that name the use.

    It depends on nothing else, so a trial draws the same numbers whichever worker runs it, and whenever.

    >>> derive_seed(0, "shuffle", 3) == derive_seed(0, "shuffle", 3) != derive_seed(0, "shuffle", 4)
    True
    """
    words = json.dumps([root, *purpose])
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1


def derive_rng(root: int, *purpose: str | int) -> random.Random:
    """A Python random stream for one use; see `derive_seed`."""
    return random.Random(derive_seed(root, *purpose))
