"""The 1-bit engine against float32 convolutions of torch: layer by layer, and whole networks.

Run with the allocator that training uses, on a machine that does nothing else:
    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 OMP_NUM_THREADS=1 python benchmarks/onebit.py

All sides take turns, in one process and one thread; times are the processor's. Printed are medians, and the median and
quartiles of the ratios of neighbouring turns.
Where the processor has AVX-512, the engine's AVX2 kernels take turns as well, and the ratio to them is printed beside,
of whole networks and of their binary convolutions alone, each from floats to integers.
Torch is given the best of its layouts: channels first, channels last, and, for a layer alone,
channels last with weights that oneDNN has prepacked. Inputs of a layer are floats, whose bits the engine packs in its
time; torch convolves signs that are there already. Whole networks are those of `models.nasbnn.network` at 224
pixels, and VGG-small at 32, in evaluation mode.
"""

import argparse
import ctypes
import json
import math
import os
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

from models.nasbnn.network import BinaryNetwork
from models.onebit.engine import Engine
from models.onebit.lowering.lower import lower
from models.onebit.native.engine import NativeEngine
from models.onebit.native.plan import BINARY_CONVOLUTION, Level, NativeOperation, aligned
from models.onebit.operations import BinaryConvolution, Encoding, Geometry, GlobalAverage, Shape, pack_signs
from models.onebit.program import Program
from models.onebit.timing import processor
from models.width.network import WidthNetwork
from spaces import get_space

MODELS = {
    "A": "c24k3g1 | c48k3g1 c48k3g1 | c96k3g2 c96k3g2 | c192k3g4 c192k3g4 | c384k3g8 c384k3g8 c384k3g8 c384k3g8 "
    "c384k3g8 c384k3g8 c384k3g8 c384k3g8 | c768k3g16 c768k3g16",
    "D": "c48k3g1 | c48k3g1 c96k3g1 | c192k5g2 c192k3g2 | c384k3g2 c384k3g4 c384k3g4 | c768k3g4 c768k3g4 c768k3g4 "
    "c768k5g8 c768k5g4 c768k5g4 c768k5g4 c768k3g4 | c1536k5g8 c1536k5g8 c1536k3g8",
}
VGG = "VGG-small"
AIMS = {"A": 10.0, "D": 15.0, VGG: 10.0}
LAYER_AIM, LEAST_AIM = 15.0, 11.0
TURN = 0.005
ENGINES = ("engine", "AVX2")
VGG_SMALL = [
    (128, 128, 3, 1, 1, 32), (128, 256, 3, 1, 1, 16), (256, 256, 3, 1, 1, 16), (256, 512, 3, 1, 1, 8),
    (512, 512, 3, 1, 1, 8),
]  # fmt: skip


def table_6():
    """(in, out, kernel, groups, stride, input size) of the different binary convolutions of models A and D."""
    space = get_space("nasbnn")
    shapes = {}
    for text in MODELS.values():
        architecture, size = space.parse(text), space.image_size // space.stem_stride
        width = architecture.stem
        for stage, layers in zip(space.stages, architecture.stages, strict=True):
            for place, layer in enumerate(layers):
                stride = stage.stride if place == 0 else 1
                shapes[width, width, layer.kernel_size, layer.groups, stride, size] = None
                size //= stride
                shapes[width, layer.width, 1, 1, 1, size] = None
                width = layer.width
    return list(shapes)


def seconds_of(task, times):
    start = time.process_time()
    for _ in range(times):
        task()
    return (time.process_time() - start) / times


def call_in_turns(tasks, seconds):
    """Processor seconds of a call of every task, turn by turn; a turn repeats its task for some milliseconds."""
    times = {name: max(1, round(TURN / min(seconds_of(task, 1) for _ in range(3)))) for name, task in tasks.items()}
    taken = {name: [] for name in tasks}
    end = time.process_time() + seconds
    while time.process_time() < end or len(taken["engine"]) < 7:
        for name, task in tasks.items():
            taken[name].append(seconds_of(task, times[name]))
    return taken


def compare(taken):
    """The fastest of torch's ways, the medians in milliseconds, and the ratio's quartiles."""
    ours = taken["engine"]
    best = min((name for name in taken if name not in ENGINES), key=lambda name: statistics.median(taken[name]))
    medians = statistics.median(taken[best]) * 1000, statistics.median(ours) * 1000
    low, middle, high = ratios_of(taken[best], ours)
    found = {"best": best, "torch": medians[0], "engine": medians[1], "ratio": middle, "low": low, "high": high}
    return found | ({"avx2": ratios_of(taken["AVX2"], ours)} if "AVX2" in taken else {})


def ratios_of(others, ours):
    """Quartiles of the ratios of neighbouring turns."""
    return statistics.quantiles([other / our for other, our in zip(others, ours, strict=True)], n=4)


