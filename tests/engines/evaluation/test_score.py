"""Samples are scored once, and what cannot be scored has a reason."""

import pytest

from engines.contract.files import read_lines
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import read_progress
from engines.evaluation.aggregate import rows
from engines.evaluation.sample_store import Sample
from engines.evaluation.score import Scoring
from engines.shared.scoring.registry import answer_text
from tests.support.evaluation import coordinator_of, item, samples_of


def line(item, value, status="ok"):
    return {
        "item_id": item,
        "sample": 0,
        "task": "math",
        "value": value,
        "status": status,
        "detail": "why",
        "tokens": 3,
        "finish_reason": "stop",
    }


def test_scoring_goes_on_where_it_was_stopped_and_unclosed_thinking_is_no_answer(tmp_path):
    texts = {"1": "1", "2": "<think> 2", "3": "<think> 4 </think> 3"}
    items = [item(name) for name in texts]
    stop = Stop()
    coordinator = coordinator_of(tmp_path, items, stop=stop)
    for sample in samples_of(coordinator.take(9)):
        coordinator.add(
            Sample(0, sample.item, 0, texts[items[sample.item].problem.ground_truth], 3, "stop")
        )
    coordinator.close()
    scoring = Scoring(coordinator.inputs, coordinator.store, stop, coordinator.progress)
    model = coordinator.inputs.models[0]
    stop.requested = True
    with pytest.raises(Interrupted, match="0 of 3 of 'm' are scored"):
        scoring.score(model, 3)
    stop.requested = False
    lines = {line["item_id"]: line for line in scoring.score(model, 3)}
    found = [
        (lines[each.problem.item_id]["value"], lines[each.problem.item_id]["status"])
        for each in items
    ]
    assert found == [(1.0, "ok"), (0.0, "no_answer"), (1.0, "ok")]
    assert read_progress(tmp_path)[-1]["step"] == 6
    stop.requested = True
    assert scoring.score(model, 3) == read_lines(tmp_path / "scores" / "m.jsonl")


def test_errors_are_left_out_of_the_mean_and_a_task_of_errors_has_a_reason():
    base = {"checkpoint": "c", "epoch": 1, "step": 1}
    mixed = rows(
        [line("a", 1.0), line("b", 0.0), line("c", None, "timeout")], {"math": "math"}, base
    )[0]
    assert (mixed.value, mixed.n, mixed.spread) == (0.5, 2, pytest.approx(0.5))
    none = rows([line("a", None, "error")], {"math": "math"}, base)[0]
    assert none.value is None
    assert none.error == "no sample could be scored: error: why"


def test_a_program_out_of_time_counts_as_wrong_and_a_scorer_out_of_time_does_not_count():
    base = {"checkpoint": "c", "epoch": 1, "step": 1}
    lines = [line("a", 1.0), line("b", 0.0, "out_of_time"), line("c", None, "timeout")]
    found = {row.metric: row for row in rows(lines, {"math": "math"}, base) if "task" in row.axes}
    assert (found["accuracy"].value, found["accuracy"].n) == (0.5, 2)
    assert found["out_of_time_rate"].value == pytest.approx(1 / 3)


def test_thinking_that_was_never_closed_is_no_answer():
    assert answer_text("<think> 5") is None
    assert answer_text("<think> 4 </think> 5") == " 5"


def test_a_task_whose_every_prompt_is_too_long_has_rows_without_a_value():
    found = rows([], {"code": "codegen"}, {"checkpoint": "m"})
    assert {row.metric for row in found} >= {"accuracy", "no_answer_rate"}
    assert all(row.value is None and "every prompt is too long" in row.error for row in found)
