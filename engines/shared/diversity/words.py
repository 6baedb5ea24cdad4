"""Tokens of short texts in any script, for n-grams, ROUGE and checkers.

In: a text. Out: its words, numbers, emoji and runs of punctuation. Trainings measure the distance
of replies with it, evaluations their n-grams, checkers what is repeated.

A tokenizer that keeps ``[a-z0-9]`` alone leaves nothing of an emoji, of Cyrillic or of Japanese,
and such a text then scores 0 against itself.
"""

from __future__ import annotations

import unicodedata

import regex

SAME = str.maketrans({"\u2019": "'", "\u02bc": "'", "\ufe0e": None, "\ufe0f": None})
"""Apostrophes of printers are those of a keyboard; how an emoji is drawn (variation selectors) does
not tell two apart."""

SPACELESS = (
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
    r"\p{Script=Khmer}\p{Script=Myanmar}]"
)
"""Scripts that put no blank between words: each character with its marks is a token."""

JOINED = r"[\u200c\u200d]"
"""Joiners inside a word, in Persian and in the scripts of India; alone they are nothing."""

TOKEN = regex.compile(
    rf"""
      [0-9#*]\u20e3                                                    # keycap
    | \p{{Regional_Indicator}}{{2}}                                    # flag
    | \p{{Extended_Pictographic}}[\p{{M}}\p{{Emoji_Modifier}}\U000e0020-\U000e007f]*
      (?:\u200d\p{{Extended_Pictographic}}[\p{{M}}\p{{Emoji_Modifier}}]*)*   # emoji
    | {SPACELESS}\p{{M}}*
    | \p{{Nd}}+(?:[.,:]\p{{Nd}}+)+                                     # 3.5, 1,000, 12:30
    | [@\#]?(?!{SPACELESS})[\p{{L}}\p{{N}}]
      (?:(?!{SPACELESS})[\p{{L}}\p{{N}}\p{{M}}_]|{JOINED}(?=[\p{{L}}\p{{M}}])|'(?=\p{{L}}))*
    | ([^\s\p{{Cc}}\p{{Cf}}\p{{Cs}}])\1*                               # "...", "!!", and the rest
    """,
    regex.VERBOSE,
)


def unicode_tokens(text: str) -> list[str]:
    """Tokens of a text in their order, NFC and without case.

    One token each: a word with its apostrophes (``don't``), a tag or a name (``#ai``, ``@ada``), a
    number (``3.5``), an emoji with what is joined to it, one character of a script without blanks,
    and a run of one and the same other sign (``...``). Blanks and control characters are none.
    Splitting the tokens, joined by blanks, gives the same tokens.
    """
    folded = unicodedata.normalize("NFC", text.translate(SAME).casefold())
    return [match.group() for match in TOKEN.finditer(folded)]
