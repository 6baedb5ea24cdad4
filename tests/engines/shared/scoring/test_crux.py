"""CRUXEval: the assertion is found in a response; what cannot be judged has no value."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring import crux
from engines.shared.scoring.crux import equal
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    reason="bubblewrap missing",
)
FUNCTION = "def f(x):\n    while x > 0:\n        pass\n    return x"


def judged(kind: str, text: str, truth: Any = None) -> Verdict:
    truth = {"functional": FUNCTION, "input": "-2", "output": "-2"} if truth is None else truth
    return score(make_problem(f"simulation__cruxeval-{kind}", user("?"), truth), text)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert f(-2) == -2\n```",
        "```python\nassert f(-2) == -2\n```\nOutput:\n```\nTrue\n```",
        "```python\nassert f(\n    -2\n) == -2, 'as given'\n```",
        "```python\ndef f(x):\n    return x\n\nassert f(-2) == -2",
        "~~~py\nassert f(-2) == -2  # negative\n~~~",
        "[ANSWER]\nassert f(-2) == -2\n[/ANSWER]",
        "Hence `assert f(-2) == -2`",
        "```python\nassert f(-2) == -1\n```\nNo:\n```python\nassert f(-2) == -2\n```",
    ],
)
def test_the_last_assertion_counts(text: str) -> None:
    assert judged("o", text).value == 1.0
    assert judged("o", text.replace("== -2", "== -3")).value == 0.0


@needs_sandbox
def test_an_input_for_which_the_function_does_not_end_is_out_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crux, "SECONDS", 1.0)
    verdict = judged("i", "```python\nassert f(5) == -2\n```")
    assert (verdict.value, verdict.status) == (0.0, "out_of_time")
    assert judged("i", "```python\nassert f(-2) == -2\n```").value == 1.0
    fails = judged("i", "```python\nassert f('a') == -2\n```")
    assert (fails.value, fails.status) == (0.0, "ok")


@needs_sandbox
def test_an_input_that_makes_too_long_a_value_is_wrong_and_no_error() -> None:
    truth = {"functional": "def f(x):\n    return 'a' * x", "input": "2", "output": "'aa'"}
    verdict = judged("i", "```python\nassert f(2000000) == 'aa'\n```", truth)
    assert (verdict.value, verdict.status) == (0.0, "ok")
    assert "took too much: output" in verdict.detail


@pytest.mark.parametrize(
    "truth",
    [
        {"functional": FUNCTION, "input": "1", "output": ""},
        {"functional": FUNCTION, "input": "1", "output": None},
        {"functional": FUNCTION, "input": None, "output": "1"},
        {"functional": "", "input": "1", "output": "1"},
        {"functional": "def f(", "input": "1", "output": "1"},
        {"input": "1", "output": "1"},
        [],
        "null",
    ],
)
@pytest.mark.parametrize("kind", ["o", "i"])
def test_what_cannot_be_a_gold_is_an_error(kind: str, truth: Any) -> None:
    verdict = judged(kind, "```python\nassert f(1) == 1\n```", truth)
    assert (verdict.value, verdict.status) == (None, "error")


def test_a_number_too_long_to_write_is_wrong_and_no_error() -> None:
    verdict = judged("o", f"assert f(-2) == 0x{'f' * 5000}")
    assert (verdict.value, verdict.status) == (0.0, "ok")


def test_equality_is_pythons_but_for_nan() -> None:
    nan = float("nan")
    assert equal([nan, (1, {"a": nan})], [nan, (1, {"a": nan})])
    assert equal(True, 1)
    assert equal(1, 1.0)
    assert not equal([nan, 1], [nan, 2])
    assert not equal([1], (1,))
    assert not equal(16**5000, 16**5000 + 1)
    assert not equal({1}, {2})


@needs_sandbox
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("o", "**assert f(2) == 3**", 1),
        ("o", "```python\nassert 3 == f(2)\n```", 1),
        ("o", "```python\nf(2) == 3\n```", 1),
        ("o", "```python\nassert f(x=2) == 3\n```", 1),
        ("o", "```python\nassert f(x=3) == 4\n```", 0),
        ("o", "```python\nassert 4 == f(2)\n```", 0),
        ("i", "```python\nassert f(*[2]) == 3\n```", 1),
        ("i", "```python\nassert f(len([1, 2])) == 3\n```", 1),
        ("i", "```python\nassert f(len([1])) == 3\n```", 0),
        ("i", "```python\nassert f(eval('2')) == 3\n```", 0),
    ],
)
def test_the_assertion_is_read_in_every_form_that_says_the_same(
    kind: str, text: str, value: float
) -> None:
    truth = {"functional": "def f(x):\n    return x + 1", "input": "2", "output": "3"}
    assert judged(kind, text, truth).value == value
