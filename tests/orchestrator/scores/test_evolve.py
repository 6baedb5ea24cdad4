"""`orch evolve`: every checkpoint once, by its content, also while the training runs and deletes
what it made before."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from engines.contract import checkpoints
from engines.contract.checkpoint_formats import locate
from engines.contract.files import write_json
from engines.contract.results import write_results
from engines.evaluation.config import Config as EvaluationConfig
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import DescriptionError, RunError
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.lookup import find_run, open_run
from orchestrator.runs.run import Run
from orchestrator.scores.evaluation_jobs import assign, points
from orchestrator.scores.evolution import Evolution, SeenCheckpoint, read_evolution
from orchestrator.scores.evolve import evolve
from orchestrator.scores.selection import choose
from orchestrator.scores.trainings import Request, source_of, trainings
from tests.support.builders import PLANNED
from tests.support.cli import orch
from tests.support.extras import needs
from tests.support.paths import ROOT
from tests.support.private_slurm import PrivateSlurm
from tests.support.scores import share, write_scores


def weights(folder: Path, seed: int, *, described: bool = True) -> Path:
    """A small folder of weights; with a description it is a Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.full(4, seed, dtype=np.float32)}, folder / "model.safetensors")
    if described:
        (folder / "config.json").write_text("{}")
        (folder / "tokenizer.json").write_text("{}")
    return folder


def save(out: Path, epoch: int, seed: int, value: float = 0.0) -> None:
    description = checkpoints.Description(
        name=f"epoch-{epoch:06d}",
        step=2 * epoch,
        epoch=epoch,
        metrics={"validation_reward_mean": value},
        rank_by="validation_reward_mean",
    )
    checkpoints.save(out, description, lambda folder: weights(folder / "model", seed) and None)


def training_run(
    root: Path, arms: tuple[str, ...] = ("a", "b"), profile: Profile = PLANNED, **train: Any
) -> Run:
    """A run with a training per arm and an evaluation, as it is before anything ran."""
    data = root / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "math.test.parquet").touch()
    weights(root / "base", 0)
    path = root / "x.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "experiment": "x",
                "about": "y",
                "stages": {
                    "train": {
                        "engine": "ppo",
                        "matrix": {
                            "arm": {arm: {"learning_rate": 1e-3 + i} for i, arm in enumerate(arms)}
                        },
                        "config": {
                            "model": str(root / "base"),
                            "data": str(data),
                            "validation_data": str(data),
                            "checkpoint_every_epochs": 1,
                            **train,
                        },
                    },
                    "evaluate": {
                        "engine": "evaluation",
                        "for_each": "train",
                        "checkpoints": "last",
                        "resources": {"minutes": 7},
                        "config": {"data": "data", "limit": 5},
                    },
                },
            }
        )
    )
    return create_run(make_plan(path), profile, root / "runs")


def out_of(run: Run, arm: str, stage: str = "train") -> Path:
    return run.job_folder(run.by_name[f"{stage}/arm={arm}"]) / "out"


def finish(
    out: Path, names: dict[str, str], engine: str = "evaluation", data: Path | None = None
) -> None:
    """An evaluation that has scored these checkpoints (name -> fingerprint)."""
    out.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        write_scores(out, name, {"math": share(2 * place + 2, 20)})
    write_results(
        out,
        engine,
        EvaluationConfig(models="m", data="data", limit=5),
        [],
        1.0,
        {
            "checkpoints": [
                {"name": name, "step": place, "epoch": place, "fingerprint": print_}
                for place, (name, print_) in enumerate(names.items())
            ],
            "tasks": {}
            if data is None
            else {
                "math": {"file": str(data), "sha256": hashlib.sha256(data.read_bytes()).hexdigest()}
            },
        },
    )


def again(run: Run, **request: Any) -> tuple[Run, list[str]]:
    """One call; returns the evolution's run and what was told."""
    told: list[str] = []
    made, _ = evolve(Request(source=run, **request), told.append)
    return made, told


