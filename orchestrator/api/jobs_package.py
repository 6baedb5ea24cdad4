"""The product's package ``jobs``, where the reader's own folder has that name.

People who work where their ``jobs/`` lies have one in the folder that Python looks in first, and of
an editable install it would find theirs. Called by the package before it loads what a notebook asks
for.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def find_ours() -> None:
    """Load the product's package ``jobs``, unless a package of that name is there already."""
    known = sys.modules.get("jobs")
    if known is not None and known.__spec__ is not None and known.__spec__.origin is not None:
        return
    folder = Path(__file__).resolve().parents[2] / "jobs"
    spec = spec_from_file_location(
        "jobs", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["jobs"] = module
    spec.loader.exec_module(module)
