"""No response, however long or odd, costs more than seconds or gets no verdict."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.registry import VERSIONS, score

LENGTH = 200_000
SECONDS = 5.0
TABLE = {"header": ["House", "Name"], "rows": [["1", "Ann"], ["2", "Bob"]]}
GOLDS: list[tuple[str, Any, dict[str, Any]]] = [
    ("stem__gpqa_diamond", "D", {}),
    ("simulation__arcagi1", [[1, 2], [3, 4]], {}),
    ("logic__zebra_puzzle_dataset", TABLE, {}),
    ("logic__ordering_puzzle_dataset", ["red car", "bus"], {}),
    ("logic__graph_logical_dataset", "hat", {}),
    ("simulation__codeio", '"output": {"a": [1, 2]}', {}),
    ("ood__livebench", "yes, no, yes", {"task": "web_of_lies_v3", "date": "2025-04-02"}),
    ("ood__livebench", "Ann Bob", {"task": "house_traversal", "date": "2024-06-24"}),
    ("ood__livebench", {"a": "x"}, {"task": "tablejoin", "date": "2024-06-24"}),
    ("ood__livebench", "Country", {"task": "cta", "date": "2024-06-24"}),
]
PARTS = [
    "\\boxed ",
    "\\boxed{",
    "\\boxed{\\text{'",
    "<answer>",
    "<solution>",
    "Final Answer:",
    "Answer: A ",
    "*",
    "** a",
    "[[1,",
    "1 ",
    '{"a":',
    "```json\n",
]


def problem(source: str, gold: Any, extra: dict[str, Any]) -> Problem:
    return make_problem(source, user("?"), gold, extra_info=extra)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_comes_thousands_of_times_is_judged_in_time(part: str) -> None:
    text = part * (LENGTH // len(part))
    for source, gold, extra in GOLDS:
        for version in VERSIONS:
            begin = time.process_time()
            verdict = score(problem(source, gold, extra), text, version)
            assert verdict.value is not None, (source, version, verdict)
            assert time.process_time() - begin < SECONDS, (source, version)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([*PARTS, "}", "]", "</answer>", "</solution>", "yes, ", "\n", "D"]))
)
def test_any_response_gets_a_verdict(parts: list[str]) -> None:
    for source, gold, extra in GOLDS:
        for version in VERSIONS:
            assert score(problem(source, gold, extra), "".join(parts), version).value is not None
