"""A network as plain C: the same bits as the engine's by every compiler and for every processor that is here."""

import platform
import random
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from test_onebit_engines import binary, epilogue, every_operation, gated, numbers, whole_vectors

from models.families import build_network
from models.onebit import portable
from models.onebit.engine import Engine, Layout
from models.onebit.file import Model
from models.onebit.lowering.lower import lower
from models.onebit.operations import (
    Activation,
    BinaryConvolution,
    Concatenate,
    Encoding,
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
)
from models.onebit.program import Program
from models.onebit.standalone.placing import place
from models.onebit.standalone.source import TEMPLATES, FolderError, c_files, write_c
from spaces import get_space

SLOW = pytest.mark.slow
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-ffp-contract=off"]
SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
DRIVER = r"""
#include <stdio.h>
#include "net.h"
static net_memory memory;
static float image[NET_VALUES], logits[NET_CLASSES];
_Static_assert(sizeof(net_memory) == NET_RAM_BYTES, "the header states another size");
int main(void) {
    while (fread(image, sizeof(float), NET_VALUES, stdin) == NET_VALUES) {
        net_logits(&memory, image, logits);
        fwrite(logits, sizeof(float), NET_CLASSES, stdout);
    }
    return 0;
}
"""
ON_THIS_PROCESSOR = {"plain": [], "ssse3": ["-mssse3"], "avx2": ["-mavx2", "-mpopcnt"], "native": ["-march=native"]}
CROSS = {
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "riscv64": ("riscv64-linux-gnu-gcc", "qemu-riscv64"),
}
CORTEX = {
    "Cortex-M3": ("mps2-an385", ["-mcpu=cortex-m3"]),
    "Cortex-M7": ("mps2-an500", ["-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"]),
}
FIRMWARE = r"""
#include <stdio.h>
#include "net.h"
static net_memory memory;
static float image[NET_VALUES], logits[NET_CLASSES];
int main(void) {
    FILE *in = fopen("images", "rb"), *out = fopen("logits", "wb");
    while (fread(image, sizeof(float), NET_VALUES, in) == NET_VALUES) {
        net_logits(&memory, image, logits);
        fwrite(logits, sizeof(float), NET_CLASSES, out);
    }
    fclose(out);
    return 0;
}
"""


def needs(*programs):
    """Skips a test where one of the programs is missing."""
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def model_of(program, names=None, **facts):
    channels = program.image.channels
    names = names or tuple(f"class {number}" for number in range(program.classes))
    return Model(program, names, (0.4,) * channels, (0.3,) * channels, facts)


