"""Stops glibc from returning freed memory to the system, which would cost a page fault per page of every large tensor.

With glibc's defaults, elementwise operations on large batches run several times slower than memory allows, as every
large tensor is mapped and unmapped. This does the same as MALLOC_MMAP_MAX_=0 and a large MALLOC_TRIM_THRESHOLD_ in the
environment, in a process that is running already.
"""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_memory() -> bool:
    """Let glibc keep freed memory; false where the C library is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
