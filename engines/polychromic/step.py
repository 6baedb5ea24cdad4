"""One optimiser step: the gradient of cross-entropy, that of the diversity term, and the update.

The two gradients have denominators of their own: the reply tokens of the step, and the prompts of
the step that are sampled from. Neither hangs on how the step is cut into micro-batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from engines.polychromic.batches import Encoded, Packed, Turn, micro_batches, rows_of_step
from engines.polychromic.config import Config
from engines.polychromic.model import Model
from engines.polychromic.objective.sets import advantages, policy_surrogate, set_diversity
from engines.polychromic.objective.surrogates import collision, gem_beta, gem_loss
from engines.polychromic.sampling import Sampler, Samples
from engines.shared.inference import sample_seed
from engines.shared.language_model.settings import LOGIT_ROWS

Gradient = list[torch.Tensor]
"""Of each trained parameter, in their order."""


@dataclass(frozen=True)
class Setting:
    """What stays the same during a training."""

    config: Config
    model: Model
    train: Encoded
    sampler: Sampler | None
    """None where nothing is sampled."""
    steps: int


@dataclass(frozen=True)
class Quality:
    """What the rows of a step say."""

    cross_entropy: float
    """Mean over the reply tokens of the step, nats."""
    gradient: Gradient
    surrogate: float | None
    """Mean over the same tokens of what a surrogate adds; None without one."""
    surrogate_gradient: Gradient | None


class Stepper:
    """Takes steps; advances the trained parameters and AdamW's moments."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.parameters = list(setting.model.parameters.values())
        # transformers' Trainer decays no bias and no norm either; those are its vectors.
        matrices = [one for one in self.parameters if one.dim() > 1]
        vectors = [one for one in self.parameters if one.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": setting.config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            [one for one in groups if one["params"]], lr=setting.config.learning_rate, fused=True
        )

    def take(self, step: int) -> dict[str, float]:
        """Step ``step``, from 0; what is to be said of it."""
        began = time.monotonic()
        setting = self.setting
        config, term = setting.config, setting.config.diversity
        rows = rows_of_step(config, len(setting.train.replies), step)
        # Dropout hangs on the step alone, so that a continued training drops the same.
        torch.manual_seed(sample_seed(config.seed, "dropout", step))
        quality = self.quality([setting.train.sequences[row] for row in rows])
        metrics = {
            "cross_entropy": quality.cross_entropy,
            "learning_rate": config.learning_rate * rate_factor(config, step, setting.steps),
        }
        total, gradient = quality.gradient, quality.surrogate_gradient
        factor = term.weight
        if quality.surrogate is not None:
            factor = 1.0 if term.objective == "gem" else term.weight
            metrics["combined"] = quality.cross_entropy + factor * quality.surrogate
        elif term.sampled and step % term.every_steps == 0:
            # Every k-th step it counts k times, so that the weight keeps its meaning.
            factor = term.weight * term.every_steps
            gradient, seen = self.diversity(rows[: term.prompts_per_step], step)
            metrics |= seen
            metrics["combined"] = quality.cross_entropy - term.weight * seen["set_diversity"]
        if gradient is not None:
            metrics |= compared(quality.gradient, gradient)
            total = added(quality.gradient, gradient, factor)
        metrics.setdefault("gradient_norm_quality", norm(quality.gradient))
        metrics["gradient_norm"] = self.update(total, metrics["learning_rate"], step)
        metrics["seconds_step"] = time.monotonic() - began
        return metrics

    def quality(self, sequences: list[Turn]) -> Quality:
        """Cross-entropy of the replies, in training mode, and its gradient; with that of a
        surrogate where the config has one."""
        setting = self.setting
        model, term = setting.model, setting.config.diversity
        tokens = sum(len(reply) for _, reply in sequences)
        beside = term.objective if term.weight > 0 and not term.sampled else None
        losses, extras = 0.0, 0.0
        extra_gradient = zeros(self.parameters) if beside else None
        model.training(True)
        for batch in self.batches(sequences):
            with model.passes():
                logprobs, extra = token_terms(model, batch, beside, term.weight)
            loss = -logprobs.sum() / tokens
            if extra is not None and extra_gradient is not None:
                own = extra.sum() / tokens
                found = torch.autograd.grad(
                    own, self.parameters, retain_graph=True, materialize_grads=True
                )
                torch._foreach_add_(extra_gradient, list(found))
                extras += own.item()
            loss.backward()
            losses += loss.item()
        return Quality(losses, self.collected(), extras if beside else None, extra_gradient)

    def diversity(self, rows: list[int], step: int) -> tuple[Gradient, dict[str, float]]:
        """Gradient of MINUS the set diversity of samples to the prompts of ``rows``, in evaluation
        mode; and what is to be said of the samples."""
        setting = self.setting
        assert setting.sampler is not None
        began = time.monotonic()
        train = setting.train
        samples = setting.sampler.draw(
            [train.replies[row] for row in rows],
            [train.sequences[row] for row in rows],
            "train",
            step,
        )
        drawn = time.monotonic()
        gradient, diversity = self.of_samples(samples)
        return gradient, {
            "set_diversity": diversity,
            **samples.seen(),
            "seconds_sample": drawn - began,
            "seconds_score": time.monotonic() - drawn,
        }

    def of_samples(self, samples: Samples) -> tuple[Gradient, float]:
        """The same of given samples; with their set diversity, mean over prompts."""
        setting = self.setting
        model, term = setting.model, setting.config.diversity
        quality = samples.quality if term.gate == "quality" else None
        weights = advantages(samples.distances, quality, term.baseline)
        # A sample without an advantage has no gradient: it need not be scored.
        kept = weights.flatten().nonzero()[:, 0].tolist()
        turns = [turn for own in samples.turns for turn in own]
        weights_kept = weights.flatten()[kept].to(model.device)
        model.training(False)
        for batch in self.batches([turns[place] for place in kept]):
            with model.passes():
                logprobs, _ = token_terms(model, batch, None, 0.0)
            sums = logprobs.new_zeros(len(batch.places)).index_add(0, batch.owners, logprobs)
            own = weights_kept[batch.places]
            (-policy_surrogate(own, sums, prompts=len(weights))).backward()
        return self.collected(), float(set_diversity(samples.distances, quality).mean())

    def batches(self, sequences: list[Turn]) -> Iterator[Packed]:
        """Micro-batches of the config's size."""
        model, tokens = self.setting.model, self.setting.config.micro_batch_tokens
        return micro_batches(sequences, tokens, model.device, model.shares(sequences))

    def collected(self) -> Gradient:
        """Take the gradient that backward passes have added up; nothing is left."""
        found = []
        for parameter in self.parameters:
            gradient = parameter.grad
            found.append(torch.zeros_like(parameter) if gradient is None else gradient)
            parameter.grad = None
        return found

    def update(self, gradient: Gradient, rate: float, step: int) -> float:
        """Clip and take AdamW's step; the norm before clipping. RuntimeError if it is not
        finite."""
        length = norm(gradient)
        if not math.isfinite(length):
            raise RuntimeError(
                f"step {step + 1}: the gradient is not finite; lower learning_rate "
                f"({self.setting.config.learning_rate:g})"
            )
        # 1e-6 is what torch's clip_grad_norm_ adds.
        scale = min(1.0, self.setting.config.gradient_clip / (length + 1e-6))
        for parameter, own in zip(self.parameters, gradient, strict=True):
            parameter.grad = own
        if scale < 1.0:
            torch._foreach_mul_(gradient, scale)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return length