def built(folder, program, compiler="gcc", flags=(), driver=DRIVER, model=None):
    """A program of the C of a network and a driver."""
    write_c(folder / "net", model or model_of(program))
    (folder / "net" / "driver.c").write_text(driver)
    command = [compiler, *STRICT, *flags, "driver.c", "net.c", "-o", "driver"]
    done = subprocess.run(command, cwd=folder / "net", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "net" / "driver"


def logits_of(command, program, images):
    done = subprocess.run(command, input=images.tobytes(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return np.frombuffer(done.stdout, np.float32).reshape(-1, program.classes)


def images_for(program, count=3):
    channels, height, width = program.image
    return numbers(np.random.default_rng(9), count, height, width, channels)


def assert_same(command, program):
    images = images_for(program)
    np.testing.assert_array_equal(logits_of(command, program, images), portable.run(program, images))


def network_program(name, member=None):
    """The program of a member of a space, or a random one, whose batch norms differ from their initial values."""
    torch.manual_seed(0)
    space = get_space(name)
    network = build_network(space, member or space.sample(random.Random(3))).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d) and module.affine:
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor += torch.rand_like(tensor)
    return lower(network)


@needs("gcc")
@pytest.mark.parametrize(
    "activation", [Activation.RPRELU, *(pytest.param(kind, marks=SLOW) for kind in Activation if kind != "rprelu")]
)
def test_every_operation_gives_the_same_bits_and_touches_no_other_memory(tmp_path, activation):
    program = every_operation(activation, seed=1)
    assert_same([built(tmp_path, program, flags=SANITIZED)], program)


@needs("gcc")
@pytest.mark.parametrize("processor", ON_THIS_PROCESSOR)
@pytest.mark.parametrize("make", [every_operation, whole_vectors, gated])
def test_all_kernels_give_the_same_bits(tmp_path, make, processor):
    known = Path("/proc/cpuinfo").read_text() if platform.machine() == "x86_64" else ""
    if processor in ("ssse3", "avx2") and processor not in known:
        pytest.skip(f"this processor has no {processor}")
    program = make(Activation.RPRELU)
    assert_same([built(tmp_path, program, flags=["-O1", *ON_THIS_PROCESSOR[processor]])], program)


@needs("clang")
@pytest.mark.parametrize("flags", [["-O1", "-march=native"], pytest.param(["-std=gnu17", "-O2"], marks=SLOW)])
def test_clang_gives_the_same_bits(tmp_path, flags):
    program = every_operation(Activation.RPRELU)
    assert_same([built(tmp_path, program, "clang", flags)], program)


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("aarch64", marks=needs(*CROSS["aarch64"])),
        pytest.param("riscv64", marks=[SLOW, needs(*CROSS["riscv64"])]),
    ],
)
@pytest.mark.parametrize("make", [every_operation, whole_vectors])
def test_other_processors_give_the_same_bits(tmp_path, make, machine):
    compiler, emulator = CROSS[machine]
    program = make(Activation.RPRELU)
    assert_same([emulator, built(tmp_path, program, compiler, ["-O1", "-static"])], program)


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        pytest.param(compiler, flags, marks=needs(compiler))
        for compiler, flags in (
            ("gcc", ["-march=native"]),
            ("aarch64-linux-gnu-gcc", []),
            ("clang", ["--target=aarch64-linux-gnu", "-ffreestanding"]),
        )
    ],
)
def test_nothing_is_fused_where_the_flag_is_forgotten(tmp_path, compiler, flags):
    """Nor is anything called, but what compilers put in place of loops."""
    for name, text in c_files(model_of(every_operation(Activation.RPRELU)), "net")[0].items():
        (tmp_path / name).write_text(text)
    subprocess.run([compiler, "-std=gnu17", "-O3", *flags, "-S", "net.c", "-o", "net.s"], cwd=tmp_path, check=True)
    lines = [line.split() for line in (tmp_path / "net.s").read_text().splitlines() if line.strip()]
    assert not [line for line in lines if line[0].startswith(("vfm", "vfnm", "fmla", "fmls", "fmadd", "fmsub"))]
    called = {line[-1].split("@")[0] for line in lines if line[0] in ("call", "callq", "bl")}
    own = {line[0].rstrip(":") for line in lines if line[0].endswith(":")}
    assert called - own <= {"memset", "memcpy", "memmove"}


def test_tensors_that_live_together_lie_apart():
    for make in (every_operation, whole_vectors):
        program = make(Activation.NONE)
        places, total = place(program)
        assert total < 0.6 * sum(shape.size for shape in program.shapes)
        for number, operation in enumerate(program.operations[:-1]):
            made = number + 1
            read_later = {tensor for later in program.operations[made:] for tensor in inputs_of(later)}
            alive = read_later & set(range(made)) | {made}
            if not isinstance(operation, BinaryConvolution | Pointwise | Product):
                alive |= set(inputs_of(operation))
            spans = sorted((places[tensor], places[tensor] + program.shapes[tensor].size) for tensor in alive)
            assert all(end <= start for (_, end), (start, _) in pairwise(spans))
            assert spans[-1][1] <= total


@needs("gcc")
def test_the_smallest_programs(tmp_path):
    """One operation, of which the image is no part, or which needs no memory."""
    for number, operation in enumerate((Zero(Shape(3, 1, 1)), GlobalAverage(0))):
        program = Program(Shape(3, 4, 4), (operation,))
        assert_same([built(tmp_path / str(number), program, flags=SANITIZED)], program)


