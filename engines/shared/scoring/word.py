"""One word between ``<answer>`` tags (graph puzzles)."""

from __future__ import annotations

import re

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.text import last_tag
from engines.shared.scoring.verdict import Verdict


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the last ``<answer>`` is the right word; case, quotes and a full stop around it do not
    matter."""
    tagged = last_tag(text)
    word = tagged.strip(" \n\t'\"`*.").casefold() if tagged is not None else ""
    if not word:
        return Verdict(0.0, "no_answer", detail="no word between <answer> tags")
    return Verdict(float(word == gold_of(problem).casefold()), "ok", tagged)


def gold_of(problem: Problem) -> str:
    """The right word. ValueError if there is none."""
    return text_of(problem.ground_truth)


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the tag on one line, with English letters only."""
    tagged = last_tag(text, one_line=True)
    if tagged is None or not re.fullmatch(r"[A-Za-z]+", tagged):
        return Verdict(0.0, "no_answer", tagged, "no word of letters in an <answer> on one line")
    return Verdict(float(tagged.lower() == str(problem.ground_truth).lower()), "ok", tagged)
