"""The report on finite-state machines: intervals over seeds, answers with figures, and what is
missing."""

import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.fsm_report.answers import judge
from engines.fsm_report.config import Config, Question
from engines.fsm_report.figures import label_axes, legend, panels_and_keys
from engines.fsm_report.load import group_name
from engines.fsm_report.summary import difference, summarise
from engines.shared.reporting.figures import prepare
from engines.shared.reporting.statistics import Interval
from orchestrator.planning.planner import make_plan
from tests.support.browsing import ill_read
from tests.support.paths import ROOT

PLAN = ROOT / "jobs" / "fsm-icl.yaml"
TRAINING: dict[str, Any] = {
    "machines": {
        "states": 3,
        "actions": 3,
        "demonstration_length": 6,
        "query_length": 10,
        "demonstrations": 2,
    },
    "train_sequences": 60,
    "validation_sequences": 20,
    "test_sequences": 20,
    "epochs": 2,
    "loss": "all",
}


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(-0.5, 0.5))
def test_two_groups_of_equal_spread_have_students_interval_of_their_difference(
    values: list[float], shift: float
) -> None:
    found, n = difference([value + shift for value in values], values), len(values)
    spread = math.sqrt(sum((value - sum(values) / n) ** 2 for value in values) / (n - 1))
    quantile = {2: 4.303, 3: 2.776, 4: 2.447, 5: 2.306, 6: 2.228}[
        n
    ]  # of Student's t with 2 (n - 1) degrees of freedom
    assert found.value == pytest.approx(shift, abs=1e-9)
    half = (found.high - found.low) / 2
    assert half == pytest.approx(quantile * spread * math.sqrt(2 / n), rel=1e-3, abs=1e-6)


def test_unequal_spreads_have_welchs_degrees_of_freedom() -> None:
    # By hand: variances 0.01 and 0 with n = 3 leave 2 degrees of freedom, so half is 4.3026527 *
    # sqrt(0.01 / 3).
    found = difference([0.4, 0.5, 0.6], [0.2, 0.2, 0.2])
    assert (found.low, found.high) == pytest.approx(
        (0.3 - 4.3026527 * math.sqrt(0.01 / 3), 0.3 + 4.3026527 * math.sqrt(0.01 / 3))
    )


def test_one_seed_has_no_interval_and_shares_stay_within_their_range() -> None:
    one, several = summarise([0.5]), summarise([0.9, 1.0, 1.0])
    assert one is not None
    assert (one.deviation, one.interval) == (None, None)
    assert several is not None
    assert several.interval is not None
    assert several.interval.high == 1.0
    assert summarise([]) is None


@pytest.mark.parametrize(
    ("kind", "low", "high", "verdict"),
    [
        ("match", -0.01, 0.01, "yes"),
        ("match", 0.05, 0.2, "yes"),
        ("match", -0.3, -0.1, "no"),
        ("match", -0.1, 0.1, "not decided"),
        ("better", 0.01, 0.2, "yes"),
        ("better", -0.2, -0.01, "no"),
        ("better", -0.01, 0.01, "no"),
        ("better", -0.1, 0.1, "not decided"),
    ],
)
def test_a_verdict_follows_from_the_interval_alone(
    kind: str, low: float, high: float, verdict: str
) -> None:
    found, text = judge(kind, Interval((low + high) / 2, low, high), 0.02, "figures")
    assert found == verdict
    assert "figures" in text
    assert ("n too small" in text) == (verdict == "not decided")


