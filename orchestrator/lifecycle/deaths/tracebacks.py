"""The exceptions that a log tells of: which ended a process, and what had led to them.

In: cleaned lines (lines.py). Out: one ``Raised`` for each traceback, or chain of tracebacks, in the
order of their ends. Pure. Called by failure_causes.py.

Python prints a chain from the first cause to the last exception, with a sentence between two. The
tracebacks of several processes may be interleaved; lines whose process is named are read apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.lifecycle.deaths.lines import TRACEBACK, Line
from orchestrator.lifecycle.deaths.patterns import compiled

MESSAGE_LINES = 16
"""Of a message of many lines so many are read."""
FRAMES = 400
"""A traceback that has not ended after so many lines has no end."""

SURE = (
    r"(?P<name>(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Interrupt|Exit|Died|Timeout|NotFound)"
    r"(?:\([\w.]+\))?)(?P<message>:\s.*|:?$)"
)
"""An exception's line, wherever it stands."""
ALONE = (
    r"(?P<name>(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|KeyboardInterrupt|SystemExit)"
    r"(?:\([\w.]+\))?)(?::$|:\s(?!\s*[-+\d.e%]+$)|$)"
)
"""One without a traceback; ``RMSError: 0.25`` is none."""
LIKELY = r"(?P<name>(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*|[A-Z]\w*[a-z]\w*)(?P<message>:\s.*|:?$)"
"""One right behind a frame: ``queue.Empty``, ``optuna.TrialPruned: ..``"""
FRAME = r"\s|[│╭╰❱|]|\^+$|ray::"
"""What a traceback consists of, besides its first and last line."""
DIRECT = "The above exception was the direct cause of the following exception"
CONTEXT = "During handling of the above exception, another exception occurred"
HARMLESS = (
    r"Exception ignored (?:in|while|on)|--- Logging error ---|Error in atexit\._run_exitfuncs"
    r"|Task exception was never retrieved|Future exception was never retrieved"
)
"""What stands before the traceback of an exception that ends nothing."""
WRAPS = r"ray\.exceptions\.RayTaskError"
"""Its line is followed by the traceback of the task."""
OTHERS = r"(?:srun|slurmstepd(?:-\S+)?|orch|orch-error|wandb|mpirun): |===|---"
"""Lines of others that do not go on with a message."""
FINAL_WORDS = (
    r"orch-error: |engines\.\w+: |(?!srun|slurmstepd|salloc|sbatch)[\w./-]{1,80}: error: |Error: "
)
"""How programs say in one line what they end of: ours, those with argparse, those with click."""


@dataclass(frozen=True)
class Raised:
    """An exception that a log tells of."""

    name: str
    """With its module, as the log has it; empty for a program's own last words."""
    text: str
    """Its line."""
    end: int
    """Where in the log."""
    source: str
    traceback: bool
    """Whether a traceback stands above it; else it is a line that looks like one."""
    message: tuple[str, ...] = ()
    """Further lines of its message."""
    causes: tuple[Raised, ...] = ()
    """What it was raised from, the nearest first."""
    contexts: tuple[Raised, ...] = ()
    """What was being handled when it was raised, the nearest first."""

    @property
    def short(self) -> str:
        """The name without its module: ``OutOfMemoryError``, of RayTaskError(X) ``X``."""
        return self.name.rstrip(")").rpartition("(")[2].rpartition(".")[2]


def exceptions(lines: Sequence[Line]) -> list[Raised]:
    """Every exception of a log that may have ended a process, in order."""
    readers: dict[str, Reader] = {}
    for position, line in enumerate(lines):
        reader = readers.get(line.source)
        if reader is None:
            reader = readers[line.source] = Reader(line.source)
        # Most lines of a log stand in no traceback and begin none.
        if reader.newest is not None or reader.frames >= 0 or may_begin(line.text):
            reader.read(position, line.text)
    found = [one for reader in readers.values() for one in reader.all()]
    return sorted(found, key=lambda one: one.end)


