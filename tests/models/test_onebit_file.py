"""The `.bnn` file: what is written is read, its size is the counted one, and nothing else gets through."""

import random
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.families import build_network
from models.onebit import file, portable
from models.onebit.engine import Backend, Engine, Layout
from models.onebit.file import Model, decode, encode, read_model, sign_file, write_model
from models.onebit.header import DICTIONARY, BnnFileError
from models.onebit.lowering.lower import lower
from models.onebit.operations import (
    Activation,
    Epilogue,
    Geometry,
    GlobalAverage,
    Linear,
    Pointwise,
    Pool,
    Product,
    ProgramError,
    Reduction,
    Shape,
)
from models.onebit.program import Program
from spaces import get_space

START, DIGEST = file._START.size, file._DIGEST
MODEL_A = get_space("nasbnn").smallest()


def network_model(space, member, seed=0):
    torch.manual_seed(seed)
    network = build_network(space, member).eval()
    with torch.no_grad():  # as if it were trained: no two numbers are the same by chance
        for values in network.state_dict().values():
            if values.is_floating_point() and values.numel() > 1:
                values += 0.01 + 0.1 * torch.rand_like(values)
    names = tuple(f"class {number}" for number in range(space.classes))
    facts = {"space": space.name, "architecture": space.format(member)}
    return Model(lower(network), names, (0.5,) * space.channels, (0.25,) * space.channels, facts)


@pytest.fixture(scope="module")
def model():
    space = get_space("nasbnn-digits")
    return network_model(space, space.smallest())


@pytest.fixture(scope="module")
def data(model):
    return encode(model)


def resign(data: bytes, header: bytes | None = None) -> bytes:
    """The file with a right checksum, and another header."""
    magic, version, size, weights = struct.unpack_from(file._START.format, data)
    rest = data[START + DIGEST :]
    if header is not None:
        rest = header + rest[size:]
    return sign_file(file._START.pack(magic, version, size if header is None else len(header), weights), rest)


def header_of(data: bytes) -> bytes:
    size = struct.unpack_from(file._START.format, data)[2]
    stream = zlib.decompressobj(zdict=DICTIONARY.encode())
    return stream.decompress(data[START + DIGEST : START + DIGEST + size])


def test_reading_is_the_inverse_of_writing(model, tmp_path):
    path = tmp_path / "model.bnn"
    assert write_model(path, model) == path.stat().st_size
    found = read_model(path)
    images = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(portable.run(found.program, images), portable.run(model.program, images))
    assert encode(found) == encode(model) == path.read_bytes()
    for name in ("class_names", "mean", "std", "facts"):
        assert getattr(found, name) == getattr(model, name)


def weights_of(data: bytes) -> int:
    """Bytes of a file without what stands before its weights."""
    return struct.unpack_from(file._START.format, data)[3]


@pytest.mark.parametrize(
    "name",
    [
        "nasbnn",
        "nasbnn-32-quarter",
        "nasbnn-digits",
        "bnext-digits",
        "vgg-digits",
        "resnet-20",
        "vgg-small",
        "bnas-digits",
    ],
)
def test_its_size_is_the_one_that_is_counted(name, members):
    """Within 3 %, the header as well; of networks below 16 kB that alone is more."""
    space = get_space(name)
    drawn = members(space, 0 if name == "nasbnn" else 4)
    for member in drawn[1:] if space.family == "cell" else drawn:  # the smallest cells are Zeroise, which vanishes
        counted = space.cost(member).bits
        data = encode(network_model(space, member))
        assert 8 * weights_of(data) == pytest.approx(counted, rel=0.02)
        if counted > 8 * 16_000:
            assert 8 * len(data) == pytest.approx(counted, rel=0.03)


