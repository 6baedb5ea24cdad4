"""Gates: conditions on results that let a stage run, skip it, or keep it waiting."""

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.gates import Condition, Finding, holds, pick, summary
from orchestrator.description.profile import Profile
from orchestrator.errors import DescriptionError, RunError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.decide import choose
from orchestrator.lifecycle.interventions import note_override
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.why import why
from tests.support.cli import jobs, orch, states, tiny_stage


def condition(need: int, count: int, negated: bool = False) -> Condition:
    return Condition(
        metric="test_accuracy",
        stage="a",
        jobs=tuple(f"a/seed={n}" for n in range(count)),
        chosen={},
        where={},
        at_least=0.9,
        at_most=None,
        need=need,
        negated=negated,
    )


def findings(values: list[float | None]) -> list[Finding]:
    return [
        Finding(job=f"a/seed={n}", value=value, state="" if value is not None else "RUNNING")
        for n, value in enumerate(values)
    ]


@given(
    st.lists(st.sampled_from([0.2, 0.95, None]), min_size=1, max_size=5),
    st.integers(1, 5),
    st.booleans(),
)
def test_a_gate_is_open_exactly_while_the_missing_values_could_change_the_answer(
    values: list[float | None], need: int, negated: bool
) -> None:
    need = min(need, len(values))
    gate = condition(need, len(values), negated)
    endings = itertools.product(*[[value] if value is not None else [0.0, 1.0] for value in values])
    answers = {(sum(value >= 0.9 for value in ending) >= need) is not negated for ending in endings}
    assert holds(gate, findings(values)) == (answers.pop() if len(answers) == 1 else None)


def test_the_text_shows_every_value_beside_the_threshold() -> None:
    assert (
        summary(condition(2, 3), findings([0.95, 0.41, None]))
        == "test_accuracy of a: 0.95, 0.41 < 0.9; 1 of 3, 2 needed; 1 RUNNING"
    )


def test_the_text_of_a_thousand_values_is_as_long_as_that_of_twelve() -> None:
    """Each of the thousand jobs that wait for the gate has it as its reason."""
    values = findings([0.95] * 1000)
    text = summary(condition(2, 1000), values)
    assert text == (
        f"test_accuracy of a: {', '.join(['0.95'] * 12)}, and 988 more; 1000 of 1000, 2 needed"
    )
    wrong = [Finding(job=f"a/{n}", value=None, why="has no test_accuracy") for n in range(1000)]
    assert summary(condition(2, 1000), wrong).endswith("a/11 has no test_accuracy, and 988 more")


def row(value: float | None, **axes: Any) -> dict[str, Any]:
    return {
        "metric": "test_accuracy",
        "value": value,
        "axes": axes,
        "error": None if value is not None else "diverged",
    }


@pytest.mark.parametrize(
    ("rows", "where", "value", "why"),
    [
        (
            [
                row(0.9, checkpoint="best"),
                row(0.8, checkpoint="last"),
                row(0.1, checkpoint="best", position=1),
            ],
            {},
            0.9,
            "",
        ),
        (
            [row(0.9, checkpoint="best"), row(0.8, checkpoint="last")],
            {"checkpoint": "last"},
            0.8,
            "",
        ),
        ([row(0.9, task="x"), row(0.8, task="y")], {}, None, "where: {task: ...}"),
        ([row(None, checkpoint="best")], {}, None, "could not compute test_accuracy: diverged"),
        ([row(0.9, task="x")], {"task": "z"}, None, "no test_accuracy with task=z"),
        ([], {}, None, "has no test_accuracy"),
    ],
)
def test_the_value_of_a_job_is_one_row_or_a_reason(
    rows: list[dict[str, Any]], where: dict[str, Any], value: float | None, why: str
) -> None:
    found, reason = pick(rows, "test_accuracy", where)
    assert found == value
    assert why in reason


