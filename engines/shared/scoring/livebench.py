"""LiveBench's reasoning, language and data analysis tasks (White et al. 2024, arXiv:2406.19314).
``extra_info`` names the ``task`` and the release ``date``.

In: a problem and a response. Out: a verdict. The registry calls ``strict`` and ``guru``; whoever
    reads data may call ``gold_of`` to refuse a problem that nothing can be judged by.

The answer format of two tasks changed with the release of 2024-11-25: bold words before,
``<solution>`` from then on. LiveBench's mathematics is no part of GURU, and is not judged here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring import livebench_guru
from engines.shared.scoring.golds import something, text_of
from engines.shared.scoring.instructions_prose import plain
from engines.shared.scoring.livebench_guru import NUMBERS, SHAPES, TRUTHS
from engines.shared.scoring.livebench_plots import order_of, split_sentences, summary
from engines.shared.scoring.livebench_tables import gold_rows, table_join, table_reformat
from engines.shared.scoring.text import last_boxed, literal, tagged, without_latex
from engines.shared.scoring.verdict import Verdict

NEW_FORMAT = "2024-11-25"
LABELS = ("position", "house", "person", "number", "the", "a", "an")
"""Words around an entry of a zebra puzzle that say nothing."""

ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+")
"""The sign or number of a list's item."""

Task = Callable[[Problem, str], float | None]
"""Problem and response -> value, None if there is no answer."""


def strict(problem: Problem, text: str) -> Verdict:
    """The task's own score, in 0 to 1: partial for connections, plot unscrambling, newer zebra
    puzzles and table joins, else 0 or 1. ValueError as in ``gold_of``."""
    return judged(problem, text, STRICT)


def guru(problem: Problem, text: str) -> Verdict:
    """What GURU's copy of the scorers gives: newer zebra puzzles are judged as older ones, no table
    is ever right. ValueError as in ``gold_of``."""
    return judged(problem, text, GURU)


def judged(problem: Problem, text: str, tasks: dict[str, Task]) -> Verdict:
    """The verdict of a problem's task."""
    gold_of(problem)
    value = tasks[problem.extra_info["task"]](problem, text)
    if value is None:
        return Verdict(0.0, "no_answer", detail="nothing in the format asked for")
    return Verdict(value, "ok")


def gold_of(problem: Problem) -> str | dict[Any, Any]:
    """The right answer. ValueError if the task is unknown or the answer cannot be one of it."""
    task = problem.extra_info.get("task")
    if task not in STRICT:
        raise ValueError(f"extra_info.task is {task!r}; known are {', '.join(sorted(STRICT))}")
    truth = something(problem.ground_truth)
    if task == "tablejoin":
        return mapping_of(truth)
    gold = text_of(truth)
    if task == "tablereformat":
        gold_rows(prompt_of(problem), gold)
    lack = lacking(task, gold)
    if lack:
        raise ValueError(f"the ground truth of {task} is {gold[:80]!r}, {lack}")
    return gold


def lacking(task: str, gold: str) -> str:
    """What a right answer lacks to be one of its task; empty if it lacks nothing."""
    entries = gold.split(",")
    unknown = [word for word in entries if word.strip().lower() not in TRUTHS]
    if task.startswith("web_of_lies") and unknown:
        return f"not a list of {', '.join(TRUTHS)}"
    if task == "cta" and not letters_of(gold):
        return "without letters"
    if task == "plot_unscrambling" and not split_sentences(gold):
        return "without sentences"
    if task in ("spatial", "zebra_puzzle") and not all(map(entry, entries)):
        return "with an entry that is no word"
    sizes = {len(group) for group in groups(gold)}
    if task == "connections" and (sizes != {4} or len(entries) % 4):
        return "not groups of four different words"
    if task == "house_traversal" and not names_of(gold):
        return "without names"
    return ""


