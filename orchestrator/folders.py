"""Where a user's own files lie, as the XDG Base Directory Specification has it.

In: the environment. Out: a folder, which need not be there. Called by the reader of profiles and by
what counts the calls of Slurm and what shares this machine between jobs.
"""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """Cluster profiles and ``notify.yaml``: ``$XDG_CONFIG_HOME/orch``, else ``~/.config/orch``."""
    return base("XDG_CONFIG_HOME", "~/.config") / "orch"


def cache_folder() -> Path:
    """What may be removed at any time: ``$ORCH_CACHE``, else ``$XDG_CACHE_HOME/orch``, else
    ``~/.cache/orch``."""
    own = os.environ.get("ORCH_CACHE")
    return Path(own).expanduser() if own else base("XDG_CACHE_HOME", "~/.cache") / "orch"


def base(variable: str, default: str) -> Path:
    """A folder of the specification. It says that a path that is not absolute is to be ignored."""
    given = os.environ.get(variable, "")
    return Path(given) if given.startswith("/") else Path(default).expanduser()


def for_people(path: Path) -> str:
    """A path as a message shows it: with ``~`` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
