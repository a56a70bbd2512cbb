"""How well latencies are predicted from a table of operations, and what the 1-bit engine saves in evaluation.

    python benchmarks/latency.py --space nasbnn-digits --networks 50

Prediction: random networks of a space, none of which the table was fitted on, each predicted and then measured by the
table's own protocol; |predicted - measured| / measured as median and quartiles. A machine that is busy in another way
than when the table was made shifts all networks alike, so the error is printed without that common shift, too.

Evaluation: candidates of a supernet with random weights, each in both ways in turn: batch norms anew, then a number of
images; candidates a second by the processor's time, and on how many images the classes differ.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from models.layers.norms.recalibration import recalibrate
from models.nasbnn.supernet import NasBnnSupernet
from models.onebit.engine import Engine
from models.onebit.lowering.lower import lower
from search.latency.programs import program_of
from search.latency.stopwatch import time_programs
from search.latency.table import measure_table
from search.seeds import derive_rng
from spaces import NasBnnSpace, get_space

AIM = 0.05


def predictions(space, count):
    start = time.perf_counter()
    table = measure_table(space)
    print(
        f"{table.processor}, {table.engine}: {len(table.operations)} operations "
        f"in {time.perf_counter() - start:.0f} s, "
        f"readings within {100 * table.repeatability:.1f} %, fitted within {100 * table.fit['median_error']:.1f} %"
    )
    rng = derive_rng(1, "benchmark")
    programs = [program_of(space, space.sample(rng)) for _ in range(count)]
    predicted = np.array([table.predict(program) for program in programs])
    measured = np.array([timing.median for timing in time_programs(programs)])
    print(f"{count} networks of {measured.min():.4g} to {measured.max():.4g} ms")
    shift = float(np.median(measured / predicted))
    for words, values in (("error", predicted), (f"error without the common factor {shift:.2f}", predicted * shift)):
        low, median, high = np.quantile(np.abs(values - measured) / measured, (0.25, 0.5, 0.75))
        told = "reached" if median < AIM else "missed"
        print(f"{words}: {median:.1%} (quartiles {low:.1%} to {high:.1%}); the aim of {AIM:.0%} is {told}")


@torch.no_grad()
def evaluation(space, candidates, images, recalibrated):
    supernet, rng = NasBnnSupernet(space), derive_rng(2, "benchmark")
    shape = space.channels, space.image_size, space.image_size
    seen, batch = torch.randn(images, *shape), torch.randn(recalibrated, *shape)
    taken, differ = {"float": [], "onebit": [], "before": []}, 0
    for number in range(candidates + 1):
        start = time.thread_time()
        network = supernet.extract(space.sample(rng))
        recalibrate(network, [batch])
        spent = {"before": time.thread_time() - start}
        start = time.thread_time()
        floats = torch.cat([network(part) for part in seen.split(512)])
        spent["float"] = time.thread_time() - start
        start = time.thread_time()
        engine = Engine(lower(network))
        bits = torch.cat([engine(part) for part in seen.split(512)])
        spent["onebit"] = time.thread_time() - start
        differ += int((floats.argmax(1) != bits.argmax(1)).sum())
        if number:  # the first one warms up
            for name, seconds in spent.items():
                taken[name].append(seconds)
    before = statistics.median(taken.pop("before"))
    for name, seconds in taken.items():
        each = statistics.median(seconds)
        print(f"{name}: {1 / (before + each):.2f} candidates/s, {1e3 * each:.1f} ms for {images} images")
    ratios = [a / b for a, b in zip(taken["float"], taken["onebit"], strict=True)]
    ratio, classes = statistics.median(ratios), images * (candidates + 1)
    print(f"ratio without recalibration {ratio:.2f}; {differ} classes of {classes} differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--space", default="nasbnn-digits")
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--images", type=int, default=450)
    parser.add_argument("--recalibrated", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    space = get_space(options.space)
    predictions(space, options.networks)
    if isinstance(space, NasBnnSpace):
        evaluation(space, options.candidates, options.images, options.recalibrated)


if __name__ == "__main__":
    main()
