"""Nodes find each other by a file and one connection, or say in one line why they do not."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.node.several.rendezvous import (
    FILE,
    RendezvousError,
    find_first,
    wait_for_others,
)

SECONDS = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_all_nodes_meet_although_strangers_call_and_then_the_port_is_free(tmp_path: Path) -> None:
    def stranger() -> None:
        while not (tmp_path / FILE).exists():
            time.sleep(0.01)
        port = json.loads((tmp_path / FILE).read_text())["port"]
        for said in (b"GET / HTTP/1.0\n", b"", b'{"secret": "other", "rank": 1}\n', b"7\n"):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(said)

    threading.Thread(target=stranger).start()
    with ThreadPoolExecutor() as pool:
        others = [
            pool.submit(find_first, str(tmp_path), "7-0", rank, SECONDS, SECONDS) for rank in (2, 1)
        ]
        first = wait_for_others(str(tmp_path), "7-0", 3, SECONDS)
        found = [other.result() for other in others]
    assert {(one.port, one.address) for one in found} == {(first.port, first.address)}
    # torch sets the same option; a listener, or a connection that this side has closed, refuses.
    socket.create_server(("", first.port)).close()


def test_node_0_that_cannot_be_reached_is_named_with_its_address_and_why(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / FILE).write_text(json.dumps({"addresses": ["127.0.0.1"], "port": port}))
    with pytest.raises(RendezvousError) as caught:
        find_first(str(tmp_path), "7-0", 1, 0, 0)
    assert f"cannot reach node 0: 127.0.0.1:{port} (Connection refused)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_that_does_not_resolve_leaves_the_next_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(wait_for_others, str(tmp_path), "7-0", 2, SECONDS)
        while not (tmp_path / FILE).exists():
            time.sleep(0.01)
        said = json.loads((tmp_path / FILE).read_text())
        said["addresses"] = ["no.such.host.invalid", "127.0.0.1"]
        (tmp_path / FILE).write_text(json.dumps(said))
        other = find_first(str(tmp_path), "7-0", 1, SECONDS, SECONDS)
        assert (other.address, other.own_address) == ("127.0.0.1", "127.0.0.1")
        # Node 0 calls itself as the others do.
        assert first.result().address == "127.0.0.1"


def test_what_does_not_come_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RendezvousError, match="node 0 has not answered within 0 s where it is"):
        find_first(str(tmp_path), "7-0", 1, 0, 0)
    with pytest.raises(
        RendezvousError, match=r"nodes \[1, 2\] have not connected to .*:\d+ within"
    ):
        wait_for_others(str(tmp_path), "7-0", 3, 0.2)
