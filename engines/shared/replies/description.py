"""What a folder of replies says of itself: fields, prompt, checker, counts. Light on purpose: the
configs of several engines hold parts of it.

In: nothing. Out: pydantic models. The engine ``polychromic_data`` writes ``manifest.json`` with
them; ``rows.py``, ``checker.py`` and those who train, evaluate and report read it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engines.contract.config import EngineConfig

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

PROMPT = "{prompt}"
"""Where the text of a row goes in a template."""


class Fields(EngineConfig):
    """Names of the keys in a JSONL file of replies, one object a line."""

    id: str = "tweet_id"
    """What tells texts apart; several replies may answer one."""
    prompt: str = "tweet"
    """The text that is answered."""
    reply: str = "reply"
    """The answer."""
    author: str | None = "reply_author"
    """Who answered; may be missing in a row."""
    reply_likes: str | None = "reply_likes"
    """How much the answer was liked; may be missing in a row."""
    prompt_likes: str | None = "tweet_likes"
    """How much the text was liked; may be missing in a row, which then has no quantity."""
    topic: str | None = None
    """What the text is about, where somebody knows."""


class Template(EngineConfig):
    """The text of the user's message."""

    text: str = PROMPT
    """With ``{prompt}`` where the text of the row goes."""
    version: int = Field(default=1, ge=1)
    """Counted up by whoever changes the text, so that results of two texts are not taken for
    one."""

    @field_validator("text")
    @classmethod
    def _has_a_place(cls, text: str) -> str:
        if text.count(PROMPT) != 1:
            raise ValueError(f"must hold {PROMPT} exactly once")
        return text

    def filled(self, prompt: str) -> str:
        """The message for one prompt. Not ``str.format``: texts are full of braces."""
        return self.text.replace(PROMPT, prompt)


class GrammarChecker(EngineConfig):
    """Replies of the grammar: words in an order that it makes, on topic, nothing said twice."""

    name: Literal["grammar"] = "grammar"
    version: Literal[1] = 1


class OnTopic(EngineConfig):
    """A reply must be as near to its text as nearly all real ones are."""

    embedder: str = "hashing"
    """``hashing``, or the folder of a sentence embedder."""
    percentile: float = Field(default=5.0, ge=0, le=50)
    """Share of the real training replies, in percent, that would fail."""
    least_cosine: float | None = Field(default=None, ge=-1, le=1)
    """The limit; null: the percentile of the training replies, which the data's maker fills in."""
    measured_with: str | None = None
    """Which embedder the limit is from; the data's maker fills it in."""


class RepliesChecker(EngineConfig):
    """Real replies: length, no copy, no repetition, complete, and on topic where asked for."""

    name: Literal["replies"] = "replies"
    version: Literal[1] = 1
    shortest: int = Field(default=10, ge=1)
    """Characters after NFC and without white space around them."""
    longest: int = Field(default=280, ge=1)
    """Characters."""
    most_overlap: float = Field(default=0.8, gt=0, le=1)
    """ROUGE-L with the text from which on a reply is a copy of it."""
    least_distinct: float = Field(default=0.5, ge=0, le=1)
    """Different words over words below which a reply repeats itself."""
    on_topic: OnTopic | None = None


CheckerSettings = Annotated[GrammarChecker | RepliesChecker, Field(discriminator="name")]


class Manifest(BaseModel):
    """``manifest.json`` of a folder of replies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    counts: dict[Split, int]
    """Rows of each split."""
    prompts: dict[Split, int]
    """Different prompts of each split."""
    sha256: dict[str, str]
    """By the file's path in the folder."""
    fields: Fields | None
    """None where the rows were generated."""
    quartile_bounds: list[float] | None
    """The three values between the quartiles of ``quantity``; None where no row has one."""
    quartiles: dict[Split, dict[str, int]]
    """Rows of each quartile, ``none`` among them."""
    near_copies: dict[str, int]
    """How many rows were dropped or kept on one side, and why."""
    template: Template
    checker: CheckerSettings
    seed: int
    config: dict[str, Any]
    """What the folder was made with."""
