"""Tests that need packages of an extra, where only the light installation is there."""

from __future__ import annotations

import importlib.util

import pytest


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip a test, and say why, where one of these packages is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    why = f"needs {', '.join(missing)}: pip install 'slurm-ml-orchestrator[cpu]'"
    return pytest.mark.skipif(bool(missing), reason=why)
