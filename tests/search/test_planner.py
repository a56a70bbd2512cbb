"""From a folder and a time to a configuration: what is planned and corrected; sizes; small and unequal classes."""

import io
import json
import time
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from rich.console import Console

from analysis.runs.layout import EVENTS_FILE
from models.checkpoints.networks import save_network
from models.families import build_network
from models.layers.modes import Mode
from search.cli.options import parse_bytes, parse_duration
from search.config.loading import changed, check_config, load_config
from search.config.sections import ConfigError
from search.config.trainings import FinetuneConfig
from search.data.augment import Augmentation, augment
from search.data.config import DataConfig, recognise
from search.data.dataset import Normalisation, TensorSplit
from search.data.sources.parquet import ParquetImages
from search.execution.inline import InlineExecutor
from search.pipeline.carry_out import carry_out
from search.pipeline.planner import plan as planning
from search.pipeline.planner import survey as surveying
from search.pipeline.planner.correction import corrected, patience
from search.pipeline.planner.plan import Wanted, make_plan
from search.pipeline.planner.speeds import Speeds, Teaching
from search.pipeline.planner.survey import Machine, survey
from search.pipeline.planner.table import duration, rows
from search.pipeline.planner.teaching import asked_for, teaching
from search.pipeline.prepare import prepare
from search.pipeline.view import PlainView
from search.runs.folder import open_run
from search.runs.locking import writing
from search.runs.progress import PLAN, progress
from search.runs.records import Stage
from search.runs.study import read_noted, read_records
from search.training.batches import class_weights, mix_of
from search.training.evaluation import evaluate_calls
from spaces import SpaceError, get_space


def images(root, counts, sides=(60, 90), mode="RGB"):
    rng = np.random.default_rng(0)
    for label, count in enumerate(counts):
        folder = root / f"class-{label}"
        folder.mkdir(parents=True)
        for number in range(count):
            height, width = rng.integers(*sides, 2)
            if mode == "I;16":
                Image.fromarray(rng.integers(0, 65536, (height, width)).astype("uint16")).save(folder / f"{number}.png")
            else:
                pixels = rng.integers(0, 256, (height, width, 3)).astype("uint8")
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture
def pretended(monkeypatch):
    """Speeds that follow from the work alone, so that a plan does not depend on the machine."""

    def measure(space, batch_size, augmentation, validation, recalibration):
        work = planning._work(space)
        return Speeds(work * 4e-12, work * 1e-12, 1e-9 * work / 100 + 0.05, work * 1e-13)

    monkeypatch.setattr(planning, "measure", measure)


def planned(path, *settings, **wanted):
    beside = asked_for(recognise(path), {}, settings)
    here, asked = Machine(2, 2**34, cuda=False), Wanted(**wanted, beside=beside)
    return make_plan(beside.data, survey(beside.data, 0), here, asked, 0, time.monotonic())


@pytest.mark.parametrize(
    ("counts", "sides", "mode"),
    [
        ((60, 60, 60), (60, 90), "RGB"),
        ((12, 12), (30, 40), "RGB"),
        ((240, 4), (16, 17), "RGB"),
        ((3,) * 30, (20, 24), "I;16"),
    ],
    ids=["photos", "12 per class", "60:1", "30 classes of 16 bits"],
)
def test_every_kind_of_folder_gets_a_plan_that_fills_its_time(tmp_path, pretended, counts, sides, mode):
    config = planned(images(tmp_path / "own", counts, sides, mode), seconds=600.0)
    speeds = config.plan
    total = speeds.spent + config.supernet.epochs * speeds.supernet_epoch + config.search.trials * speeds.candidate
    total += config.finetune.networks * config.finetune.epochs * speeds.finetune_epoch + speeds.closing
    total += (config.finetune.networks + 2) * speeds.network
    assert 0.7 * 600 < total < 600
    assert config.space.architectures().image_size <= sides[1]
    assert (config.search.objectives[0] == "balanced_accuracy") == (counts[0] > 3 * counts[-1])
    assert check_config(config.model_dump(mode="json", exclude_defaults=True), "plan") == config


