"""LiveBench's reasoning, language and data analysis tasks. ``extra_info`` names the ``task`` and
the release ``date``.

The answer format of two tasks changed with the release of 2024-11-25: bold words before,
``<solution>`` from then on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.distance import edit_distance
from engines.shared.scoring.livebench_guru import guru
from engines.shared.scoring.livebench_tables import table_join, table_reformat
from engines.shared.scoring.text import last_boxed, last_tag
from engines.shared.scoring.verdict import Verdict

__all__ = ["guru", "strict"]

NEW_FORMAT = "2024-11-25"
NUMBERS = {
    name: str(number)
    for number, name in enumerate(
        (
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        )
    )
}
SHAPES = ("tetrahedra", "tetrahedron", "triangle", "square")
TRUTHS = ("yes", "no", "unknown")

Task = Callable[[Problem, str, bool], float | None]
"""Problem, response and whether it is strict -> value, None if there is no answer."""


def strict(problem: Problem, text: str) -> Verdict:
    """The task's own score, in 0 to 1: partial for connections, plot unscrambling, newer zebra
    puzzles and table joins, else 0 or 1."""
    return judged(problem, text, True)


def judged(problem: Problem, text: str, careful: bool) -> Verdict:
    """The verdict of the task's function. Value None if the task is not known."""
    task = TASKS.get(str(problem.extra_info.get("task")))
    if task is None:
        return Verdict(
            None,
            "error",
            detail=f"extra_info.task is {problem.extra_info.get('task')!r}; known are "
            f"{', '.join(sorted(TASKS))}",
        )
    value = task(problem, text, careful)
    return (
        Verdict(0.0, "no_answer", detail="nothing in the format asked for")
        if value is None
        else Verdict(value, "ok")
    )


def is_new(problem: Problem) -> bool:
    """Whether a problem is of a release with ``<solution>`` tags."""
    return str(problem.extra_info.get("date", ""))[:10] >= NEW_FORMAT


def truth_of(problem: Problem) -> str:
    """The right answer."""
    return str(problem.ground_truth).strip()


def bare_box(text: str) -> str | None:
    """What the last box holds, without LaTeX's words."""
    boxed = last_boxed(text)
    return None if boxed is None else re.sub(r"\\text\w*\{|\}|\\", "", boxed)


def solution(text: str) -> str | None:
    """What the last ``<solution>`` holds, else the last box."""
    return last_tag(text, "solution") or bare_box(text)


def web_of_lies(problem: Problem, text: str, _: bool) -> float | None:
    """Three of yes, no and unknown: in ``<solution>``, else the last three in bold, else in a box,
    else the last such list."""
    tagged = last_tag(text, "solution")
    # "**yes, no, unknown**", or each of the three in bold for itself.
    bold = truths(" ".join(re.findall(r"\*\*(.*?)\*\*", text)))[-3:]
    plain = re.findall(rf"(?:{'|'.join(TRUTHS)})(?:, (?:{'|'.join(TRUTHS)})){{2}}", text.lower())
    found = (
        truths(tagged)
        if tagged is not None
        else bold or truths(bare_box(text) or "") or truths(plain[-1] if plain else "")
    )
    return float(found == truths(truth_of(problem))) if found else None


def truths(text: str) -> list[str]:
    """The words yes, no and unknown of a text."""
    return [word for word in re.findall(r"\w+", text.lower()) if word in TRUTHS]


def spatial(problem: Problem, text: str, _: bool) -> float | None:
    """One of the last three bold phrases: the answer, its number in words, or a shape with one word
    more."""
    phrases = [phrase.strip().lower() for phrase in re.findall(r"\*\*([^*]+)\*\*", text)][-3:]
    truth = truth_of(problem).lower()
    shape = truth in SHAPES
    right = any(
        truth in (phrase, NUMBERS.get(phrase))
        # "regular tetrahedron" for "tetrahedron", but not a whole sentence that names it.
        or (shape and truth in phrase and len(phrase) < 2 * len(truth) + 5)
        for phrase in phrases
    )
    return float(right) if phrases else None