def token_terms(
    model: Model, batch: Packed, beside: str | None, weight: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probability of each reply token, (R,); and what a surrogate adds to the loss there, (R,),
    where there is one."""
    if beside is None:
        return (
            model.scorer(batch.input_ids, batch.lengths, batch.positions, batch.targets, 1.0),
            None,
        )

    def head(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = model.inner.get_output_embeddings()(hidden).float()
        logprobs = logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)
        if beside == "collision":
            return torch.stack([logprobs, -collision(logits)])
        # The term of gem is what it has more than cross-entropy, in whose place it stands.
        return torch.stack([logprobs, gem_loss(logits, targets, gem_beta(weight)) + logprobs])

    hidden = model.scorer.hidden(batch.input_ids, batch.lengths, batch.positions)
    # The logits of a chunk are computed again in the backward pass: one chunk is in memory.
    parts = [
        checkpoint(
            head,
            hidden[start : start + LOGIT_ROWS],
            batch.targets[start : start + LOGIT_ROWS],
            use_reentrant=False,
        )
        for start in range(0, len(hidden), LOGIT_ROWS)
    ]
    logprobs, extra = torch.cat(parts, dim=1)
    return logprobs, extra


def rate_factor(config: Config, step: int, steps: int) -> float:
    """What the learning rate is multiplied with at ``step`` (from 0) of ``steps``: transformers'
    cosine schedule with warm-up, whose first step is 0 if there is a warm-up."""
    warmup = math.ceil(config.warmup_share * steps)
    if step < warmup:
        return step / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


def zeros(parameters: list[Any]) -> Gradient:
    """A gradient to add to."""
    return [torch.zeros_like(one) for one in parameters]


def norm(gradient: Gradient) -> float:
    """Euclidean norm over all parameters."""
    return float(torch.stack(torch._foreach_norm(gradient)).norm())


def compared(quality: Gradient, diversity: Gradient) -> dict[str, float]:
    """The norms of the two gradients, neither weighted nor clipped, and the cosine between them
    where neither is 0."""
    norms = norm(quality), norm(diversity)
    found = {"gradient_norm_quality": norms[0], "gradient_norm_diversity": norms[1]}
    if norms[0] * norms[1] > 0:
        products = torch._foreach_mul(quality, diversity)
        dot = float(torch.stack([one.sum() for one in products]).sum())
        found["gradient_cosine"] = dot / (norms[0] * norms[1])
    return found


def added(quality: Gradient, diversity: Gradient, factor: float) -> Gradient:
    """quality + factor x diversity, parameter by parameter."""
    return list(torch._foreach_add(quality, diversity, alpha=factor))
