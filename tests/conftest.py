"""Fixtures that several test files share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

sys.path.insert(0, str(Path(__file__).parent))

from private_slurm import PrivateSlurm, missing, started


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With ``-n 2`` a file's tests share their fixtures, and all files that need Slurm share the one that a machine can hold.

    Not by ``xdist_group``: xdist 3.8 puts the group into a name that pytest 9.2 no longer reads.
    """
    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = config.rootpath / nodeid.split("::")[0]
            return "slurm" if "pytest.mark.slurm" in file.read_text() else file.name

    return Files(config, log)


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