def zebra(problem: Problem, text: str, careful: bool) -> float | None:
    """The older form: the last word in ``***`` or at the end. The newer: a list, half for its share
    of right entries, half for all."""
    if is_new(problem) and careful:
        return zebra_list(problem, text)
    starred = re.findall(r"\*\*\*(\w+)\*\*\*", text) or re.findall(r"\b\w+\b", text)
    if not starred:
        return None
    word, truth = starred[-1].lower(), truth_of(problem).lower()
    number = next((name for name, digit in NUMBERS.items() if digit == word), None)
    return float(truth in (word, number, f"{word} movies"))


def zebra_list(problem: Problem, text: str) -> float | None:
    """The newer zebra puzzles."""
    golds = [gold.strip().lower().replace("-", " ") for gold in truth_of(problem).split(",")]
    given = solution(text)
    # Without a tag or box the last line counts, if it has as many entries as are asked for.
    if (
        given is None
        and (lines := text.strip().splitlines())
        and lines[-1].count(",") == len(golds) - 1
    ):
        given = lines[-1]
    if given is None:
        return None
    answers = [
        answer.strip().lower().replace("-", " ").replace("position", "").strip()
        for answer in given.split(",")
    ]
    right = sum(
        # "three" for "3".
        answer == gold or NUMBERS.get(answer) == gold
        for answer, gold in zip(answers, golds, strict=False)
    )
    # Half for all of them, half for the share.
    return ((right == len(golds)) + right / len(golds)) / 2


def connections(problem: Problem, text: str, _: bool) -> float | None:
    """Share of the groups of four words that were found; in the older form the best list in bold
    counts."""
    if is_new(problem):
        given = solution(text)
        lists = [given] if given is not None else []
    else:
        lists = re.findall(r"\*\*(.*?)\*\*", text.replace("\n", ""))
    wanted = groups(truth_of(problem))
    return max(
        (sum(group in groups(words) for group in wanted) / len(wanted) for words in lists),
        default=None,
    )


def groups(words: str) -> list[frozenset[str]]:
    """Words divided by commas, four to a group."""
    each = [word.strip().lower() for word in words.split(",")]
    return [frozenset(each[start : start + 4]) for start in range(0, len(each), 4)]


def plot_unscrambling(problem: Problem, text: str, _: bool) -> float | None:
    """1 minus the edit distance of the sentences' order over their number."""
    marked = text.partition("<PLOT_SUMMARY>")
    golds, answers = (
        split_sentences(side) for side in (truth_of(problem), marked[2] if marked[1] else text)
    )
    if not answers:
        return None
    order = [
        answers.index(match)
        for gold in golds
        # The nearest one whatever its distance: models do not copy a sentence exactly.
        for match in difflib.get_close_matches(gold, answers, n=1, cutoff=0.0)
    ]
    return 1 - edit_distance(list(range(len(golds))), order) / len(golds)


def split_sentences(text: str) -> list[str]:
    """Parts between full stops."""
    return [part.strip() for part in text.replace("</PLOT_SUMMARY>", "").split(".") if part.strip()]


def typos(problem: Problem, text: str, _: bool) -> float | None:
    """The corrected text, somewhere in the response; line breaks do not matter."""
    return (
        float(truth_of(problem) in " ".join(line for line in text.split("\n") if line))
        if text.strip()
        else None
    )


def column_type(problem: Problem, text: str, _: bool) -> float | None:
    """The name of a column's type: the box, or the whole response; case and signs do not matter."""
    answer, truth = (
        re.sub(r"\W", "", side.lower()) for side in (bare_box(text) or text, truth_of(problem))
    )
    return float(answer == truth) if answer else None


def join(problem: Problem, text: str, careful: bool) -> float | None:
    """F1 of a mapping of columns."""
    value = table_join(problem.ground_truth, text)
    return value if careful or value is None else round(value, 2)


def reformat(problem: Problem, text: str, careful: bool) -> float | None:
    """The same table in another format."""
    return table_reformat(prompt_of(problem), truth_of(problem), text) if careful else 0.0


def prompt_of(problem: Problem) -> str:
    """The task as it was given."""
    prompt: Any = problem.prompt[-1]["content"]
    return str(prompt)


TASKS: dict[str, Task] = {
    "web_of_lies_v2": web_of_lies,
    "spatial": spatial,
    "zebra_puzzle": zebra,
    "connections": connections,
    "plot_unscrambling": plot_unscrambling,
    "typos": typos,
    "cta": column_type,
    "tablejoin": join,
    "tablereformat": reformat,
}
