"""The server of `orch serve` as a real process over real runs: it says what the commands say, to
whoever has the token alone, and changes nothing unless it was allowed to."""

from __future__ import annotations

import gzip
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import SMALL, describe, launch, orch, the_run
from tests.support.serving import Served, served

WRITES = """
import sys, orch
for step in range(1, 6):
    orch.progress(step, 5, loss=1 / step)
    print("step", step)
orch.result("accuracy", 1 - float(sys.argv[1]), n=4)
"""
STAGES = f"""
  train: {{command: "{sys.executable} train.py {{lr}}", matrix: {{lr: [0.5, 0.25]}},
          metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}
  more: {{command: "true", when: {{metric: accuracy, of: train, at_least: 0.9}}, {SMALL}}}
  bad: {{command: ["sh", "-c", "echo '<img src=x onerror=boom()>'; exit 3"], {SMALL}}}
"""
OF_THE_MOMENT = {"age_seconds"}
AGES = re.compile(r"\d[\d:]*( s)? ago")


def without_ages(value: Any) -> Any:
    """A document as it would be at another moment."""
    if isinstance(value, dict):
        return {key: without_ages(one) for key, one in value.items() if key not in OF_THE_MOMENT}
    if isinstance(value, list):
        return [without_ages(one) for one in value]
    return AGES.sub("ago", value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "train.py").write_text(WRITES)
    assert launch(made, STAGES).returncode == 1
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> str:
    return f"trial/{the_run(folder).name}"


@pytest.mark.parametrize(
    ("words", "question", "query"),
    [
        ("status", "status", {}),
        ("results", "results", {}),
        (
            "results --metric accuracy --job train",
            "results",
            {"metric": "accuracy", "job": "train"},
        ),
        ("why more", "why", {"job": "more"}),
        ("costs --by lr", "costs", {"by": "lr"}),
        ("plan trial.yaml", "plan", {}),
    ],
)
def test_an_answer_is_what_the_command_prints_for_programs(
    folder: Path, server: Served, run: str, words: str, question: str, query: dict[str, str]
) -> None:
    printed = json.loads(orch(folder, *words.split(), "--json").stdout)
    answer = server.of_run(run, question, **query)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert without_ages(answer.values) == without_ages(printed)


def test_the_list_is_that_of_the_command(folder: Path, server: Served) -> None:
    printed = json.loads(orch(folder, "list", "--json").stdout)
    assert server.ask("api/list").values == printed


def test_what_a_command_refuses_the_server_refuses_in_its_words(
    folder: Path, server: Served, run: str
) -> None:
    said = orch(folder, "report", "--json")
    answer = server.of_run(run, "report")
    assert (said.returncode, answer.status) == (2, 409)
    assert said.stderr == "".join(f"orch: {line}\n" for line in answer.values["errors"])
    assert server.of_run(run, "why", job="ba").values["errors"] == [f"{run} has no job 'ba'"]
    assert server.of_run("trial/none", "status").status == 409
    # Only runs of the folder, whatever path a name spells.
    assert server.of_run(f"..%2F..{folder}", "status").status == 404
    assert server.ask("api/run/..%2F../trial/status").status == 409


def test_gates_curves_and_overview_show_what_the_run_has(server: Served, run: str) -> None:
    (gate,) = server.of_run(run, "gates").values["gates"]
    assert (gate["gate"], gate["decision"]) == ("more", "skip")
    curves = server.of_run(run, "curves").values
    assert {one["job"]: one["points"] for one in curves["curves"]} == {
        f"train/lr={lr}": [[1, 1.0], [2, 0.5], [3, 1 / 3], [4, 0.25], [5, 0.2]]
        for lr in (0.5, 0.25)
    }
    assert {(one["label"], one["colour"], one["line"]) for one in curves["curves"]} == {
        ("lr 0.5", 0, 0),
        ("lr 0.25", 1, 0),
    }
    assert curves["stages"] == {"train": {"begun": 2, "drawn": 2}, "bad": {"begun": 1, "drawn": 1}}
    own = server.of_run(run, "curves", job="train/lr=0.5").values["curves"]
    assert [one["metric"] for one in own] == ["loss"]
    seen = server.of_run(run, "overview").values
    assert seen["colours"] == {"axis": "lr", "values": [[0.5, 0], [0.25, 1]]}
    assert [(one["kind"], one["jobs"], one["count"]) for one in seen["failed"]] == [
        ("exit code 3", "bad", 1)
    ]
    assert [(one["title"], one["jobs"]) for one in seen["others"]] == [("Skipped", "more")]
    assert [(one["stage"], one["of"], one["gates"]) for one in seen["stages"]] == [
        ("train", "2 lr", []),
        ("more", "", ["train"]),
        ("bad", "", []),
    ]


