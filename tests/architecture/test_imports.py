"""Imports point down: orchestrator -> jobs -> the light contract of an engine. The login node loads no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

HEAVY = {"torch", "ray", "vllm", "transformers", "numpy", "pyarrow", "matplotlib", "wandb", "safetensors"}
ENGINES = {path.name for path in (ROOT / "engines").iterdir() if (path / "__main__.py").is_file()}


def imports(path: Path) -> set[str]:
    """Full dotted names of all that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_orchestrator_and_jobs_import_nothing_heavy_even_inside_functions() -> None:
    wrong = [(path.name, name) for package in ("orchestrator", "jobs", "slurm_templates") for path in files(package)
             for name in imports(path) if name.split(".")[0] in HEAVY]
    assert wrong == []


def test_jobs_does_not_know_the_orchestrator_and_does_no_io() -> None:
    banned = {"orchestrator", "submitit", "subprocess", "pathlib", "os", "yaml"}
    assert [(path.name, name) for path in files("jobs") for name in imports(path) if name.split(".")[0] in banned] == []


def test_engines_know_neither_slurm_nor_the_orchestrator() -> None:
    banned = {"orchestrator", "jobs", "submitit", "slurm_templates"}
    assert [(path.name, name) for path in files("engines") for name in imports(path) if name.split(".")[0] in banned] == []


def test_engines_do_not_import_one_another() -> None:
    wrong = []
    for path in files("engines"):
        own = path.relative_to(ROOT / "engines").parts[0]
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "engines" and len(parts) > 1 and parts[1] in ENGINES and parts[1] != own:
                wrong.append((str(path.relative_to(ROOT)), name))
    assert wrong == []


def test_only_submission_and_the_node_use_submitit() -> None:
    users = {path.name for path in files("orchestrator") for name in imports(path) if name.split(".")[0] == "submitit"}
    assert users <= {"slurm.py", "submit.py", "node.py"}


def loaded_by(code: str) -> set[str]:
    """Heavy modules in a fresh interpreter after ``code``."""
    program = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_orchestrator_and_planning_every_shipped_experiment_loads_nothing_heavy() -> None:
    paths = [path.relative_to(ROOT).with_suffix("") for package in ("orchestrator", "jobs") for path in files(package)]
    code = "\n".join(f"import {'.'.join(path.parts)}" for path in paths if path.name != "__init__")
    code += ("\nfrom orchestrator.description import known_experiments\nfrom orchestrator.plan import make_plan"
             "\nfor path in known_experiments().values(): make_plan(path)")
    assert loaded_by(code) == set()


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_contract_of_an_engine_is_light_and_has_a_config(engine: str) -> None:
    assert loaded_by(f"from engines.{engine} import Config\nassert Config.model_config['extra'] == 'forbid'") == set()
