"""IFEval's instructions as the benchmark's own program checks them, defects included (Zhou et al.
2023, arXiv:2311.07911; GURU uses its checks unchanged).

In: a response and the parameters of the instruction. Out: as in ``instructions_strict.py``.
    ``instructions.py`` calls these.

Two things are not as published. Where that program draws a letter at random, because the one that
is asked for is a sign, the share of the 26 letters that fit is given. NLTK's trained models are not
here; the count of sentences equals that of its Punkt for 98 to 100 of 100 texts.
"""

from __future__ import annotations

import json
import re
import string

from engines.shared.scoring.instructions_prose import most_probable, words
from engines.shared.scoring.instructions_strict import CONSTRAINED, Check, Given, compared, titles

POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
STOP = re.compile(r"[.!?]+")
OPENING = "\"'([{*_#>-"
CLOSING = "\"')]}"
NO_WORD = ")\";}]*:@'({["
"""Signs that may stand right after the end of a sentence."""
ABBREVIATION = re.compile(
    r"[a-z]|a\.m|adm|ave|bros|co|corp|dr|ft|inc|jr|lt|ltd|maj|mr|mrs|ms|p\.m|ph\.d|prof|rep|sen|sr|"
    r"st|u\.k|u\.n|u\.s|vs"
)
STARTER = re.compile(
    r"(?:all|an|and|as|at|but|by|each|for|he|her|his|how|if|in|it|its|my|no|on|one|our|she|so|"
    r"some|that|the|their|there|these|they|this|those|to|we|what|when|where|while|with|you|your)\b"
)
"""Words that begin a sentence after an abbreviation if they have a capital."""
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


def found(pattern: str, text: str) -> list[str]:
    """What a keyword finds as the pattern that it is here. ValueError if it is no pattern, where
    the published program fails."""
    try:
        return [match[0] for match in re.finditer(pattern, text, re.IGNORECASE)]
    except re.error as error:
        raise ValueError(f"the keyword {pattern!r} is no pattern: {error}") from error


def is_language(text: str, wanted: str) -> bool | None:
    """Whether langdetect says so; a text without features is in every language."""
    language = most_probable(text)
    if language is None:
        return None
    return language in ("", wanted)


def in_case(right_case: bool, text: str) -> bool | None:
    """Whether a text is in the right case and English by langdetect, which errs about short
    ones."""
    return right_case and is_language(text, "en")


def parts_between(text: str, divider: str) -> list[str] | None:
    """What lies between dividers, nothing allowed before the first and after the last; None if
    something between is empty."""
    parts = [part.strip() for part in re.split(divider, text)]
    inner = [part for number, part in enumerate(parts) if part or 0 < number < len(parts) - 1]
    return inner if all(inner) else None


def paragraphs(text: str, given: Given) -> bool:
    """So many paragraphs, divided by ``***`` wherever it is."""
    inner = parts_between(text, r"\s?\*\*\*\s?")
    return inner is not None and len(inner) == given["num_paragraphs"]


def two_responses(text: str, _: Given) -> bool:
    """Two different responses, divided by six asterisks."""
    inner = parts_between(text, r"\*{6}")
    return inner is not None and len(inner) == 2 and inner[0] != inner[1]


def first_word(text: str, given: Given) -> bool:
    """As in strict, but the paragraphs before the n-th are counted with the empty ones, and only
    some signs end or precede a word."""
    parts = text.split("\n\n")
    number = given["nth_paragraph"]
    count = sum(bool(part.strip()) for part in parts)
    if count != given["num_paragraphs"] or number > count or not parts[number - 1].strip():
        return False
    begin = parts[number - 1].split()[0].lstrip("'").lstrip('"')
    word = re.split(r"[.,?!'\"]", begin)[0].lower()
    return bool(word == given["first_word"].lower())


def postscript(text: str, given: Given) -> bool:
    """The marker of a postscript, anywhere."""
    marker = given["postscript_marker"].strip()
    return bool(found(POSTSCRIPTS.get(marker, marker.lower()), text.lower()))


def highlights(text: str, given: Given) -> bool:
    """So many non-empty parts in single or double asterisks; one in three counts twice."""
    # Of "**two**" the first pattern finds "**", which is empty and does not count.
    single = [part for part in re.findall(r"\*[^\n*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n*]*\*\*", text) if part[2:-2].strip()]
    return len(single) + len(double) >= int(given["num_highlights"])


def is_json(text: str, _: Given) -> bool:
    """What Python reads as JSON, NaN too, in a fence or not."""
    bare = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(fence)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def placeholders(text: str, given: Given) -> bool:
    """So many square brackets that are closed in their line, empty ones too."""
    # Part by part, since a pattern takes minutes for a line of brackets that are never closed.
    count = sum("[" in part for line in text.split("\n") for part in line.split("]")[:-1])
    return bool(count >= given["num_placeholders"])