@needs("gcc")
@pytest.mark.parametrize(
    "name", ["nasbnn-digits", "vgg-digits", pytest.param("resnet-20", marks=SLOW), "bnas-digits", "bnext-digits"]
)
def test_networks_of_all_families_give_the_same_bits(tmp_path, name):
    program = network_program(name)
    images = images_for(program)
    driver = built(tmp_path, program, flags=["-O1", "-march=native"])
    np.testing.assert_array_equal(logits_of([driver], program, images), Engine(program)(images, Layout.NHWC))


@needs("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
@pytest.mark.parametrize("board", ["Cortex-M3", pytest.param("Cortex-M7", marks=SLOW)])
def test_a_microcontroller_gives_the_same_bits_within_64_kb_of_flash_and_32_kb_of_memory(tmp_path, board):
    """With the start and the memory of the guide, whose linker script refuses what is larger."""
    machine, flags = CORTEX[board]
    space = get_space("nasbnn-digits")
    member = space.parse("c16k3g1 | c16k3g1 c24k3g1 | c32k3g2 c48k3g1 c48k3g2 | c64k5g4 c64k5g4 c96k3g2")
    program = network_program("nasbnn-digits", member)
    guide = (Path(__file__).parents[2] / "docs" / "deploy-microcontroller.md").read_text()
    for file in ("startup.c", "board.ld"):
        (tmp_path / file).write_text(re.search(rf"```\w+ {re.escape(file)}\n(.*?)```", guide, re.DOTALL)[1])
    flags = [
        *flags,
        "-mthumb",
        "-O2",
        "--specs=nano.specs",
        "--specs=rdimon.specs",
        "-nostartfiles",
        "-Wl,--gc-sections",
    ]
    flags += ["-ffunction-sections", "-fdata-sections", "-T", tmp_path / "board.ld", tmp_path / "startup.c"]
    firmware = built(tmp_path, program, "arm-none-eabi-gcc", flags, FIRMWARE)
    text, data, bss = map(int, run("arm-none-eabi-size", firmware).stdout.splitlines()[1].split()[:3])
    assert text + data < 2**16
    assert data + bss < 2**15
    images = images_for(program)
    (tmp_path / "images").write_bytes(images.tobytes())
    command = ["qemu-system-arm", "-M", machine, "-nographic", "-semihosting-config", "enable=on,target=native"]
    subprocess.run([*command, "-kernel", firmware], cwd=tmp_path, check=True, timeout=60)
    found = np.fromfile(tmp_path / "logits", np.float32).reshape(-1, 10)
    np.testing.assert_array_equal(found, portable.run(program, images))


def random_program(seed):
    """A chain of random operations of random windows, whose shortcuts are any earlier tensors that fit."""
    rng = np.random.default_rng(seed)
    shapes = [Shape(int(rng.integers(1, 70)), int(rng.integers(3, 10)), int(rng.integers(3, 10)))]
    operations = []

    def tail(source, channels, height, width):
        fitting = [
            tensor
            for tensor, (_, h, w) in enumerate(shapes)
            if h % height == 0 and h // height * width == w and (tensor != source or rng.random() < 0.7)
        ]
        shortcut = int(rng.choice(fitting)) if fitting and rng.random() < 0.6 else None
        return epilogue(rng, channels, Activation(rng.choice([*Activation])), shortcut)

    while len(operations) < 8:
        source = max(0, len(shapes) - 1 - int(rng.integers(0, 2)))
        given, kind = shapes[source], rng.integers(0, 7)
        groups = int(rng.choice([g for g in (1, 2, 3, 4) if given.channels % g == 0]))
        size = int(rng.integers(1, 6))
        geometry = Geometry(
            size, *map(int, rng.integers(1, 3, 1)), int(rng.integers(0, 5)), int(rng.integers(1, 3)), groups
        )
        if kind == 4:
            geometry = Geometry(size, geometry.stride, int(rng.integers(0, size // 2 + 1)))
        height, width = (geometry.out_size(side) for side in given[1:])
        if min(height, width) < 1 and kind not in (3, 6):
            continue
        out = groups * int(rng.integers(1, 40))
        if kind < 2:
            end = tail(source, out, height, width)
            encoding = Encoding(rng.choice([*Encoding]))
            operations.append(binary(rng, source, given.channels, out, geometry, encoding, end))
        elif kind == 2:
            weight = rng.integers(-128, 128, (size, size, given.channels // groups, out)).astype(np.int8)
            weight = weight if rng.random() < 0.5 else weight.astype(np.float32) / 7
            end = tail(source, out, height, width)
            operations.append(FloatConvolution(source, out, geometry, weight, end))
        elif kind == 3:
            out, height, width = given
            operations.append(Pointwise(source, tail(source, *given)))
        elif kind == 4:
            out = given.channels
            operations.append(Pool(source, Reduction(rng.choice([*Reduction])), geometry))
        elif kind == 6:
            out, height, width = given
            alike = [tensor for tensor, shape in enumerate(shapes) if shape in (given, (out, 1, 1))]
            operations.append(Product(source, int(rng.choice(alike)), tail(source, *given)))
        else:
            same = [tensor for tensor, shape in enumerate(shapes) if shape[1:] == given[1:]]
            parts = tuple(map(int, rng.choice(same, 2)))
            out, height, width = sum(shapes[tensor].channels for tensor in parts), *given[1:]
            operations.append(Concatenate(parts))
        shapes.append(Shape(out, height, width))
    end = (
        GlobalAverage(8)
        if seed % 2
        else Linear(8, 5, numbers(rng, shapes[-1].size, 5), epilogue(rng, 5, Activation.NONE))
    )
    return Program(shapes[0], (*operations, end))


@SLOW
@needs("gcc")
@pytest.mark.parametrize("seed", range(12))
def test_random_programs_give_the_same_bits(tmp_path, seed):
    flags = SANITIZED if seed % 2 else ["-O2", "-march=native"]
    program = random_program(seed)
    assert_same([built(tmp_path, program, flags=flags)], program)


# What a user builds --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return network_program("nasbnn-digits")


@pytest.fixture(scope="module")
def classify(tmp_path_factory, digits):
    """The exported program that tells classes, with every memory access checked; its folder is named net."""
    folder = tmp_path_factory.mktemp("classify")
    return built(
        folder,
        digits,
        flags=SANITIZED,
        driver=(TEMPLATES / "main.c").read_text().replace("bnn", "net").replace("BNN", "NET"),
    )


def run(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


@needs("gcc")
def test_pixels_are_normalised_as_the_commands_of_python_do(tmp_path, classify, digits):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64), np.uint8)
    for number, image in enumerate(pixels):
        (tmp_path / f"{number}.raw").write_bytes(image.tobytes())
    done = run(classify, "--logits", *(tmp_path / f"{number}.raw" for number in range(3)))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    images = (pixels.reshape(3, 8, 8, 1).astype(np.float32) / 255 - np.float32(0.4)) / np.float32(0.3)
    wanted = portable.run(digits, images)
    for number, logits in enumerate(wanted):
        name, *found = lines[11 * number : 11 * number + 11]
        assert name == f"class {logits.argmax()}  {tmp_path}/{number}.raw"
        np.testing.assert_array_equal(np.array(found, np.float32), logits)


@needs("gcc")
@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "is too short"), (b"x" * 63, "is too short"), (b"x" * 65, "is too long"),
                             (b"x" * 10**6, "is too long"), (None, "cannot be opened"), ("folder", "cannot be read")]
)  # fmt: skip
def test_files_that_are_no_image_are_refused_and_the_others_read(tmp_path, classify, content, problem):
    bad, good = tmp_path / "bad", tmp_path / "good"
    good.write_bytes(bytes(64))
    if content == "folder":
        bad.mkdir()
    elif content is not None:
        bad.write_bytes(content)
    done = run(classify, bad, good)
    assert done.returncode == 1
    assert done.stderr == f"{bad} {problem}; an image has 64 bytes\n"
    assert done.stdout.endswith(f"  {good}\n")
    assert run(classify).returncode == 2


HOSTILE = (
    "plain", 'a "quoted" one', "back\\slash", "two\nlines", "tab\t", "größer 数字", "*/ int x; /*", "??/ trigraph",
    "%s%n", "\x7f\x1b[31m", "</script><b>", "0777", "\\u0041", "", "@NAMES@", "bnn BNN_CLASSES",
)  # fmt: skip


@needs("gcc")
@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=needs("clang"))])
def test_names_and_facts_survive_whatever_is_in_them(tmp_path, compiler):
    program = Program(Shape(len(HOSTILE), 2, 2), (GlobalAverage(0),))
    model = model_of(program, HOSTILE, **{f"fact {number}": name for number, name in enumerate(HOSTILE)})
    driver = """
#include <stdio.h>
#include "net.h"
int main(void) {
    for (int i = 0; i < NET_CLASSES; i++) fputs(net_class_names[i], stdout), putchar(0);
    return 0;
}
"""
    done = run(built(tmp_path, program, compiler, driver=driver, model=model))
    assert done.stdout == "".join(f"{name}\0" for name in HOSTILE)
    assert run_as_cpp(tmp_path / "net") == 0


