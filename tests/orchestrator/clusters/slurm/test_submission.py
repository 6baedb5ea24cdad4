"""What sbatch says of a submission."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clusters.slurm.script import NAME_BYTES, job_name
from orchestrator.clusters.slurm.submission import id_in


@pytest.mark.parametrize(
    ("output", "job_id"),
    [
        ("17\n", "17"),
        ("17;cluster-2\n", "17"),
        ("Welcome to Stampede3\n\n17\n", "17"),
        ("3 projects\n17;x\n  thank you\n", "17"),
        ("Welcome 17\n", None),
        ("", None),
    ],
)
def test_the_id_is_the_last_line_that_is_one(output: str, job_id: str | None) -> None:
    assert id_in(output) == job_id


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600))
def test_a_name_keeps_its_token_and_fits_into_accounting(title: str) -> None:
    name = job_name(title, "0123456789")
    assert name.endswith(".0123456789")
    assert len(name.encode()) <= NAME_BYTES
    assert title.startswith(name.removesuffix(".0123456789"))
    if len(title.encode()) <= NAME_BYTES - 11:
        assert name == f"{title}.0123456789"
