"""No response, however long or odd, costs more than seconds or gets no verdict."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring import livebench
from engines.shared.scoring.registry import KINDS, VERSIONS, kind_of, score

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    reason="bubblewrap missing",
)
LENGTH = 100_000
SECONDS = 20.0
OLD, NEW = "2024-06-24", "2025-04-02"
TABLE = {"header": ["House", "Name"], "rows": [["1", "Ann"], ["2", "Bob"]]}
ADD = {"functional": "def f(x):\n    return x + 1", "input": "2", "output": "3"}
LIVEBENCH = {
    "web_of_lies_v2": "yes, no, yes",
    "web_of_lies_v3": "yes, no, yes",
    "house_traversal": "Ann Bob",
    "spatial": "4",
    "zebra_puzzle": "cat, 3, tea",
    "connections": "a,b,c,d,e,f,g,h",
    "plot_unscrambling": "One came. Two saw. Three won.",
    "typos": "We saw it.",
    "cta": "Country",
    "tablejoin": {"a": "x", "b": "y"},
    "tablereformat": "a,b\n1,x\n2,y\n",
}
INSTRUCTIONS: dict[str, dict[str, Any]] = {
    "change_case:english_capital": {},
    "combination:repeat_prompt": {"prompt_to_repeat": "Say it."},
    "combination:two_responses": {},
    "detectable_content:number_placeholders": {"num_placeholders": 2},
    "detectable_content:postscript": {"postscript_marker": "P.S."},
    "detectable_format:json_format": {},
    "detectable_format:multiple_sections": {"section_spliter": "Section", "num_sections": 2},
    "detectable_format:number_bullet_lists": {"num_bullets": 2},
    "detectable_format:number_highlighted_sections": {"num_highlights": 2},
    "detectable_format:title": {},
    "keywords:existence": {"keywords": ["answer"]},
    "keywords:frequency": {"keyword": "answer", "frequency": 2, "relation": "at least"},
    "language:response_language": {"language": "en"},
    "length_constraints:nth_paragraph_first_word": {
        "first_word": "hello",
        "nth_paragraph": 1,
        "num_paragraphs": 2,
    },
    "length_constraints:number_paragraphs": {"num_paragraphs": 2},
    "length_constraints:number_sentences": {"num_sentences": 3, "relation": "at least"},
    "length_constraints:number_words": {"num_words": 3, "relation": "at least"},
    "startend:end_checker": {"end_phrase": "Peace!"},
    "startend:quotation": {},
}
GOLDS: list[tuple[str, Any, dict[str, Any]]] = [
    ("math__math", "5", {}),
    ("math__math", "\\frac{\\pi}{2}", {}),
    ("table__hitab", "5.2", {}),
    ("stem__gpqa_diamond", "D", {}),
    ("simulation__arcagi1", [[1, 2], [3, 4]], {}),
    ("logic__zebra_puzzle_dataset", TABLE, {}),
    ("logic__ordering_puzzle_dataset", ["red car", "bus"], {}),
    ("logic__graph_logical_dataset", "hat", {}),
    ("simulation__codeio", '"output": {"a": [1, 2]}', {}),
    *(("ood__livebench", gold, {"task": task, "date": OLD}) for task, gold in LIVEBENCH.items()),
    ("ood__livebench", "cat, 3, tea", {"task": "zebra_puzzle", "date": NEW}),
    ("ood__livebench", "a,b,c,d,e,f,g,h", {"task": "connections", "date": NEW}),
    *(
        ("ood__ifeval", [given], {"instruction_id_list": [name]})
        for name, given in INSTRUCTIONS.items()
    ),
]
# What their programs take has limits of its own.
PROGRAMS: list[tuple[str, Any, dict[str, Any]]] = [
    ("codegen__mbpp", {"tests": "assert f(1) == 2"}, {}),
    ("codegen__livecodebench", {"inputs": ["1"], "outputs": ["2"]}, {}),
    ("simulation__cruxeval-o", ADD, {}),
    ("simulation__cruxeval-i", ADD, {}),
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
    "```python\n",
    "<<a ",
    "a. ",
    "assert f(",
]


def problem(source: str, gold: Any, extra: dict[str, Any]) -> Problem:
    asked = "Convert it to CSV. Target Format: csv\na,b\n1,x\n2,y"
    return make_problem(source, user(asked), gold, extra_info=extra)


SELDOM = {"\\boxed{\\text{'", "<solution>", "Final Answer:", "** a", "```python\n", "a. ", "<<a "}
"""Much like others of them."""


@needs_sandbox
@pytest.mark.parametrize(
    "part",
    [pytest.param(one, marks=pytest.mark.long) if one in SELDOM else one for one in PARTS],
)
def test_a_part_that_comes_thousands_of_times_is_judged_in_time(part: str) -> None:
    text = part * (LENGTH // len(part))
    for source, gold, extra in (*GOLDS, *PROGRAMS):
        for version in VERSIONS:
            begin = time.process_time()
            verdict = score(problem(source, gold, extra), text, version)
            assert time.process_time() - begin < SECONDS, (source, extra, version)
            assert verdict.value is not None, (source, extra, version, verdict)


def test_every_kind_of_answer_is_among_them() -> None:
    assert {kind_of(source) for source, _, _ in (*GOLDS, *PROGRAMS)} == {kind for _, kind in KINDS}
    assert set(LIVEBENCH) == set(livebench.STRICT)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([*PARTS, "}", "]", "</answer>", "</solution>", "yes, ", "\n", "D"]))
)
def test_any_response_gets_a_verdict(parts: list[str]) -> None:
    for source, gold, extra in GOLDS:
        for version in VERSIONS:
            assert score(problem(source, gold, extra), "".join(parts), version).value is not None
