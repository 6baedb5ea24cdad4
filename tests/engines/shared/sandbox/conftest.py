"""Both kinds of sandbox, and what is left of a program."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engines.shared.sandbox import execution as sandbox
from engines.shared.sandbox import landlock
from tests.support.judged_programs import alive

MISSING: dict[str, Any] = {
    "bubblewrap": shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    "landlock": landlock.trouble(),
}


COLD = [
    pytest.param(f"{name}, cold", marks=pytest.mark.long) for name in ("bubblewrap", "landlock")
]
"""A process for each program; by default they are forked from one that is there (``warm.py``)."""


@pytest.fixture(params=["bubblewrap", "landlock", *COLD], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test in this folder attacks all kinds of sandbox; what holds its programs here, which
    the environment names with the manner."""
    name = str(request.param)
    means = name.partition(",")[0]
    if MISSING[means]:
        pytest.skip(f"{means}: {MISSING[means]}")
    monkeypatch.setenv(sandbox.CHOICE, name)
    return means


@pytest.fixture
def mark() -> Iterator[str]:
    """A name for a program's processes, which its children inherit; afterwards none of that name is
    left on this machine."""
    name = "sbx" + secrets.token_hex(5)
    yield name
    deadline = time.monotonic() + 10.0
    while (left := alive(name)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []
