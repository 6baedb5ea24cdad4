"""`orch list --experiments`: those of ./jobs and the shipped ones, whatever their state."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.views.experiments import experiments


def test_own_and_shipped_ones_with_their_presets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "mine.yaml").write_text(
        "experiment: mine\ninclude: parts/base.yaml\nstages: {a: {command: echo}}\n"
        "presets: {tiny: {about: a small one}, odd: 4}\n"
    )
    (jobs / "parts").mkdir()
    (jobs / "parts" / "base.yaml").write_text("about: from below\npresets: {big: {}}\n")
    (jobs / "broken.yaml").write_text("a: [1")
    (jobs / "fsm-icl.yaml").write_text("about: hides the shipped one")
    found = {one.name: one for one in experiments()}
    mine = found["mine"]
    assert (mine.source, mine.about) == ("jobs/mine.yaml", "from below")
    assert mine.presets == {"big": "", "tiny": "a small one", "odd": ""}
    assert found["broken"].trouble.startswith("jobs/broken.yaml:1: not YAML")
    assert found["fsm-icl"].about == "hides the shipped one"
    shipped = found["mtl-comparison"]
    assert shipped.source == "shipped"
    assert "smoke" in shipped.presets
    assert shipped.about