def mapping_of(truth: Any) -> dict[Any, Any]:
    """The right mapping of columns. ValueError if it is none."""
    mapping = literal(truth) if isinstance(truth, str) else truth
    if not isinstance(mapping, dict) or not mapping:
        raise ValueError(f"the ground truth of tablejoin is {str(truth)[:80]!r}, no mapping")
    return mapping


def is_new(problem: Problem) -> bool:
    """Whether a problem is of a release with ``<solution>`` tags."""
    return str(problem.extra_info.get("date", ""))[:10] >= NEW_FORMAT


def truth_of(problem: Problem) -> str:
    """The right answer as text."""
    return str(problem.ground_truth).strip()


def bare_box(text: str) -> str | None:
    """What the last box holds, without LaTeX's words."""
    boxed = last_boxed(text)
    return None if boxed is None else re.sub(r"\\text\w*\{|\}|\\", "", boxed)


def solution(text: str) -> str | None:
    """What the last ``<solution>`` holds, also one opened by a closing tag by mistake, else the
    last box."""
    mistaken = re.findall(r"</solution>(.*?)</solution>", text, re.DOTALL | re.IGNORECASE)
    given = tagged(text, "solution") or "".join(mistaken[-1:]).strip()
    return given or bare_box(text)


def entry(text: str) -> str:
    """A word or phrase without markup, quotes and the signs at its ends, in small letters."""
    bare = without_latex(plain(text)).lower().replace("-", " ")
    return " ".join(re.sub(r"[*_`\"]", "", bare).strip(" .,;:!?'()[]").split())


def same_entry(answer: str, truth: str) -> bool:
    """Whether two entries are the same word or number, ``position 3`` and ``three`` for ``3``."""
    given, wanted = entry(answer), entry(truth)
    # What stands before a colon names the question: "Pet: cat".
    after_colon = entry(answer.rpartition(":")[2])
    unlabelled = " ".join(word for word in after_colon.split() if word not in LABELS)
    readings = {given, after_colon, unlabelled}
    names = {name for name, digit in NUMBERS.items() if digit in readings}
    digits = {NUMBERS[reading] for reading in readings if reading in NUMBERS}
    return wanted in readings | names | digits


def web_of_lies(problem: Problem, text: str) -> float | None:
    """Three of yes, no and unknown."""
    wanted = truths(truth_of(problem))
    found = said_truths(text, len(wanted))
    return float(found == wanted) if found else None


def web_of_lies_v3(problem: Problem, text: str) -> float | None:
    """The newer form: half for all entries, half for the share of them that is right."""
    wanted = truths(truth_of(problem))
    found = said_truths(text, len(wanted))
    if not found:
        return None
    right = sum(map(str.__eq__, found, wanted))
    entries = max(len(found), len(wanted))
    return ((right == entries) + right / entries) / 2


def said_truths(text: str, count: int) -> list[str]:
    """The words yes, no and unknown that a response gives as its answer: in ``<solution>``, else
    the last ``count`` in bold, else in a box, else in the last list of so many."""
    given = tagged(text, "solution")
    if given:
        return truths(given)
    # "**yes, no, unknown**", or each of the three in bold for itself.
    bold = truths(" ".join(re.findall(r"\*\*(.*?)\*\*", text)))[-count:]
    choice = f"(?:{'|'.join(TRUTHS)})"
    lists = re.findall(rf"\b{choice}(?:, {choice}){{{count - 1}}}\b", text.lower())
    return bold or truths(bare_box(text) or "") or truths(lists[-1] if lists else "")


def truths(text: str) -> list[str]:
    """The words yes, no and unknown of a text."""
    return [word for word in re.findall(r"\w+", text.lower()) if word in TRUTHS]


def spatial(problem: Problem, text: str) -> float | None:
    """One of the last three bold phrases, the tag or the box: the answer, its number in words, or a
    shape with one word more."""
    phrases = re.findall(r"\*\*([^*]+)\*\*", text)[-3:]
    given = solution(text)
    if given is not None:
        phrases.append(given)
    # A response that is nothing but the answer.
    if not phrases and len(text.split()) == 1:
        phrases.append(text)
    truth = truth_of(problem).lower()
    right = any(same_entry(phrase, truth) or names_shape(phrase, truth) for phrase in phrases)
    return float(right) if phrases else None


