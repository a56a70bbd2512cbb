"""The genes of an architecture, read from its text form: what effects, importance and plots look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Gene = int | float | str


def genes_of(architecture: str) -> dict[str, Gene]:
    """Every gene of an architecture by name, those of layers that it has.

    A NAS-BNN text gives `stem_width`, `s1_depth`, `s1l1_width`, `s1l1_kernel_size`, `s1l1_groups` and so on, stages and
    layers counted from 1; a width text `l1_width` and so on, factors; a cell text `normal_n1_e1_layer` and
    `normal_n1_e1_input` and so on. Raises `ValueError` for a text of no known form.
    """
    raise NotImplementedError


def gene_table(architectures: Iterable[str]) -> pd.DataFrame:
    """One row an architecture, one column a gene; NaN (or null) where it has no such layer. Keeps a Series' index."""
    raise NotImplementedError


def summary_table(architectures: Iterable[str]) -> pd.DataFrame:
    """One row a NAS-BNN architecture: `depth` (layers), and the means over its layers of width, kernel size, groups."""
    raise NotImplementedError
