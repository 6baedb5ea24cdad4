"""Answers to requests by the trained torch model itself, with the interface of the vLLM engine that
trainings use.

In: a ``PackedModel`` with its tokenizer, requests of token ids. Out: samples with their text and
the log-probabilities of their tokens. Called by ``ppo`` on a CPU, where a second engine would take
longer to start than a small model to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from engines.shared.inference import Generation, Request
from engines.shared.language_model.key_value_cache import SharedPrefixCache
from engines.shared.language_model.lora import adapters_merged
from engines.shared.language_model.packing import PackedModel
from engines.shared.language_model.sampler import Sample, Sampling, evaluation_mode, sample
from engines.shared.language_model.settings import SAMPLED_ROWS


class TorchSampler:
    """Samples from a model that somebody else trains: there are no weights to hand over."""

    def __init__(self, model: PackedModel, tokenizer: Any, cache_gb: float = 1.0) -> None:
        """``cache_gb``: GiB for keys and values; a prompt's samples are drawn together even if they
        take more."""
        self.model, self.tokenizer = model, tokenizer
        self.cache_bytes = cache_gb * 2**30
        self.end_tokens = end_tokens(model.model, tokenizer)

    def generate(self, requests: Sequence[Request]) -> list[list[Generation]]:
        """All samples of all requests, which differ in prompt and seed alone: ``result[i][k]`` is
        sample k of ``requests[i]``."""
        if not requests:
            return []
        first = requests[0]
        sampling = Sampling(
            first.samples, first.max_tokens, self.end_tokens, first.temperature, first.top_p
        )
        # Prompts of about one length together: their keys and values are padded to the longest.
        order = sorted(range(len(requests)), key=lambda i: len(requests[i].token_ids))
        count = max(1, self.rows(requests) // first.samples)
        found: list[list[Generation]] = [[] for _ in requests]
        for start in range(0, len(order), count):
            places = order[start : start + count]
            prompts = [requests[place].token_ids for place in places]
            seeds = [requests[place].seed for place in places]
            with self.precision():
                samples = sample(self.model, prompts, sampling, seeds)
            for place, own in zip(places, samples, strict=True):
                found[place] = [self.generation(one) for one in own]
        return found

    def rows(self, requests: Sequence[Request]) -> int:
        """Samples that are drawn together."""
        config = self.model.model.config
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        of_keys = getattr(config, "num_key_value_heads", None) or heads
        per_token = 2 * config.num_hidden_layers * of_keys * width * self.model.model.dtype.itemsize
        tokens = max(len(request.token_ids) + request.max_tokens for request in requests)
        return min(SAMPLED_ROWS, int(self.cache_bytes / (per_token * tokens)))

    def precision(self) -> Any:
        """bfloat16 products on a GPU, as in the passes of a training."""
        on_gpu = self.model.model.device.type == "cuda"
        return torch.autocast("cuda", torch.bfloat16, enabled=on_gpu)

    def generation(self, made: Sample) -> Generation:
        """A sample with its text."""
        text = self.tokenizer.decode(made.token_ids, skip_special_tokens=True)
        return Generation(
            made.token_ids, made.logprobs, text, "stop" if made.complete else "length"
        )

    def prompt_logprobs(self, token_ids: Sequence[int]) -> list[float]:
        """Log-probabilities at temperature 1 of ``token_ids[1:]``, token by token as a sample is
        made."""
        device = self.model.model.device
        head = self.model.model.get_output_embeddings()
        ids = torch.tensor(list(token_ids), device=device)
        with (
            torch.no_grad(),
            self.precision(),
            evaluation_mode(self.model),
            adapters_merged(self.model),
        ):
            cache = SharedPrefixCache([1], 1, len(ids), device)
            states = [self.model.hidden(ids[:1], [1], torch.zeros_like(ids[:1]), cache)]
            for place in range(1, len(ids) - 1):
                states.append(
                    self.model.next_hidden(ids[place][None], torch.full_like(ids[:1], place), cache)
                )
                cache.used += 1
            chances = head(torch.cat(states)).float().log_softmax(-1)
            values: list[float] = chances.gather(1, ids[1:, None])[:, 0].tolist()
        return values


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """What ends an answer: the tokenizer's end of text, and what the model's folder names."""
    named = model.generation_config.eos_token_id
    listed = named if isinstance(named, list) else [named]
    return tuple(sorted({one for one in (*listed, tokenizer.eos_token_id) if one is not None}))
