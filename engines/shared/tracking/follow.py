"""Log an engine's progress to trackers while it works.

    python -m engines.shared.tracking.follow OUT JSON

The program on the node starts it beside an engine (``orchestrator/node/tracking/follower.py``),
with the same Python and environment. In: ``progress.jsonl`` in the engine's output; on standard
input, when the engine has ended, its exit code. Out: what the trackers write; ``tracking.json``;
one line for each tracker that fails, which is then left out. What libraries print goes into
``tracking.log``, so that it is not taken for the engine's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.contract.files import write_json
from engines.shared.tracking.points import Point, Points
from engines.shared.tracking.trackers import TRACKERS, Tracker

SECRET = re.compile("TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS", re.IGNORECASE)
"""Names of variables whose values are secrets."""
SHORTEST = 8
"""A value of fewer letters is in too many texts by chance."""
SECONDS = 5.0
"""Between two looks at the file."""


class Follower:
    """The trackers of one start of an engine."""

    def __init__(self, out: Path, asked: dict[str, Any], said_to: int) -> None:
        """``asked``: which trackers, who the job is, and the number of the progress file that was
        there before. ``said_to``: the descriptor of the job's log."""
        self.out = out
        self.who = asked["who"]
        self.said_to = said_to
        self.points = Points(out / "progress.jsonl", asked["earlier_progress"])
        self.status = out / "tracking.json"
        self.sent: dict[str, dict[str, int]] = json.loads(self.status.read_text())["sent"]
        """By tracker and phase: the last step."""
        self.problems: dict[str, str] = {}
        self.trackers: dict[str, Tracker] = {}
        self.before: dict[str, dict[str, int]] = {}
        """``sent`` as it was when the progress file was opened."""
        for name in asked["to"]:
            with self.told(name):
                self.trackers[name] = TRACKERS[name](self.who, self.config(), out)
                if not self.trackers[name].goes_on:
                    self.sent[name] = {}
                self.before[name] = dict(self.sent.setdefault(name, {}))
        self.save()

    def config(self) -> dict[str, Any]:
        """The engine's config."""
        found: dict[str, Any] = json.loads((self.out.parent / "config.json").read_text())
        return found

    @contextlib.contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Say what goes wrong with a tracker, and leave it out from then on."""
        try:
            yield
        # Whatever it is: a tracker must not cost the job anything.
        except Exception as error:
            self.trackers.pop(name, None)
            said = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:500]
            if isinstance(error, ImportError):
                said = (
                    f"{sys.executable} cannot import it ({error}): install it there, or take it "
                    "out of 'track'"
                )
            self.problems[name] = said
            os.write(self.said_to, f"orch: track: {name}: {said}\n".encode())
            self.save()

    def look(self, final: bool = False) -> None:
        """Log what is new."""
        points = self.points.new(final)
        if self.points.anew:
            # Some engines open the file twice; what they keep of it has been logged.
            self.before = {name: dict(steps) for name, steps in self.sent.items()}
        for name in list(self.trackers):
            with self.told(name):
                for point in points:
                    self.log(name, point)
                self.trackers[name].flush()
        if points:
            self.save()

    def log(self, name: str, point: Point) -> None:
        """Log a point, unless an earlier start has."""
        if point.step <= self.before[name].get(point.phase, -1):
            return
        self.trackers[name].log(point)
        self.sent[name][point.phase] = point.step

    def save(self, finished: bool = False) -> None:
        """Leave how far it has come."""
        write_json(
            self.status, {"sent": self.sent, "problems": self.problems, "finished": finished}
        )

    def finish(self, code: int) -> None:
        """Log the rest and end the runs."""
        self.look(final=True)
        for name, tracker in list(self.trackers.items()):
            with self.told(name):
                tracker.finish(code)
        self.save(finished=True)


def without_secrets(text: str) -> str:
    """A library's message without the values of variables that hold secrets, and without passwords
    in addresses."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, f"${name}")
    return re.sub(r"://[^/@\s]+@", "://<secret>@", text)


def ended(seconds: float) -> int | None:
    """Wait for so long for the engine's exit code; None: it still runs."""
    if not select.select([0], [], [], seconds)[0]:
        return None
    text = sys.stdin.readline().strip()
    # Nothing: the program on the node was killed.
    return int(text) if text else 1


def main(out: Path, asked: dict[str, Any]) -> int:
    """Follow an engine to its end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        # The end of the engine is what counts; the last points come after it.
        signal.signal(number, signal.SIG_IGN)
    said_to = os.dup(1)
    # What libraries print goes where errors go: into ``tracking.log``.
    os.dup2(2, 1)
    follower = Follower(out, asked, said_to)
    code = None
    while code is None:
        follower.look()
        code = ended(SECONDS)
    follower.finish(code)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
