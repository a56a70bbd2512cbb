"""What a step of supernet training launches on a GPU, counted on tensors without values: no GPU is needed.

    python benchmarks/launches.py

Every operation of torch's that is no view counts as one launch, and moves the bytes that it reads and writes. A library
may take several launches for one operation, so the real number is higher; the fused ones are kernels of ours, of one
launch each. A block is the kxk unit and the 1x1 unit of a layer: forward, then backward with the gradients of its
parameters. What would make the processor wait for the GPU is listed, and must be nothing.
"""

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent.parent))

from models.layers.fused.choice import Fusion, fusion
from models.layers.modes import Mode
from models.nasbnn.supernet import NasBnnSupernet
from search.config.trainings import SupernetConfig
from search.training import steps
from search.training.loop import _optimizer
from spaces import Layer, get_space

NO_LAUNCH = ("aten::empty", "aten::new_empty", "aten::detach", "aten::_unsafe_view", "aten::lift_fresh", "profiler::")
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique", "unique_", "is_nonzero", "equal")
PRODUCTS = ("aten::convolution", "aten::mm", "aten::addmm", "aten::bmm", "aten::linear")


def tensors(values):
    return [x for x in torch.utils._pytree.tree_leaves(values) if isinstance(x, torch.Tensor)]


def size(x):
    """Bytes in memory: of what is repeated by a stride of 0, one copy."""
    count = 1
    for length, stride in zip(x.shape, x.stride(), strict=True):
        count *= length if stride else 1
    return count * x.itemsize


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