def may_begin(text: str) -> bool:
    """Whether a line may be the first of a traceback, or an exception without one."""
    return (
        "rror" in text
        or "xception" in text
        or TRACEBACK in text
        or "Interrupt" in text
        or "Exit" in text
        or text.startswith("engines.")
    )


class Reader:
    """Reads the lines of one process."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Raised] = []
        self.newest: Raised | None = None
        self.link = ""
        self.frames = -1
        self.after_frame = False
        self.heads = 0
        self.harmless = False
        self.message: list[str] = []

    def all(self) -> list[Raised]:
        """What was found."""
        self.close()
        return self.found

    def read(self, position: int, text: str) -> None:
        """The next line."""
        if TRACEBACK in text or (self.link and text.startswith("ray::")):
            self.begin()
        elif DIRECT in text or CONTEXT in text:
            self.link = DIRECT if DIRECT in text else CONTEXT
        elif text[:1] in ("E", "-", "T", "F") and compiled(HARMLESS).match(text):
            self.close()
            self.harmless = True
        elif self.frames >= 0:
            self.within(position, text)
        else:
            self.outside(position, text)

    def begin(self) -> None:
        """A traceback begins."""
        if not self.link and self.newest is not None:
            self.close()
        self.frames, self.after_frame = 0, False
        self.heads += 1

    def within(self, position: int, text: str) -> None:
        """A line while a traceback is open."""
        if compiled(FRAME).match(text):
            self.frames += 1
            self.after_frame = True
            if self.frames > FRAMES:
                self.frames = -1
            return
        found = compiled(SURE).match(text) or (
            compiled(LIKELY).match(text) if self.after_frame else None
        )
        self.after_frame = False
        # A line of another process, between two frames.
        if found is None:
            return
        self.end(Raised(found["name"], text, position, self.source, traceback=True))
        self.heads -= 1
        # The traceback of the task comes next, without a head of its own.
        self.frames = 0 if compiled(WRAPS).match(text) else -1

    def outside(self, position: int, text: str) -> None:
        """A line while none is open: a message that goes on, or an exception without traceback."""
        named = may_begin(text)
        if not named and self.newest is None:
            return
        found = compiled(ALONE).match(text) if named and not text[0].isspace() else None
        # "BackendCompilerFailed: backend='inductor' raised:" has another exception for its message.
        if self.newest is not None and self.newest.text.endswith(":") and not self.message:
            found = None
        if found is not None or (named and compiled(FINAL_WORDS).match(text)):
            self.close()
            name = found["name"] if found is not None else ""
            # Of two interleaved tracebacks the first end has closed both.
            has_head = found is not None and self.heads > 0
            self.heads -= has_head
            self.end(Raised(name, text, position, self.source, traceback=has_head))
        elif len(self.message) < MESSAGE_LINES and not compiled(OTHERS).match(text):
            self.message.append(text.strip())

    def end(self, raised: Raised) -> None:
        """An exception's line was read; what it was raised from becomes a part of it."""
        before = self.with_message()
        if before is not None and self.link == DIRECT:
            raised = replace(
                raised,
                causes=(replace(before, causes=(), contexts=()), *before.causes),
                contexts=before.contexts,
            )
        elif before is not None and self.link == CONTEXT:
            raised = replace(
                raised,
                contexts=(
                    replace(before, causes=(), contexts=()),
                    *before.causes,
                    *before.contexts,
                ),
            )
        elif before is not None and not self.harmless:
            self.found.append(before)
        self.newest, self.link, self.message = raised, "", []

    def with_message(self) -> Raised | None:
        """The newest exception with the lines of its message."""
        if self.newest is None:
            return None
        return replace(self.newest, message=tuple(self.message))

    def close(self) -> None:
        """The newest exception is the last of its chain."""
        newest = self.with_message()
        if newest is not None and not self.harmless:
            self.found.append(newest)
        self.newest, self.link, self.message = None, "", []
        self.frames, self.harmless = -1, False