def run_as_cpp(folder):
    """Whether C++ takes the header."""
    (folder / "user.cpp").write_text('#include "net.h"\nint main() { return sizeof(net_memory) == 0; }\n')
    return (
        run("g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", folder / "user.cpp").returncode
        if shutil.which("g++")
        else 0
    )


@pytest.mark.parametrize("tool", ["make", pytest.param("cmake", marks=[SLOW, needs("cmake")])])
@needs("gcc", "make")
def test_the_folder_builds_and_measures(tmp_path, digits, tool):
    folder = tmp_path / "3 digits"
    sizes = write_c(folder, model_of(digits))
    assert {path.name for path in folder.iterdir()} == {
        "net_3_digits.h", "net_3_digits.c", "kernels.h", "main.c", "bench.c", "Makefile", "CMakeLists.txt",
    }  # fmt: skip
    text = (folder / "net_3_digits.h").read_text()
    assert f"#define NET_3_DIGITS_FLASH_BYTES {sizes.flash}\n#define NET_3_DIGITS_RAM_BYTES {sizes.ram}\n" in text
    if tool == "make":
        commands = [["make", "-C", folder, "CC=gcc", "CFLAGS=-O1"]]
    else:
        commands = [["cmake", "-S", folder, "-B", folder, "-DCMAKE_C_COMPILER=gcc"], ["cmake", "--build", folder]]
    for command in commands:
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert " ms an image (quartiles " in run(folder / "bench").stdout
    (folder / "image.raw").write_bytes(bytes(64))
    assert run(folder / "classify", folder / "image.raw").stdout.startswith("class ")


