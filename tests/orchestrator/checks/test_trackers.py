"""What is missing of the trackers, said before a launch and keeping none back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checks import trackers as checks
from orchestrator.checks.trackers import trackers
from orchestrator.description.profile import Profile
from orchestrator.errors import DescriptionError
from orchestrator.planning.plan import Plan
from tests.support.builders import planned


def tracked_plan(track: Any, folder: Path, **stage: Any) -> Plan:
    stages = {"a": {"engine": "miniature", **stage}, "b": {"command": "true"}}
    return planned({"experiment": "e", "track": track, "stages": stages}, folder)


def test_a_library_is_looked_for_in_the_engines_python_where_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checks.MODULES, "trackio", ("nonesuch_library",))
    plan = tracked_plan(["trackio"], tmp_path)
    (line,) = trackers(plan, Profile(name="p", kind="local"))
    assert f"{sys.executable} (a) cannot import nonesuch_library" in line
    for unknown in ({"python": "python"}, {"wrap": ["env"]}, {"python": "/not/here/python"}):
        assert list(trackers(plan, Profile(name="p", kind="local", **unknown))) == []
    assert list(trackers(tracked_plan([], tmp_path), Profile(name="p", kind="local"))) == []


def test_a_server_that_nobody_has_named_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plan = tracked_plan({"to": ["mlflow"], "online": True}, tmp_path)
    profile = Profile(name="p", kind="local", python="python")
    (line,) = trackers(plan, profile)
    assert "MLFLOW_TRACKING_URI is not set" in line
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert list(trackers(plan, profile)) == []


def test_the_key_of_ppo_of_earlier_versions_says_where_it_has_gone(tmp_path: Path) -> None:
    stages = {"t": {"engine": "ppo", "config": {"wandb": "offline"}}}
    with pytest.raises(DescriptionError, match=r"'track: \[wandb\]' at the top"):
        planned({"experiment": "e", "stages": stages}, tmp_path)
