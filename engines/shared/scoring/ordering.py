"""Ordering puzzles: a list of names between ``<answer>`` tags, all in the right order or not."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.published import last_tagged
from engines.shared.scoring.text import STRAIGHT, dressed, literal, tagged
from engines.shared.scoring.verdict import Verdict

ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.):])\s+")
"""The sign of a list's item."""


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the list has the right names in the right order; quotes and brackets are optional,
    case does not matter, the list may be in a fence, in a box, in markup or on several lines.
    ValueError if the right answer is no list of names."""
    gold = gold_of(problem)
    answer = tagged(text)
    names = names_of(answer) if answer is not None else None
    if names is None:
        return Verdict(0.0, "no_answer", answer, "no list between <answer> tags")
    return Verdict(float(names == gold), "ok", answer)


def gold_of(problem: Problem) -> list[str]:
    """The right order, without case. ValueError if it is no list of names, or an empty one."""
    truth = truth_of(problem)
    if not isinstance(truth, list | tuple) or not truth:
        raise ValueError(f"the right order must be a list of names, not {problem.ground_truth!r}")
    return [name_of(text_of(name)) for name in truth]


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the tag on one line, the first bracket's runs of letters, digits and spaces;
    hyphens and apostrophes divide."""
    tagged = last_tagged(text)
    whole = re.search(r"\[[^\],]+(?:,[^\],]+)*\]", tagged) if tagged is not None else None
    if whole is None:
        return Verdict(0.0, "no_answer", tagged, "no list in an <answer> on one line")
    names = [name.lower().strip() for name in re.findall(r"[\w\s]+", whole[0]) if name.strip()]
    return Verdict(float(names == list(truth_of(problem))), "ok", tagged)


def truth_of(problem: Problem) -> Any:
    """The right order, which may have been written as text."""
    return (
        literal(problem.ground_truth)
        if isinstance(problem.ground_truth, str)
        else problem.ground_truth
    )


def names_of(text: str) -> list[str] | None:
    """The names of a list, with or without quotes; None if the text is none."""
    for candidate in dressed(text, "[", "]"):
        try:
            value = literal(candidate)
        except ValueError:
            continue
        if isinstance(value, list | tuple):
            return list(map(name_of, value))
    for candidate in dressed(text, "[", "]"):
        if re.fullmatch(r"\[[^\[\]]+\]|\([^()]+\)", candidate):
            # "[red car, blue car]": a list without quotes.
            return list(map(name_of, candidate[1:-1].split(",")))
    if "[" in text:
        return None
    # Without brackets: one name on each line, or with commas between.
    lines = [ITEM.sub("", line) for line in text.strip().split("\n") if line.strip()]
    names = lines if len(lines) > 1 else text.split(",")
    return list(map(name_of, names)) if len(names) > 1 else None


def name_of(item: Any) -> str:
    """A name without case, quotes and markup around it; white space is one blank."""
    bare = str(item).translate(STRAIGHT).strip().strip("*`\"',.").strip()
    return " ".join(unicodedata.normalize("NFC", bare).split()).casefold()