def test_a_group_is_a_job_without_its_seed() -> None:
    assert group_name("a/model=x,seed=0") == group_name("a/seed=1,model=x") == "a/model=x"
    assert group_name("a/seed=3") == "a"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of two seeds (one of them with one seed only), and probes of the first: real
    results, a minute at most."""
    from engines.contract.program import Stop
    from engines.fsm.__main__ import run as train
    from engines.fsm.config import Config as Training
    from engines.probe.__main__ import run as probe
    from engines.probe.config import Config as Probing

    folder = tmp_path_factory.mktemp("jobs")
    for name, kind, seeds in (
        ("small", "lstm", 2),
        ("rival", "transformer", 2),
        ("lonely", "rnn", 1),
    ):
        for seed in range(seeds):
            out = folder / f"{name}-{seed}" / "out"
            out.mkdir(parents=True)
            train(
                Training.model_validate(
                    {**TRAINING, "architecture": {"kind": kind, "width": 8}, "seed": seed}
                ),
                out,
                Stop(),
            )
            if name == "small":
                probes = folder / f"probe-{seed}" / "out"
                probes.mkdir(parents=True)
                models = {"folder": str(out), "checkpoints": "best"}
                probe(
                    Probing.model_validate({"models": models, "sequences": 10, "iterations": 20}),
                    probes,
                    Stop(),
                )
    skipped = folder / "later-0"
    (skipped / "out").mkdir(parents=True)
    (skipped / "skipped.json").write_text(
        json.dumps({"reason": "gate says no: test_accuracy of small: 0.3 < 0.9", "time": 0.0})
    )
    return folder


def report(
    folder: Path, out: Path, questions: list[dict[str, str]]
) -> tuple[str, str, dict[str, Any]]:
    """Run the program; its text, its page and its results."""
    names = [
        ("small", 0),
        ("small", 1),
        ("rival", 0),
        ("rival", 1),
        ("lonely", 0),
        ("probe", 0),
        ("probe", 1),
        ("later", 0),
        ("gone", 0),
    ]
    inputs = [
        {
            "job": f"{name}/seed={seed}",
            "stage": name,
            "axes": {"seed": seed},
            "folder": str(folder / f"{name}-{seed}" / "out"),
        }
        for name, seed in names
    ]
    out.mkdir()
    (out / "config.json").write_text(json.dumps({"inputs": inputs, "questions": questions}))
    done = subprocess.run(
        [sys.executable, "-m", "engines.fsm_report", str(out / "config.json"), "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (
        (out / "report.txt").read_text(),
        (out / "report.html").read_text(),
        json.loads((out / "results.json").read_text()),
    )


def test_the_report_answers_with_figures_and_says_what_it_cannot_know(
    trained: Path, tmp_path: Path
) -> None:
    questions = [
        {"ask": "Q1?", "kind": "match", "first": "small", "second": "rival"},
        {"ask": "Q2?", "kind": "learned", "first": "small"},
        {"ask": "Q3?", "kind": "better", "first": "lonely", "second": "small"},
        {"ask": "Q4?", "kind": "better", "first": "later", "second": "small"},
        {"ask": "Q5?", "kind": "match", "first": "probe", "second": "probe"},
    ]
    text, page, results = report(trained, tmp_path / "out", questions)
    answers = dict(line.split("? ", 1) for line in results["facts"]["answers"])
    values = [
        json.loads((trained / f"small-{seed}" / "out" / "results.json").read_text())["rows"]
        for seed in range(2)
    ]
    best = [
        next(
            row["value"]
            for row in rows
            if row["metric"] == "test_accuracy" and row["axes"] == {"checkpoint": "best"}
        )
        for rows in values
    ]
    ceiling = next(
        row["value"]
        for row in values[0]
        if row["metric"] == "ceiling_accuracy" and row["axes"] == {}
    )
    assert f"test accuracy {50 * sum(best):.1f} [" in answers["Q1"]
    assert f"ceiling {100 * ceiling:.1f}; 0 of 2 seeds reach 90.0" in answers["Q2"]
    assert answers["Q3"].startswith("Not decided: n too small; test accuracy")
    assert "n = 1 against" in answers["Q3"]
    assert (
        answers["Q4"]
        == "Not decided: later: skipped, gate says no: test_accuracy of small: 0.3 < 0.9."
    )
    assert answers["Q5"].startswith(
        ("Yes: next state read by a probe", "Not decided: n too small; next state")
    )
    assert "gone/seed=0: no results.json" in text
    rows = {row["axes"]["group"]: row for row in results["rows"]}
    assert rows["small"]["value"] == pytest.approx(sum(best) / 2)
    assert rows["small"]["spread"] == pytest.approx(abs(best[0] - best[1]) / 2)
    assert (rows["lonely"]["n"], rows["lonely"]["spread"]) == (1, None)
    assert answers["Q1"].endswith("; settings: published but loss all; machines: 3s3a.")
    assert answers["Q5"].endswith("; settings: published but loss all; machines: 3s3a.")
    assert re.search(
        r"untrained \d+\.\d and \d+\.\d, selectivity -?\d+\.\d and -?\d+\.\d\)", answers["Q5"]
    )
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "http" not in page.replace("http://www.w3.org/", "")


@pytest.mark.browser
def test_the_page_is_read_on_every_ground_and_width(
    browser: Any, trained: Path, tmp_path: Path
) -> None:
    report(
        trained,
        tmp_path / "out",
        [
            {"ask": "Q1?", "kind": "match", "first": "small", "second": "rival"},
            {"ask": "Q2?", "kind": "learned", "first": "small"},
        ],
    )
    assert ill_read(browser, tmp_path / "out" / "report.html") == []


def test_a_question_that_lacks_its_second_group_is_refused() -> None:
    with pytest.raises(ValueError, match="name second"):
        Question(ask="?", kind="match", first="a")
    with pytest.raises(ValueError, match="take out second"):
        Question(ask="?", kind="learned", first="a", second="b")
    assert Config().learned == 0.9


def test_the_shipped_plan_is_the_documents_with_phase_two_under_both_settings() -> None:
    plan = make_plan(PLAN)
    epochs = {
        group_name(job.name): job.config["epochs"] for job in plan.jobs if job.engine == "fsm"
    }
    assert epochs == {
        "large-5s5a/model=lstm-large": 32,
        "large-5s5a/model=rnn-large": 21,
        "large-5s5a/model=rnn-deep": 32,
        **{
            f"small-5s5a/model={model},arm={arm}": 32
            for model in ("lstm-small", "rnn-small", "rnn-matched", "transformer-small")
            for arm in ("published", "tuned")
        },
        "large-5s8a/model=lstm-large": 48,
        "small-5s8a/model=lstm-small,arm=published": 64,
        "large-8s8a/model=lstm-large": 100,
        "curriculum-3s3a/model=lstm-small,arm=published": 16,
        "curriculum-5s5a/model=lstm-small,arm=published": 16,
        "curriculum-5s8a/model=lstm-small,arm=published": 32,
        "curriculum-large-5s8a/model=lstm-large": 32,
        "curriculum-large-8s8a/model=lstm-large": 32,
        "absorbing/model=lstm-large": 32,
    }
    assert {one.at_least for gates in plan.gates.values() for one in gates} == {0.9}
    assert {(one.need, len(one.jobs)) for gates in plan.gates.values() for one in gates} == {(2, 3)}
    seeds = {
        job.name: (job.axes["seed"], job.config["seed"]) for job in plan.jobs if job.engine == "fsm"
    }
    assert all(axis == used for axis, used in seeds.values())
    arms = {
        (job.axes["arm"], job.config["recipe"], job.config["learning_rate"])
        for job in plan.jobs
        if job.stage == "small-5s5a" and job.axes["model"] == "lstm-small"
    }
    assert arms == {("published", "published", 1e-3), ("tuned", "tuned", 1e-2)}


@pytest.mark.parametrize("preset", ["full", "tuned", "small-lstm", "smoke"])
def test_every_question_names_groups_of_the_plan(preset: str) -> None:
    plan = make_plan(PLAN, preset)
    (last,) = [job for job in plan.jobs if job.engine == "fsm_report"]
    groups = {group_name(job.name) for job in plan.jobs}
    assert {
        name for one in last.config["questions"] for name in (one["first"], one["second"]) if name
    } <= groups
    assert len(last.config["inputs"]) == len(plan.jobs) - 1


def test_the_preset_tuned_follows_the_tuned_arm_everywhere() -> None:
    plan = make_plan(PLAN, "tuned")
    assert {
        job.config["recipe"]
        for job in plan.jobs
        if job.engine == "fsm" and job.stage != "small-5s5a"
    } == {"tuned"}
    judged = {
        one.jobs for gates in plan.gates.values() for one in gates if one.stage == "small-5s5a"
    }
    assert judged
    assert all("arm=tuned" in name for names in judged for name in names)


@pytest.mark.parametrize("preset", ["tuned", "smoke"])
def test_five_seeds_take_two_overrides_and_every_gate_follows(preset: str) -> None:
    five = [f"{stage}.matrix.seed=[0, 1, 2, 3, 4]" for stage in ("large-5s5a", "small-5s5a")]
    plan = make_plan(PLAN, preset, five)
    assert {(one.need, len(one.jobs)) for gates in plan.gates.values() for one in gates} == {(4, 5)}
    assert len(plan.jobs) == 1 + (len(make_plan(PLAN, preset).jobs) - 1) * 5 // 3


def smoke(folder: Path, cluster: str, seconds: float) -> None:
    """Launch the smoke preset, leave it alone until its report is there, and look at what became of
    every phase."""
    orch = str(Path(sys.executable).with_name("orch"))
    variables = {
        **os.environ,
        "ORCH_RUNS": str(folder / "runs"),
        "TMPDIR": str(folder),
        "COLUMNS": "200",
    }

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [orch, *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("launch", str(PLAN), "--preset", "smoke", "--cluster", cluster, "--no-watch")
    deadline = time.monotonic() + seconds
    while not list(folder.glob("runs/fsm-icl/*/jobs/report/out/results.json")):
        assert time.monotonic() < deadline, call("status")
        time.sleep(2)
    time.sleep(5)  # the exit record follows the results
    ended: dict[str, set[str]] = {}
    for job in json.loads(call("status", "--json"))["jobs"]:
        ended.setdefault(job["stage"], set()).add(job["state"])
    skipped = {"small-5s8a", "probe-small-5s8a", "curriculum-5s8a", "curriculum-large-5s8a"}
    assert ended == {stage: {"SKIPPED" if stage in skipped else "COMPLETED"} for stage in ended}
    assert {
        "large-8s8a",
        "curriculum-3s3a",
        "curriculum-large-8s8a",
        "absorbing",
        "probe-large-5s8a",
    } <= ended.keys()
    assert "questions are decided, with 3 training seeds" in call("report")
    why = call("why", "small-5s8a/model=lstm-small,seed=0,arm=published")
    # With COLUMNS the values are a table.
    assert "large-5s8a/model=lstm-large,seed=0 0.9" in " ".join(why.split())


@pytest.mark.long
def test_the_smoke_preset_goes_both_ways_through_its_gates_on_this_machine(tmp_path: Path) -> None:
    smoke(tmp_path, "local", 1500)


@pytest.mark.slurm
@pytest.mark.long
def test_the_smoke_preset_goes_both_ways_through_its_gates_on_slurm(
    slurm: Any, tmp_path: Path
) -> None:
    smoke(tmp_path, str(slurm.profile), 1500)


def test_panels_keep_their_width_beside_names_of_any_length() -> None:
    def width(label: str) -> float:
        figure, axes, keys = panels_and_keys([[label], [label]])
        for axis, key in zip(axes, keys, strict=True):
            axis.plot([1, 2], [0.1, 0.2], label=label)
            label_axes(axis, "epoch", "validation accuracy")
            legend(axis, key)
        figure.canvas.draw()
        return float(axes[0].get_position().width)

    prepare()
    assert width("small-5s5a transformer-small, published") == pytest.approx(width("a"), rel=0.02)
    assert width("a") > 0.3
