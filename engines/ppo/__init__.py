"""Train a language model with PPO over several reasoning domains, gradients combined by PCGrad or
others."""

from engines.ppo.config import Config

__all__ = ["Config"]