@pytest.mark.parametrize("name", ["nasbnn-digits", "nasbnn-32-quarter"])
def test_the_weights_of_networks_of_nasbnn_are_counted_to_the_byte(name, members):
    space = get_space(name)
    for member in members(space):
        cost = space.cost(member)
        assert weights_of(encode(network_model(space, member))) == sum(-(-layer.bits // 8) for layer in cost.layers)


def test_only_what_older_engines_do_not_run_gets_a_new_version(model):
    program = Program(Shape(1, 2, 2), (GlobalAverage(0), Product(0, 1), GlobalAverage(2)))
    data = encode(replace(model, program=program, class_names=("a",)))
    assert (data[8], encode(model)[8]) == (3, 2)
    assert encode(decode(data)) == data
    images = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    assert portable.run(decode(data).program, images) == 1.5 * 1.5


def test_an_array_that_is_one_number_takes_four_bytes():
    space = get_space("vgg-digits")
    program = network_model(space, space.largest()).program
    model = Model(program, ("a",) * 10, (0.5,), (0.25,))
    data = encode(model)
    assert b'"threshold":["float32",[128],"same"]' in header_of(data)
    found = decode(data)
    assert encode(found) == data
    images = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
    logits = portable.run(program, images)
    for backend in (Backend.BEST, Backend.PORTABLE):
        np.testing.assert_array_equal(Engine(found.program, backend)(images, Layout.NHWC), logits)


PLAIN = "c8k3g1 | c16k3g1 | c32k3g2 | c64k3g4", [2.2888925, -1.0137157, 3.7160122, 6.3950014, -6.7940807]
GATED = "c8k3g1 | c16k3g1e8 | c32k3g2e32 | c64k3g4", [70.250427, 54.449238, 41.320225, 66.372101, 57.133415]


@pytest.mark.parametrize(("version", "written"), [(1, PLAIN), (2, PLAIN), (3, GATED)])
def test_a_file_of_any_version_is_read_for_ever(version, written):
    path = Path(__file__).parent / "artefacts" / f"model-v{version}.bnn"
    assert path.read_bytes()[8] == version
    model, (architecture, wanted) = read_model(path), written
    assert model.facts["architecture"] == architecture
    images = np.linspace(-2, 2, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    logits = portable.run(model.program, images)[0]
    np.testing.assert_allclose(logits[:5], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "not a .bnn file"),
        (lambda data: data[:30], "not a .bnn file"),
        (lambda data: b"GIF89a" + data, "not a .bnn file"),
        (lambda data: data.replace(b"\r\n", b"\n", 1), "not a .bnn file"),
        (lambda data: data[:8] + struct.pack("<I", 9) + data[12:], "version 9, this binarynas reads version 1, 2 or 3"),
        (lambda data: data[:-1], "bytes where it says"),
        (lambda data: data + b"\0", "bytes where it says"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "its checksum differs"),
        (lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:], "its checksum differs"),
        (lambda data: resign(data, b"nonsense"), "not JSON"),
        (lambda data: resign(data, zlib.compress(b"nonsense")), "not JSON"),
        (lambda data: resign(data, zlib.compress(b"[]")), "something else where names"),
        (lambda data: resign(data, zlib.compress(b"{}")), "lacks 'image'"),
        (lambda data: resign(data, zlib.compress(b"[" * 10**5)), "not JSON"),
        (lambda data: resign(data, zlib.compress(b" " * 2**24)), "more than 1048576 bytes"),
        (lambda data: resign(data, zlib.compress(header_of(data)) + b"more"), "is cut, or has more"),
    ],
)
def test_what_is_no_such_file_is_named(data, damage, words, tmp_path):
    path = tmp_path / "model.bnn"
    path.write_bytes(damage(data))
    with pytest.raises(BnnFileError, match=rf"(?s)model\.bnn: .*{words}"):
        read_model(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"image":[1,8,8]', b'"image":[1,8,9000]', "the width must be a whole number from 1 to 8192"),
        (b'"image":[1,8,8]', b'"image":[1,8]', "something else where a list"),
        (b'"image":[1,8,8]', b'"image":[1,8,true]', "the width must be a whole number"),
        (b'"image":[1,8,8]', b'"image":[1,8,1' + b"0" * 4000 + b"]", "the width must be a whole number"),
        (b'"kind":"linear"', b'"kind":"eval"', "an operation of an unknown kind"),
        (b'"kind":"linear"', b'"kind":"linear","x":1', "has no field 'x'"),
        (b'"shortcut":1', b'"shortcut":-1', "an input must be a whole number from 0"),
        (b'"shortcut":1', b'"shortcut":40', "an input must be a whole number from 0"),
        (b'"signs"', b'"sines"', "unknown encoding"),
        (b'["float32",[8]]', b'["float32",[4294967295]]', "where [0-9]+ are left"),
        (b'["float32",[8]]', b'["float32",[0]]', "impossible shape"),
        (b'["float32",[8]]', b'["object",[8]]', "unknown kind"),
        (b'["float32",[8]]', b'["float32",[4294967295],"same"]', "one number for an array"),
        (b'["float32",[8]]', b'["float32",[65536],"same"]', "bytes of weights belong to no operation"),
        (b'["float32",[8]]', b'["float32",[8],"alike"]', "something else where a list"),
        (b'["int8",[3,3,1,8]]', b'["int8",[3,3,1,8],"same"]', "one number for an array"),
        (b'["int8",[3,3,1,8]]', b'["int8",[3,3,8,1]]', "weight must be float32 or int8 of shape"),
        (b'"geometry":[3,', b'"geometry":[0,', "the kernel size must be a whole number from 1"),
        (b'"class_names":[', b'"class_names":["more",', "needs as many names"),
        (b'"std":[0.25]', b'"std":[0.0]', "std must be positive"),
        (b'"std":[0.25]', b'"std":[NaN]', "std must be 1 finite"),
    ],
)
def test_a_header_that_cannot_be_is_named(data, old, new, words):
    header = header_of(data)
    assert old in header
    with pytest.raises(BnnFileError, match=words):
        decode(resign(data, zlib.compress(header.replace(old, new, 1))))


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut, doubled or inserted, in the file or within its header; half of them signed again."""
    inside = rng.random() < 0.6
    content = bytearray(header_of(data) if inside else data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(content))
        match rng.randrange(5):
            case 0:
                content[at] = rng.randrange(256)
            case 1:
                content[at : at + 1] = str(rng.choice([0, -1, 2**31, 2**63, 1.5, 10**30])).encode()
            case 2:
                del content[at : at + rng.choice([1, 4, 100])]
            case 3:
                content[at:at] = content[max(0, at - rng.randrange(1, 60)) : at]
            case _:
                content[at] ^= 1 << rng.randrange(8)
        if not content:
            return b""
    if inside:
        return resign(data, zlib.compress(bytes(content)))
    changed = bytes(content)
    return resign(changed) if rng.random() < 0.5 and len(changed) > START + DIGEST else changed


def attempt(data: bytes) -> bool:
    """Whether a file is read; anything but our own error is a failure of the test."""
    try:
        decode(data)
    except BnnFileError:
        return False
    return True


def fuzz(data: bytes, count: int, seed: int) -> None:
    rng = random.Random(seed)
    tracemalloc.start()
    try:
        read = sum(attempt(mutate(data, rng)) for _ in range(count))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read < count / 2  # most mutations matter; some change a name or a weight
    assert peak < 4 * 2**20  # a file of 8 kB and the parsed header


def test_mutated_files_are_refused_or_read(data):
    fuzz(data, 1500, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_very_many_mutated_files(data):
    fuzz(data, 5_000, seed=1)
    rng = random.Random(2)
    for _ in range(95_000):  # without the watch over memory, which costs most of the time
        attempt(mutate(data, rng))


IMAGE = Shape(4, 6, 6)
LAST = Linear(1, 3, np.ones((4, 3), np.float32))


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ((), "at least one operation"),
        ((GlobalAverage(1),), "an input must be a whole number from 0 to 0, got 1"),
        ((Pool(0, Reduction.MAX, Geometry(3, 1, 1)),), "one number per class"),
        ((Pool(0, Reduction.MAX, Geometry(3, 1, 2)),), "at most half its window"),
        ((Pool(0, Reduction.MAX, Geometry(7)),), "larger than its padded input 6×6"),
        ((Pointwise(0, Epilogue(factor=np.ones(3, np.float32))),), r"factor must be float32 of shape \(4,\)"),
        ((Pointwise(0, Epilogue(factor=np.full(4, np.nan, np.float32))),), "not finite"),
        ((Pointwise(0, Epilogue(activation=Activation.RPRELU)),), "slope must be float32"),
        ((Pointwise(0, Epilogue(low=1.0)),), "two finite bounds in ascending order"),
        ((GlobalAverage(0), replace(LAST, epilogue=Epilogue(shortcut=5))), "an input must be"),
        ((GlobalAverage(0), replace(LAST, weight=np.ones((3, 4), np.float32))), "weight must be float32 of shape"),
        ((GlobalAverage(0), Pointwise(0, Epilogue(shortcut=1))), "1×1 is not a multiple of 6×6"),
        ((GlobalAverage(0), Product(1, 0)), r"\(4, 1, 1\) is multiplied by its own shape or by one number per channel"),
        ((Product(0, 3), GlobalAverage(1)), "an input must be"),
    ],
)
def test_a_program_that_cannot_be_is_named(operations, words):
    with pytest.raises(ProgramError, match=words):
        Program(IMAGE, operations)
