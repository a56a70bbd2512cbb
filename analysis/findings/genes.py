"""The genes of architectures, read from their text forms, for effects, importance and plots."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import pandas as pd

from analysis.runs.texts import Gene, hyperparameters_of, split_text
from analysis.runs.trials import numbers
from spaces import JointSpace, NasBnnSpace, OnlySpace, Space
from spaces.cell.architecture import parse as parse_genotype
from spaces.nasbnn.architecture import Layer
from spaces.nasbnn.architecture import parse as parse_stages
from spaces.width.architecture import parse as parse_widths

SUMMARIES = ("depth", "width", "kernel_size", "groups")

# genes of stages and layers, of convolutions by their names, and of the nodes of cells
_LAYER = re.compile(r"s\d+(l\d+)?_|l\d+_|[a-z]+_n\d+_|.*_ratio$")


def genes_of(text: str, space: Space[object] | None = None) -> dict[str, Gene]:
    """Every gene of an architecture by name, those of layers only where it has the layer, and its hyperparameters last.

    A NAS-BNN text has `stem_width`, `s1_depth`, `s1l1_width`, `s1l1_kernel_size`, `s1l1_groups` and so on, stages and
    layers counted from 1, and `s1l1_excite` where its space, or the text itself, has squeeze-and-excites; a width text
    the ratios `l1_width` and so on; a cell text `normal_n1_e1_layer`, `normal_n1_e1_input` and so on, nodes and their
    edges counted from 1. Where a space of another family than NAS-BNN's is given, the genes are those of the space, by
    their names there. Raises `ValueError` for any other text.

    >>> genes_of("c8k3g1 | c16k3g1")
    {'stem_width': 8, 's1_depth': 1, 's1l1_width': 16, 's1l1_kernel_size': 3, 's1l1_groups': 1}
    """
    architecture, hyperparameters = split_text(text)
    space = architectures_of(space)
    if not architecture and hyperparameters:
        genes: dict[str, Gene] = {}
    elif space is None or isinstance(space, NasBnnSpace):  # whose parameters set layers that a network does not have
        genes = _read(architecture, isinstance(space, NasBnnSpace) and any(any(s.excites) for s in space.stages))
    else:
        genes = _encoded(architecture, space)
    return genes | hyperparameters_of(text)


def architectures_of(space: Space[object] | None) -> Space[object] | None:
    """The space of the architectures alone, where a space joins them with hyperparameters or fixes one of them."""
    space = without_hyperparameters(space) if space is not None else None
    return space.space if isinstance(space, OnlySpace) else space


def without_hyperparameters(space: Space[object]) -> Space[object]:
    """The space that is joined with hyperparameters; another space itself."""
    return cast("JointSpace[object]", space).architectures if isinstance(space, JointSpace) else space


def _encoded(architecture: str, space: Space[object]) -> dict[str, Gene]:
    """The choice of every gene, by the space's names; genes without a choice are left out, as in its parameters."""
    return dict(space.encode(space.parse(architecture)))


def _read(architecture: str, excited: bool) -> dict[str, Gene]:  # noqa: FBT001
    """The genes that a text form says without its space, by the signs in it: colons of cells, dashes of widths.

    Those of squeeze-and-excites are among them where the space has some (`excited`), or this text.
    """
    if ":" in architecture:
        genotype = parse_genotype(architecture)
        return {
            f"{name}_n{node}_e{place}_{gene}": value
            for name, cell in (("normal", genotype.normal), ("reduce", genotype.reduce))
            for node, edges in enumerate(cell.nodes, 1)
            for place, edge in enumerate(edges, 1)
            for gene, value in (("layer", edge.layer), ("input", edge.source))
        }
    if "-" in architecture:
        return {f"l{place}_width": ratio for place, ratio in enumerate(parse_widths(architecture).ratios, 1)}
    parsed = parse_stages(architecture)
    genes: dict[str, Gene] = {"stem_width": parsed.stem}
    kept = Layer._fields if excited or any(layer.excite for layer in parsed.layers()) else Layer._fields[:-1]
    for number, layers in enumerate(parsed.stages, 1):
        genes[f"s{number}_depth"] = len(layers)
        for place, layer in enumerate(layers, 1):
            genes |= {f"s{number}l{place}_{name}": getattr(layer, name) for name in kept}
    return genes


def gene_table(architectures: Iterable[str], space: Space[object] | None = None) -> pd.DataFrame:
    """One row per architecture, one column per gene (see `genes_of`).

    NaN where an architecture has no such layer, or its text no known form. The index of a Series is kept; columns are
    in the order of the layers, hyperparameters last.
    """
    table = _table(architectures, lambda text: genes_of(text, space))
    return table[sorted(table.columns, key=_place)]  # stable, so that the genes of a layer keep their order


def genes_or_columns(trials: pd.DataFrame, space: Space[object] | None, columns: Sequence[str] | None) -> pd.DataFrame:
    """The genes of trials (see `gene_table`), or the columns that are asked for instead."""
    if columns is None:
        return gene_table(trials["architecture"], space)
    for name in columns:
        if name not in trials.columns:
            numbers(trials, name)  # raises the error that names the columns there are
    return trials[list(columns)].copy()


def summary_table(architectures: Iterable[str]) -> pd.DataFrame:
    """One row per architecture: `depth`, its layers after the stem, and their mean `width`, `kernel_size` and `groups`.

    A width text has `width` alone: the mean of its ratios. NaN where a text has no such value. The index of a Series is
    kept.
    """
    return _table(architectures, _summary).reindex(columns=list(SUMMARIES))


def _summary(text: str) -> dict[str, Gene]:
    architecture = split_text(text)[0]
    if "-" in architecture and ":" not in architecture:
        ratios = parse_widths(architecture).ratios
        return {"width": sum(ratios) / len(ratios)}
    columns = list(zip(*parse_stages(architecture).layers(), strict=True))[:3]  # bits have no meaning in the mean
    means = [sum(column) / len(column) for column in columns]
    return dict(zip(SUMMARIES, [len(columns[0]), *means], strict=True)) if columns else {"depth": 0}


def _table(architectures: Iterable[str], read: Callable[[str], dict[str, Gene]]) -> pd.DataFrame:
    texts = pd.Series(architectures if isinstance(architectures, pd.Series) else list(architectures), dtype="str")
    codes, different = pd.factorize(texts)  # a search tries many architectures more than once
    rows: list[dict[str, Gene]] = []
    for text in different.tolist():
        try:
            rows.append(read(text))
        except ValueError:
            rows.append({})
    table = pd.DataFrame([*rows, {}]).iloc[codes]  # a missing text has the code -1: the last row, which is empty
    return table.set_axis(texts.index, axis="index")


def _place(gene: str) -> tuple[int, list[tuple[str, int]]]:
    """A key that sorts genes from input to output, by what precedes the first underscore, its numbers as numbers.

    A name that is not a gene of a layer, such as a hyperparameter, comes last.
    """
    if gene == "stem_width":
        return 0, []
    if not _LAYER.match(gene):
        return 2, []
    numbers = re.findall(r"([a-z]+)([0-9]*)", gene.partition("_")[0])
    return 1, [(letters, int(number or 0)) for letters, number in numbers]
