"""`execution.precision`: what it means on a machine, in trainings, in what a run records, and when it changes."""

import dataclasses
import json
import re

import pytest
import torch

from analysis import report_html
from analysis.runs.events import load_epochs
from analysis.runs.layout import RUN_FILE, RunError
from models.cell.supernet import MixedSupernet
from models.nasbnn.supernet import NasBnnSupernet
from search.config.execution import ExecutionConfig
from search.config.loading import load_config
from search.config.sections import ConfigError
from search.config.trainings import DifferentiableConfig, FinetuneConfig, SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.pipeline.changes import other_precision, require_unchanged
from search.pipeline.prepare import prepare
from search.runs.folder import open_run
from search.training.bilevel import BilevelStep
from search.training.evaluation import evaluate
from search.training.loop import train
from search.training.steps import plain_step, sandwich_step
from search.worker.device import lacks_precision, pick_precision
from spaces import get_space

CPU = torch.device("cpu")
SMALL = (
    "supernet.epochs=2", "search.trials=2", "search.first_generation=2", "search.generation=2", "finetune.networks=1",
    "finetune.epochs=1", "evaluation.recalibration_batches=1", "execution.executor=inline", "data.train_limit=64",
)  # fmt: skip


@pytest.fixture
def split() -> TensorSplit:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return TensorSplit(images, torch.arange(64) % 8, Normalisation((0.3,), (0.3,)), Augmentation())


@pytest.mark.parametrize(
    ("bfloat16", "amx", "auto"), [(False, False, "float32"), (True, False, "bfloat16"), (False, True, "bfloat16")]
)
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, bfloat16, amx, auto):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert pick_precision("auto", CPU, 32) == getattr(torch, auto)
    assert pick_precision("auto", CPU, 8) == torch.float32  # where it does not pay
    assert pick_precision("float32", CPU, 32) == torch.float32
    assert pick_precision("bfloat16", CPU, 8) == torch.bfloat16


def test_a_machine_that_cannot_says_so(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert "leave it at auto" in lacks_precision("bfloat16", CPU)
    assert lacks_precision("auto", CPU) is lacks_precision("float32", CPU) is None


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="Input should be 'auto', 'float32' or 'bfloat16'"):
        ExecutionConfig(precision="float16")
    with pytest.raises(ConfigError, match=r"execution\.precision.*'auto', 'float32' or 'bfloat16'"):
        load_config("nasbnn-digits", ["execution.precision=half"])


def cells_step(supernet, split, precision):
    config = DifferentiableConfig(epochs=2, batch_size=16)
    half = split.subset(torch.arange(32, 64))
    return config, BilevelStep(supernet, half, config, 0, precision=precision)


def supernet_step(supernet, split, precision):
    config = SupernetConfig(epochs=2, batch_size=32, learning_rate=2e-3)
    return config, sandwich_step(supernet, config, precision=precision)


@pytest.mark.parametrize("kind", ["supernet", "cells"])
def test_within_one_precision_a_resumed_training_has_the_same_bits(tiny, split, tmp_path, kind):
    cells = dataclasses.replace(get_space("bnas-digits"), cells=3, width=4, classes=8)
    make, step_of = {
        "supernet": (lambda: NasBnnSupernet(tiny), supernet_step),
        "cells": (lambda: MixedSupernet(cells), cells_step),
    }[kind]

    def run(seed, precision, until=None, checkpoints=None):
        torch.manual_seed(seed)
        network = make()
        config, step = step_of(network, split, precision)
        list(train(network, step, split, config, seed=3, until=until, checkpoints=checkpoints))
        return network.state_dict()

    whole = run(0, torch.bfloat16)
    run(0, torch.bfloat16, 1, tmp_path)
    resumed = run(1, torch.bfloat16, None, tmp_path)  # other initial weights: all comes from the checkpoint
    assert all(torch.equal(whole[name], values) for name, values in resumed.items())
    other = run(0, torch.float32)
    assert any(not torch.equal(whole[name], values) for name, values in other.items()), "bfloat16 has acted"


def test_a_binary_network_has_the_same_first_loss_in_both(tiny, split):
    """All sums of its forward pass are exact; only gradients are rounded."""
    losses = []
    for precision in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        network, config = NasBnnSupernet(tiny).extract(tiny.largest()), FinetuneConfig(epochs=2, batch_size=64)
        losses.append(
            [
                epoch.loss
                for epoch in train(network, plain_step(network, config, precision=precision), split, config, seed=0)
            ]
        )
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] == pytest.approx(losses[1][1], abs=0.05)


def test_evaluation_does_not_know_of_it(tiny, split):
    torch.manual_seed(0)
    network = NasBnnSupernet(tiny).extract(tiny.largest())
    expected = evaluate(network, split, 32)
    seen = []
    network.register_forward_hook(lambda _module, _given, out: seen.append(out.dtype))
    assert evaluate(network, split, 32) == expected
    assert set(seen) == {torch.float32}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cli):
    """A small run that was trained in bfloat16."""
    if lacks_precision("bfloat16", CPU):
        pytest.skip("torch cannot compute in bfloat16 on this processor")
    out = tmp_path_factory.mktemp("precision") / "run"
    done = cli(
        "search", "nasbnn-digits", "--out", out, *(f"--set={each}" for each in (*SMALL, "execution.precision=bfloat16"))
    )
    assert done.returncode == 0, done.stderr
    assert "images/s in bfloat16" in done.stderr
    return out


def test_a_run_records_the_precision_of_every_epoch(trained):
    epochs = load_epochs(trained)
    assert set(epochs["phase"]) == {"supernet", "finetuned"}
    assert set(epochs["precision"]) == {"bfloat16"}


def test_the_report_says_so(trained):
    assert "trained inbfloat16" in re.sub(r"<[^>]*>", "", report_html([trained]))


def test_another_precision_is_refused(tmp_path):
    run = prepare(load_config("nasbnn-digits", [*SMALL, "execution.precision=float32"]), tmp_path / "run")
    file = run.path / "config.yaml"
    file.write_text(file.read_text().replace("precision: float32", "precision: bfloat16"))
    with pytest.raises(RunError, match=r"execution\.precision was float32, is bfloat16"):
        require_unchanged(open_run(run.path))
    facts = json.loads((run.path / RUN_FILE).read_text())
    del facts["config"]["execution"]["precision"]  # from before there was such a setting
    (run.path / RUN_FILE).write_text(json.dumps(facts))
    require_unchanged(open_run(run.path))


def test_a_machine_that_goes_on_in_another_precision_tells(trained, monkeypatch):
    run = open_run(trained)
    assert other_precision(run) is None
    monkeypatch.setattr("search.pipeline.changes.pick_precision", lambda *_: torch.float32)
    assert "were done in bfloat16, and go on in float32" in other_precision(run)
