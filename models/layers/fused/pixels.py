"""Triton kernels on activations: signs, what follows a convolution, and the gradients of both.

Activations lie as (pixels, channels), channels next to each other; `pixels` counts those of all images. A program
works on some pixels of some channels. Sums over pixels are taken in two steps, chunk by chunk and then over chunks
(`settling`), in an order that follows from the sizes alone: the same bits in every run. All sizes are arguments, so a
kernel is compiled once for all widths (and once more for widths that 16 divides, which Triton tells apart).
"""

# Triton's functions have no types
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false

import triton
import triton.language as tl


@triton.jit
def _place(pixels, channels, step, P: tl.constexpr, C: tl.constexpr):
    """Offsets (P, C), those within the activations, channels (C,) and which of them there are."""
    pixel = step * P + tl.arange(0, P)
    channel = tl.program_id(1) * C + tl.arange(0, C)
    there = channel < channels
    offsets = pixel.to(tl.int64)[:, None] * channels + channel[None, :]
    return offsets, (pixel < pixels)[:, None] & there[None, :], channel, there


@triton.jit
def _before_prelu(sums, shortcut, factor, constant, step, pixels, channels, width, channel, offsets, inside,
                  P: tl.constexpr, HAS_SHORTCUT: tl.constexpr):  # fmt: skip
    """factor * sums + constant + shortcut, each rounded by itself, in the type of the factor; and the sums."""
    c = tl.load(sums + offsets, mask=inside, other=0.0).to(factor.dtype)
    u = c * factor[None, :] + constant[None, :]
    if HAS_SHORTCUT:
        pixel = step * P + tl.arange(0, P)
        repeated = pixel.to(tl.int64)[:, None] * width + (channel % width)[None, :]
        u += tl.load(shortcut + repeated, mask=inside, other=0.0)
    return u, c


@triton.jit(do_not_specialize=("pixels",))
def signs(x, shift, out, pixels, channels, P: tl.constexpr, C: tl.constexpr, BINARY: tl.constexpr):
    """The sign of x + shift, +1 at 0 (or x + shift itself), in the type of `out`."""
    offsets, inside, channel, there = _place(pixels, channels, tl.program_id(0), P, C)
    u = tl.load(x + offsets, mask=inside, other=0.0) + tl.load(shift + channel, mask=there, other=0.0)[None, :]
    if BINARY:
        u = tl.where(u >= 0, 1.0, -1.0)
    tl.store(out + offsets, u.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=("pixels", "rows"))
def signs_gradient(gradient, x, shift, of_shortcut, out, totals, pixels, channels, rows,
                   BOUND: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
                   BINARY: tl.constexpr, HAS_SHORTCUT: tl.constexpr):  # fmt: skip
    """The gradient of `signs` (2 / b (1 - |u| / b) where |u| <= b) plus that of the shortcut; sums of the first by
    chunks of `rows` steps, (chunks, channels)."""
    chunk = tl.program_id(0)
    channel = tl.program_id(1) * C + tl.arange(0, C)
    moved = tl.load(shift + channel, mask=channel < channels, other=0.0)
    total = tl.zeros((P, C), dtype=totals.dtype.element_ty)
    for step in range(chunk * rows, (chunk + 1) * rows):
        offsets, inside, _, _ = _place(pixels, channels, step, P, C)
        g = tl.load(gradient + offsets, mask=inside, other=0.0).to(totals.dtype.element_ty)
        if BINARY:
            u = tl.load(x + offsets, mask=inside, other=0.0) + moved[None, :]
            distance = tl.minimum(tl.abs(u) / tl.full((1, 1), BOUND, moved.dtype), 1.0)
            g = (g - g * distance) * tl.full((1, 1), 2 / BOUND, moved.dtype)
        total += g
        if HAS_SHORTCUT:
            g += tl.load(of_shortcut + offsets, mask=inside, other=0.0)
        tl.store(out + offsets, g, mask=inside)
    tl.store(totals + chunk * channels + channel, tl.sum(total, 0), mask=channel < channels)


@triton.jit(do_not_specialize=("pixels", "rows"))
def moments(sums, means, squares, pixels, channels, rows, P: tl.constexpr, C: tl.constexpr):
    """Means, and sums of squared deviations from them, of chunks of `rows` steps; both (chunks, channels).

    Welford's way, which loses no digits where a mean is large: each of P lanes has its own mean, then they are joined.
    """
    chunk = tl.program_id(0)
    mean = tl.zeros((P, C), dtype=means.dtype.element_ty)
    square = tl.zeros((P, C), dtype=means.dtype.element_ty)
    seen = tl.zeros((P, C), dtype=means.dtype.element_ty)
    for step in range(chunk * rows, (chunk + 1) * rows):
        offsets, inside, _, _ = _place(pixels, channels, step, P, C)
        c = tl.load(sums + offsets, mask=inside, other=0.0).to(means.dtype.element_ty)
        seen += tl.where(inside, 1.0, 0.0)
        difference = tl.where(inside, c - mean, 0.0)
        mean += difference / tl.maximum(seen, 1.0)
        square += difference * (c - mean)
    count = tl.maximum(tl.sum(seen, 0), 1.0)
    joined = tl.sum(seen * mean, 0) / count
    difference = mean - joined[None, :]
    square += seen * difference * difference
    channel = tl.program_id(1) * C + tl.arange(0, C)
    tl.store(means + chunk * channels + channel, joined, mask=channel < channels)
    tl.store(squares + chunk * channels + channel, tl.sum(square, 0), mask=channel < channels)


