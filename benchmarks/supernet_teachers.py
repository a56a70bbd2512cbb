"""What other teachers than its own largest subnet do for a supernet of the digits, at equal epochs.

Every way is a run of a base of the studies with the same seeds and images: of `nasbnn` (10 epochs, then 40 random
subnets with its weights), or with `--base digits` of whole searches. The other teacher is the float twin of the
supernet's largest subnet, trained from the labels on the same images for the epochs of --twin-epochs. Printed are the
studies' measures, means with 95 % intervals of Student's t, and differences from the first way, seed by seed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from analysis import mean_interval
from models.checkpoints.networks import save_network
from models.families import build_network
from models.layers.modes import Mode
from search.config.trainings import FinalConfig
from search.data.opening import open_data
from search.seeds import derive_seed
from search.training.evaluation import evaluate
from search.training.loop import train
from search.training.steps import plain_step

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "studies"))
from claims import make_arm
from measures import MEASURES
from run import carry

BASES = {
    "nasbnn": ["accuracy of candidates"],
    "digits": ["accuracy of candidates", "accuracy when finetuned", "test accuracy, at most 25 K OPs"],
}
WAYS = {
    "its largest subnet (fwba)": lambda twin: {"teacher": ["fwba"]},
    "none: the labels": lambda twin: {"teacher": []},
    "its largest subnet and the twin": lambda twin: {"teacher": ["fwba", twin]},
    "the twin": lambda twin: {"teacher": [twin]},
    "the twin, temperature 4": lambda twin: {"teacher": [twin], "teacher_temperature": 4.0},
    "the twin, weight 0.5": lambda twin: {"teacher": [twin], "teacher_weight": 0.5},
}


def save_twin(folder, config, seed, epochs):
    """Train the float twin of the largest subnet and write it; points of accuracy."""
    space = config.space.architectures(classes=10, channels=1)
    data = open_data(config.data, image_size=space.image_size, seed=seed)
    torch.manual_seed(derive_seed(seed, "twin"))
    twin = build_network(space, space.largest(), mode=Mode.FWFA)
    settings = FinalConfig(epochs=epochs, batch_size=64, learning_rate=4e-3)
    for _ in train(twin, plain_step(twin, settings), data.train, settings, seed=derive_seed(seed, "twin", "training")):
        pass
    save_network(folder, twin.eval(), {"class_names": data.class_names, "mean": data.mean, "std": data.std})
    return 100 * evaluate(twin, data.validation, 256)["accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--base", default="nasbnn", choices=list(BASES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--twin-epochs", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    base, names = arguments.base, BASES[arguments.base]
    found, twins = {way: [] for way in arguments.ways}, []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            twin = Path(scratch) / "twin"
            twins.append(save_twin(twin, make_arm(base, {}).config(seed), seed, arguments.twin_epochs))
            for way in arguments.ways:
                arm = make_arm(base, {"supernet": WAYS[way](str(twin))})
                carry(arm, seed, Path(scratch))
                found[way].append({name: MEASURES[name](Path(scratch) / arm.run(seed)) for name in names})
                print(
                    f"seed {seed}, {way}: {', '.join(f'{each:.2f} %' for each in found[way][-1].values())}", flush=True
                )
    print(f"float twin of the largest subnet: {mean_interval(twins).value:.2f} %")
    for name in names:
        print(name)
        first = [each[name] for each in found[arguments.ways[0]]]
        for way, runs in found.items():
            values = [each[name] for each in runs]
            mean = mean_interval(values)
            more = mean_interval([mine - other for mine, other in zip(values, first, strict=True)])
            shown = f"{more.value:+.2f} ({more.low:+.2f} to {more.high:+.2f})" if way != arguments.ways[0] else ""
            print(f"| {way} | {mean.value:.2f} % ({mean.low:.2f} to {mean.high:.2f}) | {shown} |")


if __name__ == "__main__":
    main()
