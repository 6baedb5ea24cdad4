"""The JSON schemas for editors: they take every shipped file and refuse a misspelt one."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engines.contract.written.mistakes import Mistakes
from engines.contract.written.reading import read_file
from orchestrator.description.checking import keys_of
from orchestrator.description.keys import (
    ExperimentFile,
    NotifyFile,
    PresetFile,
    ResourcesFile,
    StageFile,
)
from orchestrator.description.profile_reader import ProfileFile
from orchestrator.description.schema import PATHS, schema_text, sentences
from orchestrator.description.stage_keys.parts import GateFile
from tests.support.cli import orch
from tests.support.paths import ROOT

EXPERIMENTS = sorted((ROOT / "jobs").glob("**/*.yaml"))
PROFILES = sorted((ROOT / "slurm_templates").glob("*.yaml"))


def document(path: Path) -> Any:
    mistakes = Mistakes()
    node = read_file(path, mistakes)
    assert node is not None
    assert mistakes.lines == []
    return node.plain()


def wrong(kind: str, value: Any) -> list[str]:
    schema = json.loads((ROOT / PATHS[kind]).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(value)]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_as_the_schema_says(path: Path) -> None:
    assert wrong("experiment", document(path)) == []


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_profile_is_as_the_schema_says(path: Path) -> None:
    assert wrong("profile", document(path)) == []


@pytest.mark.parametrize("path", [*EXPERIMENTS, *PROFILES], ids=lambda path: path.stem)
def test_the_first_line_of_a_shipped_file_names_its_schema(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    start = "# yaml-language-server: $schema="
    assert first.startswith(start)
    kind = "profile" if path in PROFILES else "experiment"
    # `orch init` writes a template and the schema side by side.
    folder = path.parent.parent if path.parent.name == "templates" else path.parent
    assert (folder / first.removeprefix(start)).resolve() == ROOT / PATHS[kind]


STAGE: dict[str, Any] = {
    "engine": "ppo",
    "matrix": {"seed": [0, 1]},
    "config": {"model": {"of": "prepare", "checkpoint": "warm"}, "seed": "{seed}", "epochs": 3},
}


@pytest.mark.parametrize(
    "change",
    [
        {"matrx": {"seed": [0]}},
        {"engine": "pppo"},
        {"command": "echo"},
        {"pack": 0},
        {"resources": {"gpu": 1}},
        {"when": {"metric": "accuracy", "of": "a", "at_leest": 1}},
        {"config": {"epoch": 3}},
        {"config": {"epochs": "three"}},
        {"config": {"mtl": {"metod": "sum"}}},
        {"config": {"model": {"of": "prepare", "chekpoint": "warm"}}},
    ],
    ids=str,
)
def test_a_typo_in_a_stage_fails_where_the_stage_without_it_is_right(
    change: dict[str, Any],
) -> None:
    experiment = {"experiment": "x", "stages": {"a": STAGE}}
    assert wrong("experiment", experiment) == []
    experiment["stages"] = {"a": {**STAGE, **change}}
    assert wrong("experiment", experiment) != []


@pytest.mark.parametrize(
    "change",
    [
        {"abuot": "x"},
        {"experiment": "a b"},
        {"notify": {"on": ["done"]}},
        {"presets": {"small": {"stage": {}}}},
        {"presets": {"small": {"stages": {"a": {"confg": {}}}}}},
    ],
    ids=str,
)
def test_a_typo_at_the_top_or_in_a_preset_fails(change: dict[str, Any]) -> None:
    experiment = {
        "experiment": "x",
        "stages": {"a": STAGE},
        "presets": {"small": {"stages": {"a": {"config": {"epochs": 1}}, "b": None}}},
    }
    assert wrong("experiment", experiment) == []
    assert wrong("experiment", experiment | change) != []


@pytest.mark.parametrize(
    "change", [{"kind": "slrum"}, {"partiton": "a"}, {"max_jobs": "many"}, {"setup": "x"}], ids=str
)
def test_a_typo_in_a_profile_fails(change: dict[str, Any]) -> None:
    profile = {"kind": "slurm", "partition": "a", "account": None, "environment": {"A": "$B"}}
    assert wrong("profile", profile) == []
    assert wrong("profile", profile | change) != []


def test_every_key_has_a_sentence() -> None:
    parts = (ExperimentFile, StageFile, GateFile, ResourcesFile, NotifyFile, PresetFile)
    for part in (*parts, ProfileFile):
        texts = sentences(part)
        assert texts.keys() == keys_of(part).keys()
        assert [key for key, text in texts.items() if not text.endswith((".", ")."))] == []


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_the_command_prints_the_shipped_schema(tmp_path: Path, kind: str) -> None:
    printed = orch(tmp_path, "schema", kind)
    assert printed.stdout == (ROOT / PATHS[kind]).read_text() == schema_text(kind)


@pytest.mark.parametrize(("minutes", "right"), [("${minutes}", True), ("{minutes}", False)])
def test_a_variable_may_stand_for_any_value(minutes: str, right: bool) -> None:
    stage = {
        "engine": "ppo",
        "resources": {"minutes": minutes},
        "config": {"epochs": "${epochs}", "model": "${model}"},
    }
    value = {"experiment": "x", "vars": {"epochs": 1, "model": {}}, "stages": {"train": stage}}
    assert (wrong("experiment", value) == []) is right
