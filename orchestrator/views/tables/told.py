"""Sentences for a terminal: what each line is about on the left, the words beside it, values of
several jobs as a table.

In: lines as ``orchestrator/views/why.py`` makes them, problems and notes of a check, or what an
evolution says of its trainings. Out: lines for rich's console. Called by `orch why`, `orch check`
and `orch evolve`. Into a pipe or a file the lines go as they are, since a program may read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from orchestrator.views.tables.columns import Column, Kind, column
from orchestrator.views.tables.drawing import Screen, draw, drawn_lines, sentence
from orchestrator.views.tables.words import broken

LABELS = (
    *("ran", "attempt", "files"),
    *("decided by", "progress", "stalled", "override", "gate", "follows", "search", "taken from"),
    *("not taken", "passed over", "raised by retries", "retried automatically"),
    *("budget of the run", "log", "to decide it yourself", "to run it here"),
    "to start it again from its newest checkpoint",
)
"""What a line may be about, before a colon."""
VERBS = ("needs", "comes after", "replaces", "leaves out", "shares the allocation")
"""What a line may begin with in place of that."""
MOST_LABEL = 20
"""Columns of the terminal that what lines are about may take; what is longer has its own line."""
GAP = 2
# "    small/seed=0: 0.93, reaches it (jobs/.../results.json) <- this one"
FINDING = re.compile(
    r" {4}(?P<job>\S+?): (?P<value>.*?)(?: \((?P<file>[^()\s]*/[^()\s]*)\))?(?P<mark> <- this one)?"
)

# "train/lr=0.1,seed=0: 2 checkpoints on disk, 1 new to the evolution, 0 to score"
FOLLOWED = re.compile(
    r"(?P<job>\S+): (?P<disk>\d+) checkpoints on disk, (?P<new>\d+) new to the evolution, "
    r"(?P<left>\d+) to score"
)


def explained(
    lines: Sequence[str], screen: Screen, sign: str = "", style: str = "", here: str = ""
) -> list[Text]:
    """What `orch why` says of a job.

    Args:
        lines: The first one names the job and its state.
        sign: Of the state, with its ``style``.
        here: The folder of the terminal: paths below it are written as they can be typed there,
            since a whole one is broken in the middle.
    """
    if screen.width is None:
        return [Text(line) for line in lines]
    if here:
        lines = [line.replace(f"{here.rstrip('/')}/", "") for line in lines]
    head, *others = lines
    told = [*with_sign(sign, head, screen.width, f"bold {style}".strip())]
    labelled = [label_of(line) for line in others]
    widths = [cell_len(label) for label, _ in labelled if cell_len(label) <= MOST_LABEL]
    indent = max(widths, default=0) + GAP
    place = 0
    while place < len(others):
        findings = list(findings_from(others[place:]))
        if findings:
            room = Screen(screen.width - indent)
            told += [indented(line, indent) for line in finding_lines(findings, room)]
            place += len(findings)
            continue
        told += beside(*labelled[place], indent, screen.width)
        place += 1
    return told


def with_sign(sign: str, text: str, width: int, style: str) -> Iterator[Text]:
    """A sentence behind a sign, which alone has the style; further lines stand below the words."""
    indent = cell_len(sign) + 1 if sign else 0
    for number, words in enumerate(broken(text, width - indent)):
        front = f"{sign} " if sign and not number else " " * indent
        line = Text(front, style=style)
        line.append(words, style="bold" if not number and style.startswith("bold") else "not bold")
        yield line


def label_of(line: str) -> tuple[str, str]:
    """What a line is about, and the rest of it."""
    for label in LABELS:
        if line.startswith(f"{label}: "):
            return label, line[len(label) + 2 :]
    for verb in VERBS:
        if line.startswith(f"{verb} "):
            return verb, line[len(verb) + 1 :]
    return "", line.strip()


def beside(label: str, text: str, indent: int, width: int) -> Iterator[Text]:
    """Words beside what they are about, broken between words."""
    if cell_len(label) + GAP > indent:
        yield Text(label, style="dim")
        label = ""
    for words in broken(text, max(1, width - indent)):
        line = Text(label, style="dim")
        line.append(f"{' ' * (indent - cell_len(label))}{words}", style="not dim")
        yield line
        label = ""


def findings_from(lines: Sequence[str]) -> Iterator[re.Match[str]]:
    """The values of single jobs that these lines begin with."""
    for line in lines:
        found = FINDING.fullmatch(line)
        if found is None:
            return
        yield found


def finding_lines(findings: Sequence[re.Match[str]], screen: Screen) -> list[Text]:
    """A table of them; on a narrow screen without the files."""
    marks = tuple("✓" if found["mark"] else "" for found in findings)
    columns: list[Column] = [
        column("", Kind.SIGN, marks),
        column("job", Kind.KEY, (found["job"] for found in findings)),
        column("value", Kind.WHOLE, (found["value"] for found in findings)),
        column("in", Kind.TEXT, (found["file"] or "" for found in findings), 9),
    ]
    return draw(columns, screen).lines


def indented(line: Text, columns: int) -> Text:
    """The same further to the right."""
    return Text(" " * columns).append_text(line)


def listed(lines: Sequence[str], sign: str, style: str, screen: Screen) -> list[Text]:
    """A list, each with a sign, broken between words."""
    if screen.width is None:
        return [Text(line) for line in lines]
    return [text for line in lines for text in with_sign(sign, line, screen.width, style)]


def followed(lines: Sequence[str], screen: Screen) -> list[Text]:
    """What `orch evolve` says: of the trainings a table, everything else as sentences below it."""
    if screen.width is None:
        return [Text(line) for line in lines]
    found = [FOLLOWED.fullmatch(line) for line in lines]
    counted = [one for one in found if one is not None]
    rest = [line for line, one in zip(lines, found, strict=True) if one is None]
    told = drawn_lines(training_columns(counted), screen) if counted else []
    return [*told, *(text for line in rest for text in sentence(line, screen))]


def training_columns(counted: Sequence[re.Match[str]]) -> list[Column]:
    """A row for each training: stage and axes, as its name has them, and how many checkpoints."""
    stages, points = [], []
    for one in counted:
        stage, _, axes = one["job"].partition("/")
        parts = [part.partition("=") for part in axes.split(",")] if axes else []
        is_name = all(middle for _, middle, _ in parts)
        stages.append(stage if is_name else one["job"])
        points.append({name: value for name, _, value in parts} if is_name else {})
    names = dict.fromkeys(name for point in points for name in point)
    return [
        column("training", Kind.KEY, stages),
        *(column(name, Kind.AXIS, (point.get(name, "") for point in points)) for name in names),
        *(
            column(words, Kind.NUMBER, (one[group] for one in counted))
            for words, group in (("checkpoints", "disk"), ("new", "new"), ("to score", "left"))
        ),
    ]
