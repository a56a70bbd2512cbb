"""Spaces and budgets that cannot be: an error in bounded time. Ten thousand broken configurations and architecture
texts: each is accepted, or refused by one clear error."""

import random
import string

import pytest

from search.config.loading import check_config, load_config, parse_yaml, presets
from search.config.sections import ConfigError
from spaces import SPACES, SpaceError, get_space
from spaces.limits import Limits, require_reachable

CONFIGURATIONS, SETTINGS, ARCHITECTURES = 1500, 1500, 7000
WORDS = [
    "null",
    "-1",
    "1e308",
    "nan",
    "''",
    "[]",
    "{}",
    "yes",
    "0",
    "9" * 20,
    "../..",
    "!!set {}",
    "\t",
    "é",
    "2026-01-01",
]


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("limits", [Limits(None, 1.0), Limits(1e18, None), Limits(1e18, 2e18), Limits(0.0, 0.5)])
@pytest.mark.timeout(60)
def test_a_budget_that_nothing_fits_is_refused(name, limits):
    with pytest.raises(SpaceError, match="no architecture"):
        require_reachable(get_space(name), limits)


def broken_text(text: str, rng: random.Random) -> str:
    """A text with one to four of its characters, lines or words changed."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(text) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            text = text[:place] + rng.choice(string.printable) + text[place:]
        elif kind == 1:
            text = text[:place] + text[place + rng.randint(1, 5) :]
        elif kind == 2:
            text = text[:place] + rng.choice(WORDS) + text[place:]
        elif kind == 3:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines)
        elif kind == 4:
            words = text.split(" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            text = " ".join(words)
        elif kind == 5:
            lines = text.split("\n")
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            text = "\n".join(lines)
        else:
            text = text[:place] + text[place:].swapcase()[:3] + text[place + 3 :]
    return text


def refused(call, text: str, error: type[Exception]) -> bool:
    """Whether a call refuses a text, in one clear sentence; any other error is the test's."""
    try:
        call(text)
    except error as refusal:
        told = str(refusal)
    else:
        return False
    assert told.strip(), "a refusal says something"
    assert "Traceback" not in told
    return True


def test_broken_configurations_are_accepted_or_refused_clearly():
    rng = random.Random(0)
    whole = [load_config(name).to_yaml() for name in presets()] + list(presets().values())

    def read(text: str) -> None:
        check_config(parse_yaml(text, "x.yaml"), "x.yaml")

    broken = [broken_text(rng.choice(whole), rng) for _ in range(CONFIGURATIONS)]
    assert CONFIGURATIONS / 4 < sum(refused(read, text, ConfigError) for text in broken) < CONFIGURATIONS


def test_broken_settings_are_accepted_or_refused_clearly():
    rng = random.Random(1)
    whole = ["search.trials=3", "space.name=nasbnn", "data.path=/tmp", "execution.timeout=5", "supernet={epochs: 3}"]
    broken = [broken_text(rng.choice(whole), rng) for _ in range(SETTINGS)]
    count = sum(refused(lambda text: load_config("nasbnn-digits", [text]), text, ConfigError) for text in broken)
    assert SETTINGS / 4 < count < SETTINGS


def test_broken_architectures_are_accepted_or_refused_clearly():
    rng = random.Random(2)
    spaces = [get_space(name) for name in sorted(SPACES)]
    texts = [(space, space.format(space.sample(random.Random(seed)))) for space in spaces for seed in range(5)]
    count = 0
    for _ in range(ARCHITECTURES):
        space, text = rng.choice(texts)
        broken = broken_text(text, rng)
        if refused(space.parse, broken, SpaceError):
            count += 1
        else:
            member = space.parse(broken)
            assert space.parse(space.format(member)) == member, "what is accepted is a member"
    assert count > ARCHITECTURES / 2
