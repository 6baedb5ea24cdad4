"""Tell a person when a run ends, when jobs of it die, and when it waits for a decision. Nobody
waits for it: whoever notices first sends.

Noticed by every orch command that looks at the run, by the scheduler of the cluster `local`, and on
Slurm by a job of one core after the last ones. Each message is noted in ``<run>/notified.json``
before it is sent, under the run's lock, so nobody sends it twice. One that was certainly not
delivered (refused, exit code, error status) is tried again by the next who looks, three times in
all; one whose sender died, or that was not answered in time, may have arrived and is not. So a
message comes at most once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from orchestrator.description.notifications import EVENTS
from orchestrator.lifecycle.retry_policy import doomed
from orchestrator.node.system import write_json
from orchestrator.runs.record import ACTIVE, FAILED, JobId, JobState, Record, Wait
from orchestrator.runs.run import Run, wanted_by

SEND_SECONDS = 20.0


TRIES = 3


LEFT_TO_A_PERSON = frozenset({Wait.NOTHING_MORE, Wait.CANARY, Wait.SIBLINGS})
"""Waits that end only when a person decides how to go on."""


class NotDelivered(Exception):
    """It certainly did not arrive; it may be sent again."""


@dataclass(frozen=True)
class Event:
    """Something that a person should know."""

    kind: str
    """One of EVENTS."""
    key: str
    """The same however often it is noticed, another one once something new has happened."""
    text: str


def events(run: Run, records: Sequence[Record]) -> list[Event]:
    """What has happened, as far as the records tell. Pure."""
    if not any(record.attempt for record in records):
        return []
    found = failures(run, records)
    waits = decisions(run, records)
    found += waits
    if not waits and all(
        one.state in FAILED or one.state in (JobState.COMPLETED, JobState.SKIPPED, JobState.WAITING)
        for one in records
    ):
        counts = Counter(str(one.state) for one in records)
        dead = [
            one
            for one in records
            if one.state in FAILED and one.cause and one.state is not JobState.CANCELLED
        ]
        text = (
            f"{run.name} has ended: "
            f"{', '.join(f'{count} {state}' for state, count in sorted(counts.items()))}"
        )
        text += f"; {dead[0].name}: {dead[0].reason}" if dead else ""
        found.append(
            Event(
                "end",
                f"end/{digest((one.name, one.attempt, one.restarts, one.state) for one in records)}",
                text,
            )
        )
    return found


def failures(run: Run, records: Sequence[Record]) -> list[Event]:
    """One event for the jobs of a stage that died of the same kind of cause in the same attempt;
    more of them are not told again."""
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for one in records:
        if one.state in FAILED and one.state is not JobState.CANCELLED:
            groups.setdefault((one.stage, one.cause or str(one.state), one.attempt), []).append(one)
    return [
        Event(
            "fail",
            f"fail/{stage}/{cause}/{attempt}",
            f"{run.name}: {dead[0].name}"
            + (f" and {len(dead) - 1} more of {stage}" if len(dead) > 1 else "")
            + f" {dead[0].state}: {dead[0].reason or cause}",
        )
        for (stage, cause, attempt), dead in groups.items()
    ]


def decisions(run: Run, records: Sequence[Record]) -> list[Event]:
    """One event per stage that goes on only if a person says how: a gate without values to come, or
    jobs held back."""
    stages: dict[str, list[Record]] = {}
    fates = doomed(records)
    for one in records:
        queued_in_vain = one.waits_on is Wait.QUEUE_LIMIT and one.name in fates
        if one.held or one.waits_on in LEFT_TO_A_PERSON or queued_in_vain:
            stages.setdefault(one.stage, []).append(one)
    newest = {stage: max(one.attempt for one in records if one.stage == stage) for stage in stages}
    whole = max(one.attempt for one in records)
    return [
        Event(
            "decision",
            f"decision/{stage}/{newest[stage]}/{whole}",
            f"{run.name} waits for a decision: {len(mine)} jobs of {stage}: "
            f"{mine[0].reason}; orch why {mine[0].name}",
        )
        for stage, mine in stages.items()
    ]


def digest(values: Any) -> str:
    """A short hash of plain values."""
    return hashlib.sha256(json.dumps([list(map(str, one)) for one in values]).encode()).hexdigest()[
        :16
    ]


def look(run: Run, records: Sequence[Record]) -> None:
    """Send what is due and was not sent. Call without the lock. A message that cannot be sent
    changes nothing else."""
    wanted = wanted_by(run)
    if not wanted:
        return
    on = wanted.get("on") or EVENTS
    from orchestrator.runs.redaction import redacted  # most runs tell nobody

    # A reason is a line of a log, and a message leaves the machine.
    told = [replace(one, text=redacted(one.text)) for one in events(run, records) if one.kind in on]
    due = [(f"{one.key} {name}", one, send) for one in told for name, send in senders(run, wanted)]
    known = noted(run)
    if all(done(known.get(key)) for key, _, _ in due):
        return
    with run.lock():
        known = noted(run)
        mine = [(key, one, send) for key, one, send in due if not done(known.get(key))]
        for key, one, _ in mine:
            known[key] = {
                "event": one.kind,
                "text": one.text,
                "time": time.time(),
                "state": "sending",
                "by": f"{socket.gethostname()}, process {os.getpid()}",
                "tries": known.get(key, {}).get("tries", 0) + 1,
            }
        write_json(path_of(run), known)
    for key, one, send in mine:
        outcome = deliver(send, one)
        with run.lock():
            known = noted(run)
            known[key] |= outcome
            write_json(path_of(run), known)


def deliver(send: Callable[[Event], None], event: Event) -> dict[str, str]:
    """Send one message; what became of it."""
    try:
        send(event)
    except NotDelivered as error:
        return {"state": "not delivered", "error": str(error)}
    except TimeoutError:
        return {"state": "unclear", "error": f"no answer within {SEND_SECONDS:.0f} s"}
    return {"state": "sent"}


def done(note: Mapping[str, Any] | None) -> bool:
    """Whether a message needs nobody any more."""
    return note is not None and (note["state"] != "not delivered" or note["tries"] >= TRIES)


def path_of(run: Run) -> Path:
    """Where a run's messages are noted."""
    return run.folder / "notified.json"


