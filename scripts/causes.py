"""Write docs/causes.md: what each kind of failure means and what follows from it, and how the
reports of tests/orchestrator/lifecycle/deaths are judged, kind by kind. With --check only say
whether the page is as it would be written.

    .venv/bin/python scripts/causes.py [--check] [--mistakes]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from orchestrator.lifecycle.deaths.kinds import (  # noqa: E402
    ADVICE,
    AGAIN,
    EVERYWHERE,
    WITH_THESE_VALUES,
    Kind,
)
from orchestrator.lifecycle.failure_causes import cause_of  # noqa: E402
from orchestrator.runs.record import JobState  # noqa: E402

CORPUS = ROOT / "tests" / "orchestrator" / "lifecycle" / "deaths"
PAGE = ROOT / "docs" / "causes.md"
PARTS = {
    "written_on": "the rules were written with these in view",
    "held_out": "collected after the rules were written; rules corrected since",
    "second_look": "collected after that correction; rules corrected since",
}
LAST = 20
"""Lines of a log that count as its end."""


@dataclass(frozen=True)
class Report:
    """One reported death."""

    file: str
    line: int
    kind: Kind
    """What it was, as somebody who reads it says."""
    about: str
    log: tuple[str, ...]

    @property
    def judged(self) -> Kind:
        """What the rules say."""
        return self.cause[0]

    @property
    def cause(self) -> tuple[Kind, str]:
        """The same, with the line that is quoted."""
        found = cause_of(JobState.FAILED, "exit code 1", None, self.log)
        return found.kind, found.line


def reports(part: str) -> list[Report]:
    """The reports of a part of the corpus, in order."""
    found = []
    for path in sorted(CORPUS.glob(f"{part}_*.txt")):
        text = path.read_text()
        line = text.partition("=== ")[0].count("\n") + 1
        for block in text.split("\n=== ")[0 if text.startswith("=== ") else 1 :]:
            head, *log = block.removeprefix("=== ").rstrip("\n").split("\n")
            kind, _, about = head.partition(" | ")
            found.append(Report(path.name, line, Kind(kind), about, tuple(log)))
            line += block.count("\n") + 1
    return found


def confusion(found: Sequence[Report]) -> list[str]:
    """A table: a line for each kind that was reported, with what it was taken for."""
    lines = ["| kind | reports | right | taken for |", "| --- | --- | --- | --- |"]
    for kind in Kind:
        of_kind = [report for report in found if report.kind is kind]
        if not of_kind:
            continue
        judged = Counter(report.judged for report in of_kind)
        right = judged.pop(kind, 0)
        wrong = ", ".join(f"{other} {n}" for other, n in sorted(judged.items()))
        lines.append(f"| {kind} | {len(of_kind)} | {right} | {wrong} |")
    right = sum(report.judged is report.kind for report in found)
    lines.append(f"| **all** | {len(found)} | {right} | |")
    return lines


def kinds() -> list[str]:
    """A table of the kinds: what to do, whether another attempt may help, who is held."""
    lines = ["| kind | again | siblings | what to do |", "| --- | --- | --- | --- |"]
    for kind in Kind:
        held = ""
        if kind in EVERYWHERE:
            held = "held"
        elif kind in WITH_THESE_VALUES:
            held = "held with the same values"
        again = "yes" if kind in AGAIN else "no"
        lines.append(f"| {kind} | {again} | {held} | {ADVICE[kind]} |")
    return lines


def page() -> str:
    """The text of the page."""
    text = (CORPUS / "first_look.md").read_text().rstrip("\n")
    parts = [
        "# Causes of death",
        "",
        "`scripts/causes.py` writes this page; a test compares it with the code.",
        "",
        "orch reads the cause from the scheduler, from what the node saw, and from the end of the",
        "log. There, the exception that ended the program decides, with the exception that caused",
        "it; other lines come after that.",
        "",
        "- *again*: whether `orch retry` tries the job once more.",
        "- *siblings*: whether waiting jobs of the stage are held. That needs two jobs with one",
        "  cause of death, and none that has completed.",
        "- *with the same values*: held if they share the values that all the dead ones have.",
        "",
        *kinds(),
        "",
        "## How often the cause is right",
        "",
        text,
        "",
    ]
    for part, what in PARTS.items():
        parts += [
            f"### {part.replace('_', ' ').capitalize()}: {what}",
            "",
            *confusion(reports(part)),
            "",
        ]
    return "\n".join(parts)


def mistakes() -> list[str]:
    """The reports that are judged wrong."""
    lines = []
    for part in PARTS:
        for report in reports(part):
            kind, line = report.cause
            if kind is not report.kind:
                lines.append(
                    f"{report.file}:{report.line} {report.about}: {report.kind}, taken for {kind}: "
                    f"{line}"
                )
    return lines


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--mistakes", action="store_true")
    arguments = parser.parse_args()
    if arguments.mistakes:
        print("\n".join(mistakes()))
        return 0
    text = page()
    if not arguments.check:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print("docs/causes.md is not what scripts/causes.py writes: run it")
    return 1


if __name__ == "__main__":
    sys.exit(main())
