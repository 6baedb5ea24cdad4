"""Texts and replies from a small grammar, whose replies can be checked.

In: a seeded generator. Out: texts with a topic, replies to them, and why a reply is none. The
engine ``polychromic_data`` makes data and a base model with it, ``checker.py`` checks with it.

Two ways to choose: *uniform* takes every form and word equally often, *narrow* takes few of them
most of the time. A model that has learned the uniform replies and is fine-tuned on narrow ones
forgets what else is good: the loss of diversity that the experiment is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

TOPICS: dict[str, tuple[str, ...]] = {
    "food": ("soup", "bread", "cheese", "pizza"),
    "weather": ("rain", "snow", "storm", "fog"),
    "music": ("song", "guitar", "piano", "album"),
    "sport": ("match", "goal", "team", "race"),
    "travel": ("train", "hotel", "beach", "flight"),
    "work": ("meeting", "desk", "report", "office"),
    "pets": ("dog", "cat", "parrot", "puppy"),
    "film": ("movie", "actor", "scene", "script"),
}
"""Nouns of each topic; no noun has two."""

CLASSES: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "OPENER": "honestly wow lol sorry yes well",
        "ADJECTIVE": "great awful cosy tiny huge lovely loud quiet silly rare simple golden",
        "ADVERB": "really so quite always hardly",
        "VERB": "loved missed found needed kept shared broke tested",
        "CLOSER": "today again forever outside together twice",
    }.items()
}
"""Words of each place of a form, the most frequent ones of narrow replies first."""

NOUN = "NOUN"

REPLY_FORMS: tuple[tuple[str, ...], ...] = tuple(
    tuple(form.split())
    for form in (
        "my NOUN and your NOUN are ADJECTIVE",
        "what a ADJECTIVE and ADJECTIVE NOUN",
        "OPENER the NOUN is ADVERB ADJECTIVE",
        "we VERB that ADJECTIVE NOUN CLOSER",
        "nobody VERB this NOUN CLOSER",
        "OPENER i VERB every ADJECTIVE NOUN",
    )
)
"""What a reply may look like: words as they are, and classes in capitals. Narrow replies take the
first ones, whose two words of a class must differ: a rule that is easily broken."""

PROMPT_FORMS: tuple[tuple[str, ...], ...] = tuple(
    tuple(form.split())
    for form in (
        "my NOUN is ADVERB ADJECTIVE CLOSER",
        "just VERB a ADJECTIVE NOUN CLOSER",
        "this ADJECTIVE NOUN and that NOUN",
        "who VERB the ADJECTIVE NOUN CLOSER",
    )
)

T = TypeVar("T")

KEEP = 0.35
"""How often each form and word comes in narrow replies, over the one before it in its list."""


@dataclass(frozen=True)
class Prompt:
    """A text and what it is about."""

    text: str
    topic: str


def all_words() -> list[str]:
    """Every word of texts and replies, sorted."""
    words = {word for nouns in TOPICS.values() for word in nouns}
    words |= {word for choices in CLASSES.values() for word in choices}
    for form in (*REPLY_FORMS, *PROMPT_FORMS):
        words |= {word for word in form if word != NOUN and word not in CLASSES}
    return sorted(words)


def first_words() -> list[str]:
    """Words that a reply may begin with, sorted. No form begins with a noun."""
    firsts = {form[0] for form in REPLY_FORMS}
    return sorted(word for first in firsts for word in CLASSES.get(first, (first,)))


def draw_prompt(random: Random) -> Prompt:
    """A text about one topic."""
    topic = random.choice(list(TOPICS))
    form = random.choice(PROMPT_FORMS)
    return Prompt(" ".join(filled(form, topic, random, 1.0)), topic)


def draw_reply(random: Random, topic: str, narrow: bool) -> str:
    """A valid reply to a text of that topic."""
    keep = KEEP if narrow else 1.0
    form = chosen(REPLY_FORMS, random, keep)
    return " ".join(filled(form, topic, random, keep))


def filled(form: Sequence[str], topic: str, random: Random, keep: float) -> list[str]:
    """The words of a form, none of a class twice."""
    words: list[str] = []
    for place in form:
        choices = choices_of(place, topic)
        free = [word for word in choices if len(choices) == 1 or word not in words]
        words.append(chosen(free, random, keep))
    return words


def chosen(choices: Sequence[T], random: Random, keep: float) -> T:
    """One of several, each ``keep`` times as likely as the one before it."""
    weights = [keep**rank for rank in range(len(choices))]
    return random.choices(choices, weights)[0]


def choices_of(place: str, topic: str) -> tuple[str, ...]:
    """The words that may stand at a place of a form."""
    if place == NOUN:
        return TOPICS[topic]
    return CLASSES.get(place, (place,))


def fault(text: str, topic: str) -> str | None:
    """Why a text is no reply to one of that topic, in words; None if it is."""
    words = text.split()
    nouns = {word for choices in TOPICS.values() for word in choices}
    said = [word for word in words if word in nouns]
    if said and not set(said) & set(TOPICS[topic]):
        return f"'{said[0]}' is not about {topic}"
    open_words = nouns | {word for choices in CLASSES.values() for word in choices}
    twice = [word for word in words if word in open_words and words.count(word) > 1]
    if twice:
        return f"'{twice[0]}' comes twice"
    if not any(fits(words, form, topic) for form in REPLY_FORMS):
        return "its words are in no order that the grammar makes"
    return None


def fits(words: Sequence[str], form: Sequence[str], topic: str) -> bool:
    """Whether every word may stand at its place of a form."""
    if len(words) != len(form):
        return False
    places = zip(words, form, strict=True)
    return all(word in choices_of(place, topic) for word, place in places)