def noted(run: Run) -> dict[str, dict[str, Any]]:
    """Messages by key and way."""
    path = path_of(run)
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def senders(run: Run, wanted: Mapping[str, Any]) -> list[tuple[str, Callable[[Event], None]]]:
    """The ways that work here, by name; what lacks its variable or program is left to somebody
    elsewhere."""
    found: list[tuple[str, Callable[[Event], None]]] = []
    if "command" in wanted:
        found.append(
            (
                "command",
                lambda event: run_command(
                    [filled(word, run, event) for word in wanted["command"]], event
                ),
            )
        )
    if "webhook_env" in wanted and os.environ.get(wanted["webhook_env"]):
        found.append(("webhook", lambda event: post(os.environ[wanted["webhook_env"]], event)))
    if "mail" in wanted and (shutil.which("mail") or shutil.which("sendmail")):
        found.append(("mail", lambda event: mail(wanted["mail"], run, event)))
    return found


def filled(word: str, run: Run, event: Event) -> str:
    """An argument with its place-holders filled in."""
    for name, value in (
        ("{event}", event.kind),
        ("{run}", run.name),
        ("{folder}", str(run.folder)),
        ("{text}", event.text),
    ):
        word = word.replace(name, value)
    return word


def run_command(command: Sequence[str], event: Event, said: str | None = None) -> None:
    """Run a program with the message as its standard input."""
    try:
        result = subprocess.run(
            command,
            input=(said or event.text) + "\n",
            capture_output=True,
            text=True,
            timeout=SEND_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    except OSError as error:
        raise NotDelivered(f"cannot start {command[0]}: {error.strerror}") from error
    if result.returncode:
        raise NotDelivered(
            f"{command[0]} ended with exit code {result.returncode}: "
            f"{' '.join(result.stderr.split())[:200]}"
        )


def mail(address: str, run: Run, event: Event) -> None:
    """A mail, through what the machine has."""
    subject = f"orch: {run.name}: {event.kind}"
    if shutil.which("mail"):
        run_command(["mail", "-s", subject, address], event)
    else:
        run_command(["sendmail", "-t"], event, f"To: {address}\nSubject: {subject}\n\n{event.text}")


def post(url: str, event: Event) -> None:
    """The message as JSON, ``{"text": ...}``. What goes wrong is told without the URL: it is a
    secret."""
    if not url.startswith(("https://", "http://")):
        raise NotDelivered("the variable does not hold a URL that begins with https://")
    # what they import in turn would be a tenth of an `orch status` that tells nobody anything
    import urllib.error
    import urllib.request

    body = json.dumps({"text": event.text}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310  # https, as checked above
    try:
        with urllib.request.urlopen(request, timeout=SEND_SECONDS):  # noqa: S310  # http or https, as checked above
            pass
    except urllib.error.HTTPError as error:
        raise NotDelivered(f"the server answered {error.code}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        raise NotDelivered(
            f"the server cannot be reached ({type(error.reason).__name__})"
        ) from error


def awaited(run: Run, records: Sequence[Record]) -> list[list[Record]]:
    """The active jobs after which a job of one core has to look, because nobody else may; an array
    counts as one."""
    if not wanted_by(run):
        return []
    heads: dict[str, Record] = {}
    for one in records:
        if one.state in ACTIVE and one.job_id:
            head = JobId.parse(one.job_id).head
            heads.setdefault(head, structs.replace(one, job_id=head, token=one.parsed_token.head))
    return [list(heads.values())] if heads else []
