"""How long programs may run: here, and in the benchmarks themselves.

The evaluation writes both into its results. Ours are longer, since they are CPU time on machines
that may be busy: a program that needs more than the benchmark's seconds and less than ours passes
here and might not there.
"""

from __future__ import annotations

from engines.shared.sandbox.running import WALL_FACTOR
from engines.shared.scoring import code, crux

BENCHMARK_SECONDS = (
    # The published programs that judge them: wall time of all tests of a problem together.
    ("codegen__humaneval", 3.0),
    ("codegen__mbpp", 3.0),
    ("simulation__cruxeval", 3.0),
    # Of each test by itself.
    ("codegen__livecodebench", 6.0),
)
"""Seconds by the beginning of a data source. GURU gives every program of its own files 30."""


def seconds_of(data_source: str, kind: str) -> dict[str, float | str | None]:
    """Limits of a data source whose answers are programs, which the scorer ``kind`` judges: CPU and
    wall seconds here, what they hold for, and the benchmark's seconds (None: it says none)."""
    benchmark = None
    for prefix, seconds in BENCHMARK_SECONDS:
        if data_source.startswith(prefix):
            benchmark = seconds
    if kind == "crux":
        limits: dict[str, float] = {"a call": crux.SECONDS}
    else:
        limits = {"all asserts": code.SECONDS, "a run on one input": float(code.RUN_SECONDS)}
    found: dict[str, float | str | None] = {"benchmark": benchmark}
    for what, seconds in limits.items():
        found[f"CPU, {what}"] = seconds
        found[f"wall, {what}"] = WALL_FACTOR * seconds
    return found
