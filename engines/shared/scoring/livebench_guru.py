"""LiveBench's tasks as GURU's published scorer judges them; ``livebench`` hands this out as its
version ``guru``.

In: a problem whose ``extra_info`` names the ``task``, and a response with its thinking, which the
published scorer does not take off. Out: a verdict, 0 to 1. Every release is judged by the rules of
the oldest one, and a reformatted table is always wrong (a misspelt task name).

Not as published: a box at which the published scorer crashes is an error, and so is a task that it
does not know and gives 0 to.
"""

from __future__ import annotations

import ast
import difflib
import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.distance import edit_distance
from engines.shared.scoring.published import python_or_json, spaced_box
from engines.shared.scoring.verdict import Verdict

DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS = (
    *("zero", *DIGITS, "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
    *("sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
SHAPES = ("tetrahedra", "tetrahedron", "triangle", "square")
TRUTHS = ("yes", "no", "unknown")


def guru(problem: Problem, text: str) -> Verdict:
    """The value of the task's published function. Value None if the task is not known; ValueError
    where the published scorer crashes."""
    task = TASKS.get(str(problem.extra_info.get("task")))
    if task is None:
        named = problem.extra_info.get("task")
        known = ", ".join(sorted(TASKS))
        return Verdict(None, "error", detail=f"extra_info.task is {named!r}; known are {known}")
    truth = problem.ground_truth
    return Verdict(float(task(truth if isinstance(truth, dict) else str(truth), text)), "ok")


def box(text: str) -> str | None:
    """What the last box holds, without dollar signs."""
    found = spaced_box(text, framed=True)
    if found is None or "\\boxed " in text:
        return found
    return found.replace("$", "").replace("fbox", "boxed")


def solutions(text: str) -> list[str]:
    """What the ``<solution>`` tags hold, each on one line."""
    return re.findall(r"<solution>(.*?)</solution>", text)


def three_truths(text: str) -> str | None:
    """Yes, no and unknown, as the last solution has them, else the last bold ones, else the last
    box, else the last list of three."""
    found = solutions(text) or re.findall(r"</solution>(.*?)</solution>", text)
    if found and found[-1].strip():
        return str(found[-1])
    bold = [] if found else bold_truths(text)
    if bold:
        return ", ".join(bold)
    text, boxed = boxed_truths(text)
    if boxed is not None or found:
        return boxed if boxed is not None else str(found[-1])
    return last_list(text)


def bold_truths(text: str) -> list[str]:
    """The last three truths among the bold words."""
    words = [word for bold in re.findall(r"\*\*(.*?)\*\*", text) for word in bold.split()]
    bare = [word.lower().strip().replace(",", "").replace(".", "") for word in words]
    return [word for word in bare if word in TRUTHS][-3:]


def boxed_truths(text: str) -> tuple[str, str | None]:
    """The text with bold type made a box, and what its last box holds, if anything."""
    text = text.replace("\\\\boxed{\\\\textbf{", "\\\\boxed{").replace("\\\\fbox{", "\\\\boxed{")
    text = text.replace("\\textbf{", "\\boxed{")
    return text, box(text)


def last_list(text: str) -> str | None:
    """The list of three truths whose first appearance is the last one."""
    lowered, found, place = text.lower(), None, -1
    for words in itertools.product(TRUTHS, repeat=3):
        listed = ", ".join(words)
        if lowered.find(listed) > place:
            found, place = listed, lowered.find(listed)
    return found


def web_of_lies(truth: str, text: str) -> float:
    """The three truths: equal, or three of them with the right ones among them."""
    given, wanted = three_truths(text), truth.lower()
    if not given:
        return 0.0
    count = sum(given.count(word) for word in TRUTHS)
    return float(given == wanted or (count == 3 and wanted in given))


def web_of_lies_v3(truth: str, text: str) -> float:
    """Half for the share of right entries, half for all; spaces count."""
    found = solutions(text)
    given = found[-1] if found and found[-1].strip() else None
    if given is None:
        text, given = boxed_truths(text)
        if given is None:
            given = found[-1] if found else last_list(text)
    if given is None:
        return 0.0
    golds = truth.split(",")
    right = sum(map(str.__eq__, given.split(","), golds))
    return ((right == len(golds)) + right / len(golds)) / 2


def house_traversal(truth: str, text: str) -> float:
    """All names in order in the last bold words, one in each or all in the last."""
    bold = re.findall(r"(\*{2,})(.*?)\1", text.lower())
    names = truth.lower().split(" ")
    if not bold:
        return 0.0
    # A name counts where it is one of the pair of asterisks and words.
    if len(bold) >= len(names) and all(map(tuple.__contains__, bold[-len(names) :], names)):
        return 1.0
    places = [bold[-1][1].find(name) for name in names]
    rising = all(one < other for one, other in itertools.pairwise(places))
    return float(places[0] >= 0 and rising)


def spatial(truth: str, text: str) -> float:
    """The answer itself, one of the last three bold phrases, or the last box."""
    if text == truth:
        return 1.0
    wanted = truth.strip().lower()
    for phrase in re.findall(r"\*\*([^\*]+)\*\*", text)[-3:]:
        word = phrase.strip().lower()
        shape = wanted in SHAPES and wanted in word and len(word) < 2 * len(wanted) + 5
        number = word in NUMBERS and str(NUMBERS.index(word)) == wanted
        if word == wanted or number or shape:
            return 1.0
    boxed = box(text.replace("\\\\fbox{", "\\\\boxed{"))
    if boxed is None:
        return 0.0
    bare = boxed.replace("\\textbf{", "").replace("\\mathbf{", "").replace("}", "")
    return float(bare == truth)


def zebra(truth: str, text: str) -> float:
    """The last word between three asterisks, else the last word."""
    words = re.findall(r"\*\*\*(\w+)\*\*\*", text) or re.findall(r"\b\w+\b", text)
    word, wanted = (words[-1] if words else ""), truth.lower()
    number = re.fullmatch("[1-9]", word) and DIGITS[int(word) - 1] == wanted
    return float(word.lower() in (wanted, wanted.removesuffix(" movies")) or bool(number))


def connections(truth: str, text: str) -> float:
    """The largest share of the right groups that one bold list holds."""
    wanted = groups(truth)
    bold = re.findall(r"\*\*(.*?)\*\*", text.replace("\n", ""))
    shares = [0.0]
    for words in bold:
        given = groups(words)
        found = [group for group in wanted if any(group <= other for other in given)]
        shares.append(len(found) / len(wanted))
    return max(shares)


def groups(words: str) -> list[set[str]]:
    """Words divided by commas, four different ones to a group."""
    found: list[set[str]] = [set()]
    for word in words.split(","):
        if len(found[-1]) == 4:
            found.append(set())
        found[-1].add(word.strip().lower())
    return found


def plot_unscrambling(truth: str, text: str) -> float:
    """1 minus the edit distance of the sentences' order over their number."""
    match = re.search(r"<PLOT_SUMMARY>(.*)</PLOT_SUMMARY>", text, re.DOTALL) or re.search(
        r"<PLOT_SUMMARY>(.*)", text, re.DOTALL
    )
    ends = ("", "</PLOT_SUMMARY>", "**End of Plot Summary**")
    given = [part.strip() for part in (match[1] if match else text).split(".")]
    given = [sentence for sentence in given if sentence not in ends]
    wanted = [part.strip() for part in truth.split(".") if part.strip()]
    order = []
    for sentence in wanted:
        # The nearest one whatever its distance: models do not copy a sentence exactly.
        for match_ in difflib.get_close_matches(sentence, given, n=1, cutoff=0.0):
            order.append(given.index(match_))
    return 1 - edit_distance(list(range(len(wanted))), order) / len(wanted)


def typos(truth: str, text: str) -> float:
    """The corrected text somewhere in the last solution, else between two ``---`` of a line, else
    in the response."""
    found = solutions(text)
    if found:
        given = found[-1]
    else:
        given = text.replace("<solution>", "").replace("</solution>", "")
        dashes = re.search(r".* --- (.*?) --- .*", given)
        given = dashes[1] if dashes else given
    return float(truth in " ".join(line for line in given.strip().split("\n") if line))


def column_type(truth: str, text: str) -> float:
    """The letters and digits of the box or the response end with those of the type's name."""
    given = text
    if "\\boxed{" in text:
        boxed = box(text)
        if boxed is None:
            raise ValueError("the published scorer crashes: the last box is never closed")
        given = boxed.replace("\\text{", "").replace("}", "").replace("\\", "")
    bare, wanted = (re.sub(r"[^\w]", "", side.lower().strip()) for side in (given, truth))
    # Of a name without letters the end is the whole answer, which then is not empty.
    return float(bare == wanted or bare[-len(wanted) :] == wanted)


def table_join(truth: Any, text: str) -> float:
    """F1 of a mapping of columns, in hundredths; a column that is mapped to the wrong one counts as
    found and wrong, and as missed."""
    import numpy

    wanted = truth if isinstance(truth, dict) else python_or_json(truth)
    found = mapping(text)
    if not found:
        return 0.0
    right = sum(1 for key, value in found.items() if wanted.get(key) and wanted[key] == value)
    swapped = sum(1 for key, value in found.items() if wanted.get(key) and wanted[key] != value)
    missed = sum(1 for key in wanted if not found.get(key))
    share = 2 * right / (2 * right + (len(found) - right) + missed + swapped)
    return float(numpy.round(share, 2))


def mapping(text: str) -> dict[Any, Any]:
    """The dictionary of the last solution, fence or box, without what is mapped to nothing."""
    # A solution may hold another one.
    while found := re.findall(r"<solution>(.*?)</solution>", text, re.DOTALL):
        text = found[-1].strip()
    value = python_value(text)
    if value is None:
        value = python_value(fenced_or_boxed(text).replace("null", "None"))
    if not isinstance(value, dict):
        return {}
    return {key: column for key, column in value.items() if column is not None}


def python_value(text: str) -> Any:
    """The Python value that a text spells; None if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def fenced_or_boxed(text: str) -> str:
    """What the last fence holds, a Python one first; else the last box; else the text."""
    flat = text.replace("\n", "")
    for fence in ("```python", "```json", "```"):
        if blocks := re.findall(f"{fence}(.*?)```", flat):
            return str(blocks[-1])
    boxed = box(flat) if "\\boxed" in text else None
    if boxed is None:
        return text
    return re.sub(r"\\text{['|\"](.*?)['|\"]}", r"'\1'", boxed).replace("\\", "")


def reformat(truth: str, text: str) -> float:  # noqa: ARG001  # as all tasks are called
    """Never right."""
    return 0.0


TASKS: dict[str, Callable[[Any, str], float]] = {
    "web_of_lies_v2": web_of_lies,
    "web_of_lies_v3": web_of_lies_v3,
    "house_traversal": house_traversal,
    "spatial": spatial,
    "zebra_puzzle": zebra,
    "connections": connections,
    "plot_unscrambling": plot_unscrambling,
    "typos": typos,
    "cta": column_type,
    "tablejoin": table_join,
    "tablereformat": reformat,
}
