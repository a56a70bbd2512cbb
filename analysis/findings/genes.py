"""The genes of an architecture, read from its text form: what effects, importance and plots look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from analysis.findings.cells import parse_cells
from spaces.joint.fixed import OnlySpace
from spaces.joint.space import JointSpace
from spaces.nasbnn import NasBnnSpace
from spaces.nasbnn.architecture import parse
from spaces.space import Space

if TYPE_CHECKING:
    import pandas as pd

Gene = int | float | str
SUMMARIES = ("depth", "width", "kernel_size", "groups")

WITH = " with "  # between an architecture and hyperparameters

# genes of stages and layers, of convolutions by their names, and of the nodes of cells
_LAYER = re.compile(r"s\d+(l\d+)?_|l\d+_|[a-z]+_n\d+_|.*_ratio$")
_WIDTHS = re.compile(r"[0-9.]+(?:-[0-9.]+)+")
_HYPERPARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(\S+)")


def split_text(text: str) -> tuple[str, str]:
    """The architecture and the hyperparameters of a text form, either empty where the text has none.

    >>> split_text("1-0.5-2 with learning_rate=0.01"), split_text("seed=3"), split_text("1-2")
    (('1-0.5-2', 'learning_rate=0.01'), ('', 'seed=3'), ('1-2', ''))
    """
    architecture, separator, hyperparameters = text.partition(WITH)
    if not separator and _HYPERPARAMETER.match(text):
        return "", text
    return architecture.strip(), hyperparameters.strip()


def hyperparameters_of(text: str) -> dict[str, Gene]:
    """The hyperparameters of a text form, alone or behind an architecture; numbers are numbers.

    Raises `ValueError` for a word that is no hyperparameter.

    >>> hyperparameters_of("1-0.5-2 with learning_rate=0.01 optimiser=sgd epochs=4")
    {'learning_rate': 0.01, 'optimiser': 'sgd', 'epochs': 4}
    """
    found: dict[str, Gene] = {}
    for word in split_text(text)[1].split():
        match = _HYPERPARAMETER.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is no hyperparameter; write name=value, as in learning_rate=0.01")
        found[match[1]] = _number(match[2])
    return found


def genes_of(text: str, space: Space[Any] | None = None) -> dict[str, Gene]:
    """Every gene of an architecture by name, those of layers that it has, and its hyperparameters behind them.

    A NAS-BNN text gives `stem_width`, `s1_depth`, `s1l1_width`, `s1l1_kernel_size`, `s1l1_groups` and so on, stages and
    layers counted from 1; a width text `l1_width` and so on, factors; a cell text `normal_n1_e1_layer`,
    `normal_n1_e1_input` and so on, nodes and their edges counted from 1. Where the space is given, a network of widths
    or of cells has the genes of the space instead, by their names there. Raises `ValueError` for any other text.

    >>> genes_of("c8k3g1 | c16k3g1")
    {'stem_width': 8, 's1_depth': 1, 's1l1_width': 16, 's1l1_kernel_size': 3, 's1l1_groups': 1}
    """
    architecture, hyperparameters = split_text(text)
    space = architectures_of(space)
    if not architecture and hyperparameters:
        genes: dict[str, Gene] = {}
    elif space is not None and not isinstance(space, NasBnnSpace):
        genes = _asked(architecture, space)
    else:
        genes = _read(architecture)
    return genes | hyperparameters_of(text)


def architectures_of(space: Space[Any] | None) -> Space[Any] | None:
    """The space of the architectures alone, where others join them with hyperparameters or fix one of them."""
    if isinstance(space, JointSpace):
        space = cast("JointSpace[Any]", space).architectures
    return space.space if isinstance(space, OnlySpace) else space


def _asked(architecture: str, space: Space[Any]) -> dict[str, Gene]:
    """The choice of every gene, by the space's names; genes without a choice are left out, as in its parameters."""
    choices = space.genes()
    chosen = space.encode(space.parse(architecture))
    return {name: choices[name][value] if isinstance(value, int) else value for name, value in chosen.items()}


def _read(architecture: str) -> dict[str, Gene]:
    genes: dict[str, Gene] = {}
    if ":" in architecture:
        for cell in parse_cells(architecture):
            for node, edges in enumerate(cell.nodes, 1):
                for place, edge in enumerate(edges, 1):
                    genes[f"{cell.name}_n{node}_e{place}_layer"] = edge.layer
                    genes[f"{cell.name}_n{node}_e{place}_input"] = edge.source
        return genes
    if _WIDTHS.fullmatch(architecture):
        return {f"l{place}_width": float(factor) for place, factor in enumerate(architecture.split("-"), 1)}
    parsed = parse(architecture)
    genes["stem_width"] = parsed.stem
    for number, layers in enumerate(parsed.stages, 1):
        genes[f"s{number}_depth"] = len(layers)
        for place, layer in enumerate(layers, 1):
            genes |= {f"s{number}l{place}_{name}": value for name, value in layer._asdict().items()}
    return genes


def _number(text: str) -> Gene:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def gene_table(architectures: Iterable[str], space: Space[Any] | None = None) -> pd.DataFrame:
    """One row an architecture, one column a gene (see `genes_of`).

    NaN where it has no such layer, or where the text has no known form. The index of a Series is kept; columns are in
    the order of the layers, hyperparameters last.
    """
    table = _table(architectures, lambda text: genes_of(text, space))
    return table[sorted(table.columns, key=_place)]  # stable, so that the genes of a layer keep their order


def summary_table(architectures: Iterable[str]) -> pd.DataFrame:
    """One row an architecture: `depth`, its layers behind the stem, and their mean `width`, `kernel_size` and `groups`.

    Of a width text, `width` alone: the mean of its factors. NaN where there is no such thing. The index of a Series is
    kept.
    """
    return _table(architectures, _summary).reindex(columns=list(SUMMARIES))


def _summary(text: str) -> dict[str, Gene]:
    architecture = split_text(text)[0]
    if _WIDTHS.fullmatch(architecture):
        factors = [float(factor) for factor in architecture.split("-")]
        return {"width": sum(factors) / len(factors)}
    columns = list(zip(*parse(architecture).layers(), strict=True))
    means = [sum(column) / len(column) for column in columns]
    return dict(zip(SUMMARIES, [len(columns[0]), *means], strict=True)) if columns else {"depth": 0}


def _table(architectures: Iterable[str], read: Callable[[str], dict[str, Gene]]) -> pd.DataFrame:
    import pandas as pd

    texts = pd.Series(architectures if isinstance(architectures, pd.Series) else list(architectures), dtype="str")
    codes, different = pd.factorize(texts)  # a search tries many an architecture more than once
    rows: list[dict[str, Gene]] = []
    for text in different.tolist():
        try:
            rows.append(read(text))
        except ValueError:
            rows.append({})
    table = pd.DataFrame([*rows, {}]).iloc[codes]  # a missing text has the code -1: the last row, which is empty
    return table.set_axis(texts.index, axis="index")


def _place(gene: str) -> tuple[int, list[tuple[str, int]]]:
    """A key that sorts genes from input to output: what stands before the first underscore, its numbers as numbers.

    What is no gene of a layer, a hyperparameter, comes last.
    """
    if gene == "stem_width":
        return 0, []
    if not _LAYER.match(gene):
        return 2, []
    numbers = re.findall(r"([a-z]+)([0-9]*)", gene.partition("_")[0])
    return 1, [(letters, int(number or 0)) for letters, number in numbers]
