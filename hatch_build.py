"""What hatchling alone does not do: wheels with the launcher (orchestrator/node/launcher/), where a
C compiler is installed, and editable installs that cost next to nothing.

Called by hatchling. A wheel that holds it is tagged for its platform: a static program asks for no
library of the system, so both for systems of glibc (manylinux) and of musl (musllinux). Without a
compiler and for another processor the wheel is the pure one. An editable install has the launcher
in the checkout, if the set-up has compiled it there.
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
FINDER_MODULE = "_slurm_ml_orchestrator_packages"


FINDER = """\
# Finds the packages of an editable install; imports only what every start of Python has loaded.
import sys
from _frozen_importlib_external import spec_from_file_location

ROOT = {root!r}
PACKAGES = {packages!r}


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in PACKAGES:
            return None
        folder = ROOT + "/" + name
        file = folder + "/__init__.py"
        return spec_from_file_location(name, file, submodule_search_locations=[folder])


sys.meta_path.append(Finder)
"""


class OwnHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compile the launcher into the wheel, or add the finder to an editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is written."""
        self.folder = tempfile.TemporaryDirectory()
        if version == "editable":
            self.add_finder(build_data)
        elif sys.platform == "linux" and platform.machine() in PROCESSORS:
            self.add_launcher(build_data)

    def add_finder(self, build_data: dict[str, Any]) -> None:
        """A module, and the line that loads it at each start of Python."""
        packages = self.build_config.target_config["packages"]
        module = Path(self.folder.name) / f"{FINDER_MODULE}.py"
        module.write_text(FINDER.format(root=self.root, packages=packages))
        line = module.with_suffix(".pth")
        line.write_text(f"import {FINDER_MODULE}\n")
        build_data["force_include_editable"] = {str(one): one.name for one in (module, line)}

    def add_launcher(self, build_data: dict[str, Any]) -> None:
        """The program, unless it cannot be compiled."""
        machine = platform.machine()
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
        self.folder.cleanup()