def gated(folder: Path, gate: str, more: str = "") -> Path:
    path = folder / "trial.yaml"
    path.write_text(
        "experiment: trial\nabout: trial\nstages:\n"
        f"  a: {{matrix: {{seed: [0, 1, 2]}}, {tiny_stage(0)}}}\n"
        f"  b: {{for_each: a, {gate}, {tiny_stage(1)}}}\n"
        f"  c: {{for_each: b, {tiny_stage(2)}}}\n" + more
    )
    return path


WHEN = "when: {metric: test_accuracy, of: a, at_least: 0.9, for: 2 of 3}"
FALLBACK = (
    f"  d: {{unless: {{metric: test_accuracy, of: a, at_least: 0.9, for: 2 of 3}}, "
    f"{tiny_stage(3)}}}\n"
    f"  e: {{after: [b, d], {tiny_stage(4)}}}\n"
)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("when: {metric: test_acuracy, of: a, at_least: 0.9}", "did you mean 'test_accuracy'?"),
        (
            "when: {metric: [test_accuracy], of: a, at_least: 0.9}",
            "metric ['test_accuracy'] must be a name",
        ),
        (
            "when: {of: a, at_least: 0.9}",
            "'metric' is missing; it must name a metric of the results",
        ),
        (
            "when: {metric: test_accuracy, of: aa, at_least: 0.9}",
            "when: no stage 'aa'; did you mean 'a'?",
        ),
        (
            "when: {metric: test_accuracy, of: a, at_least: 0.9, for: 4 of 5}",
            "4 of 5 asked for, 'a' has 3 such jobs",
        ),
        (
            "when: {metric: test_accuracy, of: a, at_least: 0.9, for: 1 of 2, where: {seed: 1}}",
            "1 of 2 asked for, 'a' has 1 such jobs",
        ),
        (
            "when: {metric: test_accuracy, of: a, at_least: 90}",
            "at_least: 90 is outside the range of test_accuracy",
        ),
        ("when: {metric: test_accuracy, of: a, at_least: 0.9, at_most: 0.95}", "exactly one of"),
        ("when: {metric: test_accuracy, of: a}", "exactly one of"),
        ("when: {metric: test_accuracy, of: a, at_least: hi}", "must be a number"),
        ("when: {metric: test_accuracy, of: a, at_least: 0.9, fro: 2 of 3}", "unknown key 'fro'"),
        ("when: {metric: test_accuracy, of: a, at_least: 0.9, for: 2/3}", "must be such as 2 of 3"),
        (
            "unless: {metric: test_accuracy, of: a, at_least: 0.9, where: {seed: 7}}",
            "axis 'seed' of 'a' has no value 7",
        ),
        ("when: [0.9]", "'when' must be a mapping"),
        ("when: {metric: test_accuracy, of: c, at_least: 0.9}", "waits for itself"),
        (
            "when: {metric: test_accuracy, of: x, at_least: 0.9}",
            "'x' is a command: name what it measures under its 'metrics'",
        ),
    ],
)
def test_a_wrong_gate_is_one_line_with_what_to_do(tmp_path: Path, gate: str, said: str) -> None:
    path = gated(tmp_path, gate, "  x: {command: 'true'}\n")
    with pytest.raises(DescriptionError) as error:
        make_plan(path)
    assert len(error.value.lines) == 1
    assert said in error.value.lines[0]
    assert error.value.lines[0].startswith(f"{path}:5: stage '")


def test_a_share_of_more_jobs_than_it_was_written_for_is_rounded_up(tmp_path: Path) -> None:
    plan = make_plan(gated(tmp_path, WHEN), overrides=["a.matrix.seed=[0, 1, 2, 3, 4]"])
    assert [(one.need, len(one.jobs)) for one in plan.gates["b"]] == [(4, 5)]


def test_a_threshold_is_not_part_of_the_identity_and_a_plan_survives_json(tmp_path: Path) -> None:
    first = make_plan(gated(tmp_path, WHEN))
    second = make_plan(gated(tmp_path, WHEN), overrides=["b.when.at_least=0.5"])
    assert first.identity == second.identity
    assert first.gates != second.gates
    assert Plan.from_json(json.loads(json.dumps(first.to_json()))) == first


