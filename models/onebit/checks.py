"""Checks that operations fit each other: shapes from the image to the logits, and every field within its bounds."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import assert_never

import numpy as np

from models.onebit import operations as op


def check(image: op.Shape, operations: Sequence[op.Operation]) -> tuple[op.Shape, ...]:
    """The shapes of all tensors. Raises `ProgramError`, as engines trust what has passed here."""
    shapes: list[op.Shape] = []
    with _naming("the image"):
        shapes.append(_checked(image))
    if not operations:
        raise op.ProgramError("a program needs at least one operation, this one has none")
    for number, operation in enumerate(operations):
        with _naming(f"operation {number} ({operation.kind})"):
            for tensor in op.inputs_of(operation):
                _whole("an input", tensor, 0, len(shapes) - 1)
            shapes.append(_checked(_shape_after(operation, shapes)))
            _check_epilogue(operation.epilogue, shapes)
    if sum(shape.size for shape in shapes) > op.LARGEST_PROGRAM:
        raise op.ProgramError(f"the program's tensors hold more than {op.LARGEST_PROGRAM} numbers together")
    return tuple(shapes)


def require_logits(shape: op.Shape) -> None:
    """Raise `ProgramError` where what a program puts out is a map."""
    if shape.size != shape.channels:
        raise op.ProgramError(f"the last operation must put out one number per class, not {tuple(shape)}")


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Begins the messages of errors in the block with what is wrong."""
    try:
        yield
    except op.ProgramError as error:
        raise op.ProgramError(f"{what}: {error}") from None


