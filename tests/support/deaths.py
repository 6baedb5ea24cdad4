"""scripts/causes.py, which reads the reported deaths, as a module: scripts/ is no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent


def causes() -> ModuleType:
    """The script; its ``reports(part)`` for each of its ``PARTS``."""
    spec = importlib.util.spec_from_file_location("causes", ROOT / "scripts" / "causes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["causes"] = module
    spec.loader.exec_module(module)
    return module
