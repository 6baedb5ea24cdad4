"""GPUs in what Slurm says of a node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clusters.slurm.gpus import gpus_in


@pytest.mark.parametrize(
    ("gres", "found"),
    [
        ("gpu:3090:4(S:0-1)", [("3090", 4)]),
        ("gpu:a100:4(S:0,1),gpu:v100:2(S:0-1)", [("a100", 4), ("v100", 2)]),
        ("gpu:4", [(None, 4)]),
        ("gpu:2080ti:8", [("2080ti", 8)]),
        ("gpu:1g.5gb:7(S:0)", [("1g.5gb", 7)]),
        ("gpu:a100:no_consume:4", [("a100", 4)]),
        ("shard:16,gpu:a100:2,lustre:1", [("a100", 2)]),
        ("(null)", []),
        ("", []),
    ],
)
def test_the_count_is_the_last_number(gres: str, found: list[tuple[str | None, int]]) -> None:
    assert list(gpus_in(gres)) == found


@given(
    kind=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,9}", fullmatch=True),
    count=st.integers(0, 64),
    sockets=st.sampled_from(["", "(S:0-1)", "(S:0,2)"]),
)
def test_every_type_comes_back(kind: str, count: int, sockets: str) -> None:
    if kind != "no_consume":
        assert list(gpus_in(f"gpu:{kind}:{count}{sockets}")) == [(kind, count)]
