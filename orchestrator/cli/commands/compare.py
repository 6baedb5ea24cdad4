"""`orch compare`: compare the scores of two evaluations, and check conditions on the result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import orchestrator.scores.compare
from orchestrator.cli.arguments import AsJson
from orchestrator.cli.json_output import print_json
from orchestrator.runs.layout import RESULTS
from orchestrator.scores.compare import condition, holds
from orchestrator.views.busy.line import busy

Baseline = Annotated[
    str,
    typer.Argument(
        help="RUN[:JOB][@CHECKPOINT], :JOB of the newest run, or an evaluation's output folder. "
        "CHECKPOINT: last (without it), best, a name or a step."
    ),
]
Treatment = Annotated[
    str,
    typer.Argument(help="The other side, as the first; differences are this one minus the first."),
]
Specialists = Annotated[
    list[str] | None,
    typer.Option(
        help="An evaluation of a model trained for less; the best of them on each "
        "domain is what the treatment is expected to reach. May be repeated."
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="accuracy (without it), or score with its partial credit; of commands one of their "
        "own, without it each."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for the report; one in comparisons/ beside the runs without it."),
]
Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        help="A gate: exit code 3 if this is true, as in 'domain=math "
        "difference<-0.02' or 'accuracy<0.5'. May be repeated.",
    ),
]


def compare(
    baseline: Baseline,
    treatment: Treatment,
    specialist: Specialists = None,
    metric: Metric = None,
    out: Out = None,
    fail_if: Gates = None,
    as_json: AsJson = False,
) -> None:
    """Compare two evaluations, problem by problem. The report has differences, tests and flipped
    examples. Of commands it compares what they measured, paired over seeds. Exit code 0; 3 if a
    gate fails; 2 for bad input."""
    # Read first: a mistake in a gate is told before minutes of comparison.
    gates = [condition(text) for text in fail_if or []]
    with busy(f"comparing {baseline} and {treatment}", not as_json):
        folder = orchestrator.scores.compare.compare(
            baseline, treatment, specialist or [], metric, out.resolve() if out else None
        )
    failures = list(filter(None, (holds(gate, folder) for gate in gates)))
    if as_json:
        told = {"folder": str(folder), "report": str(folder / "report.html")}
        rows = orchestrator.scores.compare.compared_rows(folder)
        print_json("compare", {**told, "rows": rows, "failed": failures})
    else:
        print_comparison(folder)
    for failure in failures:
        print(f"gate: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(3)


def print_comparison(folder: Path) -> None:
    """The answer and its table as wide as a terminal; into a pipe the whole report."""
    from rich.console import Console

    from orchestrator.scores.results import Compared, whole_results
    from orchestrator.views.tables.comparison import comparison_lines
    from orchestrator.views.tables.drawing import screen_of, show

    console = Console()
    screen = screen_of(console)
    found = None if screen.width is None else whole_results(folder, RESULTS, Compared)
    rows = orchestrator.scores.compare.compared_rows(folder)
    if found is None or not rows:
        print((folder / "report.txt").read_text())
    else:
        facts = found[1]["facts"]
        show(console, comparison_lines(facts["headline"], rows, facts["missing"], screen))
        print(f"\nhow to read it, and all that is missing: {folder / 'report.txt'}")
    print(f"HTML report with its figures: {folder / 'report.html'}")