def scored(made: Run) -> list[list[str]]:
    """The checkpoints of each evaluation job, as its folder holds them."""
    return [
        sorted(path.name for path in (made.job_folder(job) / "models" / "checkpoints").iterdir())
        for job in made.plan.jobs
        if job.engine == "evaluation"
    ]


def test_each_checkpoint_goes_to_one_job_and_a_second_call_adds_only_what_is_new(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path)
    save(out_of(run, "a"), 1, 11)
    save(out_of(run, "b"), 1, 21)
    made, told = again(run)
    # Both trainings begin with the same weights, which are scored once, for both.
    assert scored(made) == [["epoch-000001", "start"], ["epoch-000001"]]
    assert "train/arm=b: 2 checkpoints on disk, 2 new to the evolution, 1 to score" in told
    same, told = again(run)
    assert (same.folder, same.plan.jobs) == (made.folder, made.plan.jobs)
    assert "train/arm=a: 2 checkpoints on disk, 0 new to the evolution, 0 to score" in told
    save(out_of(run, "a"), 2, 12)
    save(out_of(run, "b"), 2, 12)  # the same weights as the other arm's
    grown, _ = again(run)
    assert [job.name for job in grown.plan.jobs if job.name not in made.by_name] == [
        "evaluate/arm=a,part=2",
        "report/checkpoints=6",
    ]
    points = {
        (point["training"], point["checkpoint"]): (point["folder"], point["evaluated_as"])
        for point in grown.by_name["report/checkpoints=6"].config["points"]
    }
    assert len(points) == 6
    assert points["train/arm=b", "epoch-000002"] == points["train/arm=a", "epoch-000002"]
    assert points["train/arm=b", "start"] == points["train/arm=a", "start"]


def test_the_evaluation_is_the_runs_own_and_its_paths_begin_where_the_run_was_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training_run(tmp_path)
    save(out_of(run, "a"), 1, 11)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    made, _ = again(run)
    job = made.by_name["evaluate/arm=a,part=1"]
    assert (job.config["limit"], job.resources.minutes, job.config["data"]) == (5, 7, "data")
    assert json.loads((made.job_folder(job) / "job.json").read_text())["cwd"] == str(tmp_path)
    assert Path(job.config["models"]["folder"]).is_dir()


def test_a_checkpoint_that_the_training_deletes_stays_for_the_job_that_waits_and_goes_when_it_is_scored(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path, ("a",))
    out = out_of(run, "a")
    save(out, 1, 11)
    made, _ = again(run)
    shutil.rmtree(out / "checkpoints" / "epoch-000001")
    save(out, 2, 12)
    made, _ = again(run)
    first = made.by_name["evaluate/arm=a,part=1"]
    kept_here = {
        one.manifest.name: one for one in checkpoints.complete(made.job_folder(first) / "models")
    }
    assert (
        checkpoints.fingerprint(kept_here["epoch-000001"].model)
        == kept_here["epoch-000001"].manifest.fingerprint
    )
    assert {path.name for path in kept_here["epoch-000001"].model.iterdir()} == {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
    }
    finish(
        made.job_folder(first) / "out",
        {name: one.manifest.fingerprint for name, one in kept_here.items()},
    )
    made, told = again(run)
    assert not (made.job_folder(first) / "models" / "checkpoints").exists()
    assert "train/arm=a: 2 checkpoints on disk, 0 new to the evolution, 0 to score" in told
    assert len(points(read_evolution(made.folder) or pytest.fail("no evolution"))) == 3


