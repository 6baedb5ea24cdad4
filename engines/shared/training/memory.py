"""Memory that a training on a CPU frees stays with the process.

Called once by trainings whose steps allocate tensors of some megabytes: glibc gives such memory
back to the kernel, which fills it with zeros page by page when the next step asks for it.
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**25
"""Bytes; glibc takes no larger threshold for mappings of their own."""
NEVER = 2**31 - 1


def keep_freed() -> bool:
    """Tell glibc to keep what is freed, for the whole process; whether it does. Elsewhere nothing
    is changed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, NEVER))
