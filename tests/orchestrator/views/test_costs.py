"""Hours asked, used and wasted; use against request; on made-up starts with known answers, and on
real runs."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engines.analysis.__main__ import run as report
from engines.analysis.config import Config
from engines.contract.program import Stop
from engines.contract.results import write_results
from engines.evaluation.config import Config as EvaluationConfig
from jobs.spec import Resources
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError
from orchestrator.node.cost import cost_so_far, write_cost
from orchestrator.planning.planner import make_plan
from orchestrator.runs.attempts import end_member
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.views.costs.hours import wasted_seconds
from orchestrator.views.costs.starts import Start, read_starts
from orchestrator.views.costs.tables import spent
from orchestrator.views.costs.usage import cpu_seconds, from_sacct, of_stage, with_accounting
from tests.support.builders import PLANNED, planned
from tests.support.cli import SMALL, describe, launch, orch, the_run
from tests.support.extras import needs
from tests.support.private_slurm import PrivateSlurm
from tests.support.scores import share, write_scores


def start(started: float, ended: float | None, outcome: str, **values: Any) -> Start:
    resources = values.pop("resources", Resources(gpus=2, cpus=4, memory_gb=64, minutes=120))
    return Start(
        job="train",
        attempt=1,
        restart=0,
        started=started,
        ended=ended,
        outcome=outcome,
        resources=resources,
        **values,
    )


def test_what_was_saved_before_a_death_is_not_wasted() -> None:
    died = start(100, 1000, "died")
    assert wasted_seconds(died, [], [], later=False) == 900
    assert wasted_seconds(died, [200, 900], [], later=False) == 900, (
        "progress that no checkpoint holds is lost"
    )
    assert wasted_seconds(died, [200, 900], [600.0], later=False) == 400
    assert wasted_seconds(died, [200, 550], [600.0, 5000.0], later=True) == 450, (
        "the next start went on from the line at 550"
    )
    assert wasted_seconds(start(100, 1000, "stopped"), [990.0], [], later=False) == 0
    assert wasted_seconds(start(100, 1000, "stopped"), [], [], later=False) == 900
    assert wasted_seconds(start(100, None, "died"), [], [], later=False) == 0, (
        "nobody knows, so it is not counted but named"
    )


@settings(deadline=None, max_examples=60)
@given(
    times=st.lists(st.floats(0, 2000), max_size=8),
    outcome=st.sampled_from(["running", "results", "requeued", "stopped", "died"]),
    later=st.booleans(),
)
def test_no_start_wastes_more_than_it_took(times: list[float], outcome: str, later: bool) -> None:
    assert 0 <= wasted_seconds(start(100, 1000, outcome), times, times, later) <= 900


def test_sacct_is_read_by_job_with_its_steps() -> None:
    text = "7|01:00.500|\n7.batch|01:00.500|2097152K\n7.extern|00:00|0\n8_3|1-02:00:00|\n8_3.batch|1-02:00:00|3.5G\n9|00:00:00|\n"
    assert from_sacct(text) == {
        "7": {"cpu_seconds": 60.5, "memory_gb": 2.0, "memory_of": "job"},
        "8_3": {"cpu_seconds": 93600.0, "memory_gb": 3.5, "memory_of": "job"},
    }
    assert cpu_seconds("") is None


def test_accounting_stands_over_the_node_but_not_for_a_job_that_was_requeued() -> None:
    once, twice = (
        start(0, 100, "results", job_id="7", usage={"cpu_seconds": 1.0}),
        start(0, 100, "died", job_id="8"),
    )
    found = with_accounting(
        [once, twice, twice], {"7": {"cpu_seconds": 9.0}, "8": {"cpu_seconds": 9.0}}
    )
    assert [dict(one.usage) for one in found] == [{"cpu_seconds": 9.0}, {}, {}]


def test_the_advice_names_the_key_and_a_number_that_leaves_room() -> None:
    small = of_stage(
        "train",
        [
            start(
                0,
                600,
                "results",
                usage={
                    "cpu_seconds": 600.0,
                    "memory_gb": 10.0,
                    "memory_of": "job",
                    "gpu_percent": 12.0,
                    "gpu_memory_gb": 8.0,
                },
            )
        ],
    )
    assert [line.split()[0] for line in small.advice] == [
        "train.resources.cpus=2",
        "train.resources.memory_gb=13",
        "train:",
        "train.resources.minutes=15",
    ]
    tight = of_stage(
        "train",
        [
            start(
                0,
                7000,
                "results",
                usage={"cpu_seconds": 28_000.0, "memory_gb": 62.0, "memory_of": "largest process"},
            )
        ],
    )
    assert [line.split()[0] for line in tight.advice] == [
        "train.resources.memory_gb=78:",
        "train.resources.minutes=146:",
    ]
    part = of_stage(
        "train",
        [start(0, 6000, "results", usage={"memory_gb": 3.0, "memory_of": "largest process"})],
    )
    assert part.advice == (), "the largest process alone does not say that less memory is enough"


@pytest.mark.slurm
def test_slurm_says_when_a_job_will_start_and_what_it_used(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    burn = (
        "import sys, time; x = bytearray(200 << 20); end = time.time() + (40 if "
        "sys.argv[1] == '1' else 2)\n"
        "while time.time() < end: sum(range(10**6))"
    )
    (tmp_path / "burn.py").write_text(burn)
    (tmp_path / "trial.yaml").write_text(
        f'experiment: trial\nstages:\n  burn: {{command: "{sys.executable} burn.py '
        f'{{n}}", matrix: {{n: [1, 2]}}, '
        "resources: {cpus: 1, memory_gb: 1, minutes: 3}}\n"
    )
    (tmp_path / "alone.yaml").write_text(
        slurm.profile.read_text() + "sbatch: {exclusive: true, nodelist: a100-1}\n"
    )
    done = orch(
        tmp_path, "launch", "trial.yaml", "--cluster", str(tmp_path / "alone.yaml"), "--no-watch"
    )
    assert done.returncode == 0, done.stderr
    deadline, expected = time.monotonic() + 120, None
    while expected is None:
        assert time.monotonic() < deadline
        jobs = json.loads(orch(tmp_path, "status", "--json").stdout)["jobs"]
        expected = next(
            (
                one["expected_start"]
                for one in jobs
                if one["state"] == "PENDING" and one["expected_start"]
            ),
            None,
        )
    # The limit is three minutes; Slurm's plan may be made of whole minutes, and some time ago.
    assert time.time() - 60 < expected < time.time() + 600
    assert "starts in" in orch(tmp_path, "status").stdout
    while any(
        one["state"] != "COMPLETED"
        for one in json.loads(orch(tmp_path, "status", "--json").stdout)["jobs"]
    ):
        assert time.monotonic() < deadline + 200
        time.sleep(2)
    document = json.loads(orch(tmp_path, "costs", "--json").stdout)
    (first,) = (one for one in document["starts"] if one["job"] == "burn/n=1")
    assert first["usage"]["memory_of"] == "job", "sacct's MaxRSS is that of all its processes"
    assert 0.19 < first["usage"]["memory_gb"] < 0.9
    assert 0 < first["usage"]["cpu_seconds"] < 1.2 * first["seconds"]


def test_a_failed_attempt_is_wasted_and_the_node_measures_what_a_job_uses(tmp_path: Path) -> None:
    burn = (
        "import time; x = bytearray(200 << 20); end = time.process_time() + 1.0\nwhile "
        "time.process_time() < end: pass"
    )
    (tmp_path / "burn.py").write_text(burn)
    (tmp_path / "trial.yaml").write_text(
        "experiment: trial\nstages:\n"
        f"  burn: {{command: {sys.executable} burn.py, resources: {{cpus: 1, memory_gb: "
        f"1, minutes: 2}}}}\n"
        "  once:\n    command: \"sh -c 'true {arm}; test -e {arm} && exit 0; touch "
        "{arm}; sleep 1; exit 3'\"\n"
        "    matrix: {arm: [left, right]}\n    resources: {cpus: 1, memory_gb: 1, minutes: 2}\n"
    )
    assert orch(tmp_path, "launch", "trial.yaml", "--cluster", "local", "--watch").returncode == 1
    assert orch(tmp_path, "retry", "--job", "once/arm=left").returncode == 0
    orch(tmp_path, "status", "--watch")
    document = json.loads(orch(tmp_path, "costs", "--json").stdout)
    groups = {(one["stage"], one["axes"].get("arm")): one for one in document["groups"]}
    assert set(groups) == {("burn", None), ("once", "left"), ("once", "right")}
    left = groups["once", "left"]
    assert (left["starts"], groups["once", "right"]["starts"]) == (2, 1)
    assert 1 / 3600 <= left["cpu_hours_wasted"] < left["cpu_hours_used"]
    assert groups["once", "right"]["cpu_hours_wasted"] == pytest.approx(
        groups["once", "right"]["cpu_hours_used"], rel=1e-3
    )
    assert groups["burn", None]["cpu_hours_wasted"] == 0
    assert document["all"]["cpu_hours_asked"] == pytest.approx(3 * 2 / 60)
    (usage,) = (one["usage"] for one in document["starts"] if one["job"] == "burn")
    assert 0.9 < usage["cpu_seconds"] < 10
    assert usage["memory_gb"] > 0.19
    shown = orch(tmp_path, "costs").stdout
    assert "once, arm=left" in shown
    assert "CPU-minutes" in shown


def exit_record(restart: int, started: float, ended: float, **values: Any) -> dict[str, Any]:
    """What the node leaves at the end of a start."""
    record = {"restart": restart, "started": started, "ended": ended, "host": "n1", "job_id": "7"}
    outcome = {"results": True, "requeued": False, "exit_code": 0, "neighbours": 0}
    return record | outcome | values


def an_evaluation(out: Path, job: str, arm: Any) -> dict[str, Any]:
    """Make a job's output that of a finished evaluation; returns it as an input of the report."""
    write_scores(out, "last", {"math": share(5, 10)})
    facts = {"checkpoints": [{"name": "last", "step": 1, "epoch": 1}]}
    write_results(out, "evaluation", EvaluationConfig(models="m", data="d"), [], 1.0, facts)
    axes = {"arm": arm, "seed": 0}
    return {"job": job, "stage": "evaluate", "axes": axes, "folder": str(out)}


