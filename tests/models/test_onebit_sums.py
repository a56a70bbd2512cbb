"""Binary convolutions of both engines against torch's float convolution: equal integers, for every shape."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.onebit import portable
from models.onebit.native.build import BuildError, compiler
from models.onebit.native.engine import NativeEngine, load
from models.onebit.native.plan import Level
from models.onebit.operations import BinaryConvolution, Encoding, Geometry, GlobalAverage, Shape, pack_signs, signs_of
from models.onebit.program import Program

try:
    compiler()
except BuildError:
    pytest.skip("there is no C compiler", allow_module_level=True)

settings.register_profile("engine", deadline=None, suppress_health_check=list(HealthCheck))


def convolution(channels, out_channels, geometry, encoding, bits):
    threshold = np.zeros(channels, np.float32)
    return BinaryConvolution(0, out_channels, geometry, encoding, threshold, pack_signs(bits))


def levels():
    """All kernels that this processor runs."""
    return [level for level in Level if load().calls.bnn_supports(level)]


def by_torch(operation, x):
    """The sums of (H, W, C) values by a float convolution."""
    weight = torch.from_numpy(np.where(signs_of(operation, x.shape[2]), 1.0, -1.0)).permute(0, 3, 1, 2)
    bits = torch.from_numpy(x >= operation.threshold).double()
    values = bits if operation.encoding is Encoding.ZERO_ONE else 2 * bits - 1
    _, stride, padding, dilation, groups = operation.geometry
    sums = F.conv2d(values.permute(2, 0, 1)[None], weight, None, stride, padding, dilation, groups)
    return sums[0].permute(1, 2, 0).numpy()


def assert_exact(operation, x):
    wanted = by_torch(operation, x)
    np.testing.assert_array_equal(portable.binary_sums(operation, x[None])[0], wanted)
    program = Program(Shape(x.shape[2], *x.shape[:2]), (operation, GlobalAverage(1)))
    for level in levels():
        engine = NativeEngine(program, level=level)
        np.testing.assert_array_equal(engine.binary_sums(0, x), wanted, engine.name)


@settings(settings.get_profile("engine"), max_examples=150)
@given(
    data=st.data(),
    groups=st.sampled_from([1, 1, 2, 3, 4, 8]),
    group_in=st.integers(1, 70),
    group_out=st.integers(1, 110),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    encoding=st.sampled_from(list(Encoding)),
)
def test_sums_equal_those_of_a_float_convolution(data, groups, group_in, group_out, kernel, stride, dilation, encoding):
    padding = data.draw(st.integers(0, dilation * (kernel - 1)), "padding")
    height, width = (data.draw(st.integers(1, 12), side) for side in ("height", "width"))
    geometry = Geometry(kernel, stride, padding, dilation, groups)
    assume(geometry.out_size(height) > 0)
    assume(geometry.out_size(width) > 0)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), "seed"))
    bits = rng.random((group_out * groups, kernel, kernel, group_in)) < 0.5
    x = rng.standard_normal((height, width, group_in * groups)).astype(np.float32)
    assert_exact(convolution(group_in * groups, group_out * groups, geometry, encoding, bits), x)


EXTREMES = {
    "ones": lambda shape: np.ones(shape, bool),
    "none": lambda shape: np.zeros(shape, bool),
    "alternating": lambda shape: np.arange(np.prod(shape)).reshape(shape) % 2 == 0,
}


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("weights", EXTREMES)
@pytest.mark.parametrize("inputs", EXTREMES)
@pytest.mark.parametrize(
    ("channels", "out_channels", "geometry"),
    [
        (2048, 40, Geometry(3, 1, 1)),
        (1536, 48, Geometry(4, 1, 3)),
        (3638, 16, Geometry(3)),
        (768, 96, Geometry(5, 2, 2)),
    ],
    ids=str,
)
def test_counters_never_overflow(channels, out_channels, geometry, inputs, weights, encoding):
    """All-equal and all-different bits drive every counter to its bound, which random bits never do."""
    bits = EXTREMES[weights]((out_channels, geometry.kernel_size, geometry.kernel_size, channels))
    x = np.where(EXTREMES[inputs]((5, 4, channels)), 1, -1).astype(np.float32)
    assert_exact(convolution(channels, out_channels, geometry, encoding, bits), x)


@pytest.mark.parametrize("out_channels", [1, 7, 8, 16, 17, 24, 31, 32, 33, 48, 49, 64, 65, 96, 97, 128, 160, 192, 255])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 9])
def test_every_number_of_channels_and_pixels(out_channels, size):
    """Blocks of output channels and pairs of pixels that do not come out even; 9x9 takes a second tile."""
    rng = np.random.default_rng(out_channels)
    bits = rng.random((out_channels, 3, 3, 20)) < 0.5
    x = rng.standard_normal((size, size, 20)).astype(np.float32)
    assert_exact(convolution(20, out_channels, Geometry(3, 1, 1), Encoding.SIGNS, bits), x)


KERNELS = {0: Level.PLAIN, **dict.fromkeys(range(1, 10), Level.AVX2), **dict.fromkeys(range(10, 14), Level.AVX512)}


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_is_exact(kernel, monkeypatch):
    """Also those that are not chosen for these shapes."""
    rng = np.random.default_rng(kernel)
    bits = rng.random((2 * 100, 3, 3, 36)) < 0.5
    x = rng.standard_normal((9, 8, 72)).astype(np.float32)
    operation = convolution(72, 200, Geometry(3, 1, 1, groups=2), Encoding.SIGNS, bits)
    program = Program(Shape(72, 9, 8), (operation, GlobalAverage(1)))
    library = NativeEngine(program)._library
    if KERNELS[kernel] not in levels():
        pytest.skip(f"this processor has no {KERNELS[kernel].name}")
    monkeypatch.setattr(library.calls, "bnn_choose_kernel", lambda *_: kernel)
    engine = NativeEngine(program, library, level=KERNELS[kernel])
    np.testing.assert_array_equal(engine.binary_sums(0, x), by_torch(operation, x))


def test_bits_are_set_from_the_threshold_on():
    """Values at a threshold, next to it, both zeros and what is no number."""
    threshold = np.array([0.5, 0.5, 0.5, 0, 0, -1, 3, 0.25], np.float32)
    x = np.nextafter(threshold, np.array([0, 9, 0.5, 0, 9, -9, 9, 0], np.float32))
    x[4], x[7] = -0.0, np.nan
    bits = np.ones((1, 1, 1, 8), bool)
    operation = replace(convolution(8, 1, Geometry(1), Encoding.ZERO_ONE, bits), threshold=threshold)
    assert_exact(operation, x.reshape(1, 1, 8))
    assert by_torch(operation, x.reshape(1, 1, 8)).item() == 5
