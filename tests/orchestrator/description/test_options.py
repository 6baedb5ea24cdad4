"""What a stage says of where its jobs run, and what holds where the profile says something too."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.spec import NO_OPTIONS, Options
from orchestrator.checks.launch import check
from orchestrator.clusters.slurm.script import JobScript, script_text
from orchestrator.description.profile import Profile
from orchestrator.description.stage_keys.options import RESERVED, SAID_ELSEWHERE
from orchestrator.errors import DescriptionError
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from orchestrator.views.options import origins
from tests.support.builders import planned

FIRST = {"command": "echo hi"}
ALL: dict[str, Any] = {
    "partition": "debug",
    "account": "b",
    "qos": "short",
    "constraint": "big",
    "sbatch": {"reservation": "course"},
    "environment": {"MODE": "fast"},
    "setup": ["module load x"],
    "wrap": ["apptainer", "exec", "x.sif"],
}


def plan_with(folder: Path, **stage: Any) -> Plan:
    return planned({"experiment": "e", "stages": {"train": {**FIRST, **stage}}}, folder)


def mistakes(folder: Path, **stage: Any) -> str:
    with pytest.raises(DescriptionError) as raised:
        plan_with(folder, **stage)
    return "\n".join(raised.value.lines)


def options_in(script: str) -> set[str]:
    return {
        line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")
    }


def test_no_option_is_part_of_the_identity_and_all_survive_the_plan_file(tmp_path: Path) -> None:
    bare, full = plan_with(tmp_path), plan_with(tmp_path, **ALL)
    assert full.identity == bare.identity
    assert full.jobs[0].identity == bare.jobs[0].identity
    assert Plan.from_json(full.to_json()).jobs == full.jobs
    assert full.jobs[0].options.given() == ALL
    assert "options" not in bare.jobs[0].to_dict()
    assert Plan.from_json(bare.to_json()).jobs[0].options == NO_OPTIONS


def test_the_stage_goes_before_the_profile_and_presets_change_the_stage(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    preset = {"stages": {"train": {"qos": "long", "environment": {"B": "2"}, "account": None}}}
    stage = {**FIRST, "qos": "short", "account": "b", "environment": {"A": "1"}}
    path.write_text(
        yaml.safe_dump({"experiment": "e", "stages": {"train": stage}, "presets": {"p": preset}})
    )
    (job,) = make_plan(path, "p", ["train.partition=fast"]).jobs
    assert job.options.given() == {
        "partition": "fast",
        "qos": "long",
        "environment": {"A": "1", "B": "2"},
    }
    profile = Profile(
        kind="slurm", partition="slow", account="a", qos="x", environment={"A": "0", "C": "3"}
    )
    together = profile.with_options(job.options)
    assert (together.partition, together.account, together.qos) == ("fast", "a", "long")
    assert together.environment == {"A": "1", "B": "2", "C": "3"}


def test_the_script_has_what_stage_and_profile_say_together(tmp_path: Path) -> None:
    (job,) = plan_with(tmp_path, **ALL, resources={"gpus": 1}).jobs
    profile = Profile(
        kind="slurm",
        partition="a100",
        partitions={"debug": "a100_dev", "cpu": "normal"},
        account="a",
        sbatch={"constraint": "small", "nice": 3, "exclude": "n1"},
        setup=["module reset"],
        environment={"MODE": "slow", "HF_HOME": "/hf"},
    )
    together = profile.with_options(job.options, 1)
    script = JobScript(name="n", log=Path("/x/log.txt"), command=["true"], exclude="n2")
    text = script_text(together, job.resources, script)
    assert options_in(text) >= {
        "--partition=a100_dev",
        "--account=b",
        "--qos=short",
        "--constraint=big",
        "--reservation=course",
        "--nice=3",
        "--exclude=n1,n2",
    }
    assert text.index("module reset") < text.index("module load x")
    assert "MODE=fast" in text
    assert "HF_HOME=/hf" in text
    assert list(origins(job, profile))[:4] == [
        "partition: a100_dev (stage train: debug of the profile)",
        "account: b (stage train)",
        "qos: short (stage train)",
        "further options: constraint (stage train), nice (profile), exclude (profile), "
        "reservation (stage train)",
    ]


def test_false_leaves_out_what_the_profile_asks_for(tmp_path: Path) -> None:
    (job,) = plan_with(tmp_path, sbatch={"exclusive": False}).jobs
    profile = Profile(kind="slurm", sbatch={"exclusive": True})
    script = JobScript(name="n", log=Path("/x/log.txt"), command=["true"])
    text = script_text(profile.with_options(job.options), job.resources, script)
    assert not any("exclusive" in option for option in options_in(text))


@pytest.mark.parametrize(
    ("gpus", "partition", "goes"),
    [(0, None, "normal"), (1, None, "a100"), (0, "debug", "dev"), (1, "other", "other")],
)
def test_a_stage_goes_to_the_partition_that_offers_what_it_needs(
    gpus: int, partition: str | None, goes: str
) -> None:
    words = {"gpu": "a100", "cpu": "normal", "debug": "dev"}
    profile = Profile(kind="slurm", partitions=words, max_minutes=60)
    together = profile.with_options(Options(partition=partition), gpus)
    assert together.partition == goes
    # The sizes are those of the GPUs' partition; of others they are not known.
    assert together.max_minutes == (60 if goes == "a100" else None)
    # Once more changes nothing, but for lines of set-up.
    assert together.with_options(Options(partition=partition), gpus) == together


@pytest.mark.parametrize(
    ("of_profile", "of_stage", "wrap", "python"),
    [
        (["a"], None, ["a"], "/p"),
        (["a"], ("b",), ["b"], "/p"),
        (["a"], (), [], None),
        ([], ("b",), ["b"], None),
    ],
)
def test_a_container_of_the_stage_has_a_python_of_its_own(
    of_profile: list[str], of_stage: tuple[str, ...] | None, wrap: list[str], python: str | None
) -> None:
    profile = Profile(kind="slurm", wrap=of_profile, python="/p")
    together = profile.with_options(Options(wrap=of_stage))
    assert (together.wrap, together.python) == (wrap, python)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([*RESERVED, *SAID_ELSEWHERE]), st.integers(1, 20), st.booleans())
def test_what_slurm_would_take_in_silence_is_refused_however_it_is_spelled(
    tmp_path_factory: pytest.TempPathFactory, option: str, letters: int, underscores: bool
) -> None:
    spelled = option[:letters]
    spelled = spelled.replace("-", "_") if underscores else spelled
    folder = tmp_path_factory.mktemp("x")
    assert f"sbatch must be without '{spelled}'" in mistakes(folder, sbatch={spelled: "1"})


def test_secrets_and_variables_of_orch_are_refused_and_the_value_is_not_shown(
    tmp_path: Path,
) -> None:
    value = "hf_abcdefghijklmnopqrstuvwxyz"
    said = mistakes(tmp_path, environment={"HF_TOKEN": value})
    assert "HF_TOKEN looks like a secret" in said
    assert "HF_TOKEN: $HF_TOKEN" in said
    assert value not in said
    assert "ORCH_OUT" in mistakes(tmp_path, environment={"ORCH_OUT": "x"})
    assert "is no name" in mistakes(tmp_path, environment={"A-B": "x"})
    # Neither a number of tokens nor a path to a file is a secret.
    plan_with(tmp_path, environment={"MAX_TOKENS": "512", "TOKEN_FILE": "/home/me/.token"})


def test_this_machine_says_once_what_it_leaves_aside_and_honours_the_rest(tmp_path: Path) -> None:
    from orchestrator.checks.launch import unused

    plan, local = plan_with(tmp_path, **ALL), Profile(name="local", kind="local")
    assert list(unused(plan, local)) == [
        "'local' is this machine without Slurm, and leaves aside: account (train), constraint "
        "(train), partition (train), qos (train), sbatch (train)"
    ]
    assert list(unused(plan, Profile(kind="slurm"))) == []
    together = local.with_options(plan.jobs[0].options)
    assert together.partition is None
    assert together.setup == ["module load x"]
    missing = check(plan_with(tmp_path, environment={"A": "$NOT_THERE"}), local, runs=tmp_path)
    assert missing == [
        "stage 'train': environment: A=$NOT_THERE uses a variable that is not set here; export "
        "it, or write the value"
    ]
