"""WHEN and WHERE jobs run: description, plan, submission, state. Imports no torch, ray, vllm or
transformers."""
