"""IFEval: 25 kinds of instructions that a program can check (Zhou et al. 2023, arXiv:2311.07911). A
response follows all of them, or not.

Sentences and words are divided here by rules of our own instead of NLTK's trained models, in both
versions; a count at the edge of its limit may come out otherwise than there. Languages are told
apart by langdetect with a fixed seed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.instructions_guru import PUBLISHED
from engines.shared.scoring.text import literal
from engines.shared.scoring.verdict import Verdict

Check = Callable[[str, dict[str, Any]], bool | float | None]
"""Whether a response follows an instruction with these parameters; None if that cannot be told
here."""

ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|Inc|Ltd|Co|Corp|No|Fig|approx|a\.m|p\.m|U\.S|[A-Z])\."
)
SENTENCE_END = re.compile(r"[.!?]+[\"')\]*_\u201d\u2019]*(?=\s|$)")
CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the response follows all instructions of the problem, literally: a keyword is a text
    and no pattern."""
    return judged(problem, text, STRICT)


def guru(problem: Problem, text: str) -> Verdict:
    """The benchmark's own checks: keywords are patterns, a rule of dashes is a bullet, an
    undetectable language is the right one. The thinking ends at the first ``</think>``."""
    parts = text.split("</think>")
    return judged(problem, parts[1] if len(parts) > 1 else text, GURU)


def judged(problem: Problem, text: str, checks: dict[str, Check]) -> Verdict:
    """The verdict of a set of checks. Value None if an instruction is not known or cannot be
    checked here, and no other has failed."""
    if not text.strip():
        return Verdict(0.0, "no_answer", detail="empty response")
    names = problem.extra_info.get("instruction_id_list")
    truth = (
        literal(problem.ground_truth)
        if isinstance(problem.ground_truth, str)
        else problem.ground_truth
    )
    if names is None or len(names) != len(truth):
        return Verdict(
            None, "error", detail="extra_info has no instruction_id_list that fits the ground truth"
        )
    failed, unknown = [], []
    share = 1.0
    for name, parameters in zip(names, truth, strict=True):
        check = checks.get(name)
        # None: cannot be told here. That only matters if no other instruction has failed.
        follows = check(text, given_parameters(parameters)) if check else None
        if follows is None:
            unknown.append(name)
        elif not follows:
            failed.append(name)
        else:
            share *= follows
    if failed:
        return Verdict(0.0, "ok", detail=f"not followed: {', '.join(failed)}")
    if unknown:
        return Verdict(
            None,
            "error",
            detail=f"cannot be checked here: {', '.join(unknown)}; for languages install "
            "langdetect",
        )
    return Verdict(share, "ok")


def given_parameters(parameters: dict[str, Any] | None) -> dict[str, Any]:
    """The parameters that an instruction has. In the files every problem has every one, null where
    it has no meaning, and a whole number may have become 2.0."""
    return {
        key: int(value) if isinstance(value, float) else value
        for key, value in (parameters or {}).items()
        if value is not None
    }


def compared(count: int, relation: str, limit: int) -> bool:
    """``at least`` or ``less than``."""
    return count >= limit if relation == "at least" else count < limit


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores."""
    return re.findall(r"\w+", text)


def sentences(text: str) -> int:
    """Number of sentences: ends of ``.``, ``!`` or ``?`` before white space, abbreviations left
    out, and an unfinished last one."""
    # "Dr. Who left." is one sentence: the abbreviation loses its full stop first.
    lowered = ABBREVIATION.sub(lambda match: match[0].replace(".", ""), text)
    parts = [part for part in SENTENCE_END.split(lowered) if re.search(r"\w", part)]
    return len(parts)


def language(text: str) -> str | None:
    """Language code of a text; "" if it has no features, None if langdetect is not installed."""
    try:
        from langdetect import DetectorFactory, LangDetectException, detect
    except ModuleNotFoundError:
        return None
    # langdetect draws at random, and changes its mind about short texts without a seed.
    DetectorFactory.seed = 0
    try:
        return str(detect(text))
    except LangDetectException:
        return ""


def is_language(text: str, wanted: str, undetected: bool) -> bool | None:
    """Whether a text is in a language; ``undetected`` if it has no features, None if it cannot be
    told."""
    found = language(text)
    return None if found is None else found == wanted if found else undetected


def in_case(right_case: bool, text: str, undetected: bool) -> bool | None:
    """Whether an English text is in the right case. The case is looked at first: it needs no
    library."""
    return right_case and is_language(text, "en", undetected)


def parts_between(text: str, divider: str) -> list[str] | None:
    """What lies between dividers, nothing allowed before the first and after the last; None if
    something between is empty."""
    parts = [part.strip() for part in re.split(divider, text)]
    inner = [part for number, part in enumerate(parts) if part or 0 < number < len(parts) - 1]
    return inner if all(inner) else None


def paragraphs(text: str, given: dict[str, Any]) -> bool:
    """So many paragraphs, divided by ``***``."""
    found = parts_between(text, r"\s?\*\*\*\s?")
    return found is not None and len(found) == int(given["num_paragraphs"])


def first_word(text: str, given: dict[str, Any]) -> bool:
    """So many paragraphs divided by empty lines, and the n-th begins with a word."""
    parts = text.split("\n\n")
    number = given["nth_paragraph"]
    if (
        sum(bool(part.strip()) for part in parts) != given["num_paragraphs"]
        or number > len(parts)
        or not parts[number - 1].strip()
    ):
        return False
    # "'Hello," is the word hello.
    begin = parts[number - 1].split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", begin)[0].lower() == str(given["first_word"]).lower()


def postscript(text: str, given: dict[str, Any]) -> bool:
    """A postscript with its marker at the beginning of a line's end."""
    patterns = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
    marker = given["postscript_marker"]
    return bool(
        re.search(
            patterns.get(marker, r"\s*" + re.escape(marker.lower()) + r".*$"),
            text.lower(),
            re.MULTILINE,
        )
    )


