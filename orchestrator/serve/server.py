"""The HTTP server of `orch serve`: who may ask, what is sent, and how it ends.

In: requests on the loopback address. Out: the files of the page, and answers about runs. Called by
the command `orch serve`.

Whoever can log in to this machine can reach the port, and every page that a browser shows can send
a request to it. So each path begins with a token that only the printed address has; the name that
was asked for must be this machine's own, which a page that has its name point here (DNS rebinding)
cannot change; and what changes a run asks for the token once more, in a header that no foreign page
may send. There is no cookie: browsers would send one to every other port of this machine too.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
import sys
import threading
import time
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote

from engines.shared.reporting.look import css
from orchestrator.errors import OrchError
from orchestrator.serve import actions, answers
from orchestrator.serve.answer import (
    JSON,
    TEXT,
    WORTH_PACKING,
    Answer,
    of_values,
    packed,
    refused,
)
from orchestrator.serve.runs import Runs
from orchestrator.views.overview.signs import SIGNS

ADDRESS = "127.0.0.1"
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a browser may call this machine. The port may be another one: that of a tunnel."""
TOKEN_BYTES = 32
MOST_ASKERS = 64
"""Connections at once; who can reach the port and has no token could open thousands."""
IDLE_SECONDS = 30
"""How long a connection may say nothing."""
PIECE_BYTES = 1 << 20
"""Of a file that are in memory at once."""
MOST_POSTED, LENGTH_DIGITS = 1 << 16, 9
"""Bytes of a request that changes something, and digits of that number."""
MOST_FIELDS = 64
"""Values of a question."""
KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
START, COLOURS = "page.html", "colours.css"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer, where it does not say otherwise."""


def page_files() -> dict[str, Answer]:
    """The files of the page by their names, and the colours that reports have too."""
    found = {COLOURS: Answer(css().encode(), "text/css; charset=utf-8")}
    for entry in files("orchestrator.serve").joinpath("files").iterdir():
        kind = KINDS.get(os.path.splitext(entry.name)[1])  # noqa: PTH122  # no path, where a wheel is a zip
        if kind is not None:
            found[entry.name] = Answer(entry.read_bytes(), f"{kind}; charset=utf-8")
    return found


class Server(ThreadingHTTPServer):
    """Serves until ``shutdown``. Threads that still send end with the process."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, runs: Runs, port: int, allow_actions: bool) -> None:
        self.runs = runs
        self.allow_actions = allow_actions
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.files = page_files()
        self.asked = time.monotonic()
        """When somebody who may has asked last."""
        self.room = threading.BoundedSemaphore(MOST_ASKERS)
        super().__init__((ADDRESS, port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, as long as there is room."""
        if not self.room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody has gone in the middle of an answer: nothing to say."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def about(self) -> Answer:
        """What the page must know of the server."""
        signs = {str(state): vars(sign) for state, sign in SIGNS.items()}
        return of_values(
            {
                "actions": self.allow_actions,
                "run": self.runs.first(),
                "host": socket.gethostname(),
                "runs": str(self.runs.root),
                "signs": signs,
            }
        )


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "orch", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """A file of the page, or an answer about a run."""
        # A body, which no such request needs, would be taken for the next one.
        self.close_connection |= bool({"content-length", "transfer-encoding"} & self.names)
        self.send(self.guarded(self.found))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Change a run."""
        answer = self.guarded(self.changed)
        # What was not read of the request would be taken for the next one.
        self.close_connection = True
        self.send(answer)

    @property
    def names(self) -> set[str]:
        """Of the headers that were sent."""
        return {name.lower() for name in self.headers}

    @cached_property
    def parts(self) -> list[str]:
        """The path without its token, decoded."""
        return [unquote(part) for part in self.path.partition("?")[0].split("/")[2:]]

    def guarded(self, made: Any) -> Answer:
        """What a function answers, if the request may be answered at all."""
        self.__dict__.pop("parts", None)
        if not self.is_own_name():
            return refused(421, "this server answers to 127.0.0.1 and localhost alone")
        if not self.has_token(self.path.partition("?")[0].split("/")[1:2]):
            return refused(403, "open the whole address that orch serve has printed")
        self.server.asked = time.monotonic()
        try:
            answer: Answer | None = made()
        except OrchError as error:
            return refused(409, *error.lines)
        except OSError as error:
            return refused(500, f"{error.filename or 'this machine'}: {error.strerror}")
        return answer or refused(404, "there is nothing of this name")

    def is_own_name(self) -> bool:
        """Whether the one name that was asked for is this machine's own."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1:
            return False
        name, _, port = hosts[0].rpartition(":")
        return hosts[0] in OWN_NAMES or (name in OWN_NAMES and port.isdecimal())

    def has_token(self, given: list[str]) -> bool:
        """Whether a text is the token; found out in the same time for every wrong one."""
        return hmac.compare_digest("".join(given).encode(), self.server.token.encode())

    def found(self) -> Answer | None:
        """The answer to a question."""
        if self.parts == ["api", "about"]:
            return self.server.about()
        if self.parts[:1] == ["api"]:
            try:
                text = self.path.partition("?")[2]
                query = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
            except ValueError:
                return refused(400, f"a question has at most {MOST_FIELDS} values")
            return answers.answer(self.server.runs, self.parts[1:], query)
        name = "/".join(self.parts)
        return self.server.files.get(name or START if self.parts else "")

    def changed(self) -> Answer | None:
        """What an action has done, once it is sure who asks."""
        if not self.server.allow_actions:
            return refused(403, "actions are off: start it with orch serve --allow-actions")
        if not self.has_token(self.headers.get_all("X-Orch-Token") or []):
            return refused(403, "X-Orch-Token is missing, or is not the token")
        origins = self.headers.get_all("Origin") or []
        if origins not in ([], [f"http://{self.headers['Host']}"]):
            return refused(403, "this page is of another origin")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > LENGTH_DIGITS or int(length) > MOST_POSTED:
            return refused(413, f"a request has at most {MOST_POSTED} bytes")
        try:
            values = json.loads(self.rfile.read(int(length)))
        # RecursionError: brackets in brackets.
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            return refused(400, "a request is a JSON object")
        return actions.act(self.server.runs, self.parts[1:], values)

    def send(self, answer: Answer) -> None:
        """Send an answer; if the asker has it already, only that."""
        known = answer.is_known(self.headers.get("If-None-Match", ""))
        body = b"" if known else answer.body
        self.send_response(HTTPStatus.NOT_MODIFIED if known else answer.status)
        headers = {**HEADERS, "Content-Type": answer.kind, **answer.more}
        if answer.tag:
            headers["ETag"] = answer.tag
        accepted = self.headers.get("Accept-Encoding", "")
        if len(body) >= WORTH_PACKING and "gzip" in accepted and answer.kind in (JSON, TEXT):
            body = packed(body)
            headers["Content-Encoding"] = "gzip"
        size = len(body) if answer.file is None else answer.file.stat().st_size
        if not known:
            headers["Content-Length"] = str(size)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.file is None:
            self.wfile.write(body)
        else:
            self.send_file(answer, size)

    def send_file(self, answer: Answer, size: int) -> None:
        """As much of a file as was promised; it may grow meanwhile."""
        assert answer.file is not None
        with answer.file.open("rb") as file:
            left = size
            while left and (piece := file.read(min(left, PIECE_BYTES))):
                self.wfile.write(piece)
                left -= len(piece)
        # It has become shorter: whoever reads must not wait for the rest.
        if left:
            self.close_connection = True

    def send_error(self, code: int, message: str | None = None, _: str | None = None) -> None:
        """What cannot be read as a request."""
        self.close_connection = True
        if not hasattr(self, "headers"):
            self.headers = self.MessageClass()
        self.command = getattr(self, "command", None) or "GET"
        self.send(refused(int(code), message or HTTPStatus(code).phrase))

    def log_message(self, *_: Any) -> None:
        """Nothing: a path holds the token."""
