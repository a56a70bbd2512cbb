"""Data sets: what a configuration may name, how it is read and checked, and the batches that training sees.

This loads neither torch nor pyarrow, so that the command line answers at once; `search.data.opening.open_data` does.
"""

from search.data.config import DataConfig, recognise
from search.data.errors import DataError

__all__ = ["DataConfig", "DataError", "recognise"]
