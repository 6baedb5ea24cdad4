"""Options of sbatch in any spelling, from a profile or a stage, are in a script once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.spec import Options, Resources
from orchestrator.clusters.slurm.script import JobScript, script_text
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.description.stage_keys.options import OWN
from orchestrator.description.stage_keys.sbatch_names import LONG, SHORT, by_name, option_name
from orchestrator.errors import CheckError

SCRIPT = JobScript(name="a.b.0123456789", log=Path("/runs/a/log.txt"), command=["true"])


def flags(sbatch: dict[str, object], gpus: int = 0, **more: object) -> list[str]:
    """The options of the script that a profile with these would submit."""
    profile = Profile(name="p", kind="slurm", sbatch=sbatch, **more)  # type: ignore[arg-type]
    text = script_text(
        profile.with_options(Options(), gpus), Resources(gpus=gpus, cpus=1, memory_gb=4), SCRIPT
    )
    return [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#S")]


@given(
    name=st.sampled_from(sorted(LONG)),
    dashes=st.sampled_from(["", "--"]),
    underscores=st.booleans(),
    upper=st.booleans(),
)
def test_a_long_name_is_known_in_any_spelling(
    name: str, dashes: str, underscores: bool, upper: bool
) -> None:
    spelled = name.replace("-", "_") if underscores else name
    assert option_name(dashes + (spelled.upper() if upper else spelled)) == name


def test_letters_and_unambiguous_beginnings_are_known() -> None:
    assert set(SHORT.values()) <= LONG
    assert [option_name(text) for text in ("c", "-c", "C", "n", "N")] == [
        "cpus-per-task",
        "cpus-per-task",
        "constraint",
        "ntasks",
        "nodes",
    ]
    assert option_name("cpus-per-t") == "cpus-per-task"
    assert option_name("mem-per") == "mem-per", "of two: sbatch says so"
    assert option_name("container-image") == "container-image", "of a plugin"


@pytest.mark.parametrize(
    "spelling", ["cpus-per-task", "cpus_per_task", "--cpus-per-task", "CPUS-PER-TASK", "c", "-c"]
)
def test_what_a_profile_says_takes_the_place_of_what_orch_asks_for(spelling: str) -> None:
    found = flags({spelling: 8})
    assert [flag for flag in found if "cpus" in flag] == ["cpus-per-task=8"]


@pytest.mark.parametrize(
    ("sbatch", "there", "about"),
    [
        ({"exclusive": False}, [], "exclusive"),
        ({"exclusive": None}, [], "exclusive"),
        ({"exclusive": True}, ["exclusive"], "exclusive"),
        ({"mem": 0}, ["mem=0"], "mem"),
        ({"mem_per_cpu": "2G"}, ["mem-per-cpu=2G"], "mem"),
        ({"gres": "nvme:100"}, ["gres=gpu:2,nvme:100"], "g"),
        ({"gres": ["nvme:1", "shard:2"]}, ["gres=gpu:2,nvme:1,shard:2"], "g"),
        ({"gres": "gpu:a100:1"}, ["gres=gpu:a100:1"], "g"),
        ({"gpus-per-node": 2}, ["gpus-per-node=2"], "g"),
        ({"mail-type": ["END", "FAIL"]}, ["mail-type=END,FAIL"], "mail"),
        ({"comment": "two words"}, ["comment='two words'"], "comment"),
    ],
)
def test_values(sbatch: dict[str, object], there: list[str], about: str) -> None:
    assert [flag for flag in flags(sbatch, gpus=2) if flag.startswith(about)] == there


@pytest.mark.parametrize(
    ("line", "said"),
    [
        *((f"{{{name}: x}}", "which orch sets itself") for name in ("job_name", "--Output", "d")),
        ("{M: other}", "say it by the profile's key 'cluster'"),
        ("{t: 60}", "say it by resources.minutes"),
        ("{mem: 1G, --mem: 2G}", "says one option twice: 'mem' and '--mem'"),
        ('{comment: "a\\n#SBATCH --account=theirs"}', "must be one line"),
    ],
)
def test_what_orch_depends_on_is_refused_in_any_spelling(
    line: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(f"kind: slurm\nsbatch: {line}\n")
    with pytest.raises(CheckError, match=said):
        load_profile(str(tmp_path / "c.yaml"))


def test_none_of_orchs_own_options_gets_past_a_profile(tmp_path: Path) -> None:
    for name in OWN:
        (tmp_path / "c.yaml").write_text(f"kind: slurm\nsbatch: {{{name}: x}}\n")
        with pytest.raises(CheckError, match="must be without"):
            load_profile(str(tmp_path / "c.yaml"))


def test_a_stage_leaves_out_what_the_profile_spells_otherwise() -> None:
    profile = Profile(name="p", kind="slurm", sbatch={"--Exclusive": True, "w": "n1"})
    together = profile.with_options(Options(sbatch={"exclusive": False, "nodelist": "n2"}))
    assert together.sbatch == {"exclusive": False, "nodelist": "n2"}
    assert by_name({"a": None, "exclusive": True}) == {"exclusive": True}
