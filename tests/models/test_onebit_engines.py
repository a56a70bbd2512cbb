"""Whole programs: the engines agree to the bit with each other, and with the network to rounding."""

import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from models.nasbnn.network import BinaryNetwork
from models.onebit import portable
from models.onebit.engine import Backend, Engine, Layout
from models.onebit.lowering.lower import lower
from models.onebit.native import build
from models.onebit.native import engine as native
from models.onebit.native.plan import Level, place_tensors
from models.onebit.operations import (
    Activation,
    BinaryConvolution,
    Concatenate,
    Encoding,
    Epilogue,
    FloatConvolution,
    Geometry,
    GlobalAverage,
    Linear,
    Pointwise,
    Pool,
    Product,
    Reduction,
    Shape,
    Zero,
    inputs_of,
    pack_signs,
)
from models.onebit.program import Program
from models.onebit.simulation import Simulation


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def epilogue(rng, channels, activation, shortcut=None):
    shifted = activation is Activation.RPRELU
    return Epilogue(
        factor=numbers(rng, channels) if rng.random() < 0.7 else None,
        constant=numbers(rng, channels) if rng.random() < 0.7 else None,
        shortcut=shortcut,
        activation=activation,
        slope=numbers(rng, channels) if shifted else None,
        shift=numbers(rng, channels) if shifted else None,
        low=-0.5,
        high=0.75,
    )