@needs("scipy")
def test_two_jobs_of_a_pack_on_one_gpu_for_an_hour_cost_one_gpu_hour(tmp_path: Path) -> None:
    """`orch costs` says so, and so does the report, which reads what the node has left."""
    (tmp_path / "trial.yaml").write_text(
        "experiment: trial\nstages:\n  train: {command: 'echo {arm}', matrix: {arm: [one, two]}, pack: 2, "
        "resources: {gpus: 1, cpus: 3, memory_gb: 4, minutes: 90}}\n"
    )
    plan = make_plan(tmp_path / "trial.yaml")
    run = create_run(plan, Profile(kind="local"), tmp_path / "runs")
    asked = vars(plan.jobs[0].resources)
    records, told, inputs = [], [], []
    for place, record in enumerate(run.load()):
        record = replace(record, attempt=1, token=f"a+{place}", state=JobState.COMPLETED)
        attempt, out = run.attempt_folder(record), run.out_folder(record)
        attempt.mkdir(parents=True)
        out.mkdir()
        left = exit_record(0, 1000.0, 4600.0, neighbours=1, resources=asked)
        (attempt / "exit.json").write_text(json.dumps(left))
        write_cost(str(run.job_folder(record)), str(out), asked)
        records.append(record)
        told.append(json.loads((out / "cost.json").read_text()))
        inputs.append(an_evaluation(out, record.name, run.by_name[record.name].axes["arm"]))
    cost = spent(run, records, 5000.0).sum
    assert cost.gpu_hours_used == 1.0
    assert [one["gpu_hours"] for one in told] == [0.5, 0.5]
    assert cost.cpu_hours_used == sum(one["cpu_hours"] for one in told) == 6.0
    config = {"inputs": inputs, "compare": {"baseline": "one", "treatment": "two"}}
    (tmp_path / "report").mkdir()
    report(Config.model_validate(config), tmp_path / "report", Stop())
    text = (tmp_path / "report" / "report.txt").read_text()
    assert "Spent on 2 jobs: 2.000 hours, 6.000 CPU-hours, 1.000 GPU-hours." in text
    assert told[0] == {
        "schema": 1,
        "seconds": 3600.0,
        "cpu_hours": 3.0,
        "gpu_hours": 0.5,
        "attempts": 1,
        "requeues": 0,
        "hosts": ["n1"],
        "cpus": 3,
        "gpus": 1,
        "memory_gb": 4,
        "unknown": [],
    }


