"""Where a user's own files lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.description.profile_reader import known_profiles, load_profile
from orchestrator.folders import cache_folder, config_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ORCH_CACHE", "ORCH_CLUSTER", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_variables_they_lie_in_the_home_folder(home: Path) -> None:
    assert (config_folder(), cache_folder()) == (home / ".config/orch", home / ".cache/orch")


def test_the_variables_of_xdg_move_them_if_they_are_absolute(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/mine")
    monkeypatch.setenv("XDG_CACHE_HOME", "mine")
    assert (config_folder(), cache_folder()) == (Path("/etc/mine/orch"), home / ".cache/orch")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/mine")
    assert cache_folder() == Path("/var/mine/orch")
    monkeypatch.setenv("ORCH_CACHE", "~/own")
    assert cache_folder() == home / "own"


def test_a_profile_is_found_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "settings"))
    (home / "settings" / "orch").mkdir(parents=True)
    (home / "settings" / "orch" / "cluster.yaml").write_text("{kind: local, about: my own}\n")
    assert load_profile().about == "my own"
    assert "cluster" in known_profiles()
