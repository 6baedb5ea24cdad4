"""An ssh server of one's own on the loopback address, with keys made for it, and an `ssh` that knows
it as the host `gpu`.

Needs the Debian packages openssh-server, openssh-client and rsync; no root. Everything lies in one
folder.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("sshd", "ssh", "ssh-keygen", "rsync")
SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/login.pub
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
CLIENT = """
Host gpu
  HostName 127.0.0.1
  Port {network}
Host *
  User {user}
  IdentityFile {folder}/login
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking yes
"""


class Relay:
    """A network between the client and the server: it counts what comes from the server, and can
    break a connection."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.received = 0
        """Bytes that have come from the server since this was set to 0."""
        self.breaks_after: int | None = None
        """Connections are cut when so many bytes have come; None: never."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self.pump, args=(source, target), daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        """Pass on what comes from one side, until an end or the break."""
        from_server = source.getpeername()[1] == self.server
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if from_server:
                    self.received += len(data)
                    if self.breaks_after is not None and self.received > self.breaks_after:
                        break
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def where() -> str:
    """The search path with the folder that Debian keeps servers in, which users lack."""
    return f"{os.environ['PATH']}:/usr/sbin"


def missing() -> str:
    """Which programs are not here; empty if all are."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=where()) is None]
    return f"needs {', '.join(absent)}: make test installs them where it may" if absent else ""


class PrivateSshd:
    """The server, and what a client needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.network = Relay(self.port)
        values = {"folder": folder, "port": self.port, "user": getpass.getuser()}
        for name in ("host", "login"):
            make_key(folder / name)
        (folder / "server").write_text(SERVER.format(**values))
        (folder / "client").write_text(CLIENT.format(network=self.network.port, **values))
        host_key = (folder / "host.pub").read_text()
        (folder / "known").write_text(
            "".join(f"[127.0.0.1]:{port} {host_key}" for port in (self.port, self.network.port))
        )
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
        program.chmod(0o755)
        self.path = f"{program.parent}:"
        """What PATH begins with, for `ssh` to be the one that knows the server."""


def make_key(path: Path) -> None:
    """A key pair without a passphrase."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True
    )


@contextlib.contextmanager
def started(folder: Path) -> Iterator[PrivateSshd]:
    """A server that runs until the end of the block."""
    made = PrivateSshd(folder)
    program = shutil.which("sshd", path=where())
    assert program is not None
    if os.geteuid() == 0:
        # Where its processes without rights stay; the package makes it when a system starts.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    # sshd starts itself anew for each connection, so it asks for its whole path.
    server = subprocess.Popen([program, "-D", "-e", "-f", folder / "server"], stderr=-3)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", made.port), timeout=5).close()
                break
            assert server.poll() is None, f"sshd ended: {SERVER}"
            assert time.monotonic() < deadline, "sshd does not answer"
            time.sleep(0.05)
        yield made
    finally:
        made.network.listener.close()
        server.terminate()
        server.wait()
