"""A command on two nodes of a real Slurm: torch's own ways to find each other, who died first,
warnings and requeues."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import describe, jobs, orch, over, states, the_run, until
from tests.support.private_slurm import PrivateSlurm

TWO = "resources: {nodes: 2, cpus: 1, memory_gb: 1, minutes: 5}"
LONG = 240.0
"""Longest wait for anything, in seconds; the machine may be busy."""
ALL_REDUCE = """
import os
import torch
import torch.distributed as dist
import orch

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
total = torch.tensor([rank + 1.0])
dist.all_reduce(total)
orch.result("sum", total, n=dist.get_world_size())
orch.result("local_rank", int(os.environ["LOCAL_RANK"]))
dist.destroy_process_group()
"""
WARNED = """
import os
import pathlib
import time
import orch

rank = os.environ["RANK"]
if orch.latest_checkpoint() is None:
    orch.stop_requested()
    pathlib.Path(f"ready{rank}").touch()
    while not orch.stop_requested():
        time.sleep(0.1)
    pathlib.Path(f"port{rank}").write_text(os.environ["MASTER_PORT"])
    (orch.out() / "state").write_text("saved")
    orch.checkpoint("one", orch.out() / "state", 1)
    orch.requeue()
pathlib.Path(f"again{rank}").write_text(os.environ["MASTER_PORT"])
"""
DIES = """
import os
import signal
import socket
import sys
import time

# As gloo: both hold a connection, and the one that stays says what it lost.
rank, port = int(os.environ["RANK"]), int(os.environ["MASTER_PORT"])
if rank == 0:
    server = socket.create_server(("", port))
    connection, _ = server.accept()
    connection.recv(1)
    raise RuntimeError("Connection closed by peer [127.0.0.1]:1234")
while True:
    try:
        connection = socket.create_connection((os.environ["MASTER_ADDR"], port))
        break
    except OSError:
        time.sleep(0.1)
raise ValueError("learning rate must be positive")
"""


def launched(folder: Path, slurm: PrivateSlurm, stages: str) -> None:
    """Launch these stages on the private Slurm."""
    file = describe(folder, stages)
    result = orch(folder, "launch", file, "--cluster", slurm.profile)
    assert result.returncode == 0, result.stderr


def log_of(folder: Path) -> str:
    """The log of the one job."""
    return (the_run(folder) / "jobs" / "a" / "attempt-1" / "log.txt").read_text()


@pytest.mark.parametrize(
    "launcher",
    [
        "",
        pytest.param("-m torch.distributed.run", marks=pytest.mark.long),
        "-m torch.distributed.run --rdzv-backend=c10d",
    ],
)
def test_an_all_reduce_over_two_nodes(slurm: PrivateSlurm, tmp_path: Path, launcher: str) -> None:
    (tmp_path / "reduce.py").write_text(ALL_REDUCE)
    launched(tmp_path, slurm, f"  a: {{command: {sys.executable} {launcher} reduce.py, {TWO}}}\n")
    found = until(tmp_path, over, LONG)
    assert states(found) == {"a": "COMPLETED"}, log_of(tmp_path)
    (path,) = the_run(tmp_path).glob("jobs/a/out/results.json")
    rows: dict[str, Any] = {row["metric"]: row for row in json.loads(path.read_text())["rows"]}
    assert (rows["sum"]["value"], rows["sum"]["n"]) == (3.0, 2)
    nodes = [
        json.loads(file.read_text())
        for file in the_run(tmp_path).glob("jobs/a/attempt-1/nodes/*/[01].json")
    ]
    assert {(node["rank"], node["host"]) for node in nodes} == {(0, "a100-1"), (1, "a100-2")}


def test_the_node_that_died_first_is_named_and_not_the_one_that_lost_its_connection(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "dies.py").write_text(DIES)
    launched(tmp_path, slurm, f"  a: {{command: {sys.executable} dies.py, {TWO}}}\n")
    found = until(tmp_path, over, LONG)
    assert states(found) == {"a": "FAILED"}
    reason = found["a"]["reason"]
    assert "node 1 ended first" in reason, (reason, log_of(tmp_path))
    assert "ValueError: learning rate must be positive" in reason
    log = orch(tmp_path, "logs", "a").stdout
    assert "orch: node 1 (a100-2) ended first, exit code 1" in log
    exit_record = json.loads((the_run(tmp_path) / "jobs/a/attempt-1/exit.json").read_text())
    assert (exit_record["exit_code"], exit_record["host"]) == (1, "a100-2")


def test_a_warning_reaches_every_node_once_and_the_next_start_meets_elsewhere(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "warned.py").write_text(WARNED)
    launched(tmp_path, slurm, f"  a: {{command: {sys.executable} warned.py, {TWO}}}\n")
    until(tmp_path, lambda _: all((tmp_path / f"ready{n}").exists() for n in (0, 1)), LONG)
    number = jobs(tmp_path)["a"]["id"]
    subprocess.run(["scancel", "--batch", "--signal=USR2", number], check=True)
    until(tmp_path, lambda now: now["a"]["restarts"] == 1, LONG)
    until(tmp_path, lambda now: "BeginTime" in now["a"]["reason"], LONG)
    slurm.start_again_now(number)
    found = until(tmp_path, over, LONG)
    assert states(found) == {"a": "COMPLETED"}, log_of(tmp_path)
    starts = sorted(path.name for path in the_run(tmp_path).glob("jobs/a/attempt-1/nodes/*"))
    assert starts == [f"{number}-0", f"{number}-1"]
    for rank in (0, 1):
        record = json.loads(
            (the_run(tmp_path) / f"jobs/a/attempt-1/nodes/{number}-0/{rank}.json").read_text()
        )
        assert (list(record["signals"]), record["exit_code"]) == (["SIGUSR2"], 75)
        assert (tmp_path / f"again{rank}").read_text() != ""
