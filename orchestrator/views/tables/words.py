"""Shorter spellings of cells: words that all values share, the end of a sentence, the middle of a
name.

In: texts. Out: texts in the same order. Pure. Called by layout.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

ELLIPSIS = "…"
LEAST_NAME = 8
"""A name whose middle is cut keeps so many columns."""
# The parts of a name with what stands between them.
PARTS = re.compile(r"[^-_/.=]+|[-_/.=]")
BREAKS = "-_/.="


def number_of(text: str) -> float | None:
    """A text as a number; None: it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def shared_words(values: Sequence[str]) -> tuple[str, str]:
    """What all values begin and end with, in whole words: of ``Qwen/Qwen2.5-7B-Instruct`` and
    ``Qwen/Qwen2.5-1.5B-Instruct`` these are ``Qwen/Qwen2.5-`` and ``-Instruct``.

    Both are empty where there are fewer than two values or one of them is a number, whose point
    joins no words.
    """
    names = list(dict.fromkeys(filter(None, values)))
    if len(names) < 2 or any(number_of(name) is not None for name in names):
        return "", ""
    parts = [PARTS.findall(name) for name in names]
    least = min(map(len, parts))
    front = common(parts, least - 1)
    # Of each name at least one part is left between what is shared at both ends.
    back = common([words[::-1] for words in parts], least - 1 - len(front))
    while front and front[-1] not in BREAKS:
        front.pop()
    while back and back[-1] not in BREAKS:
        back.pop()
    return "".join(front), "".join(back[::-1])


def common(parts: Sequence[Sequence[str]], most: int) -> list[str]:
    """The first words, at most so many, that all have."""
    found: list[str] = []
    for words in zip(*parts, strict=False):
        if len(found) >= most or len(set(words)) > 1:
            break
        found.append(words[0])
    return found


def cut(text: str, width: int) -> str:
    """A text of at most ``width`` columns: whole, or up to the end of a word, with an ellipsis."""
    if cell_len(text) <= width:
        return text
    kept = ""
    for word in text.split(" "):
        longer = f"{kept} {word}" if kept else word
        if cell_len(longer) + 1 > width:
            break
        kept = longer
    return f"{kept}{ELLIPSIS}"


def without_middle(values: Sequence[str], width: int) -> list[str] | None:
    """Names of at most ``width`` columns, the middle cut; None where two names would then look
    alike."""
    if width < LEAST_NAME:
        return None
    cut_names = {value: middle_cut(value, width) for value in values}
    if len(set(cut_names.values())) < len(cut_names):
        return None
    return [cut_names[value] for value in values]


def middle_cut(name: str, width: int) -> str:
    """A name without its middle: more of its beginning than of its end is kept."""
    if cell_len(name) <= width:
        return name
    back = (width - 1) // 2
    front = width - 1 - back
    while cell_len(name[:front]) + cell_len(name[len(name) - back :]) + 1 > width:
        # Letters that are two columns wide.
        front, back = front - 1, back - (front <= back)
    return f"{name[:front]}{ELLIPSIS}{name[len(name) - back :]}"


def broken(text: str, width: int) -> Iterator[str]:
    """The lines of a text that is broken between words; a word that is wider than a line keeps its
    own, whole."""
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and cell_len(longer) > width:
            yield line
            line = word
        else:
            line = longer
    yield line
