"""Tell a person when a run ends, when jobs of it fail, and when it waits for a decision. Nothing
waits for that: whoever notices it first sends the message.

Records go in. ``events`` says what there is to tell (pure), ``send`` sends what was not sent yet;
every pass ends with it (orchestrator/lifecycle/refresh.py), also the passes of the scheduler of the
cluster `local` and of the one-core job that Slurm starts after the last ones.

A message comes at most once. It is noted in ``<run>/notified.json`` before it is sent, under the
run's lock. One that was certainly not delivered (refused, exit code, error status) is tried again
in the next pass, three times in all; one whose sender was killed, or that was not answered in
time, may have arrived and is not sent again.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Required, TypedDict

from msgspec import structs

from orchestrator.description.profile import EVENTS, Messages
from orchestrator.lifecycle.bounds import budget
from orchestrator.lifecycle.retry_policy import would_fail_alike
from orchestrator.node.system import write_json
from orchestrator.runs.documents.reading import document
from orchestrator.runs.record import ACTIVE, FAILED, LIMITED, JobId, JobState, Record, Wait
from orchestrator.runs.run import Run, wanted_by

SEND_SECONDS = 20.0
"""How long a program or a server may take over one message."""

TRIES = 3
"""How often a message is sent that does not arrive."""


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


Send = Callable[[Event], None]
"""One way to tell a person. NotDelivered or TimeoutError if that has failed."""

AT_REST = FAILED | {JobState.COMPLETED, JobState.SKIPPED, JobState.WAITING}
"""States in which nothing happens to a job by itself."""


def events(run: Run, records: Sequence[Record]) -> list[Event]:
    """What has happened, as far as the records tell. Pure."""
    # A run of which nothing was submitted is at rest too, but it has not ended.
    if not any(record.attempt for record in records):
        return []
    waits = decisions(run, records)
    found = [*failures(run, records), *waits]
    # A run that waits for a decision, or for room in the queue, has not ended either.
    limited = any(one.waits_on is Wait.QUEUE_LIMIT for one in records)
    if not waits and not limited and all(one.state in AT_REST for one in records):
        found.append(end(run, records))
    return found


def end(run: Run, records: Sequence[Record]) -> Event:
    """The end of a run, another one whenever a job has run since."""
    counts = Counter(str(one.state) for one in records)
    counted = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    text = f"{run.name} has ended: {counted}"
    failed = next((one for one in records if has_failed(one) and one.cause), None)
    if failed is not None:
        text += f"; {failed.name}: {failed.reason}"
    told = digest((one.name, one.attempt, one.restarts, one.state) for one in records)
    return Event("end", f"end/{told}", text)


def has_failed(record: Record) -> bool:
    """Whether a job has failed, and was not only cancelled."""
    return record.state in FAILED and record.state is not JobState.CANCELLED


def failures(run: Run, records: Sequence[Record]) -> list[Event]:
    """One event for the jobs of a stage that failed of the same kind of cause in the same attempt;
    more of them are not told again."""
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for one in records:
        if has_failed(one):
            group = (one.stage, one.cause or str(one.state), one.attempt)
            groups.setdefault(group, []).append(one)
    found = []
    for (stage, cause, attempt), failed in groups.items():
        first = failed[0]
        more = f" and {len(failed) - 1} more of {stage}" if len(failed) > 1 else ""
        text = f"{run.name}: {first.name}{more} {first.state}: {first.reason or cause}"
        found.append(Event("fail", f"fail/{stage}/{cause}/{attempt}", text))
    return found


def decisions(run: Run, records: Sequence[Record]) -> list[Event]:
    """One event per stage that goes on only if a person says how: a gate without values to come, or
    jobs held back, or a budget that is spent."""
    held_reasons = would_fail_alike(records)
    stages: dict[str, list[Record]] = {}
    for one in records:
        # A job that waits for room too would not be submitted if there were some.
        queued_in_vain = one.waits_on in LIMITED and one.name in held_reasons
        spent = one.waits_on is Wait.BUDGET and budget.cannot_go_on(records)
        if one.held or one.waits_on in LEFT_TO_A_PERSON or queued_in_vain or spent:
            stages.setdefault(one.stage, []).append(one)
    # Attempts are part of the key, so after a retry anywhere in the run the same wait is told
    # again.
    newest_of_all = max(one.attempt for one in records)
    found = []
    for stage, waiting in stages.items():
        newest = max(one.attempt for one in records if one.stage == stage)
        text = (
            f"{run.name} waits for a decision: {len(waiting)} jobs of {stage}: "
            f"{waiting[0].reason}; orch why {waiting[0].name}"
        )
        found.append(Event("decision", f"decision/{stage}/{newest}/{newest_of_all}", text))
    return found


def digest(values: Any) -> str:
    """A short hash of plain values."""
    plain = [list(map(str, one)) for one in values]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Message:
    """An event on its way to a person."""

    key: str
    """What it is noted by: the event's key and the way it takes."""
    event: Event
    send: Send


