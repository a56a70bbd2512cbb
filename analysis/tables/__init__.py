"""Tables of networks that were measured one by one: what a search can be tried on without training anything."""

from analysis.tables.table import Table, TableError, load_table, shipped_tables

__all__ = ["Table", "TableError", "load_table", "shipped_tables"]