def highlights(text: str, given: dict[str, Any]) -> bool:
    """So many non-empty parts in single or double asterisks."""
    # "*one*"; of "**two**" this pattern finds "**", which is empty and does not count.
    single = [part for part in re.findall(r"\*[^\n*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n*]*\*\*", text) if part.strip("*").strip()]
    return len(single) + len(double) >= int(given["num_highlights"])


def sections(text: str, given: dict[str, Any]) -> bool:
    """So many sections, each begun by the word and a number."""
    return len(re.findall(rf"\s?{re.escape(given['section_spliter'])}\s?\d+\s?", text)) >= int(
        given["num_sections"]
    )


def is_json(text: str, _: dict[str, Any]) -> bool:
    """The whole response is JSON, in a fence or not."""
    bare = re.sub(r"^```(?:json|Json|JSON)?|```$", "", text.strip()).strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def two_responses(text: str, _: dict[str, Any]) -> bool:
    """Two different responses, divided by six asterisks."""
    found = parts_between(text, r"\*{6}")
    return found is not None and len(found) == 2 and found[0] != found[1]


def quoted(text: str, _: dict[str, Any]) -> bool:
    """The whole response is in double quotation marks."""
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def capitals(text: str, given: dict[str, Any]) -> bool:
    """So many words in capitals."""
    count = sum(word.isupper() for word in re.findall(r"'\w+|\w+(?:[-.&]\w+)*", text))
    return compared(count, given["capital_relation"], given["capital_frequency"])


def titled(text: str, _: dict[str, Any]) -> bool:
    """A title in double angular brackets."""
    return any(title.strip("<>").strip() for title in re.findall(r"<<[^\n]+>>", text))


SHARED: dict[str, Check] = {
    "change_case:capital_word_frequency": capitals,
    "combination:repeat_prompt": lambda text, given: (
        text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())
    ),
    "combination:two_responses": two_responses,
    "detectable_content:number_placeholders": lambda text, given: (
        len(re.findall(r"\[.*?\]", text)) >= given["num_placeholders"]
    ),
    "detectable_content:postscript": postscript,
    "detectable_format:constrained_response": lambda text, _: any(
        answer in text for answer in CONSTRAINED
    ),
    "detectable_format:json_format": is_json,
    "detectable_format:multiple_sections": sections,
    "detectable_format:number_highlighted_sections": highlights,
    "detectable_format:title": titled,
    "keywords:forbidden_words": lambda text, given: (
        not any(
            re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
            for word in given["forbidden_words"]
        )
    ),
    "keywords:letter_frequency": lambda text, given: compared(
        text.lower().count(given["letter"].lower()), given["let_relation"], given["let_frequency"]
    ),
    "length_constraints:nth_paragraph_first_word": first_word,
    "length_constraints:number_paragraphs": paragraphs,
    "length_constraints:number_sentences": lambda text, given: compared(
        sentences(text), given["relation"], given["num_sentences"]
    ),
    "length_constraints:number_words": lambda text, given: compared(
        len(words(text)), given["relation"], given["num_words"]
    ),
    "punctuation:no_comma": lambda text, _: "," not in text,
    "startend:end_checker": lambda text, given: (
        text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())
    ),
    "startend:quotation": quoted,
}
"""The checks that both versions share."""

STRICT: dict[str, Check] = SHARED | {
    "change_case:english_capital": lambda text, _: in_case(text.isupper(), text, False),
    "change_case:english_lowercase": lambda text, _: in_case(text.islower(), text, False),
    "detectable_format:number_bullet_lists": lambda text, given: (
        len(
            [
                line
                for line in re.findall(r"^\s*[*-]\s+\S.*$", text, re.MULTILINE)
                if line.strip("*- \t\n")
            ]
        )
        == given["num_bullets"]
    ),
    "keywords:existence": lambda text, given: all(
        word.lower() in text.lower() for word in given["keywords"]
    ),
    "keywords:frequency": lambda text, given: compared(
        text.lower().count(given["keyword"].lower()), given["relation"], given["frequency"]
    ),
    "language:response_language": lambda text, given: is_language(text, given["language"], False),
}

GURU: dict[str, Check] = SHARED | PUBLISHED
