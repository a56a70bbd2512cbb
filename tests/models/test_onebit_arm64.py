"""The native engine, compiled for arm64 and run by qemu, and with sanitizers on this machine: the same bits.

A small driver, `onebit_driver.c`, runs plans that are written here. No arm64 processor measures time: counted is how
many instructions a product takes.
"""

import ctypes
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from test_onebit_engines import every_operation, whole_vectors, wide_vectors
from test_onebit_sums import EXTREMES, convolution

from models.onebit import portable
from models.onebit.native import build
from models.onebit.native.engine import load
from models.onebit.native.plan import Level, NativeOperation, NativeProgram
from models.onebit.operations import Activation, Encoding, Geometry, GlobalAverage, Shape
from models.onebit.program import Program

CROSS, QEMU = "aarch64-linux-gnu-gcc", ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
DRIVER = Path(__file__).with_name("onebit_driver.c")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-psabi")
POINTERS = [name for name, kind in NativeOperation._fields_ if kind is ctypes.c_void_p]

try:
    load()
except build.BuildError as error:
    pytest.skip(str(error), allow_module_level=True)


def compiled(command, folder, *flags):
    """The driver; skips where the compiler or its library is missing."""
    if not shutil.which(command):
        pytest.skip(f"there is no {command}")
    path = folder / "driver"
    kept = [flag for flag in build.FLAGS if flag not in ("-shared", "-fPIC")]
    subprocess.run(
        [command, *kept, *WARNINGS, *flags, f"-I{build.SOURCE.parent}", str(DRIVER), "-o", str(path)], check=True
    )
    return path


def as_case(program, level, images, wanted, sums=0):
    """A case as the driver reads it: the header, operations with offsets for pointers, constants, images, results."""
    plan = NativeProgram(program, load().calls, level)
    constants, offsets = bytearray(64), {}
    for array in plan._kept:
        offsets[array.ctypes.data] = len(constants)
        constants += array.tobytes()
        constants += bytes(-len(constants) % 64)
    operations = (NativeOperation * len(plan.operations)).from_buffer_copy(plan.operations)
    for operation, name in product(operations, POINTERS):
        setattr(operation, name, offsets.get(getattr(operation, name)))
    if sums:
        operations[0].input = operations[0].packs = operations[0].packed = 0
    image = program.image
    header = [len(operations), level, plan.tensors, len(constants), len(images), 0, image.channels]
    header += [image.height * image.width, 0 if sums else program.classes, sums]
    parts = np.array(header, np.int64), operations, constants, images, wanted
    return b"".join(map(bytes, parts))


def program_cases(level):
    rng = np.random.default_rng(9)
    programs = [
        make(activation) for make, activation in product((every_operation, whole_vectors, wide_vectors), Activation)
    ]
    for program in programs:
        images = rng.standard_normal((2, program.image.height, program.image.width, 3)).astype(np.float32)
        yield as_case(program, level, images, portable.run(program, images))


def sum_case(level, channels, geometry, encoding, bits, x):
    operation = convolution(channels, len(bits), geometry, encoding, bits)
    program = Program(Shape(channels, *x.shape[:2]), (operation, GlobalAverage(1)))
    wanted = np.ascontiguousarray(portable.binary_sums(operation, x[None])[0].astype(np.int16))
    return as_case(program, level, x[None], wanted, wanted.size)


def sums_cases(level):
    for channels, geometry in ((768, Geometry(5, 2, 2)), (1536, Geometry(4, 1, 3)), (2048, Geometry(3, 1, 1))):
        for inputs, weights, encoding in product(EXTREMES, EXTREMES, Encoding):
            bits = EXTREMES[weights]((40, geometry.kernel_size, geometry.kernel_size, channels))
            x = np.where(EXTREMES[inputs]((5, 4, channels)), 1, -1).astype(np.float32)
            yield sum_case(level, channels, geometry, encoding, bits, x)
    rng = np.random.default_rng(0)
    for number, (group_out, size) in enumerate(product((1, 7, 16, 17, 33, 48, 64, 65, 96, 110), (1, 3, 9))):
        groups, group_in = int(rng.choice([1, 2, 3])), int(rng.choice([1, 8, 20, 24, 33, 48, 70]))
        geometry = Geometry(3, int(rng.integers(1, 3)), 1 + number % 2, 1 + number % 2, groups)
        bits = rng.random((group_out * groups, 3, 3, group_in)) < 0.5
        x = rng.standard_normal((size, size, group_in * groups)).astype(np.float32)
        yield sum_case(level, group_in * groups, geometry, list(Encoding)[number % 2], bits, x)


def run_cases(driver, before, level, file):
    file.write_bytes(b"".join([*program_cases(level), *sums_cases(level)]))
    done = subprocess.run([*before, str(driver), str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    assert done.stdout.endswith("96 cases, 0 differ\n")


@pytest.fixture(scope="module")
def arm_driver(tmp_path_factory):
    if not shutil.which(QEMU[0]):
        pytest.skip(f"there is no {QEMU[0]}")
    return compiled(CROSS, tmp_path_factory.mktemp("arm64"), "-static")


@pytest.fixture(scope="module")
def checked_driver(tmp_path_factory):
    try:
        folder = tmp_path_factory.mktemp("checked")
        return compiled("gcc", folder, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    except subprocess.CalledProcessError:
        pytest.skip("gcc has no sanitizers here")


@pytest.mark.parametrize("level", [Level.NEON, Level.PLAIN], ids=lambda level: level.name)
def test_arm64_gives_the_same_bits(arm_driver, level, tmp_path):
    run_cases(arm_driver, QEMU, level, tmp_path / "cases")


def instructions(driver, file):
    """What one run of a case takes, by qemu's log of every instruction: that of two runs less that of one."""

    def counted(times):
        log = file.with_suffix(".log")
        options = ("-singlestep", "-d", "exec,nochain", "-D", str(log))
        subprocess.run([*QEMU, *options, str(driver), str(file), str(times)], check=False, stdout=subprocess.DEVNULL)
        with log.open("rb") as lines:
            return sum(1 for line in lines if line.startswith(b"Trace"))

    return counted(2) - counted(1)


@pytest.mark.slow
def test_neon_takes_a_sixth_of_the_instructions(arm_driver, tmp_path):
    """Packing, gathering and stores included, for a group of 48 channels, 3x3, as in Table 6's model A."""
    rng, taken = np.random.default_rng(0), {}
    bits = rng.random((48, 3, 3, 48)) < 0.5
    x = rng.standard_normal((8, 8, 48)).astype(np.float32)
    for level in (Level.NEON, Level.PLAIN):
        file = tmp_path / level.name
        file.write_bytes(sum_case(level, 48, Geometry(3, 1, 1), Encoding.SIGNS, bits, x))
        taken[level] = instructions(arm_driver, file) / (8 * 8 * 48 * 48 * 9)
    print({level.name: f"{count:.4f} a product" for level, count in taken.items()})
    assert taken[Level.PLAIN] > 6 * taken[Level.NEON]


@pytest.mark.slow
@pytest.mark.parametrize("level", [Level.PLAIN, Level.AVX2, Level.AVX512], ids=lambda level: level.name)
def test_sanitizers_find_nothing(checked_driver, level, tmp_path):
    """Out-of-bounds accesses and undefined behaviour would end the driver."""
    if not load().calls.bnn_supports(level):
        pytest.skip(f"this processor has no {level.name}")
    run_cases(checked_driver, (), level, tmp_path / "cases")