@pytest.mark.parametrize("older", [False, True])
def test_a_member_of_a_pack_that_was_cancelled_before_it_started_has_cost_nothing(
    tmp_path: Path, older: bool
) -> None:
    stages = {"a": {"command": "true", "resources": {"cpus": 1, "minutes": 1}}}
    run = create_run(
        planned({"experiment": "x", "stages": stages}, tmp_path), PLANNED, tmp_path / "runs"
    )
    (job,) = run.plan.jobs
    token = f"{run.token(job, 1)}+0"
    record = replace(run.load()[0], attempt=1, token=token, state=JobState.CANCELLED)
    run.attempt_folder(record).mkdir(parents=True)
    assert end_member(run, record)
    if older:
        written = json.loads(run.exit_file(record).read_text())
        del written["restart"]
        run.exit_file(record).write_text(json.dumps(written))
    (start,) = read_starts(run, [record], time.time())
    assert (start.restart, start.seconds) == (0, 0.0)
    assert cost_so_far(str(run.job_folder(job)), None)["seconds"] == 0.0


def test_every_start_of_a_job_counts_in_its_cost_and_a_lost_one_is_named(tmp_path: Path) -> None:
    small = vars(Resources(gpus=1, cpus=2, memory_gb=4))
    large = vars(Resources(gpus=4, cpus=2, memory_gb=8, nodes=2))
    for number in (1, 2, 10):
        (tmp_path / f"attempt-{number}").mkdir()
    (tmp_path / "attempt-1" / "exit-0.json").write_text(json.dumps(exit_record(0, 0.0, 3600.0)))
    (tmp_path / "attempt-1" / "exit.json").write_text(json.dumps(exit_record(1, 0.0, 1800.0)))
    lost = {"restart": 0, "started": 0.0, "host": "n2", "job_id": "8"}
    (tmp_path / "attempt-2" / "claim.json").write_text(json.dumps(lost))
    (tmp_path / "attempt-2" / "exit.json").write_text('{"restart": 0, "star')
    newest = exit_record(0, 0.0, 7200.0, host="n3", resources=large)
    (tmp_path / "attempt-10" / "exit.json").write_text(json.dumps(newest))
    found = cost_so_far(str(tmp_path), small)
    assert found["gpu_hours"] == pytest.approx(1.5 + 2 * 8)
    assert found["cpu_hours"] == pytest.approx(1.5 * 2 + 2 * 4)
    assert (found["attempts"], found["requeues"], found["seconds"]) == (3, 1, 12600.0)
    assert found["hosts"] == ["n1", "n2", "n3"]
    assert (found["gpus"], found["cpus"], found["memory_gb"]) == (8, 4, 16)
    assert found["unknown"] == ["attempt-2 started on n2 and left no exit record"]
    unknown = cost_so_far(str(tmp_path / "nowhere"), None)
    assert (unknown["gpus"], unknown["gpu_hours"]) == (None, 0.0)


