"""Messages: sent by whoever notices first, once per event, by a real command and to a real HTTP
server."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace

from engines.contract.written.nodes import wrap
from orchestrator.description.checking import checked
from orchestrator.description.keys import NotifyFile
from orchestrator.lifecycle.notifications import decisions, events, failures
from orchestrator.runs.lookup import find_run, open_run
from orchestrator.runs.record import JobState
from tests.support.cli import ORCH, SMALL, orch
from tests.support.private_slurm import PrivateSlurm

STAGES = (
    f"  good: {{command: 'true', {SMALL}}}\n  bad: {{command: sh -c 'echo the answer is "
    f"wrong; exit 3', {SMALL}}}\n"
)


class Server(HTTPServer):
    """Keeps what was posted, and answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posted: list[str] = []
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(json.loads(body)["text"])
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder without a profile of the user's own."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def profile(folder: Path, notify: str) -> str:
    (folder / "here.yaml").write_text(f"kind: local\nnotify: {notify}\n")
    (folder / "trial.yaml").write_text(f"experiment: trial\nstages:\n{STAGES}")
    return str(folder / "here.yaml")


def test_a_command_is_told_of_the_death_and_of_the_end_once_though_many_look(
    tmp_path: Path,
) -> None:
    cluster = profile(
        tmp_path,
        '{command: [sh, -c, \'printf "%s|%s\\n" "$1" "$2" >> told\', sh, "{event}", "{text}"]}',
    )
    assert (
        orch(tmp_path, "launch", "trial.yaml", "--cluster", cluster, "--no-watch").returncode == 0
    )
    deadline = time.monotonic() + 200
    while not (tmp_path / "runs").glob("[!.]*/*/notified.json") or "end" not in (
        told := read(tmp_path)
    ):
        assert time.monotonic() < deadline, (
            "nobody but the local scheduler looks, and it has told nothing"
        )
        time.sleep(0.2)
    both = [
        subprocess.Popen(
            [ORCH, "status"],
            env={**os.environ, "ORCH_RUNS": str(tmp_path / "runs")},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [one.wait() for one in both] == [0, 0, 0]
    told = read(tmp_path)
    assert sorted(told) == ["end", "fail"]
    assert "bad FAILED: exit code 3: the answer is wrong" in told["fail"]
    assert "has ended: 1 COMPLETED, 1 FAILED" in told["end"]


def read(folder: Path) -> dict[str, str]:
    """Messages by event; the same event twice is an error."""
    (run,) = (folder / "runs").glob("[!.]*/*")
    lines = (
        [line.split("|", 1) for line in (run / "told").read_text().splitlines()]
        if (run / "told").exists()
        else []
    )
    lines += (
        [line.split("|", 1) for line in (folder / "told").read_text().splitlines()]
        if (folder / "told").exists()
        else []
    )
    assert len({kind for kind, _ in lines}) == len(lines), lines
    return dict(lines)


def test_a_webhook_is_posted_to_and_its_address_is_written_nowhere(
    tmp_path: Path, server: Server
) -> None:
    url = f"http://127.0.0.1:{server.server_port}/services/a-planted-secret"
    cluster = profile(tmp_path, "{webhook_env: MY_HOOK, on: [end]}")
    assert (
        orch(
            tmp_path, "launch", "trial.yaml", "--cluster", cluster, "--watch", MY_HOOK=url
        ).returncode
        == 1
    )
    orch(tmp_path, "status", MY_HOOK=url)
    assert len(server.posted) == 1
    assert "trial/full-" in server.posted[0]
    kept = [
        path
        for path in (tmp_path / "runs").rglob("*")
        if path.is_file() and b"a-planted-secret" in path.read_bytes()
    ]
    assert kept == []


def test_what_was_refused_is_tried_three_times_and_what_nobody_can_send_here_is_left(
    tmp_path: Path, server: Server
) -> None:
    server.status = 500
    cluster = profile(tmp_path, "{webhook_env: MY_HOOK, on: [end]}")
    assert orch(tmp_path, "launch", "trial.yaml", "--cluster", cluster, "--watch").returncode == 1
    (run,) = (tmp_path / "runs").glob("[!.]*/*")
    assert not (run / "notified.json").exists(), (
        "without the variable nothing can be sent, so nothing is marked as sent"
    )
    for _ in range(5):
        assert (
            orch(tmp_path, "status", MY_HOOK=f"http://127.0.0.1:{server.server_port}/x").returncode
            == 0
        )
    assert len(server.posted) == 3
    (note,) = json.loads((run / "notified.json").read_text()).values()
    assert (note["state"], note["tries"], note["error"]) == (
        "not delivered",
        3,
        "the server answered 500",
    )


@pytest.mark.slurm
def test_on_slurm_a_job_after_the_last_ones_tells_though_nobody_looks(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    profile(tmp_path, "{}")
    (tmp_path / "there.yaml").write_text(
        slurm.profile.read_text() + 'notify: {command: [sh, -c, \'printf "%s|%s\\n" "$1" "$2" >> '
        f"{tmp_path}/told', sh, '{{event}}', '{{text}}']}}\n"
    )
    done = orch(
        tmp_path, "launch", "trial.yaml", "--cluster", str(tmp_path / "there.yaml"), "--no-watch"
    )
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 300
    while not (tmp_path / "told").exists() or sorted(read(tmp_path)) != ["end", "fail"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_retry_makes_new_events_and_held_jobs_ask_for_a_decision(tmp_path: Path) -> None:
    cluster = profile(tmp_path, "{command: ['true']}")
    orch(tmp_path, "launch", "trial.yaml", "--cluster", cluster, "--watch")
    run = open_run(next((tmp_path / "runs").glob("[!.]*/*")))
    first = run.load()
    keys = {event.key for event in events(run, first)}
    assert {event.kind for event in events(run, first)} == {"fail", "end"}
    orch(tmp_path, "retry", "--job", "bad")
    orch(tmp_path, "status", "--watch")
    second = find_run(str(run.folder)).load()
    assert keys.isdisjoint(event.key for event in events(run, second))
    held = [
        one
        if one.name == "bad"
        else replace(one, state=JobState.PENDING, held=True, reason="held: x")
        for one in second
    ]
    (asked,) = decisions(run, held)
    assert asked.kind == "decision"
    assert "orch why good" in asked.text
    assert [event.kind for event in events(run, held)] == ["fail", "decision"], (
        "what waits for a decision has not ended"
    )
    many = [
        replace(one, stage="s", name=str(number), state=JobState.FAILED, cause="NaN", reason="NaN")
        for number, one in enumerate(second * 50)
    ]
    assert len(failures(run, many)) == 2, (
        "a hundred jobs that died alike are one message per attempt"
    )


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({}, "mapping"),
        ({"mail": 3}, "must be an address, got 3"),
        ({"on": ["end"]}, "how"),
        ({"comand": ["x"]}, "comand"),
        ({"command": "echo x"}, "list of words"),
        ({"mail": "a@b", "on": ["done"]}, "'on'"),
    ],
)
def test_mistakes_say_what_it_should_have_been(value: dict[str, object], word: str) -> None:
    told: list[str] = []
    checked(NotifyFile, wrap(value, "x.yaml:1"), lambda _, text: told.append(text))
    assert len(told) == 1
    assert word in told[0]


@pytest.mark.parametrize(
    ("experiment", "cluster", "heard"),
    [(True, True, "experiment"), (False, True, "cluster"), (False, False, "user")],
)
def test_the_experiment_goes_before_the_profile_and_that_before_the_users_own_file(
    tmp_path: Path, experiment: bool, cluster: bool, heard: str
) -> None:
    def tells(who: str) -> str:
        return f"{{on: [end], command: [sh, -c, 'echo {who} >> {tmp_path}/told']}}"

    (tmp_path / ".config" / "orch").mkdir(parents=True)
    (tmp_path / ".config" / "orch" / "notify.yaml").write_text(tells("user") + "\n")
    (tmp_path / "here.yaml").write_text(
        "kind: local\n" + (f"notify: {tells('cluster')}\n" if cluster else "")
    )
    top = f"notify: {tells('experiment')}\n" if experiment else ""
    (tmp_path / "trial.yaml").write_text(
        f"experiment: trial\n{top}stages:\n  good: {{command: 'true', {SMALL}}}\n"
    )
    done = orch(
        tmp_path, "launch", "trial.yaml", "--cluster", str(tmp_path / "here.yaml"), "--watch"
    )
    assert done.returncode == 0, done.stderr
    orch(tmp_path, "status")
    assert (tmp_path / "told").read_text() == f"{heard}\n"


@pytest.mark.parametrize(
    ("place", "text", "line", "word"),
    [
        ("trial.yaml", "  on: [done]\n  mail: a@b", 3, "list of end, fail, decision"),
        ("trial.yaml", "  on: [end]", 2, "says how"),
        ("trial.yaml", "  mail: a@b\n  webhok_env: X", 4, "did you mean 'webhook_env'?"),
        ("here.yaml", "  mail: a@b\n  webhok_env: X", 4, "did you mean 'webhook_env'?"),
        (".config/orch/notify.yaml", "  on: [end]\n  mail: 3", 4, "must be an address, got 3"),
    ],
)
def test_a_bad_value_is_one_line_with_its_place(
    tmp_path: Path, place: str, text: str, line: int, word: str
) -> None:
    profile(tmp_path, "{mail: a@b}")
    (tmp_path / "here.yaml").write_text("kind: local\n")
    (tmp_path / ".config" / "orch").mkdir(parents=True)
    if place == "trial.yaml":
        (tmp_path / place).write_text(f"experiment: trial\nnotify:\n{text}\nstages:\n{STAGES}")
    elif place == "here.yaml":
        (tmp_path / place).write_text(f"kind: local\nnotify:\n{text}\n")
    else:
        (tmp_path / place).write_text(text.replace("  ", "") + "\n")
        line -= 2
    done = orch(
        tmp_path, "launch", "trial.yaml", "--cluster", str(tmp_path / "here.yaml"), "--dry-run"
    )
    assert done.returncode == 2, done.stderr
    (said,) = [text for text in done.stderr.splitlines() if text.startswith("orch: ")]
    assert f"{place}:{line}: " in said
    assert word in said
    assert "Traceback" not in done.stderr
