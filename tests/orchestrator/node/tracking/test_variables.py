"""Who a job is, in the variables of trackers: told apart, the same at every start, a person's own
word kept."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.node.tracking.variables import identity, tag, with_trackers
from tests.support.trackers import SETTINGS, job_of, tracked_job


def given_to(tmp_path: Path, job: dict[str, Any], environment: dict[str, str]) -> dict[str, str]:
    return with_trackers(environment, str(tracked_job(tmp_path, job)), job)


def test_two_arms_and_three_seeds_are_told_apart_and_share_their_group(tmp_path: Path) -> None:
    found = [
        given_to(tmp_path, job_of({"arm": arm, "seed": seed}), {})
        for arm in ("sum", "pcgrad")
        for seed in (0, 1, 2)
    ]
    for name in ("WANDB_NAME", "WANDB_RUN_ID", "WANDB_TAGS", "MLFLOW_RUN_CONTEXT"):
        assert len({one[name] for one in found}) == 6, name
    for name in ("WANDB_PROJECT", "WANDB_RUN_GROUP", "WANDB_JOB_TYPE", "MLFLOW_EXPERIMENT_NAME"):
        assert len({one[name] for one in found}) == 1, name
    assert found[0]["WANDB_TAGS"] == "arm=sum,seed=0,smoke"
    assert json.loads(found[5]["MLFLOW_RUN_CONTEXT"]) == {
        "arm": "pcgrad",
        "seed": "2",
        "mlflow.runName": "train/arm=pcgrad,seed=2",
        "orch.run": "sweep/full-1",
        "orch.stage": "train",
        "orch.id": found[5]["WANDB_RUN_ID"],
    }
    for name in ("WANDB_DIR", "MLFLOW_TRACKING_URI", "TENSORBOARD_LOGGING_DIR", "TRACKIO_DIR"):
        assert all(str(tmp_path / "jobs" / "a" / "out" / "files") in one[name] for one in found)


def test_the_id_is_that_of_the_work_and_of_the_run_that_it_was_launched_in() -> None:
    job = job_of({"seed": 0})
    own = identity(SETTINGS, job)["id"]
    assert own == identity({**SETTINGS, "tags": [], "online": True}, dict(job))["id"]
    others = [
        identity({**SETTINGS, "uid": "another"}, job)["id"],
        identity(SETTINGS, {**job, "identity": "another"})["id"],
        identity(SETTINGS, {**job, "name": "another"})["id"],
    ]
    assert len({own, *others}) == 4


def test_the_shell_of_another_job_does_not_get_in_and_a_stages_own_word_stays(
    tmp_path: Path,
) -> None:
    shell = {
        "WANDB_RUN_ID": "of-another",
        "MLFLOW_RUN_ID": "of-another",
        "WANDB_NAME": "mine",
        "WANDB_MODE": "online",
        "WANDB_DIR": "/of/another",
        "ORCH_TRACKING": "WANDB_DIR",
    }
    found = given_to(tmp_path, job_of({}), shell)
    assert found["WANDB_RUN_ID"] not in ("", "of-another")
    assert "MLFLOW_RUN_ID" not in found
    assert found["WANDB_NAME"] == "train"
    assert found["WANDB_MODE"] == "online"  # set where orch runs: somebody has chosen it
    assert found["WANDB_DIR"] != "/of/another"
    said = job_of({}) | {"stage": "said"}
    found = given_to(tmp_path, said, {"WANDB_NAME": "mine", "WANDB_RUN_ID": ""})
    assert found["WANDB_NAME"] == "mine"
    assert "WANDB_RUN_ID" not in found  # W&B raises at an empty one
    assert given_to(tmp_path, job_of({}), {})["WANDB_MODE"] == "offline"


def test_a_run_of_an_older_version_leaves_the_environment_as_it_is(tmp_path: Path) -> None:
    assert with_trackers({"A": "b"}, str(tmp_path / "jobs" / "a"), job_of({})) == {"A": "b"}


@given(st.text())
def test_every_tag_is_one_that_wandb_takes(text: str) -> None:
    made = tag(text)
    assert len(made) <= 64
    assert "," not in made
    assert made == made.strip()


def test_a_second_start_goes_on_with_mlflows_run_if_it_is_one_alone(tmp_path: Path) -> None:
    job = job_of({})
    first = given_to(tmp_path, job, {})
    files = tmp_path / "jobs" / "a" / "out" / "files"
    files.mkdir(parents=True)
    with closing(sqlite3.connect(files / "mlflow.db")) as opened:
        opened.execute("CREATE TABLE runs (run_uuid, lifecycle_stage)")
        opened.execute("CREATE TABLE tags (run_uuid, key, value)")
        for number, run in enumerate(("one", "two")):
            opened.execute("INSERT INTO runs VALUES (?, 'active')", (run,))
            opened.execute(
                "INSERT INTO tags VALUES (?, 'orch.id', ?)", (run, first["WANDB_RUN_ID"])
            )
            opened.commit()
            assert given_to(tmp_path, job, {}).get("MLFLOW_RUN_ID") == ("one", None)[number]
        # At a server nobody knows its number.
        elsewhere = {"MLFLOW_TRACKING_URI": "http://there"}
        assert "MLFLOW_RUN_ID" not in given_to(tmp_path, job, elsewhere)
    (files / "mlflow.db").write_text("no database")
    assert "MLFLOW_RUN_ID" not in given_to(tmp_path, job, {})
