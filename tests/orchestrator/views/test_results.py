"""`orch results` as a terminal shows it."""

from __future__ import annotations

import pytest

from engines.contract.results import Row
from engines.contract.tidy import Tidy
from jobs.ranking import Tried, ranked
from orchestrator.views.results import best_lines, results_lines
from orchestrator.views.tables.drawing import Screen
from tests.support.screens import matches, plain


def row(stage: str, metric: str, value: float | None, n: int = 1, **more) -> Tidy:
    """One result; ``spread`` and ``error`` are no axes."""
    spread, error = more.pop("spread", None), more.pop("error", None)
    words = ",".join(f"{axis}={more[axis]}" for axis in ("trained", "seed", "lr") if axis in more)
    job = f"{stage}/{words}" if words else stage
    made = Row(metric=metric, value=value, n=n, spread=spread, axes=more, error=error)
    return Tidy(made, "results.json", None, None, job, stage)


def cities() -> list[Tidy]:
    """Rows as the stages of a comparison of maps leave them: 12 axes in all, few of each stage."""
    rows = []
    for number, trained in enumerate(("distance", "compass", "inside")):
        for task in ("distance", "compass", "inside"):
            for split in ("validation", "test"):
                axes = {"trained": trained, "seed": 1, "task": task, "split": split}
                axes["cities"] = "atlantis_required"
                value = 76.578 + 100 * number + len(task)
                rows.append(row("evaluate", "answer_error", value, 400, spread=2.5, **axes))
                share = 0.01 * number
                rows.append(row("evaluate", "failed_share", share, 400, spread=0.003, **axes))
        for layer in range(1, 4):
            for network in ("trained", "untrained"):
                for control in ("none", "shuffled"):
                    axes = {"trained": trained, "seed": 1, "layer": layer, "network": network}
                    axes |= {"control": control, "region": "everywhere", "coordinate": "x"}
                    value = None if (layer, control) == (3, "shuffled") else 0.1 * layer
                    error = None if value is not None else "too few cities to fit"
                    rows.append(row("maps", "probe_r2", value, 200, error=error, **axes))
    for cell in ("own", "other"):
        axes = {"cell": cell, "expected_by": "mean", "tasks_trained": 1}
        rows.append(row("report", "normalised_improvement", 0.5, **axes))
    return rows


def sweep() -> list[Tidy]:
    rows = []
    for lr in (0.1, 0.01, 0.001):
        for seed in (0, 1):
            rows.append(row("train", "val_loss", lr + 0.0123 * seed, lr=lr, seed=seed))
            rows.append(row("train", "accuracy", 1 - lr, lr=lr, seed=seed))
    return rows


@pytest.mark.parametrize("width", [80, 120])
def test_many_results_are_a_line_a_metric(width):
    lines = results_lines("cities/full", cities(), Screen(width, 24))
    matches(f"results-cities-{width}", lines, width)
    assert len(lines) <= 24


@pytest.mark.parametrize("width", [80, 120])
def test_each_value_stands_in_a_table_of_its_own_axes(width):
    lines = results_lines("cities/full", cities(), Screen(width, 24), every=True)
    matches(f"results-cities-all-{width}", lines, width)


@pytest.mark.parametrize("width", [80, 120])
def test_a_sweep_of_six_has_its_metrics_side_by_side(width):
    lines = results_lines("line/full", sweep(), Screen(width, 24))
    matches(f"results-sweep-{width}", lines, width)


def test_a_pipe_gets_each_value_and_the_reason_of_each_that_is_missing():
    text = plain(results_lines("cities/full", cities(), Screen()))
    assert text.count("too few cities to fit") == 6
    assert sum(line.count("trained") for line in text.splitlines()) > 36


def test_a_run_without_results_says_so():
    assert plain(results_lines("a/b", [], Screen(80))) == "a/b  0 results of 0 jobs, 0 metrics\n"


@pytest.mark.parametrize("width", [80, 120])
def test_the_best_settings_stand_with_like_decimals_and_what_is_missing(width: int) -> None:
    values = {(0.0001, 256): 0.0308, (0.0001, 1024): 0.0899, (0.01, 256): 0.2018}
    tried = []
    for (rate, wide), value in values.items():
        for seed in (0, 1, 2):
            axes = {"lr": rate, "width": wide, "seed": seed}
            missing = (rate, wide, seed) == (0.01, 256, 2)
            why = "FAILED: NaN: loss is nan at step 7" if missing else ""
            found = None if missing else value * (1 + seed / 7)
            tried.append(Tried(job=f"train/{seed}", axes=axes, value=found, why=why))
    lines = best_lines("train", "accuracy", ranked(tried, True), Screen(width))
    matches(f"results-best-{width}", lines, width)


def test_an_axis_that_a_row_does_not_have_is_no_empty_cell():
    rows = [
        row("evaluate", "accuracy", value, 60, lr=lr, seed=0, **task)
        for lr, value in ((0.1, 0.5), (0.2, 0.75))
        for task in ({"task": "sums"}, {"task": "products"}, {})
    ]
    shown = plain(results_lines("x/full", rows, Screen(80, 24)))
    table = [
        line.split() for line in shown.splitlines() if line.rstrip().endswith(("0.50", "0.75"))
    ]
    assert [line[-2] for line in table] == ["sums", "products", "–"] * 2
