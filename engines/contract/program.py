"""How every engine runs: reads its config, does its work, and turns its end into an exit code.

In: ``CONFIG --out FOLDER`` on the command line, and the engine's function. Out: what the engine
writes, and the exit code that the orchestrator reads. Every ``engines/<name>/__main__.py`` calls
``program``; nothing else does.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from engines.contract.config import C, ConfigError, load_config
from engines.contract.environment import environment
from engines.contract.files import write_json

INTERRUPTED = 75
"""Exit code of an engine that stopped on a signal and continues from its newest checkpoint when
started again."""

BAD_CONFIG = 2
"""Exit code of an engine whose config is wrong; one line on stderr says what."""


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
        run(config, out, stop)
    except ConfigError as error:
        print(f"engines.{engine}: {error}", file=sys.stderr)
        return BAD_CONFIG
    except Interrupted as error:
        print(f"engines.{engine}: stopped: {error}", file=sys.stderr)
        return INTERRUPTED
    return 0


def parse(engine: str, arguments: list[str] | None) -> tuple[Path, Path]:
    """Config file and output folder from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m engines.{engine}")
    parser.add_argument("config", type=Path, help="YAML or JSON file with the engine's config")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write to; finished work in it is kept"
    )
    parsed = parser.parse_args(arguments)
    return parsed.config, parsed.out
