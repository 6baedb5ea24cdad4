"""`orch init`: an experiment to begin with, and the scripts that it runs."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import shlex
import shutil
import sys
from enum import StrEnum
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import DescriptionError

SCHEMA = "experiment.schema.json"


class Kind(StrEnum):
    """What people begin with; each is an experiment in jobs/templates."""

    train = "train"
    sweep = "sweep"
    finetune = "finetune"
    evaluate = "evaluate"


SCRIPTS = {
    Kind.train: {"train.py": "train"},
    Kind.sweep: {"train.py": "train", "evaluate.py": "evaluate"},
    Kind.finetune: {"finetune.py": "finetune"},
    Kind.evaluate: {"evaluate.py": "score"},
}
"""Names of the scripts of each, and what they are called in jobs/templates/scripts."""
NEEDS: dict[Kind, tuple[str, ...]] = {
    Kind.train: ("torch",),
    Kind.sweep: ("torch",),
    Kind.finetune: ("torch", "transformers", "accelerate"),
}
"""Packages that the scripts import; those of the others need none."""


def init(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="train: a script, run per seed. sweep: that script over a grid, a gate, and the "
            "best checkpoint of each evaluated. finetune: a language model on your own questions "
            "and answers. evaluate: a script over the checkpoints of a folder."
        ),
    ] = Kind.train,
    name: Annotated[
        str, typer.Argument(help="The experiment's name; that of the kind without it.")
    ] = "",
) -> None:
    """Write an example experiment that runs as it is. It is jobs/NAME.yaml; its scripts and data
    are in jobs/NAME. Files that are there stay as they are."""
    from orchestrator.description.sweeps.axis_keys import is_name

    name = name or kind.value
    if not is_name(name):
        raise DescriptionError(
            f"'{name}' must be a name of letters, digits, '_' and '-', starting with a letter"
        )
    jobs = Path("jobs")
    for path in (jobs / f"{name}.yaml", jobs / name):
        if path.exists():
            raise DescriptionError(f"{path}: is there already; take another name, or remove it")
    write_experiment(kind, name, jobs)
    print(
        f"wrote jobs/{name}.yaml and jobs/{name}/; run it here: "
        f"orch launch {name} --cluster local --watch"
    )
    # The scripts get the Python that runs this (``interpreter``), so what is missing is known.
    missing = [one for one in NEEDS.get(kind, ()) if importlib.util.find_spec(one) is None]
    if missing:
        print(f"first install what its scripts import: pip install {' '.join(missing)}")


def write_experiment(kind: Kind, name: str, jobs: Path) -> None:
    """The scripts and data of an experiment in ``jobs/NAME``, the schema, then its file."""
    packaged = importlib.resources.files("jobs")
    templates = packaged / "templates"
    files = {
        Path(script): templates / "scripts" / f"{source}.py.txt"
        for script, source in SCRIPTS[kind].items()
    }
    files |= below(templates / "data" / kind.value)
    for path, source in files.items():
        write(jobs / name / path, source.read_text(encoding="utf-8"))
    # Beside the files that name it, so that they can be moved and shared with it.
    if not (jobs / SCHEMA).exists():
        write(jobs / SCHEMA, (packaged / SCHEMA).read_text(encoding="utf-8"))
    text = (templates / f"{kind.value}.yaml").read_text(encoding="utf-8")
    # The experiment last: whoever finds it finds what it needs.
    write(jobs / f"{name}.yaml", text.replace("NAME", name).replace("PYTHON", interpreter()))


def below(folder: Traversable, at: Path = Path()) -> dict[Path, Traversable]:
    """Every file below a packaged folder by its path there; none if there is no such folder."""
    found: dict[Path, Traversable] = {}
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir():
            found |= below(entry, at / entry.name)
        else:
            found[at / entry.name] = entry
    return found


def write(path: Path, text: str) -> None:
    """A new file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # "x" fails if the file is there, also if it was made a moment ago.
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def interpreter() -> str:
    """Which Python the scripts get, as it stands in YAML: the one that orch runs in, which has the
    packages that they need."""
    # By its name where that is the one that a shell finds, so that the file can be shared.
    found = shutil.which("python")
    if found is not None and Path(found).parent.samefile(Path(sys.executable).parent):
        return "python"
    return json.dumps(shlex.quote(sys.executable))
