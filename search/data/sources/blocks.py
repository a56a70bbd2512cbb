"""Images of shards are read a block at a time: each block once, in the order in which its first image is needed."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from search.data.errors import DataError
from search.data.sources.decode import EncodedImages

Encoded = bytes | DataError
"""The bytes of an image, or why there are none."""


def runs_of(positions: Tensor, numbers: Tensor) -> tuple[Tensor, ...]:
    """Cut ascending positions (N,) where the number of their block, (N,) and ascending, changes."""
    _, counts = numbers.unique_consecutive(return_counts=True)
    return positions.split(counts.tolist())


def read_in_blocks(images: EncodedImages, batches: Sequence[Tensor]) -> Iterator[list[Encoded]]:
    """The encoded images of batches of indices (n,), no index twice.

    A thread reads one block ahead. Of a block only what the batches have is held, and until its batch comes: where
    several processes share batches, each holds its own share.
    """
    if not batches:
        return
    needed = torch.cat(list(batches))
    blocks = images.blocks(needed.sort().values)
    assert blocks is not None, "single files have no blocks"
    turns = _in_turn([part.tolist() for part in blocks.parts], needed)
    held: dict[int, Encoded] = {}
    with ThreadPoolExecutor(1) as pool:

        def ahead() -> Future[dict[int, Encoded]] | None:
            block = next(turns, None)
            return None if block is None else pool.submit(_read, images, block)

        coming = ahead()
        for batch in batches:
            for index in batch.tolist():
                while index not in held:
                    assert coming is not None, "every image belongs to a block"
                    held |= coming.result()
                    coming = ahead()
            yield [held.pop(index) for index in batch.tolist()]


def _in_turn(blocks: Sequence[list[int]], needed: Tensor) -> Iterator[list[int]]:
    """The blocks, by the place where the first of their images is needed."""
    starts = np.array([block[0] for block in blocks], np.int64)
    numbers = np.searchsorted(starts, needed.numpy(), side="right") - 1
    _, first = np.unique(numbers, return_index=True)
    return (blocks[number] for number in numbers[np.sort(first)].tolist())


def _read(images: EncodedImages, block: list[int]) -> dict[int, Encoded]:
    return dict(zip(block, images.read_block(block), strict=True))
