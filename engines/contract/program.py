"""How every engine runs: reads its config, does its work, and turns its end into an exit code.

In: ``CONFIG --out FOLDER`` on the command line, and the engine's function. Out: what the engine
writes, and the exit code that the orchestrator reads. Every ``engines/<name>/__main__.py`` calls
``leave(program(...))``; tests call ``program`` alone.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from engines.contract.config import C, ConfigError, load_config
from engines.contract.counting.between import told_to_command
from engines.contract.environment import environment
from engines.contract.files import write_json

INTERRUPTED = 75
"""Exit code of an engine that stopped on a signal and continues from its newest checkpoint when
started again."""

BAD_CONFIG = 2
"""Exit code of an engine whose config is wrong; one line on stderr says what."""

CHILDREN_SECONDS = 2.0
"""How long children may take to end when they are asked to, at the end of an engine."""


class Stop:
    """Whether somebody asked the engine to stop (time limit, preemption, cancel). Look at it
    between steps."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        """Take over SIGTERM, SIGINT and SIGUSR2. Call again after a library replaced the handlers
        (ray.init does)."""
        # SIGTERM: scancel and preemption. SIGINT: Ctrl-C. SIGUSR2: the warning before Slurm's time
        # limit, which the script asks for by --signal=B:USR2.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, self._request)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        # No work in a handler: it may interrupt a checkpoint that is half written.
        self.requested = True


class Interrupted(Exception):
    """Raised by an engine that has saved its state because a stop was requested."""


def program(
    engine: str,
    kind: type[C],
    run: Callable[[C, Path, Stop], None],
    arguments: list[str] | None = None,
) -> int:
    """Run an engine as a program: ``CONFIG --out FOLDER``. Returns the exit code.

    0: results are there (also when they were there before); 2: bad config, one line; 75: stopped on
        a signal, start it again to continue. Anything else that goes wrong keeps its traceback.
    """
    config_file, out = parse(engine, arguments)
    # Before the config is read: what is done stays done, whatever became of its config.
    if (out / "results.json").exists():
        print(f"{out / 'results.json'} is there: nothing to do")
        return 0
    # From here on a signal is noticed and no longer kills: heavy imports take seconds.
    stop = Stop()
    stop.listen()
    try:
        config = load_config(config_file, kind)
        # Not before the config was read: a bad one leaves no folder behind.
        out.mkdir(parents=True, exist_ok=True)
        # Before the work, so that a job that fails says what it ran with, too.
        write_json(out / "environment.json", environment())
        with told_to_command():
            run(config, out, stop)
    except ConfigError as error:
        print(f"engines.{engine}: {error}", file=sys.stderr)
        return BAD_CONFIG
    except Interrupted as error:
        print(f"engines.{engine}: stopped: {error}", file=sys.stderr)
        return INTERRUPTED
    return 0


def leave(code: int) -> NoReturn:
    """End this process with an exit code of ``program``; of one whose work is on disk at once.

    Python would take libraries down piece by piece first, for up to ten seconds that a job pays
    for. Children are ended and waited for, so that what they have used counts. Files must be
    closed by whoever writes them, as results are; other exit functions are not called.
    """
    if code not in (0, INTERRUPTED):
        sys.exit(code)
    end_children()
    logging.shutdown()
    # The work is done, even if its log has no room left for the last lines.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def end_children() -> None:
    """End the processes that this one has started, and wait for them, but not for ever: what is
    left then is ended by whoever has started this one."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        there = children()
        for pid in there:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + CHILDREN_SECONDS
        while there and time.monotonic() < deadline:
            time.sleep(0.005)
            there = children()


def children() -> list[int]:
    """The processes that this one has started and that have not ended; takes note of the end of
    others. None where the kernel does not tell."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found: list[int] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, listed.read_text().split())
    # Python's own, which removes what others have left in shared memory, ends when this process
    # has.
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    own = getattr(getattr(tracker, "_resource_tracker", None), "_pid", None)
    return [pid for pid in found if pid != own]


def parse(engine: str, arguments: list[str] | None) -> tuple[Path, Path]:
    """Config file and output folder from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m engines.{engine}")
    parser.add_argument("config", type=Path, help="YAML or JSON file with the engine's config")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write to; finished work in it is kept"
    )
    parsed = parser.parse_args(arguments)
    return parsed.config, parsed.out
