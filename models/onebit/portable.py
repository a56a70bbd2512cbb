"""The engine that runs everywhere: numpy, with popcounts of 64-bit words. Exact; the native one is checked against it.

Floats are added in a fixed order and every operation rounds once, so this engine and the native one, on any machine,
give the same bits.
"""

from itertools import product
from typing import assert_never

import numpy as np
import numpy.typing as npt

from models.onebit import operations as op
from models.onebit.program import Program

Words = npt.NDArray[np.uint64]
_AT_ONCE = 2**22
"""Words in the largest temporary array."""


def run(program: Program, images: op.Floats) -> op.Floats:
    """Logits: (N, H, W, C) -> (N, classes), float32."""
    return run_all(program, images)[-1].reshape(len(images), program.classes)


def run_all(program: Program, images: op.Floats) -> list[op.Floats]:
    """All tensors, each (N, H, W, C); the first one is `images`."""
    tensors = [np.ascontiguousarray(images, np.float32)]
    for operation in program.operations:
        tensors.append(_finish(operation.epilogue, _sums(operation, tensors), tensors))
    return tensors


def binary_sums(operation: op.BinaryConvolution, x: op.Floats) -> npt.NDArray[np.int32]:
    """The integers that a binary convolution's epilogue reads: (N, H, W, in) -> (N, h, w, out)."""
    weights = op.signs_of(operation, x.shape[3])
    bits = x >= operation.threshold
    return np.stack([_sums_of_one(operation, image, weights) for image in bits])


def _sums(operation: op.Operation, tensors: list[op.Floats]) -> npt.NDArray[np.generic]:
    """What an operation's epilogue reads."""
    match operation:
        case op.BinaryConvolution():
            return binary_sums(operation, tensors[operation.input])
        case op.FloatConvolution():
            return _float_sums(operation.geometry, operation.weight, tensors[operation.input])
        case op.Linear():
            flat = tensors[operation.input].reshape(len(tensors[0]), 1, 1, -1)
            return _float_sums(op.Geometry(1), operation.weight[None, None], flat)
        case op.Pointwise():
            return tensors[operation.input]
        case op.Product():
            return tensors[operation.input] * tensors[operation.by]
        case op.Pool():
            return _pool(operation, tensors[operation.input])
        case op.GlobalAverage():
            return _mean_of_squares(tensors[operation.input], *tensors[operation.input].shape[1:3])
        case op.Concatenate():
            return np.concatenate([tensors[number] for number in operation.inputs], axis=3)
        case op.Zero(shape):
            return np.zeros((len(tensors[0]), shape.height, shape.width, shape.channels), np.float32)
        case _:
            assert_never(operation)


