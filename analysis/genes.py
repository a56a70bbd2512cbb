"""The genes of an architecture, read from its text form: what effects, importance and plots look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from analysis.cells import parse_cells
from spaces.nasbnn.architecture import parse

if TYPE_CHECKING:
    import pandas as pd

Gene = int | float | str
SUMMARIES = ("depth", "width", "kernel_size", "groups")

_WIDTHS = re.compile(r"[0-9.]+(?:-[0-9.]+)+")


def genes_of(architecture: str) -> dict[str, Gene]:
    """Every gene of an architecture by name, those of layers that it has.

    A NAS-BNN text gives `stem_width`, `s1_depth`, `s1l1_width`, `s1l1_kernel_size`, `s1l1_groups` and so on, stages and
    layers counted from 1; a width text `l1_width` and so on, factors; a cell text `normal_n1_e1_layer`,
    `normal_n1_e1_input` and so on, nodes and their edges counted from 1. Raises `ValueError` for any other text.

    >>> genes_of("c8k3g1 | c16k3g1")
    {'stem_width': 8, 's1_depth': 1, 's1l1_width': 16, 's1l1_kernel_size': 3, 's1l1_groups': 1}
    """
    genes: dict[str, Gene] = {}
    if ":" in architecture:
        for cell in parse_cells(architecture):
            for node, edges in enumerate(cell.nodes, 1):
                for place, edge in enumerate(edges, 1):
                    genes[f"{cell.name}_n{node}_e{place}_layer"] = edge.layer
                    genes[f"{cell.name}_n{node}_e{place}_input"] = edge.source
        return genes
    if _WIDTHS.fullmatch(architecture.strip()):
        return {f"l{place}_width": float(factor) for place, factor in enumerate(architecture.split("-"), 1)}
    parsed = parse(architecture)
    genes["stem_width"] = parsed.stem
    for number, layers in enumerate(parsed.stages, 1):
        genes[f"s{number}_depth"] = len(layers)
        for place, layer in enumerate(layers, 1):
            genes |= {f"s{number}l{place}_{name}": value for name, value in layer._asdict().items()}
    return genes


def gene_table(architectures: Iterable[str]) -> pd.DataFrame:
    """One row an architecture, one column a gene; NaN where it has no such layer, or where the text has no known form.

    The index of a Series is kept; columns are in the order of the layers.
    """
    table = _table(architectures, genes_of)
    return table[sorted(table.columns, key=_place)]  # stable, so that the genes of a layer keep their order


def summary_table(architectures: Iterable[str]) -> pd.DataFrame:
    """One row an architecture: `depth`, its layers behind the stem, and their mean `width`, `kernel_size` and `groups`.

    NaN where the text is not of NAS-BNN's form. The index of a Series is kept.
    """
    return _table(architectures, _summary).reindex(columns=list(SUMMARIES))


def _summary(text: str) -> dict[str, Gene]:
    columns = list(zip(*parse(text).layers(), strict=True))
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


def _place(gene: str) -> tuple[bool, list[tuple[str, int]]]:
    """A key that sorts genes from input to output: what stands before the first underscore, its numbers as numbers."""
    numbers = re.findall(r"([a-z]+)([0-9]*)", gene.partition("_")[0])
    return any(number for _, number in numbers), [(letters, int(number or 0)) for letters, number in numbers]
