"""Multiple choice: one letter, A to J (GPQA, SuperGPQA)."""

from __future__ import annotations

import re

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.text import last_boxed, without_latex
from engines.shared.scoring.verdict import Verdict

OPTIONS = "ABCDEFGHIJ"
# "C", "c", "(C)", "[C]", "C.", "C: Apple", "(C) Apple"; not "Carbon" or "A and C".
LETTER = re.compile(r"[(\[]?([A-Ja-j])(?:[)\]]|$)(?:[.:]?\s.*)?|([A-J])[.:](?:\s.*)?", re.DOTALL)
# "Answer: C", "the answer is (C)", "answer is **C**"; not "answer: A-level" or "answer: A's".
MARKED = re.compile(r"\b[Aa]nswer(?:\s+is)?\s*:?\s*[$*(]*([A-J])\b(?![-'])")
ENDS = ("</s>", "<|im_end|>", "<|endoftext|>")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the letter in the last box is the right one; ``C``, ``(C)`` and ``C. Apple`` are C.
    Without a box, ``Answer: C`` counts."""
    boxed = last_boxed(text)
    if boxed is not None:
        match = LETTER.fullmatch(without_latex(boxed))
        letter = (match[1] or match[2]).upper() if match else None
    else:
        marked = MARKED.findall(text)
        letter = marked[-1] if marked else None
    if letter is None:
        return Verdict(0.0, "no_answer", boxed, "no single letter in a box or after 'Answer:'")
    return Verdict(float(letter == gold_of(problem)), "ok", letter)


def gold_of(problem: Problem) -> str:
    """The right letter. ValueError if the right answer is none of the choices."""
    letter = text_of(problem.ground_truth).upper()
    if len(letter) != 1 or letter not in OPTIONS:
        raise ValueError(f"the right answer {problem.ground_truth!r} is no letter from A to J")
    return letter


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the alphabetically first letter of A to J anywhere in the box.

    Where GURU draws one of ten letters by chance, the value is the expectation, 0.1. Sources with
    ``no_box`` are read by ``Answer: X``.
    """
    truth = str(problem.ground_truth)
    # GPQA's variant without a box has four choices, hence A to D.
    if "no_box" in problem.data_source:
        match = re.search(r"(?i)Answer[ \t]*:[ \t]*\$?([A-D])\$?", text)
        return (
            Verdict(float(match[1] == truth), "ok", match[1])
            if match
            else Verdict(0.0, "no_answer", detail="no 'Answer: X'")
        )
    text = text.rpartition("Assistant:")[2]
    for end in ENDS:
        text = text.partition(end)[0]
    answer = last_boxed(text)
    if not answer:
        lines = re.findall(r"Final Answer:([^\n]*)\n", text) or re.findall(
            r"The answer is:([^\n]*)\n", text
        )
        answer = lines[-1] if lines else ""
    # In the order of the alphabet, as GURU does it: "C. Apple" is read as A.
    letter = next((option for option in OPTIONS if option in answer), None)
    if letter is None:
        return Verdict(
            1 / len(OPTIONS),
            "no_answer",
            detail="GURU guesses one of ten letters; this is the expectation",
        )
    return Verdict(float(letter == truth), "ok", letter)
