"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.private_slurm import PrivateSlurm, missing, started


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests do not count their calls of Slurm in the home folder of whoever runs them."""
    os.environ["ORCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def slurm() -> Iterator[PrivateSlurm]:
    """A real Slurm for this test session. Missing programs skip its tests, but fail them where CI=true."""
    why = missing()
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with started() as private:
        yield private


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked long have an hour where they do not say otherwise; the others have what pyproject.toml gives."""
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))
