"""``reads`` of a stage: what each node is told, and every mistake in one line."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DescriptionError
from tests.support.builders import planned

MATRIX = {"lr": [0.1, 0.2]}


def told(folder: Path, **keys: Any) -> Any:
    """What the first job's node reads."""
    stage = {"command": "train {lr}", "matrix": MATRIX, **keys}
    plan = planned({"experiment": "e", "stages": {"train": stage}}, folder)
    return plan.jobs[0].config.get("reads")


def refused(folder: Path, **keys: Any) -> str:
    """The one mistake."""
    with pytest.raises(DescriptionError) as error:
        told(folder, **keys)
    (line,) = error.value.lines
    return line.partition("stage 'train': ")[2]


def test_kinds_alone_with_paths_and_several(tmp_path: Path) -> None:
    assert told(tmp_path) is None
    trainer = {"kind": "trainer", "path": "$ORCH_OUT", "step": ""}
    assert told(tmp_path, reads="trainer")["from"] == [trainer]
    log = {"kind": "jsonl", "path": "logs/{lr}.jsonl", "step": "it"}
    found = told(tmp_path, reads=["trainer", log], metrics={"a": {"better": "lower"}, "b": {}})
    assert found == {
        "from": [trainer, {"kind": "jsonl", "path": "logs/0.1.jsonl", "step": "it"}],
        "better": {"a": "lower"},
    }


def test_what_is_read_is_no_part_of_the_work(tmp_path: Path) -> None:
    identities = set()
    for keys in ({}, {"reads": "trainer"}, {"reads": "lightning"}):
        stage = {"command": "train", **keys}
        plan = planned({"experiment": "e", "stages": {"train": stage}}, tmp_path)
        identities.add(plan.jobs[0].identity)
    assert len(identities) == 1


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ("trainr", "must be jsonl, csv, json, tensorboard, trainer, lightning, lm_eval or wandb"),
        (4, "must be a kind such as trainer"),
        ("jsonl", "jsonl needs 'path', the file that is written"),
        ({"kind": "csv"}, "csv needs 'path'"),
        ({"kind": "json"}, "json needs 'path'"),
        ({"kind": "json", "path": "a", "step": "it"}, "json has no steps; take 'step' out"),
        ({"kind": "trainer", "step": "it"}, "trainer counts its own steps; take 'step' out"),
        ({"kind": "trainer", "path": "out/{lrr}"}, "no axis 'lrr'; did you mean 'lr'?"),
        ({"kind": "trainer", "path": "$HOME/{lr}"}, "of variables only $ORCH_OUT is filled in"),
        ({"kind": "trainer", "path": "out"}, "would both read 'out'"),
        ({"kind": "trainer", "folder": "out"}, "unknown key 'folder'"),
    ],
)
def test_mistakes(tmp_path: Path, reads: Any, said: str) -> None:
    assert said in refused(tmp_path, reads=reads)


def test_an_engine_needs_none(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match="an engine says itself how far it is"):
        planned({"experiment": "e", "stages": {"t": {"engine": "fsm", "reads": "wandb"}}}, tmp_path)
