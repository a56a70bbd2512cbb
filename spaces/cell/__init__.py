"""The space of BNAS: cells of binary layers, repeated after a template with skips between cells."""

from spaces.cell.architecture import Cell, Edge, Genotype

__all__ = ["Cell", "Edge", "Genotype"]
