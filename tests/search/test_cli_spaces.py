"""`binarynas spaces`, `ops` and `sample`, as a user runs them."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest
import typer

from search import cli
from search.cli.options import parse_count
from spaces import SPACES, space_from

MODEL_A = SPACES["nasbnn"].format(SPACES["nasbnn"].smallest())


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Result:
    """The command in this process, where it need not import everything anew."""
    code: Any = 0
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["binarynas", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    return Result(code, out.getvalue(), err.getvalue())


def answer(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_help_lists_the_commands():
    command = [sys.executable, "-m", "binarynas", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert all(command in text for command in ("spaces", "ops", "sample"))


def test_the_command_line_loads_nothing_heavy():
    code = "import search.cli, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "torch", "ray", "pandas", "optuna", "matplotlib", "sklearn"} & set(loaded)


def test_version():
    assert answer("--version").startswith("binarynas 0.")


def test_spaces_as_a_table():
    lines = answer("spaces").splitlines()
    assert [line.split()[0] for line in lines] == ["space", *SPACES]
    assert "3.32e+17" in lines[1]
    assert "20.8 M to 332 M" in lines[1]


def test_one_space_with_its_genes():
    text = answer("spaces", "nasbnn-digits")
    assert "nasbnn-digits" in text
    assert "s3l1_width        64 96 128\n" in text


def test_spaces_as_json():
    spaces = json.loads(answer("spaces", "--json"))
    assert [space["name"] for space in spaces] == list(SPACES)
    one = json.loads(answer("spaces", "nasbnn", "--json"))
    assert one == spaces[0]
    assert one["count"] == 332353674695147520
    assert (one["image_size"], one["classes"], one["declaration"]["non_decreasing"]) == (224, 1000, True)
    assert one["genes"]["stem_width"] == [24, 32, 48]
    assert one["genes"]["s4_depth"] == [8, 9]


def test_ops_as_json():
    cost = json.loads(answer("ops", "nasbnn", MODEL_A, "--json"))
    assert cost["architecture"] == MODEL_A
    assert {key: cost[key] for key in ("ops", "bops", "int8_ops", "flops", "params")} == {
        "ops": 20_772_760,
        "bops": 1_215_212_544,
        "int8_ops": 8_128_512,
        "flops": 769_000,
        "params": 4_690_024,
    }
    assert cost["bytes"] == cost["bits"] / 8
    for column in ("ops", "bops", "int8_ops", "flops", "params", "bits"):
        assert sum(layer[column] for layer in cost["layers"]) == cost[column]
    smaller = json.loads(answer("ops", "nasbnn", MODEL_A, "--json", "--image-size", "64", "--classes", "10"))
    assert (smaller["image_size"], smaller["classes"], smaller["flops"]) == (64, 10, 7690)


def test_ops_of_a_width_space_tell_the_float_twin_and_the_speedup():
    lines = answer("ops", "vgg-small", "1-1-1-1-1-1").splitlines()
    assert lines[1].split()[:2] == ["conv1", "128×32×32"]
    assert lines[-2].split()[-2:] == ["927", "KB"]
    assert lines[-1] == "Full precision: 608 M OPs, 18.6 MB; speedup 46.53"
    assert answer("ops", "vgg-small", "4-4-4-4-4-4").splitlines()[-2:] == [
        "Full precision: 9.68 G OPs, 294 MB; speedup 58.49",
        "Base network in full precision: 608 M OPs, 18.6 MB; speedup 3.672",  # as the paper's table 1 has it
    ]
    cost = json.loads(answer("ops", "vgg-small", "4-4-4-4-4-4", "--json"))
    assert cost["base_network_in_full_precision"]["flops"] == 607_600_650
    assert cost["base_network_in_full_precision"]["speedup"] == pytest.approx(3.7, rel=0.02)
    assert cost["full_precision"]["bits"] == 32 * cost["params"]


def test_ops_of_a_cell_space_tell_the_count_of_the_paper():
    text = SPACES["bnas-digits"].format(SPACES["bnas-digits"].smallest())
    assert answer("ops", "bnas-digits", text).splitlines()[-1].startswith("As the paper counts: ")
    cost = json.loads(answer("ops", "bnas-digits", text, "--json"))
    assert cost["papers_ops"] < cost["ops"]


YAML = """
space:
  name: mine
  base: vgg-digits
  ratios: [0.5, 1]
  image_size: 16
  hyperparameters:
    learning_rate: {low: 1.0e-4, high: 1.0e-2, steps: 3}
    optimiser: [sgd, adam]
