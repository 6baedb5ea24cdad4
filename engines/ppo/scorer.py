"""Log-probabilities of response tokens by a causal language model, without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from engines.ppo.budget import LOGIT_ROWS as ROWS


class Scorer(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy here
    """A transformers causal language model, its head applied to response positions only, in chunks.

    A module of its own because FSDP2 gathers parameters around a forward pass: body and head must be one.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, positions: torch.Tensor, targets: torch.Tensor,
                temperature: float) -> torch.Tensor:
        """Log-probability of each of ``targets`` (B, S), predicted at ``positions`` (B, S) of ``input_ids`` (B, L): float32."""
        hidden = self.model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        flat = hidden[torch.arange(len(hidden), device=hidden.device)[:, None], positions].flatten(0, 1)
        wanted = targets.flatten()
        pieces = [checkpoint(self.head, flat[i:i + ROWS], wanted[i:i + ROWS], temperature, use_reentrant=False)
                  for i in range(0, len(flat), ROWS)]
        return torch.cat(pieces).view_as(targets)

    def head(self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
        """Log-probabilities of ``targets`` (N,) from the last hidden states (N, H)."""
        logits = self.model.get_output_embeddings()(hidden).float() / temperature
        return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)

    @property
    def layers(self) -> list[torch.nn.Module]:
        """The decoder layers: what transformers itself says must not be split over devices."""
        kinds = set(self.model._no_split_modules or ())
        return [module for module in self.model.modules() if type(module).__name__ in kinds]
