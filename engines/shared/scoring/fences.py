"""Fenced blocks of Markdown, as models write them: indented, unclosed, longer than three marks, of
backticks or tildes, with attributes, on one line.

In: a response. Out: its blocks, in order. ``text.fenced`` and ``program.py`` call it; nothing here
knows what a block is for, but for a test of the caller's whether a block is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MARKS = re.compile(r"`{3,}|~{3,}")
LEADING = re.compile(r"(?:[ \t]|>|(?:[-*+]|\d{1,3}[.)])[ \t]+)*")
"""What may stand before a fence that has a line of its own: the marks of a quote or of a list."""
INFO = re.compile(r"((?:[A-Za-z][\w+#.-]*)?)[ \t]*(.*)", re.DOTALL)
"""Language, and what else stands on the line of a fence."""
IN_BRACES = re.compile(r"\{\.?([A-Za-z][\w+#.-]*)(?:[ ,][^{}]*)?\}")
"""A language in braces: {python}, {.python .numberLines}."""
ATTRIBUTES = re.compile(
    r"""\{[.#\w][^{}"]*\}|\{[\d, -]+\}"""  # {#one .two}, {linenos=true}, {1, 3-5}
    r"""|[\w.:-]+=(?:"[^"]*"|'[^']*'|[^\s"'=()]+)(?:[ ]+[\w.:-]+=\S+)*"""  # title="a.py"
    r"""|[\w/-]+\.\w{1,4}|copy|linenos|showLineNumbers|numberLines"""  # solution.py
)
"""What may follow a language; all else on the line of a fence belongs to the block."""
MOST_ENDS = 20
"""So many places are tried as the end of one block; a longer search helps nobody."""

Whole = Callable[[str, str], bool]
"""Whether a block is whole: its language and content -> yes or no."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    """As written, "" if none is named."""
    content: str
    """Without the fences and without what a quote or a list puts before its lines."""
    closed: bool


@dataclass(frozen=True)
class Opening:
    """The beginning of a block."""

    marks: str
    leading: str
    """What stands before the fence on its line; "" if that is prose."""
    language: str
    start: int
    """Where the content begins."""


@dataclass(frozen=True)
class Ending:
    """A place where a block may end."""

    rank: int
    """0: a fence on a line of its own, or the next block's; 1: the end of the response; 2: marks at
    the end of a line; 3: marks within a line."""
    content_end: int
    following: int
    """Where the text goes on after it."""


def blocks(text: str, whole: Whole | None = None) -> list[Block]:
    """All fenced blocks.

    With ``whole`` a block ends where it is whole first: marks inside a string of a program do not
    end it. Without it, or if it is whole nowhere, a block ends at the first marks.
    """
    text = text.replace("\r\n", "\n")
    found: list[Block] = []
    position = 0
    while (opening := next_opening(text, position)) is not None:
        endings = endings_of(text, opening)
        chosen = endings[0]
        if whole is not None:
            for ending in sorted(endings[:MOST_ENDS], key=lambda one: (one.rank, one.content_end)):
                if whole(opening.language, content_of(text, opening, ending)):
                    chosen = ending
                    break
        content = content_of(text, opening, chosen)
        closed = chosen.rank != 1
        # A fence at the very end opens nothing.
        if closed or content.strip():
            found.append(Block(opening.language, content, closed))
        position = chosen.following
    return found


def next_opening(text: str, position: int) -> Opening | None:
    """The next fence that opens a block; None if there is none."""
    for match in MARKS.finditer(text, position):
        line_start = text.rfind("\n", 0, match.start()) + 1
        before = text[line_start : match.start()]
        alone = LEADING.fullmatch(before) is not None
        # ~~~ within a line is no fence: it strikes words out.
        if match.group().startswith("~") and not alone:
            continue
        return opening_at(text, match, before if alone else "")
    return None


def opening_at(text: str, match: re.Match[str], leading: str) -> Opening:
    """The opening whose marks were found."""
    marks, line_end = match.group(), line_end_at(text, match.end())
    rest = text[match.end() : line_end]
    next_line = min(line_end + 1, len(text))
    if in_braces := IN_BRACES.fullmatch(rest.strip()):
        return Opening(marks, leading, in_braces[1], next_line)
    said = INFO.fullmatch(rest)
    assert said is not None
    language, others = said.groups()
    if not others.strip() or ATTRIBUTES.fullmatch(others.strip()):
        return Opening(marks, leading, language, next_line)
    # The content begins on the line of the fence; of ```word``` the word is the content.
    if others.startswith(marks[0]):
        return Opening(marks, leading, "", match.end())
    return Opening(marks, leading, language, match.end() + said.start(2))


def line_end_at(text: str, position: int) -> int:
    """The end of the line, its newline not included."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def endings_of(text: str, opening: Opening) -> list[Ending]:
    """The first places where a block may end, in order; the end of the text at last."""
    found: list[Ending] = []
    for match in MARKS.finditer(text, opening.start):
        if len(found) == MOST_ENDS:
            break
        if match.group()[0] != opening.marks[0] or len(match.group()) < len(opening.marks):
            continue
        line_start = max(text.rfind("\n", 0, match.start()) + 1, opening.start)
        line_end = line_end_at(text, match.end())
        before, after = text[line_start : match.start()], text[match.end() : line_end].strip()
        if not before.strip(" \t>"):
            if not after:
                found.append(Ending(0, line_start, match.end()))
            elif re.fullmatch(r"\{?\.?[A-Za-z][\w+#.-]*\}?", after):
                # The next block begins although this one was not closed.
                found.append(Ending(0, line_start, line_start))
            else:
                found.append(Ending(3, line_start, match.end()))
        elif match.group()[0] == "`":
            found.append(Ending(3 if after else 2, match.start(), match.end()))
    return [*found, Ending(1, len(text), len(text))]


def content_of(text: str, opening: Opening, ending: Ending) -> str:
    """The lines between, without what the fence's own line has before the fence."""
    content = text[opening.start : ending.content_end]
    if not opening.leading:
        return content
    width = len(opening.leading.expandtabs(4))
    lines = []
    for line in content.split("\n"):
        if ">" in opening.leading:
            lines.append(re.sub(r"^[ \t]*(?:>[ ]?)+", "", line))
        else:
            unindented = line.lstrip(" \t")
            indentation = line[: len(line) - len(unindented)].expandtabs(4)
            lines.append(indentation[width:] + unindented)
    return "\n".join(lines)