@pytest.mark.parametrize("path", ["", "app.js", "api/about", "api/list", "nothing"])
@pytest.mark.parametrize("token", ["", "x", "%C3%A9", "{token}x", "{token}%00"])
def test_without_the_token_there_is_nothing(server: Served, path: str, token: str) -> None:
    wrong = token.replace("{token}", server.token)
    for method in ("GET", "POST"):
        answer = server.ask(path, method=method, token=wrong)
        assert answer.status == 403
        assert list(answer.values) == ["errors"]
        assert server.token not in answer.body.decode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("localhost:9000", 200),  # the other end of a tunnel
        ("[::1]:{port}", 200),
        ("rebound.example", 421),
        ("rebound.example:{port}", 421),
        ("127.0.0.1.example:{port}", 421),
        ("127.0.0.1:80@rebound.example", 421),
        ("127.0.0.1:{port}.example", 421),
        ("", 421),
    ],
)
def test_it_answers_to_this_machines_own_name_alone(server: Served, host: str, status: int) -> None:
    given = host.replace("{port}", str(server.port))
    assert server.ask("api/list", {"Host": given}).status == status


def test_no_answer_may_be_kept_framed_or_run_as_anything_else(server: Served, run: str) -> None:
    paths = ["", "app.js", "api/list", f"api/run/{run}/status", f"api/run/{run}/log?job=bad", "no"]
    for answer in [*map(server.ask, paths), server.ask("api/list", {"Host": "x.example"})]:
        headers = answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        # A cookie would be sent to every other port of this machine.
        assert headers["Set-Cookie"] is None
        assert "Access-Control-Allow-Origin" not in headers


def test_what_is_known_is_not_sent_again(server: Served, run: str) -> None:
    for question, query in [("status", {}), ("results", {}), ("curves", {}), ("overview", {})]:
        first = server.of_run(run, question, **query)
        again = server.of_run(run, question, {"If-None-Match": first.headers["ETag"]}, **query)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        other = server.of_run(run, question, {"If-None-Match": '"other"'}, **query)
        assert other.status == 200


def test_large_answers_are_packed_for_whom_that_helps(server: Served, run: str) -> None:
    plain = server.of_run(run, "status")
    packed = server.of_run(run, "status", {"Accept-Encoding": "gzip, br"})
    assert plain.headers["Content-Encoding"] is None
    assert packed.headers["Content-Encoding"] == "gzip"
    assert without_ages(json.loads(gzip.decompress(packed.body))) == without_ages(plain.values)


def test_however_many_ask_a_run_is_read_once_at_a_time(server: Served, run: str) -> None:
    read = []

    def ask() -> None:
        read.append(server.of_run(run, "status").headers["X-Orch-Read"])

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 24
    assert len(set(read)) <= 2


def test_a_log_comes_in_pieces_as_it_is(folder: Path, server: Served, run: str) -> None:
    whole = orch(folder, "logs", "bad").stdout.encode()
    assert b"<img src=x onerror=boom()>" in whole
    answer = server.of_run(run, "log", job="bad")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body == whole
    end = int(answer.headers["X-Orch-Next"])
    assert end == len(whole) == int(answer.headers["X-Orch-Size"])
    assert server.of_run(run, "log", {"Range": "x"}, job="bad", **{"from": 5}).body == whole[5:]
    assert server.of_run(run, "log", job="bad", **{"from": -7}).body == whole[-7:]
    assert server.of_run(run, "log", job="bad", **{"from": end}).body == b""
    assert server.of_run(run, "log", job="bad", **{"from": 10**12}).body == b""
    assert server.of_run(run, "log", job="bad", whole="").body == whole
    assert server.of_run(run, "log", job="bad", **{"from": "x"}).status == 409
    assert "has no log yet" in server.of_run(run, "log", job="more").values["errors"][0]


def test_a_request_that_is_none_gets_an_answer_and_the_next_one_too(server: Served) -> None:
    for text in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b"\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(text)
            said = connection.makefile("rb").read()
        assert b"Traceback" not in said
        assert b" 4" in said[:20] or b" 5" in said[:20] or b"errors" in said
    assert server.ask("api/list", method="PUT").status == 501
    assert server.ask("api/list").status == 200


def test_only_the_loopback_address_is_listened_on(server: Served) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


def test_a_page_changes_nothing_unless_it_is_allowed_to(server: Served, run: str) -> None:
    for action in ("cancel", "retry"):
        answer = server.act(run, action, {"jobs": "all"})
        assert answer.status == 403
        assert "--allow-actions" in answer.values["errors"][0]
    assert server.ask("api/about").values["actions"] is False


