"""Fixtures and marks that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.support")  # before its first import

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


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of tests/slurm has the mark slurm; a test marked long has an hour where it does not say
    otherwise."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "slurm"):
            item.add_marker(pytest.mark.slurm)
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))
