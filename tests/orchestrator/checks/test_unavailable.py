"""A job that only waits for its nodes is told from one that fits nowhere."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.spec import Resources
from orchestrator.checks.unavailable import READY, fits, parse_nodes
from orchestrator.description.profile import Profile

TEXT = """Welcome to the cluster
gpu|n1|down*|64|257000|gpu:a100:2(S:0-1),gpu:3090:4(S:0)|big,ib
gpu|n2|drained|64|257000|(null)|(null)
gpu|n3|idle~|16+|1000|gpu:4|
"""


def test_nodes_are_read_and_what_is_none_is_passed_over() -> None:
    first, second = parse_nodes(TEXT)
    assert (first.name, first.state, first.gpus) == ("n1", "down*", {"a100": 2, "3090": 4})
    assert first.features == {"big", "ib"}
    assert (second.gpus, second.cpus, second.memory_mb) == ({}, 64, 257000)


@given(
    cpus=st.integers(1, 130), memory=st.integers(1, 500), gpus=st.integers(0, 8), big=st.booleans()
)
def test_a_job_fits_where_each_of_its_requests_does(
    cpus: int, memory: int, gpus: int, big: bool
) -> None:
    first, second = parse_nodes(TEXT)
    constraint: dict[str, str | int | bool] = {"constraint": "big"} if big else {}
    profile = Profile(kind="slurm", gpu_type="3090", sbatch=constraint)
    job = Resources(cpus=cpus, memory_gb=memory, gpus=gpus)
    small = cpus <= 64 and memory * 1024 <= 257000
    assert fits(first, job, profile) == (small and gpus <= 4)
    assert fits(second, job, profile) == (small and gpus == 0 and not big)


def test_states_in_which_a_node_takes_jobs_by_itself() -> None:
    ready = ["idle", "mixed", "allocated", "idle~", "mixed#", "completing", "allocated+", "planned"]
    gone = [
        "down",
        "down*",
        "drained",
        "draining",
        "drained*",
        "fail",
        "maint",
        "reserved",
        "inval",
    ]
    assert [state for state in (*ready, *gone) if READY.fullmatch(state)] == ready