def binary(rng, source, channels, out_channels, geometry, encoding, tail):
    window = (out_channels, geometry.kernel_size, geometry.kernel_size, channels // geometry.groups)
    bits = pack_signs(rng.random(window) < 0.5)
    return BinaryConvolution(source, out_channels, geometry, encoding, numbers(rng, channels), bits, tail)


def every_operation(activation, seed=0):
    """A program with every operation, shortcuts that widen, narrow and shrink, and tensors that live long."""
    rng = np.random.default_rng(seed)
    signs, bits = Encoding
    return Program(
        Shape(3, 11, 12),
        (
            FloatConvolution(0, 20, Geometry(3, 1, 1), numbers(rng, 3, 3, 3, 20), epilogue(rng, 20, activation)),
            binary(rng, 1, 20, 20, Geometry(3, 1, 1, 1, 2), signs, epilogue(rng, 20, activation, 1)),
            binary(rng, 2, 20, 50, Geometry(1), signs, epilogue(rng, 50, activation, 1)),
            binary(rng, 3, 50, 12, Geometry(5, 1, 4, 2), bits, epilogue(rng, 12, activation, 3)),
            Pool(4, Reduction.MAX, Geometry(3, 1, 1)),
            Pool(4, Reduction.MEAN, Geometry(3, 1, 1)),
            Zero(Shape(2, 11, 12)),
            Concatenate((5, 6, 7, 1)),
            Pool(8, Reduction.MEAN, Geometry(2, 1, 1)),
            binary(rng, 9, 46, 40, Geometry(3, 3, 1), signs, epilogue(rng, 40, activation)),
            Pointwise(10, epilogue(rng, 40, activation)),
            Pointwise(11, epilogue(rng, 40, activation, 10)),
            GlobalAverage(12),
            Product(12, 13, epilogue(rng, 40, activation, 10)),
            Product(14, 11, epilogue(rng, 40, activation)),
            GlobalAverage(15),
            Linear(16, 7, numbers(rng, 40, 7), epilogue(rng, 7, Activation.NONE)),
        ),
    )


@pytest.mark.parametrize("backend", [Backend.BEST, Backend.PLAIN_C])
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("seed", range(3))
def test_engines_agree_to_the_bit(activation, seed, backend):
    program = every_operation(activation, seed)
    images = numbers(np.random.default_rng(9), 5, 11, 12, 3)
    wanted = portable.run(program, images)
    assert np.isfinite(wanted).all()
    np.testing.assert_array_equal(Engine(program, backend)(images, Layout.NHWC), wanted)


def whole_vectors(activation, seed=0):
    """Convolutions in a row whose groups fill vectors: their epilogues set the next one's bits as they go."""
    rng = np.random.default_rng(seed)
    signs, bits = Encoding
    return Program(
        Shape(3, 12, 10),
        (
            FloatConvolution(0, 24, Geometry(3, 1, 1), numbers(rng, 3, 3, 3, 24), epilogue(rng, 24, activation)),
            binary(rng, 1, 24, 24, Geometry(3, 1, 1, 1, 3), signs, epilogue(rng, 24, activation, 1)),
            binary(rng, 2, 24, 48, Geometry(1), signs, epilogue(rng, 48, activation, 2)),  # repeated
            binary(rng, 3, 48, 48, Geometry(5, 2, 2, 1, 2), signs, epilogue(rng, 48, activation, 3)),  # means
            binary(rng, 4, 48, 16, Geometry(3, 1, 1), bits, epilogue(rng, 16, activation, 4)),  # cut
            binary(rng, 5, 16, 64, Geometry(1), bits, epilogue(rng, 64, activation)),
            binary(rng, 6, 64, 9, Geometry(3, 1, 1), signs, epilogue(rng, 9, activation)),
            GlobalAverage(7),
        ),
    )


def wide_vectors(activation, seed=0):
    """Like Table 6: short and long windows, shortcuts that are means or begin again within a vector."""
    rng = np.random.default_rng(seed)
    signs = Encoding.SIGNS
    return Program(
        Shape(3, 24, 20),
        (
            FloatConvolution(0, 24, Geometry(3, 2, 1), numbers(rng, 3, 3, 3, 24), epilogue(rng, 24, activation)),
            binary(rng, 1, 24, 24, Geometry(3, 1, 1), signs, epilogue(rng, 24, activation, 1)),
            binary(rng, 2, 24, 48, Geometry(1), signs, epilogue(rng, 48, activation, 2)),
            binary(rng, 3, 48, 48, Geometry(3, 1, 1, 1, 2), signs, epilogue(rng, 48, activation, 3)),
            binary(rng, 4, 48, 96, Geometry(3, 2, 1), signs, epilogue(rng, 96, activation, 4)),
            binary(rng, 5, 96, 192, Geometry(5, 1, 2, 1, 2), signs, epilogue(rng, 192, activation, 5)),
            binary(rng, 6, 192, 192, Geometry(3, 1, 2, 2, 2), signs, epilogue(rng, 192, activation, 6)),
            binary(rng, 7, 192, 288, Geometry(1), signs, epilogue(rng, 288, activation, 7)),
            binary(rng, 8, 288, 40, Geometry(1, 1, 1), signs, epilogue(rng, 40, activation)),
            Pool(9, Reduction.MEAN, Geometry(2, 2, 0)),
            binary(rng, 10, 40, 96, Geometry(3, 2, 1), signs, epilogue(rng, 96, activation)),
            binary(rng, 11, 96, 96, Geometry(3, 1, 1, 1, 6), signs, epilogue(rng, 96, activation, 11)),
            GlobalAverage(12),
            Linear(13, 70, numbers(rng, 96, 70), epilogue(rng, 70, Activation.NONE)),
        ),
    )


def gated(activation, seed=0):
    """A squeeze-and-excite, in floats and with weights of 8 bits, and products that binary convolutions read."""
    rng = np.random.default_rng(seed)
    signs = Encoding.SIGNS
    levels = rng.integers(-128, 128, (1, 1, 48, 6)).astype(np.int8)
    gate = replace(epilogue(rng, 48, Activation.CLIP), low=0.0, high=1.0)
    return Program(
        Shape(3, 12, 10),
        (
            FloatConvolution(0, 48, Geometry(3, 1, 1), numbers(rng, 3, 3, 3, 48), epilogue(rng, 48, activation)),
            GlobalAverage(1),
            FloatConvolution(2, 6, Geometry(1), levels, epilogue(rng, 6, Activation.RELU)),
            FloatConvolution(3, 48, Geometry(1), numbers(rng, 1, 1, 6, 48), gate),
            Product(1, 4, epilogue(rng, 48, activation)),
            binary(rng, 5, 48, 48, Geometry(3, 2, 1), signs, epilogue(rng, 48, activation, 5)),
            Pool(5, Reduction.MEAN, Geometry(2, 2)),
            Product(6, 7, epilogue(rng, 48, activation, 1)),
            binary(rng, 8, 48, 32, Geometry(1), signs, epilogue(rng, 32, activation)),
            GlobalAverage(9),
            Product(10, 10),
        ),
    )


@pytest.mark.parametrize("level", [Level.PLAIN, Level.AVX2, Level.AVX512])
@pytest.mark.parametrize("make", [whole_vectors, wide_vectors, every_operation, gated])
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("seed", range(3))
def test_bits_that_are_set_in_the_same_pass_are_the_same(activation, seed, make, level):
    if not native.load().calls.bnn_supports(level):
        pytest.skip(f"this processor has no {level.name}")
    program = make(activation, seed)
    images = numbers(np.random.default_rng(9), 3, *program.image[1:], 3)
    engine = native.NativeEngine(program, level=level)
    np.testing.assert_array_equal(engine.run(images, planes=False), portable.run(program, images))


def test_images_that_pass_the_last_layer_together_get_the_same_bits():
    program = wide_vectors(Activation.RPRELU)
    images = numbers(np.random.default_rng(9), 35, *program.image[1:], 3)
    wanted = portable.run(program, images)
    for level in Level:
        if native.load().calls.bnn_supports(level):
            engine = native.NativeEngine(program, level=level)
            np.testing.assert_array_equal(engine.run(images, planes=False), wanted)
            np.testing.assert_array_equal(engine.run(images, planes=False, threads=3), wanted)
            np.testing.assert_array_equal(engine.run(images[:1], planes=False), wanted[:1])


def test_the_environment_names_kernels(monkeypatch):
    path, program = build.library(), whole_vectors(Activation.RPRELU)
    monkeypatch.setenv(native.KERNELS, "plain")
    assert native.NativeEngine(program, native.Library(path)).name == "native, plain C"
    monkeypatch.setenv(native.KERNELS, "mmx")
    with pytest.raises(native.KernelError, match=r"BINARYNAS_KERNELS=mmx: this processor runs plain"):
        native.Library(path)


def test_kernels_of_other_processors_are_refused():
    library = native.load()
    missing = next(level for level in Level if not library.calls.bnn_supports(level))
    with pytest.raises(native.KernelError, match="this processor runs plain"):
        native.NativeEngine(whole_vectors(Activation.RPRELU), level=missing)


@pytest.mark.parametrize("make", [every_operation, gated])
@pytest.mark.parametrize("activation", Activation)
def test_the_simulation_means_the_same(activation, make):
    program = make(activation)
    images = numbers(np.random.default_rng(9), 5, *program.image[1:], 3)
    found = Simulation(program)(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found, portable.run(program, images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("geometry", [Geometry(2, 2), Geometry(7, 2, 3), Geometry(1, 2, 0, 1, 3), Geometry(3, 1, 2, 2)])
def test_float_convolutions(geometry):
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, (*[geometry.kernel_size] * 2, 9 // geometry.groups, 33)).astype(np.int8)
    program = Program(Shape(9, 14, 13), (FloatConvolution(0, 33, geometry, weight), GlobalAverage(1)))
    images = numbers(rng, 3, 14, 13, 9)
    wanted = portable.run_all(program, images)
    np.testing.assert_array_equal(Engine(program)(images, Layout.NHWC), wanted[-1].reshape(3, 33))
    _, stride, padding, dilation, groups = geometry
    x, w = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(weight).permute(3, 2, 0, 1).float()
    sums = nn.functional.conv2d(x, w, None, stride, padding, dilation, groups)
    np.testing.assert_allclose(wanted[1], sums.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-3)


def test_a_network_in_every_space_is_its_program(space, members, make_supernet, images_of):
    supernet = make_supernet(space)
    for member in members(space):
        network = supernet.extract(member)
        images = images_of(space)
        with torch.inference_mode():
            wanted = network.eval()(images)
        logits = Engine(lower(network))(images)
        assert torch.equal(logits.argmax(1), wanted.argmax(1))
        torch.testing.assert_close(logits.double(), wanted, rtol=1e-4, atol=1e-4)


def test_tensors_that_live_together_lie_apart():
    for activation in Activation:
        program = every_operation(activation)
        places, total = place_tensors(program)
        for number, operation in enumerate(program.operations):
            alive = {number + 1, *inputs_of(operation)}
            alive |= {
                tensor
                for tensor in range(number + 1)
                if any(tensor in inputs_of(later) for later in program.operations[number:])
            }
            if isinstance(operation, BinaryConvolution) and places[number + 1] == places[operation.input]:
                assert operation.epilogue.shortcut == operation.input  # it is replaced, number by number
                assert not any(operation.input in inputs_of(later) for later in program.operations[number + 1 :])
                alive.remove(operation.input)
            spans = sorted((places[tensor], places[tensor] + program.shapes[tensor].size) for tensor in alive)
            assert all(end <= start for (_, end), (start, _) in pairwise(spans))
            assert spans[-1][1] <= total


def digits_network():
    torch.manual_seed(0)
    from spaces import get_space

    space = get_space("nasbnn-digits")
    return BinaryNetwork(space, space.largest()).eval()


def test_layouts_kinds_threads_and_batches_give_the_same_bits():
    engine = Engine(lower(digits_network()))
    images = torch.randn(7, 1, 8, 8)
    logits = engine(images)
    assert torch.equal(engine(images.permute(0, 2, 3, 1), Layout.NHWC), logits)
    assert torch.equal(engine(images.contiguous(memory_format=torch.channels_last)), logits)
    assert torch.equal(engine(images, threads=3), logits)
    assert torch.equal(engine(images, threads=50), logits)
    assert torch.equal(torch.cat([engine(image[None]) for image in images]), logits)
    assert np.array_equal(engine(images.numpy()), logits.numpy())
    assert torch.equal(engine(images.double()), logits)
    assert engine(images[:0]).shape == (0, 10)


@pytest.mark.parametrize("shape", [(7, 8, 8), (2, 3, 8, 8), (2, 8, 8, 1), (2, 1, 8, 9)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have the shape \(N, 1, 8, 8\), got"):
        Engine(lower(digits_network()))(torch.zeros(shape))


def test_without_a_compiler_numpy_runs_it(monkeypatch, tmp_path):
    network, images = digits_network(), torch.randn(3, 1, 8, 8)
    wanted = Engine(lower(network))(images)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.load.cache_clear()
    try:
        engine = Engine(lower(network))
    finally:
        native.load.cache_clear()
    assert engine.name == "portable, numpy"
    assert "install gcc or clang" in engine.hint
    assert torch.equal(engine(images), wanted)


def test_a_library_is_built_once_and_again_for_other_flags(tmp_path):
    flags = ("-O0", *build.FLAGS[1:])
    first = build.library(tmp_path, flags)
    stamp = first.stat().st_mtime_ns
    assert build.library(tmp_path, flags).stat().st_mtime_ns == stamp
    assert build.library(tmp_path, (*flags, "-DOTHER")) != first
    assert len(list(tmp_path.iterdir())) == 2


def test_a_library_is_built_again_when_a_header_changes(tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    shutil.copytree(build.SOURCE.parent, sources, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(build, "SOURCE", sources / build.SOURCE.name)
    flags = ("-O0", *build.FLAGS[1:])
    first = build.library(tmp_path, flags)
    with (sources / "lookup_tiles.h").open("a") as header:
        header.write("/* changed */\n")
    assert build.library(tmp_path, flags) != first


def test_a_compiler_that_fails_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SOURCE", tmp_path / "engine.c")
    build.SOURCE.write_text("int main(void) { nonsense }")
    with pytest.raises(build.BuildError, match=r"could not compile the engine: .*error"):
        build.library(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_networks_are_named():
    with pytest.raises(TypeError, match="a Linear cannot be exported; build a network of a space"):
        lower(nn.Linear(2, 2))
