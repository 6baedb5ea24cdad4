"""JSON answers: which value of a response counts, and when two values are equal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.json_answer import same
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict


def judged(gold: Any, response: str) -> Verdict:
    return score(make_problem("simulation__codeio", user("?"), gold), response)


def fence(text: str) -> str:
    return f"So:\n```json\n{text}\n```\n"


@pytest.mark.parametrize(
    ("gold", "answer", "value"),
    [
        ("1000000", "1000001", 0),
        ("[123456789]", "[123456790]", 0),
        ("1000000", "1000000.5", 0),
        ("1000000.0", "1000001", 0),
        ("1000000.0", "1000001.0", 0),
        ("3", "3.0", 1),
        ("3", "3.0000001", 0),
        ("0.3", "0.30000000000000004", 1),
        ("0.1234567", "0.12345671", 1),
        ("0.1234", "0.1235", 0),
        ("1e20", "1.00000001e20", 1),
        ("0", "1e-12", 1),
        ("0", "1e-9", 0),
        ("1e-13", "3e-13", 0),
        ("NaN", "NaN", 1),
        ("NaN", "0", 0),
        ("Infinity", "Infinity", 1),
        ("Infinity", "-Infinity", 0),
        ("3.5", "1" + "0" * 400, 0),
        ('{"1": 2}', "{1: 2}", 1),
        ('{"1": 2}', "{2: 2}", 0),
        ('{"1": 2}', '{1: 2, "1": 2}', 0),
        ('{"true": 2}', "{True: 2}", 1),
        ("1", "true", 0),
        ('"1"', "1", 0),
        ("null", "0", 0),
    ],
)
def test_values_are_compared_as_json_has_them(gold: str, answer: str, value: float) -> None:
    verdict = judged(f'"output": {gold}', fence(f'"output": {answer}'))
    assert (verdict.value, verdict.status) == (value, "ok")


@pytest.mark.parametrize(
    ("gold", "response", "value"),
    [
        ('"abc"', 'Output: {"output": "abc"}. The set {x} is done.', 1),
        ('"abc"', 'Output: {"output": "abd"}. The set {x} is done.', 0),
        ('"a}b"', 'Output: {"output": "a}b"}, and {x', 1),
        ("1", '{ is open, {"output": 1}', 1),
        ("1", '{"output": 2}, no: {"output": 1}', 1),
        ("1", '{"output": 1}, no: {"output": 2}', 0),
        ("1", '{"output": 1}, no: \\boxed{2}', 0),
        ("1", fence('{"output": 1}') + "as {2} says", 1),
        ("1", fence('{"output": 1}') + "in \\boxed{2} steps", 1),
        ("1", fence('{"output": 1}') + '\\boxed{\\{"output": 2\\}}', 0),
        ("1", fence('{"steps": [1, 2]}') + 'so {"output": 1}', 1),
        ("1", fence('{"output": 1, "why": "counted"}'), 1),
        ("1", fence('{"output": 2, "why": 1}'), 0),
        ("false", '\\boxed{\\{"output": false\\}}', 1),
        ('{"output": 1, "n": 2}', fence('{"output": 1, "n": 2}'), 1),
        ('{"output": 1}', fence('{"output": {"output": 1}}'), 1),
    ],
)
def test_the_last_value_with_the_key_counts(gold: str, response: str, value: float) -> None:
    assert judged(f'"output": {gold}', response).value == value


@given(number=st.integers(-(10**18), 10**18), other=st.integers(-(10**18), 10**18))
def test_two_whole_numbers_are_equal_only_if_they_are_one(number: int, other: int) -> None:
    assert same(number, other) == (number == other)
    assert not same([number], [number + 1])
    assert judged(f'"output": {number}', f'{{"output": {number + 1}}}').value == 0.0


NUMBERS = st.integers() | st.floats() | st.just(0) | st.integers(10**300, 10**330)


@given(one=NUMBERS, other=NUMBERS)
def test_numbers_are_compared_the_same_from_both_sides(one: float, other: float) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)


@given(
    value=st.dictionaries(st.text('ab{}"\\', max_size=4), st.integers(-9, 9), max_size=3),
    prose=st.text("ab {}", max_size=12),
)
def test_braces_in_prose_do_not_hide_an_answer(value: dict[str, int], prose: str) -> None:
    answer = json.dumps({"output": value})
    assert judged(f'"output": {json.dumps(value)}', f"{answer} {prose}").value == 1.0


@pytest.mark.parametrize("gold", [None, "", "  ", float("nan"), "no value", '"output": '])
def test_a_right_answer_that_can_be_none_is_an_error(gold: Any) -> None:
    for response in ("", fence('{"output": 1}'), "None"):
        verdict = judged(gold, response)
        assert (verdict.value, verdict.status) == (None, "error")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(value=JSON, other=JSON)
def test_json_golds_score_and_equality_is_symmetric(value: Any, other: Any) -> None:
    gold = f'"output": {json.dumps(value)}'
    assert judged(gold, fence(json.dumps({"output": value}))).value == 1.0
    assert same(value, other) == same(other, value)
    assert judged(gold, fence(json.dumps({"output": other}))).value == float(same(value, other))


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ('"output": [1, null, true]', fence('{"output": [1, null, true,]}')),
        ('"output": [1, null, true]', fence("{'output': [1, null, True]}")),
        ('"output": 3', fence('{"Output": 3}')),
        ('"output": "\\ud83d\\ude00"', fence('{"output": "\U0001f600"}')),
        ('"output": "a/b"', fence('{"output": "a\\/b"}')),
    ],
)
def test_a_value_half_in_python_and_escapes_of_json_are_read(gold: str, response: str) -> None:
    assert judged(gold, response).value == 1.0


def test_names_of_a_program_are_no_values() -> None:
    for text in ('{"output": undefined,}', '{"output": __import__("os")}', '{"output": true.x}'):
        assert judged('"output": 3', fence(text)).status == "no_answer"
