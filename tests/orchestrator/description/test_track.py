"""`track` of an experiment and of a profile: its forms, its mistakes, whose word holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError, DescriptionError
from orchestrator.runs.create import create_run
from tests.support.builders import planned

STAGES = {"t": {"command": "true", "environment": {"WANDB_NAME": "mine"}}}


def described(track: Any) -> dict[str, Any]:
    return {"experiment": "e", "track": track, "stages": STAGES}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("wandb", {"to": ["wandb"], "online": False, "project": ""}),
        (["wandb", "mlflow", "wandb"], {"to": ["wandb", "mlflow"], "online": False, "project": ""}),
        ([], {"to": [], "online": False, "project": ""}),
        (
            {"to": ["trackio"], "online": True, "project": "p"},
            {"to": ["trackio"], "online": True, "project": "p"},
        ),
    ],
)
def test_a_word_a_list_and_a_mapping(written: Any, means: dict[str, Any], tmp_path: Path) -> None:
    assert planned(described(written), tmp_path).track == means
    path = tmp_path / "p.yaml"
    path.write_text(json.dumps({"kind": "local", "track": written}))
    assert load_profile(str(path)).track == means


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["wnadb"], "be a list of wandb, mlflow, tensorboard and trackio"),
        ({"to": ["wnadb"]}, "be a list of wandb, mlflow, tensorboard and trackio"),
        ({"to": ["wandb"], "onlin": True}, "unknown key 'onlin' (value True); did you mean"),
        ({"online": True}, "'to' is missing"),
        (4, "be a list of wandb, mlflow, tensorboard and trackio"),
    ],
)
def test_a_mistake_is_one_line(written: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError) as caught:
        planned(described(written), tmp_path)
    (line,) = caught.value.lines
    assert said in line
    path = tmp_path / "p.yaml"
    path.write_text(json.dumps({"kind": "local", "track": written}))
    with pytest.raises(CheckError) as told:
        load_profile(str(path))
    (line,) = told.value.lines
    assert said in line


def test_the_experiments_word_holds_whole_and_a_later_launch_may_change_it(tmp_path: Path) -> None:
    def settings(track: Any) -> dict[str, Any]:
        plan = planned(described(track) if track is not None else described(None), tmp_path)
        run = create_run(plan, profile, tmp_path / "runs")
        found: dict[str, Any] = json.loads((run.folder / "track.json").read_text())
        return found

    online = {"to": ["mlflow"], "online": True, "project": "p"}
    profile = Profile(
        name="p", kind="local", track=online, environment={"MLFLOW_TRACKING_URI": "http://secret"}
    )
    first = settings(["wandb"])
    assert (first["to"], first["online"], first["project"]) == (["wandb"], False, "e")
    assert first["said"] == {"t": ["MLFLOW_TRACKING_URI", "WANDB_NAME"]}
    assert "secret" not in json.dumps(first)
    without = settings(None)
    assert (without["to"], without["online"], without["project"]) == (["mlflow"], True, "p")
    assert without["uid"] == first["uid"]
    assert settings([])["to"] == []