def _shape_after(operation: op.Operation, shapes: Sequence[op.Shape]) -> op.Shape:
    """The shape of what an operation puts out, once its fields but for the epilogue are checked."""
    match operation:
        case op.FloatConvolution(input=tensor, out_channels=out_channels, geometry=geometry):
            shape = _check_geometry(geometry, shapes[tensor], out_channels)
            kernel, per_group = geometry.kernel_size, shapes[tensor].channels // geometry.groups
            _check_array("weight", operation.weight, (kernel, kernel, per_group, out_channels), np.float32, np.int8)
            return shape
        case op.BinaryConvolution(input=tensor, out_channels=out_channels, geometry=geometry):
            shape = _check_geometry(geometry, shapes[tensor], out_channels)
            terms = geometry.kernel_size**2 * (shapes[tensor].channels // geometry.groups)
            if terms > op.LARGEST_TERMS:
                raise op.ProgramError(f"a sum has {terms} terms, more than {op.LARGEST_TERMS}; use more groups")
            _check_array("threshold", operation.threshold, (shapes[tensor].channels,), np.float32)
            _check_array("bits", operation.bits, (-(-terms * out_channels // 8),), np.uint8)
            return shape
        case op.Linear(input=tensor, out_channels=out_channels):
            _whole("the number of output channels", out_channels, 1, op.LARGEST_CHANNELS)
            _check_array("weight", operation.weight, (shapes[tensor].size, out_channels), np.float32)
            return op.Shape(out_channels, 1, 1)
        case op.Pointwise(input=tensor):
            return shapes[tensor]
        case op.Product(input=tensor, by=by):
            shape, given = shapes[tensor], shapes[by]
            if given not in (shape, op.Shape(shape.channels, 1, 1)):
                raise op.ProgramError(
                    f"{tuple(shape)} is multiplied by its own shape or by one number per channel, not by {tuple(given)}"
                )
            return shape
        case op.Pool(input=tensor, geometry=geometry):
            if geometry.dilation != 1 or geometry.groups != 1:
                raise op.ProgramError("a pool has no dilation and no groups")
            shape = _check_geometry(geometry, shapes[tensor], shapes[tensor].channels)
            if geometry.padding > geometry.kernel_size // 2:  # else a window could hold padding alone
                raise op.ProgramError(f"a pool is padded by at most half its window, not by {geometry.padding}")
            return shape
        case op.GlobalAverage(input=tensor):
            return op.Shape(shapes[tensor].channels, 1, 1)
        case op.Concatenate(inputs=tensors):
            if not tensors:
                raise op.ProgramError("a concatenation needs at least one tensor")
            first = shapes[tensors[0]]
            if any(shapes[tensor][1:] != first[1:] for tensor in tensors):
                raise op.ProgramError("tensors of different heights or widths cannot be concatenated")
            return op.Shape(sum(shapes[tensor].channels for tensor in tensors), first.height, first.width)
        case op.Zero(shape=shape):
            return shape
        case _:
            assert_never(operation)


def _whole(what: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise op.ProgramError(f"{what} must be a whole number from {low} to {high}, got {_short(value)}")
    return value


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a huge number"
    return text if len(text) <= 40 else text[:37] + "..."


def _checked(shape: op.Shape) -> op.Shape:
    _whole("the number of channels", shape.channels, 1, op.LARGEST_CHANNELS)
    _whole("the height", shape.height, 1, op.LARGEST_SIDE)
    _whole("the width", shape.width, 1, op.LARGEST_SIDE)
    if shape.size > op.LARGEST_TENSOR:
        raise op.ProgramError(f"a tensor holds at most {op.LARGEST_TENSOR} numbers, not {shape.size}")
    return shape


def _check_geometry(geometry: op.Geometry, given: op.Shape, out_channels: int) -> op.Shape:
    """What a window makes of a shape."""
    _whole("the kernel size", geometry.kernel_size, 1, 255)
    _whole("the stride", geometry.stride, 1, 255)
    _whole("the padding", geometry.padding, 0, 1024)
    _whole("the dilation", geometry.dilation, 1, 255)
    _whole("the number of groups", geometry.groups, 1, given.channels)
    _whole("the number of output channels", out_channels, 1, op.LARGEST_CHANNELS)
    if given.channels % geometry.groups or out_channels % geometry.groups:
        raise op.ProgramError(
            f"{geometry.groups} groups do not divide {given.channels} input and {out_channels} output channels"
        )
    height, width = geometry.out_size(given.height), geometry.out_size(given.width)
    if height < 1 or width < 1:
        raise op.ProgramError(f"a window that is larger than its padded input {given.height}×{given.width}")
    return op.Shape(out_channels, height, width)


def _check_array(what: str, array: object, shape: tuple[int, ...], *types: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.type not in types:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else _short(array)
        kinds = " or ".join(kind.__name__ for kind in types)
        raise op.ProgramError(f"{what} must be {kinds} of shape {shape}, got {found}")
    if array.dtype == np.float32 and not np.isfinite(array).all():
        raise op.ProgramError(f"{what} holds numbers that are not finite")


def _check_epilogue(epilogue: op.Epilogue, shapes: Sequence[op.Shape]) -> None:
    out = shapes[-1]
    channels = (out.channels,)
    for what in ("factor", "constant"):
        if getattr(epilogue, what) is not None:
            _check_array(what, getattr(epilogue, what), channels, np.float32)
    if epilogue.shortcut is not None:
        given = shapes[epilogue.shortcut]
        stride = given.height // out.height
        if stride < 1 or (stride * out.height, stride * out.width) != (given.height, given.width):
            raise op.ProgramError(
                f"a shortcut of {given.height}×{given.width} is not a multiple of {out.height}×{out.width}"
            )
    for what in ("slope", "shift"):
        if epilogue.activation is op.Activation.RPRELU:
            _check_array(what, getattr(epilogue, what), channels, np.float32)
        elif getattr(epilogue, what) is not None:
            raise op.ProgramError(f"only an rprelu has a {what}")
    bounds = (epilogue.low, epilogue.high)
    if not all(type(bound) is float and math.isfinite(bound) for bound in bounds) or bounds[0] > bounds[1]:
        raise op.ProgramError(f"a clip needs two finite bounds in ascending order, got {_short(bounds)}")
