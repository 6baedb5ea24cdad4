"""Memory that is asked for again and again is not fetched from the kernel each time."""

import resource

import torch

from engines.shared.training.memory import keep_freed

TENSORS, NUMBERS = 4, 2**22
PAGES = TENSORS * NUMBERS * 4 // resource.getpagesize()


def faults() -> int:
    """Pages that were fetched for four tensors of 16 MiB, then freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(NUMBERS) for _ in range(TENSORS)]
    del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_what_is_freed_is_taken_again() -> None:
    assert faults() > PAGES // 2
    assert keep_freed()
    # Holes of the wrong size are filled in first.
    for _ in range(4):
        faults()
    assert faults() < PAGES // 2