@needs("gcc")
def test_two_networks_go_into_one_program(tmp_path, digits):
    for name in ("one", "two"):
        write_c(tmp_path / name, model_of(digits))
    includes = '#include "one/one.h"\n#include "two/two.h"\n'
    call = "return one_best((float[10]){0}) + two_best((float[10]){0});"
    (tmp_path / "both.c").write_text(f"{includes}int main(void) {{ {call} }}\n")
    sources = [tmp_path / name for name in ("both.c", "one/one.c", "two/two.c")]
    assert run("gcc", *STRICT, *sources, "-o", tmp_path / "both").returncode == 0
    assert run(tmp_path / "both").returncode == 0


def test_flash_is_the_arrays(digits):
    files, sizes = c_files(model_of(digits), "net")
    widths = {"float": 4, "int8_t": 1, "uint32_t": 4}
    arrays = re.findall(r"static const (float|int8_t|uint32_t) \w+\[(\d+)\] = \{", files["net.c"])
    names = sum(len(f"class {number}") + 1 for number in range(10))
    assert sum(widths[kind] * int(count) for kind, count in arrays) + 8 + names == sizes.flash


def test_a_folder_that_holds_something_is_left_alone(tmp_path, digits):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, words_of_it in (("full", "is not empty"), ("file", "is a file")):
        with pytest.raises(FolderError, match=words_of_it):
            write_c(tmp_path / name, model_of(digits))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "notes.txt"]
    (tmp_path / "empty").mkdir()
    write_c(tmp_path / "empty", model_of(digits))
