"""Samples to some prompts and what is seen of them: texts, validity, distances.

In: prompts, the model as it is, the step. Out: per prompt n samples with the checker's verdicts and
the distances between them. The diversity term and the evaluations call it. Everything random hangs
on (seed, purpose, step, prompt, sample): torch's own generators are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch

from engines.polychromic.batches import Turn
from engines.polychromic.config import Diversity
from engines.polychromic.model import Model
from engines.shared.diversity.distances import bigram_distance, embedding_distance
from engines.shared.diversity.words import unicode_tokens
from engines.shared.inference import sample_seed
from engines.shared.language_model.sampler import Sampling, sample
from engines.shared.replies.checker import Checker
from engines.shared.replies.rows import Reply

Distance = Callable[[Sequence[str]], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]
"""n texts -> (n, n)."""


@dataclass(frozen=True)
class Samples:
    """n samples to each of P prompts."""

    turns: list[list[Turn]]
    """Prompt and sample as token ids; the sample holds its end if it came."""
    texts: list[list[str]]
    complete: list[list[bool]]
    """Whether the model ended the sample itself."""
    quality: torch.Tensor
    """(P, n), float64: 1 where the checker takes the sample, else 0."""
    distances: torch.Tensor
    """(P, n, n), float64."""

    def seen(self) -> dict[str, float]:
        """Means over prompts, whatever the term does with them."""
        n = self.quality.shape[1]
        lengths = [len(reply) for turns in self.turns for _, reply in turns]
        return {
            "sample_distance": float(self.distances.sum((-1, -2)).mean() / (n * (n - 1))),
            "valid_share": float(self.quality.mean()),
            "sample_tokens": fmean(lengths),
            "cut_share": fmean(not one for row in self.complete for one in row),
        }

    def unique_valid(self) -> float:
        """Different samples that the checker takes, mean over prompts, of n."""
        counts = []
        for texts, quality in zip(self.texts, self.quality.tolist(), strict=True):
            valid = {
                tuple(unicode_tokens(text)) for text, q in zip(texts, quality, strict=True) if q
            }
            counts.append(len(valid))
        return fmean(counts)


class Sampler:
    """Draws samples as the term needs them: temperature 1 and no nucleus, the distribution that the
    score function differentiates."""

    def __init__(self, model: Model, settings: Diversity, checker: Checker, seed: int) -> None:
        self.model, self.settings, self.checker, self.seed = model, settings, checker, seed
        self.distance = distance_of(settings)

    def draw(
        self, rows: Sequence[Reply], prompts: Sequence[Turn], purpose: str, step: int
    ) -> Samples:
        """Samples to the prompts of ``rows``, by the model in evaluation mode; it stays
        in it."""
        model, settings = self.model, self.settings
        seeds = [sample_seed(self.seed, purpose, step, place) for place in range(len(rows))]
        sampling = Sampling(settings.samples, settings.max_new_tokens, (model.end_token,))
        model.training(False)
        with model.passes():
            found = sample(model.scorer, [prompt for prompt, _ in prompts], sampling, seeds)
        turns = [
            [(prompt, one.token_ids) for one in drawn]
            for (prompt, _), drawn in zip(prompts, found, strict=True)
        ]
        complete = [[one.complete for one in drawn] for drawn in found]
        texts = [[self.text(one) for _, one in own] for own in turns]
        return Samples(
            turns, texts, complete, self.judged(rows, texts, complete), self.apart(texts)
        )

    def text(self, token_ids: Sequence[int]) -> str:
        """A sample as text, without its end."""
        return str(self.model.tokenizer.decode(token_ids, skip_special_tokens=True))

    def judged(
        self, rows: Sequence[Reply], texts: list[list[str]], complete: list[list[bool]]
    ) -> torch.Tensor:
        """The checker's verdicts: (P, n)."""
        return torch.tensor(
            [
                [
                    float(self.checker.check(row, text, whole) is None)
                    for text, whole in zip(own, ended, strict=True)
                ]
                for row, own, ended in zip(rows, texts, complete, strict=True)
            ],
            dtype=torch.float64,
        )

    def apart(self, texts: list[list[str]]) -> torch.Tensor:
        """Distances between the samples of each prompt: (P, n, n)."""
        return torch.from_numpy(np.stack([self.distance(own) for own in texts]))


def distance_of(settings: Diversity) -> Distance:
    """How far texts are from one another, as the config says."""
    if settings.distance == "bigrams":
        return lambda texts: bigram_distance([unicode_tokens(text) for text in texts])
    from engines.shared.diversity.embeddings import embedder

    embed = embedder(settings.embedder)
    return lambda texts: embedding_distance(embed(list(texts)))
