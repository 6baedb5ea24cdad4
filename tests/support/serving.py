"""A real `orch serve` beside a test, and what it answers.

A test calls ``served`` with the folder that holds its runs; the server is a process of its own and
ends with the block, by SIGTERM.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.support.cli import ORCH


@dataclass(frozen=True)
class Answered:
    """What the server has answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def values(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A server that is there."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Its port."""
        return int(urlsplit(self.url).port or 0)

    @property
    def token(self) -> str:
        """The secret part of its URL."""
        return urlsplit(self.url).path.split("/")[1]

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: bytes | None = None,
        token: str | None = None,
    ) -> Answered:
        """Ask for a path behind the token.

        Args:
            token: another one than its own; empty: none.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            start = self.token if token is None else token
            connection.request(method, f"/{start}/{path}", body, dict(headers or {}))
            answer = connection.getresponse()
            return Answered(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def of_run(self, run: str, question: str, headers: Any = None, **query: Any) -> Answered:
        """Ask about a run; a list in the query is a key that is repeated."""
        text = urlencode(query, doseq=True)
        return self.ask(f"api/run/{quote(run)}/{question}{f'?{text}' if text else ''}", headers)

    def act(self, run: str, action: str, values: Any, **headers: str) -> Answered:
        """Change a run as the page does; ``headers`` in place of its own."""
        sent = {"X-Orch-Token": self.token, "Origin": f"http://127.0.0.1:{self.port}"}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps(values).encode()
        return self.ask(f"api/run/{quote(run)}/{action}", sent, "POST", body)


def heeding_signals() -> None:
    """What starts the tests may ignore signals, as nohup does, and a server then ignores them too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def served(folder: Path, *arguments: str | Path, end: int = signal.SIGTERM) -> Iterator[Served]:
    """`orch serve` in a folder, with its runs there, until the block ends."""
    variables = {**os.environ, "ORCH_RUNS": str(folder / "runs"), "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [ORCH, "serve", *map(str, arguments)],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding_signals,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        yield Served(url, process)
    finally:
        process.send_signal(end)
        try:
            said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, said[1]) == (0, "")
