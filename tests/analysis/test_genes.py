"""Genes come back from text forms: names, order, and what is not there."""

import random

import pandas as pd
import pytest

from analysis.findings.cells import cell_data
from analysis.findings.genes import gene_table, genes_of, summary_table
from spaces import SPACES, SpaceError

CELLS = "normal: none@1 dil3@0 ; conv3@1 none@2 | reduce: max@0 max@1 ; avg@0 conv5@2"


@pytest.mark.parametrize("name", [name for name, space in SPACES.items() if space.family == "nasbnn"])
def test_genes_agree_with_the_space(name):
    space, rng = SPACES[name], random.Random(0)
    for _ in range(30):
        member = space.sample(rng)
        genes, choices, encoded = genes_of(str(member)), space.genes(), space.encode(member)
        for gene, value in genes.items():
            assert value in choices[gene]
            if gene in encoded:
                assert encoded[gene] == value
        assert sum(gene.endswith("_width") for gene in genes) == 1 + len(member.layers())


def test_squeeze_and_excites_are_genes_where_there_are_any():
    plain, excited = "c8k3g1 | c16k3g1", "c8k3g1 | c16k3g1e8"
    assert "s1l1_excite" not in genes_of(plain)
    assert genes_of(excited)["s1l1_excite"] == 8
    assert gene_table([plain, excited], SPACES["bnext-digits"])["s1l1_excite"].tolist() == [0, 8]
    assert summary_table([excited]).equals(summary_table([plain]))


def test_columns_run_from_input_to_output():
    table = gene_table(["c8k3g1 | c16k3g1 | c32k5g2", "c8k3g1 | c16k3g1 c24k3g1 | c48k3g1 c48k3g2"])
    assert list(table.columns) == [
        "stem_width",
        "s1_depth", "s1l1_width", "s1l1_kernel_size", "s1l1_groups",
        "s1l2_width", "s1l2_kernel_size", "s1l2_groups",
        "s2_depth", "s2l1_width", "s2l1_kernel_size", "s2l1_groups",
        "s2l2_width", "s2l2_kernel_size", "s2l2_groups",
    ]  # fmt: skip
    assert table["s1l2_width"].isna().tolist() == [True, False]
    assert table["s2_depth"].tolist() == [1, 2]


def test_more_than_nine_layers_stay_in_order():
    text = "c8k3g1 | " + " ".join(f"c{16 + place}k3g1" for place in range(12))
    assert [name for name in gene_table([text]).columns if name.endswith("width")] == [
        "stem_width", *(f"s1l{place}_width" for place in range(1, 13)),
    ]  # fmt: skip


def test_other_text_forms():
    assert genes_of("1-0.5-2") == {"l1_width": 1.0, "l2_width": 0.5, "l3_width": 2.0}
    genes = genes_of(CELLS)
    assert genes["normal_n1_e1_layer"] == "dil3"  # edges are in canonical order, by the state that they read
    assert genes["reduce_n2_e2_input"] == 2
    assert len(genes) == 16
    with pytest.raises(ValueError, match="'nonsense'"):
        genes_of("nonsense")


def test_texts_without_genes_and_missing_texts_are_rows_of_nothing():
    texts = pd.Series(["c8k3g1 | c16k3g1", "nonsense", None], index=[7, 3, 5])
    table = gene_table(texts)
    assert table.index.tolist() == [7, 3, 5]
    assert table["stem_width"].isna().tolist() == [False, True, True]
    assert gene_table([]).shape == (0, 0)
    assert gene_table(["nonsense"]).shape == (1, 0)


def test_summaries_are_means_over_layers():
    table = summary_table(["c8k3g1 | c16k3g1 c24k5g2 | c32k5g4", "nonsense"])
    assert table.iloc[0].tolist() == [3, 24, 13 / 3, 7 / 3]
    assert table.iloc[1].isna().all()
    assert list(summary_table([]).columns) == ["depth", "width", "kernel_size", "groups"]


REDUCE = " | reduce: max@0 max@1"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", "''"),
        ("normal none@1", "'normal none@1'"),
        ("normal: none@0 none@1 | normal: none@0 none@1", "'normal: none@0"),
        ("normal: none@0 none@1 ;" + REDUCE, "normal cell: node 2"),
        ("normal: none none@1" + REDUCE, "normal cell: 'none'"),
        ("normal: none@01 none@1" + REDUCE, "normal cell: 'none@01'"),
        ("normal: none@2 none@1" + REDUCE, "normal cell: none@2 "),
    ],
)
def test_texts_that_are_not_cells_are_quoted(text, quoted):
    with pytest.raises(SpaceError, match=quoted):
        cell_data(text)
    assert gene_table([text]).isna().all().all()