def test_what_was_deleted_before_anyone_looked_is_named(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a",))
    for epoch in (3, 5):
        save(out_of(run, "a"), epoch, epoch)
    made, told = again(run)
    line = "train/arm=a: epochs 1, 2, 4: deleted before anyone looked (keep_checkpoints)"
    assert line in told
    assert made.by_name["report/checkpoints=3"].config["pruned"] == [line]


def test_a_checkpoint_that_is_being_written_is_not_taken(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a",))
    save(out_of(run, "a"), 1, 11)
    half = out_of(run, "a") / "checkpoints" / "epoch-000002"
    weights(half / "model", 5)
    made, _ = again(run)
    assert scored(made) == [["epoch-000001", "start"]]


def test_a_damaged_manifest_of_a_training_is_told_and_the_others_are_taken(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a",))
    save(out_of(run, "a"), 1, 11)
    save(out_of(run, "a"), 2, 12)
    manifest = out_of(run, "a") / "checkpoints" / "epoch-000001" / "manifest.json"
    manifest.write_text("{")
    made, told = again(run)
    assert scored(made) == [["epoch-000002", "start"]]
    assert any(line.startswith(f"{manifest}: not the manifest") for line in told)


def test_what_the_run_itself_has_scored_with_the_same_settings_is_taken_over(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path, ("a",))
    save(out_of(run, "a"), 1, 11)
    prints = {
        one.manifest.name: one.manifest.fingerprint
        for one in checkpoints.complete(out_of(run, "a"))
    }
    finish(out_of(run, "a", "evaluate"), prints)
    made, _ = again(run)
    assert scored(made) == [["start"]]
    (point,) = [
        one
        for one in made.by_name["report/checkpoints=2"].config["points"]
        if one["checkpoint"] != "start"
    ]
    assert point["folder"] == str(out_of(run, "a", "evaluate"))
    other, _ = again(run, overrides=("evaluate.config.limit=3",))
    assert other.folder != made.folder
    assert scored(other) == [["epoch-000001", "start"]]


def test_what_the_run_has_scored_is_said_and_counts_only_while_its_files_are_the_same(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path, ("a",))
    save(out_of(run, "a"), 1, 11)
    data = tmp_path / "data" / "math.test.parquet"
    prints = {
        one.manifest.name: one.manifest.fingerprint
        for one in checkpoints.complete(out_of(run, "a"))
    }
    finish(out_of(run, "a", "evaluate"), prints, data=data)
    data.write_text("another benchmark")
    made, told = again(run)
    assert scored(made) == [["epoch-000001", "start"]]
    assert "evaluate/arm=a: scored on other files (math); its checkpoints are scored again" in told
    data.write_text("")
    (tmp_path / "runs" / "x-evolution").rename(tmp_path / "before")
    made, told = again(run)
    assert scored(made) == [["start"]]
    assert (
        "evaluate/arm=a of the run has scored epoch-000001 with the same settings: reused, "
        "not scored again" in told
    )


def test_evaluations_know_of_each_others_samples_whichever_runs_first(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a", "b"))
    save(out_of(run, "a"), 1, 11)
    save(out_of(run, "b"), 1, 12)
    finish(out_of(run, "a", "evaluate"), {}, data=None)
    made, _ = again(run, overrides=("evaluate.config.limit=3",))
    (job, _) = [job for job in made.plan.jobs if job.engine == "evaluation"]
    assert job.config["reuse"] == [str(out_of(run, "a", "evaluate"))]
    waiting = json.loads((out_of(run, "b", "evaluate").parent / "config.json").read_text())
    assert str(made.job_folder(job) / "out") in waiting["reuse"]
    assert (
        "reuse" not in run.by_name["evaluate/arm=b"].config
        or not run.by_name["evaluate/arm=b"].config["reuse"]
    )
    finish(made.job_folder(job) / "out", {})
    later, _ = again(run, overrides=("evaluate.config.limit=4",))
    assert later.folder != made.folder
    assert (
        str(made.job_folder(job) / "out")
        in next(job for job in later.plan.jobs if job.engine == "evaluation").config["reuse"]
    )
    assert (
        again(run, overrides=("evaluate.config.limit=3",))[0].by_name[job.name].identity
        == job.identity
    )


def test_jobs_are_packed_as_asked(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a",))
    for epoch in range(1, 6):
        save(out_of(run, "a"), epoch, epoch)
    made, _ = again(run, per_job=4)
    assert list(map(len, scored(made))) == [4, 2]
    some, told = again(run, checkpoints="2,9", overrides=("evaluate.config.limit=2",))
    assert scored(some) == [["epoch-000002", "start"]]
    assert "train/arm=a: no checkpoint of 9 yet; there are 1, 2, 3, 4, 5" in told
    last, _ = again(run, checkpoints="last", overrides=("evaluate.config.limit=1",))
    assert scored(last) == [["epoch-000005"]]


def test_best_is_the_trainings_own_and_mistakes_are_one_line(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a",))
    for epoch, value in ((1, 0.5), (2, 0.9), (3, 0.7)):
        save(out_of(run, "a"), epoch, epoch, value)
    made, _ = again(run, checkpoints="best")
    assert scored(made) == [["epoch-000002"]]
    with pytest.raises(RunError, match="--checkpoints every:0: must be"):
        again(run, checkpoints="every:0")
    with pytest.raises(DescriptionError, match=r"unknown key 'limt' .* did you mean 'limit'"):
        again(run, overrides=("evaluate.config.limt=1",))
    save(out_of(run, "a"), 3, 99)
    with pytest.raises(
        RunError, match="other weights than those that were scored as 'epoch-000003'"
    ):
        again(run, checkpoints="best")


def test_an_evaluation_of_one_named_checkpoint_does_not_make_its_source_a_training_to_follow(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "math.test.parquet").touch()
    data = {"of": "prepare", "path": "data"}
    described = {
        "experiment": "x",
        "about": "y",
        "stages": {
            "prepare": {"engine": "miniature", "config": {}},
            "warmed": {
                "engine": "evaluation",
                "after": "prepare",
                "config": {"data": "data", "models": {"of": "prepare", "checkpoint": "warm"}},
            },
            "train": {
                "engine": "ppo",
                "after": "prepare",
                "config": {
                    "model": {"of": "prepare", "checkpoint": "warm"},
                    "data": data,
                    "validation_data": data,
                },
            },
            "evaluate": {
                "engine": "evaluation",
                "for_each": "train",
                "checkpoints": "all",
                "config": {"data": "data"},
            },
        },
    }
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(described))
    run = create_run(make_plan(tmp_path / "x.yaml"), PLANNED, tmp_path / "runs")
    assert [one.name for one in trainings(Request(source=run))] == ["train"]
    assert [one.name for one in trainings(Request(source=run, jobs=("prepare",)))] == ["prepare"]
    del described["stages"]["evaluate"]
    (tmp_path / "y.yaml").write_text(yaml.safe_dump({**described, "experiment": "y"}))
    alone = create_run(make_plan(tmp_path / "y.yaml"), PLANNED, tmp_path / "runs")
    save(alone.job_folder(alone.by_name["train"]) / "out", 1, 1)
    assert [one.name for one in trainings(Request(source=alone))] == ["train"]


def test_an_evolution_leads_back_to_the_run_it_follows(tmp_path: Path) -> None:
    run = training_run(tmp_path, ("a",))
    save(out_of(run, "a"), 1, 11)
    made, _ = again(run)
    assert source_of(made).folder == run.folder
    assert source_of(run) is run


def test_a_process_with_an_older_plan_does_not_wipe_the_records_of_newer_jobs(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path, ("a",))
    save(out_of(run, "a"), 1, 11)
    old, _ = again(run)
    save(out_of(run, "a"), 2, 12)
    new, _ = again(run)
    with old.lock():
        old.save(old.load())
    assert [record.name for record in open_run(new.folder).load()] == [
        job.name for job in new.plan.jobs
    ]
    written = json.loads((new.folder / "state.json").read_text())["jobs"]
    assert {record["name"] for record in written} == {job.name for job in new.plan.jobs}


def known(epochs: list[int]) -> list[SeenCheckpoint]:
    return [
        SeenCheckpoint(
            training="t",
            axes={},
            checkpoint=f"e{epoch}",
            step=epoch,
            epoch=epoch,
            fingerprint=f"f{epoch}",
            model="",
            stamp="",
        )
        for epoch in epochs
    ]


@given(
    st.lists(st.integers(1, 60), unique=True, min_size=1, max_size=20).map(sorted),
    st.integers(1, 6),
    st.data(),
)
def test_every_nth_of_a_growing_training_adds_and_never_shifts(
    epochs: list[int], n: int, data: st.DataObject
) -> None:
    seen = known(epochs)
    early = choose(seen[: data.draw(st.integers(0, len(seen)))], f"every:{n}", over=False)
    late = choose(seen, f"every:{n}", over=True)
    assert [one for one in late if one in early] == early
    assert len(late) == -(-len(seen) // n)
    assert late[-1] == seen[-1]


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.integers(1, 9), st.integers(0, 12)), max_size=5
        ),
        max_size=6,
    ),
    st.sampled_from([None, 1, 2, 3]),
)
@settings(max_examples=60)
def test_however_often_one_looks_weights_are_scored_once(
    looks: list[list[tuple[str, int, int]]], per_job: int | None
) -> None:
    evolution = Evolution(source=None, folders=[])
    for look in looks:
        for training, epoch, content in look:
            if not any((one.training, one.epoch) == (training, epoch) for one in evolution.known):
                evolution.known.append(
                    SeenCheckpoint(
                        training=training,
                        axes={"arm": training},
                        checkpoint=f"e{epoch}",
                        step=epoch,
                        epoch=epoch,
                        fingerprint=str(content),
                        model="",
                        stamp="",
                    )
                )
        for training in "ab":
            assign(evolution, training, {"arm": training}, evolution.of(training), per_job)
    contents = [print_ for part in evolution.parts for print_ in part.checkpoints.values()]
    assert sorted(contents) == sorted({one.fingerprint for one in evolution.known})
    assert (
        len({part.name for part in evolution.parts})
        == len({part.folder for part in evolution.parts})
        == len(evolution.parts)
    )
    assert set(evolution.taken) == {(one.training, one.checkpoint) for one in evolution.known}
    assert all(1 <= len(part.checkpoints) <= (per_job or 99) for part in evolution.parts)


def test_checkpoints_of_other_programs_are_found_and_what_is_not_whole_is_named(
    tmp_path: Path,
) -> None:
    root = tmp_path / "verl"
    for step in (10, 20, 30):
        weights(root / f"global_step_{step}" / "actor" / "huggingface", step)
    (root / "latest_checkpointed_iteration.txt").write_text("20")
    shards = root / "global_step_15" / "actor" / "huggingface"
    shards.mkdir(parents=True)
    (shards / "config.json").write_text("{}")
    found, told = locate(root)
    assert [(one.name, one.step) for one in found] == [
        ("global_step_10", 10),
        ("global_step_20", 20),
    ]
    assert any("still being written" in line for line in told)
    assert any("merge the shards with verl's model_merger" in line for line in told)
    plain = tmp_path / "plain"
    weights(plain / "checkpoint-100", 1)
    weights(plain / "checkpoint-20", 2)
    weights(plain / "weights-30", 3, described=False)
    torn = weights(plain / "checkpoint-200", 4) / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-3])
    index = weights(plain / "checkpoint-300", 5)
    write_json(
        index / "model.safetensors.index.json",
        {"weight_map": {"w": "model.safetensors", "v": "gone.safetensors"}},
    )
    (weights(plain / "checkpoint-400", 6) / "training_args.bin").touch()
    (plain / "old").mkdir()
    (plain / "old" / "pytorch_model.bin").touch()
    found, told = locate(plain)
    assert [(one.name, one.format) for one in found] == [
        ("checkpoint-20", "huggingface"),
        ("weights-30", "state_dict"),
        ("checkpoint-100", "huggingface"),
    ]
    assert sorted(line.rpartition(": ")[2] for line in told) == [
        "1 of 2 weight files are missing, such as gone.safetensors",
        "model.safetensors is not as long as its header says",
        "pytorch_model.bin is a pickle, which is not opened; save it as safetensors",
        "transformers writes trainer_state.json last, and it is not there",
    ]
    alone, _ = locate(plain / "checkpoint-100")
    assert [one.name for one in alone] == ["checkpoint-100"]


