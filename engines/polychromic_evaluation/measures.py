"""What is measured of every model's replies, prompt by prompt.

In: the replies of all models, prompts in one order. Out: per model, arrays with one float64 per
prompt, NaN where a measure is not defined; and what the arms share: the m of rarefaction and the
number of words. Called when all models have answered.

The m of a prompt is the smallest number of n-grams that any model's samples to it hold, so that
every model's value at that prompt is an expectation over sets of one size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.samples import Answered
from engines.shared.diversity.compression import compression_ratio
from engines.shared.diversity.embeddings import Embedder
from engines.shared.diversity.ngrams import (
    Ngram,
    distinct,
    expectation_adjusted_distinct,
    ngram_counts,
    rarefied_distinct,
    self_bleu,
)
from engines.shared.diversity.rouge import rouge_l, rouge_n
from engines.shared.diversity.vendi import mean_cosine_distance, vendi_score
from engines.shared.diversity.words import unicode_tokens
from engines.shared.replies.checker import said
from engines.shared.reporting.statistics import pass_at_k

Array = np.ndarray[Any, np.dtype[np.float64]]
Measures = dict[str, Array]
"""Measure -> (prompts,)."""

ORDERS = (1, 2, 3)
"""The n of distinct-n."""
ADJUSTED = (1, 2)
"""The n of EAD."""


@dataclass(frozen=True)
class Said:
    """One model's samples to one prompt, as tokens."""

    answered: Answered
    tokens: list[list[str]]
    counts: dict[int, Counter[Ngram]]
    """n -> n-grams of all samples together."""

    @property
    def with_words(self) -> list[list[str]]:
        """The samples that have a token: an empty one has no place among n-grams and vectors."""
        return [tokens for tokens in self.tokens if tokens]


@dataclass(frozen=True)
class Shared:
    """What all models are measured with."""

    drawn: dict[int, list[int]]
    """n -> the m of each prompt; 0 where a model has no n-gram."""
    words: int
    """Different tokens over all models: what EAD takes for the vocabulary."""


def as_said(answered: Answered) -> Said:
    """Split the samples of one prompt."""
    tokens = [unicode_tokens(one.text) for one in answered.samples]
    return Said(answered, tokens, {n: ngram_counts(tokens, n) for n in ORDERS})


def shared_by(models: Mapping[str, Sequence[Said]]) -> Shared:
    """The m of each prompt and the vocabulary, over all models."""
    drawn: dict[int, list[int]] = {}
    for n in ORDERS:
        of_prompts = zip(*models.values(), strict=True)
        drawn[n] = [min(one.counts[n].total() for one in ones) for ones in of_prompts]
    words: set[Ngram] = set()
    for ones in models.values():
        for one in ones:
            words.update(one.counts[1])
    return Shared(drawn, len(words))


def measure(
    config: Config, models: Mapping[str, Sequence[Answered]], embed: Embedder
) -> tuple[dict[str, Measures], Shared]:
    """Every measure of every model."""
    split = {name: [as_said(one) for one in answered] for name, answered in models.items()}
    shared = shared_by(split)
    found = {}
    for name, ones in split.items():
        values = [
            {
                **of_ngrams(one, {n: shared.drawn[n][place] for n in ORDERS}, shared.words),
                **of_set(one, embed),
                **of_quality(one, config.pass_at),
                **of_references(one.answered),
            }
            for place, one in enumerate(ones)
        ]
        found[name] = {key: np.array([one[key] for one in values]) for key in values[0]}
    return found, shared


def of_ngrams(one: Said, drawn: Mapping[int, int], words: int) -> dict[str, float]:
    """Distinct n-grams: plain, rarefied to ``drawn``, and adjusted."""
    values = {}
    for n in ORDERS:
        counts = one.counts[n]
        some = counts.total() > 0
        values[f"distinct_{n}"] = distinct(counts) if some else math.nan
        m = drawn[n]
        values[f"distinct_{n}_rarefied"] = rarefied_distinct(counts, m) if m else math.nan
        if n in ADJUSTED:
            adjusted = expectation_adjusted_distinct(counts, words**n) if some else math.nan
            values[f"ead_{n}"] = adjusted
    return values


def of_set(one: Said, embed: Embedder) -> dict[str, float]:
    """How much the samples overlap, in words, bytes and embeddings."""
    texts = [sample.text for sample in one.answered.samples]
    values = {
        "compression_ratio": compression_ratio(texts) if any(texts) else math.nan,
        "self_bleu": math.nan,
        "vendi_share": math.nan,
        "semantic_diversity": math.nan,
    }
    tokens = one.with_words
    # One text has nothing to be different from.
    if len(tokens) < 2:
        return values
    vectors = embed([text for text, own in zip(texts, one.tokens, strict=True) if own])
    values["self_bleu"] = self_bleu(tokens)
    values["vendi_share"] = vendi_score(vectors) / len(vectors)
    values["semantic_diversity"] = mean_cosine_distance(vectors)
    return values


def of_quality(one: Said, pass_at: Sequence[int]) -> dict[str, float]:
    """What the checker takes, and the lengths."""
    samples = one.answered.samples
    valid = [place for place, sample in enumerate(samples) if sample.reason is None]
    values = {
        # Two that differ in case or blanks alone are one.
        "unique_valid": float(len({tuple(one.tokens[place]) for place in valid})),
        "valid_share": len(valid) / len(samples),
        "cut_share": fmean(not sample.complete for sample in samples),
        "empty_share": fmean(not tokens for tokens in one.tokens),
        "reply_words": fmean(len(said(sample.text)) for sample in samples),
        "response_tokens": fmean(sample.tokens for sample in samples),
    }
    for k in pass_at:
        values[f"pass_at_{k}"] = pass_at_k(len(samples), len(valid), k)
    return values


def of_references(answered: Answered) -> dict[str, float]:
    """The greedy reply against the nearest of its references, and how likely they are."""
    greedy = unicode_tokens(answered.greedy.text)
    references = [unicode_tokens(reference) for reference in answered.references]
    return {
        "rouge_1": max(rouge_n(greedy, reference, 1) for reference in references),
        "rouge_2": max(rouge_n(greedy, reference, 2) for reference in references),
        "rouge_l": max(rouge_l(greedy, reference) for reference in references),
        "test_cross_entropy": answered.reference_nats / answered.reference_tokens,
    }
