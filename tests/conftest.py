"""Fixtures and marks that all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")  # before its first import

# Before anything loads torch or numpy. Threads that wait for one another spin: with several tests
# on two cores, tiny models took three times the CPU time of one thread. Tests of threads name them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Images of containers set it. Without bytecode every `orch` and every job compiles the product
# anew, a third of its CPU time, which is not what happens on a cluster.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False
# How long an example takes says how busy the machine is.
settings.register_profile("busy", settings.default, deadline=None)
settings.load_profile("busy")

from tests.support.browsing import started_browser  # noqa: E402
from tests.support.paths import ROOT  # noqa: E402
from tests.support.private_slurm import PrivateSlurm, missing, started  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests do not count their calls of Slurm in the home folder of whoever runs them."""
    os.environ["ORCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def slurm() -> Iterator[PrivateSlurm]:
    """A real Slurm for this test session. Missing programs skip its tests, but fail them where
    CI=true."""
    why = missing()
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with started() as private:
        yield private


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium."""
    with started_browser() as made:
        yield made


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of tests/slurm has the mark slurm; a test marked long has an hour where it does not say
    otherwise; engines on Slurm come last, when what else ``make test`` runs has nearly ended."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "slurm"):
            item.add_marker(pytest.mark.slurm)
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))
    items.sort(key=lambda item: all(map(item.get_closest_marker, ("slurm", "engine"))))
