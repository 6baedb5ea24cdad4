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


@pytest.fixture(params=["bubblewrap", "landlock"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test in this folder attacks both kinds of sandbox."""
    name = str(request.param)
    if MISSING[name]:
        pytest.skip(f"{name}: {MISSING[name]}")
    monkeypatch.setenv(sandbox.CHOICE, name)
    return name


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
