"""Words about what a run searched: its space, of any family, and how its networks were trained."""

from analysis.findings.facts import RunFacts, Values, number, section, whole
from analysis.findings.genes import without_hyperparameters
from analysis.stages import SEARCH_STAGES
from analysis.units import plural, quantity
from spaces import HyperparameterSpace, JointSpace, OnlySpace, Space

# sections of the configuration that a method uses, and their names in the report
_TRAININGS = {
    "one-shot": {"supernet": "supernet"},
    "training": {"parent": "parent network", "training": "candidates"},
    "differentiable": {"differentiable": "differentiable search"},
    "detection": {"detection": "detectors"},
    "shared-detector": {"detection": "shared detector"},
}
_LATER = {"finetune": "finetuning", "final": "final training"}
_METHODS = {
    "one-shot": "one supernet, whose weights candidates are measured with",
    "training": "every candidate is trained",
    "differentiable": "differentiable searches, whose genotypes are trained",
    "detection": "detectors are trained on networks that were given",
    "shared-detector": "one detector on a supernet, whose backbones candidates are",
}


def space_facts(run: RunFacts) -> list[tuple[str, str]]:
    """Names and words about the space, and about its hyperparameters where it has some."""
    space = run.space
    if space is None:
        spaces = run.trials["space"].dropna().astype("str")
        return [("space", ", ".join(dict.fromkeys(spaces.tolist())))]
    pairs = [("space", space_words(space))]
    if isinstance(space, JointSpace):
        pairs.append(("hyperparameters", hyperparameter_words(space.hyperparameters)))
    return pairs


def space_words(space: Space[object]) -> str:
    """How many networks there are, and what they cost.

    >>> from spaces import get_space
    >>> space_words(get_space("vgg-digits"))
    'vgg-digits: 1,296 networks of 6.70 K OPs to 453 K OPs'
    """
    joined = without_hyperparameters(space)
    if isinstance(joined, OnlySpace):
        cost = joined.cost(joined.architecture)
        words = f"{joined.name}: one network, {joined.format(joined.architecture)}, of {quantity(cost.ops, 'OPs')}"
    elif isinstance(joined, HyperparameterSpace):
        words = f"{joined.name}: {_count(joined.count())} settings"
    else:
        ends = " to ".join(quantity(joined.cost(end).ops, "OPs") for end in (joined.smallest(), joined.largest()))
        words = f"{joined.name}: {_count(joined.count())} networks of {ends}"
    if joined.declaration().get("non_decreasing") is False:
        words += "; widths may fall"
    if space is not joined:
        words += f", each with {_count(space.count() // joined.count())} settings of its training"
    return words


def hyperparameter_words(space: HyperparameterSpace) -> str:
    """The values of every hyperparameter: all of them, or the ends where there are many numbers.

    >>> from spaces import Grid
    >>> hyperparameter_words(HyperparameterSpace("h", (Grid("learning_rate", 0.001, 0.1, 9, log=True),)))
    'learning_rate 0.001 to 0.1 (9 values)'
    """
    return "; ".join(f"{name} {words}" for name, words in space.described().items())


def method_facts(run: RunFacts) -> list[tuple[str, str]]:
    """Names and words about how the run found its networks and trained them."""
    method = str(run.config.get("method", "one-shot")) if run.config else ""
    pairs = [("method", _METHODS.get(method, method))] if "method" in run.config else []
    for key, name in _TRAININGS.get(method, {}).items():
        training = section(run.config, key)
        if whole(training, "epochs") != 0:  # a parent of no epochs is none
            pairs.append((name, training_words(training)))
    for key, name in _LATER.items():
        training = section(run.config, key)
        networks = whole(training, "networks")
        if networks:
            which = "genotypes" if method == "differentiable" else "of the front"
            pairs.append((name, f"{networks} {which}, {training_words(training)}"))
    return pairs


def training_words(config: Values) -> str:
    """How something was trained; empty where the configuration does not say."""
    if config.get("checkpoint"):
        return f"taken from {config['checkpoint']}"
    epochs, rate = whole(config, "epochs"), number(config, "learning_rate")
    if epochs is None:
        return ""
    words = f"{epochs} epochs, batch {config.get('batch_size')}" + (f", learning rate {rate:g}" if rate else "")
    if config.get("early_stopping"):
        words += f"; one in {number(config, 'reduction'):g} goes on from each rung, the first after "
        words += plural(whole(config, "first_rung") or 0, "epoch")
    return words


def ended_candidates(run: RunFacts) -> int:
    """How many trials of the search itself have ended, in whatever state."""
    own = run.trials["stage"].isin([*SEARCH_STAGES, "searched"])
    return int((own & run.trials["state"].isin(["finished", "failed", "pruned"])).sum())


def _count(count: int) -> str:
    return f"{count:,}" if count < 1e4 else quantity(count, "")
