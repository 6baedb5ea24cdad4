"""IFEval's instructions as GURU's published scorer checks them; ``instructions`` takes them into
its version ``guru``.

In: a response and an instruction's parameters. Out: whether the response follows it, None where
that cannot be told. Keywords, forbidden words and markers are patterns here, not texts, as they
are there.

Not as published: sentences are counted by ``instructions``, without NLTK's trained model. A letter
that is none, for which the published scorer draws one by chance, gives the share of the letters
that would do. Where a pattern is none, at which it crashes, the answer is None. Parameters that are
missing or below zero, for which it draws others, are not drawn.
"""

from __future__ import annotations

import functools
import json
import re
import string
from collections.abc import Callable
from typing import Any

Found = bool | float | None
Parameters = dict[str, Any]
CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
POSTSCRIPTS = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
# Where NLTK's tokenizer for words (3.9.1, of the published scorer's time) divides a text: around
# these signs, before a single letter behind an apostrophe, at endings, inside joined words.
APART = re.compile(
    r"[*;@#$%&?!()\[\]{}<>\"\u00ab\u201c\u2018\u201e\u00bb\u201d\u2019`]|\.{2,}|--|''|[:,](?!\d)"
)
LETTER = re.compile(r"(?i)'(?!re|ve|ll|m|t|s|d|n)(\w)\b")
ENDING = re.compile(r"(?<=[^' \n])('(?:ll|LL|re|RE|ve|VE|[sSmMdD])|n't|N'T|')(?= |$)")
JOINED = re.compile(
    r"\b(?:(can)(not)|(d)('ye)|(gim)(me)|(gon)(na)|(got)(ta)|(lem)(me)|(more)('n)|(wan)(na))\b"
    r"|(?<!\S)('t)(is|was)\b",
    re.IGNORECASE,
)


def holds(count: int, relation: str, limit: int) -> bool:
    """``less than``, else ``at least``."""
    return count < limit if relation == "less than" else count >= limit


def by_pattern(check: Callable[[str, Parameters], bool]) -> Callable[[str, Parameters], Found]:
    """A check whose parameters are patterns: None if one of them is none."""

    @functools.wraps(check)
    def checked(text: str, given: Parameters) -> Found:
        try:
            return check(text, given)
        except (re.error, RecursionError, OverflowError):
            return None

    return checked


def in_language(text: str, wanted: str) -> Found:
    """Whether a text is in a language; a text without features is in all of them. None without
    langdetect."""
    try:
        from langdetect import DetectorFactory, LangDetectException, detect
    except ModuleNotFoundError:
        return None
    # langdetect draws at random; with a seed one text has one verdict.
    DetectorFactory.seed = 0
    try:
        return bool(detect(text) == wanted)
    except LangDetectException:
        return True


def english_capital(text: str, _: Parameters) -> Found:
    """All in capitals, and English."""
    return text.isupper() and in_language(text, "en")


def english_lowercase(text: str, _: Parameters) -> Found:
    """Without capitals, and English."""
    return text.islower() and in_language(text, "en")


def capitals(text: str, given: Parameters) -> bool:
    """So many words in capitals; "R&B" is two of them, and "DON'T" too."""
    divided = ENDING.sub(r" \1 ", APART.sub(r" \g<0> ", LETTER.sub(r"' \1", text)))
    divided = JOINED.sub(lambda word: " ".join(filter(None, word.groups())), divided)
    count = len([word for word in divided.split() if word.isupper()])
    return holds(count, given["capital_relation"], given["capital_frequency"])


def repeats_prompt(text: str, given: Parameters) -> bool:
    """The response begins with the prompt."""
    return text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def two_responses(text: str, _: Parameters) -> bool:
    """Two different responses, divided by six asterisks."""
    parts = [part.strip() for part in text.split("******")]
    if not all(parts[1:-1]):
        return False
    filled = [part for part in parts if part]
    return len(filled) == 2 and filled[0] != filled[1]


def placeholders(text: str, given: Parameters) -> bool:
    """So many brackets."""
    return bool(len(re.findall(r"\[.*?\]", text)) >= given["num_placeholders"])


@by_pattern
def postscript(text: str, given: Parameters) -> bool:
    """The marker, up to the end of a line."""
    marker = given["postscript_marker"].strip()
    pattern = POSTSCRIPTS.get(marker, rf"\s*{marker.lower()}.*$")
    return re.search(pattern, text.lower(), re.MULTILINE) is not None