class Outcome(TypedDict, total=False):
    """What became of a message."""

    state: Required[str]
    """``sending``, ``sent``, ``not delivered`` or ``unclear``."""
    error: str


class Noted(Outcome):
    """What ``notified.json`` says of a message."""

    event: str
    text: str
    time: float
    by: str
    tries: int


def send(run: Run, records: Sequence[Record]) -> None:
    """Send what is due and was not sent. Call without the lock. A message that cannot be sent
    changes nothing else."""
    wanted = wanted_by(run)
    if not wanted:
        return
    due = messages(run, records, wanted)
    known = noted(run)
    # Nearly every pass ends here: asked without the lock first, which others may hold for long.
    if known is None or all(is_over(known.get(message.key)) for message in due):
        return
    with run.lock():
        known = noted(run) or {}
        # Another process may have sent some since.
        unsent = [message for message in due if not is_over(known.get(message.key))]
        for message in unsent:
            known[message.key] = note(message.event, known.get(message.key))
        write_json(path_of(run), known)
    for message in unsent:
        # Not under the lock: a server may take SEND_SECONDS, and no other command could poll the
        # run.
        outcome = deliver(message)
        with run.lock():
            known = noted(run) or known
            known[message.key] = {**known[message.key], **outcome}
            write_json(path_of(run), known)


def messages(run: Run, records: Sequence[Record], wanted: Messages) -> list[Message]:
    """What there is to tell, by every way that works here."""
    from orchestrator.runs.provenance.redaction import redacted_output

    kinds = wanted.get("on") or EVENTS
    ways = senders(run, wanted)
    found = []
    for event in events(run, records):
        if event.kind in kinds:
            # A reason is a line of a log, and a message leaves the machine.
            clean = replace(event, text=redacted_output(event.text))
            found += [Message(f"{clean.key} {name}", clean, way) for name, way in ways]
    return found


def note(event: Event, before: Noted | None) -> Noted:
    """What is written down of a message before it is sent."""
    return {
        "event": event.kind,
        "text": event.text,
        "time": time.time(),
        "state": "sending",
        "by": f"{socket.gethostname()}, process {os.getpid()}",
        "tries": 1 if before is None else before["tries"] + 1,
    }


def deliver(message: Message) -> Outcome:
    """Send one message; what became of it."""
    try:
        message.send(message.event)
    except NotDelivered as error:
        return {"state": "not delivered", "error": str(error)}
    # It may have arrived all the same, so it is not sent again (is_over).
    except TimeoutError:
        return {"state": "unclear", "error": f"no answer within {SEND_SECONDS:.0f} s"}
    return {"state": "sent"}


def is_over(note: Noted | None) -> bool:
    """Whether a message was sent, or has been tried often enough."""
    return note is not None and (note["state"] != "not delivered" or note["tries"] >= TRIES)


def path_of(run: Run) -> Path:
    """Where a run's messages are noted."""
    return run.folder / "notified.json"


def noted(run: Run) -> dict[str, Noted] | None:
    """Messages by key and way; None if it cannot be known which were sent."""
    path = path_of(run)
    if not path.exists():
        return {}
    return document(path, dict[str, Noted], "no message is sent until it is removed")


def senders(run: Run, wanted: Messages) -> list[tuple[str, Send]]:
    """The ways that work here, by name; what lacks its variable or program is left to somebody
    elsewhere."""

    def by_command(event: Event) -> None:
        run_command([filled(word, run, event) for word in wanted["command"]], event)

    def by_webhook(event: Event) -> None:
        post(os.environ[wanted["webhook_env"]], event)

    def by_mail(event: Event) -> None:
        mail(wanted["mail"], run, event)

    found: list[tuple[str, Send]] = []
    if "command" in wanted:
        found.append(("command", by_command))
    if "webhook_env" in wanted and os.environ.get(wanted["webhook_env"]):
        found.append(("webhook", by_webhook))
    if "mail" in wanted and (shutil.which("mail") or shutil.which("sendmail")):
        found.append(("mail", by_mail))
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
        # -t: sendmail takes the address from the header, and has no option for a subject.
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
        # urllib wraps a time-out of the connection, and raises one of the answer as it is.
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        raise NotDelivered(
            f"the server cannot be reached ({type(error.reason).__name__})"
        ) from error


def jobs_to_watch(run: Run, records: Sequence[Record]) -> list[list[Record]]:
    """The active jobs after whose end another pass has to notice it, because nobody else may; an
    array counts as one."""
    if not wanted_by(run):
        return []
    heads: dict[str, Record] = {}
    for one in records:
        if one.state in ACTIVE and one.job_id:
            head = JobId.parse(one.job_id).head
            heads.setdefault(head, structs.replace(one, job_id=head, token=one.parsed_token.head))
    return [list(heads.values())] if heads else []
