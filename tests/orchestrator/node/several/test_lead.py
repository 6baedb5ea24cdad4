"""Whose exit code counts when srun has ended, from what the nodes have left on disk."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.node.several.lead import Nodes
from orchestrator.node.slurm.environment import STEP

GONE = "RuntimeError: Connection closed by peer [10.0.0.2]:41"


def nodes(folder: Path, count: int = 2) -> Nodes:
    return Nodes(str(folder), "7-0", {"nodes": count, "cpus": 3})


def left(folder: Path, rank: int, code: int | None, log: str = "", **more: Any) -> None:
    """What a node leaves; the log of node 0 is the attempt's."""
    record = {
        "rank": rank,
        "host": f"n{rank}",
        "ended": None if code is None else 10.0 + rank / 10,
        "exit_code": code,
        "signals": {},
        "oom_kills": rank,
        "usage": {"cpu_seconds": 2.0, "memory_gb": float(rank), "memory_of": "job"},
    }
    (folder / "nodes" / "7-0" / f"{rank}.json").write_text(json.dumps({**record, **more}))
    path = folder / "nodes" / "7-0" / f"{rank}.log" if rank else folder / "log.txt"
    with path.open("a") as file:
        file.write(log)


def test_the_first_dead_gives_exit_code_host_reason_and_the_end_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = nodes(tmp_path)
    # Both within the second that clocks may differ by.
    left(tmp_path, 0, 1, f"Traceback\n{GONE}\nsrun: error: n1: task 1: Exited with exit code 43\n")
    left(tmp_path, 1, 43, "ValueError: bad rate\n")
    assert run.outcome(143) == 43
    facts = run.facts()
    assert (facts["host"], facts["oom_kills"]) == ("n1", 1)
    assert facts["reason"] == "node 1 (n1) ended first, exit code 43: ValueError: bad rate"
    assert facts["died_first"] == {"node": 1, "log": "nodes/7-0/1.log"}
    assert facts["usage"] == {"cpu_seconds": 4.0, "memory_gb": 1.0, "memory_of": "job"}
    assert capsys.readouterr().out.splitlines()[1:] == ["ValueError: bad rate"]


def test_node_0_that_died_silently_is_not_given_the_words_of_srun(tmp_path: Path) -> None:
    run = nodes(tmp_path)
    left(tmp_path, 0, 7, "step 3\nsrun: error: n1: task 1: Terminated\n")
    left(tmp_path, 1, -15, signals={"SIGTERM": 10.0})
    assert run.outcome(143) == 7
    assert run.facts()["reason"] == "node 0 (n0) ended first, exit code 7: step 3"


def test_a_cancelled_job_has_no_first_death_and_a_node_killed_with_its_record_has(
    tmp_path: Path,
) -> None:
    run = nodes(tmp_path)
    told: dict[str, Any] = {"signals": {"SIGTERM": 10.0}}
    lines = "srun: error: n1: task 1: Killed\nsrun: error: n0: task 0: Terminated\n"
    left(tmp_path, 0, -15, lines, **told)
    left(tmp_path, 1, None, **told)
    assert run.outcome(143) == 143
    assert "died_first" not in run.facts()
    # The kernel killed everything of node 1 at once, and then Slurm told node 0 to end.
    left(tmp_path, 1, None)
    assert run.outcome(143) == -9
    assert run.facts()["host"] == "n1"


def test_nodes_that_saved_ask_for_another_start_also_if_the_others_missed_them(
    tmp_path: Path,
) -> None:
    run = nodes(tmp_path)
    left(tmp_path, 0, 75)
    left(tmp_path, 1, 75)
    assert run.outcome(0) == 75
    left(tmp_path, 1, 1, f"{GONE}\n")
    assert run.outcome(1) == 75
    left(tmp_path, 1, 1, "ValueError: bad rate\n")
    (tmp_path / "nodes/7-0/1.log").write_text("ValueError: bad rate\n")
    assert run.outcome(1) == 1


def test_an_srun_that_starts_nothing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = nodes(tmp_path)
    (tmp_path / "log.txt").write_text("srun: error: Unable to create step for job 7: busy\n")
    assert run.outcome(1) == 1
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "orch-error: srun could not start the command on 2 nodes: srun: error: Unable to create "
        "step for job 7: busy"
    ]


def test_a_user_cannot_change_what_srun_does_and_tmpdir_is_the_sites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setenv("TMPDIR", "/scratch")
    run = nodes(tmp_path, 3)
    given = {**dict.fromkeys(STEP, "1"), "A": "b", "TMPDIR": "/tmp/orch-1234"}
    assert run.environment(given) == {"A": "b", "TMPDIR": "/scratch"}
    command = run.command(["python", "x.py", "--lr", "1e-4"])
    assert command[-4:] == ["python", "x.py", "--lr", "1e-4"]
    assert {"--nodes=3", "--ntasks=3", "--ntasks-per-node=1", "--cpus-per-task=3"} < set(command)