def test_before_the_first_checkpoint_there_is_nothing_to_do_and_that_is_no_mistake(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path, ("a",))
    shutil.rmtree(tmp_path / "base")
    shown = orch(None, "evolve", run.name)
    assert (shown.returncode, "there is no checkpoint yet; call again" in shown.stdout) == (
        0,
        True,
    ), shown.stderr
    assert "no jobs yet" in orch(None, "status", "x-evolution").stdout
    assert find_run(None).name == run.name, "an evolution without a job is nobody's newest run"
    with pytest.raises(RunError, match="no such folder"):
        evolve(Request(source=None, folders=(tmp_path / "gone",)), lambda _: None)


def test_a_folder_is_followed_with_settings_of_its_own_and_weights_alone_need_a_base(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    root = tmp_path / "plain"
    weights(root / "checkpoint-10", 1)
    weights(root / "weights-20", 2, described=False)
    told: list[str] = []
    with pytest.raises(RunError, match="there is no evaluation whose settings could be taken"):
        evolve(Request(source=None, folders=(root,), profile=PLANNED), told.append)
    (tmp_path / "config.yaml").write_text("data: data\nlimit: 3\n")
    request: dict[str, Any] = {
        "source": None,
        "folders": (root,),
        "profile": PLANNED,
        "config_file": tmp_path / "config.yaml",
    }
    made, _ = evolve(Request(**request), told.append)
    assert scored(made) == [["checkpoint-10"]]
    assert any(
        "weights alone; give the folder that holds their config.json" in line for line in told
    )
    made, _ = evolve(Request(**request, base=weights(tmp_path / "base", 9)), told.append)
    assert scored(made) == [["checkpoint-10"], ["weights-20"]]
    (second,) = checkpoints.complete(made.job_folder(made.plan.jobs[1]) / "models")
    assert {path.name for path in second.model.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    }
    assert (
        checkpoints.fingerprint(second.model)
        == second.manifest.fingerprint
        == checkpoints.fingerprint(root / "weights-20")
    )


def test_adapters_of_a_training_of_ours_are_told_and_not_scored(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "config.yaml").write_text("data: data\nlimit: 3\n")

    def fill(folder: Path) -> None:
        (folder / "model").mkdir()
        for name in checkpoints.ADAPTER_FILES:
            (folder / "model" / name).write_text("{}")

    description = checkpoints.Description(
        name="step-10", step=10, epoch=1, metrics={}, format="adapter"
    )
    checkpoints.save(tmp_path / "training", description, fill)
    told: list[str] = []
    request = Request(
        source=None,
        folders=(tmp_path / "training",),
        profile=PLANNED,
        config_file=tmp_path / "config.yaml",
    )
    made, _ = evolve(request, told.append)
    assert scored(made) == []
    assert any("step-10/model: an adapter (LoRA) alone" in line for line in told)


def test_an_optimizer_beside_the_weights_is_not_linked_for_the_engine_that_would_read_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "math.test.parquet").touch()
    (tmp_path / "config.yaml").write_text("data: data\nlimit: 3\n")
    folder = weights(tmp_path / "plain" / "checkpoint-10", 1)
    print_ = checkpoints.fingerprint(folder)
    save_file({"exp_avg": np.zeros(4, np.float32)}, folder / "optimizer.safetensors")
    request = Request(
        source=None,
        folders=(tmp_path / "plain",),
        profile=PLANNED,
        config_file=tmp_path / "config.yaml",
    )
    made, _ = evolve(request, lambda _: None)
    (one,) = checkpoints.complete(made.job_folder(made.plan.jobs[0]) / "models")
    assert {path.name for path in one.model.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    }
    assert one.manifest.fingerprint == checkpoints.fingerprint(one.model) == print_