def bullets(text: str, given: Parameters) -> bool:
    """Exactly so many lines that begin with an asterisk or a dash; a rule of dashes is one."""
    starred = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    dashed = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return bool(len(starred) + len(dashed) == given["num_bullets"])


def highlights(text: str, given: Parameters) -> bool:
    """So many parts in single asterisks and in double ones."""
    found = re.findall(r"\*[^\n\*]*\*", text) + re.findall(r"\*\*[^\n\*]*\*\*", text)
    filled = [part for part in found if part.strip("*").strip()]
    return bool(len(filled) >= given["num_highlights"])


@by_pattern
def sections(text: str, given: Parameters) -> bool:
    """So many times the word and a number."""
    word = given["section_spliter"].strip()
    return bool(len(re.split(rf"\s?{word}\s?\d+\s?", text)) > given["num_sections"])


def is_json(text: str, _: Parameters) -> bool:
    """JSON, in a fence or not; NaN is JSON."""
    bare = text.strip()
    for beginning in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(beginning)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def titled(text: str, _: Parameters) -> bool:
    """Something between double angular brackets."""
    titles = re.findall(r"<<[^\n]+>>", text)
    return any(title.lstrip("<").rstrip(">").strip() for title in titles)


@by_pattern
def existence(text: str, given: Parameters) -> bool:
    """All keywords."""
    return all(re.search(word, text, re.IGNORECASE) for word in sorted(given["keywords"]))


@by_pattern
def frequency(text: str, given: Parameters) -> bool:
    """A keyword so many times."""
    count = len(re.findall(given["keyword"].strip(), text, re.IGNORECASE))
    return holds(count, given["relation"], given["frequency"])


@by_pattern
def forbidden(text: str, given: Parameters) -> bool:
    """None of the words."""
    words = sorted(set(given["forbidden_words"]))
    return not any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for word in words)


def letters(text: str, given: Parameters) -> Found:
    """A letter so many times; of what is no letter of the alphabet, the share of the letters that
    would do."""
    relation, limit, lowered = given["let_relation"], given["let_frequency"], text.lower()
    letter = given["letter"].lower()
    if len(letter) == 1 and "a" <= letter <= "z":
        return holds(lowered.count(letter), relation, limit)
    drawn = [holds(lowered.count(one), relation, limit) for one in string.ascii_lowercase]
    return sum(drawn) / len(drawn)


def first_word(text: str, given: Parameters) -> bool:
    """So many paragraphs divided by empty lines, and the n-th piece begins with a word."""
    pieces = text.split("\n\n")
    count, number = sum(bool(piece.strip()) for piece in pieces), given["nth_paragraph"]
    if count != given["num_paragraphs"] or number > count or not pieces[number - 1].strip():
        return False
    begin = pieces[number - 1].split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", begin)[0].lower() == str(given["first_word"]).lower()


def paragraphs(text: str, given: Parameters) -> bool:
    """So many paragraphs, divided by ``***``."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    return all(parts[1:-1]) and len([part for part in parts if part]) == given["num_paragraphs"]


def words(text: str, given: Parameters) -> bool:
    """So many runs of letters, digits and underscores."""
    return holds(len(re.findall(r"\w+", text)), given["relation"], given["num_words"])


def ends(text: str, given: Parameters) -> bool:
    """The response ends with a phrase."""
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def quoted(text: str, _: Parameters) -> bool:
    """The whole response is in double quotation marks."""
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


PUBLISHED: dict[str, Callable[[str, Parameters], Found]] = {
    "change_case:capital_word_frequency": capitals,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "combination:repeat_prompt": repeats_prompt,
    "combination:two_responses": two_responses,
    "detectable_content:number_placeholders": placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:constrained_response": lambda text, _: any(
        answer in text for answer in CONSTRAINED
    ),
    "detectable_format:json_format": is_json,
    "detectable_format:multiple_sections": sections,
    "detectable_format:number_bullet_lists": bullets,
    "detectable_format:number_highlighted_sections": highlights,
    "detectable_format:title": titled,
    "keywords:existence": existence,
    "keywords:forbidden_words": forbidden,
    "keywords:frequency": frequency,
    "keywords:letter_frequency": letters,
    "language:response_language": lambda text, given: in_language(text, given["language"]),
    "length_constraints:nth_paragraph_first_word": first_word,
    "length_constraints:number_paragraphs": paragraphs,
    "length_constraints:number_words": words,
    "punctuation:no_comma": lambda text, _: "," not in text,
    "startend:end_checker": ends,
    "startend:quotation": quoted,
}
"""All but the number of sentences."""