class Counter(TorchDispatchMode):
    """Counts while it is entered."""

    def __init__(self):
        super().__init__()
        self.launches, self.moved, self.of_products, self.waits, self.names = 0, 0, 0, [], {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function._schema.name
        if name.startswith("prim::"):
            return function(*args, **kwargs)
        if function._schema.name.rpartition("::")[2].startswith(WAITS) or self._to_host(function, args, kwargs):
            self.waits.append(name)
        result = self._run(function, args, kwargs)
        if not self._is_view(function) and not name.startswith(NO_LAUNCH):
            self.launches += 1
            self.names[name] = self.names.get(name, 0) + 1
            moved = sum(size(x) for x in tensors((args, kwargs, result)))
            if name.startswith(PRODUCTS):
                self.of_products += moved
            else:
                self.moved += moved
        return result

    @staticmethod
    def _run(function, args, kwargs):
        if function._schema.name == "aten::batch_norm_update_stats":  # torch has none for tensors without values
            return args[0].new_empty(2, args[0].shape[1]).unbind()
        result = function(*args, **kwargs)
        if function._schema.name.startswith("aten::convolution"):  # as cuDNN lays it out
            return torch.utils._pytree.tree_map_only(torch.Tensor, channels_last, result)
        return result

    @staticmethod
    def _is_view(function):
        returned = [each.alias_info for each in function._schema.returns]
        return bool(returned) and all(each is not None and not each.is_write for each in returned)

    @staticmethod
    def _to_host(function, args, kwargs):
        name = function._schema.name
        devices = {x.device.type for x in tensors(args)}
        target = kwargs.get("device")
        to_another = target is not None and {torch.device(target).type} != devices and devices
        return (name == "aten::_to_copy" and to_another) or (name == "aten::copy_" and len(devices) > 1)


@contextmanager
def autocast_of(dtype):
    """torch's autocast for convolutions of ours, whose type is asked for; the meta device has none of torch's own."""
    inside = []

    class Autocast:
        def __init__(self, device, dtype=dtype, *, enabled=True):
            self.given = dtype if enabled else None

        def __enter__(self):
            inside.append(self.given)

        def __exit__(self, *_):
            inside.pop()

    with (
        patch.object(torch, "autocast", Autocast),
        patch.object(torch, "is_autocast_enabled", lambda device: bool(inside) and inside[-1] is not None),
        patch.object(torch, "get_autocast_dtype", lambda device: inside[-1]),
        patch.object(steps, "autocast", lambda device, _: Autocast(device, enabled=dtype is not None)),
    ):
        yield


def supernet_of(space):
    with torch.device("meta"):
        return NasBnnSupernet(get_space(space))


def block_counts(supernet, stage, place, layer, mode, batch):
    """Counts of a block: forward, backward."""
    space = supernet.space
    block = supernet.stages[stage][place]
    before = space.image_size // space.stem_stride
    for each in space.stages[: stage + (place > 0)]:
        before = -(-before // each.stride)
    channels = block.kxk.weight.shape[0]
    x = torch.empty(batch, channels, before, before, device="meta").contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    counters = Counter(), Counter()
    with steps.autocast(x.device, None):
        with counters[0]:
            y = block(x, layer, mode)
        gradient = torch.empty_like(y)
        with counters[1]:
            torch.autograd.grad(y, (x, *block.parameters()), gradient, allow_unused=True)
    return counters


def step_counts(supernet, batch):
    """Counts of the passes of a sandwich, of what the loop adds, and of the optimiser."""
    space = supernet.space
    config = SupernetConfig()
    images = torch.empty(batch, space.channels, space.image_size, space.image_size, device="meta")
    labels = torch.empty(batch, dtype=torch.int64, device="meta")
    total = torch.zeros((), dtype=torch.float64, device="meta")
    passes, loop, optimiser = Counter(), Counter(), Counter()
    step = steps.sandwich_step(supernet, config)
    with passes:
        loss = step(steps.Batch(images, labels, 0))
    with loop:
        total += loss.double() * len(labels)
        supernet.stem.step_taken()
    shapes = [(name, p.shape) for name, p in supernet.named_parameters()]
    with FakeTensorMode():  # torch's optimisers are fused on CUDA, not on the meta device
        twin = torch.nn.Module()
        for number, (name, shape) in enumerate(shapes):
            holder = torch.nn.Module()
            holder.register_parameter(name.rpartition(".")[2], torch.nn.Parameter(torch.empty(shape, device="cuda")))
            twin.add_module(str(number), holder)
        optimizer = _optimizer(twin, config)
        for parameter in twin.parameters():
            parameter.grad = torch.empty_like(parameter)
        optimizer.step()  # makes its state
        with optimiser:
            optimizer.zero_grad(set_to_none=True)
            for parameter in twin.parameters():
                parameter.grad = torch.empty_like(parameter)
            optimizer.step()
    return passes, loop, optimiser


def blocks_of(space):
    """The blocks that are shown: name, stage, place, layer."""
    for stage, (each, last) in enumerate(zip(space.stages, (stage.widths[-1] for stage in space.stages), strict=True)):
        for kernel_size in each.kernel_sizes:
            for place in (0, 1):
                name = f"stage {stage + 1}, {'first' if place == 0 else 'later'} block, {kernel_size}x{kernel_size}"
                yield name, stage, place, Layer(last, kernel_size, each.groups[0])


def counts_of(supernet, batch, choice):
    """Of every block that is shown: its name, its mode, and the counts forward and backward."""
    for name, *block in blocks_of(supernet.space):
        for mode in (Mode.BWBA, Mode.FWBA):
            with fusion(choice):
                yield name, mode, *block_counts(supernet, *block, mode, batch)


def show(name, mode, forward, backward, *, names):
    gigabytes = (forward.moved + backward.moved) / 1e9
    print(f"  {name}, {mode}: {forward.launches:3} + {backward.launches:3} ({gigabytes:6.2f} GB)")
    if names:
        print(f"    forward  {forward.names}\n    backward {backward.names}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--space", default="nasbnn")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="bfloat16")
    parser.add_argument("--names", action="store_true", help="show which operations a block launches")
    options = parser.parse_args()
    supernet = supernet_of(options.space)
    print(f"{options.space}, {options.batch} images, convolutions in {options.dtype}")
    print("launches of a block forward + backward (GB moved by all but products)")
    with autocast_of(None if options.dtype == "float32" else getattr(torch, options.dtype)):
        for choice, what in ((Fusion.NEVER, "plain"), (Fusion.ALWAYS, "fused")):
            print(f"{what}:")
            for counted in counts_of(supernet, options.batch, choice):
                show(*counted, names=options.names)
            with fusion(choice):
                passes, loop, optimiser = counted = step_counts(supernet, options.batch)
            waits = [name for each in counted for name in each.waits]
            print(
                f"  a step: {passes.launches} launches in four passes, {loop.launches} of the loop, "
                f"{optimiser.launches} of the optimiser; {sum(each.moved for each in counted) / 1e12:.2f} TB moved by "
                f"all but products; waits for the GPU: {waits or 'none'}"
            )


if __name__ == "__main__":
    main()
