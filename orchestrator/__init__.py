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

    _own_jobs()
    return getattr(importlib.import_module(HOMES[name]), name)


def _own_jobs() -> None:
    """Load the product's package ``jobs`` before a folder of that name is taken for it: people who
    work where their ``jobs/`` lies have one, and of an editable install Python would find theirs
    first."""
    import importlib.util
    import sys
    from pathlib import Path

    folder = Path(__file__).resolve().parents[1] / "jobs"
    known = sys.modules.get("jobs")
    if known is not None and known.__spec__ is not None and known.__spec__.origin is not None:
        return
    spec = importlib.util.spec_from_file_location(
        "jobs", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["jobs"] = module
    spec.loader.exec_module(module)


def __dir__() -> list[str]:
    """For completion in a notebook."""
    return sorted({*globals(), *HOMES})
