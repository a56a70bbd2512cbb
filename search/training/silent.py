"""The decay of silent weights, which keep their signs, in a training of a network that OvSW binarises."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from models.layers.binarisers import OvSW
from models.layers.binary import BinaryConv2d
from models.layers.modes import Weights


class SilentWeights:
    """How often the binary weights of a network change their signs, and a decay of those that hardly ever do.

    OvSW's (Xiang et al., 2024) "silence awareness decaying", as the authors' code has it: flips are counted after every
    step, and `decay` times each silent weight is added to its gradient, after AGS has scaled that. See `OvSW` for
    both. A step that does not move a layer does not count for it. Layers of other binarisers, or with float weights,
    are left alone; with a decay of 0 all are.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._weights = dict(_weights(network)) if decay else {}
        self._flips = {name: torch.zeros_like(weight) for name, (weight, _) in self._weights.items()}
        self._signs: dict[str, Tensor] = {}

    @torch.no_grad()
    def decay(self) -> None:
        """Add the decay to the gradients: the last thing before the optimiser reads them."""
        for name, (weight, binariser) in self._weights.items():
            if weight.grad is not None:
                weight.grad.add_(binariser.silent(self._flips[name]) * weight, alpha=self._decay)
                self._signs[name] = weight >= 0

    @torch.no_grad()
    def step_taken(self) -> None:
        """Count the flips of the step that the optimiser has taken since `decay`."""
        while self._signs:
            name, signs = self._signs.popitem()
            weight, binariser = self._weights[name]
            binariser.count_flips(self._flips[name], (weight >= 0) != signs)

    def tensors(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps: the counts, each of the shape of its weight."""
        return self._flips

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what a checkpoint kept."""
        for name, flips in self._flips.items():
            flips.copy_(tensors[name])


def _weights(network: nn.Module) -> Iterator[tuple[str, tuple[Tensor, OvSW]]]:
    """The weights of which OvSW takes signs."""
    for name, module in network.named_modules():
        if not isinstance(module, BinaryConv2d) or module.mode.weights is Weights.FLOAT:
            continue
        if isinstance(module.binariser, OvSW):
            yield f"{name}.weight", (module.weight, module.binariser)
