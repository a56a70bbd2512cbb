"""Networks on a machine that only runs them: numpy alone, the same bits as beside torch, errors in one sentence."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

from models.onebit import timing
from models.onebit.engine import Backend, Engine, Layout
from models.onebit.file import read_model
from models.onebit.header import BnnFileError
from models.onebit.native import build
from models.onebit.native import engine as native
from models.onebit.pieces import write_pieces
from models.onebit.program import MapProgram
from models.onebit.runtime.classifier import Classifier, ImageError, normalised, softmax
from models.onebit.runtime.command import main
from models.onebit.simulation import Simulation

HOME = Path(__file__).resolve().parents[2]
MODEL = Path(__file__).parent / "artefacts" / "model-v2.bnn"
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'ray', 'pandas', 'PIL', 'optuna'))); "


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def wanted(pixels):
    """The logits that this process gives for tensors of torch's."""
    model = read_model(MODEL)
    images = torch.from_numpy(normalised(model, pixels)).permute(0, 3, 1, 2)
    logits = Engine(model.program)(images)
    assert torch.allclose(Simulation(model.program)(images.contiguous()), logits, atol=1e-4)
    return logits.numpy()


def runtime_source():
    spec = spec_from_file_location("runtime_source", HOME / "wheels" / "runtime_source.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """The source of the distribution binarynas-runtime."""
    folder = tmp_path_factory.mktemp("runtime")
    runtime_source().write(folder)
    return folder


def blocked(code: str, path: Path, *arguments: str | Path) -> str:
    """What a process prints in which torch and its like cannot be imported, with one folder on its path."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", BLOCKED + code, *arguments], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(path), "HOME": str(Path.home()), "PATH": "/usr/bin:/bin"}, cwd=path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ["models.onebit.runtime.classifier", "binarynas_runtime"])
@pytest.mark.parametrize("backend", Backend)
def test_it_runs_without_torch_with_the_same_bits(package, backend, tree, pixels, wanted, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    code = f"""import numpy, {package} as r; from {package} import Classifier
network = Classifier(sys.argv[1], r.Backend({backend.value!r}))
numpy.save(sys.argv[2] + '/logits.npy', network.logits(numpy.load(sys.argv[2] + '/pixels.npy'), threads=2))
ours = {{name.partition('.')[0] for name in sys.modules}} & {{'models', 'spaces', 'search', 'analysis', 'binarynas'}}
print(*sorted(ours))"""
    own = package == "binarynas_runtime"
    loaded = blocked(code, tree if own else HOME, MODEL, tmp_path).split()
    assert np.load(tmp_path / "logits.npy").tobytes() == wanted.tobytes()
    assert loaded == ([] if own else ["models", "spaces"])


def test_the_distribution_has_no_module_that_imports_torch(tree):
    files = sorted((tree / "binarynas_runtime").rglob("*.py"))
    assert {"engine.py", "file.py", "portable.py", "classifier.py", "command.py"} <= {file.name for file in files}
    assert not {"simulation.py", "lower.py"} & {file.name for file in files}
    assert {file.name for file in (tree / "binarynas_runtime").rglob("*.[ch]")} == {
        file.name for file in build.SOURCE.parent.glob("*.[ch]")
    }


def test_a_name_that_only_a_package_gives_is_refused(tmp_path):
    (tmp_path / "file.py").write_text("from spaces import get_space\n")
    with pytest.raises(ValueError, match="imports get_space of spaces: name the module that defines it"):
        runtime_source().modules({tmp_path / "file.py"})


def test_importing_it_takes_little_beside_numpy(tree):
    code = """import time, numpy; start = time.process_time(); import binarynas_runtime
print(time.process_time() - start)"""
    assert min(float(blocked(code, tree)) for _ in range(3)) < 0.2


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (1, 8, 8), (1, 8, 8, 1)])
def test_an_image_alone_is_a_batch_of_one(shape, pixels, wanted):
    network = Classifier(MODEL)
    assert network.shape == (8, 8, 1)
    assert np.array_equal(network.logits(pixels[0].reshape(shape)), wanted[:1])


def test_normalised_floats_of_either_layout_are_the_same(pixels, wanted):
    network = Classifier(MODEL)
    floats = normalised(network.model, pixels)
    planes = normalised(network.model, pixels.transpose(0, 3, 1, 2), Layout.NCHW)
    assert np.array_equal(floats.transpose(0, 3, 1, 2), planes)
    assert np.array_equal(network.logits(floats), wanted)
    assert np.array_equal(network.logits(floats.astype(np.float64)), wanted)
    assert network.logits(pixels[:0]).shape == (0, 10)
    assert network.classify(pixels[:0]) == []


def test_probabilities_add_up(pixels, wanted):
    found = softmax(wanted)
    assert np.allclose(found.sum(1), 1, atol=1e-15)
    assert softmax(np.array([1000, 0], np.float32)).tolist() == [1, 0]
    assert Classifier(MODEL).classify(pixels) == [(str(row.argmax()), float(row.max())) for row in found]


