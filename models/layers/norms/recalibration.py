"""Batch norm statistics measured again, for weights that were trained as part of another network."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from models.layers.tail import Tail


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the batch norms' running statistics by the average over batches of images (the public recipe of NAS-BNN).

    Each batch counts the same, as with torch's cumulative average. Leaves the network in evaluation mode. Raises
    `ValueError` without a batch.
    """
    norms = [module for module in network.modules() if isinstance(module, Tail | nn.BatchNorm2d)]
    usual: list[Any] = [norm.momentum for norm in norms]
    network.train()
    seen = 0
    try:
        for seen, images in enumerate(batches, 1):
            for norm in norms:
                norm.momentum = 1 / seen
            network(images)
    finally:
        network.eval()
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
    if seen == 0:
        raise ValueError("recalibration needs at least one batch of images, got none")
