"""The door to Slurm, with programs that stand in the way of the real ones: what they are called
with, and what becomes of what they print."""

import os
import stat
import sys
from dataclasses import replace as changed
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.clusters.slurm import queries
from orchestrator.clusters.slurm.calls import call
from orchestrator.clusters.slurm.cluster import SlurmCluster
from orchestrator.clusters.slurm.parse import UNIT
from orchestrator.errors import CheckError, SubmitError
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import waiting
from tests.support.builders import job, run_of

QUEUE = """
import sys
wanted = next(word for word in sys.argv if word.startswith("--format=")).split("=", 1)[1]
def show(**cells):
    text = wanted
    for letter, cell in cells.items():
        text = text.replace("%" + letter, cell)
    sys.stdout.buffer.write(text.encode("latin-1") + b"\\n")
show(i="JOBID", j="NAME", T="STATE", r="REASON", S="START_TIME", N="NODELIST")
for job_id, name, state in ROWS:
    show(i=job_id, j=name, T=state, r="None", S="N/A", N="")
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are found first; the runs' calls are counted beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("ORCH_CACHE", str(tmp_path / "cache"))
    return folder


def program(folder: Path, name: str, text: str, interpreter: str = sys.executable) -> None:
    path = folder / name
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def queue(folder: Path, *rows: tuple[str, str, str]) -> None:
    program(folder, "squeue", f"ROWS = {list(rows)!r}\n{QUEUE}")


def notes(folder: Path, name: str) -> Path:
    """A program that only notes what it is called with; where."""
    seen = folder.parent / f"{name}.seen"
    program(folder, name, f'echo "$@" >> {seen}', "/bin/sh")
    return seen


def running(name: str = "train/0", job_id: str = "17") -> tuple[SlurmCluster, Record]:
    one = job(name)
    run = run_of(one)
    record = replace(
        waiting(one), token=run.token(one, 1), attempt=1, job_id=job_id, state=JobState.RUNNING
    )
    return SlurmCluster(run), record


def test_variables_of_the_user_do_not_reach_a_program_and_bytes_do_no_harm(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(stand_in, "squeue", 'printf \'caf\\351 %s %s\' "$SQUEUE_STATES$TZ" "$*"', "/bin/sh")
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    assert call(["squeue", "--me"]).stdout == "caf\ufffd UTC0 --me"
    assert call(["squeue", "--me"], "second").stdout == "caf\ufffd UTC0 --clusters=second --me"


def test_jobs_of_any_name_are_passed_over_and_ours_is_seen(stand_in: Path) -> None:
    cluster, record = running()
    queue(
        stand_in,
        ("9", "foo\nbar", "RUNNING"),
        ("10", "caf\xe9", "PENDING"),
        ("17", f"e.train/0.{record.token}", "RUNNING"),
    )
    found = cluster.ask_active()
    assert found is not None
    assert [(one.job_id, one.state) for one in found.values()] == [("17", JobState.RUNNING)]
    assert (cluster.queued, cluster.trouble) == (3, "")


def test_an_answer_that_says_nothing_is_no_empty_queue(stand_in: Path) -> None:
    cluster, _ = running()
    program(stand_in, "squeue", "echo 'Maintenance on Monday'", "/bin/sh")
    assert cluster.ask_active() is None
    assert "nothing in its answer can be read: 'Maintenance on Monday'" in cluster.trouble
    queue(stand_in)
    assert cluster.ask_active() == {}


def test_an_id_that_has_another_name_by_now_is_not_cancelled_held_or_signalled(
    stand_in: Path,
) -> None:
    cancelled, held = notes(stand_in, "scancel"), notes(stand_in, "scontrol")
    cluster, record = running()
    queue(stand_in, ("17", "somebody.elses", "RUNNING"))
    cluster.ask_active()
    assert cluster.cancel([record]) == {
        record.name: "has left the queue: there is nothing to cancel"
    }
    cluster.nudge(record)
    assert cluster.hold([record]) == set()
    assert not cancelled.exists()
    assert not held.exists()
    # Its own job was given another id; that is the one that is meant.
    queue(stand_in, ("17", "somebody.elses", "RUNNING"), ("18", f"e.x.{record.token}", "RUNNING"))
    cluster.ask_active()
    # The stand-in for scancel ends nothing, and the queue shows it as before.
    assert cluster.cancel([record]) == {
        record.name: "is still RUNNING as 18 after the cancel: try again"
    }
    cluster.nudge(record)
    assert cluster.hold([record]) == {record.name}
    assert cancelled.read_text().splitlines() == ["18", "--batch --signal=USR1 18"]
    assert held.read_text().splitlines() == ["uhold 18"]


def test_without_a_look_at_the_queue_nothing_is_cancelled(stand_in: Path) -> None:
    cancelled = notes(stand_in, "scancel")
    cluster, record = running()
    program(stand_in, "squeue", "echo slurm_load_jobs error >&2; exit 1", "/bin/sh")
    cluster.ask_active()
    with pytest.raises(SubmitError, match="squeue does not say which jobs there are"):
        cluster.cancel([record])
    assert not cancelled.exists()


def test_a_cluster_that_the_profile_names_reaches_every_call(stand_in: Path) -> None:
    seen = {
        name: notes(stand_in, name) for name in ("squeue", "sacct", "scancel", "scontrol", "sinfo")
    }
    cluster, record = running()
    run = changed(cluster.run, profile=changed(cluster.run.profile, cluster="second"))
    cluster = SlurmCluster(run)
    cluster.ask_active()
    cluster.ask_final(0.0)
    cluster.rows = UNIT.join(["17", f"e.train/0.{record.token}", "RUNNING", "None", "N/A", ""])
    cluster.cancel([record])
    cluster.hold([record])
    cluster.largest(run.plan.jobs[0])
    for name, path in seen.items():
        lines = path.read_text().splitlines()
        assert lines, name
        assert all(line.startswith("--clusters=second ") for line in lines), name


def test_accounts_of_another_cluster_of_the_database_do_not_count(stand_in: Path) -> None:
    program(stand_in, "sacctmgr", "printf 'here|mine|normal\\nthere|other|normal\\n'", "/bin/sh")
    program(stand_in, "scontrol", "echo Welcome; echo 'ClusterName             = Here'", "/bin/sh")
    assert queries.associations("account", "qos").text == "mine|normal"
    assert queries.associations("account", "qos", cluster="there").text == "other|normal"


def test_a_program_that_cannot_be_started_is_named_with_the_reason(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_in / "sinfo").write_text("no program")
    monkeypatch.setenv("PATH", str(stand_in))
    with pytest.raises(CheckError, match=r"sinfo cannot be started \(Permission denied\)"):
        queries.nodes()
