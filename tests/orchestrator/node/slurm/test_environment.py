"""The environment of Slurm's programs: nothing of the user's changes what they do."""

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.node.slurm.environment import (
    ANSWERS,
    IN_ITS_PLACE,
    KEPT,
    PREFIXES,
    environment_of,
    left_out,
)
from orchestrator.node.slurm.variables import EVERYWHERE, INPUTS

OTHERS = {"PATH": "/bin", "HOME": "/home/x", "HF_TOKEN": "secret", "TZ": "Europe/Berlin"}
NAMES = st.sampled_from(sorted({*EVERYWHERE, *(name for one in INPUTS.values() for name in one)}))


@given(program=st.sampled_from(sorted(PREFIXES)), names=st.sets(NAMES))
def test_no_input_variable_of_a_program_reaches_it_but_those_that_are_kept(
    program: str, names: set[str]
) -> None:
    given = {**OTHERS, **dict.fromkeys(names, "1")}
    made = environment_of(program, given)
    inputs = {*EVERYWHERE, *INPUTS[program]}
    changed = {name for name in inputs & made.keys() if made[name] != ANSWERS.get(name)}
    assert changed == names & KEPT.keys()
    assert not changed & set(left_out(program, given))
    if program == "sbatch":
        # What sbatch gets, the job gets.
        assert {name: made[name] for name in OTHERS} == OTHERS
        assert "SLURM_BITSTR_LEN" not in made
    else:
        assert made["TZ"] == "UTC0"
        assert made["SLURM_BITSTR_LEN"] == "0"


def test_a_variable_that_only_a_newer_slurm_knows_is_left_out_too() -> None:
    for program in PREFIXES:
        name = f"{program.upper()}_SOMETHING_NEW"
        assert name not in environment_of(program, {name: "1"})


def test_what_a_step_has_of_its_job_stays_and_what_a_user_set_for_srun_does_not() -> None:
    given = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_LABELIO": "1", "SRUN_DEBUG": "3"}
    assert environment_of("srun", given) == {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}


def test_options_of_a_plugin_that_this_job_has_are_none_of_the_next_one() -> None:
    given = {"_SLURM_SPANK_OPTION_pyxis_container_image": "x.sqsh", "A": "b"}
    assert environment_of("sbatch", given) == {"A": "b"}
    assert left_out("sbatch", given) == ["_SLURM_SPANK_OPTION_pyxis_container_image"]
    # The steps of this job are in its container.
    assert environment_of("srun", given) == given


def test_a_job_that_a_local_job_submits_is_none_of_this_machine() -> None:
    assert environment_of("sbatch", {"ORCH_JOB_ID": "L-1", "A": "b"}) == {"A": "b"}


@pytest.mark.parametrize("program", sorted(INPUTS))
def test_the_table_has_every_variable_of_the_program_that_is_installed(program: str) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no {program} here")
    pattern = re.compile(rb"(?<![A-Z_])" + program.upper().encode() + rb"_[A-Z0-9_]+(?=\0)")
    there = {match.decode() for match in pattern.findall(Path(path).read_bytes())}
    assert there <= INPUTS[program].keys()


def test_what_counts_in_the_profiles_place_is_an_input_of_sbatch() -> None:
    assert IN_ITS_PLACE.keys() <= INPUTS["sbatch"].keys()
