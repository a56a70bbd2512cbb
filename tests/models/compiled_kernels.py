"""Compiles the fused kernels for a GPU that is not there, as training would: `python compiled_kernels.py WHAT`.

Triton compiles without a GPU once it is told for which; kernels are compiled where they would be launched, so outputs
are rubbish. Prints as JSON how many variants of every kernel there are after each of several subnets, and how many
multiplications are fused with additions in the programs of each.
"""

import json
import random
import re
import sys
from collections import defaultdict

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from models.layers.fused.choice import Fusion, fusion
from models.layers.modes import Mode
from models.layers.tail import Tail
from models.nasbnn.supernet import NasBnnSupernet
from spaces import get_space


class Hopper:
    """What Triton asks a driver for before it compiles."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_active_torch_device(self):
        return torch.device("cpu")


variants = defaultdict(dict)


def compiled(kernel, grid):
    def launch(*arguments, **settings):
        found = kernel.warmup(*arguments, grid=grid, **settings)
        variants[kernel.__name__][id(found)] = found

    return launch


def tails():
    """A tail in evaluation, of several widths."""
    tail = Tail(96).eval()
    for width in (96, 80, 64, 48):
        sums = torch.zeros(2, width, 4, 4).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            tail(sums, None, sums)
        yield


def subnets():
    """Passes of the teacher and of a student, of several subnets."""
    supernet, rng = NasBnnSupernet(get_space("nasbnn-32-quarter")), random.Random(0)
    for turn in range(6):
        member = supernet.space.sample(rng) if turn else supernet.space.largest()
        for mode in (Mode.FWBA, Mode.BWBA):
            supernet(torch.zeros(2, 3, 32, 32), member, mode).sum().backward()
        yield


def main():
    torch.set_num_threads(1)
    driver.set_active(Hopper())
    JITFunction.__getitem__ = compiled
    turns = {"tails": tails, "subnets": subnets}[sys.argv[1]]()
    with fusion(Fusion.ALWAYS):
        counts = [{name: len(found) for name, found in variants.items()} for _ in turns]
    fused = {
        name: max(len(re.findall(r"fma\.rn\.f32", each.asm["ptx"])) for each in found.values())
        for name, found in variants.items()
    }
    print(json.dumps({"counts": counts, "fused": fused}))


if __name__ == "__main__":
    main()
