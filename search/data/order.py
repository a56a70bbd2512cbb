"""The order of a split's images, and their batches: the same on every machine for the same seed."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from search.seeds import derive_seed


@dataclass(frozen=True)
class Order:
    """An order of batches; made by `in_order` or `shuffled`.

    `seed` is None for the stored order without augmentation. `first` is the number of the first batch: from there on,
    a resumed epoch gives the same batches as a whole one. Where `shares` processes take a batch together, each gets
    every so many-th image of it, from the one at `share` on; their number changes neither the batches nor the images.
    """

    seed: int | None
    first: int = 0
    share: int = 0
    shares: int = 1

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A CPU generator for one use of this order's randomness; only for shuffled orders."""
        if self.seed is None:
            raise ValueError("only shuffled orders draw random numbers")
        return torch.Generator().manual_seed(derive_seed(self.seed, *purpose))

    def shared(self, share: int, shares: int) -> "Order":
        """This order, of which one process takes its share of every batch."""
        return replace(self, share=share, shares=shares)

    def own(self, batch: Tensor) -> Tensor:
        """The share of a batch (N, ...) that this process takes: all of it where it is alone."""
        return batch if self.shares == 1 else batch[self.share :: self.shares]


def in_order(first: int = 0) -> Order:
    """Every image once as stored, not augmented; the last batch may be smaller."""
    return Order(None, first)


def shuffled(seed: int, first: int = 0) -> Order:
    """A permutation and augmentation drawn from `seed`; the last partial batch is dropped unless it is the only one.

    Give every epoch a seed of its own, `derive_seed(root, "epoch", number)`.
    """
    return Order(seed, first)


def permutation(order: Order, count: int) -> Tensor:
    """The positions 0..count-1 in this order: int64 (count,)."""
    if order.seed is None:
        return torch.arange(count)
    return torch.randperm(count, generator=order.generator("permutation"))


def within_buffer(order: Order, blocks: Sequence[Tensor], buffer: int) -> Tensor:
    """Positions in a shuffled order that can be read block by block, with about `buffer` images held at most.

    The blocks, int64 (n,) each, are shuffled and read one after another; the image that is read as number t is due at
    t + buffer * u, u uniform in [0, 1), and images come as they are due. So none is further than `buffer` places from
    where it was read, no more than `buffer` images and the rest of a block have been read and have not come, and there
    are no windows at whose borders nothing is mixed. A buffer that holds all images gives any permutation.
    """
    generator = order.generator("permutation")
    turns: list[int] = torch.randperm(len(blocks), generator=generator).tolist()
    read = torch.cat([blocks[number] for number in turns])
    if buffer >= len(read):
        return read[torch.randperm(len(read), generator=generator)]
    delays = buffer * torch.rand(len(read), generator=generator, dtype=torch.float64)
    return read[torch.argsort(torch.arange(len(read)) + delays, stable=True)]


def numbered_batches(order: Order, positions: Tensor, batch_size: int) -> Iterator[tuple[int, Tensor]]:
    """Cut ordered positions into (number of the batch, its positions), from the batch `order.first` on.

    Raises `ValueError` for a batch size below one.
    """
    if batch_size < 1:
        raise ValueError(f"a batch holds at least one image, but batch_size is {batch_size}")
    for number in range(order.first, batch_count(order, len(positions), batch_size)):
        yield number, positions[number * batch_size : (number + 1) * batch_size]


def batch_count(order: Order, count: int, batch_size: int) -> int:
    """How many batches a whole pass over `count` images has in this order, those before `order.first` included."""
    if order.seed is not None and count >= batch_size:
        return count // batch_size
    return -(-count // batch_size)
