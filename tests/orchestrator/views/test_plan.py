"""`orch plan` as a terminal shows it: the shipped experiments, real plans."""

from __future__ import annotations

from functools import cache

import pytest

from orchestrator.description.catalogue import find_experiment
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from orchestrator.views.plan import plan_lines
from orchestrator.views.tables.drawing import Screen
from tests.support.cli import describe, orch
from tests.support.screens import matches, plain


@cache
def shipped_plan(name: str) -> Plan:
    return make_plan(find_experiment(name))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_plan_of_76_jobs(width, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = plan_lines(shipped_plan("fsm-icl"), screen=Screen(width))
    matches(f"plan-fsm-icl-{width}", lines, width)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["mtl-comparison", "ftwb1", "exp1"])
def test_plans_of_other_shapes(name, width, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = plan_lines(shipped_plan(name), screen=Screen(width))
    matches(f"plan-{name}-{width}", lines, width)


def test_each_job_of_a_plan_and_the_conditions_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = shipped_plan("fsm-icl")
    every = plan_lines(plan, screen=Screen(120), every=True)
    assert sum(line.plain.endswith("0 h") for line in every) == len(plan.jobs)
    wanted = [job.name for job in plan.jobs if job.stage == "large-5s8a"]
    told = " ".join(plain(plan_lines(plan, screen=Screen(80), wanted=wanted)).split())
    assert told.count("when test_accuracy of large-5s5a (model=lstm-large) >= 0.9 in 2 of 3") == 3


def test_gpu_hours_behind_gates_are_a_part_of_all(tmp_path, monkeypatch):
    """Jobs that share a node share its hours there too."""
    monkeypatch.chdir(tmp_path)
    plan = shipped_plan("exp1")
    (told,) = [line.plain for line in plan_lines(plan) if "behind gates" in line.plain]
    assert "(192 GPU-hours)" in told
    assert round(plan.gpu_hours, 6) == 218


def test_a_pipe_gets_whole_lines_and_columns_says_how_wide_a_line_may_be(tmp_path):
    numbers = list(range(30))
    file = describe(
        tmp_path,
        f'  a: {{command: "echo {{n}} with {"many " * 9}words", matrix: {{n: {numbers}}}}}\n'
        "  b: {command: 'true', after: [a]}\n",
    )
    whole = orch(tmp_path, "plan", file, "--all", COLUMNS="").stdout
    assert len([line for line in whole.splitlines() if line.endswith(" words")]) == 30
    narrow = orch(tmp_path, "plan", file, COLUMNS="40").stdout
    assert max(map(len, narrow.splitlines())) <= 40
    assert "not shown: runs" in " ".join(narrow.split())
    assert "not shown" not in orch(tmp_path, "plan", file, "--wide", COLUMNS="40").stdout
    missing = orch(tmp_path, "plan", file, "--job", "c")
    assert missing.returncode == 2
    assert "--job c: trial has no such job; its stages: a, b" in missing.stderr