def names_shape(phrase: str, truth: str) -> bool:
    """Whether a phrase is the right shape with a word more: "regular tetrahedron" for
    "tetrahedron", but not a whole sentence that names it."""
    bare = phrase.strip().lower()
    denied = re.search(r"\b(?:not?|never|neither)\b", bare) is not None
    return truth in SHAPES and truth in bare and len(bare) < 2 * len(truth) + 5 and not denied


def house_traversal(problem: Problem, text: str) -> float | None:
    """The names of people in order: in the last phrase in bold, or each of them in bold, in the tag
    or box, else in the last line."""
    wanted = names_of(truth_of(problem))
    bold = [names_of(phrase) for phrase in re.findall(r"\*\*+(.*?)\*\*+", text)]
    singly = bold[-len(wanted) :]
    readings = bold[-1:]
    if singly and all(len(names) == 1 for names in singly):
        readings.append([name for names in singly for name in names])
    given = solution(text)
    if given is not None:
        readings.append(names_of(given))
    if not readings:
        readings.append(names_of(text.strip().split("\n")[-1]))
    readings = [names for names in readings if names]
    return float(wanted in readings) if readings else None


def names_of(text: str) -> list[str]:
    """The names that a list holds, in small letters, behind "the order is" or a colon."""
    after = re.split(r":|\b(?:is|are)\s", plain(text).lower())[-1]
    words = re.findall(r"[^\W\d_](?:[-']?\w)*", after)
    return [word for word in words if word not in ("and", "then")]


def zebra(problem: Problem, text: str) -> float | None:
    """The older form: the last phrase in ``***``, else a tag or box, else the last word. The newer:
    a list, half for its share of right entries, half for all."""
    if is_new(problem):
        return zebra_list(problem, text)
    starred = re.findall(r"\*\*\*([^*\n]+)\*\*\*", text)
    given = solution(text)
    if starred:
        answer = starred[-1]
    elif given is not None:
        answer = given
    else:
        answer = next(iter(re.findall(r"\b\w+\b", text)[::-1]), "")
    if not entry(answer):
        return None
    truth = truth_of(problem)
    return float(same_entry(answer, truth) or same_entry(f"{answer} movies", truth))


def zebra_list(problem: Problem, text: str) -> float | None:
    """The newer zebra puzzles."""
    golds = truth_of(problem).split(",")
    given = solution(text)
    # Without a tag or box the last line counts, if it has as many entries as are asked for.
    if (
        given is None
        and (lines := text.strip().splitlines())
        and lines[-1].count(",") == len(golds) - 1
    ):
        # "So it is cat, 3, tea": the first entry is what follows the sentence's beginning.
        first, comma, others = lines[-1].partition(",")
        given = re.split(r":|\b(?:is|are)\s", first)[-1] + comma + others
    if given is None:
        return None
    answers = listed(given)
    right = sum(map(same_entry, answers, golds))
    # Half for all of them, half for the share; an entry too many is a wrong one.
    entries = max(len(golds), len(answers))
    return ((right == entries) + right / entries) / 2


def listed(text: str) -> list[str]:
    """The entries of a list, divided by commas, else by semicolons or by lines, each with the sign
    or number of a list's item or not."""
    for sign in (",", ";"):
        if sign in text:
            return text.strip().removesuffix(sign).split(sign)
    return [ITEM.sub("", line) for line in text.strip().split("\n") if line.strip()]


def connections(problem: Problem, text: str) -> float | None:
    """Share of the groups of four words that were found: in the tag or box, in the older form in
    the best list in bold, or in all that is in bold if those are as many words as asked for."""
    truth = truth_of(problem)
    given = solution(text)
    lists = [] if given is None else [given]
    if not is_new(problem):
        bold = re.findall(r"\*\*(.*?)\*\*", text.replace("\n", " "))
        joined = ",".join(bold)
        lists += bold
        if joined.count(",") == truth.count(","):
            lists.append(joined)
    wanted = groups(truth)
    shares = [sum(group in groups(words) for group in wanted) / len(wanted) for words in lists]
    return max(shares, default=None)