def over_avx2(found):
    """What AVX-512 gains over AVX2, in words, where both run."""
    if "avx2" not in found:
        return ""
    low, middle, high = found["avx2"]
    return f"; AVX2's time {middle:.2f}x ({low:.2f} to {high:.2f})"


def geometric_mean(numbers):
    return math.exp(statistics.mean(map(math.log, numbers)))


def layer_tasks(shape, batch):
    """The engine with packing, and torch in three ways, on one binary convolution."""
    cin, cout, kernel, groups, stride, size = shape
    padding, rng = kernel // 2, np.random.default_rng(0)
    signs = rng.random((cout, kernel, kernel, cin // groups)) < 0.5
    threshold = np.zeros(cin, np.float32)
    geometry = Geometry(kernel, stride, padding, 1, groups)
    operation = BinaryConvolution(0, cout, geometry, Encoding.SIGNS, threshold, pack_signs(signs))
    program = Program(Shape(cin, size, size), (operation, GlobalAverage(1)))
    x = torch.randn(batch, cin, size, size)
    images = x.permute(0, 2, 3, 1).contiguous().numpy()
    engines = {name: engine_on_one(engine, images) for name, engine in native_engines(program).items()}
    weight = torch.from_numpy(np.where(signs, np.float32(1), np.float32(-1))).permute(0, 3, 1, 2)
    bits = torch.where(x >= 0, 1.0, -1.0)
    first, last = (
        (bits.contiguous(memory_format=layout), weight.contiguous(memory_format=layout))
        for layout in (torch.contiguous_format, torch.channels_last)
    )
    settings = [padding] * 2, [stride] * 2, [1, 1]
    packed = torch.ops.mkldnn._reorder_convolution_weight(last[1], *settings, groups, list(x.shape))
    return {
        **engines,
        "channels first": lambda: F.conv2d(*first, None, stride, padding, 1, groups),
        "channels last": lambda: F.conv2d(*last, None, stride, padding, 1, groups),
        "prepacked": lambda: torch.ops.mkldnn._convolution_pointwise(
            last[0], packed, None, *settings, groups, "none", [], ""
        ),
    }


def native_engines(program):
    """The engine at its best, and with AVX2 kernels where that is AVX-512."""
    engines = {"engine": NativeEngine(program)}
    if engines["engine"].level is Level.AVX512:
        engines["AVX2"] = NativeEngine(program, level=Level.AVX2)
    return engines


def engine_on_one(engine, images):
    """Pack and convolve images one after the other, to integers."""
    native = NativeOperation.from_buffer_copy(engine._plan.operations[0])
    native.input = native.packs = native.packed = 0
    scratch, call = aligned(engine._scratch, np.uint8), engine._library.calls.bnn_run_one
    inputs = [aligned(image.size, np.float32) for image in images]
    for memory, image in zip(inputs, images, strict=True):
        memory[:] = image.ravel()
    sums = [np.empty((native.out_height, native.out_width, native.out_channels), np.int16) for _ in images]
    pairs = [(memory.ctypes.data, found.ctypes.data) for memory, found in zip(inputs, sums, strict=True)]

    def run(_kept=(inputs, sums)):
        for memory, found in pairs:
            call(ctypes.byref(native), int(engine.level), memory, scratch.ctypes.data, found)

    return run


def measure_layers(name, shapes, batch, seconds):
    print(f"\n{name}, batch {batch}: milliseconds, and how many times faster with packing (quartiles)")
    results = []
    for shape in shapes:
        cin, cout, kernel, groups, stride, size = shape
        found = compare(call_in_turns(layer_tasks(shape, batch), seconds))
        out = (size + 2 * (kernel // 2) - kernel) // stride + 1
        giga = batch * out * out * cout * (cin // groups) * kernel * kernel / 1e6
        print(
            f"  {cin:4} to {cout:4}, {kernel}x{kernel}, groups {groups:2}, stride {stride}, {size:3} px: torch "
            f"{found['torch']:8.3f} ({found['best']}, {giga / found['torch']:4.0f} G/s), engine {found['engine']:7.3f} "
            f"({giga / found['engine']:4.0f} G/s): {found['ratio']:5.1f}x ({found['low']:.1f} to {found['high']:.1f})"
            + over_avx2(found),
            flush=True,
        )
        results.append({"shape": shape, "batch": batch, **found})
    ratios = [result["ratio"] for result in results]
    mean, gains = geometric_mean(ratios), [result["avx2"][1] for result in results if "avx2" in result]
    if gains:
        print(f"  AVX2's time: geometric mean {geometric_mean(gains):.2f}x, least {min(gains):.2f}x")
    print(f"  geometric mean {mean:.1f}x (aim {LAYER_AIM:.0f}x), least {min(ratios):.1f}x (aim {LEAST_AIM:.0f}x)")
    return results


def new_network(name):
    torch.manual_seed(0)
    if name == VGG:
        space = get_space("vgg-small")
        network = WidthNetwork(space, space.uniform(1.0)).eval()
    else:
        space = get_space("nasbnn")
        network = BinaryNetwork(space, space.parse(MODELS[name])).eval()
    with torch.no_grad():
        for key, buffer in network.named_buffers():
            if not buffer.is_floating_point():
                continue
            buffer += torch.rand_like(buffer) if key.endswith("var") else 0.1 * torch.randn_like(buffer)
    return network


def measure_network(name, batch, seconds, *, compiled):
    network = new_network(name)
    program = lower(network)
    engine = Engine(program)
    images = torch.randn(batch, *program.image)
    array = images.numpy()
    last = images.contiguous(memory_format=torch.channels_last)
    tasks = {
        "engine": lambda: engine(images),
        "channels first": lambda: network(images),
        "channels last": lambda: network(last),
    }
    engines = native_engines(program)
    if "AVX2" in engines:
        tasks["AVX2"] = lambda: engines["AVX2"].run(array, planes=True)
    if compiled:
        torch._dynamo.config.recompile_limit = 256  # every layer's shape is one; beyond the limit it would run eagerly
        fast = torch.compile(network)
        tasks["compiled"] = lambda: fast(last)
    found = compare(call_in_turns(tasks, seconds))
    share, rest = float_share(program)
    print(
        f"  model {name}, batch {batch}: torch {found['torch'] / batch:.2f} ms an image ({found['best']}), engine "
        f"{found['engine'] / batch:.2f}: {found['ratio']:.1f}x ({found['low']:.1f} to {found['high']:.1f}), aim "
        f"{AIMS[name]:.0f}x; {share:.0%} of the engine's time is float: {rest}{over_avx2(found)}",
        flush=True,
    )
    if len(engines) > 1 and batch == 1:
        found["binary"] = ratios_of(*reversed(list(binary_parts(engines, seconds).values())))
        low, middle, high = found["binary"]
        print(f"    binary convolutions alone: AVX2's time {middle:.2f}x ({low:.2f} to {high:.2f})", flush=True)
    return {"model": name, "batch": batch, "float_share": share, **found}


def binary_parts(engines, seconds):
    """Processor seconds of all binary convolutions of a program, each alone, for every engine, turn by turn."""
    tasks = {name: [task for binary, task in operations_alone(engine) if binary] for name, engine in engines.items()}
    return call_in_turns({name: lambda ran=ran: [task() for task in ran] for name, ran in tasks.items()}, seconds)


def operations_alone(engine):
    """Of every operation of a program whether it is a binary convolution, whose integers are stored, and its call."""
    tensors, scratch = aligned(engine._plan.tensors, np.float32), aligned(engine._scratch, np.uint8)
    tensors[:] = np.random.default_rng(0).standard_normal(len(tensors))
    call, level = engine._library.calls.bnn_run_one, int(engine.level)

    def alone(operation):
        native = NativeOperation.from_buffer_copy(operation)
        native.packs = native.packed = 0
        binary = native.kind == BINARY_CONVOLUTION
        sums = np.empty(native.out_height * native.out_width * native.out_channels, np.int16)
        pointers = tensors.ctypes.data, scratch.ctypes.data, sums.ctypes.data if binary else None
        return binary, lambda _kept=(tensors, scratch, sums): call(ctypes.byref(native), level, *pointers)

    return [alone(operation) for operation in engine._plan.operations]


def float_share(program, repeats=5):
    """The share of the engine's time that is no binary convolution: stem, classifier, and what follows convolutions.

    Convolutions are timed one by one, from floats to integers, as the stem and the classifier; the rest of the whole
    network's time is the epilogues'.
    """
    engine = NativeEngine(program)
    image = np.random.default_rng(0).standard_normal((1, *program.image)).astype(np.float32)

    def least(task):
        return min(seconds_of(task, 1) for _ in range(repeats))

    taken = [(binary, least(task)) for binary, task in operations_alone(engine)]
    binary, other = (sum(seconds for kind, seconds in taken if kind is wanted) for wanted in (True, False))
    whole = max(least(lambda: engine.run(image, planes=True)), binary + other)
    parts = {"stem and classifier": other, "epilogues": whole - binary - other, "binary": binary}
    return 1 - binary / whole, ", ".join(f"{part} {1000 * seconds:.2f} ms" for part, seconds in parts.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each layer; networks take ten times as long")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--only", choices=["layers", "networks"])
    parser.add_argument("--compile", action="store_true", help="also torch.compile of whole networks (minutes)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON at the end")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, one thread, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    results = []
    with torch.inference_mode():
        for batch in options.batches:
            if options.only != "networks":
                results += measure_layers("Table 6, models A and D", table_6(), batch, options.seconds)
                results += measure_layers("VGG-small", VGG_SMALL, batch, options.seconds)
            if options.only != "layers":
                print("\nwhole networks")
                for name in AIMS:
                    results.append(measure_network(name, batch, 10 * options.seconds, compiled=options.compile))
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
