"""The processors this process may use, and the memory there is."""

from __future__ import annotations

import os

# Multiplications of a product of matrices; beyond, linear algebra libraries take threads of their own to it, which
# go on spinning for a tenth of a second on the cores that ours are to have.
ONE_THREAD = 200_000


def cores() -> int:
    """How many they are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """How many bytes this machine has; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
