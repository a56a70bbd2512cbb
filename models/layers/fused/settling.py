"""Triton kernels on numbers per channel: sums over chunks of pixels, and what a batch norm makes of them.

A program works on some channels. Everything is computed in float64, which costs nothing for so few numbers.
"""

# Triton's functions have no types
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false

import triton
import triton.language as tl


@triton.jit
def _total(values, chunks, channels, channel, there, R: tl.constexpr, C: tl.constexpr):
    """The sum of (chunks, channels) over chunks, for some channels."""
    total = tl.zeros((R, C), dtype=tl.float64)
    for start in range(0, chunks, R):
        chunk = start + tl.arange(0, R)
        inside = (chunk < chunks)[:, None] & there[None, :]
        total += tl.load(values + chunk[:, None] * channels + channel[None, :], mask=inside, other=0.0)
    return tl.sum(total, 0)


@triton.jit
def _number(values, channel, there):
    return tl.load(values + channel, mask=there, other=0.0).to(tl.float64)


@triton.jit(do_not_specialize=("chunks", "channels", "declared"))
def shift_gradient(totals, out, chunks, channels, declared, R: tl.constexpr, C: tl.constexpr):
    """Sums over chunks, and zeros for the channels that were not used; `out` (declared,)."""
    channel = tl.program_id(0) * C + tl.arange(0, C)
    total = _total(totals, chunks, channels, channel, channel < channels, R, C)
    tl.store(out + channel, total.to(out.dtype.element_ty), mask=channel < declared)


@triton.jit(do_not_specialize=("chunks", "channels", "pixels", "chunk_pixels", "momentum", "momentum_rest"))
def statistics(means, squares, scale, weight, bias, shift, running_mean, running_var, out,
               chunks, channels, pixels, chunk_pixels, momentum, momentum_rest,
               EPSILON: tl.constexpr, HAS_SCALE: tl.constexpr, R: tl.constexpr, C: tl.constexpr):  # fmt: skip
    """The moments of chunks become those of all pixels; running statistics move; `out` (4, channels) has the mean and
    the inverse deviation of the sums, and batch norm + shift as a factor and a constant (see `Tail`).

    The momentum comes in two halves of 24 bits, as Triton passes no float64.
    """
    channel = tl.program_id(0) * C + tl.arange(0, C)
    there = channel < channels
    weighted = tl.zeros((R, C), dtype=tl.float64)
    for start in range(0, chunks, R):
        chunk = start + tl.arange(0, R)
        inside = (chunk < chunks)[:, None] & there[None, :]
        count = tl.minimum(pixels - chunk * chunk_pixels, chunk_pixels).to(tl.float64)
        each = tl.load(means + chunk[:, None] * channels + channel[None, :], mask=inside, other=0.0).to(tl.float64)
        weighted += tl.where(inside, each * count[:, None], 0.0)
    mean = tl.sum(weighted, 0) / pixels
    spread = tl.zeros((R, C), dtype=tl.float64)
    for start in range(0, chunks, R):
        chunk = start + tl.arange(0, R)
        inside = (chunk < chunks)[:, None] & there[None, :]
        count = tl.minimum(pixels - chunk * chunk_pixels, chunk_pixels).to(tl.float64)
        places = chunk[:, None] * channels + channel[None, :]
        away = tl.load(means + places, mask=inside, other=0.0).to(tl.float64) - mean[None, :]
        square = tl.load(squares + places, mask=inside, other=0.0).to(tl.float64)
        spread += tl.where(inside, square + away * away * count[:, None], 0.0)
    variance = tl.sum(spread, 0) / pixels
    scaled_mean = mean
    inverse = tl.full((C,), 1.0, tl.float64)
    if HAS_SCALE:
        inverse = _number(scale, channel, there)
        scaled_mean = mean * inverse
        variance = variance * inverse * inverse
    share = (tl.zeros((C,), dtype=tl.float64) + momentum) + momentum_rest
    old_mean = _number(running_mean, channel, there)
    old_var = _number(running_var, channel, there)
    unbiased = variance * (pixels.to(tl.float64) / (pixels - 1))
    kind = running_mean.dtype.element_ty
    tl.store(running_mean + channel, (old_mean + share * (scaled_mean - old_mean)).to(kind), mask=there)
    tl.store(running_var + channel, (old_var + share * (unbiased - old_var)).to(kind), mask=there)
    inverse = inverse / tl.sqrt(variance + tl.full((C,), EPSILON, tl.float64))
    factor = _number(weight, channel, there) * inverse
    constant = _number(bias, channel, there) - factor * mean + _number(shift, channel, there)
    kind = out.dtype.element_ty
    tl.store(out + channel, mean.to(kind), mask=there)
    tl.store(out + channels + channel, inverse.to(kind), mask=there)
    tl.store(out + 2 * channels + channel, factor.to(kind), mask=there)
    tl.store(out + 3 * channels + channel, constant.to(kind), mask=there)


@triton.jit(do_not_specialize=("chunks", "channels", "declared", "pixels"))
def tail_parameters(totals, inverse, out, coefficients, chunks, channels, declared, pixels,
                    BATCH: tl.constexpr, R: tl.constexpr, C: tl.constexpr):  # fmt: skip
    """Gradients of a tail's weight, bias, shift_in, slope and shift_out, `out` (5, declared), zeros where channels are
    not used; and the two numbers per channel, `coefficients` (2, channels), by which `tail_gradient` takes the
    statistics into account where they are the batch's."""
    channel = tl.program_id(0) * C + tl.arange(0, C)
    there = channel < channels
    size = chunks * channels
    to_u = _total(totals, chunks, channels, channel, there, R, C)
    dot = _total(totals + size, chunks, channels, channel, there, R, C)
    to_slope = _total(totals + 2 * size, chunks, channels, channel, there, R, C)
    total = _total(totals + 3 * size, chunks, channels, channel, there, R, C)
    i = _number(inverse, channel, there)
    kind = out.dtype.element_ty
    used = channel < declared
    tl.store(out + channel, (dot * i).to(kind), mask=used)
    tl.store(out + declared + channel, to_u.to(kind), mask=used)
    tl.store(out + 2 * declared + channel, to_u.to(kind), mask=used)
    tl.store(out + 3 * declared + channel, to_slope.to(kind), mask=used)
    tl.store(out + 4 * declared + channel, total.to(kind), mask=used)
    part = tl.zeros((C,), dtype=tl.float64)
    line = tl.zeros((C,), dtype=tl.float64)
    if BATCH:
        part = to_u / pixels
        line = dot * i * i / pixels
    tl.store(coefficients + channel, part.to(kind), mask=there)
    tl.store(coefficients + channels + channel, line.to(kind), mask=there)