SLEEPS = f"""
  wait: {{command: "sleep 600", matrix: {{n: [1, 2]}},
         metrics: {{loss: {{better: lower}}}}, {SMALL}}}
  other: {{command: "sleep 0", after: [wait], {SMALL}}}
  gate: {{command: "true", when: {{metric: loss, of: wait, at_most: 1}}, {SMALL}}}
"""


@pytest.fixture
def active(tmp_path: Path) -> Iterator[Path]:
    assert (
        orch(tmp_path, "launch", describe(tmp_path, SLEEPS), "--cluster", "local").returncode == 0
    )
    yield tmp_path
    orch(tmp_path, "cancel")


def seen_until(server: Served, name: str, job: str, *wanted: str) -> None:
    """Ask the server until a job is in one of these states."""
    deadline = time.monotonic() + 120
    found: dict[str, str] = {}
    while found.get(job) not in wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
        rows = server.of_run(name, "status").values["jobs"]
        found = {one["job"]: one["state"] for one in rows}


def test_allowed_actions_are_the_commands_with_their_checks(active: Path) -> None:
    name = f"trial/{the_run(active).name}"
    with served(active, "trial", "--allow-actions", end=signal.SIGHUP) as server:
        about = server.ask("api/about").values
        assert (about["run"], about["actions"]) == (name, True)
        seen_until(server, name, "wait/n=1", "RUNNING")
        first = server.of_run(name, "status")
        # Whoever does not show the token in the header, comes from elsewhere, or is unclear.
        for headers in ({"X_Orch_Token": "x"}, {"Origin": "http://evil.example"}):
            assert server.act(name, "cancel", {"jobs": "all"}, **headers).status == 403
        for values in ({}, {"jobs": []}, {"jobs": [""]}, {"jobs": ["wai"]}, {"jobs": "wait"}, []):
            assert server.act(name, "cancel", values).status in (400, 409)
        assert server.of_run(name, "cancel").status == 404
        again = server.of_run(name, "status")
        assert without_ages(again.values["jobs"][2:]) == without_ages(first.values["jobs"][2:])

        done = server.act(name, "cancel", {"jobs": ["wait/n=1"]})
        assert done.values["lines"] == ["cancelled wait/n=1"]
        seen_until(server, name, "wait/n=1", "CANCELLED")

        # Only what has changed since is sent; a number of another server means nothing.
        number = int(first.headers["X-Orch-Number"])
        answer = server.of_run(name, "status", since=number)
        assert answer.headers["X-Orch-Since"] == str(number)
        changed = {one["job"] for one in answer.values["jobs"]}
        assert "wait/n=1" in changed
        assert len(changed) < len(first.values["jobs"])
        assert len(server.of_run(name, "status", since=10**6).values["jobs"]) == 4
        number = int(answer.headers["X-Orch-Number"])
        assert server.of_run(name, "status", since=number).values["jobs"] == []

        assert server.act(name, "retry", {"jobs": ["wait/n=1"]}).status == 200
        seen_until(server, name, "wait/n=1", "PENDING", "RUNNING")

        values = {"job": "gate", "decision": "skip", "reason": "  "}
        refused = server.act(name, "override", values)
        assert refused.status == 409
        assert "needs a reason" in refused.values["errors"][0]
        assert server.act(name, "override", {**values, "decision": "maybe"}).status == 409
        assert server.act(name, "override", {**values, "reason": "seen enough"}).status == 200
        seen_until(server, name, "gate", "SKIPPED")
        lines = server.of_run(name, "why", job="gate").values["lines"]
        assert any("seen enough" in line for line in lines)


def test_a_port_may_be_chosen_and_one_that_is_taken_is_told(folder: Path, server: Served) -> None:
    said = orch(folder, "serve", "--port", str(server.port))
    assert said.returncode == 2
    assert said.stderr == (
        f"orch: port {server.port} of 127.0.0.1: Address already in use; choose another one, or "
        "leave out --port for one that is free\n"
    )


def test_it_says_how_to_come_to_it_and_ends_by_a_signal_while_somebody_asks(folder: Path) -> None:
    with served(folder, end=signal.SIGINT) as server:
        assert server.process.stdout is not None
        tunnel, warning = (server.process.stdout.readline() for _ in range(2))
        open_one = socket.create_connection(("127.0.0.1", server.port))
        assert server.ask("api/list").status == 200
    open_one.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert f"ssh -N -L {server.port}:127.0.0.1:{server.port} " in tunnel
    assert "changes nothing" in warning
    assert len(server.token) >= 43  # 32 bytes