def new_run(folder: Path, more: str = FALLBACK) -> Run:
    return create_run(make_plan(gated(folder, WHEN, more)), Profile(kind="local"), folder / "runs")


def finish(run: Run, records: list[Record], name: str, value: float | None) -> list[Record]:
    """Leave a job's results on disk, or its failure in the records."""
    if value is not None:
        out = run.folder / run.by_name[name].folder / "out"
        out.mkdir(exist_ok=True)
        write_json(out / "results.json", {"rows": [row(value, checkpoint="best")]})
    state = JobState.COMPLETED if value is not None else JobState.FAILED
    return [
        Record(**{**record.to_dict(), "state": state, "token": "t"})
        if record.name == name
        else record
        for record in records
    ]


def judged(run: Run, records: list[Record]) -> list[Record]:
    """The records as the gates make them, with the decisions on disk."""
    now, decisions = gates.judge(run.plan, records, gates.read_inputs(run, records), time.time())
    gates.write(run, now, decisions)
    return now


def look(run: Run, values: list[float | None]) -> dict[str, Record]:
    records = run.load()
    for seed, value in enumerate(values):
        records = finish(run, records, f"a/seed={seed}", value)
    records = judged(run, records)
    run.save(records)
    return {record.name: record for record in records}


def to_submit(run: Run) -> set[str]:
    return choose(run, run.load())


def test_yes_lets_the_stage_run_and_skips_the_fallback_and_what_hangs_on_it_alone(
    tmp_path: Path,
) -> None:
    run = new_run(tmp_path, FALLBACK + f"  f: {{after: [d], {tiny_stage(5)}}}\n")
    found = look(run, [0.95, 0.97, 0.2])
    assert {name: str(found[name].state) for name in ("b/seed=0", "d", "e", "f")} == {
        "b/seed=0": "WAITING",
        "d": "SKIPPED",
        "e": "WAITING",
        "f": "SKIPPED",
    }
    assert "unless test_accuracy of a: 0.95, 0.97, 0.2 < 0.9; 2 of 3, 2 needed" in found["d"].reason
    assert found["f"].reason == "needs d, which is SKIPPED"
    assert to_submit(run) == {*(f"{stage}/seed={seed}" for stage in "bc" for seed in range(3)), "e"}


def test_no_skips_the_stage_and_its_children_and_runs_the_fallback(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    found = look(run, [0.95, 0.5, 0.2])
    assert {record.state for name, record in found.items() if name[0] in "bc"} == {JobState.SKIPPED}
    assert to_submit(run) == {"d", "e"}
    assert json.loads((run.folder / "jobs/b.seed-0/skipped.json").read_text())["reason"].startswith(
        "gate says no: test_accuracy of a"
    )


def test_a_failed_job_leaves_the_gate_open_with_its_reason_and_nothing_runs(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    found = look(run, [0.95, None, 0.2])
    assert {str(record.state) for name, record in found.items() if name[0] in "bcde"} == {"WAITING"}
    assert (
        "0.95, 0.2 < 0.9; 1 of 3, 2 needed; 1 FAILED; nothing more will come: orch "
        "retry, or orch override" in found["b/seed=0"].reason
    )
    assert to_submit(run) == set()
    assert (
        look(run, [0.95, 0.96, 0.2])["d"].state is JobState.SKIPPED
    )  # retried with success: decided now
    kept = json.loads((run.folder / "gates/b.json").read_text())
    assert kept["decision"] == "run"
    assert [old["decision"] for old in kept["history"]] == ["open"]
    assert kept["inputs"][0]["findings"][1]["file"] == "jobs/a.seed-1/out/results.json"


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.PENDING, JobState.UNKNOWN])
def test_a_stage_that_its_gate_let_through_stays_so_when_it_has_to_be_submitted_again(
    tmp_path: Path, state: JobState
) -> None:
    """A retried job, or one whose submission never arrived: the results are read before that is
    known, and have to be there for the judgement after it."""
    run = new_run(tmp_path, "")
    look(run, [0.95, 0.97, 0.2])
    submitted = [
        Record(**{**record.to_dict(), "state": state, "token": "t"})
        if record.stage == "b"
        else record
        for record in run.load()
    ]
    inputs = gates.read_inputs(run, submitted)
    again = [
        Record(**{**record.to_dict(), "state": JobState.WAITING}) if record.stage == "b" else record
        for record in submitted
    ]
    found, _ = gates.judge(run.plan, again, inputs, time.time())
    assert {record.waits_on for record in found if record.stage == "b"} == {None}


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": [{}]}'])
def test_results_that_cannot_be_read_leave_the_gate_open(tmp_path: Path, text: str) -> None:
    run = new_run(tmp_path)
    look(run, [0.95, 0.2, 0.2])
    (run.folder / "jobs/a.seed-1/out/results.json").write_text(text)
    found = {record.name: record for record in judged(run, run.load())}
    assert found["b/seed=0"].state is JobState.WAITING
    assert "a/seed=1 has results that cannot be read" in found["b/seed=0"].reason


