"""Results of lm-eval: tasks, groups, filters; of two evaluations the later one."""

import json
from pathlib import Path
from typing import Any

from tests.support.frameworks import FRAMEWORKS, look


def by_axes(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The last row of each metric and axes."""
    return {(row["metric"], *sorted(row["axes"].items())): row for row in rows}


def test_groups_do_not_stand_among_tasks() -> None:
    rows = by_axes(look("lm_eval", "lm_eval").rows)
    assert set(rows) == {
        ("acc", ("task", "even_a")),
        ("acc", ("task", "even_b")),
        ("acc", ("group", "even")),
        ("exact_match", ("filter", "strict"), ("task", "filtered")),
        ("exact_match", ("filter", "loose"), ("task", "filtered")),
    }
    # The later of two evaluations, of twelve documents and not of eight.
    assert rows["acc", ("task", "even_a")]["value"] == 0.5833333333333334
    assert rows["acc", ("task", "even_a")]["n"] == 12
    assert rows["acc", ("group", "even")]["n"] == 24
    assert rows["acc", ("group", "even")]["spread"] == 0.10510937064781523


def test_no_number_is_a_reason_and_half_a_file_is_told(tmp_path: Path) -> None:
    (path, *_) = sorted((FRAMEWORKS / "lm_eval").iterdir())
    document = json.loads(path.read_text())
    document["results"]["even_a"] |= {"acc,none": "N/A", "acc_stderr,none": "N/A"}
    (tmp_path / path.name).write_text(json.dumps(document))
    row = by_axes(look("lm_eval", tmp_path).rows)["acc", ("task", "even_a")]
    assert row["value"] is None
    assert row["spread"] is None
    assert "N/A" in row["error"]
    (tmp_path / path.name).write_text(json.dumps(document)[:300])
    assert "not whole" in look("lm_eval", tmp_path).problems[0]
    # It may be being written.
    assert look("lm_eval", tmp_path, final=False).problems == []


def test_two_models_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    (path, *_) = sorted((FRAMEWORKS / "lm_eval").iterdir())
    document = json.loads(path.read_text())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = json.dumps({**document, "model_name": name})
        (tmp_path / name / path.name).write_text(text)
    assert {row["axes"]["model"] for row in look("lm_eval", tmp_path).rows} == {"a", "b"}
