"""A program in torch's float operations, to check engines with and to compare their times."""

from collections.abc import Callable
from typing import assert_never

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.onebit import operations as op
from models.onebit.program import Program


class Simulation(torch.nn.Module):
    """Computes what a program says, float convolutions of signs in place of bits; logits agree to rounding."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self._parameters_of = [_tensors(operation, program) for operation in program.operations]

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, classes); in the memory format of the images."""
        tensors = [images]
        for operation, values in zip(self.program.operations, self._parameters_of, strict=True):
            tensors.append(_finish(operation, values, _sums(operation, values, tensors), tensors))
        return tensors[-1].flatten(1)


def torch_alternatives(program: Program, images: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Torch's float operations on the same network, in both layouts of its images."""
    simulation = Simulation(program)
    last = images.contiguous(memory_format=torch.channels_last)
    return {
        "torch float32, channels last": lambda: simulation(last),
        "torch float32, channels first": lambda: simulation(images),
    }


def _tensors(operation: op.Operation, program: Program) -> dict[str, Tensor]:
    """An operation's arrays as tensors that convolutions and images of four dimensions take."""
    result: dict[str, Tensor] = {}
    match operation:
        case op.BinaryConvolution():
            signs = op.signs_of(operation, program.shapes[operation.input].channels)
            weight = torch.from_numpy(np.where(signs, np.float32(1), np.float32(-1)))
            result["weight"] = weight.permute(0, 3, 1, 2)
            result["threshold"] = torch.from_numpy(operation.threshold.copy()).view(1, -1, 1, 1)
        case op.FloatConvolution():
            result["weight"] = torch.from_numpy(operation.weight.astype(np.float32)).permute(3, 2, 0, 1)
        case op.Linear():
            result["weight"] = torch.from_numpy(operation.weight.copy()).T
        case op.Pointwise() | op.Product() | op.Pool() | op.GlobalAverage() | op.Concatenate() | op.Zero():
            pass
        case _:
            assert_never(operation)
    for name in ("factor", "constant", "slope", "shift"):
        values = getattr(operation.epilogue, name)
        if values is not None:
            result[name] = torch.from_numpy(values.copy()).view(1, -1, 1, 1)
    layouts = {4: torch.channels_last, 2: torch.contiguous_format}  # of images, and of a linear layer's weight
    return {name: values.contiguous(memory_format=layouts[values.dim()]) for name, values in result.items()}


def _sums(operation: op.Operation, values: dict[str, Tensor], tensors: list[Tensor]) -> Tensor:
    match operation:
        case op.BinaryConvolution():
            reached = (tensors[operation.input] >= values["threshold"]).float()
            bits = reached if operation.encoding is op.Encoding.ZERO_ONE else reached.mul_(2).sub_(1)
            return F.conv2d(bits, values["weight"], None, *operation.geometry[1:])
        case op.FloatConvolution():
            return F.conv2d(tensors[operation.input], values["weight"], None, *operation.geometry[1:])
        case op.Linear():
            flat = tensors[operation.input].permute(0, 2, 3, 1).flatten(1)
            return F.linear(flat, values["weight"])[:, :, None, None]
        case op.Pointwise():
            return tensors[operation.input]
        case op.Product():
            return tensors[operation.input] * tensors[operation.by]
        case op.Pool(input=number, reduction=reduction, geometry=geometry):
            if reduction is op.Reduction.MAX:
                return F.max_pool2d(tensors[number], *geometry[:3])
            return F.avg_pool2d(tensors[number], *geometry[:3], count_include_pad=False)
        case op.GlobalAverage():
            return tensors[operation.input].mean((2, 3), keepdim=True)
        case op.Concatenate():
            return torch.cat([tensors[number] for number in operation.inputs], 1)
        case op.Zero(shape):
            return tensors[0].new_zeros(len(tensors[0]), *shape)
        case _:
            assert_never(operation)


def _finish(operation: op.Operation, values: dict[str, Tensor], v: Tensor, tensors: list[Tensor]) -> Tensor:
    epilogue = operation.epilogue
    if epilogue is op.PLAIN:
        return v
    if "factor" in values:
        v = v * values["factor"]
    if "constant" in values:
        v = v + values["constant"]
    if epilogue.shortcut is not None:
        v = v + _fitted(tensors[epilogue.shortcut], v)
    if epilogue.activation is op.Activation.RELU:
        return F.relu(v)
    if epilogue.activation is op.Activation.RPRELU:
        return F.prelu(v, values["slope"].flatten()).add_(values["shift"])
    return v.clamp(epilogue.low, epilogue.high) if epilogue.activation is op.Activation.CLIP else v


def _fitted(shortcut: Tensor, v: Tensor) -> Tensor:
    """A shortcut averaged over squares, repeated along channels or cut, so that it can be added."""
    stride = shortcut.shape[2] // v.shape[2]
    if stride > 1:
        shortcut = F.avg_pool2d(shortcut, stride)
    times = -(-v.shape[1] // shortcut.shape[1])
    return shortcut.repeat(1, times, 1, 1)[:, : v.shape[1]] if shortcut.shape[1] != v.shape[1] else shortcut
