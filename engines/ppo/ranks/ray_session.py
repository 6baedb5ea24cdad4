"""A private single-node Ray: joins no other Ray, can be joined by none, and leaves nothing
behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.ppo.watchdogs import Patience, hangs

OBJECT_STORE_BYTES = 128 << 20
"""Only token ids and log-probabilities travel, a few MB per step."""

TEMP_DIR_LIMIT = 43
"""Ray's sockets lie below its temporary folder, and an AF_UNIX path ends at 107 bytes."""


@contextlib.contextmanager
def ray_session(cpus: int, gpus: int, stop: Stop) -> Iterator[Path]:
    """Start Ray in this process's own temporary folder (which is yielded), give the signals back to
    ``stop``, and shut it down at the end.

    Never ``ray stop``: it would end every Ray of this user on the machine. ``address="local"``
    never joins another job's Ray.
    """
    os.environ.pop("RAY_ADDRESS", None)
    os.environ |= {
        # Ray's default of 15 makes training wait for everything else on the machine
        "RAY_worker_niceness": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # per job: Ray's ports listen everywhere
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        # Ray watches the node, not the job: a neighbour's memory would have our workers killed.
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        # Actors without a GPU keep CUDA_VISIBLE_DEVICES as Slurm has set it.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    import ray

    folder = temporary_folder()
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            _temp_dir=str(folder),
            log_to_driver=True,
            logging_level="WARNING",
        )
        stop.listen()  # ray.init replaced the handlers
        yield folder
    finally:
        ray.shutdown()
        stop.listen()
        shutil.rmtree(folder, ignore_errors=True)


def temporary_folder() -> Path:
    """A new folder of this user with a short path, where a job's own TMPDIR may be too long;
    ``r<pid>-...``.

    What a run that was killed has left there is removed: its process is gone.
    """
    # TMPDIR first: it is the job's own where the site makes one, but may have a long path such as
    # /scratch/users/NAME/job.1234567.
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it private
        for old in Path(parent).glob("r*-*"):
            pid = old.name[1:].partition("-")[0]
            if (
                pid.isdigit()
                and not Path(f"/proc/{pid}").exists()
                and old.stat().st_uid == os.getuid()
            ):
                shutil.rmtree(old, ignore_errors=True)
        folder = tempfile.mkdtemp(prefix=f"r{os.getpid()}-", dir=parent)
        if len(os.fsencode(folder)) <= TEMP_DIR_LIMIT:
            return Path(folder)
        Path(folder).rmdir()
    raise OSError(f"no temporary folder with at most {TEMP_DIR_LIMIT} bytes in its path")


class Actors:
    """Ray actors of one kind whose calls wait for all answers, but not for ever. They are never
    restarted: the job is."""

    def __init__(
        self,
        kind: type,
        arguments: Sequence[tuple[Any, ...]],
        *,
        cpus: int,
        gpus: int,
        patience: Patience,
    ) -> None:
        """One actor per tuple of arguments, each with ``cpus`` and ``gpus`` of its own."""
        import ray

        self.patience = patience
        self.handles = [
            ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(kind).remote(*each)
            for each in arguments
        ]

    def __len__(self) -> int:
        return len(self.handles)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of all with the same arguments; the answer of the first."""
        return self.each(method, [arguments] * len(self))[0]

    def each(
        self, method: str, arguments: Sequence[tuple[Any, ...]], work: str | None = None
    ) -> list[Any]:
        """Call a method of all, each with its own arguments, and wait for all answers.

        RuntimeError when the patience with that kind of work (the method, if not named) is at its
        end; an error inside an actor comes out as it is.
        """
        import ray

        kind = work or method
        limit, began = self.patience.seconds(kind), time.monotonic()
        # All calls are under way before one is waited for: the collectives inside need every rank.
        calls = [
            getattr(handle, method).remote(*each)
            for handle, each in zip(self.handles, arguments, strict=True)
        ]
        try:
            answers: list[Any] = ray.get(calls, timeout=limit)
        except ray.exceptions.GetTimeoutError as error:
            raise RuntimeError(hangs(kind, limit, self.patience.usual(kind))) from error
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ConfigError):  # a line for the user, not a traceback
                raise error.cause from None
            raise error.as_instanceof_cause() from error
        # Only answers count: a call that failed early would make the usual time too short.
        self.patience.took(kind, time.monotonic() - began)
        return answers
