"""Mistakes that a look before submission finds, on this machine and on a real Slurm."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.spec import Job, Resources
from orchestrator.checks.launch import check, paths
from orchestrator.checks.slurm import header
from orchestrator.clusters.local import machine
from orchestrator.clusters.slurm.parse import minutes
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError
from tests.support.builders import job, plan_of
from tests.support.paths import ROOT

SHIPPED = ROOT / "slurm_templates"
LOCAL = Profile(name="local", kind="local")


def echo(name: str = "a", command: tuple[str, ...] = ("echo", "hi"), **resources: int) -> Job:
    return job(name, command=command, **{"memory_gb": 1, **resources})


def ppo(**config: Any) -> Job:
    values = {"model": "Qwen/Qwen2.5-7B", "data": "here", "validation_data": "here", **config}
    return Job(
        name="train",
        stage="train",
        axes={},
        engine="ppo",
        command=None,
        config=values,
        resources=Resources(memory_gb=1),
    )


def test_a_plan_that_fits_this_machine_has_no_problem(tmp_path: Path) -> None:
    assert check(plan_of(echo()), LOCAL, runs=tmp_path) == []


def test_what_this_machine_cannot_give_is_told_with_the_remedy(tmp_path: Path) -> None:
    cpus, memory = machine.cpu_count(), machine.memory_gb()
    problems = check(
        plan_of(
            echo("a/x=1", cpus=cpus + 1),
            echo("a/x=2", cpus=cpus + 1),
            echo("b", memory_gb=memory + 1, nodes=2),
        ),
        LOCAL,
        runs=tmp_path,
    )
    assert problems == [
        f"jobs 'a/x=1' and 1 more: cpus={cpus + 1} is more than the {cpus} that cluster "
        "'local' has: lower it with "
        f"--set a.resources.cpus={cpus}, or choose a preset or cluster that fits",
        f"job 'b': memory_gb={memory + 1} is more than the {memory} that cluster 'local' "
        "has: lower it with "
        f"--set b.resources.memory_gb={memory}, or choose a preset or cluster that fits",
        "job 'b': nodes=2, and this machine is one: --set b.resources.nodes=1",
    ]


def test_gpus_are_counted_as_the_process_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert len(check(plan_of(echo(gpus=1)), LOCAL, runs=tmp_path)) == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert check(plan_of(echo(gpus=2)), LOCAL, runs=tmp_path) == []


def test_a_variable_that_is_not_set_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_PLACE", raising=False)
    profile = Profile(
        name="here",
        kind="local",
        environment={"HF_HOME": "$NO_SUCH_PLACE/hf", "HOME_TOO": "$HOME/x"},
    )
    assert check(plan_of(echo()), profile, runs=tmp_path) == [
        "profile 'here': environment: HF_HOME=$NO_SUCH_PLACE/hf uses a variable that is "
        "not set here; "
        "export it, or write the value"
    ]
    monkeypatch.setenv("NO_SUCH_PLACE", "/scratch")
    assert check(plan_of(echo()), profile, runs=tmp_path) == []


def test_a_program_or_script_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = echo("a", ("no-such-program", "x")), echo("b", ("python", "train.py"))
    problems = check(plan_of(*jobs), LOCAL, runs=tmp_path)
    assert problems == [
        "stage 'a': command: no program 'no-such-program' on PATH: install it, or write "
        "its whole path",
        f"stage 'b': command: no file train.py in {tmp_path}: call orch where it lies",
    ]
    Path("train.py").touch()
    assert check(plan_of(jobs[1]), LOCAL, runs=tmp_path) == []


def test_data_that_is_not_there_is_named_and_a_hub_model_or_an_earlier_job_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(plan_of(ppo()), LOCAL, runs=tmp_path)[0] == (
        "job 'train': data: here is not here: put it there, or name another path with "
        "--set train.config.data=..."
    )
    Path("here").mkdir()
    made = {
        "data": "{run}/jobs/prepare/out/data",
        "model": {"folder": "{run}/jobs/prepare/out", "checkpoint": "warm"},
    }
    for config in ({}, made):
        assert check(plan_of(ppo(**config)), LOCAL, runs=tmp_path) == []
    assert any(
        "./model is not here" in line
        for line in check(plan_of(ppo(model="./model")), LOCAL, runs=tmp_path)
    )


def test_a_path_is_looked_for_whatever_the_engine_calls_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"initial": {"folder": "earlier/out", "checkpoint": "best"}}
    training = replace(ppo(), engine="fsm", config=config)
    assert [line.split(" is not here")[0] for line in paths(plan_of(training))] == [
        "job 'train': initial: earlier/out"
    ]
    Path("earlier/out").mkdir(parents=True)
    assert list(paths(plan_of(training))) == []


def test_a_suite_and_its_data_may_be_names_and_a_mistyped_folder_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()

    def told(**config: Any) -> list[str]:
        values = {"models": "data", "data": "data", **config}
        evaluation = Job(
            name="evaluate",
            stage="evaluate",
            axes={},
            engine="evaluation",
            command=None,
            config=values,
            resources=Resources(),
        )
        return [line.split(" is not here")[0] for line in paths(plan_of(evaluation))]

    assert told(suite="guru-online", data="LLM360/guru-RL-92k") == []
    assert told(suite="guru-online", data="data/gurru") == ["job 'evaluate': data: data/gurru"]
    assert told(data="LLM360/guru-RL-92k") == ["job 'evaluate': data: LLM360/guru-RL-92k"]
    assert told(suite="mine.yaml") == ["job 'evaluate': suite: mine.yaml"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1-02:30:00", 1590), ("12:00:00", 720), ("UNLIMITED", None), ("00:10:00", 10)],
)
def test_slurms_times_are_read_in_minutes(text: str, expected: int | None) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("name", [path.stem for path in sorted(SHIPPED.glob("*.yaml"))])
def test_every_shipped_profile_loads_and_names_itself(name: str) -> None:
    assert load_profile(name).name == name
    assert load_profile(str(SHIPPED / f"{name}.yaml")) == load_profile(name)


def test_mistakes_in_a_profile_are_told_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(
        "kind: slrum\npartiton: a\ncpus_per_node: many\nsetup: module load x\nenvironment: {A: 1}\n"
    )
    with pytest.raises(CheckError) as caught:
        load_profile("c.yaml")
    assert list(caught.value.lines) == [
        "c.yaml:1: profile: kind must be slurm or local, got 'slrum'",
        "c.yaml:2: profile: unknown key 'partiton' (value 'a'); did you mean 'partition'?",
        "c.yaml:3: profile: cpus_per_node must be a whole number, got 'many'",
        "c.yaml:4: profile: setup must be a list of shell lines, got 'module load x'",
        "c.yaml:5: profile: environment must be a mapping NAME: text (quote numbers), got {'A': 1}",
    ]


def test_the_profile_named_comes_before_the_environments_and_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ORCH_CLUSTER", "a100_normal_q")
    assert load_profile("local").kind == "local"
    assert load_profile().partition == "a100_normal_q"
    monkeypatch.delenv("ORCH_CLUSTER")
    (tmp_path / ".config" / "orch").mkdir(parents=True)
    (tmp_path / ".config" / "orch" / "cluster.yaml").write_text("kind: slurm\npartition: mine\n")
    assert load_profile().partition == "mine"
    with pytest.raises(CheckError, match="did you mean 'a100_normal_q'"):
        load_profile("a100_normal")


def test_without_a_scheduler_the_check_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    profile = Profile(name="c", kind="slurm", partition="p", setup=["true"])
    assert check(plan_of(echo()), profile, runs=tmp_path) == [
        "Slurm: no program 'scontrol' on this machine: run orch on the cluster's login "
        "node, or use --cluster local"
    ]


def test_without_a_profile_this_machine_is_used_only_where_there_is_no_sbatch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ORCH_CLUSTER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert load_profile().kind == "local"
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(CheckError, match="no profile of the cluster"):
        load_profile()


@pytest.mark.slurm
def test_slurm_says_what_it_would_refuse(slurm: Any, tmp_path: Path) -> None:
    profile = load_profile(str(slurm.profile))
    assert shutil.which("sbatch")
    told: list[str] = []
    assert check(plan_of(echo()), profile, runs=tmp_path, tell=told.append) == []
    assert told == ["job 'a': Slurm accepts it"]
    elsewhere = Profile(**{**vars(profile), "partition": "nope"})
    assert any(
        "no partition 'nope'" in line for line in check(plan_of(echo()), elsewhere, runs=tmp_path)
    )
    assert (
        check(plan_of(echo()), Profile(**{**vars(profile), "qos": "normal"}), runs=tmp_path) == []
    )
    platinum = check(
        plan_of(echo()), Profile(**{**vars(profile), "qos": "platinum"}), runs=tmp_path
    )
    assert any("no QOS 'platinum' with account 'llmalignment'" in line for line in platinum)
    unlimited = Profile(**{**vars(profile), "cpus_per_node": None})
    assert any(
        "Slurm would refuse" in line
        for line in check(plan_of(echo(cpus=5000)), unlimited, runs=tmp_path)
    )


def test_the_trial_script_asks_for_what_the_job_and_the_profile_say() -> None:
    text = header(echo(gpus=2, cpus=32, minutes=720), load_profile("a100_normal_q"))
    for line in (
        "--partition=a100_normal_q",
        "--account=llmalignment",
        "--gres=gpu:a100:2",
        "--cpus-per-task=32",
        "--time=720",
    ):
        assert f"#SBATCH {line}\n" in text


def test_checkpoints_that_the_disk_cannot_hold_are_found_before_the_launch(tmp_path: Path) -> None:
    config = {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "d").mkdir()
    here = {
        "model": str(tmp_path),
        "data": str(tmp_path / "d"),
        "validation_data": str(tmp_path / "d"),
    }
    free = shutil.disk_usage(tmp_path).free / 1e9
    keep = int(free / 30) + 10
    (problem,) = check(
        plan_of(ppo(**here, keep_checkpoints=keep, epochs=keep, checkpoint_every_epochs=1)),
        LOCAL,
        runs=tmp_path,
    )
    assert "GB free: delete old runs, keep fewer checkpoints" in problem
