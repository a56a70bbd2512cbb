"""Whether operations fit each other: shapes from the image to the logits, and every field within what is allowed."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from models.onebit.operations import (
    LARGEST_CHANNELS,
    LARGEST_PROGRAM,
    LARGEST_SIDE,
    LARGEST_TENSOR,
    LARGEST_TERMS,
    Activation,
    BinaryConvolution,
    Concatenate,
    Epilogue,
    FloatConvolution,
    Geometry,
    GlobalAverage,
    Linear,
    Operation,
    Pointwise,
    Pool,
    ProgramError,
    Shape,
    Zero,
    inputs_of,
)


def check(image: Shape, operations: Sequence[Operation]) -> tuple[Shape, ...]:
    """The shapes of all tensors. Raises `ProgramError`, as engines trust what has passed here."""
    shapes = [_shape("the image", image)]
    if not operations:
        raise ProgramError("a program needs at least one operation, this one has none")
    for number, operation in enumerate(operations):
        name = f"operation {number} ({operation.kind})"
        for tensor in inputs_of(operation):
            _whole(name, "an input", tensor, 0, len(shapes) - 1)
        shape = _RULES[type(operation)](name, operation, shapes)
        shapes.append(_shape(name, shape))
        epilogue = getattr(operation, "epilogue", None)
        if epilogue is not None:
            _check_epilogue(name, epilogue, shapes)
    if sum(shape.size for shape in shapes) > LARGEST_PROGRAM:
        raise ProgramError(f"the program's tensors hold more than {LARGEST_PROGRAM} numbers together")
    if shapes[-1].size != shapes[-1].channels:
        raise ProgramError(f"the last operation must put out one number a class, not {tuple(shapes[-1])}")
    return tuple(shapes)


def _whole(name: str, what: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ProgramError(f"{name}: {what} must be a whole number from {low} to {high}, got {_short(value)}")
    return value


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a huge number"
    return text if len(text) <= 40 else text[:37] + "..."


def _shape(name: str, shape: Shape) -> Shape:
    _whole(name, "the number of channels", shape.channels, 1, LARGEST_CHANNELS)
    _whole(name, "the height", shape.height, 1, LARGEST_SIDE)
    _whole(name, "the width", shape.width, 1, LARGEST_SIDE)
    if shape.size > LARGEST_TENSOR:
        raise ProgramError(f"{name}: a tensor holds at most {LARGEST_TENSOR} numbers, not {shape.size}")
    return shape


def _check_geometry(name: str, geometry: Geometry, given: Shape, out_channels: int) -> Shape:
    """What a window makes of a shape."""
    _whole(name, "the kernel size", geometry.kernel_size, 1, 255)
    _whole(name, "the stride", geometry.stride, 1, 255)
    _whole(name, "the padding", geometry.padding, 0, 1024)
    _whole(name, "the dilation", geometry.dilation, 1, 255)
    _whole(name, "the number of groups", geometry.groups, 1, given.channels)
    _whole(name, "the number of output channels", out_channels, 1, LARGEST_CHANNELS)
    if given.channels % geometry.groups or out_channels % geometry.groups:
        raise ProgramError(
            f"{name}: {geometry.groups} groups do not divide {given.channels} input and {out_channels} output channels"
        )
    height, width = geometry.out_size(given.height), geometry.out_size(given.width)
    if height < 1 or width < 1:
        raise ProgramError(f"{name}: a window that is larger than its padded input {given.height}×{given.width}")
    return Shape(out_channels, height, width)


def _check_array(name: str, what: str, array: object, shape: tuple[int, ...], *types: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.type not in types:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else _short(array)
        kinds = " or ".join(kind.__name__ for kind in types)
        raise ProgramError(f"{name}: {what} must be {kinds} of shape {shape}, got {found}")
    if array.dtype == np.float32 and not np.isfinite(array).all():
        raise ProgramError(f"{name}: {what} holds numbers that are not finite")


def _check_epilogue(name: str, epilogue: Epilogue, shapes: Sequence[Shape]) -> None:
    out = shapes[-1]
    channels = (out.channels,)
    for what in ("factor", "constant"):
        if getattr(epilogue, what) is not None:
            _check_array(name, what, getattr(epilogue, what), channels, np.float32)
    if epilogue.shortcut is not None:
        given = shapes[epilogue.shortcut]
        stride = given.height // out.height
        if stride < 1 or (stride * out.height, stride * out.width) != (given.height, given.width):
            raise ProgramError(
                f"{name}: a shortcut of {given.height}×{given.width} is no multiple of {out.height}×{out.width}"
            )
    for what in ("slope", "shift"):
        if epilogue.activation is Activation.RPRELU:
            _check_array(name, what, getattr(epilogue, what), channels, np.float32)
        elif getattr(epilogue, what) is not None:
            raise ProgramError(f"{name}: only an rprelu has a {what}")
    bounds = (epilogue.low, epilogue.high)
    if not all(type(bound) is float and math.isfinite(bound) for bound in bounds) or bounds[0] > bounds[1]:
        raise ProgramError(f"{name}: a clip needs two finite bounds in ascending order, got {_short(bounds)}")


def _float_convolution(name: str, operation: FloatConvolution, shapes: Sequence[Shape]) -> Shape:
    given, geometry = shapes[operation.input], operation.geometry
    shape = _check_geometry(name, geometry, given, operation.out_channels)
    kernel = geometry.kernel_size
    weights = (kernel, kernel, given.channels // geometry.groups, operation.out_channels)
    _check_array(name, "weight", operation.weight, weights, np.float32, np.int8)
    return shape


def _binary_convolution(name: str, operation: BinaryConvolution, shapes: Sequence[Shape]) -> Shape:
    given, geometry = shapes[operation.input], operation.geometry
    shape = _check_geometry(name, geometry, given, operation.out_channels)
    terms = geometry.kernel_size**2 * (given.channels // geometry.groups)
    if terms > LARGEST_TERMS:
        raise ProgramError(f"{name}: a sum has {terms} terms, more than {LARGEST_TERMS}; use more groups")
    _check_array(name, "threshold", operation.threshold, (given.channels,), np.float32)
    _check_array(name, "bits", operation.bits, (-(-terms * operation.out_channels // 8),), np.uint8)
    return shape


def _linear(name: str, operation: Linear, shapes: Sequence[Shape]) -> Shape:
    _whole(name, "the number of output channels", operation.out_channels, 1, LARGEST_CHANNELS)
    weights = (shapes[operation.input].size, operation.out_channels)
    _check_array(name, "weight", operation.weight, weights, np.float32)
    return Shape(operation.out_channels, 1, 1)


def _pool(name: str, operation: Pool, shapes: Sequence[Shape]) -> Shape:
    given, geometry = shapes[operation.input], operation.geometry
    if geometry.dilation != 1 or geometry.groups != 1:
        raise ProgramError(f"{name}: a pool has no dilation and no groups")
    shape = _check_geometry(name, geometry, given, given.channels)
    if geometry.padding > geometry.kernel_size // 2:  # else a window could hold padding alone
        raise ProgramError(f"{name}: a pool is padded by at most half its window, not by {geometry.padding}")
    return shape


def _concatenate(name: str, operation: Concatenate, shapes: Sequence[Shape]) -> Shape:
    if not operation.inputs:
        raise ProgramError(f"{name}: there is nothing to concatenate")
    first = shapes[operation.inputs[0]]
    for tensor in operation.inputs:
        if shapes[tensor][1:] != first[1:]:
            raise ProgramError(f"{name}: tensors of different heights or widths cannot be concatenated")
    return Shape(sum(shapes[tensor].channels for tensor in operation.inputs), first.height, first.width)


def _pointwise(_name: str, operation: Pointwise, shapes: Sequence[Shape]) -> Shape:
    return shapes[operation.input]


def _global_average(_name: str, operation: GlobalAverage, shapes: Sequence[Shape]) -> Shape:
    return Shape(shapes[operation.input].channels, 1, 1)


def _zero(_name: str, operation: Zero, _shapes: Sequence[Shape]) -> Shape:
    return operation.shape


_RULES: dict[type[Operation], Callable[..., Shape]] = {
    FloatConvolution: _float_convolution,
    BinaryConvolution: _binary_convolution,
    Linear: _linear,
    Pointwise: _pointwise,
    Pool: _pool,
    GlobalAverage: _global_average,
    Concatenate: _concatenate,
    Zero: _zero,
}