def test_an_empty_tracker_of_verl_is_told_by_the_command(tmp_path: Path) -> None:
    weights(tmp_path / "verl" / "global_step_10" / "actor" / "huggingface", 1)
    mark = tmp_path / "verl" / "latest_checkpointed_iteration.txt"
    mark.touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "math.test.parquet").touch()
    (tmp_path / "config.yaml").write_text("data: data\nlimit: 3\n")
    told: list[str] = []
    request = Request(
        source=None,
        folders=(tmp_path / "verl",),
        profile=PLANNED,
        config_file=tmp_path / "config.yaml",
    )
    made, _ = evolve(request, told.append)
    assert scored(made) == [["global_step_10"]]
    assert any(line.startswith(f"{mark}: is empty") for line in told)


@needs("scipy", "statsmodels")
def test_the_commands_work_on_an_evolution_and_its_report_program_runs_on_its_config(
    tmp_path: Path,
) -> None:
    run = training_run(tmp_path)
    for arm, seed in (("a", 10), ("b", 20)):
        for epoch in (1, 2):
            save(out_of(run, arm), epoch, seed + epoch)
    made, _ = again(run)
    for job in made.plan.jobs:
        if job.engine == "evaluation":
            one = {
                c.manifest.name: c.manifest.fingerprint
                for c in checkpoints.complete(made.job_folder(job) / "models")
            }
            finish(made.job_folder(job) / "out", one)
    shown = orch(None, "status", made.name, "--json")
    assert {row["job"]: row["state"] for row in json.loads(shown.stdout)["jobs"]} == {
        "evaluate/arm=a,part=1": "COMPLETED",
        "evaluate/arm=b,part=1": "COMPLETED",
        "report/checkpoints=6": "WAITING",
    }
    assert "not done: report/checkpoints=6 WAITING" in orch(None, "report", made.name).stderr
    report = made.job_folder(made.by_name["report/checkpoints=6"])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "engines.analysis.evolution",
            str(report / "config.json"),
            "--out",
            str(report / "out"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "arm=a: stop at" in orch(None, "report", made.name).stdout
    listed = orch(None, "results", made.name, "--metric", "accuracy", "--json")
    rows = [
        row
        for row in json.loads(listed.stdout)["rows"]
        if row["domain"] == "macro mean" and not row["at"]
    ]
    assert len(rows) == 6
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


@pytest.mark.slurm
@pytest.mark.timeout(300)
def test_on_slurm_the_report_of_what_is_scored_is_a_job_like_any_other(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    run = training_run(tmp_path, profile=load_profile(str(slurm.profile)))
    shutil.rmtree(tmp_path / "base")  # so that nothing is left to score, and no engine has to start
    for arm, seed in (("a", 10), ("b", 20)):
        for epoch in (1, 2):
            save(out_of(run, arm), epoch, seed + epoch)
        made = checkpoints.complete(out_of(run, arm))
        finish(
            out_of(run, arm, "evaluate"),
            {one.manifest.name: one.manifest.fingerprint for one in made},
        )
    begun = orch(
        None,
        "evolve",
        run.name,
        "--set",
        "report.resources.memory_gb=1",
        "--set",
        "report.resources.minutes=4",
    )
    assert "submitted report/checkpoints=4" in begun.stdout, begun.stderr
    assert "1 job submitted" in begun.stdout
    deadline = time.monotonic() + 200
    while (row := json.loads(orch(None, "status", "--json").stdout)["jobs"][0])[
        "state"
    ] != "COMPLETED":
        assert row["state"] in ("PENDING", "RUNNING", "COMPLETING"), row
        assert time.monotonic() < deadline
        time.sleep(1.0)
    assert "arm=b: stop at epoch-000001 (step 2)" in orch(None, "report").stdout
    assert "0 jobs submitted, 1 of 1 done before" in orch(None, "evolve", run.name).stdout


TINY = """
experiment: tiny
about: one small training whose checkpoints are scored while it runs
stages:
  prepare:
    engine: miniature
    resources: {cpus: 1, memory_gb: 4, minutes: 20}
    config: {warmup_steps: 40, train_problems: 8, validation_problems: 4, test_problems: 6}
  train:
    engine: ppo
    after: prepare
    resources: {cpus: 1, memory_gb: 4, minutes: 30}
    config:
      model: {of: prepare, checkpoint: warm}
      data: {of: prepare, path: data}
      validation_data: {of: prepare, path: data}
      epochs: 3
      samples_per_prompt: 2
      learning_rate: 1e-3
      max_prompt_tokens: 80
      max_response_tokens: 12
      checkpoint_every_epochs: 1
      keep_checkpoints: 2
      early_stopping: null
  evaluate:
    engine: evaluation
    for_each: train
    after: prepare
    checkpoints: last
    resources: {cpus: 1, memory_gb: 4, minutes: 20}
    config: {data: {of: prepare, path: data}, max_prompt_tokens: 80, max_response_tokens: 12}
"""


def engine_of(out: Path) -> int:
    """The process of the engine that writes into this folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if str(out) in words and "engines.ppo" in words:
                return int(path.parent.name)
    raise AssertionError(f"nothing runs for {out}")


@pytest.mark.engine
@pytest.mark.timeout(1800)
def test_an_evolution_of_a_running_training_picks_up_its_new_checkpoints_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert orch(None, "launch", "tiny.yaml", "--cluster", "local", "--no-watch").returncode == 0
    deadline = time.monotonic() + 900
    while not (
        first := list(
            tmp_path.glob("runs/tiny/*/jobs/train/out/checkpoints/epoch-000001/manifest.json")
        )
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    out = first[0].parents[2]
    training = engine_of(out)
    # However slow the first look is beside it.
    os.kill(training, signal.SIGSTOP)
    try:
        assert not (out / "results.json").exists()
        begun = orch(None, "evolve", "tiny")
    finally:
        os.kill(training, signal.SIGCONT)
    assert begun.returncode == 0, begun.stderr
    while not (out / "results.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    grown = orch(None, "evolve", "tiny", "--watch", timeout=1200)
    assert grown.returncode == 0, grown.stdout + grown.stderr
    (evolved,) = tmp_path.glob("runs/tiny-evolution/*")
    tokens = {path: path.read_text() for path in evolved.glob("jobs/*/attempt-*/claim.json")}
    nothing = orch(None, "evolve", "tiny")
    assert "0 jobs submitted" in nothing.stdout
    assert {
        path: path.read_text() for path in evolved.glob("jobs/*/attempt-*/claim.json")
    } == tokens
    prints = [
        entry["fingerprint"]
        for path in evolved.glob("jobs/evaluate*/out/results.json")
        for entry in json.loads(path.read_text())["facts"]["checkpoints"]
    ]
    assert len(prints) == len(set(prints)) >= 3
    report = orch(None, "report", "tiny-evolution")
    assert report.returncode == 0, report.stderr
    for name in ("start", "epoch-000001", "epoch-000003"):
        assert name in report.stdout
    # The training keeps its best checkpoint and its last: the one between was scored, or is named
    # as deleted before anyone looked.
    told = " ".join(report.stdout.split())
    deleted = re.search(r"epochs? 2[ :,].*deleted before anyone looked", told)
    assert "epoch-000002" in told or deleted


def test_an_evolution_that_shows_what_it_has_not_seen_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "evolution.json"
    path.write_text(json.dumps({"source": None, "folders": [], "taken": [["a", "s-1"]]}))
    with pytest.raises(RunError, match="call orch evolve again"):
        read_evolution(tmp_path)
