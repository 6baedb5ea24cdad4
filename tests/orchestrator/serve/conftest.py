"""What the tests of the live page share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import Served, served


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    """`orch serve` on the runs in a test file's own folder."""
    with served(folder) as made:
        yield made
