"""The lines of a log as their program wrote them: without colours and control characters, without
what launchers and loggers put before them, each with the process it came from.

In: decoded lines from the end of a log, whatever they hold. Out: ``Line``. Pure, and bounded in
work whatever a log holds. Called by failure_causes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.lifecycle.deaths.patterns import compiled

TRACEBACK = "Traceback (most recent call last)"
LINES = 600
"""So many lines at the end count."""
HEAD, TAIL = 900, 300
"""Letters that are kept of the two ends of a longer line."""

ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)"
"""What colours a terminal or moves its cursor (ECMA-48: CSI and OSC sequences)."""
CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]+"

# Of whom a line is, and what stands before its text. Each matches at the start of what is left.
NAMED = (
    r"\[(?P<rank>(?:rank|Rank |default|trainer|worker)?\d{1,5})\]: ?"  # torchrun
    r"|\((?P<process>[^()]{0,80}pid=\d+[^()]{0,80}|raylet[^()]{0,60})\) ?"  # Ray, vLLM
    r"|\[\d+,(?P<mpi>\d+)\]<std(?:err|out)>: ?"  # mpirun --tag-output
    r"|(?P<label>\d{1,5}): (?=\S|\s{2})"  # srun --label
)
LOGGED = (
    # vLLM: "ERROR 01-02 03:04:05 [core.py:7] "
    r"(?:ERROR|CRITICAL|FATAL)\s[\d-]+ [\d:.,]+ \[?[\w./-]{1,80}:\d+\] ?"
    # glog: "[E321 02:07:08.4 ProcessGroupNCCL.cpp:607] ", "E0517 08:24:03.8 12 torch/api.py:826] "
    r"|\[?[EF]\d{3,4} [\d:.]+ (?:\d+ )?[\w./-]{1,120}:\d+\] ?"
    r"|\[E [\w./-]{1,80}:\d+\] ?"
    # what containers put before lines
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d) ?"
)
PREFIXES = frozenset("[(EFC0123456789")
"""How these begin."""
REPEATED = r"\s*\[repeated \d+x across cluster\].*$"
"""Ray's note on lines that several workers wrote."""
QUIET = r"\s*(?:\S+\s){0,4}\[?(?:WARN(?:ING)?|INFO|DEBUG)\b"
"""Lines that say themselves that nothing failed."""
NOT_QUIET = r"NCCL WARN|^[\w.]+(?:Error|Exception): |Retry\(total=0"
"""What NCCL warns of is what it dies of; messages of exceptions may hold such a word; and the last
of pip's retries says why it found nothing."""
GUESSES = (
    r"(?:There are some potential root causes|Some common causes include|This could be caused by)"
    r".*"
)
"""Where Ray and joblib list all that may have happened."""


class Line(NamedTuple):
    """One line of a log."""

    text: str
    """Its indentation is kept: frames of a traceback have some."""
    source: str
    """The process that wrote it, as a launcher names it; empty where none does."""


def cleaned(log: Sequence[str]) -> list[Line]:
    """The last lines of a log, without those that say that nothing failed."""
    found: list[Line] = []
    for raw in log[-LINES:]:
        # Thousands of lines of a progress bar (tqdm's) say nothing of why it stopped.
        if ("it/s" in raw or "s/it" in raw) and TRACEBACK not in raw:
            continue
        text = plain(raw)
        if not text or is_quiet(text):
            continue
        if "ause" in text:
            text = compiled(GUESSES).sub("", text)
        # A look at the first letter spares most lines of a progress bar the patterns.
        line = without_prefix(text) if text[0] in PREFIXES else Line(text, "")
        if TRACEBACK in line.text:
            found += split(line)
        else:
            found.append(line)
    return found


def is_quiet(text: str) -> bool:
    """Whether a line says itself that nothing failed."""
    if "WARN" not in text and "INFO" not in text and "DEBUG" not in text:
        return False
    return bool(compiled(QUIET).match(text)) and not compiled(NOT_QUIET).search(text)


def plain(raw: str) -> str:
    """A line without control characters, and of bounded length."""
    text = raw
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]}...{text[-TAIL:]}"
    if not text.isprintable():
        text = compiled(CONTROL).sub("", compiled(ESCAPE).sub("", text).expandtabs())
    return text.rstrip()


def without_prefix(text: str) -> Line:
    """A line without what launchers and loggers put before it."""
    source = ""
    # "(Worker pid=7) ERROR 01-02 03:04:05 [core.py:7] [rank0]: " are three of them.
    for _ in range(6):
        named = compiled(NAMED).match(text)
        if named is not None:
            source += f"{named[named.lastgroup or 0]} "
            text = text[named.end() :]
            continue
        logged = compiled(LOGGED).match(text)
        if logged is None:
            break
        text = text[logged.end() :]
    if "[repeated " in text:
        text = compiled(REPEATED).sub("", text)
    return Line(text, source)


def split(line: Line) -> list[Line]:
    """A line in two where a traceback begins behind something else: a progress bar ends without a
    line break."""
    before, header, _ = line.text.partition(TRACEBACK)
    before = before.strip(" ╭─│")
    # IPython puts the exception's name before it.
    if not header or not before or before == "Original" or before.isidentifier():
        return [line]
    return [Line(before, line.source), Line(header, line.source)]
