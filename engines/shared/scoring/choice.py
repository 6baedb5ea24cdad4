"""Multiple choice: one letter, A to J (GPQA, SuperGPQA)."""

from __future__ import annotations

import re

from engines.shared.data.problems import Problem
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
    return Verdict(float(letter == str(problem.ground_truth).strip().upper()), "ok", letter)


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the alphabetically first letter of A to J anywhere in the box.

    Where GURU draws one of ten letters by chance, the value is the expectation, 0.1. GPQA's sources
    with ``no_box`` are read by ``Answer: X``.
    """
    truth = str(problem.ground_truth)
    # That variant has four choices, hence A to D.
    if problem.data_source.startswith("stem__gpqa") and "no_box" in problem.data_source:
        match = re.search(r"(?i)Answer[ \t]*:[ \t]*\$?([A-D])\$?", text)
        return (
            Verdict(float(match[1] == truth), "ok", match[1])
            if match
            else Verdict(0.0, "no_answer", detail="no 'Answer: X'")
        )
    # In the order of the alphabet, as GURU does it: "C. Apple" is read as A.
    answer = guru_answer(text)
    letter = next((option for option in OPTIONS if option in answer), None)
    if letter is None:
        return Verdict(
            1 / len(OPTIONS) if truth in tuple(OPTIONS) else 0.0,
            "no_answer",
            detail="GURU guesses one of ten letters; this is the expectation",
        )
    return Verdict(float(letter == truth), "ok", letter)


def guru_answer(text: str) -> str:
    """The last box of at most two levels of braces, else a line behind ``Final Answer:`` or ``The
    answer is:``, in what the assistant said; empty if there is none."""
    if "<|im_start|>user" in text:
        text = "".join(text.partition("<|im_start|>assistant")[1:]) or text
    else:
        text = text.rpartition("Assistant:")[2]
    for end in ENDS:
        text = text.partition(end)[0]
    inner = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
    boxes = re.findall(rf"\\boxed\{{({inner})\}}", text)
    if boxes and boxes[-1]:
        return str(boxes[-1])
    # Two "<" in a row are never part of such a line.
    for words in ("Final Answer", "The answer is"):
        if lines := re.findall(rf"{words}:((?:<?[^<])*?)\n", text):
            return str(lines[-1])
    return ""