def _words(bits: npt.NDArray[np.bool_]) -> Words:
    """(..., channels) -> (..., words): 64 channels a word, the last one filled up with zeros."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    padding = [(0, 0)] * (packed.ndim - 1) + [(0, -packed.shape[-1] % 8)]
    return np.ascontiguousarray(np.pad(packed, padding)).view(np.uint64)


def _sums_of_one(
    operation: op.BinaryConvolution, bits: npt.NDArray[np.bool_], weights: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """The sums of one image, tap by tap: (H, W, in) -> (h, w, out); where a tap meets padding it adds nothing."""
    geometry, groups = operation.geometry, operation.geometry.groups
    height, width, channels = bits.shape
    size = geometry.out_size(height), geometry.out_size(width)
    sums = np.zeros((*size, groups, operation.out_channels // groups), np.int32)
    x = _words(bits.reshape(height, width, groups, channels // groups))
    w = _words(weights).reshape(groups, -1, *weights.shape[1:3], -(-channels // groups // 64))
    for ky, kx in product(range(geometry.kernel_size), repeat=2):
        (to_y, from_y), (to_x, from_x) = (
            _overlap(geometry, tap, before, after)
            for tap, before, after in ((ky, height, size[0]), (kx, width, size[1]))
        )
        part = x[from_y, from_x]
        for group in range(groups):
            found = _products(operation.encoding, part[:, :, group], w[group, :, ky, kx], channels // groups)
            sums[to_y, to_x, group] += found
    return sums.reshape(*size, -1)


def _overlap(geometry: op.Geometry, tap: int, before: int, after: int) -> tuple[slice, slice]:
    """Which outputs a tap reaches without meeting padding, and the inputs that it reads for them, along one axis."""
    offset = tap * geometry.dilation - geometry.padding
    first = max(0, -(offset // geometry.stride))
    last = min(after - 1, (before - 1 - offset) // geometry.stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    start = first * geometry.stride + offset
    return slice(first, last + 1), slice(start, last * geometry.stride + offset + 1, geometry.stride)


def _products(encoding: op.Encoding, x: Words, w: Words, channels: int) -> npt.NDArray[np.int32]:
    """Sums over channels: (h, w, words) and (out, words) -> (h, w, out)."""
    result = np.empty((*x.shape[:2], len(w)), np.int32)
    rows = max(1, _AT_ONCE // max(1, x.shape[1] * w.size))
    for start in range(0, len(x), rows):
        part = x[start : start + rows, :, None]
        if encoding is op.Encoding.SIGNS:  # equal bits add one, others take one away
            counts = np.bitwise_count(part ^ w).sum(-1, dtype=np.int32)
            result[start : start + rows] = channels - 2 * counts
        else:
            positive, all_set = np.bitwise_count(part & w), np.bitwise_count(part)
            result[start : start + rows] = 2 * positive.sum(-1, dtype=np.int32) - all_set.sum(-1, dtype=np.int32)
    return result


def _float_sums(geometry: op.Geometry, weight: npt.NDArray[np.generic], x: op.Floats) -> op.Floats:
    """Sums over taps and channels one after the other, padding included, as (N, h, w, out)."""
    size = [geometry.out_size(side) for side in x.shape[1:3]]
    padding = (geometry.padding, geometry.padding)
    x = np.pad(x, ((0, 0), padding, padding, (0, 0)))
    parts: list[op.Floats] = []
    per_group = weight.shape[3] // geometry.groups
    for group in range(geometry.groups):
        columns = slice(group * per_group, (group + 1) * per_group)
        sums = np.zeros((len(x), *size, per_group), np.float32)
        for ky, kx, channel in product(range(weight.shape[0]), range(weight.shape[1]), range(weight.shape[2])):
            rows, cols = (
                slice(tap * geometry.dilation, tap * geometry.dilation + (n - 1) * geometry.stride + 1, geometry.stride)
                for tap, n in ((ky, size[0]), (kx, size[1]))
            )
            values = x[:, rows, cols, group * weight.shape[2] + channel, None]
            sums += values * weight[ky, kx, channel, columns].astype(np.float32)
        parts.append(sums)
    return np.concatenate(parts, axis=3)


def _finish(epilogue: op.Epilogue, sums: npt.NDArray[np.generic], tensors: list[op.Floats]) -> op.Floats:
    """What an `Epilogue` makes of sums, one rounding after the other."""
    v = sums.astype(np.float32)
    if epilogue.factor is not None:
        v *= epilogue.factor
    if epilogue.constant is not None:
        v += epilogue.constant
    if epilogue.shortcut is not None:
        shortcut = tensors[epilogue.shortcut]
        stride = shortcut.shape[1] // v.shape[1]
        if stride > 1:
            shortcut = _mean_of_squares(shortcut, stride, stride)
        v += shortcut[..., np.arange(v.shape[3]) % shortcut.shape[3]]
    if epilogue.activation is op.Activation.RELU:
        return np.where(v > 0, v, np.float32(0))
    if epilogue.activation is op.Activation.RPRELU:
        assert epilogue.slope is not None
        assert epilogue.shift is not None
        return np.where(v > 0, v, v * epilogue.slope) + epilogue.shift
    if epilogue.activation is op.Activation.CLIP:
        low, high = np.float32(epilogue.low), np.float32(epilogue.high)
        v = np.where(v > low, v, low)
        return np.where(v < high, v, high)
    return v


def _mean_of_squares(x: op.Floats, height: int, width: int) -> op.Floats:
    """Means of windows side by side, pixels added row by row: (N, H, W, C) -> (N, H / height, W / width, C)."""
    total = np.zeros((len(x), x.shape[1] // height, x.shape[2] // width, x.shape[3]), np.float32)
    for dy, dx in product(range(height), range(width)):
        total += x[:, dy::height, dx::width]
    return total / np.float32(height * width)


def _pool(operation: op.Pool, x: op.Floats) -> op.Floats:
    geometry = operation.geometry
    size = [geometry.out_size(side) for side in x.shape[1:3]]
    mean = operation.reduction is op.Reduction.MEAN
    result = np.full((len(x), *size, x.shape[3]), 0 if mean else -np.inf, np.float32)
    counts = np.zeros((*size, 1), np.float32)
    for ky, kx in product(range(geometry.kernel_size), repeat=2):
        (to_y, from_y), (to_x, from_x) = (
            _overlap(geometry, tap, before, after)
            for tap, before, after in ((ky, x.shape[1], size[0]), (kx, x.shape[2], size[1]))
        )
        part = result[:, to_y, to_x]
        values = x[:, from_y, from_x]
        part[:] = part + values if mean else np.where(values > part, values, part)
        counts[to_y, to_x] += 1
    return result / counts if mean else result
