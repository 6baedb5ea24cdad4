"""Wheels with the launcher (orchestrator/node/launcher/), where a C compiler is installed.

Called by hatchling. A wheel that holds it is tagged for its platform: a static program asks for no
library of the system, so both for systems of glibc (manylinux) and of musl (musllinux). Without a
compiler, for another processor and for an editable install the wheel is the pure one.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "orchestrator/node/launcher"
PROCESSORS = ("x86_64", "aarch64")
"""Those that both kinds of tags have."""


class LauncherHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compile the launcher into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is written."""
        machine = platform.machine()
        if version == "editable" or sys.platform != "linux" or machine not in PROCESSORS:
            return
        self.folder = tempfile.TemporaryDirectory()
        target = Path(self.folder.name) / "launcher"
        made = subprocess.run(
            [sys.executable, Path(self.root) / PLACE / "build.py", target], check=False
        )
        if made.returncode == 0:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-manylinux2014_{machine}.musllinux_1_1_{machine}"
            build_data["force_include"][str(target)] = f"{PLACE}/launcher"

    def finalize(self, *_: Any) -> None:
        """After it."""
        if hasattr(self, "folder"):
            self.folder.cleanup()