@triton.jit(do_not_specialize=("pixels",))
def tail(sums, shortcut, factor, constant, slope, shift, out, pixels, channels, width,
         P: tl.constexpr, C: tl.constexpr, HAS_SHORTCUT: tl.constexpr):  # fmt: skip
    """prelu(factor * sums + constant + shortcut) + shift, one rounding after the other (see `Tail.finish`)."""
    step = tl.program_id(0)
    offsets, inside, channel, there = _place(pixels, channels, step, P, C)
    f = tl.load(factor + channel, mask=there, other=0.0)
    k = tl.load(constant + channel, mask=there, other=0.0)
    u, _ = _before_prelu(sums, shortcut, f, k, step, pixels, channels, width, channel, offsets, inside, P, HAS_SHORTCUT)
    a = tl.load(slope + channel, mask=there, other=0.0)
    y = tl.where(u > 0, u, u * a[None, :]) + tl.load(shift + channel, mask=there, other=0.0)[None, :]
    tl.store(out + offsets, y, mask=inside)


@triton.jit(do_not_specialize=("pixels", "rows"))
def tail_totals(gradient, sums, shortcut, mean, factor, constant, slope, totals, pixels, channels, width, rows,
                P: tl.constexpr, C: tl.constexpr, HAS_SHORTCUT: tl.constexpr):  # fmt: skip
    """What the gradients of a tail's parameters are made of, (4, chunks, channels): sums over the pixels of a chunk of
    h = the gradient of u, of h (sums - mean), of the gradient times u where u <= 0, and of the gradient."""
    chunk = tl.program_id(0)
    channel = tl.program_id(1) * C + tl.arange(0, C)
    there = channel < channels
    m = tl.load(mean + channel, mask=there, other=0.0)
    f = tl.load(factor + channel, mask=there, other=0.0)
    k = tl.load(constant + channel, mask=there, other=0.0)
    a = tl.load(slope + channel, mask=there, other=0.0)
    to_u = tl.zeros((P, C), dtype=m.dtype)
    dot = tl.zeros((P, C), dtype=m.dtype)
    to_slope = tl.zeros((P, C), dtype=m.dtype)
    total = tl.zeros((P, C), dtype=m.dtype)
    for step in range(chunk * rows, (chunk + 1) * rows):
        offsets, inside, _, _ = _place(pixels, channels, step, P, C)
        u, c = _before_prelu(
            sums, shortcut, f, k, step, pixels, channels, width, channel, offsets, inside, P, HAS_SHORTCUT
        )
        g = tl.load(gradient + offsets, mask=inside, other=0.0)
        h = tl.where(u > 0, g, g * a[None, :])
        to_u += h
        dot += h * (c - m[None, :])
        to_slope += tl.where(u > 0, 0.0, g * u)
        total += g
    size = tl.num_programs(0) * channels
    into = totals + chunk * channels + channel
    tl.store(into, tl.sum(to_u, 0), mask=there)
    tl.store(into + size, tl.sum(dot, 0), mask=there)
    tl.store(into + 2 * size, tl.sum(to_slope, 0), mask=there)
    tl.store(into + 3 * size, tl.sum(total, 0), mask=there)


@triton.jit(do_not_specialize=("pixels", "copies"))
def tail_gradient(gradient, sums, shortcut, mean, factor, constant, slope, part, line, to_sums, to_shortcut,
                  pixels, channels, width, copies,
                  P: tl.constexpr, C: tl.constexpr, HAS_SHORTCUT: tl.constexpr):  # fmt: skip
    """Gradients of the sums, factor * (h - part - line (sums - mean)), and of a shortcut of `width` channels, the sum
    of h over its `copies`. A program works on some channels of the shortcut and goes through their copies."""
    step = tl.program_id(0)
    first = tl.program_id(1) * C + tl.arange(0, C)
    pixel = step * P + tl.arange(0, P)
    inside = (pixel < pixels)[:, None]
    whole = tl.zeros((P, C), dtype=to_shortcut.dtype.element_ty)
    for copy in range(copies):
        channel = first + copy * width
        there = (first < width) & (channel < channels)
        offsets = pixel.to(tl.int64)[:, None] * channels + channel[None, :]
        both = inside & there[None, :]
        f = tl.load(factor + channel, mask=there, other=0.0)
        k = tl.load(constant + channel, mask=there, other=0.0)
        a = tl.load(slope + channel, mask=there, other=0.0)
        u, c = _before_prelu(
            sums, shortcut, f, k, step, pixels, channels, width, channel, offsets, both, P, HAS_SHORTCUT
        )
        g = tl.load(gradient + offsets, mask=both, other=0.0)
        h = tl.where(u > 0, g, g * a[None, :])
        whole += h
        m = tl.load(mean + channel, mask=there, other=0.0)
        constant_part = tl.load(part + channel, mask=there, other=0.0)
        along = tl.load(line + channel, mask=there, other=0.0)
        h = (h - constant_part[None, :] - (c - m[None, :]) * along[None, :]) * f[None, :]
        tl.store(to_sums + offsets, h.to(to_sums.dtype.element_ty), mask=both)
    if HAS_SHORTCUT:
        into = pixel.to(tl.int64)[:, None] * width + first[None, :]
        tl.store(to_shortcut + into, whole, mask=inside & (first < width)[None, :])
