"""LiveBench's tasks as GURU's copy of their scorers judges them, defects included (White et al.
2024, arXiv:2406.19314).

In: the right answer and a response. Out: the value, 0.0 also where nothing was found.
    ``livebench.py`` calls these.

GURU has problems of June and July 2024 and the functions of that time; its table reformatting is
never called, since the name of the task is misspelt there, and gives 0.0.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from engines.shared.scoring.livebench_tables import join_f1, without_none
from engines.shared.scoring.published import all_tagged
from engines.shared.scoring.text import literal

NUMBERS = {
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "thirteen": "13",
    "fourteen": "14",
    "fifteen": "15",
    "sixteen": "16",
    "seventeen": "17",
    "eighteen": "18",
    "nineteen": "19",
    "twenty": "20",
}
TRUTHS = ("yes", "no", "unknown")
LONGEST_MAPPING = 20_000
"""Characters of a response whose box is read; one pattern below takes the square of them."""
SHAPES = ("tetrahedra", "tetrahedron", "triangle", "square")


def box(text: str) -> str | None:
    """What the last box holds, dollar signs left out; the first brace ends a box written without
    any."""
    if "\\boxed " in text:
        return text.rpartition("\\boxed ")[2].partition("$")[0]
    start = text.rfind("\\boxed")
    if start < 0:
        start = text.rfind("\\fbox")
    if start < 0:
        return None
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if text[position] == "}" and depth == 0:
            found = text[start : position + 1].replace("$", "").replace("fbox", "boxed")
            # A box that does not begin with its brace stops the published program.
            return found[len("\\boxed{") : -1] if found.startswith("\\boxed{") else None
    return None


def tagged(text: str) -> list[str]:
    """What ``<solution>`` tags hold that lie in one line."""
    return all_tagged(text, "<solution>", "</solution>") or all_tagged(
        text, "</solution>", "</solution>"
    )


def without_text(text: str) -> str:
    """An answer without ``\\text{}`` and backslashes."""
    return text.replace("\\text{", "").replace("}", "").replace("\\", "")


def web_of_lies(truth: str, text: str) -> float:
    """Three of yes, no and unknown that hold the right ones, in a tag, else in bold, else in a box,
    else in the last such list."""
    found = tagged(text)
    parsed = found[-1] if found else bold_truths(text)
    if parsed is None or not parsed.strip():
        inner = box(text.replace("\\textbf{", "\\boxed{"))
        parsed = parsed if inner is None else inner
    if parsed is None:
        parsed = plain_truths(text)
    if not parsed:
        return 0.0
    wanted = truth.lower()
    three = sum(parsed.count(word) for word in TRUTHS) == 3
    return float(parsed == wanted or (three and wanted in parsed))


def web_of_lies_v3(truth: str, text: str) -> float:
    """Half for all entries of a list, half for the share of those that are right, sign by sign: in
    a tag, else in a box, else in the last list of three. Bold words do not count by themselves."""
    found = all_tagged(text, "<solution>", "</solution>")
    parsed = found[-1] if found else None
    if parsed is None or not parsed.strip():
        for name in ("\\\\boxed{\\\\textbf{", "\\\\fbox{"):
            text = text.replace(name, "\\\\boxed{")
        text = text.replace("\\textbf{", "\\boxed{")
        inner = box(text)
        parsed = parsed if inner is None else inner
    if parsed is None:
        parsed = plain_truths(text)
    if parsed is None:
        return 0.0
    wanted = truth.split(",")
    right = sum(map(str.__eq__, parsed.split(","), wanted))
    return ((right == len(wanted)) + right / len(wanted)) / 2


def house_traversal(truth: str, text: str) -> float:
    """The names in order: each as one of the last phrases in bold, or somewhere in the last one,
    parts of longer names too."""
    found = bold_phrases(text.lower())
    names = truth.lower().split(" ")
    if not found:
        return 0.0
    # The published program looks for a name among the asterisks and the phrase.
    last = zip(reversed(names), reversed(found), strict=False)
    if len(found) >= len(names) and all(name in pair for name, pair in last):
        return 1.0
    places = [found[-1][1].find(name) for name in names]
    return float(places[0] >= 0 and all(one < two for one, two in itertools.pairwise(places)))


def bold_phrases(text: str) -> list[tuple[str, str]]:
    """What lies in one line between as many asterisks, two or more, and these asterisks. As
    ``re.findall(r"(\\*{2,})(.*?)\\1")``, which takes days for long lines of asterisks."""
    found = []
    for line in text.split("\n"):
        runs = [(run.start(), run.end()) for run in re.finditer(r"\*{2,}", line)]
        # The longest run of asterisks behind each.
        longest = [0]
        for start, end in reversed(runs):
            longest.append(max(longest[-1], end - start))
        longest.reverse()
        position = 0
        for number, (start, end) in enumerate(runs):
            begin = max(start, position)
            # As many as come again later, or else half of them: "****" is an empty phrase.
            while (count := marks_at(end - begin, longest[number + 1])) >= 2:
                close = line.find("*" * count, begin + count)
                found.append(("*" * count, line[begin + count : close]))
                begin = position = close + count
                if position >= end:
                    break
    return found


def marks_at(here: int, later: int) -> int:
    """How many of so many asterisks in a row begin a phrase, where the longest later row has so
    many."""
    return max(min(here, later), here // 2)


def plain_truths(text: str) -> str | None:
    """The last list of three of yes, no and unknown; lists may overlap."""
    choice = f"(?:{'|'.join(TRUTHS)})"
    plain = re.findall(rf"(?=({choice}, {choice}, {choice}))", text.lower())
    return last_started(text.lower(), set(plain))


def last_started(text: str, lists: set[str]) -> str | None:
    """The list whose first occurrence is the last one: the published program looks for each once,
    from the beginning."""
    return max(lists, key=text.find, default=None)


def bold_truths(text: str) -> str | None:
    """The last three of yes, no and unknown that are words in bold; None if there is none."""
    spans = re.findall(r"\*\*(.*?)\*\*", text)
    each = [
        word.lower().strip().replace(",", "").replace(".", "")[: max(len(word), 3)]
        for span in spans
        for word in span.split()
    ]
    return ", ".join([word for word in each if word in TRUTHS][-3:]) or None


def spatial(truth: str, text: str) -> float:
    """One of the last three bold phrases, or the last box."""
    if text == truth:
        return 1.0
    wanted = truth.strip().lower()
    for phrase in re.findall(r"\*\*([^*]+)\*\*", text)[-3:]:
        word = phrase.strip().lower()
        shape = wanted in SHAPES and wanted in word and len(word) < 2 * len(wanted) + 5
        if word == wanted or NUMBERS.get(word) == wanted or shape:
            return 1.0
    inner = box(text) or ""
    return float(inner.replace("\\textbf{", "").replace("\\mathbf{", "").replace("}", "") == truth)


def zebra(truth: str, text: str) -> float:
    """The last word in three asterisks, else the last word."""
    found = re.findall(r"\*\*\*(\w+)\*\*\*", text) or re.findall(r"\b\w+\b", text)
    if not found:
        return float(truth == "")
    word = found[-1].lower()
    name = next(
        (name for name, digit in NUMBERS.items() if digit == word and len(digit) == 1), None
    )
    return float(truth.lower() in (word, name, f"{word} movies"))


def connections(truth: str, text: str) -> float:
    """Share of the groups that the best list in bold has."""
    wanted = groups(truth)
    lists = re.findall(r"\*\*(.*?)\*\*", text.replace("\n", ""))
    shares = [
        sum(any(group <= other for other in groups(words)) for group in wanted) for words in lists
    ]
    return max(shares, default=0) / len(wanted)


def groups(words: str) -> list[set[str]]:
    """Words divided by commas, four to a group; a word that comes twice in one counts once."""
    found: list[set[str]] = [set()]
    for word in words.split(","):
        if len(found[-1]) == 4:
            found.append(set())
        found[-1].add(word.strip().lower())
    return found


def typos(truth: str, text: str) -> float:
    """The corrected text, in the last tag of one line if there is one; line ends are spaces."""
    found = all_tagged(text, "<solution>", "</solution>")
    if found:
        answer = found[-1]
    else:
        answer = text.replace("<solution>", "").replace("</solution>", "")
        # Between the last two dashes of the first line that has two.
        lines = (line.rsplit(" --- ", 2) for line in answer.split("\n"))
        answer = next((parts[1] for parts in lines if len(parts) == 3), answer)
    joined = " ".join(line for line in answer.strip().split("\n") if line)
    return float(truth in joined)


def column_type(truth: str, text: str) -> float:
    """A response, or its last box, that ends with the type's letters."""
    answer = text
    if "\\boxed{" in text:
        answer = without_text(box(text) or "")
    wanted, given = (re.sub(r"\W", "", side.lower()) for side in (truth, answer))
    return float(given.endswith(wanted))


def join(truth: dict[Any, Any], text: str) -> float:
    """F1 of a mapping of columns with two decimals; a column that has none has to be mapped all the
    same."""
    found = dictionary(text)
    return round(join_f1(truth, found), 2) if found else 0.0


def dictionary(text: str) -> dict[Any, Any]:
    """The dictionary of a response, entries of None left out; empty if there is none."""
    solutions = all_tagged(text, "<solution>", "</solution>", across_lines=True)
    if solutions:
        return dictionary(solutions[-1].strip())
    flat = text.replace("\n", "")
    blocks = (
        re.findall("```python(.*?)```", flat)
        or re.findall("```json(.*?)```", flat)
        or re.findall("```(.*?)```", flat)
    )
    inner = None
    if not blocks and "\\boxed" in text and len(flat) <= LONGEST_MAPPING:
        inner = box(flat)
    if blocks:
        last = blocks[-1]
    elif inner is not None:
        last = re.sub(r"\\text{['|\"](.*?)['|\"]}", r"'\1'", inner).replace("\\", "")
    else:
        last = text
    for candidate in (text, last.replace("null", "None")):
        try:
            value = literal(candidate)
        except ValueError:
            continue
        return without_none(value) if isinstance(value, dict) else {}
    return {}