def test_the_node_leaves_the_cost_that_the_table_shows(tmp_path: Path) -> None:
    """Alone, in a pack, and by a second attempt."""
    stages = (
        f"  pair: {{command: \"sh -c 'sleep 0.{{n}}'\", matrix: {{n: [1, 2]}}, pack: 2, {SMALL}}}\n"
        "  twice:\n    command: \"sh -c 'cat $ORCH_OUT/../cost.json > first; "
        f"test -e again && exit 0; "
        f"touch again; exit 3'\"\n    {SMALL}\n"
    )
    launch(tmp_path, stages)
    first = json.loads((tmp_path / "first").read_text())
    assert first["unknown"] == [
        f"attempt-1 started on {first['hosts'][0]} and left no exit record"
    ], "while it runs"
    assert orch(tmp_path, "retry").returncode == 0
    orch(tmp_path, "status", "--watch")
    document = json.loads(orch(tmp_path, "costs", "--json").stdout)
    left = {
        path.parent.parent.name: json.loads(path.read_text())
        for path in the_run(tmp_path).glob("jobs/*/out/cost.json")
    }
    assert len(left) == 3
    assert sum(one["attempts"] for one in left.values()) == document["all"]["starts"] == 4
    assert sum(one["cpu_hours"] for one in left.values()) == pytest.approx(
        document["all"]["cpu_hours_used"]
    )
    assert not any(one["unknown"] for one in left.values())


def test_money_is_shown_before_and_after_where_the_price_is_known(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("kind: local\nprice_per_gpu_hour: 3600\ncurrency: EUR\n")
    stages = "  a: {command: sleep 1, resources: {gpus: 2, cpus: 1, memory_gb: 1, minutes: 6}}\n"
    file = describe(tmp_path, stages)
    priced = ("--cluster", str(profile))
    # 2 GPUs for a tenth of an hour each.
    plan = " ".join(orch(tmp_path, "plan", file, *priced).stdout.split())
    assert "0.2 GPU-hours asked for, at most 720.00 EUR" in plan
    assert "EUR" not in orch(tmp_path, "plan", file, ORCH_CLUSTER="local").stdout
    orch(tmp_path, "launch", file, *priced, "--watch", CUDA_VISIBLE_DEVICES="0,1")
    said = orch(tmp_path, "costs").stdout
    found = json.loads(orch(tmp_path, "costs", "--json").stdout)
    used = found["all"]["gpu_hours_used"] * 3600
    assert used >= 2
    assert "money: asked for 720.00 EUR" in said
    assert f"used {used:.2f} EUR, wasted 0.00 EUR, at 3,600.00 EUR for a GPU-hour" in said
    assert (found["price_per_gpu_hour"], found["currency"]) == (3600, "EUR")


@pytest.mark.parametrize("price", ["-1", "free", "true"])
def test_a_price_is_a_number(tmp_path: Path, price: str) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(f"kind: local\nprice_per_gpu_hour: {price}\n")
    with pytest.raises(CheckError, match="price_per_gpu_hour"):
        load_profile(str(profile))
