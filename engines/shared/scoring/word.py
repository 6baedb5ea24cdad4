"""One word between ``<answer>`` tags (graph puzzles)."""

from __future__ import annotations

import re
import unicodedata

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.published import last_tagged
from engines.shared.scoring.text import tagged, without_latex
from engines.shared.scoring.verdict import Verdict

AROUND = " \n\t'\"\u201c\u201d\u2018\u2019`*_.,;:!?()[]{}<>"
"""Quotes, markup, brackets and punctuation, which no word of a puzzle begins or ends with."""
LABEL = re.compile(r"(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|word)(?:\s+is\b|\s*[:=])", re.I)


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the last ``<answer>`` is the right word; case, LaTeX's type, a fence, "the answer is"
    and the signs around it do not matter. ValueError if the right answer can be none."""
    gold = gold_of(problem)
    answer = tagged(text)
    word = plain(answer) if answer is not None else ""
    if not word:
        return Verdict(0.0, "no_answer", detail="no word between <answer> tags")
    return Verdict(float(word == gold), "ok", answer)


def gold_of(problem: Problem) -> str:
    """The right word without case. ValueError if it is missing or blank, or nothing but signs."""
    word = plain(text_of(problem.ground_truth))
    if not word:
        raise ValueError(f"the right answer {problem.ground_truth!r} is no word")
    return word


def plain(answer: str) -> str:
    """A word without case and what is put around it."""
    composed = unicodedata.normalize("NFC", without_latex(answer))
    return LABEL.sub("", composed.strip(AROUND)).strip(AROUND).casefold()


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the tag on one line, with English letters only."""
    found = last_tagged(text)
    tagged = found.strip() if found is not None else None
    if tagged is None or not re.fullmatch(r"[A-Za-z]+", tagged):
        return Verdict(0.0, "no_answer", tagged, "no word of letters in an <answer> on one line")
    return Verdict(float(tagged.lower() == str(problem.ground_truth).lower()), "ok", tagged)