def test_a_longer_time_gets_a_larger_space_and_limits_hold(tmp_path, pretended):
    folder = images(tmp_path / "own", (60, 60, 60))
    short, long, small = (
        planned(folder, seconds=s, ops_max=o) for s, o in ((60.0, None), (7200.0, None), (7200.0, 5e4))
    )
    work = [planning._work(each.space.architectures(3, 3)) for each in (short, long)]
    assert work[0] < work[1]
    for each in (short, long):  # 60 images per class
        size, epochs = each.space.architectures(3, 3).image_size, each.supernet.epochs
        assert (each.data.policy == "trivialaugment") == (size > 16 and epochs >= 100)
    space = small.space.architectures(3, 3)
    assert space.cost(space.smallest()).ops <= small.search.ops_max == 5e4
    with pytest.raises(ConfigError, match="no space has networks this small"):
        planned(folder, ops_max=10.0)


def test_reading_is_estimated_from_neighbours_since_a_row_group_is_read_once(tmp_path, monkeypatch):
    """400 images in 40 row groups that take a second each: 40 s, and not 400."""
    now = [0.0]
    read = ParquetImages._read_group

    def slowly(self, group):
        now[0] += 1
        return read(self, group)

    png = io.BytesIO()
    Image.new("RGB", (9, 9)).save(png, "png")
    table = pa.table({"image": [{"bytes": png.getvalue()}] * 400, "label": [0, 1] * 200})
    pq.write_table(table, tmp_path / "own.parquet", row_group_size=10)
    monkeypatch.setattr(ParquetImages, "_read_group", slowly)
    monkeypatch.setattr(surveying, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert 30 < survey(recognise(tmp_path / "own.parquet"), 0).decoding < 80


def test_as_many_images_are_planned_for_as_settings_leave(tmp_path, pretended):
    settings = "data.train_limit=60", "data.validation_limit=9"
    config = planned(images(tmp_path / "own", (60, 60, 60)), *settings, seconds=600.0)
    assert (config.data.train_limit, config.data.validation_limit) == (60, 9)
    assert 0.7 * 600 < total_of(config) < 600
    assert config == changed(config, {}, settings)


def test_a_space_that_is_asked_for_is_what_is_planned(tmp_path, pretended):
    folder = images(tmp_path / "own", (60, 60, 60))
    config = planned(folder, "space.name=bnext-digits@32/2", "space.non_decreasing=false", seconds=600.0)
    assert (config.space.name, config.space.non_decreasing) == ("bnext-digits@32/2", False)
    assert 0.7 * 600 < total_of(config) < 600
    for setting, said in (
        ("space.name=bnas-cifar10", "space bnas-cifar10 cannot be planned for, only spaces of NAS-BNN's family"),
        ("method=training", "method is training: .* leave method out, or give a preset"),
    ):
        with pytest.raises(ConfigError, match=said):
            planned(folder, setting, seconds=600.0)
    with pytest.raises(ConfigError, match="space bnext-digits@32/2 has no networks this small"):
        planned(folder, "space.name=bnext-digits@32/2", ops_max=10.0)


def test_supernets_of_few_epochs_learn_from_labels_unless_a_teacher_is_named(tmp_path, pretended):
    folder = images(tmp_path / "own", (60, 60, 60))
    short, long = (planned(folder, "space.name=nasbnn@96", seconds=s) for s in (60.0, 7200.0))
    assert short.supernet.epochs < planning.LONG <= long.supernet.epochs
    assert (short.supernet.teacher, long.supernet.teacher) == ((), (Mode.FWBA,))
    asked = ("space.name=nasbnn@96", "supernet.teacher=bwba")
    assert changed(planned(folder, *asked, seconds=60.0), {}, asked).supernet.teacher == (Mode.BWBA,)


def test_the_correction_fills_what_a_slow_or_fast_supernet_left(tmp_path, pretended):
    config = planned(images(tmp_path / "own", (60, 60, 60)), seconds=600.0)
    epochs, as_planned = config.supernet.epochs, config.supernet.epochs * config.plan.supernet_epoch
    amounts = [
        corrected(config, config.plan.spent + f * as_planned, f * as_planned, epochs, epochs) for f in (0.6, 1.0, 1.6)
    ]
    assert {each.epochs for each in amounts} == {epochs}
    plan, tuned = config.plan, config.finetune.epochs * config.plan.finetune_epoch
    rests = [each.trials * plan.candidate + each.networks * tuned for each in amounts]
    assert rests == sorted(rests, reverse=True)
    for factor, rest in zip((0.6, 1.0, 1.6), rests, strict=True):
        closing = (config.finetune.networks + 2) * plan.network + plan.closing
        total = plan.spent + factor * (as_planned + rest + closing)
        assert total < 1.1 * 600


@pytest.mark.parametrize("factor", [2.0, 3.0, 5.0])
def test_a_supernet_that_takes_too_long_is_cut_and_the_whole_still_fits(factor, tmp_path, pretended):
    config = planned(images(tmp_path / "own", (60, 60, 60)), seconds=600.0)
    plan, epochs = config.plan, config.supernet.epochs
    seconds = patience(config, epochs)
    assert seconds == pytest.approx(1.2 * epochs * plan.supernet_epoch)
    done = int(seconds / (factor * plan.supernet_epoch)) + 1
    taken = done * factor * plan.supernet_epoch
    amounts = corrected(config, plan.spent + taken, taken, done, done)
    assert done < amounts.epochs < epochs
    rest = (amounts.epochs - done) * plan.supernet_epoch + amounts.trials * plan.candidate + plan.closing
    rest += amounts.networks * config.finetune.epochs * plan.finetune_epoch
    rest += (config.finetune.networks + 2) * plan.network
    assert 0.7 * 600 < plan.spent + taken + factor * rest < 1.1 * 600


@pytest.fixture
def teacher(tmp_path):
    """The setting that names a network of three classes as a teacher."""
    space = get_space("vgg-digits").for_data(classes=3, channels=3)
    save_network(tmp_path / "teacher", build_network(space, space.largest()))
    return f"teacher={tmp_path / 'teacher'}"


@pytest.fixture
def taught(tmp_path, pretended, monkeypatch):
    """Plans of ten minutes with settings beside them, and their tables; a teacher takes 1 ms an image."""
    data = recognise(images(tmp_path / "own", (60, 60, 60)))
    found, here = survey(data, 0), Machine(2, 2**34, cuda=False)

    def pretend(training, images, *_):
        kept = Augmentation.of(images) == Augmentation()
        return Teaching(*((0, 1e-3) if kept else (1e-3, 0)) if training.teachers else ())

    monkeypatch.setattr(planning, "teaching", pretend)

    def plan(*settings):
        wanted = Wanted(600.0, beside=asked_for(data, {}, settings))
        config = changed(make_plan(data, found, here, wanted, 0, time.monotonic()), {}, settings)
        return config, {what: (much, long) for what, much, long in rows(config, found, here)}

    return plan


def total_of(config):
    """Seconds of everything that a plan tells."""
    plan, tuned, final = config.plan, config.finetune, config.final
    total = plan.spent + config.supernet.epochs * plan.supernet_epoch + config.search.trials * plan.candidate
    total += tuned.networks * tuned.epochs * plan.finetune_epoch + final.networks * final.epochs * plan.final_epoch
    return total + (tuned.networks + 2) * plan.network + plan.closing


def test_what_teachers_take_is_part_of_a_plan_and_of_its_lines(taught, teacher):
    (plain, lines), (one, _) = taught(), taught(f"supernet.{teacher}")
    both, told = taught(f"supernet.{teacher}", f"finetune.{teacher}")
    passes = 1e-3 * int(lines["images"][0].split()[0])
    assert plain.space == one.space == both.space
    assert one.plan.supernet_epoch - plain.plan.supernet_epoch == pytest.approx(passes)
    assert one.plan.finetune_epoch == plain.plan.finetune_epoch
    assert both.plan.finetune_epoch - plain.plan.finetune_epoch == pytest.approx(passes)
    assert one.supernet.epochs < plain.supernet.epochs
    assert both.finetune.epochs < one.finetune.epochs
    for config in (plain, one, both):
        assert 0.7 * 600 < total_of(config) < 600
    assert told["supernet"] == (
        f"{both.supernet.epochs} epochs in batches of {both.supernet.batch_size}, 1 teaching",
        duration(both.supernet.epochs * both.plan.supernet_epoch),
    )
    assert told["finetuning"][0].endswith("epochs, 1 teaching")
    assert "teaching" not in str(lines)


def test_what_teachers_say_is_counted_once_where_it_is_kept(taught, teacher):
    settings = f"supernet.{teacher}", f"finetune.{teacher}"
    (plain, lines), (kept, _), (again, _) = taught(), taught(*settings, "data.crop_padding=0"), taught(*settings)
    once = 1e-3 * int(lines["images"][0].split()[0])
    for config, passes in ((kept, once), (again, again.supernet.epochs * once)):
        added = config.supernet.epochs * (config.plan.supernet_epoch - plain.plan.supernet_epoch)
        assert added == pytest.approx(passes)
    added = kept.plan.finetune_epoch - plain.plan.finetune_epoch
    assert kept.finetune.networks * kept.finetune.epochs * added == pytest.approx(once)
    assert 0.7 * 600 < total_of(kept) < 600


def test_final_training_takes_its_time_from_the_rest(taught, teacher):
    final = "final.networks=2", "final.epochs=100"
    (_, lines), (own, _), (config, told) = taught(), taught(*final), taught(*final, f"final.{teacher}")
    passes = 1e-3 * int(lines["images"][0].split()[0])
    assert config.plan.final_epoch - own.plan.final_epoch == pytest.approx(passes)
    assert "final training" not in lines
    assert told["final training"] == ("2 networks, 100 epochs, 1 teaching", duration(200 * config.plan.final_epoch))
    for each in (own, config):
        assert 0.7 * 600 < total_of(each) < 600
    trained = config.supernet.epochs * config.plan.supernet_epoch
    amounts = corrected(config, config.plan.spent + trained, trained, config.supernet.epochs, config.supernet.epochs)
    rest = amounts.networks * config.finetune.epochs * config.plan.finetune_epoch
    rest += amounts.trials * config.plan.candidate + 200 * config.plan.final_epoch + config.plan.closing
    assert 0.7 * 600 < config.plan.spent + trained + rest < 600
    with pytest.raises(ConfigError, match=r"final training [0-9]+ s; give more --time"):
        taught("final.networks=2", "final.epochs=10000", f"final.{teacher}")


def test_teachers_are_timed_by_their_forward_passes(tmp_path, teacher):
    data = recognise(images(tmp_path / "own", (6, 6, 6), (8, 12)))
    found, space = survey(data, 0), get_space("nasbnn-digits").for_data(classes=3, channels=3)
    moved, still = (asked_for(data, {}, (f"finetune.{teacher}", *more)) for more in ((), ("data.crop_padding=0",)))
    assert teaching(moved.supernet, moved.data, found, space) == Teaching()
    each, kept = (teaching(config.finetune, config.data, found, space) for config in (moved, still))
    assert each.every_epoch > 0 == each.once
    assert kept.once > 0 == kept.every_epoch


def test_the_command_counts_the_teachers_of_its_settings(tmp_path, cli):
    folder = images(tmp_path / "own", (6, 6), (8, 12))
    done = cli("search", "--data", folder, "--time=1m", "--dry-run", "--set=final.teacher=nowhere")
    assert done.returncode == 2
    assert "final.teacher: nowhere does not exist" in done.stderr


def test_a_teacher_of_other_classes_is_refused_before_anything_is_measured(tmp_path, teacher):
    data = recognise(images(tmp_path / "own", (6, 6), (8, 12)))
    wanted = Wanted(60.0, beside=asked_for(data, {}, [f"finetune.{teacher}"]))
    with pytest.raises(ConfigError, match=r"finetune.teacher: .* tells 3 classes apart, and the data have 2"):
        make_plan(data, survey(data, 0), Machine(2, 2**34, cuda=False), wanted, 0, time.monotonic())


class Stopping(PlainView):
    """Stops at the second candidate."""

    def trial(self, record):
        if record.number == 1:
            raise KeyboardInterrupt


def test_a_run_that_was_stopped_after_its_correction_keeps_it(tmp_path, monkeypatch):
    """Whatever the time says after that: the journal has the one decision."""
    monkeypatch.setattr(planning, "measure", lambda *_: Speeds(1e-6, 1e-6, 1e-3, 1e-6))
    config = planned(images(tmp_path / "own", (12, 12), (8, 12)), seconds=60.0)
    small = {"epochs": 4, "batch_size": 8}
    config = config.model_copy(
        update={
            "supernet": config.supernet.model_copy(update=small),
            "search": config.search.model_copy(update={"trials": 400, "first_generation": 4, "generation": 2}),
            "finetune": config.finetune.model_copy(update={"networks": 1, "epochs": 1}),
            "plan": config.plan.model_copy(update={"supernet_epoch": 1e-3, "candidate": 6.0, "finetune_epoch": 1.0}),
        }
    )
    run = prepare(config, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), writing(run):
        carry_out(run, InlineExecutor(run), Stopping(Console(file=io.StringIO())))
    noted = read_noted(run.journal, Stage.INHERITED, PLAN)
    assert noted is not None
    assert noted["epochs"] < 4, "the first epoch took longer than all were to take"
    assert progress(run).of == noted["trials"] < 400
    with writing(run):
        carry_out(open_run(run.path), InlineExecutor(run), PlainView(Console(file=io.StringIO())))
    assert read_noted(run.journal, Stage.INHERITED, PLAN) == noted
    records = read_records(run.journal)
    assert sum(each.stage is Stage.INHERITED for each in records) == noted["trials"]
    lines = [json.loads(line) for line in (run.path / EVENTS_FILE).read_text().splitlines()]
    epochs = [line["epoch"] for line in lines if line["event"] == "epoch" and line["phase"] == "supernet"]
    assert epochs == list(range(1, noted["epochs"] + 1))


def test_names_with_sizes_follow_the_one_rule():
    assert get_space("nasbnn@224") is get_space("nasbnn")
    small, named = get_space("nasbnn@32"), get_space("nasbnn-32")
    assert (small.stem_stride, small.stages) == (named.stem_stride, named.stages)
    assert get_space("nasbnn@90/4").image_size == 96
    for name in ("nasbnn", "nasbnn-digits", "vgg-small", "resnet-20", "bnas-cifar10", "bnas-d"):
        for size in (8, 13, 96, 256):
            space = get_space(f"{name}@{size}")
            assert abs(space.image_size - size) <= 4 or size > 90
            assert space.cost(space.smallest()).ops > 0
    with pytest.raises(SpaceError, match="8 to 256 pixels; got 7"):
        get_space("nasbnn@7")
    with pytest.raises(SpaceError, match="does not divide width 24"):
        get_space("nasbnn@64/5")
    config = load_config("nasbnn-digits", ["space.name=nasbnn", "space.image_size=96"])
    assert config.space.architectures().stages == get_space("nasbnn@96").stages


def test_a_preset_keeps_nothing_of_its_own_data_for_others(tmp_path):
    folder = images(tmp_path / "own", (4, 4), (8, 12))
    data = recognise(folder).model_dump(mode="json", exclude_unset=True)
    config = load_config("nasbnn-cifar10", (), {"data": data})
    assert config.data == DataConfig(name="folder", path=folder)
    own = load_config("nasbnn-cifar10", (), {"data": {"name": "cifar10"}})
    assert own.data.validation_per_class == 500


def split(labels):
    labels = torch.tensor(labels)
    noise = torch.randint(0, 256, (len(labels), 3, 16, 16), dtype=torch.uint8)
    return TensorSplit(noise, labels, Normalisation((0.5,) * 3, (0.3,) * 3), Augmentation())


def test_balanced_accuracy_and_class_weights_let_every_class_count_alike():
    data = split([0] * 9 + [1])
    metrics = evaluate_calls(lambda x: torch.eye(2)[[0] * len(x)], data, 4, torch.device("cpu"))
    assert (metrics["accuracy"], metrics["balanced_accuracy"]) == (0.9, 0.5)
    weights = class_weights(FinetuneConfig(class_weights="balanced"), data, torch.device("cpu"))
    assert torch.allclose(weights, torch.tensor([10 / 18, 5.0]))
    assert class_weights(FinetuneConfig(), data, torch.device("cpu")) is None


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_labels_are_shares(name):
    data = split([0, 1, 2, 1])
    mixed, labels = mix_of(FinetuneConfig(mix=name), data)(torch.randn(4, 3, 16, 16), data.labels)
    assert mixed.shape == (4, 3, 16, 16)
    assert torch.allclose(labels.sum(1), torch.ones(4))
    assert torch.isfinite(F.cross_entropy(torch.randn(4, 3), labels))


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_policy_follows_from_the_seed_and_leaves_torchs_generator(policy, channels):
    batch = torch.randint(0, 256, (6, channels, 16, 16), dtype=torch.uint8)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, two = (augment(batch, Augmentation(policy=policy), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, batch)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_times_and_sizes_are_read_with_units():
    assert [parse_duration(text) for text in ("90s", "30m", "2h", "1d")] == [90, 1800, 7200, 86400]
    assert [parse_bytes(text) for text in ("100KB", "64KiB", "1.5 MB", "40000")] == [1e5, 65536, 1.5e6, 4e4]
    for text in ("30", "-1m", "0h", "1w", ""):
        with pytest.raises(Exception, match="expected a time"):
            parse_duration(text)
    with pytest.raises(Exception, match="expected a size"):
        parse_bytes("many")


def test_twelve_images_per_class_search_to_the_end_and_another_run_starts_from_there(tmp_path, cli):
    folder = images(tmp_path / "own", (12, 12), (8, 12))
    small = ("--set=supernet.epochs=1", "--set=finetune.networks=1", "--set=finetune.epochs=1", "--trials=4",
             "--set=execution.executor=inline")  # fmt: skip
    done = cli("search", "nasbnn-digits", "--data", folder, "--out", tmp_path / "a", "--bytes-max=60KB", *small)
    assert done.returncode == 0, done.stderr
    assert "the batch size of supernet is 64, but there are 18 training images: it becomes 18" in done.stderr
    assert "validation_fraction 0.25" in done.stderr
    images(tmp_path / "more", (12, 12, 12), (8, 12))
    again = cli("search", "nasbnn-digits", "--data", tmp_path / "more", "--out", tmp_path / "b",
                f"--set=supernet.start={tmp_path / 'a'}", *small)  # fmt: skip
    assert again.returncode == 0, again.stderr
    other = cli("search", "nasbnn-digits", "--data", folder, "--out", tmp_path / "c", "--bytes-max=10", *small)
    assert other.returncode == 2
    assert "raise it, or take a smaller space" in other.stderr
