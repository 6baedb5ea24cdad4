"""The wheel holds the four packages and their data; installed without extras it gives a working
`orch`."""

import os
import platform
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from orchestrator.node.launcher.plain import FORM
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("build", "hatchling"):
        pytest.importorskip(package, reason=f"needs {package}: an extra for developers")
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
    assert top == {"orchestrator", "jobs", "engines", "slurm_templates", "orch.py"}
    assert {f"{package}/py.typed" for package in top - {"orch.py"}} <= set(names)
    assert "jobs/templates/scripts/train.py.txt" in names
    assert "jobs/mtl-comparison.yaml" in names
    cities = "engines/shared/geography/cities"
    assert {f"{cities}/table.csv", f"{cities}/ATTRIBUTION.md"} <= set(names)
    assert any(name.startswith("slurm_templates/") and name.endswith(".yaml") for name in names)


LAUNCHER = "orchestrator/node/launcher/launcher"


def test_a_wheel_with_the_launcher_is_tagged_for_its_platform_and_others_are_pure(
    wheel: Path, tmp_path: Path
) -> None:
    if not wheel.name.endswith("-any.whl"):
        machine = platform.machine()
        tags = f"-py3-none-manylinux2014_{machine}.musllinux_1_1_{machine}.whl"
        assert wheel.name.endswith(tags)
        archive = zipfile.ZipFile(wheel)
        assert archive.getinfo(LAUNCHER).external_attr >> 16 & 0o111 == 0o111
        program = Path(archive.extract(LAUNCHER, tmp_path))
        program.chmod(0o755)
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        assert said.stdout == f"{FORM}\n"
        # A program that asks for no library runs on any system of this processor.
        assert b"/ld-" not in program.read_bytes()
    # Where no compiler is found.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    alone = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([*command, tmp_path, ROOT], check=True, capture_output=True, env=alone)
    (pure,) = tmp_path.glob("*.whl")
    assert pure.name.endswith("-py3-none-any.whl")
    assert LAUNCHER not in zipfile.ZipFile(pure).namelist()


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


SCRIPT = (
    "import orch; orch.progress(1, 2, loss=0.5); orch.result('loss', 0.5); "
    "print(orch.axes(), orch.checkpoints(), orch.stop_requested(), orch.__file__)"
)
"""A script that reports to orch, run where there is none."""


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_script_may_import_orch_where_the_product_is_installed_and_no_job_runs(
    kind: str, wheel: Path, tmp_path: Path
) -> None:
    built = wheel
    if kind == "editable":
        code = (
            "import hatchling.build, os, sys; os.chdir(sys.argv[1]); "
            "hatchling.build.build_editable(sys.argv[2])"
        )
        subprocess.run([sys.executable, "-c", code, str(ROOT), str(tmp_path)], check=True)
        (built,) = tmp_path.glob("*-any.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(built).extractall(site)
    # site.addsitedir reads the path files of an editable install, as the start of Python does.
    code = f"import site, sys; site.addsitedir(sys.argv[1]); {SCRIPT}"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # -S: none of this environment's packages, in which the product is installed already.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(site)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["{}", "[]", "False"]
    # Of the folder of the installation, or the checkout, and nothing was written but there.
    place = site if kind == "wheel" else ROOT / "orchestrator" / "node" / "importable"
    assert done.stdout.split()[3] == str(place / "orch.py")
    assert not (tmp_path / "orch-out").exists()


def locked(name: str) -> dict[str, str]:
    """The version of each package in a file of constraints."""
    found = {}
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if line and not line.startswith("#"):
            package, _, version = line.partition("==")
            found[re.sub(r"[-_.]+", "-", package).lower()] = version
    return found


@pytest.mark.parametrize(
    ("file", "extras"),
    [("cpu.txt", ["engines", "cpu", "mtl", "sandbox"]), ("gpu.txt", ["engines", "gpu"])],
)
def test_every_package_of_an_extra_is_locked_within_its_bounds(
    file: str, extras: list[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = locked(file)
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    for text in asked:
        wanted = Requirement(text)
        if wanted.name != project["name"]:
            name = re.sub(r"[-_.]+", "-", wanted.name).lower()
            assert name in versions, text
            assert wanted.specifier.contains(versions[name]), (text, versions[name])


def test_an_editable_install_makes_neither_tests_nor_docs_importable_and_costs_no_start(
    tmp_path: Path,
) -> None:
    looked = (
        "import sys; early = set(sys.modules); import orchestrator, jobs, engines.contract, "
        "slurm_templates, importlib.util; "
        "print(*[one for one in ('scripts', 'tests', 'docs') if importlib.util.find_spec(one)]); "
        "print(*early & {'re', 'tempfile', 'importlib.util', 'importlib.resources'})"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", looked], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("\n\n", "")
