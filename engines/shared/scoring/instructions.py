"""IFEval: 25 kinds of instructions that a program can check (Zhou et al. 2023, arXiv:2311.07911). A
response follows all of them, or not.

In: a problem whose ``extra_info`` names its instructions and whose ground truth has their
    parameters, and a response. Out: a verdict. The registry calls ``strict`` and ``guru``; whoever
    reads data may call ``gold_of`` to refuse a problem that nothing can be judged by.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.instructions_guru import GURU
from engines.shared.scoring.instructions_prose import plain, sentences
from engines.shared.scoring.instructions_strict import STRICT, Check, Given
from engines.shared.scoring.text import literal
from engines.shared.scoring.verdict import Verdict

__all__ = ["GURU", "STRICT", "gold_of", "guru", "sentences", "strict"]

Gold = list[tuple[str, Given]]
"""Name and parameters of each instruction of a problem."""

AS_WRITTEN = ("detectable_format:json_format",)
"""Where printers' quotes are not as good as straight ones."""
RELATIONS = ("at least", "less than")

PARAMETERS = {
    "change_case:capital_word_frequency": ("capital_frequency", "capital_relation"),
    "combination:repeat_prompt": ("prompt_to_repeat",),
    "detectable_content:number_placeholders": ("num_placeholders",),
    "detectable_content:postscript": ("postscript_marker",),
    "detectable_format:multiple_sections": ("section_spliter", "num_sections"),
    "detectable_format:number_bullet_lists": ("num_bullets",),
    "detectable_format:number_highlighted_sections": ("num_highlights",),
    "keywords:existence": ("keywords",),
    "keywords:forbidden_words": ("forbidden_words",),
    "keywords:frequency": ("keyword", "frequency", "relation"),
    "keywords:letter_frequency": ("letter", "let_frequency", "let_relation"),
    "language:response_language": ("language",),
    "length_constraints:nth_paragraph_first_word": (
        "first_word",
        "nth_paragraph",
        "num_paragraphs",
    ),
    "length_constraints:number_paragraphs": ("num_paragraphs",),
    "length_constraints:number_sentences": ("num_sentences", "relation"),
    "length_constraints:number_words": ("num_words", "relation"),
    "startend:end_checker": ("end_phrase",),
}
"""What an instruction cannot be checked without; the others have no parameters."""


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the response follows all instructions of the problem as a reader would say.

    Keywords are texts and no patterns, case, markup and typographic quotes do not hide a right
    answer, and a language is refuted only by what is certain. ValueError as in ``gold_of``.
    """
    return judged(gold_of(problem), text, STRICT, plain)


def guru(problem: Problem, text: str) -> Verdict:
    """The benchmark's own checks, its strict accuracy: keywords are patterns, a rule of dashes is a
    bullet, an undetectable language is the right one. The thinking ends at the first
    ``</think>``. ValueError as in ``gold_of``."""
    parts = text.split("</think>")
    return judged(gold_of(problem), parts[1] if len(parts) > 1 else text, GURU)


def gold_of(problem: Problem) -> Gold:
    """The instructions of a problem. ValueError if there are none, one is unknown, the parameters
    do not fit them, or one is missing or of the wrong type."""
    names = problem.extra_info.get("instruction_id_list")
    truth = problem.ground_truth
    if isinstance(truth, str):
        truth = literal(truth)
    if not isinstance(names, list | tuple) or not isinstance(truth, list | tuple):
        raise ValueError(
            "extra_info.instruction_id_list and the ground truth have to be lists, of names and of "
            f"parameters; they are {names!r} and {truth!r}"
        )
    if not names or len(names) != len(truth):
        raise ValueError(
            f"extra_info.instruction_id_list has {len(names)} names, the ground truth "
            f"{len(truth)} sets of parameters; there has to be one for each, and at least one"
        )
    return [(name, parameters(name, given)) for name, given in zip(names, truth, strict=True)]


def parameters(name: Any, given: Any) -> Given:
    """The parameters of one instruction. ValueError if it cannot be checked with them."""
    if not isinstance(name, str) or name not in STRICT:
        raise ValueError(f"the instruction {name!r} is not known; known are {', '.join(STRICT)}")
    kept = without_nulls(name, given)
    for key in PARAMETERS.get(name, ()):
        wrong = fault(key, kept.get(key))
        if wrong:
            raise ValueError(f"{name}: {key} is {kept.get(key)!r}, {wrong}")
    if "nth_paragraph" in PARAMETERS.get(name, ()):
        number, count = kept["nth_paragraph"], kept["num_paragraphs"]
        if not 1 <= number <= count:
            raise ValueError(f"{name}: there is no paragraph {number} of {count}")
    return kept


def without_nulls(name: str, given: Any) -> Given:
    """Parameters as they were meant: in the files every problem has every parameter, null or NaN
    where it has no meaning, and a whole number may have become 2.0. ValueError if they are no
    object."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"the parameters of {name} are {given!r}, not an object")
    kept = {}
    for key, value in given.items():
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if not missing:
            whole = isinstance(value, float) and value.is_integer()
            kept[key] = int(value) if whole else value
    return kept


def fault(key: str, value: Any) -> str:
    """What is wrong with a parameter; empty if nothing is."""
    if key.endswith("relation"):
        return "" if value in RELATIONS else f"not one of {', '.join(RELATIONS)}"
    if key.startswith(("num_", "nth_")) or key.endswith("frequency"):
        counts = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return "" if counts else "not a count"
    if key in ("keywords", "forbidden_words"):
        listed = isinstance(value, list | tuple) and len(value) > 0
        return "" if listed and all(map(says_something, value)) else "not a list of words"
    return "" if says_something(value) else "not a text"


def says_something(value: Any) -> bool:
    """Whether a value is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def judged(
    gold: Gold, text: str, checks: dict[str, Check], read: Callable[[str], str] = str
) -> Verdict:
    """The verdict of a set of checks on what ``read`` makes of a response. Value None if an
    instruction cannot be checked here, and no other has failed."""
    if not text.strip():
        return Verdict(0.0, "no_answer", detail="empty response")
    value = 1.0
    failed, unknown = [], []
    for name, given in gold:
        # None: cannot be told here. That only matters if no other instruction has failed.
        follows = checks[name](text if name in AS_WRITTEN else read(text), given)
        if follows is None:
            unknown.append(name)
        elif not follows:
            failed.append(name)
        else:
            value *= follows
    if failed:
        return Verdict(0.0, "ok", detail=f"not followed: {', '.join(failed)}")
    if unknown:
        return Verdict(
            None,
            "error",
            detail=f"cannot be checked here: {', '.join(unknown)}; for languages install "
            "langdetect",
        )
    return Verdict(value, "ok")
