"""Where a user's own files lie, as the XDG Base Directory Specification has it.

In: the environment. Out: a folder, which need not be there. Called by the reader of profiles and by
what counts the calls of Slurm, shares this machine between jobs, and keeps what was shown. Light:
the quickest start of `orch` imports it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def runs_root() -> Path:
    """Where runs lie: ``ORCH_RUNS``, else ``./runs``."""
    from pathlib import Path

    return Path(os.environ.get("ORCH_RUNS", "runs")).absolute()


def config_folder() -> Path:
    """Cluster profiles and ``notify.yaml``: ``$XDG_CONFIG_HOME/orch``, else ``~/.config/orch``."""
    from pathlib import Path

    return Path(base("XDG_CONFIG_HOME", "~/.config")) / "orch"


def cache_folder() -> Path:
    """What may be removed at any time: ``$ORCH_CACHE``, else ``$XDG_CACHE_HOME/orch``, else
    ``~/.cache/orch``."""
    from pathlib import Path

    return Path(cache_place())


def cache_place() -> str:
    """The same as text."""
    own = os.environ.get("ORCH_CACHE")
    return os.path.expanduser(own) if own else f"{base('XDG_CACHE_HOME', '~/.cache')}/orch"


def base(variable: str, default: str) -> str:
    """A folder of the specification. It says that a path that is not absolute is to be ignored."""
    given = os.environ.get(variable, "")
    return given if given.startswith("/") else os.path.expanduser(default)


def for_people(path: Path) -> str:
    """A path as a message shows it: with ``~`` for the home folder."""
    home = type(path).home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
