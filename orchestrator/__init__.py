"""WHEN and WHERE jobs run: description, plan, submission, state. Imports no torch, ray, vllm or
transformers.

From Python: ``orchestrator.load_run``, ``orchestrator.launch`` and what else stands below; see
docs/notebook.ipynb. They are looked up when they are first asked for, because nodes and every start
of `orch` import this package; their types stand in ``__init__.pyi``.
"""

HOMES = {
    "LoadedRun": "orchestrator.api.loaded",
    "OrchError": "orchestrator.errors",
    "Table": "orchestrator.api.table",
    "launch": "orchestrator.api.launching",
    "load_run": "orchestrator.api.loaded",
    "list_runs": "orchestrator.api.loaded",
}

__all__ = list(HOMES)


def __getattr__(name: str) -> object:
    """One of the names above, from the module that defines it."""
    if name not in HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute '{name}'")
    import importlib

    importlib.import_module("orchestrator.api.jobs_package").find_ours()
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    """For completion in a notebook."""
    return sorted({*globals(), *HOMES})