def test_a_gate_on_a_skipped_stage_skips_in_both_directions(tmp_path: Path) -> None:
    more = "".join(
        f"  {stage}: {{{word}: {{metric: test_accuracy, of: b, at_least: 0.9}}, "
        f"{tiny_stage(data)}}}\n"
        for stage, word, data in (("g", "when", 6), ("h", "unless", 7))
    )
    found = look(new_run(tmp_path, more), [0.1, 0.1, 0.1])
    assert (found["g"].state, found["h"].state) == (JobState.SKIPPED, JobState.SKIPPED)


def test_an_override_is_kept_with_its_reason_and_may_be_taken_back(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    look(run, [0.1, 0.1, 0.1])
    note_override(run, run.load(), {"b/seed=1"}, True, "close enough")
    found = look(run, [0.1, 0.1, 0.1])
    assert [str(found[f"b/seed={seed}"].state) for seed in range(3)] == [
        "SKIPPED",
        "WAITING",
        "SKIPPED",
    ]
    assert found["c/seed=1"].state is JobState.WAITING
    assert not (run.folder / "jobs/b.seed-1/skipped.json").exists()
    note_override(run, run.load(), {"b/seed=1"}, False, "changed my mind")
    assert "changed my mind" in look(run, [0.1, 0.1, 0.1])["b/seed=1"].reason
    kept = json.loads((run.folder / "gates/overrides.json").read_text())
    assert [line["reason"] for line in kept] == ["close enough", "changed my mind"]


def test_an_override_of_what_has_run_or_has_no_gate_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    look(run, [0.1, 0.1, 0.1])
    for name, reason, said in (
        ("a/seed=0", "x", "let through already"),
        ("e", "x", "has no gate"),
        ("b/seed=0", " ", "needs a reason"),
    ):
        with pytest.raises(RunError, match=said):
            note_override(run, run.load(), {name}, True, reason)


def test_why_names_what_is_open_and_every_value_of_the_gate(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    found = look(run, [0.95, None, 0.2])
    lines = why(run, found["b/seed=1"], list(found.values()))
    assert lines[0].startswith(
        "b/seed=1 is WAITING (gate, 0 s ago): gate is undecided: test_accuracy of a: 0.95, "
        "0.2 < 0.9; 1 of 3, 2 needed"
    )
    (gate,) = [line for line in lines if line.startswith("gate: ")]
    assert gate.startswith("gate: undecided, since ")
    # Nothing that is said to be open: an open gate lets jobs through.
    assert " open" not in "\n".join(lines)
    assert "    a/seed=0: 0.95, reaches it (jobs/a.seed-0/out/results.json)" in lines
    assert "    a/seed=1: FAILED" in lines
    assert "needs a/seed=1 (FAILED)" in lines
    assert lines[-1] == "to decide it yourself: orch override b/seed=1 --run|--skip --reason TEXT"
    after = why(run, found["e"], list(found.values()))
    waits = (*(f"b/seed={n}" for n in range(3)), "d")
    assert [line.split(":")[0] for line in after[1:]] == [
        f"comes after {name} (WAITING" for name in waits
    ]


BOTH_WAYS = (
    f"  a: {{matrix: {{seed: [0, 1]}}, {tiny_stage(0)}}}\n"
    f"  hard: {{for_each: a, when: {{metric: test_accuracy, of: a, at_least: 0.999}}, "
    f"{tiny_stage(1)}}}\n"
    f"  easy: {{unless: {{metric: test_accuracy, of: a, at_least: 0.999}}, {tiny_stage(2)}}}\n"
    f"  next: {{when: {{metric: test_accuracy, of: easy, at_least: 0.0}}, {tiny_stage(3)}}}\n"
    f"  last: {{after: [hard, next], {tiny_stage(4)}}}\n"
)
"""Nobody learns in two steps: hard is skipped, its fallback runs, and what the fallback reaches
lets the next stage run."""


def launch_both_ways(folder: Path, cluster: str) -> None:
    path = folder / "trial.yaml"
    path.write_text(f"experiment: trial\nabout: trial\nstages:\n{BOTH_WAYS}")
    result = orch(folder, "launch", str(path), "--cluster", cluster, "--no-watch")
    assert result.returncode == 0, result.stderr
    assert "2 jobs submitted" in result.stdout


ENDED = {
    "a/seed=0": "COMPLETED",
    "a/seed=1": "COMPLETED",
    "hard/seed=0": "SKIPPED",
    "hard/seed=1": "SKIPPED",
    "easy": "COMPLETED",
    "next": "COMPLETED",
    "last": "COMPLETED",
}


def alone_until_done(folder: Path, seconds: float) -> None:
    """Wait without any orch command: whoever is to look at the gates has to do it."""
    deadline = time.monotonic() + seconds
    while not list(folder.glob("runs/trial/*/jobs/last/out/results.json")):
        assert time.monotonic() < deadline, states(jobs(folder))
        time.sleep(0.5)


@pytest.mark.long
def test_on_this_machine_both_ways_through_a_gate_without_another_command(tmp_path: Path) -> None:
    launch_both_ways(tmp_path, "local")
    alone_until_done(tmp_path, 300)
    deadline = time.monotonic() + 20
    while states(jobs(tmp_path)) != ENDED:
        assert time.monotonic() < deadline, states(jobs(tmp_path))
        time.sleep(0.5)
    said = orch(tmp_path, "why", "hard/seed=0").stdout
    assert "hard/seed=0 is SKIPPED (gate" in said
    assert "misses it (jobs/a.seed-0/out/results.json)" in said
    overridden = orch(tmp_path, "override", "hard", "--run", "--reason", "to see it fail")
    assert overridden.returncode == 0, overridden.stderr
    assert "last has run without hard/seed=0 and keeps its results" in overridden.stdout
    assert (
        orch(
            tmp_path, "launch", str(tmp_path / "trial.yaml"), "--cluster", "local", "--watch"
        ).returncode
        == 0
    )
    assert states(jobs(tmp_path))["hard/seed=1"] == "COMPLETED"
    assert "to see it fail" in orch(tmp_path, "why", "hard/seed=1").stdout


@pytest.mark.slurm
def test_on_slurm_a_job_of_one_core_takes_the_run_through_its_gates(
    slurm: Any, tmp_path: Path
) -> None:
    launch_both_ways(tmp_path, str(slurm.profile))
    alone_until_done(tmp_path, 400)
    looks = list(tmp_path.glob("runs/trial/*/gates/looks/*.log"))
    assert looks
    deadline = time.monotonic() + 30
    while states(jobs(tmp_path)) != ENDED:
        assert time.monotonic() < deadline, [path.read_text() for path in looks]
        time.sleep(1)
