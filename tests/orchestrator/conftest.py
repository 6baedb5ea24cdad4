"""The two programs that start a job on a node: both keep the same contract, so both have the same
tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.node.launcher.build import build
from tests.support.node import LAUNCHER


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launcher, compiled here; without a compiler its tests are skipped."""
    target = tmp_path_factory.mktemp("launcher") / "launcher"
    try:
        build(target)
    except FileNotFoundError as error:
        pytest.skip(f"the launcher cannot be built: {error}")
    return target


@pytest.fixture(params=["python", "launcher"])
def each_program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start the nodes of a test by Python, and by the launcher in its second turn."""
    if request.param == "launcher":
        monkeypatch.setenv(LAUNCHER, str(request.getfixturevalue("launcher")))
    return str(request.param)
