"""Triton kernels on weights: from the shared weight of a layer to what a convolution multiplies with, and back.

A program works on one filter, whose numbers are read tap by tap: a kernel of `side` x `side` taps is the middle of the
stored ones, `margin` taps within them. Filters read runs of stored inputs in turn (`models.nasbnn.sharing`). What comes
out lies as (filters, taps, inputs), which is how convolutions want it. Only the number of taps is compiled in.
"""

# Triton's functions have no types
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false

import triton
import triton.language as tl

_PLACES = ("by_filter", "by_input", "by_tap", "large", "margin", "side", "size", "runs", "inputs")
"""Arguments for whose values nothing is compiled anew."""


@triton.jit
def _stored(by_filter, by_input, size, runs, channel):
    """Where inputs of this program's filter are stored."""
    filter_ = tl.program_id(0)
    start = (filter_ // size) % runs * size
    return filter_.to(tl.int64) * by_filter + (start + channel) * by_input


@triton.jit(do_not_specialize=(*_PLACES, "degrees"))
def prepare(weight, matrix, cut, normal, kernel, scale, inverses,
            by_filter, by_input, by_tap, large, margin, side, size, runs, inputs, degrees,
            EPSILON: tl.constexpr, HAS_MATRIX: tl.constexpr, NORMALISED: tl.constexpr,
            BINARY: tl.constexpr, SEPARATE: tl.constexpr,
            T: tl.constexpr, I: tl.constexpr, TAPS: tl.constexpr):  # fmt: skip
    """Cut, transform by a matrix (TAPS, side * side), normalise, and take the sign, with its scale (mean |w|).

    `cut` (filters, side * side, inputs) keeps what was cut where there is a matrix. `normal` (filters, TAPS, inputs)
    and `inverses` (filters,) keep the normalised weights and by what they were multiplied; `kernel` is their sign, or
    they in its type, where it is a tensor of its own.
    """
    filter_ = tl.program_id(0)
    tap = tl.arange(0, T)
    kind = normal.dtype.element_ty
    base = filter_.to(tl.int64) * TAPS * inputs
    total = tl.zeros((T, I), dtype=kind)
    for start in range(0, inputs, I):
        channel = start + tl.arange(0, I)
        inside = (tap < TAPS)[:, None] & (channel < inputs)[None, :]
        stored = _stored(by_filter, by_input, size, runs, channel)
        if HAS_MATRIX:
            value = tl.zeros((T, I), dtype=kind)
            for old in range(side * side):
                place = ((old // side + margin) * large + old % side + margin) * by_tap
                row = tl.load(weight + stored + place, mask=channel < inputs, other=0.0)
                into = (filter_.to(tl.int64) * side * side + old) * inputs + channel
                tl.store(cut + into, row, mask=channel < inputs)
                column = tl.load(matrix + tap * side * side + old, mask=tap < TAPS, other=0.0)
                value += column[:, None] * row[None, :]
        else:
            places = stored[None, :] + ((tap // side + margin) * large + tap % side + margin)[:, None] * by_tap
            value = tl.load(weight + places, mask=inside, other=0.0)
        total += value
        tl.store(normal + base + tap[:, None] * inputs + channel[None, :], value, mask=inside)
    count = (TAPS * inputs).to(kind)
    mean = tl.sum(tl.sum(total, 1), 0) / count
    inverse = mean * 0 + 1
    if NORMALISED:
        tl.debug_barrier()  # what is read now was written by other threads
        total = tl.zeros((T, I), dtype=kind)
        for start in range(0, inputs, I):
            channel = start + tl.arange(0, I)
            inside = (tap < TAPS)[:, None] & (channel < inputs)[None, :]
            value = tl.load(normal + base + tap[:, None] * inputs + channel[None, :], mask=inside, other=0.0)
            value = tl.where(inside, value - mean, 0.0)
            total += value * value
        variance = tl.sum(tl.sum(total, 1), 0) / degrees.to(kind)
        inverse = 1 / tl.sqrt(variance + tl.full((), EPSILON, kind))
        tl.store(inverses + filter_, inverse)
    if NORMALISED or SEPARATE:
        tl.debug_barrier()
        total = tl.zeros((T, I), dtype=kind)
        for start in range(0, inputs, I):
            channel = start + tl.arange(0, I)
            inside = (tap < TAPS)[:, None] & (channel < inputs)[None, :]
            places = base + tap[:, None] * inputs + channel[None, :]
            value = tl.load(normal + places, mask=inside, other=0.0)
            if NORMALISED:
                value = tl.where(inside, (value - mean) * inverse, 0.0)
                tl.store(normal + places, value, mask=inside)
            if BINARY:
                total += tl.abs(value)
                value = tl.where(value >= 0, 1.0, -1.0)
            if SEPARATE:
                tl.store(kernel + places, value.to(kernel.dtype.element_ty), mask=inside)
        if BINARY:
            tl.store(scale + filter_, tl.sum(tl.sum(total, 1), 0) / count)


@triton.jit(do_not_specialize=(*_PLACES, "degrees"))
def prepare_gradient(gradient, normal, inverses, out,
                     by_filter, by_input, by_tap, large, margin, side, size, runs, inputs, degrees,
                     LAID: tl.constexpr, NORMALISED: tl.constexpr, BINARY: tl.constexpr,
                     T: tl.constexpr, I: tl.constexpr, TAPS: tl.constexpr):  # fmt: skip
    """Back through the sign (where |w| <= 1) and the normalisation. `out` has the shape of the stored weight where it
    is laid there; else (filters, TAPS, inputs), for a matrix to come."""
    filter_ = tl.program_id(0)
    tap = tl.arange(0, T)
    kind = normal.dtype.element_ty
    base = filter_.to(tl.int64) * TAPS * inputs
    mean = tl.zeros((), dtype=kind)
    along = tl.zeros((), dtype=kind)
    inverse = tl.full((), 1.0, kind)
    if NORMALISED:
        inverse = tl.load(inverses + filter_)
        total = tl.zeros((T, I), dtype=kind)
        dot = tl.zeros((T, I), dtype=kind)
        for start in range(0, inputs, I):
            channel = start + tl.arange(0, I)
            inside = (tap < TAPS)[:, None] & (channel < inputs)[None, :]
            places = base + tap[:, None] * inputs + channel[None, :]
            value = tl.load(normal + places, mask=inside, other=0.0)
            g = tl.load(gradient + places, mask=inside, other=0.0).to(kind)
            if BINARY:
                g = tl.where(tl.abs(value) <= 1, g, 0.0)
            total += g
            dot += g * value
        mean = tl.sum(tl.sum(total, 1), 0) / (TAPS * inputs).to(kind)
        along = tl.sum(tl.sum(dot, 1), 0) / degrees.to(kind)
    for start in range(0, inputs, I):
        channel = start + tl.arange(0, I)
        inside = (tap < TAPS)[:, None] & (channel < inputs)[None, :]
        places = base + tap[:, None] * inputs + channel[None, :]
        value = tl.load(normal + places, mask=inside, other=0.0)
        g = tl.load(gradient + places, mask=inside, other=0.0).to(kind)
        if BINARY:
            g = tl.where(tl.abs(value) <= 1, g, 0.0)
        if NORMALISED:
            g = (g - value * along - mean) * inverse
        if LAID:
            stored = _stored(by_filter, by_input, size, runs, channel)
            places = stored[None, :] + ((tap // side + margin) * large + tap % side + margin)[:, None] * by_tap
        tl.store(out + places, g, mask=inside)


@triton.jit(do_not_specialize=_PLACES)
def lay(gradient, matrix, out, by_filter, by_input, by_tap, large, margin, side, size, runs, inputs,
        T: tl.constexpr, I: tl.constexpr, TAPS: tl.constexpr):  # fmt: skip
    """The transposed matrix on a gradient (filters, TAPS, inputs), laid where the cut was taken from; T covers
    side * side."""
    filter_ = tl.program_id(0)
    old = tl.arange(0, T)
    square = side * side
    for start in range(0, inputs, I):
        channel = start + tl.arange(0, I)
        value = tl.zeros((T, I), dtype=out.dtype.element_ty)
        for tap in range(TAPS):
            places = (filter_.to(tl.int64) * TAPS + tap) * inputs + channel
            row = tl.load(gradient + places, mask=channel < inputs, other=0.0)
            line = tl.load(matrix + tap * square + old, mask=old < square, other=0.0)
            value += line[:, None] * row[None, :]
        inside = (old < square)[:, None] & (channel < inputs)[None, :]
        stored = _stored(by_filter, by_input, size, runs, channel)
        places = stored[None, :] + ((old // side + margin) * large + old % side + margin)[:, None] * by_tap
        tl.store(out + places, value, mask=inside)