def titled(text: str, _: Given) -> bool:
    """A title in double angular brackets."""
    return any(title.lstrip("<").rstrip(">").strip() for title in titles(text))


def letters(text: str, given: Given) -> bool | float:
    """So many of a letter; of a sign, the share of the letters that fit, one of which would be
    drawn."""
    asked = given["letter"].lower()
    drawn = asked if len(asked) == 1 and asked in string.ascii_lowercase else string.ascii_lowercase
    fitting = [
        compared(text.lower().count(letter), given["let_relation"], given["let_frequency"])
        for letter in drawn
    ]
    return sum(fitting) / len(fitting)


def bullets(text: str, given: Given) -> bool:
    """Exactly so many lines that begin with a hyphen, or an asterisk that no second one follows: a
    rule of dashes is a bullet."""
    stars = re.findall(r"^[^\S\n]*\*[^*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^[^\S\n]*-.*$", text, re.MULTILINE)
    return bool(len(stars) + len(dashes) == given["num_bullets"])


def sentences(text: str) -> int:
    """Number of sentences, nearly as NLTK's Punkt counts them: the numeral of a list's item is one
    where a capital follows, and so is what stands after the last full stop."""
    tokens = text.split()
    followers = [*tokens[1:], ""]
    breaks = sum(map(breaks_in, tokens, followers))
    return breaks + bool(tokens)


def breaks_in(token: str, following: str) -> int:
    """How many sentences end in a token or with it; ``following`` is the next one, empty at the
    end."""
    count = 0
    for marks in STOP.finditer(token):
        before, rest = token[: marks.start()], token[marks.end() :]
        if not rest.strip(CLOSING):
            count += bool(following) and ends_after(before, marks[0], following)
        # Of the two ends in ``so?".`` the last one counts, if something follows.
        elif not following or rest.strip(CLOSING + ".!?"):
            count += rest[0] in NO_WORD and ends_after(before, marks[0], rest)
    return count


def ends_after(before: str, marks: str, following: str) -> bool:
    """Whether these marks end a sentence, between what stands before them in their token and what
    follows."""
    word, following = before.lower().lstrip(OPENING), following.lstrip(OPENING)
    capital = following[:1].isupper()
    if marks.strip("."):
        return True
    if len(marks) > 1:
        return capital
    if word.isdigit():
        return not following[:1].islower()
    if ABBREVIATION.fullmatch(word):
        return capital and STARTER.match(following.lower()) is not None
    return True


def capitals(text: str, given: Given) -> bool:
    """So many words in capitals, divided as NLTK's tokenizer does: DON'T and R&B are two, A/B is
    one."""
    divided = ENDING.sub(r" \1 ", APART.sub(r" \g<0> ", LETTER.sub(r"' \1", text)))
    divided = JOINED.sub(lambda word: " ".join(filter(None, word.groups())), divided)
    count = len([word for word in divided.split() if word.isupper()])
    return compared(count, given["capital_relation"], given["capital_frequency"])


def quoted(text: str, _: Given) -> bool:
    """The response begins and ends with a straight double quotation mark."""
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


GURU: dict[str, Check] = {
    "change_case:capital_word_frequency": capitals,
    "change_case:english_capital": lambda text, _: in_case(text.isupper(), text),
    "change_case:english_lowercase": lambda text, _: in_case(text.islower(), text),
    "combination:repeat_prompt": lambda text, given: (
        text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())
    ),
    "combination:two_responses": two_responses,
    "detectable_content:number_placeholders": placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:constrained_response": lambda text, _: any(
        answer in text for answer in CONSTRAINED
    ),
    "detectable_format:json_format": is_json,
    "detectable_format:multiple_sections": lambda text, given: (
        len(found(rf"(?-i:{given['section_spliter'].strip()})\s?\d+", text))
        >= given["num_sections"]
    ),
    "detectable_format:number_bullet_lists": bullets,
    "detectable_format:number_highlighted_sections": highlights,
    "detectable_format:title": titled,
    "keywords:existence": lambda text, given: all(found(word, text) for word in given["keywords"]),
    "keywords:forbidden_words": lambda text, given: (
        not any(found(rf"\b{word}\b", text) for word in given["forbidden_words"])
    ),
    "keywords:frequency": lambda text, given: compared(
        len(found(given["keyword"].strip(), text)), given["relation"], given["frequency"]
    ),
    "keywords:letter_frequency": letters,
    "language:response_language": lambda text, given: is_language(text, given["language"]),
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
"""Check by the name of the instruction."""
