"""Which images belong to validation, test or a smaller subset: seeded, sorted, stratified, free of the file order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.seeds import derive_seed

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class ClassRanking:
    """Every image's rank within its class, by a hash of the seed, a purpose and the image's key.

    An image's rank depends on the keys in its class alone, so neither the order in which files are listed nor other
    classes change which images are cut.
    """

    labels: Positions
    ranks: Positions

    @classmethod
    def of(cls, labels: Positions, key: Callable[[int], str], seed: int, purpose: str) -> "ClassRanking":
        """Rank the images with these labels; `key(i)` names image i, and no two images have the same key."""
        hashes = np.array([derive_seed(seed, purpose, key(i)) for i in range(len(labels))], dtype=np.int64)
        order = np.lexsort((hashes, labels))
        counts = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
        ranks = np.empty(len(labels), np.int64)
        ranks[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(labels, ranks)

    def first(self, per_class: Sequence[int] | Positions) -> Positions:
        """The positions of the first `per_class[c]` images of every class c, ascending."""
        return np.flatnonzero(self.ranks < np.asarray(per_class, np.int64)[self.labels])

    def rest(self, per_class: Sequence[int] | Positions) -> Positions:
        """The positions that `first` leaves, ascending."""
        return np.flatnonzero(self.ranks >= np.asarray(per_class, np.int64)[self.labels])

    def subset(self, size: int) -> Positions:
        """`size` positions, ascending: one per class, then in proportion. A larger subset contains a smaller one."""
        share = (self.ranks + 0.5) / np.bincount(self.labels)[self.labels]
        order = np.lexsort((self.labels, share, self.ranks > 0))
        return np.sort(order[:size])


def shares(
    counts: Positions, names: Sequence[str], part: str, where: str, amount: int | float, problems: list[str]
) -> Positions:
    """How many images of every class a cut takes: `amount` of each class, or that share of it (at least one).

    Adds a problem for every class that would have no training image left.
    """
    if isinstance(amount, int):
        taken, setting = np.full(len(counts), amount), f"{part}_per_class {amount}"
    else:
        taken, setting = np.maximum(1, np.rint(counts * amount)).astype(np.int64), f"{part}_fraction {amount}"
    for name, count, cut in zip(names, counts.tolist(), taken.tolist(), strict=True):
        if 0 < count <= cut:
            problems.append(
                f"{where}: class '{name}' has {count} image{'s' if count > 1 else ''} to cut {cut} for {part} from "
                f"({setting}), and at least one must be left to train on: add images or cut fewer."
            )
    return taken