def test_parts_of_a_detector_are_refused(tmp_path):
    program = read_model(MODEL).program
    write_pieces(tmp_path / "body.bnn", {"stem": MapProgram(program.image, program.operations[:2])})
    with pytest.raises(BnnFileError, match=r"body\.bnn: it holds parts of a detector, not a network; give"):
        Classifier(tmp_path / "body.bnn")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((3, 3), np.uint8), r"must have the shape 8×8×1 .*, but these have 3×3; resize"),
        (np.zeros((0, 8, 8, 3), np.uint8), "but these have 0×8×8×3"),
        (np.uint8(3), "but these have none"),
        (np.zeros((8, 8), np.int64), "must be uint8, pixels from 0 to 255, or floats .*, not int64"),
        (np.zeros((8, 8), complex), "not complex128"),
        (np.array([None, {}]), "not object"),
        (np.full((8, 8), np.nan), "hold numbers that are not finite"),
    ],
)
def test_other_images_are_refused(images, words):
    with pytest.raises(ImageError, match=words):
        Classifier(MODEL).logits(images)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, pixels):
    """The command, in a folder with images: its exit code, what it printed and what it complained of."""
    monkeypatch.chdir(tmp_path)
    np.save("five.npy", pixels)
    Path("one.raw").write_bytes(pixels[0].tobytes())
    np.save("large.npy", np.zeros((28, 28), np.uint8))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    Path("empty.npy").touch()

    def call(*words):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            return end.code, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return call


def test_the_command_tells_classes(run, wanted):
    code, printed, _ = run("predict", MODEL, "five.npy", "one.raw")
    lines = printed.splitlines()
    assert (code, len(lines)) == (0, 6)
    assert [line[0] for line in lines[:5]] == [str(best) for best in wanted.argmax(1)]
    assert lines[5] == lines[0].replace("five.npy[0]", "one.raw")
    found = json.loads(run("predict", MODEL, "five.npy", "--logits", "--json")[1])
    assert np.array_equal(np.array([each["logits"] for each in found], np.float32), wanted)
    text = run("predict", MODEL, "one.raw", "--logits")[1].splitlines()[1]
    assert np.array_equal(np.array(text.split(), np.float32), wanted[0])


def test_the_command_tells_what_a_file_holds_and_times_it(run):
    code, printed, _ = run("info", MODEL)
    assert code == 0
    assert "image:        8×8×1" in printed
    assert "c8k3g1 | c16k3g1 | c32k3g2 | c64k3g4" in printed
    assert json.loads(run("info", MODEL, "--json")[1])["space"] == "nasbnn-digits"
    assert "ms per image (quartiles" in run("bench", MODEL, "--seconds", "0.05", "--batch", "2")[1]
    (engine,) = json.loads(run("bench", MODEL, "--seconds", "0.05", "--json")[1])["engines"].values()
    assert engine["median"] > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict", MODEL, "none.npy"], "none.npy cannot be read: No such file or directory"),
        (["predict", MODEL, "empty.npy"], "empty.npy is damaged, or no .npy file of numbers"),
        (["predict", MODEL, "objects.npy"], "objects.npy is damaged, or no .npy file of numbers"),
        (["predict", MODEL, "large.npy"], "large.npy: an image must have the shape 8×8×1"),
        (["predict", MODEL, MODEL], "where the pixels of an image of 8×8×1 have 64; no formats such as PNG"),
        (["info", "one.raw"], "one.raw: this is not a .bnn file"),
        (["bench", "none.bnn"], "cannot read none.bnn: No such file or directory"),
        (["bench", MODEL, "--batch", "0"], "give a number from 1 to 4096, not '0'"),
        (["bench", MODEL, "--seconds", "nan"], "give a number from 0.05 to 600, not 'nan'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_what_is_wrong_is_one_sentence(run, words, sentence):
    code, printed, complaint = run(*words)
    assert (code, printed) == (2, "")
    assert sentence in complaint.splitlines()[-1]


def test_the_engine_that_came_with_the_package_goes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    built = native.load().calls._name
    monkeypatch.setattr(build, "prebuilt", lambda: Path(built))
    monkeypatch.setattr(build, "library", lambda: pytest.fail("it was compiled"))
    native.load.cache_clear()
    try:
        assert native.load().calls._name == built
    finally:
        native.load.cache_clear()


def test_one_for_another_machine_is_left_alone(tmp_path, monkeypatch):
    library = native.load().calls._name
    foreign = tmp_path / "engine.so"
    foreign.write_bytes(b"\x7fELF of another processor")
    monkeypatch.setattr(build, "prebuilt", lambda: foreign)
    native.load.cache_clear()
    try:
        assert native.load().calls._name == library
    finally:
        native.load.cache_clear()


def test_it_bears_the_version_of_its_source():
    assert build.prebuilt("linux").name == f"engine-{build.version()}.so"
    assert build.prebuilt("darwin").suffix == ".dylib"
    assert build.prebuilt("win32").suffix == ".dll"
    assert build.prebuilt().parent == build.SOURCE.parent


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("processor\t: 0\nmodel name\t: A\n\nprocessor\t: 1\nmodel name\t: B\nmodel\t: 7\n", "A"),
        (
            "processor\t: 0\nCPU part\t: 0xd0b\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
            "Raspberry Pi 5 Model B Rev 1.0",
        ),
    ],
)
def test_a_board_tells_its_name(monkeypatch, told, name):
    monkeypatch.setattr(Path, "read_text", lambda *_: told)
    assert timing.processor() == name
