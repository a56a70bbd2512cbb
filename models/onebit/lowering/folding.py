"""What the lowerings of all families share: operations in order, folded batch norms, binary convolutions."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.layers.binary import BinaryConv2d
from models.layers.excitation import EIGHT, Excitation
from models.layers.modes import Mode
from models.onebit import operations as op

_LARGEST = float(np.finfo(np.float32).max)


class Builder:
    """Operations in the order in which they are added; every `add` gives the number of the tensor that is made."""

    def __init__(self) -> None:
        self.operations: list[op.Operation] = []

    def add(self, operation: op.Operation) -> int:
        """Append an operation."""
        self.operations.append(operation)
        return len(self.operations)

    def add_convolution(
        self, convolution: nn.Module, tensor: int, epilogue: op.Epilogue, norm: nn.BatchNorm2d | None = None
    ) -> int:
        """A `BinaryConv2d`, or a float convolution without bias, of a tensor or of what a batch norm makes of it.

        The scale of a binary one is for the caller to fold. The norm before a float one folds into its weights, for
        which it must have neither padding nor groups.
        """
        if isinstance(convolution, BinaryConv2d):
            return self._add_binary(convolution, tensor, epilogue, norm)
        assert isinstance(convolution, nn.Conv2d)
        weight, padding = convolution.weight.double(), int(convolution.padding[0])
        if norm is not None:
            assert padding == 0  # the norm would make another value of a padded zero
            assert convolution.groups == 1
            factor, constant = (values.double().view(-1, 1, 1) for values in affine(norm))
            epilogue = replace(epilogue, constant=floats((weight * constant).sum((1, 2, 3))))
            weight = weight * factor
        (size, _), (stride, _), (dilation, _) = convolution.kernel_size, convolution.stride, convolution.dilation
        geometry = op.Geometry(size, stride, padding, dilation, convolution.groups)
        taps = floats(weight.permute(2, 3, 1, 0))
        return self.add(op.FloatConvolution(tensor, convolution.out_channels, geometry, taps, epilogue))

    def _add_binary(
        self, convolution: BinaryConv2d, tensor: int, epilogue: op.Epilogue, norm: nn.BatchNorm2d | None
    ) -> int:
        signs = (convolution.kernel().weight > 0).permute(0, 2, 3, 1).cpu().numpy()  # (out, k, k, in / groups)
        out_channels, size, groups = len(signs), signs.shape[1], convolution.groups
        low, least = convolution.binariser.low, convolution.binariser.threshold
        threshold = np.full(signs.shape[3] * groups, least, np.float32)
        if norm is not None and (low, least) == (-1, 0):
            least_positive, falling = fold_threshold(norm)
            threshold = floats(least_positive)
            signs = signs ^ falling.cpu().numpy().reshape(groups, 1, 1, -1).repeat(out_channels // groups, axis=0)
        elif norm is not None:
            tensor = self.add(op.Pointwise(tensor, fold_norm(norm)))
        encoding = op.Encoding.SIGNS if low == -1 else op.Encoding.ZERO_ONE
        geometry = op.Geometry(size, convolution.stride, convolution.padding, convolution.dilation, groups)
        bits = op.pack_signs(signs)
        return self.add(op.BinaryConvolution(tensor, out_channels, geometry, encoding, threshold, bits, epilogue))

    def add_classifier(self, classifier: nn.Linear, tensor: int, pixels: int = 1) -> int:
        """A linear layer with bias on maps that were flattened channel by channel, `pixels` each."""
        weight = classifier.weight.unflatten(1, (-1, pixels)).permute(2, 1, 0).flatten(0, 1)  # (pixels * channels, out)
        epilogue = op.Epilogue(constant=floats(classifier.bias))
        return self.add(op.Linear(tensor, classifier.out_features, floats(weight), epilogue))

    def add_excitation(self, excitation: Excitation, tensor: int, channels: int, bits: int) -> int:
        """The gates (channels, 1, 1) of a squeeze-and-excite of means (in, 1, 1)."""
        inputs, hidden = excitation.reduce.weight.shape[1], len(excitation.reduce.bias)
        weight, step = excitation.reduce.deployed(inputs, hidden, bits)
        factor = None if step is None else floats(step)
        relu = op.Epilogue(factor, floats(excitation.reduce.bias), activation=op.Activation.RELU)
        between = self.add(op.FloatConvolution(tensor, hidden, op.Geometry(1), _levels(weight, bits), relu))
        weight, _ = excitation.expand.deployed(hidden, channels, bits)
        factor, constant = map(floats, excitation.folded(hidden, channels, bits))
        clip = op.Epilogue(factor, constant, activation=op.Activation.CLIP, low=0.0, high=1.0)
        return self.add(op.FloatConvolution(between, channels, op.Geometry(1), _levels(weight, bits), clip))

    def needed(self) -> tuple[op.Operation, ...]:
        """The operations that the last one depends on, renumbered: what feeds nothing, such as Zeroise, vanishes."""
        count = len(self.operations)
        kept = {count}
        for tensor in range(count, 0, -1):
            if tensor in kept:
                kept.update(op.inputs_of(self.operations[tensor - 1]))
        numbers = {tensor: number for number, tensor in enumerate(sorted(kept | {0}))}
        return tuple(op.reading(self.operations[tensor - 1], numbers) for tensor in sorted(kept - {0}))


def floats(values: Tensor) -> op.Floats:
    """A tensor as a float32 array of its own."""
    return np.array(values.detach().cpu().numpy(), np.float32, order="C")


def fold_norm(norm: nn.BatchNorm2d, scale: Tensor | None = None) -> op.Epilogue:
    """A batch norm of scale * c in evaluation mode as factor and constant."""
    factor, constant = affine(norm)
    return op.Epilogue(floats(factor if scale is None else factor * scale), floats(constant))


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm in evaluation mode is factor * x + constant: both, per channel, in double precision."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        factor = factor * norm.weight
    constant = -norm.running_mean * factor
    return factor, constant + norm.bias if norm.affine else constant


def fold_threshold(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """For each channel the least float x whose norm is at least 0, and whether the norm falls with x.

    Where it falls, -1 and +1 change places: the threshold is the least x whose norm is negative, and the weights of
    that channel are to be negated.
    """
    factor, constant = (values.double() for values in affine(norm))
    falling, infinite = factor < 0, torch.full_like(factor, torch.inf)
    exact = torch.where(factor == 0, torch.where(constant >= 0, -infinite, infinite), -constant / factor)
    exact = exact.clamp(-_LARGEST, _LARGEST)
    threshold = exact.float()
    below = torch.where(falling, threshold <= exact, threshold < exact)
    return torch.where(below, threshold.nextafter(torch.full_like(threshold, _LARGEST)), threshold), falling


def _levels(weight: Tensor, bits: int) -> npt.NDArray[np.int8] | op.Floats:
    """Weights (out, in) of a linear layer of means as those of a 1x1 convolution."""
    taps = floats(weight.T)[None, None]
    return taps.astype(np.int8) if bits == EIGHT else taps


def scale_of(convolution: nn.Module) -> Tensor | None:
    """The scale of a binary convolution's filters; None for a float one.

    Raises `TypeError` for a `BinaryConv2d` whose weights or activations are not binary.
    """
    if not isinstance(convolution, BinaryConv2d):
        return None
    if convolution.mode is not Mode.BWBA:
        raise TypeError(f"a network in mode {convolution.mode.name} is not binary; export one in mode BWBA")
    with torch.no_grad():
        return convolution.kernel().scale
