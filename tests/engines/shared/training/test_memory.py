"""Memory that is asked for again and again is not fetched from the kernel each time."""

import subprocess
import sys

PROGRAM = """
import resource

import torch

from engines.shared.training.memory import keep_freed

TENSORS, NUMBERS = 4, 2**22
PAGES = TENSORS * NUMBERS * 4 // resource.getpagesize()


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(NUMBERS) for _ in range(TENSORS)]
    del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


assert faults() > PAGES // 2
assert keep_freed()
# Holes of the wrong size are filled in first.
for _ in range(4):
    faults()
assert faults() < PAGES // 2
"""
"""Four tensors of 16 MiB again and again: pages that the kernel has to fill."""


def test_what_is_freed_is_taken_again() -> None:
    # A process of its own: a training in this one would have asked for it already.
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)
