"""What the tests of the live page share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import started_browser
from tests.support.serving import Served, served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium."""
    with started_browser() as made:
        yield made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    """`orch serve` on the runs in a test file's own folder."""
    with served(folder) as made:
        yield made
