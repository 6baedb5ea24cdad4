"""Whether a reply is any good: a stated, versioned yes or no with its reason.

In: a manifest's checker, a row, a model's text. Out: None or why the text is not valid. The
training asks it for the quality of its samples, the evaluation for what is valid.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engines.contract.config import ConfigError
from engines.shared.diversity.rouge import rouge_l
from engines.shared.diversity.words import unicode_tokens
from engines.shared.replies.description import GrammarChecker, Manifest, OnTopic, RepliesChecker
from engines.shared.replies.grammar import fault
from engines.shared.replies.rows import Reply, read_split

NOT_COMPLETE = "was cut at the token limit"

Nearness = Callable[[str, str], float]
"""Cosine of a text and a reply, -1 to 1."""


class Checker(Protocol):
    """A rule for replies; what two of one name and version say is the same."""

    name: str
    version: int

    def check(self, prompt: Reply, text: str, complete: bool) -> str | None:
        """Why ``text`` is no valid reply to ``prompt``, in words; None if it is. ``complete``: the
        model ended it itself."""


class Grammar:
    """Replies of the grammar on the topic of the row."""

    def __init__(self, settings: GrammarChecker) -> None:
        self.name: str = settings.name
        self.version: int = settings.version

    def check(self, prompt: Reply, text: str, complete: bool) -> str | None:
        """Whole, of the grammar, on topic, and no word of meaning twice."""
        if not complete:
            return NOT_COMPLETE
        if prompt.topic is None:
            raise ValueError(f"row {prompt.id} has no topic: the checker grammar needs one")
        return fault(text, prompt.topic)


class Replies:
    """Real replies; ``copies`` are those that a model may have learned by heart."""

    def __init__(
        self, settings: RepliesChecker, copies: list[str], nearness: Nearness | None
    ) -> None:
        self.name: str = settings.name
        self.version: int = settings.version
        self.settings = settings
        self.copies = {said(text) for text in copies}
        self.nearness = nearness

    def check(self, prompt: Reply, text: str, complete: bool) -> str | None:
        """Whole, of a reply's length, not a copy, not repetitive, and on topic where asked for."""
        if not complete:
            return NOT_COMPLETE
        return self.shape(text) or self.copy(prompt, text) or self.off_topic(prompt, text)

    def shape(self, text: str) -> str | None:
        """What is wrong with its length or its words."""
        characters = len(unicodedata.normalize("NFC", text).strip())
        if not self.settings.shortest <= characters <= self.settings.longest:
            return (
                f"{characters} characters, {self.settings.shortest} to {self.settings.longest} "
                "are a reply"
            )
        words = said(text)
        if not words:
            return "has no word"
        distinct = len(set(words)) / len(words)
        if distinct < self.settings.least_distinct:
            return f"{distinct:.2f} of its words are different, too few"
        return None

    def copy(self, prompt: Reply, text: str) -> str | None:
        """Whether it says what somebody said before."""
        words = said(text)
        if words in self.copies:
            return "is a training reply"
        overlap = rouge_l(words, said(prompt.prompt))
        if overlap >= self.settings.most_overlap:
            return f"repeats the text (ROUGE-L {overlap:.2f})"
        return None

    def off_topic(self, prompt: Reply, text: str) -> str | None:
        """Whether it is farther from the text than nearly all real replies."""
        if self.nearness is None or self.settings.on_topic is None:
            return None
        least = self.settings.on_topic.least_cosine
        if least is None:
            raise ValueError("the checker's on_topic has no limit; make the data again")
        cosine = self.nearness(prompt.prompt, text)
        if cosine < least:
            return f"not about the text (cosine {cosine:.2f}, at least {least:.2f})"
        return None


def said(text: str) -> tuple[str, ...]:
    """The words and emoji of a text, without regard to case and punctuation."""
    tokens = unicode_tokens(text)
    return tuple(token for token in tokens if not all(punctuation(sign) for sign in token))


def punctuation(sign: str) -> bool:
    """Whether a character is punctuation; emoji and letters are not."""
    return unicodedata.category(sign).startswith("P")


def nearness_of(settings: OnTopic) -> Nearness:
    """Cosines by the embedder of the settings; texts are remembered, because every sample of a
    prompt asks for the same one. ConfigError if it is not the one that the limit is from."""
    from engines.shared.diversity.embeddings import embedder

    embed = embedder(settings.embedder)
    if settings.measured_with not in (None, embed.name):
        raise ConfigError(
            f"checker.on_topic.embedder: {settings.embedder} is {embed.name} now, and the limit is "
            f"from {settings.measured_with}; make the data again"
        )
    known: dict[str, list[float]] = {}

    def nearness(prompt: str, text: str) -> float:
        if prompt not in known:
            known[prompt] = [float(value) for value in embed([prompt])[0]]
        other = embed([text])[0]
        return float(sum(a * float(b) for a, b in zip(known[prompt], other, strict=True)))

    return nearness


def checker_of(manifest: Manifest, data_folder: Path | str) -> Checker:
    """The checker that the data were made for."""
    settings = manifest.checker
    if isinstance(settings, GrammarChecker):
        return Grammar(settings)
    nearness = None
    if settings.on_topic is not None:
        nearness = nearness_of(settings.on_topic)
    return Replies(settings, [row.reply for row in read_split(data_folder, "train")], nearness)
