"""The report: statistics against closed forms, the program on files of finished jobs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.analysis import Config
from engines.analysis.__main__ import run
from engines.evaluation import Config as EvaluationConfig
from engines.io import ConfigError, Progress, Stop, write_results
from engines.statistics import (
    benjamini_hochberg,
    holm,
    mcnemar,
    minimum_detectable,
    paired_bootstrap,
    sign_flip,
    t_interval,
    wilson,
)

differences = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=30).map(np.array)


def test_wilson_is_its_closed_form_at_zero_successes():
    z2 = 1.959963984540054**2
    found = wilson(0, 20)
    assert found.low == pytest.approx(0.0)
    assert found.high == pytest.approx(z2 / (20 + z2))


def test_identical_arms_differ_by_zero_with_zero_width():
    found = paired_bootstrap([np.zeros(30)], seed=0)
    assert (found.value, found.low, found.high) == (0, 0, 0)


@given(differences)
def test_swapping_the_arms_mirrors_the_interval(values):
    one, other = paired_bootstrap([values], 3, 200), paired_bootstrap([-values], 3, 200)
    assert (other.low, other.value, other.high) == pytest.approx((-one.high, -one.value, -one.low))


def test_the_t_interval_of_two_seeds_and_the_detectable_difference_are_their_closed_forms():
    assert t_interval([0.0, 2.0]).high == pytest.approx(1 + 12.706)
    values = np.array([0.0, 1.0, 0.0, 1.0])
    assert minimum_detectable([values]) == pytest.approx(2.8015852 * values.std(ddof=1) / math.sqrt(4))


def test_mcnemar_is_the_binomial_tail_of_a_fair_coin():
    assert mcnemar(np.array([1.0] * 9 + [-1.0] + [0.0] * 50)) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(np.zeros(20)) == 1.0


@given(differences)
def test_the_sign_flip_test_agrees_with_mcnemar_and_is_the_same_for_both_directions(values):
    found = sign_flip([values], seed=1, draws=4000)
    assert found == sign_flip([-values], seed=1, draws=4000)
    assert abs(found - mcnemar(values)) < 0.05


p_values = st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=12)


@given(p_values)
def test_corrections_only_raise_p_values_keep_their_order_and_holm_is_the_stricter(values):
    strict, mild = holm(values), benjamini_hochberg(values)
    assert all(p - 1e-12 <= b <= a + 1e-12 for p, a, b in zip(values, strict, mild, strict=True))
    for adjusted in (strict, mild):
        assert [adjusted[i] for i in np.argsort(values, kind="stable")] == sorted(adjusted)
        assert max(adjusted) <= 1.0


def test_corrections_are_their_worked_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


def evaluated(root: Path, arm: str, values: dict[str, list[float | None]], seed: int = 0) -> dict:
    """A finished evaluation job of one arm."""
    out = root / f"evaluate-{arm}-{seed}" / "out"
    (out / "scores").mkdir(parents=True)
    lines = [{"item_id": f"{domain}{i}", "sample": 0, "domain": domain, "task": domain, "value": value, "extracted": "", "tokens": 3,
              "finish_reason": "stop", "status": "error" if value is None else "ok"}
             for domain, column in values.items() for i, value in enumerate(column)]
    (out / "scores" / "epoch-000002.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_results(out, "evaluation", EvaluationConfig(models="m", data="d"), [], 1.0,
                  {"checkpoints": [{"name": "epoch-000002", "step": 4, "epoch": 2}]})
    return {"job": f"evaluate/arm={arm},seed={seed}", "stage": "evaluate", "axes": {"arm": arm, "seed": seed}, "folder": str(out)}


def report(root: Path, inputs: list[dict]) -> Path:
    config = Config.model_validate({"inputs": inputs, "compare": {"baseline": "baseline", "treatment": "pcgrad"}})
    (root / "out").mkdir()
    run(config, root / "out", Stop())
    return root / "out"


def test_the_terminal_report_says_the_difference_and_its_limits(tmp_path):
    out = report(tmp_path, [evaluated(tmp_path, "baseline", {"math": [0, 0, 0, 0]}), evaluated(tmp_path, "pcgrad", {"math": [1, 1, 1, 1]})])
    text = (out / "report.txt").read_text()
    assert text.splitlines()[:5] == [
        "accuracy: pcgrad is better than baseline on these 4 problems: +100.0 [+100.0, +100.0] points, macro",
        "mean over domains.", "", "domain      n  baseline  treatment        difference [95 %]  p adjusted  detectable",
        "math        4       0.0      100.0  +100.0 [+100.0, +100.0]       0.125     unknown"]
    assert "not the variance of training" in text
    assert max(map(len, text.splitlines())) <= 100
    page = (out / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<svg" in page


def test_a_missing_number_is_named_and_never_zero(tmp_path):
    inputs = [evaluated(tmp_path, "baseline", {"code": [None, None], "math": [1, 0]}),
              evaluated(tmp_path, "pcgrad", {"code": [1, 1], "math": [1, 0]})]
    out = report(tmp_path, inputs)
    rows = json.loads((out / "results.json").read_text())["rows"]
    code = [row for row in rows if row["axes"]["domain"] == "code"]
    assert all(row["value"] is None and row["error"] for row in code)
    assert "2 samples without a score (code: error)" in (out / "report.txt").read_text()


def test_unequal_problems_are_refused(tmp_path):
    inputs = [evaluated(tmp_path, "baseline", {"math": [1, 0]}), evaluated(tmp_path, "pcgrad", {"math": [1]})]
    with pytest.raises(ConfigError, match="not comparable: math has 2 problems"):
        report(tmp_path, inputs)


def test_an_arm_that_is_not_done_is_named(tmp_path):
    out = report(tmp_path, [evaluated(tmp_path, "baseline", {"math": [1, 0]})])
    assert "No answer: no finished evaluation of pcgrad" in (out / "report.txt").read_text()


def test_two_seeds_give_a_spread_over_seeds_and_curves_are_drawn(tmp_path):
    inputs = [evaluated(tmp_path, arm, {"math": [seed, arm == "pcgrad"]}, seed) for arm in ("baseline", "pcgrad") for seed in (0, 1)]
    train = tmp_path / "train" / "out"
    train.mkdir(parents=True)
    Progress(train).write(1, 1, {"validation_reward_mean": 0.5, "validation_reward/math": 0.5, "cosine/code|math": -0.2})
    inputs.append({"job": "train/arm=pcgrad,seed=0", "stage": "train", "axes": {"arm": "pcgrad", "seed": 0}, "folder": str(train)})
    out = report(tmp_path, inputs)
    assert "Over training seeds the macro difference is +50.0 [+50.0, +50.0]" in (out / "report.txt").read_text()
    assert {p.stem for p in (out / "figures").iterdir()} == {"differences", "validation_reward_mean", "tasks", "cosines",
                                                             "cosine_course"}


def several_tasks(root: Path, arm: str, values: dict[str, list[float | None]]) -> dict:
    """An evaluation whose domain math has the tasks of ``values``."""
    source = evaluated(root, arm, values)
    path = Path(source["folder"]) / "scores" / "epoch-000002.jsonl"
    path.write_text("".join(json.dumps({**json.loads(line), "domain": "math"}) + "\n" for line in path.read_text().splitlines()))
    return source


def test_a_domain_is_the_mean_over_its_tasks_however_many_problems_each_has(tmp_path):
    # Pooled by problem the difference would be 90/110; by task it is (1 + 0) / 2 of ... the small task counts as much as the large one.
    base = several_tasks(tmp_path, "baseline", {"large": [0.0] * 100, "small": [0.0] * 10})
    treat = several_tasks(tmp_path, "pcgrad", {"large": [1.0] * 100, "small": [0.0] * 9 + [None]})
    out = report(tmp_path, [base, treat])
    rows = {(row["axes"].get("domain"), row["axes"].get("task")): row for row in json.loads((out / "results.json").read_text())["rows"]
            if row["metric"] == "accuracy_difference"}
    assert rows["math", None]["value"] == pytest.approx(0.5)
    assert (rows[None, "large"]["value"], rows[None, "small"]["value"], rows[None, "small"]["n"]) == (1.0, 0.0, 9)
    assert rows["macro mean", None]["value"] == pytest.approx(0.5)
    text = (out / "report.txt").read_text()
    assert "- small" in text
    assert "small: 9 of 10 problems are compared" in text


def test_what_ran_where_counts_every_start_and_every_table_row_names_its_source(tmp_path):
    inputs = [evaluated(tmp_path, "baseline", {"math": [0, 1]}), evaluated(tmp_path, "pcgrad", {"math": [1, 1]})]
    record = {"token": "t", "host": "a100-1", "started": 0.0, "resources": {"nodes": 1, "gpus": 2, "cpus": 8}}
    for number, restart in (("exit-0.json", 0), ("exit.json", 1)):
        path = Path(inputs[0]["folder"]).parent / "attempt-1" / number
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**record, "restart": restart, "ended": 1800.0 * (restart + 1)}))
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert "| evaluate/arm=baseline,seed=0 | a100-1 | 8 | 2 | 1.500 | 12.000 | 3.000 | 2 | [1-2] |" in text
    assert "| evaluate/arm=pcgrad,seed=0 | missing: no exit record |" in text
    assert "Scores from [3-4]." in text
    assert "- [3] " in text
