"""What the checks of IFEval ask of a text: its words, its sentences, its language.

In: a response. Out: counts, and whether it is in a language. ``instructions_strict.py`` and
    ``instructions_guru.py`` call these.

Sentences are divided by rules of our own, without NLTK's trained model, which is a download of its
own.
"""

from __future__ import annotations

import re
import unicodedata

ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|Inc|Ltd|Co|Corp|No|Fig|approx|a\.m|p\.m|U\.S|[A-Z])\."
)
ENDING_TOO = re.compile(
    r"((?:\b(?:etc|a\.m|p\.m|Inc|Ltd|Co|Corp|Jr|Sr)|(?<=[A-Z]\.)[A-Z]))\.(?=\s+(?:After|And|But|He|However|"
    r"I|In|It|She|That|The|Then|There|They|This|We|When|You)\b)"
)
"""An abbreviation that also ends a sentence, by the word that begins the next: ``the U.K. She``."""
NUMERAL = re.compile(
    r"((?:^[ \t>*_#(-]*|(?<=[.!?:;]\s))(?:\d{1,3}|[A-Za-z]|[ivxIVX]{2,4}))\.(?=[*_]*\s)",
    re.MULTILINE,
)
"""The number or letter of a list's item: at the beginning of a line, or after a sentence."""
NUMBER_INSIDE = re.compile(r"\b(\d+)\.(?=\s+[a-z])")
"""A number whose full stop ends no sentence, since a small letter follows."""
SENTENCE_END = re.compile(
    r"(?<![.!?\u2026])(?![!?]+\"\s+[a-z])"  # "Why?" he asked.
    r"[.!?\u2026]+[\"')\]*_\u201d\u2019]*(?=\s|$)"
)

CURLY = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ",
        "\u2010": "-", "\u2011": "-",
    }
)  # fmt: skip
"""Typographic quotes, spaces and hyphens, which mean what the plain ones mean."""

SCRIPTS = {
    "ar": ("ARABIC",),
    "bg": ("CYRILLIC",),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "fa": ("ARABIC",),
    "gu": ("GUJARATI",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "kn": ("KANNADA",),
    "ko": ("HANGUL",),
    "mk": ("CYRILLIC",),
    "ml": ("MALAYALAM",),
    "mr": ("DEVANAGARI",),
    "ne": ("DEVANAGARI",),
    "pa": ("GURMUKHI",),
    "ru": ("CYRILLIC",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "uk": ("CYRILLIC",),
    "ur": ("ARABIC",),
    "zh": ("CJK",),
}
"""Scripts of the languages that are not written in Latin letters, as Unicode names them."""

ENOUGH_LETTERS = 20
"""From here on langdetect's word is taken. Of English sentences of 20 to 30 letters it takes 7 in
100 for another language, of 8 to 16 letters every second."""
IMPROBABLE = 0.1
CERTAIN = 0.9


def plain(text: str) -> str:
    """A text with straight quotes, plain spaces and hyphens, ``\\n`` at the ends of lines and
    accents composed (NFC)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines.translate(CURLY))


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores."""
    return re.findall(r"\w+", text)


def whole_words(text: str) -> list[str]:
    """Words, where no vowel sign and no joiner ends one: Python takes those of Hindi, Persian and
    their neighbours for no letters."""
    return words("".join(sign for sign in text if not is_joined(sign)))


def is_joined(sign: str) -> bool:
    """Whether a character belongs to the letter before it: a mark, or one of the joiners."""
    return unicodedata.category(sign) in ("Mn", "Mc") or sign in "\u200c\u200d"


def sentences(text: str) -> int:
    """Number of sentences: ends of ``.``, ``!`` or ``?`` before white space, abbreviations and the
    numerals of lists left out, and an unfinished last one."""
    # "Dr. Who left." is one sentence, "1. Mobile." too: the full stop that ends none goes first.
    marked = ENDING_TOO.sub(r"\1!", text)
    lowered = ABBREVIATION.sub(lambda match: match[0].replace(".", ""), marked)
    lowered = NUMBER_INSIDE.sub(r"\1", NUMERAL.sub(r"\1", lowered))
    parts = [part for part in SENTENCE_END.split(lowered) if re.search(r"\w", part)]
    return len(parts)


def probabilities(text: str) -> dict[str, float] | None:
    """Probability by language code; empty if the text has no features, None if langdetect is not
    installed."""
    try:
        from langdetect import DetectorFactory, LangDetectException, detect_langs
    except ModuleNotFoundError:
        return None
    # langdetect draws at random, and changes its mind about short texts without a seed.
    DetectorFactory.seed = 0
    try:
        return {found.lang: found.prob for found in detect_langs(text)}
    except LangDetectException:
        return {}


def most_probable(text: str) -> str | None:
    """Language code of a text; "" if it has no features, None if langdetect is not installed."""
    found = probabilities(text)
    if found is None:
        return None
    return max(found, key=lambda code: found[code], default="")


def in_script(text: str, language: str) -> bool:
    """Whether at least a third of a text's letters are of the script that a language is written in;
    False without letters. Names and addresses may be in another one."""
    scripts = SCRIPTS.get(language, ("LATIN",))
    letters = [sign for sign in text if sign.isalpha()]
    fitting = sum(unicodedata.name(sign, "").startswith(scripts) for sign in letters)
    return bool(letters) and 3 * fitting >= len(letters)


def may_be(text: str, language: str) -> bool | None:
    """Whether a text may be in a language; None if that cannot be told here.

    It is not if its script is another one, or if langdetect finds the language improbable and the
    text is long enough for that to count, or is English for certain where another is asked for.
    langdetect reads small letters: in capitals HELLO WORLD is Somali to it.
    """
    wanted = language.partition("-")[0].lower()
    if not in_script(text, wanted):
        return False
    found = probabilities(text.lower())
    if found is None:
        return None
    wanted_share = sum(share for code, share in found.items() if code.partition("-")[0] == wanted)
    if wanted_share >= IMPROBABLE or not found:
        return True
    if wanted != "en" and found.get("en", 0.0) >= CERTAIN:
        return False
    return sum(sign.isalpha() for sign in text) < ENOUGH_LETTERS
