"""What is checked of Slurm's answers, and what becomes of a user's own variables."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.checks.new_profile import Wanted, profile_of
from orchestrator.checks.site import Site, parse_associations, parse_nodes, parse_qos_limits
from orchestrator.checks.slurm import Shape, account, partition, unheard
from orchestrator.clusters.slurm.parse import parse_partitions
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError
from orchestrator.node.slurm.environment import PREFIXES
from tests.support.builders import job

PARTITIONS = (
    "PartitionName=gpu AllowAccounts=ALL MaxTime=1-00:00:00 State=UP Hidden=NO\n"
    "PartitionName=low AllowAccounts=BugLab MaxTime=2-00:00:00 State=UP Hidden=NO\n"
    "PartitionName=secret AllowAccounts=ALL MaxTime=UNLIMITED State=UP Hidden=YES\n"
)
NODES = "CLUSTER: x\ngpu|64|515000|gpu:3090:4(S:0-1)\nlow|96+|1031000+|gpu:3090:2\nsecret|8|9000|(null)\n"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(tuple(one for prefixes in PREFIXES.values() for one in prefixes)):
            monkeypatch.delenv(name)


def site(associations: str) -> Site:
    return Site(
        parse_nodes(NODES), parse_partitions(PARTITIONS), parse_associations(associations), {}, {}
    )


def test_variables_that_are_set_are_named_with_what_becomes_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    profile = Profile(name="p", kind="slurm", account="mine", partition="gpu")
    assert list(unheard(profile)) == []
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    monkeypatch.setenv("SBATCH_PARTITION", "low")
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    monkeypatch.setenv("SLURM_CLUSTERS", "second")
    # A job's own description, where orch is called inside of one.
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    counts, left, cluster = unheard(profile)
    assert counts.startswith("SBATCH_ACCOUNT of your environment: ")
    assert left.startswith("SBATCH_PARTITION, SLURM_CLUSTERS, SQUEUE_STATES of your environment: ")
    assert cluster == "jobs go to this machine's cluster; another one is `cluster:` in 'p'"
    assert len(list(unheard(replace(profile, cluster="second")))) == 2


def test_where_the_profile_is_silent_the_users_account_partition_and_qos_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in [("ACCOUNT", "Mine"), ("PARTITION", "low"), ("QOS", "long")]:
        monkeypatch.setenv(f"SBATCH_{name}", value)
    file = tmp_path / "c.yaml"
    file.write_text("kind: slurm\n")
    silent = load_profile(str(file))
    assert (silent.account, silent.partition, silent.qos) == ("Mine", "low", "long")
    file.write_text("kind: slurm\naccount: own\npartition: gpu\nqos: short\n")
    says = load_profile(str(file))
    assert (says.account, says.partition, says.qos) == ("own", "gpu", "short")
    file.write_text("kind: slurm\npartitions: {gpu: gpu}\n")
    assert load_profile(str(file)).partition is None
    file.write_text("kind: local\n")
    assert load_profile(str(file)).account is None


def test_accounts_and_qos_are_compared_without_case() -> None:
    known = {"buglab": {"normal", "long"}}
    assert account(Profile(kind="slurm", account="BugLab", qos="Long"), known, "here") == []
    (line,) = account(Profile(kind="slurm", account="BugLabs"), known, "here")
    assert "has no account 'BugLabs'; did you mean 'buglab'?" in line


def test_a_list_of_partitions_takes_what_any_of_them_takes() -> None:
    one = job(command=("echo",), minutes=2000)
    shape = Shape(
        resources=one.resources, profile=Profile(kind="slurm", partition="gpu, low"), jobs=[one]
    )
    known = parse_partitions(PARTITIONS)
    assert partition(shape, known) == []
    alone = replace(shape, profile=Profile(name="p", kind="slurm", partition="gpu,nope"))
    assert [line.split(": ")[0] for line in partition(alone, known)] == [
        "profile 'p'",
        "job 'train/0'",
    ]


def test_a_profile_is_made_of_a_list_of_partitions_and_an_account_in_any_case() -> None:
    made = profile_of(
        site("buglab||normal|\nother||normal|\n"), Wanted(partition="gpu,low", account="BugLab")
    )
    assert (made.partition, made.account, made.gpu_type) == ("gpu,low", "buglab", "3090")
    assert (made.gpus_per_node, made.cpus_per_node, made.max_minutes) == (4, 96, 2880)


def test_choices_are_told_by_name_and_hidden_partitions_only_to_who_names_them() -> None:
    with pytest.raises(CheckError, match=r"2 partitions: choose one with --partition: gpu .*; low"):
        profile_of(site("second||normal|\nbuglab||normal|\n"), Wanted())
    with pytest.raises(CheckError, match="2 accounts: choose one with --account: buglab; second"):
        profile_of(site("second||normal|\nbuglab||normal|\n"), Wanted(partition="gpu"))
    assert profile_of(site("buglab||normal|\n"), Wanted(partition="secret")).partition == "secret"


def test_lines_of_other_programs_are_passed_over_and_quoted_where_nothing_else_comes() -> None:
    assert parse_qos_limits("Welcome\nlong|20|10:00:00\n") == ({"long": 20}, {"long": 600})
    for read in (parse_nodes, parse_associations, parse_qos_limits):
        with pytest.raises(ValueError, match="nothing in its answer can be read: 'Welcome'"):
            read("Welcome\nto x\n")