"""


def test_a_runs_configuration_stands_for_its_space(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(YAML)
    member = answer("sample", str(file), "--seed", "5").strip()
    described = json.loads(answer("spaces", str(file), "--json"))
    assert (described["family"], described["count"], described["image_size"]) == ("joint", 2**4 * 3 * 2, 16)
    assert described["genes"]["optimiser"] == ["sgd", "adam"]
    space = space_from(described["declaration"])
    assert space.contains(space.parse(member))
    cost = json.loads(answer("ops", str(file), member, "--json"))
    assert (cost["ops"], cost["id"]) == (space.cost(space.parse(member)).ops, space.id(space.parse(member)))
    assert "learning_rate  0.0001 0.001 0.01\n" in answer("spaces", str(file))


def test_a_name_loads_no_configuration():
    code = (
        "import sys; from search.cli.spaces import draw; draw('vgg-small', 1, 0, None, None);"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "ray", "pydantic", "yaml", "pandas", "optuna"} & set(loaded)


def test_ops_as_a_table_that_is_not_cut_off():
    lines = answer("ops", "nasbnn", MODEL_A).splitlines()
    assert lines[0].split() == ["layer", "output", "float", "int8", "binary", "OPs", "params", "size"]
    assert lines[1].startswith("stem      24×112×112")
    assert lines[-1].startswith("in all")
    assert "20.8 M" in lines[-1]
    assert len(lines) == 1 + len(SPACES["nasbnn"].cost(SPACES["nasbnn"].smallest()).layers) + 1


def test_sample_prints_members_and_nothing_else():
    space = SPACES["nasbnn"]
    lines = answer("sample", "nasbnn", "-n", "5", "--seed", "3", "--ops-min", "50e6", "--ops-max", "60.5M").splitlines()
    assert len(lines) == 5
    assert all(50e6 <= space.cost(space.parse(line)).ops <= 60.5e6 for line in lines)
    first = answer("sample", "nasbnn-digits", "--seed", "1")
    assert first == answer("sample", "nasbnn-digits", "--seed", "1") != answer("sample", "nasbnn-digits", "--seed", "2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("spaces", "nasbn"), "binarynas: unknown space 'nasbn'; did you mean 'nasbnn'?"),
        (("sample", "nasbn"), "binarynas: unknown space 'nasbn'; did you mean 'nasbnn'?"),
        (("ops", "nasbnn", "c3"), "binarynas: the stem: 'c3' is not a layer"),
        (("ops", "vgg-smal", "1"), "binarynas: unknown space 'vgg-smal'; did you mean 'vgg-small'?"),
        (("ops", "vgg-small", "1-1"), "binarynas: '1-1' is not in space 'vgg-small': 2 ratios where vgg-small has 6"),
        (("sample", "nowhere.yaml"), "binarynas: cannot read the configuration nowhere.yaml: "),
        (
            ("ops", "nasbnn", MODEL_A, "--image-size", "100"),
            "binarynas: space 'nasbnn': image_size must be a multiple of 32",
        ),
        (("ops", "nasbnn", MODEL_A, "--image-size", "0"), "image_size must be a multiple of 32"),
        (("ops", "nasbnn", MODEL_A, "--classes", "0"), "classes must be at least 1, got 0"),
        (
            ("sample", "nasbnn", "--ops-max", "1M"),
            "binarynas: no architecture of space 'nasbnn' has at most 1,000,000 OPs",
        ),
        (("sample", "nasbnn", "--ops-min", "9", "--ops-max", "1"), "binarynas: ops_min 9 is above ops_max 1"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("space",), "Did you mean 'spaces'?"),
        (("sample", "nasbnn", "--ops-max", "60Q"), "expected a number such as 60M, 20.5M or 5e6; got '60Q'"),
        (("sample", "nasbnn", "-n", "0"), "Invalid value for '-n'"),
    ],
)
def test_bad_usage_is_exit_code_2_without_a_traceback(arguments, message):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60M", 60e6),
        ("5e6", 5e6),
        ("20.5M", 20.5e6),
        ("20.5 m", 20.5e6),
        ("1,000", 1e3),
        ("3k", 3e3),
        ("2.62K", 2620),
        ("60 M", 60e6),
        ("2G", 2e9),
        ("7", 7),
    ],
)
def test_counts_are_read(text, value):
    assert parse_count(text) == value


@pytest.mark.parametrize("text", ["", "M", "-5", "nan", "inf", "1e999", "60Q", "60MM", "0x10", "1e-3"])
def test_wrong_counts_are_refused(text):
    with pytest.raises(typer.BadParameter, match="expected a number such as 60M"):
        parse_count(text)


def test_networks_of_papers_are_listed_with_the_recipes():
    text = answer("networks")
    assert "react-net-a" in text
    assert "recipe bnas-v2: BNAS v2's minimal regularisation" in text
    listed = {each["name"]: each for each in json.loads(answer("networks", "--json"))}
    assert listed["bi-real-18"]["ops"] == pytest.approx(163.986408e6)
    assert listed["bi-real-18"]["published_ops"] == 1.63e8
    assert listed["dorefa-vgg-small"]["image_size"] == 32


def test_a_network_that_has_a_name_is_counted_by_it():
    counted = json.loads(answer("ops", "react-net-a", "--json"))
    assert (counted["space"], counted["flops"], counted["bops"]) == ("reactnet", 11_863_016, 4_816_896_000)
    small = json.loads(answer("ops", "react-net-a", "--image-size", "32", "--classes", "10", "--json"))
    assert (small["image_size"], small["classes"]) == (32, 10)
    assert small["layers"][-3]["bops"] == 1024 * 1024 * 9 * 4 * 4  # by the rule of sizes the last maps have 4 pixels


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ops", "bi-rea-18"], "unknown network 'bi-rea-18'; did you mean 'bi-real-18'"),
        (["ops", "resnet-20"], "resnet-20 is a space: give the text form of one of its networks"),
        (["ops", "bi-real-18", "--image-size", "20"], "the nearest size is 32"),
        (["train", "react-net-a"], "say which images with --data"),
        (
            ["train", "react-net-a", "--data", "digits", "--recipe", "reactnet"],
            "unknown recipe 'reactnet'; did you mean",
        ),
        (["train", "bi-real-18", "--data", "digits"], "cannot be had for images of 8 pixels"),
        (["train", "1-1-1-9", "--space", "vgg-digits", "--data", "digits"], "ratio 9 in place 4"),
    ],
)
def test_what_is_wrong_with_a_network_is_one_sentence(words, said):
    result = run(*words)
    assert result.returncode != 0
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
