"""IFEval's instructions as their prompts word them: what a reader of the response would say.

In: a response whose quotes and ends of lines are plain (``plain``), and the parameters of the
    instruction. Out: whether the response follows it, None if that cannot be told here.
    ``instructions.py`` calls these.

Where a prompt leaves it open, the benchmark's own reading holds: a keyword may be part of a longer
word, words are runs of letters and digits, "SECTION 1" may stand anywhere in a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from engines.shared.scoring.instructions_prose import may_be, plain, sentences, whole_words

Given = dict[str, Any]
Check = Callable[[str, Given], bool | float | None]
"""Whether a response follows an instruction with these parameters: yes, no, in so many of the cases
that are equally probable; None if that cannot be told here."""

CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
COMMAS = ",\u060c\u3001\uff0c\uff64"
"""The comma, and those of Arabic, Chinese and Japanese."""
MARKUP_BEFORE = " \t#*_>~`\"'([{-+"
MARKUP_AFTER = " \n*_~`\"')]}>"

BOLD_ITALIC = re.compile(r"(?<!\S)\*{3}(?=[^\s*])([^*\n]*[^\s*])\*{3}(?!\w)")
# Between digits an asterisk is a multiplication.
EMPHASIS = re.compile(r"(?<![*\\0-9])(\*{1,3})(?![\s*])[^*\n]*[^\s*\\]\1(?![*0-9])")
FENCE = re.compile(r"(?:`+|~~~)[ \t]*(?:json)?\s*(.*?)\s*(?:`+|~~~)?", re.DOTALL | re.IGNORECASE)
PLACEHOLDER = re.compile(r"\[([^\[\]]+)\](?!\((?:https?:|www\.|mailto:|[/#]))")
TASK = re.compile(r"^\s*[-*+] \[[xX ]\]", re.MULTILINE)
"""An item that can be ticked."""
BULLET = re.compile(r"\s*(?:>\s*)*([*+-])(\s*)(\S.*)")
POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s(?!\w)"}


def compared(count: int, relation: str, limit: int) -> bool:
    """``at least`` or ``less than``."""
    if relation == "at least":
        return count >= limit
    return count < limit


def folded(text: str) -> str:
    """A text whose case, quotes and kinds of white space do not matter."""
    return " ".join(plain(text).split()).casefold()


def shown(text: str, word: str) -> str:
    """A text as a reader sees it, for a search for ``word``: without the signs of bold and code,
    unless the word has some itself."""
    return folded(text if re.search("[*`]", word) else re.sub("[*`]+", "", text))


def english_in(right_case: bool, text: str) -> bool | None:
    """Whether a text is in the right case and may be English. The case is looked at first: it needs
    no library."""
    return right_case and may_be(text, "en")


def parts_between(text: str, stars: int) -> list[str] | None:
    """What lies between dividers of so many asterisks, nothing allowed before the first and after
    the last; None if something between is empty."""
    parts = [part.strip() for part in re.split(rf"(?<!\*)\*{{{stars}}}(?!\*)", text)]
    inner = [part for number, part in enumerate(parts) if part or 0 < number < len(parts) - 1]
    return inner if all(inner) else None


def paragraphs(text: str, given: Given) -> bool:
    """So many paragraphs, divided by ``***``, which is no divider around words in bold italics."""
    found = parts_between(BOLD_ITALIC.sub(r"\1", text), 3)
    return found is not None and len(found) == given["num_paragraphs"]


def two_responses(text: str, _: Given) -> bool:
    """Two different responses, divided by six asterisks."""
    found = parts_between(text, 6)
    return found is not None and len(found) == 2 and folded(found[0]) != folded(found[1])


def first_word(text: str, given: Given) -> bool:
    """So many paragraphs divided by empty lines, and the n-th begins with a word; markup and quotes
    before it do not count."""
    parts = re.split(r"\n[ \t]*\n\s*", text.strip())
    if len(parts) != given["num_paragraphs"]:
        return False
    word = folded(given["first_word"]).lstrip(MARKUP_BEFORE)
    begin = parts[given["nth_paragraph"] - 1].casefold().lstrip(MARKUP_BEFORE)
    if word[:1].isalnum():
        # The numeral of a list's item, a dash, dots.
        begin = re.sub(r"^(?:\d{1,3}[.)]\s+)?(?:[^\w]|_)*", "", begin)
    # "Hello," and "hello's" begin with hello, "hello-world" and "helloes" do not.
    return re.match(re.escape(word) + r"(?![^\W_]|-\w)", begin) is not None


def postscript(text: str, given: Given) -> bool:
    """A postscript that says something. Its marker begins a line, or follows a space: the P.S. of a
    quoted title is none."""
    marker = given["postscript_marker"].strip()
    letters = POSTSCRIPTS.get(marker, re.escape(marker.lower()))
    begin = r"(?:^(?:[^\w\n]|_)*|(?<=[\s*_]))"
    found = re.search(begin + letters + r"[\s\S]*?\w", text.lower(), re.MULTILINE)
    return found is not None


def highlights(text: str, given: Given) -> bool:
    """So many parts in asterisks, as Markdown reads them: no space inside at the ends, and
    ``***one***`` is one."""
    return sum(1 for _ in EMPHASIS.finditer(text)) >= int(given["num_highlights"])


def sections(text: str, given: Given) -> bool:
    """So many sections, each begun by the word and a number of its own."""
    word = re.escape(given["section_spliter"].strip())
    numbers = re.findall(rf"(?<![^\W_]){word}[\s*_]*(\d+)", text)
    return len(set(numbers)) >= int(given["num_sections"])


def refused(constant: str) -> NoReturn:
    """NaN and Infinity, which Python reads and JSON does not have. Always a ValueError."""
    raise ValueError(f"{constant} is no JSON")


def is_json(text: str, _: Given) -> bool:
    """The whole response, as it was written, is JSON, in a fence or not."""
    fence = FENCE.fullmatch(text.strip())
    bare = fence[1] if fence else text
    try:
        # Whole numbers stay text: Python reads none of more than 4300 digits.
        json.loads(bare.strip().strip("\ufeff"), parse_constant=refused, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def placeholders(text: str, given: Given) -> bool:
    """So many words in square brackets; links, empty brackets, ticks of tasks and numbers of
    references are none."""
    found = [
        inner
        for inner in PLACEHOLDER.findall(TASK.sub("", text))
        if inner.strip() and not re.fullmatch(r"[\d\s,]+", inner)
    ]
    return len(found) >= int(given["num_placeholders"])


def is_bullet(line: str) -> bool:
    """Whether a line is an item of a Markdown list, the space after its sign left out or not."""
    parts = BULLET.fullmatch(line)
    if parts is None:
        return False
    sign, space, content = parts.groups()
    if space:
        # "* * *" and "- - -" are rules.
        return bool(content.strip("*-+_ \t"))
    if sign == "*":
        # "**Bold**" and "*so it is*" are emphasis; in "*one *two*" the first asterisk is left over.
        lone = content.replace("**", "")
        return not content.startswith("*") and lone.count("*") % 2 == 0
    # "-5 degrees" begins with a number.
    return sign == "-" and content[0] not in "->" and not content[0].isdigit()


def bullets(text: str, given: Given) -> bool:
    """Exactly so many bullets."""
    count = sum(is_bullet(line) for line in text.split("\n"))
    return bool(count == given["num_bullets"])


def quoted(text: str, _: Given) -> bool:
    """The whole response is in double quotation marks."""
    bare = text.strip()
    return len(bare) > 2 and bare[0] == bare[-1] == '"' and bool(bare.strip('" \n'))


def capitals(text: str, given: Given) -> bool:
    """So many words in capitals; one with hyphens or an apostrophe is one."""
    count = sum(word.isupper() for word in re.findall(r"\w+(?:[-.&']\w+)*", text))
    return compared(count, given["capital_relation"], given["capital_frequency"])


def titled(text: str, _: Given) -> bool:
    """A title in double angular brackets."""
    return any(title.strip("<>").strip() for title in titles(text))


def titles(text: str) -> list[str]:
    """What each line has from its first ``<<`` to its last ``>>``, the brackets included."""
    found = []
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if start >= 0 and end > start + 2:
            found.append(line[start : end + 2])
    return found


def ends_with(text: str, given: Given) -> bool:
    """The response ends with a phrase; quotes and markup after it are no words."""
    phrase = folded(given["end_phrase"])
    rest = folded(text)
    while rest:
        if rest.endswith(phrase):
            before = rest[: -len(phrase)][-1:]
            # "main India." does not end with the phrase "in India.".
            return not (before.isalnum() and phrase[0].isalnum())
        if rest[-1] not in MARKUP_AFTER:
            return False
        rest = rest[:-1]
    return False


def has_word(text: str, word: str) -> bool:
    """Whether a word or phrase is in a text as a whole word, as it is written or as it is shown."""
    bare = folded(word)
    # A side that is no letter, such as that of C++, ends by itself. "_word_" is in italics.
    before = r"(?<!\w)_*" if bare[0].isalnum() else ""
    after = r"_*(?!\w)" if bare[-1].isalnum() else ""
    pattern = re.compile(before + re.escape(bare) + after)
    return any(pattern.search(seen) for seen in (folded(text), shown(text, bare)))


def answers(text: str, _: Given) -> bool:
    """One of the three answers, and not a second one; markup in it does not matter."""
    bare = re.sub(r"[*_]+", "", text)
    return sum(answer in bare for answer in CONSTRAINED) == 1


def repeats(text: str, given: Given) -> bool:
    """The response begins with the prompt; markup and quotes before it do not matter."""
    prompt, response = folded(given["prompt_to_repeat"]), folded(text)
    return response.startswith(prompt) or response.lstrip(MARKUP_BEFORE).startswith(
        prompt.lstrip(MARKUP_BEFORE)
    )


STRICT: dict[str, Check] = {
    "change_case:capital_word_frequency": capitals,
    "change_case:english_capital": lambda text, _: english_in(text.isupper(), text),
    "change_case:english_lowercase": lambda text, _: english_in(text.islower(), text),
    "combination:repeat_prompt": repeats,
    "combination:two_responses": two_responses,
    "detectable_content:number_placeholders": placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:constrained_response": answers,
    "detectable_format:json_format": is_json,
    "detectable_format:multiple_sections": sections,
    "detectable_format:number_bullet_lists": bullets,
    "detectable_format:number_highlighted_sections": highlights,
    "detectable_format:title": titled,
    "keywords:existence": lambda text, given: all(
        folded(word) in folded(text) or folded(word) in shown(text, word)
        for word in given["keywords"]
    ),
    "keywords:forbidden_words": lambda text, given: (
        not any(has_word(text, word) for word in given["forbidden_words"])
    ),
    "keywords:frequency": lambda text, given: compared(
        shown(text, given["keyword"]).count(folded(given["keyword"])),
        given["relation"],
        given["frequency"],
    ),
    "keywords:letter_frequency": lambda text, given: compared(
        text.lower().count(given["letter"].strip().lower()),
        given["let_relation"],
        given["let_frequency"],
    ),
    "language:response_language": lambda text, given: may_be(text, given["language"]),
    "length_constraints:nth_paragraph_first_word": first_word,
    "length_constraints:number_paragraphs": paragraphs,
    "length_constraints:number_sentences": lambda text, given: compared(
        sentences(text), given["relation"], given["num_sentences"]
    ),
    "length_constraints:number_words": lambda text, given: compared(
        len(whole_words(text)), given["relation"], given["num_words"]
    ),
    "punctuation:no_comma": lambda text, _: not any(comma in text for comma in COMMAS),
    "startend:end_checker": ends_with,
    "startend:quotation": quoted,
}
"""Check by the name of the instruction."""
