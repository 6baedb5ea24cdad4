"""Score the checkpoints of language models on a suite of benchmarks with vLLM."""

from engines.evaluation.config import Config

__all__ = ["Config"]
