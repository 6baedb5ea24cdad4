"""What two runs have measured, paired over seeds, against closed forms."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from engines.analysis.paired.config import Config
from engines.analysis.paired.differences import differences
from engines.analysis.paired.load import Line, read_paired
from engines.analysis.paired.text import plain, table_csv
from engines.contract.config import ConfigError
from engines.contract.results import Row


def made(
    folder: Path, axes: dict[str, Any], stage: str = "train", **values: float
) -> dict[str, Any]:
    out = folder / f"{stage}-{len(list(folder.iterdir()))}"
    out.mkdir()
    rows = [Row(metric=name, value=value, n=10).model_dump() for name, value in values.items()]
    document = {"schema": 1, "engine": "command", "config": {}, "seconds": 1.0, "facts": {}}
    (out / "results.json").write_text(json.dumps({**document, "rows": rows}))
    return {"job": out.name, "stage": stage, "axes": axes, "folder": str(out)}


def config(baseline: list[dict[str, Any]], treatment: list[dict[str, Any]], **more: Any) -> Config:
    return Config.model_validate(
        {
            "baseline": {"label": "a", "jobs": baseline},
            "treatment": {"label": "b", "jobs": treatment},
            **more,
        }
    )


def line(*pairs: tuple[float, float], higher: bool | None = True) -> Line:
    return Line("", "", "accuracy", higher, list(pairs))


def test_values_of_equal_settings_and_seeds_are_paired(tmp_path: Path) -> None:
    first = [made(tmp_path, {"lr": lr, "seed": s}, x=lr + s) for lr in (0.1, 0.2) for s in (0, 1)]
    second = [made(tmp_path, {"lr": 0.2, "seed": s}, x=s + 10.0, y=1.0) for s in (1, 0, 2)]
    found = read_paired(config(first, second))
    (only,) = found.lines
    assert (only.setting, only.metric) == ("lr=0.2", "x")
    assert only.pairs == [(0.2, 10.0), (1.2, 11.0)]
    assert found.missing == [
        "a alone has x (seed 0, 1 of lr=0.1)",
        "b alone has x (seed 2 of lr=0.2)",
        "b alone has y (seed 1, 0, 2 of lr=0.2)",
    ]


def test_an_axis_in_which_the_sides_differ_is_what_is_compared(tmp_path: Path) -> None:
    first = [made(tmp_path, {"arm": "plain", "seed": s}, x=float(s)) for s in (0, 1)]
    second = [made(tmp_path, {"arm": "new", "seed": s}, stage="other", x=s + 1.0) for s in (0, 1)]
    (only,) = read_paired(config(first, second)).lines
    assert (only.stage, only.setting, only.pairs) == ("", "", [(0.0, 1.0), (1.0, 2.0)])


def test_nothing_in_common_and_two_jobs_of_a_seed_are_told(tmp_path: Path) -> None:
    first = [made(tmp_path, {"seed": 0}, x=1.0)]
    with pytest.raises(ConfigError, match=r"no job of the one has the metric.*a alone has x"):
        read_paired(config(first, [made(tmp_path, {"seed": 0}, y=1.0)]))
    with pytest.raises(ConfigError, match="name one stage"):
        read_paired(config([*first, made(tmp_path, {"seed": 0}, x=2.0)], first))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=6))
def test_the_p_value_is_that_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    (found,) = differences([line(*pairs)])
    if found.interval is None:
        return
    expected = ttest_rel([b for _, b in pairs], [a for a, _ in pairs])
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    interval = expected.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(interval), abs=1e-9)


CLEAR = ((1.0, 2.0), (1.1, 2.11), (0.9, 1.92))


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (line((1.0, 2.0)), "no verdict: one pair"),
        (line((1.0, 2.0), (2.0, 3.0)), "no verdict: the same difference in every pair"),
        (line((1.0, 1.0), (2.0, 2.0)), "equal in every pair"),
        (line(*CLEAR), "better"),
        (line(*CLEAR, higher=False), "worse"),
        (line(*CLEAR, higher=None), "higher"),
        (line((1.0, 2.0), (2.0, 1.0), (1.0, 1.5)), "no difference shown"),
    ],
)
def test_verdicts(one: Line, verdict: str) -> None:
    assert differences([one])[0].verdict == verdict


def test_many_lines_are_adjusted_for() -> None:
    weak = line((1.0, 2.0), (1.0, 1.5), (1.0, 1.9), (1.0, 1.2))
    assert differences([weak])[0].verdict == "better"
    found = differences([weak] * 5)
    assert {one.verdict for one in found} == {"no difference shown"}
    assert found[0].adjusted == pytest.approx(5 * found[0].p)


def test_the_table_has_an_empty_cell_where_there_is_no_interval(tmp_path: Path) -> None:
    asked = config(
        [made(tmp_path, {"seed": 0}, x=1.0)],
        [made(tmp_path, {"seed": 0}, x=2.5)],
        higher={"x": True},
    )
    read = read_paired(asked)
    found = differences(read.lines)
    (row,) = csv.DictReader(io.StringIO(table_csv(found)))
    assert (row["difference"], row["low"], row["missing"]) == ("1.5", "", "no verdict: one pair")
    assert "b against a, 1 line: no verdict: one pair (1)." in plain(found, read, asked)
