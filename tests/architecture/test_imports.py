"""The login node loads no torch: orchestrator/ and jobs/ import nothing heavy, and engines know
neither of them."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.source_files import imported_names, modules

HEAVY = {
    "torch",
    "ray",
    "vllm",
    "transformers",
    "numpy",
    "pyarrow",
    "matplotlib",
    "wandb",
    "mlflow",
    "tensorboard",
    "trackio",
    "safetensors",
    "peft",
}
ENGINES = {path.parent.name for path in (ROOT / "engines").glob("*/__main__.py")}


def imports_of(banned: set[str], *packages: str) -> list[str]:
    """Where the packages import any of the banned ones, inside functions too."""
    return [
        f"{module}:{line} {name}"
        for module, path in modules(*packages).items()
        for name, line, _ in imported_names(path)
        if name.split(".")[0] in banned
    ]


def test_orchestrator_and_jobs_import_nothing_heavy_even_inside_functions() -> None:
    assert imports_of(HEAVY, "orchestrator", "jobs", "slurm_templates") == []


def test_jobs_does_not_know_the_orchestrator_and_does_no_io() -> None:
    assert (
        imports_of({"orchestrator", "submitit", "subprocess", "pathlib", "os", "yaml"}, "jobs")
        == []
    )


def test_engines_know_neither_slurm_nor_the_orchestrator() -> None:
    assert imports_of({"orchestrator", "jobs", "submitit", "slurm_templates"}, "engines") == []


def loaded_by(code: str) -> set[str]:
    """Heavy modules in a fresh interpreter after ``code``."""
    program = (
        f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}} & "
        f"{HEAVY!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_orchestrator_and_planning_every_shipped_experiment_loads_nothing_heavy() -> (
    None
):
    code = "\n".join(
        f"import {module}"
        for module in modules("orchestrator", "jobs")
        if not module.endswith("__main__")
    )
    code += (
        "\nfrom orchestrator.description.catalogue import known_experiments"
        "\nfrom orchestrator.planning.planner import make_plan"
        "\nfor path in known_experiments().values(): make_plan(path)"
    )
    assert loaded_by(code) == set()


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_contract_of_an_engine_is_light_and_has_a_config(engine: str) -> None:
    assert (
        loaded_by(
            f"from engines.{engine} import Config\nassert Config.model_config['extra'] == 'forbid'"
        )
        == set()
    )
