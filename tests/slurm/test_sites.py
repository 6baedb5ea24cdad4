"""Sites that are otherwise: GPU types, slices and shards, licences, reservations, whole nodes,
preemption by QOS, nodes that are gone. Each works, or is refused before the launch with the reason.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import SMALL, describe, jobs, orch, over, states, the_run, until
from tests.support.private_slurm import PrivateSlurm

pytestmark = pytest.mark.long  # minutes, most of them waiting for Slurm

CHANGES = {
    "GresTypes": "gpu,shard,bandwidth",
    "PreemptType": "preempt/qos",
    "PreemptMode": "REQUEUE",
    "Licenses": "solver:2",
}
MORE = """
NodeName=odd-1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=4000 \
Features=big Gres=gpu:3090:2,gpu:1g.5gb:4,shard:12,bandwidth:lustre:no_consume:4G State=UNKNOWN
NodeName=gone-[1-2] NodeHostname=nowhere NodeAddr=127.0.0.1 Port=1 CPUs=16 RealMemory=8000 \
Gres=gpu:h100:8 State=DOWN Reason=away
PartitionName=odd Nodes=odd-1 MaxTime=1-00:00:00 State=UP
PartitionName=gone Nodes=gone-[1-2] MaxTime=1-00:00:00 State=UP
"""
GRES = """
NodeName=a100-[1-2] Name=gpu Type=a100 File=/dev/tty[0-3]
NodeName=odd-1 Name=gpu Type=3090 File=/dev/tty[4-5]
NodeName=odd-1 Name=gpu Type=1g.5gb File=/dev/tty[6-9]
NodeName=odd-1 Name=shard Count=12
NodeName=odd-1 Name=bandwidth Type=lustre Count=4G Flags=CountOnly
NodeName=gone-[1-2] Name=gpu Type=h100 File=/dev/tty[10-17]
"""


@pytest.fixture(scope="module")
def odd(slurm: PrivateSlurm) -> Iterator[PrivateSlurm]:
    with slurm.site(CHANGES, MORE, GRES, ["odd-1"]):
        yield slurm


def profile(folder: Path, partition: str, more: str = "", account: str = "llmalignment") -> Path:
    """A profile for a partition of that site."""
    path = folder / "site.yaml"
    path.write_text(f"kind: slurm\npartition: {partition}\naccount: {account}\n{more}")
    return path


def launched(folder: Path, stages: str, *profile_lines: str) -> subprocess.CompletedProcess[str]:
    """Launch on the partition `odd`."""
    more = "".join(f"{line}\n" for line in profile_lines)
    return orch(
        folder, "launch", describe(folder, stages), "--cluster", profile(folder, "odd", more)
    )


@pytest.mark.parametrize(("kind", "count"), [("3090", 2), ("1g.5gb", 3)])
def test_a_gpu_type_may_begin_with_a_digit_and_may_be_a_slice(
    odd: PrivateSlurm, tmp_path: Path, kind: str, count: int
) -> None:
    assert odd.profile.exists()
    stage = (
        "  a: {command: sh -c 'echo $CUDA_VISIBLE_DEVICES > seen', "
        f"resources: {{cpus: 1, memory_gb: 1, gpus: {count}, minutes: 5}}}}\n"
    )
    done = launched(tmp_path, stage, f"gpu_type: '{kind}'")
    assert done.returncode == 0, done.stderr
    assert states(until(tmp_path, over)) == {"a": "COMPLETED"}
    assert len((tmp_path / "seen").read_text().split(",")) == count


def test_a_profile_of_that_site_names_its_types_and_shards_are_no_type(
    odd: PrivateSlurm, tmp_path: Path
) -> None:
    assert odd.profile.exists()
    said = orch(
        tmp_path,
        *("profile", "init", "--partition", "odd", "--account", "LLMalignment"),
        HOME=str(tmp_path),
    )
    assert "1g.5gb; 3090" in said.stderr, said.stderr
    stage = "  a: {command: 'true', resources: {cpus: 1, memory_gb: 1, gpus: 1, minutes: 5}}\n"
    refused = launched(tmp_path, stage, "gpu_type: shard")
    assert refused.returncode == 2
    assert "has no GPU of type 'shard'" in refused.stderr
    own = "  a: {command: 'true', sbatch: {gres: 'shard:2'}, " + SMALL + "}\n"
    refused = launched(tmp_path, own)
    assert refused.returncode == 2
    assert "the profile's `sbatch`" in refused.stderr


def test_shards_and_what_is_not_consumed_are_asked_for_by_the_profile(
    odd: PrivateSlurm, tmp_path: Path
) -> None:
    assert odd.profile.exists()
    stage = "  a: {command: sh -c 'env > seen', " + SMALL + "}\n"
    done = launched(tmp_path, stage, "sbatch: {gres: 'shard:2,bandwidth:lustre:1G'}")
    assert done.returncode == 0, done.stderr
    assert states(until(tmp_path, over)) == {"a": "COMPLETED"}
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    assert seen["SLURM_SHARDS_ON_NODE"] == "2"


def test_licences_reservations_and_a_constraint_work_or_are_refused(
    odd: PrivateSlurm, tmp_path: Path
) -> None:
    assert odd.profile.exists()
    reserve = ("scontrol", "create", "reservation", "reservationname=course", "users=root")
    subprocess.run([*reserve, "starttime=now", "duration=60", "nodes=odd-1"], check=True)
    try:
        has = "sbatch: {licenses: 'solver:1', reservation: course}, constraint: big"
        done = launched(tmp_path, f"  a: {{command: 'true', {has}, {SMALL}}}\n")
        assert done.returncode == 0, done.stderr
        assert states(until(tmp_path, over)) == {"a": "COMPLETED"}
    finally:
        subprocess.run(["scontrol", "delete", "reservationname=course"], check=True)
    for option, why in (
        ("sbatch: {licenses: 'solver:3'}", "Invalid license specification"),
        ("sbatch: {licenses: nosuch}", "Invalid license specification"),
        ("sbatch: {reservation: course}", "Requested reservation is invalid"),
        ("constraint: small", "Invalid feature specification"),
    ):
        refused = launched(tmp_path, f"  b: {{command: 'true', {option}, {SMALL}}}\n")
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr


def test_a_job_that_would_run_into_a_maintenance_waits_and_says_so(
    odd: PrivateSlurm, tmp_path: Path
) -> None:
    assert odd.profile.exists()
    window = ("scontrol", "create", "reservation", "reservationname=service", "users=root")
    flags = ("flags=maint,ignore_jobs", "starttime=now+3minutes", "duration=60", "nodes=odd-1")
    subprocess.run([*window, *flags], check=True)
    try:
        long = "resources: {cpus: 1, memory_gb: 1, minutes: 30}"
        short = "resources: {cpus: 1, memory_gb: 1, minutes: 1}"
        stages = f"  a: {{command: 'true', {long}}}\n  b: {{command: sleep 0, {short}}}\n"
        done = launched(tmp_path, stages)
        assert done.returncode == 0, done.stderr
        found = until(
            tmp_path,
            lambda now: now["b"]["state"] == "COMPLETED" and "ReqNode" in now["a"]["reason"],
        )
        assert found["a"]["state"] == "PENDING"
    finally:
        orch(tmp_path, "cancel")
        subprocess.run(["scontrol", "delete", "reservationname=service"], check=True)


def test_nodes_that_are_all_down_are_waited_for_and_a_job_that_fits_nowhere_is_refused(
    odd: PrivateSlurm, tmp_path: Path
) -> None:
    assert odd.profile.exists()
    stage = "  a: {{command: 'true', resources: {{cpus: {}, memory_gb: 1, gpus: 8, minutes: 5}}}}\n"
    site = profile(tmp_path, "gone", "gpu_type: h100\n")
    waits = orch(tmp_path, "launch", describe(tmp_path, stage.format(16)), "--cluster", site)
    assert waits.returncode == 0, waits.stderr
    assert re.search(r"it will wait for gone-1 \(down\*?\), gone-2", waits.stderr), waits.stderr
    assert jobs(tmp_path)["a"]["state"] == "PENDING"
    assert orch(tmp_path, "cancel").returncode == 0
    refused = orch(tmp_path, "launch", describe(tmp_path, stage.format(17)), "--cluster", site)
    assert refused.returncode == 2
    assert "Slurm would refuse" in refused.stderr


def test_a_whole_node_is_had_with_its_memory_and_said_to_be_charged(
    odd: PrivateSlurm, tmp_path: Path
) -> None:
    assert odd.profile.exists()
    show = "echo $SLURM_GPUS_ON_NODE > seen; scontrol --oneliner show job $SLURM_JOB_ID > shown"
    stage = (
        f"  a: {{command: sh -c '{show}', "
        "resources: {cpus: 1, memory_gb: 1, gpus: 1, minutes: 5}}\n"
    )
    done = launched(tmp_path, stage, "gpu_type: '3090'", "sbatch: {exclusive: true, mem: 0}")
    assert done.returncode == 0, done.stderr
    assert "the whole node is charged" in done.stderr
    assert states(until(tmp_path, over)) == {"a": "COMPLETED"}
    assert int((tmp_path / "seen").read_text()) > 1
    # AllocTRES of newer ones, TRES of older ones.
    taken = re.findall(r"TRES=\S*\bmem=(\d+)M", (tmp_path / "shown").read_text())
    assert taken, (tmp_path / "shown").read_text()
    assert {int(megabytes) for megabytes in taken} == {4000}


def test_memory_0_of_a_stage_is_refused(odd: PrivateSlurm, tmp_path: Path) -> None:
    assert odd.profile.exists()
    stage = "  a: {command: 'true', resources: {cpus: 1, memory_gb: 0, minutes: 5}}\n"
    refused = launched(tmp_path, stage)
    assert refused.returncode == 2
    assert "memory_gb" in refused.stderr
    own = "  a: {command: 'true', sbatch: {mem: 0}, " + SMALL + "}\n"
    assert "say it by resources.memory_gb" in launched(tmp_path, own).stderr


def test_an_account_in_capitals_and_a_list_of_partitions(odd: PrivateSlurm, tmp_path: Path) -> None:
    assert odd.profile.exists()
    stage = f"  a: {{command: 'true', {SMALL}}}\n"
    site = profile(tmp_path, "odd,gone", account="LLMAlignment")
    done = orch(tmp_path, "launch", describe(tmp_path, stage), "--cluster", site)
    assert done.returncode == 0, done.stderr
    assert states(until(tmp_path, over)) == {"a": "COMPLETED"}


def test_what_a_qos_preempts_is_requeued_and_goes_on(odd: PrivateSlurm, tmp_path: Path) -> None:
    add = ("sacctmgr", "-i", "add", "qos")
    subprocess.run([*add, "scavenger"], check=True)
    subprocess.run([*add, "urgent", "preempt=scavenger", "priority=1000"], check=True)
    user = ("sacctmgr", "-i", "modify", "user", "root", "where", "account=llmalignment", "set")
    subprocess.run([*user, "qos=normal,scavenger,urgent"], check=True)
    ours = "resources: {cpus: 8, memory_gb: 1, minutes: 30}"
    command = "sh -c 'echo start >> began; test -e again || exec sleep 300'"
    try:
        done = launched(tmp_path, f'  a: {{command: "{command}", {ours}}}\n', "qos: scavenger")
        assert done.returncode == 0, done.stderr
        number = until(tmp_path, lambda _: (tmp_path / "began").exists())["a"]["id"]
        (tmp_path / "again").touch()
        urgent = ["sbatch", "--parsable", "--account=llmalignment", "--qos=urgent", "--mem=10M"]
        urgent += ["--partition=odd", "--cpus-per-task=8", "--output=/dev/null", "--wrap=sleep 1"]
        subprocess.run(urgent, check=True, capture_output=True)
        found = until(tmp_path, lambda now: now["a"]["restarts"] == 1)
        assert (found["a"]["state"], found["a"]["id"]) == ("PENDING", number)
        odd.start_again_now(number)
        found = until(tmp_path, over)
        assert (found["a"]["state"], found["a"]["attempt"]) == ("COMPLETED", 1)
        left = json.loads((the_run(tmp_path) / "jobs/a/attempt-1/exit-0.json").read_text())
        assert left["signals"] == ["SIGTERM"]
    finally:
        orch(tmp_path, "cancel")
