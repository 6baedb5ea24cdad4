"""Unit vectors of texts: words hashed to places, or a sentence-embedding model from a local folder.

In: texts. Out: float32 (n, d), rows of length 1. Trainings may measure the distance of replies with
it, evaluations their variety. Nothing is fetched from a network.

Hashed words know no meaning: "great" and "good" are as far apart as "great" and "seven". Results
must say which of the two they come from; ``name`` does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engines.contract.checkpoints import fingerprint
from engines.contract.config import ConfigError
from engines.shared.diversity.ngrams import ngrams
from engines.shared.diversity.words import unicode_tokens
from engines.shared.whole_model import whole_model

Array = np.ndarray[Any, np.dtype[np.float32]]

HASHING = "hashing"
"""The name of the embedder that needs no model."""
WIDTH = 1024
"""Places that words are hashed to."""
PLACES = 4
"""Places of each word: that all of two words agree, and cancel, does not happen."""
AT_ONCE = 64
"""Texts that a model embeds at a time."""


class Embedder(Protocol):
    """Gives texts unit vectors."""

    @property
    def name(self) -> str:
        """What made the vectors, for results."""

    def __call__(self, texts: Sequence[str]) -> Array:
        """float32 (n, d), rows of length 1. ValueError for a text that has no token."""


def embedder(name_or_folder: str, device: str = "cpu") -> Embedder:
    """The embedder ``hashing``, or that of a Hugging Face folder of a sentence-embedding model.
    ConfigError if there is no such folder."""
    if name_or_folder == HASHING:
        return HashingEmbedder()
    return FolderEmbedder(Path(name_or_folder), device)


class HashingEmbedder:
    """Words and pairs of words, each added to a few places with a sign, both by its hash
    (Weinberger et al. 2009, arXiv 0902.2206, section 2, which keeps inner products without bias).
    Frequent words of a text count by the logarithm."""

    name = f"{HASHING}-{WIDTH}-v1"

    def __call__(self, texts: Sequence[str]) -> Array:
        """float32 (n, 1024). ValueError for a text that has no token."""
        vectors = np.zeros((len(texts), WIDTH), np.float64)
        for row, text in zip(vectors, texts, strict=True):
            tokens = unicode_tokens(text)
            if not tokens:
                raise ValueError(f"{text!r} has no token, so it has no vector; leave it out")
            counts = Counter(ngrams(tokens, 1)) + Counter(ngrams(tokens, 2))
            for gram, count in counts.items():
                weight = 1 + math.log(count)
                for place, sign in places_of(gram):
                    row[place] += sign * weight
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)


@cache
def places_of(gram: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """The places of an n-gram and its sign at each."""
    # The same in every process, which Python's own hash is not. No token holds a blank.
    digest = hashlib.blake2b(
        " ".join(gram).encode("utf-8", "surrogatepass"), digest_size=3 * PLACES
    ).digest()
    found = []
    for start in range(0, len(digest), 3):
        place = int.from_bytes(digest[start : start + 2], "big") % WIDTH
        found.append((place, 1 if digest[start + 2] & 1 else -1))
    return tuple(found)


class FolderEmbedder:
    """A sentence-embedding model: the mean of its last states over a text's tokens, scaled to
    length 1 (Reimers and Gurevych 2019, arXiv 1908.10084, section 3).

    Texts longer than the model was trained on are cut. ConfigError for a folder without a model, or
    whose own description asks for another pooling than the mean.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"embedder: {folder}: no Hugging Face model folder; give one, or '{HASHING}'"
            )
        check_pooling(folder)
        try:
            digest = fingerprint(folder)
        except FileNotFoundError as error:
            raise ConfigError(f"embedder: {error}") from error
        from transformers import AutoModel, AutoTokenizer

        self.name = f"{folder.name}-{digest[:12]}"
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = whole_model(AutoModel, folder).to(device).eval()
        self.longest = longest_of(folder, self.model.config)

    def __call__(self, texts: Sequence[str]) -> Array:
        """float32 (n, width of the model). ValueError for an empty text."""
        import torch

        if not all(text.strip() for text in texts):
            raise ValueError("an empty text has no vector; leave it out")
        vectors = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        # By length, so that little is spent on padding.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), AT_ONCE):
            places = order[start : start + AT_ONCE]
            batch = self.tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
            ).to(self.device)
            with torch.inference_mode():
                states = self.model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1).float()
            means = (states * mask).sum(1) / mask.sum(1)
            vectors[places] = torch.nn.functional.normalize(means, dim=-1).cpu().numpy()
        return vectors


def check_pooling(folder: Path) -> None:
    """ConfigError if the folder says that its vectors are pooled in another way than by the
    mean."""
    path = folder / "1_Pooling" / "config.json"
    if path.is_file() and not read_table(path).get("pooling_mode_mean_tokens", False):
        raise ConfigError(
            f"embedder: {path}: does not pool by the mean, which is all that is done here; give "
            f"another model, or '{HASHING}'"
        )


def longest_of(folder: Path, config: Any) -> int:
    """Tokens that a text is cut at: what the folder says it was trained on, else its positions."""
    path = folder / "sentence_bert_config.json"
    told = read_table(path).get("max_seq_length") if path.is_file() else None
    return int(told or config.max_position_embeddings)


def read_table(path: Path) -> dict[str, Any]:
    """The table in a JSON file; ConfigError if it holds none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"embedder: {path}: cannot be read ({error})") from error
    if not isinstance(table, dict):
        raise ConfigError(f"embedder: {path}: is no table")
    return table
