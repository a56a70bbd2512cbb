"""What came out of runs: trial tables, Pareto fronts, hypervolume, statistics, plots and the report.

People may import the names that are listed here; everything else may move. Names are loaded when they are asked for,
so that `import analysis` loads neither pandas nor matplotlib. Nothing here loads torch or ray.
"""

# type checkers read the imports, which are not used here; the table says the same when the code runs
# pyright: reportUnusedImport=false
# ruff: noqa: F401, F403

from typing import TYPE_CHECKING

try:
    from spaces.tools.public import public_names
except ImportError as error:
    raise ImportError("another module named 'spaces' hides that of binarynas: write `import binarynas`") from error

if TYPE_CHECKING:
    from analysis.findings.agreement import (
        operator_table,
        paired_stages,
        pooled_deviation,
        seed_spread,
        stage_correlation,
        table_correlation,
    )
    from analysis.findings.certainty import Certainty, certainty
    from analysis.findings.choice import Choice, Limits, NoCandidateError, choose
    from analysis.findings.comparison import Comparison, compare
    from analysis.findings.effects import equal_cost_residuals, gene_effects
    from analysis.findings.facts import RunFacts, run_facts
    from analysis.findings.front import front, front_table, load_front
    from analysis.findings.genes import gene_table, genes_of, summary_table
    from analysis.findings.growth import hypervolume_curves, hypervolume_table
    from analysis.findings.importance import Importance, gene_importance, importance
    from analysis.findings.sweep import compare_settings, searches_table, setting_differences, sweep_table
    from analysis.measures.attainment import attainment_surface
    from analysis.measures.hypervolume import hypervolume, hypervolume_history
    from analysis.measures.intervals import Interval, mean_interval, share_interval
    from analysis.measures.pareto import knee, non_dominated_rank, pareto_front
    from analysis.measures.ranks import RankCorrelation, rank_correlation
    from analysis.measures.verdicts import Effect, Verdict, holm, paired_effect, verdict
    from analysis.plots import *
    from analysis.report.frontier import frontier_page, write_frontier
    from analysis.report.page import report_html, write_report
    from analysis.runs.events import load_epochs
    from analysis.runs.history import (
        layer_probabilities,
        load_history,
        search_accuracy,
        search_entropy,
        search_histories,
    )
    from analysis.runs.layout import RunError
    from analysis.runs.published import published_points
    from analysis.runs.schema import write_trials
    from analysis.runs.trials import load_trials, split_runs
    from analysis.stages import competing, of_stage, search_stage
    from analysis.tables.table import Table, TableError, load_table, shipped_tables
else:
    __all__, __getattr__ = public_names(
        "analysis",
        {
            "findings.agreement": "operator_table paired_stages pooled_deviation seed_spread stage_correlation "
            "table_correlation",
            "findings.certainty": "Certainty certainty",
            "findings.choice": "Choice Limits NoCandidateError choose",
            "findings.comparison": "Comparison compare",
            "findings.effects": "equal_cost_residuals gene_effects",
            "findings.facts": "RunFacts run_facts",
            "findings.front": "front front_table load_front",
            "findings.genes": "gene_table genes_of summary_table",
            "findings.growth": "hypervolume_curves hypervolume_table",
            "findings.importance": "Importance gene_importance importance",
            "findings.sweep": "compare_settings searches_table setting_differences sweep_table",
            "measures.attainment": "attainment_surface",
            "measures.hypervolume": "hypervolume hypervolume_history",
            "measures.intervals": "Interval mean_interval share_interval",
            "measures.pareto": "knee non_dominated_rank pareto_front",
            "measures.ranks": "RankCorrelation rank_correlation",
            "measures.verdicts": "Effect Verdict holm paired_effect verdict",
            "plots": "AttainmentData CellData ChannelsData Compared FrontierData GenesData HypervolumeData "
            "ParallelData Reference SeedsData StagesData TrainingData attainment_data cell_data channels_data "
            "draw_cell frontier_data genes_data hypervolume_data paired_data parallel_data plot_attainment "
            "plot_channels plot_entropy plot_frontier plot_gene_effects plot_gene_frequency plot_genes_along_front "
            "plot_hypervolume plot_importance plot_layer_probabilities plot_operators plot_parallel "
            "plot_search_accuracy plot_seeds plot_stages plot_training save_figure seeds_data stages_data "
            "training_data",
            "report.frontier": "frontier_page write_frontier",
            "report.page": "report_html write_report",
            "runs.events": "load_epochs",
            "runs.history": "layer_probabilities load_history search_accuracy search_entropy search_histories",
            "runs.layout": "RunError",
            "runs.published": "published_points",
            "runs.schema": "write_trials",
            "runs.trials": "load_trials split_runs",
            "stages": "competing of_stage search_stage",
            "tables.table": "Table TableError load_table shipped_tables",
        },
    )