def groups(words: str) -> list[frozenset[str]]:
    """Words divided by commas, semicolons or lines, four to a group; "Group 1:" is no word."""
    parts = [part.rpartition(":")[2] or part for part in re.split(r"[,;\n]", words)]
    each = [entry(part) for part in parts if entry(part)]
    return [frozenset(each[start : start + 4]) for start in range(0, len(each), 4)]


def plot_unscrambling(problem: Problem, text: str) -> float | None:
    """1 minus the edit distance of the sentences' order over their number; the last pair of tags
    counts."""
    return order_of(truth_of(problem), tagged(text, "PLOT_SUMMARY") or summary(text))


def typos(problem: Problem, text: str) -> float | None:
    """The corrected text, in ``<solution>`` if there is one, else somewhere in the response; white
    space and the kind of quotes do not matter."""
    answer = tagged(text, "solution") or text
    right = " ".join(plain(truth_of(problem)).split()) in " ".join(plain(answer).split())
    return float(right) if answer.strip() else None


def column_type(problem: Problem, text: str) -> float | None:
    """The name of a column's type: the box or tag, else the whole response, its last line, what is
    in bold last or what follows the last colon or "is"; case and signs do not matter."""
    answer = solution(text) or text.strip()
    if not letters_of(answer):
        return None
    bold = re.findall(r"\*\*(.+?)\*\*", answer)
    readings = [
        answer,
        answer.split("\n")[-1],
        answer.rpartition(":")[2],
        re.split(r"\bis\b", answer)[-1],
        *bold[-1:],
    ]
    wanted = letters_of(truth_of(problem))
    return float(wanted in map(letters_of, readings))


def letters_of(text: str) -> str:
    """Letters, digits and underscores of a text, in small letters."""
    return re.sub(r"\W", "", text.lower())


def join(problem: Problem, text: str) -> float | None:
    """F1 of a mapping of columns."""
    return table_join(mapping_of(problem.ground_truth), text)


def reformat(problem: Problem, text: str) -> float | None:
    """The same table in another format."""
    return table_reformat(prompt_of(problem), truth_of(problem), text)


def prompt_of(problem: Problem) -> str:
    """The task as it was given."""
    prompt: Any = problem.prompt[-1]["content"]
    return str(prompt)


def published(judge: Callable[[str, str], float]) -> Task:
    """A published function as a task."""
    return lambda problem, text: judge(truth_of(problem), text)


STRICT: dict[str, Task] = {
    "web_of_lies_v2": web_of_lies,
    "web_of_lies_v3": web_of_lies_v3,
    "house_traversal": house_traversal,
    "spatial": spatial,
    "zebra_puzzle": zebra,
    "connections": connections,
    "plot_unscrambling": plot_unscrambling,
    "typos": typos,
    "cta": column_type,
    "tablejoin": join,
    "tablereformat": reformat,
}
"""Judge by the name of the task."""

GURU: dict[str, Task] = {
    "web_of_lies_v2": published(livebench_guru.web_of_lies),
    "web_of_lies_v3": published(livebench_guru.web_of_lies_v3),
    "house_traversal": published(livebench_guru.house_traversal),
    "spatial": published(livebench_guru.spatial),
    "zebra_puzzle": published(livebench_guru.zebra),
    "connections": lambda problem, text: livebench_guru.connections(truth_of(problem), text),
    "plot_unscrambling": lambda problem, text: order_of(truth_of(problem), summary(text)) or 0.0,
    "typos": published(livebench_guru.typos),
    "cta": published(livebench_guru.column_type),
    "tablejoin": lambda problem, text: livebench_guru.join(mapping_of(problem.ground_truth), text),
    "tablereformat": lambda *_: 0.0,
}
