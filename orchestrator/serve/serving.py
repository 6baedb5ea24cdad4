"""Start the server, say where it is, and end it.

In: what the command was given. Out: lines on standard output; it returns after a signal, or when
nobody has asked for anything in half a day. Called by the command `orch serve`.
"""

from __future__ import annotations

import errno
import getpass
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RunError
from orchestrator.runs.run import Run
from orchestrator.serve.runs import Runs
from orchestrator.serve.server import ADDRESS, Server

UNASKED_SECONDS = 12 * 3600.0
"""It ends when nobody has asked for so long: a login node is shared."""
ROUND_SECONDS = 60.0
"""From one check of that to the next."""
ACTION_SECONDS = 20.0
"""How long the end waits for an action that a page has begun."""
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(root: Path, chosen: Run | None, port: int, allow_actions: bool) -> None:
    """Serve the runs of a folder until a signal comes.

    Args:
        chosen: the run that the page begins with, which may lie elsewhere; None: the newest.
        port: 0: any that is free.

    Raises:
        RunError: the port cannot be had.
    """
    server = opened(Runs(root, chosen), port, allow_actions)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        take_signals()
        for line in lines_of(server):
            print(line, flush=True)
        while time.monotonic() - server.asked < UNASKED_SECONDS:
            time.sleep(ROUND_SECONDS)
        print("nobody has asked for 12 hours: ended")
    except KeyboardInterrupt:
        pass
    finally:
        # A second signal ends it at once.
        for number in ENDS:
            signal.signal(number, signal.SIG_DFL)
        server.shutdown()
        server.server_close()
        # Not in the middle of a submission: the next command would have to look it up.
        server.runs.lock.acquire(timeout=ACTION_SECONDS)


def opened(runs: Runs, port: int, allow_actions: bool) -> Server:
    """The server on its port. RunError if that cannot be had."""
    try:
        return Server(runs, port, allow_actions)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise RunError(
            f"port {port} of {ADDRESS}: {error.strerror}; choose another one, or leave out --port "
            "for one that is free"
        ) from error


def take_signals() -> None:
    """End by the same way whatever asks for it; what the caller has switched off stays so (nohup,
    a shell's background)."""
    for number in ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def lines_of(server: Server) -> Iterator[str]:
    """Where it is, and how to get there."""
    port, name = server.server_port, socket.gethostname()
    yield server.url
    yield f"from your own machine first: ssh -N -L {port}:{ADDRESS}:{port} {user()}@{name}"
    may = "may cancel, retry and override" if server.allow_actions else "changes nothing"
    yield f"everybody who has the address sees your runs; the page {may}. Ctrl-C ends it"


def user() -> str:
    """Who is logged in here."""
    try:
        return getpass.getuser()
    # A container may run as a number without a name.
    except (KeyError, OSError):
        return "USER"
