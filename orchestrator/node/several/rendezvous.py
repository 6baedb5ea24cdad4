"""Where the processes of a command on several nodes find each other: address and port of node 0.

Node 0 listens on a free port and writes where into ``rendezvous.json`` of the start's folder, whose
name holds job id and start; every other node reads it there and connects once. Only when all have
done so does the command begin, on node 0 with that port free again. A network that does not let
them is thus one line of ours, and not a minute of silence in torch. Called by one_node.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time

from orchestrator.node.system import read_json, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "rendezvous.json"
FILE_SECONDS = 120.0
"""Longest wait for the file; a network file system may show it a minute late."""
CONNECT_SECONDS = 60.0
TRY_SECONDS = 5.0
"""For one address."""
POLL_SECONDS = 0.1


class RendezvousError(Exception):
    """The nodes cannot find or reach each other; one line says how."""


class Meeting:
    """Where node 0 is, as one node sees it."""

    def __init__(self, address: str, port: int, own_address: str) -> None:
        self.address = address
        self.port = port
        self.own_address = own_address
        """By which the other nodes reach this one."""


def meet(folder: str, rank: int, count: int) -> Meeting:
    """Wait until all nodes are there; returns where node 0 is."""
    secret = os.path.basename(folder)
    if rank == 0:
        return wait_for_others(folder, secret, count, FILE_SECONDS + CONNECT_SECONDS)
    return find_first(folder, secret, rank, FILE_SECONDS, CONNECT_SECONDS)


def wait_for_others(folder: str, secret: str, count: int, seconds: float) -> Meeting:
    """Of node 0: publish address and port, and wait until every other node has connected."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    listener = socket.create_server(
        ("", 0), family=family, backlog=count, dualstack_ipv6=family is socket.AF_INET6
    )
    port = listener.getsockname()[1]
    write_json(os.path.join(folder, FILE), {"addresses": own_addresses(), "port": port})
    there: dict[int, socket.socket] = {}
    address = own_addresses()[0]
    deadline = time.monotonic() + seconds
    while len(there) < count - 1:
        listener.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            connection, _ = listener.accept()
            connection.settimeout(TRY_SECONDS)
            greeting = connection.makefile("rb").readline()
            said = json.loads(greeting)
        except TimeoutError:
            if time.monotonic() < deadline:
                continue  # somebody connected and said nothing
            missing = sorted(set(range(1, count)) - set(there))
            raise RendezvousError(
                f"nodes {missing} have not connected to {address}:{port} within {seconds:.0f} s; "
                "the nodes of this partition must reach each other by TCP"
            ) from None
        except (OSError, ValueError):
            continue  # a scanner of ports, or a node that has died
        if isinstance(said, dict) and said.get("secret") == secret:
            there[said["rank"]] = connection
            address = said["address"]
    # Closed before the others go on: their programs may connect at once, and must not meet it.
    listener.close()
    for connection in there.values():
        say_go(connection)
    return Meeting(address, port, address)


def say_go(connection: socket.socket) -> None:
    """Let a node begin. It hangs up first: the port then is in use by nothing here."""
    # If it has died since, srun tells of it.
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"go\n")
        connection.recv(1)


def find_first(
    folder: str, secret: str, rank: int, file_seconds: float, connect_seconds: float
) -> Meeting:
    """Of every other node: read where node 0 is, connect, and wait until all have."""
    said = read_when_there(folder, file_seconds)
    port = said["port"]
    addresses = [*said["addresses"]]
    # By this one srun, which runs on node 0, has reached us already.
    if launcher := os.environ.get("SLURM_LAUNCH_NODE_IPADDR"):
        addresses.append(launcher)
    deadline = time.monotonic() + connect_seconds
    troubles: dict[str, str] = {}
    while True:
        for address in addresses:
            try:
                connection = socket.create_connection((address, port), timeout=TRY_SECONDS)
            except OSError as error:
                troubles[address] = error.strerror or str(error)
                continue
            with connection:
                return greet(connection, secret, rank, address, port)
        if time.monotonic() > deadline:
            tried = ", ".join(f"{address}:{port} ({why})" for address, why in troubles.items())
            raise RendezvousError(
                f"cannot reach node 0: {tried}; the nodes of this partition must reach each other "
                "by TCP"
            )
        time.sleep(POLL_SECONDS)


def greet(connection: socket.socket, secret: str, rank: int, address: str, port: int) -> Meeting:
    """Say who this is, and wait until all are there."""
    hello = {"secret": secret, "rank": rank, "address": address}
    connection.settimeout(FILE_SECONDS + CONNECT_SECONDS)
    try:
        connection.sendall(json.dumps(hello).encode() + b"\n")
        answer = connection.recv(3)
    except OSError as error:
        raise RendezvousError(f"node 0 ({address}:{port}) does not answer: {error}") from error
    if not answer:
        raise RendezvousError(f"node 0 ({address}:{port}): Connection closed by peer")
    return Meeting(address, port, connection.getsockname()[0])


def read_when_there(folder: str, seconds: float) -> dict[str, Any]:
    """What node 0 has published."""
    deadline = time.monotonic() + seconds
    # The folder is listed: a network file system remembers for long that a name was not there.
    while FILE not in os.listdir(folder):
        if time.monotonic() > deadline:
            raise RendezvousError(
                f"node 0 has not answered within {seconds:.0f} s where it is ({folder}/{FILE}); do "
                "all nodes see this folder?"
            )
        time.sleep(POLL_SECONDS)
    return read_json(os.path.join(folder, FILE))


def own_addresses() -> list[str]:
    """How this machine may be reached: its name, and the numbers that the name stands for."""
    name = socket.gethostname()
    found = [name]
    # A name that nothing resolves is no error: SLURM_LAUNCH_NODE_IPADDR remains.
    with contextlib.suppress(OSError):
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(name, None)]
    # 127.0.1.1 is what Debian gives to a machine's own name: no other machine is reached by it.
    usable = [one for one in found if not one.startswith("127.") and one != "::1"]
    return list(dict.fromkeys(usable))
