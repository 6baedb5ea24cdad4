"""The wheel holds the four packages and their data; installed without extras it gives a working
`orch`."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_four_packages_and_their_data_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"orchestrator", "jobs", "engines", "slurm_templates"}
    assert "jobs/mtl-comparison.yaml" in names
    cities = "engines/shared/geography/cities"
    assert {f"{cities}/table.csv", f"{cities}/ATTRIBUTION.md"} <= set(names)
    assert any(name.startswith("slurm_templates/") and name.endswith(".yaml") for name in names)


def test_installed_wheel_plans_from_another_folder_with_the_light_packages_only(
    wheel: Path, tmp_path: Path
) -> None:
    """A fresh environment that sees this one's light dependencies through a path file, but none of
    our packages and no torch."""
    venv.create(tmp_path / "env", with_pip=False)
    site = next((tmp_path / "env" / "lib").glob("python*")) / "site-packages"
    here = Path(sys.executable).parent.parent / "lib" / site.parent.name / "site-packages"
    light = (
        "typer",
        "click",
        "rich",
        "pydantic",
        "pydantic_core",
        "annotated_types",
        "typing_extensions.py",
        "typing_inspection",
        "yaml",
        "_yaml",
        "pygments",
        "markdown_it",
        "mdurl",
        "shellingham",
        "submitit",
        "cloudpickle",
        "annotated_doc",
        "msgspec",
    )
    for name in light:
        if (here / name).exists():
            (site / name).symlink_to(here / name)
    zipfile.ZipFile(wheel).extractall(site)
    python = tmp_path / "env" / "bin" / "python"
    code = (
        "import sys; from orchestrator.cli.__main__ import main; "
        "sys.argv = ['orch', 'plan', 'mtl-comparison', '--preset', 'smoke', '--json']; main()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert '"train/arm=pcgrad,seed=0"' in result.stdout


def test_editable_install_does_not_make_tests_and_docs_importable(tmp_path: Path) -> None:
    code = (
        "import orchestrator, importlib.util, sys; "
        "sys.exit(importlib.util.find_spec('scripts') is not None)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path).returncode == 0
