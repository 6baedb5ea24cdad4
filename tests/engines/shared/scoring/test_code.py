"""Programs in responses: the right one is found, gets what it needs, and is judged by the values it
returns and the text it prints."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from typing import Any

import pytest

from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.sandbox.execution import numpy_version
from engines.shared.scoring import code
from engines.shared.scoring.limits import seconds_of
from engines.shared.scoring.registry import VERSIONS, score
from engines.shared.scoring.verdict import Verdict
from tests.support.paths import DATA

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    reason="bubblewrap missing",
)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no benchmark files (ORCH_TEST_DATA)")


def python(program: str) -> str:
    return f"```python\n{program}\n```"


def judged(text: str, tests: str, question: str = "?", prefix: str = "") -> Verdict:
    truth = {"prefix": prefix, "tests": tests}
    return score(make_problem("codegen__mbpp", user(question), truth), text)


def printing(text: str, given: list[str], expected: list[str]) -> Verdict:
    truth = {"inputs": given, "outputs": expected}
    return score(make_problem("codegen__livecodebench", user("?"), truth), text)


HEAD = "from typing import List\n\n\ndef total(values: List[int]) -> int:\n"
PREFIX = f'{HEAD}    """The sum."""\n'
BODY = "    result = 0\n    for value in values:\n        result += value\n    return result"
TOTAL = f"def total(values: List[int]) -> int:\n{BODY}"
CHECK = (
    "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n"
    "check(total)\n"
)

RIGHT = {
    "whole": python(HEAD + BODY),
    "without the import": python(TOTAL),
    "the body only": python(BODY),
    "the body, first line unindented": python(BODY.strip()),
    "the body without a fence": BODY,
    "without a fence": TOTAL,
    "without a fence, indented": "So:\n\n" + "\n".join(f"    {n}" for n in TOTAL.split("\n")),
    "without a fence, assigned": "total = lambda values: sum(values)",
    "without a fence, in prose": f"Here it is:\n\n{TOTAL}\n\nIt adds. The end",
    "then its output": python(TOTAL) + "\nOutput:\n```\n3\n0\n```",
    "then its output in words": python(TOTAL) + "\n```\nyes\n```",
    "then a doctest": python(TOTAL) + "\n```\n>>> total([1, 2])\n3\n```",
    "then an example": python(TOTAL) + "\n" + python("found = total([1])\nprint(found)"),
    "then an example that reuses the name": python(TOTAL) + "\n" + python("total = total([1])"),
    "then tests": python(TOTAL)
    + "\n"
    + python(
        "import solution\nfrom answer import total\ndef test_it():\n    assert total([]) == 0"
    ),
    "then its head": python(TOTAL) + "\n" + python("def total(values): ..."),
    "then a version that was cut off": python(TOTAL) + "\n```python\ndef total(values):\n    ret",
    "after a worse version": python("def total(values):\n    return 0") + "\n" + python(TOTAL),
    "after an example": python("total([1, 2])  # 3") + "\n" + python(TOTAL),
    "in pieces": python("def add(a, b):\n    return a + b")
    + "\n"
    + python("def total(values):\n    n = 0\n    for v in values: n = add(n, v)\n    return n"),
    "a new version that uses a piece of the old": python(
        "def add(a, b):\n    return a + b\n\ndef total(values):\n    return add(0, 0)"
    )
    + "\n"
    + python(
        "def total(values):\n    return 0 if not values else add(values[0], total(values[1:]))"
    ),
    "in pieces, the helper last": python("def total(values):\n    return helper(values)")
    + "\n"
    + python("def helper(values):\n    return sum(values)\n\nprint(total([4]))"),
    "with a table made in another piece": python("TABLE = {}\nTABLE.update(a=0)")
    + "\n"
    + python("def total(values):\n    return sum(values) + TABLE['a']"),
    "unclosed": f"```python\n{TOTAL}",
    "unclosed, then prose": f"```python\n{TOTAL}\n\nThis adds them all.",
    "tildes": f"~~~python\n{TOTAL}\n~~~",
    "long fences": f"````python\n{TOTAL}\n````",
    "in a list": "1. So:\n\n   ```py\n" + TOTAL.replace("def", "   def", 1) + "\n   ```\n2. Done",
    "in Markdown": f"````markdown\n{python(TOTAL)}\n````",
    "attributes": f'```{{.python title="x"}}\n{TOTAL}\n```',
    "Python3": f"```Python3\n{TOTAL}\n```",
    "no language": f"```\n{TOTAL}\n```",
    "marks in a string": python(f'MARKS = "```"\n{TOTAL}'),
    "marks on a line of a string": python(f'ABOUT = """\n```\ntotal([])\n```\n"""\n{TOTAL}'),
    "future": python(f"from __future__ import annotations\n{TOTAL}"),
    "as a script": python(f"{TOTAL}\nif __name__ == '__main__':\n    raise SystemExit(input())"),
    "data class": python(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\n"
        "class Sum:\n    n: int\ndef total(values):\n    return Sum(sum(values)).n"
    ),
    "assigned": python("total = lambda values: sum(values)"),
}


@needs_sandbox
@pytest.mark.parametrize("name", RIGHT)
def test_the_answer_is_found_in_a_response(name: str) -> None:
    assert judged(RIGHT[name], CHECK, prefix=PREFIX).detail == ""
    assert judged(RIGHT[name], CHECK, prefix=PREFIX).value == 1.0


WRONG = {
    "a right version, then a wrong one": python(TOTAL)
    + "\n"
    + python("def total(values):\n    return 0"),
    "nothing but the head": python(PREFIX),
    "another name": python(TOTAL.replace("total", "Total")),
    "a helper only": python("def add(a, b):\n    return a + b"),
    "a wrong body": python("    return values"),
    "an example": python("print(total([1, 2]))"),
    "a syntax error": python("def total(values) return sum(values)"),
}


@needs_sandbox
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_not_made_right(name: str) -> None:
    verdict = judged(WRONG[name], CHECK, prefix=PREFIX)
    assert (verdict.value, verdict.status) == (0.0, "ok")


def test_prose_is_no_answer() -> None:
    assert judged("I would add them all.", CHECK, prefix=PREFIX).status == "no_answer"
    assert judged("```text\nsum\n```", CHECK, prefix=PREFIX).status == "no_answer"


HELPED = (
    "def double(x):\n    return 2 * x\n\ndef half(x):\n    '''Undoes double.'''\n",
    "def check(candidate):\n    for x in range(5):\n        assert candidate(double(x)) == x\n"
    "check(half)",
)


@needs_sandbox
@pytest.mark.parametrize("shown", ["prefix", "question"])
def test_what_the_problem_defines_is_there_and_never_overrides_the_answer(shown: str) -> None:
    prefix, tests = HELPED
    there: dict[str, Any] = (
        {"prefix": prefix} if shown == "prefix" else {"question": python(prefix)}
    )
    half = "def half(x):\n    return x // 2"
    assert judged(python(half), tests, **there).value == 1.0
    assert judged(python(f"def double(x):\n    return 4 * x\n{half}"), tests, **there).value == 0.0
    # What is asked for never comes from the problem.
    assert judged(python("x = 1"), tests, **there).value == 0.0
    whole = prefix + "    return x // 2\n"
    assert judged(python("x = 1"), "assert half(4) == 2", question=python(whole)).value == 0.0
    assert judged(python("x = 1"), "assert half(4) == 2", prefix=whole).value == 0.0


SCRIPTS = {
    "with its output": python("print(2 * int(input()))") + "\n```\n6\n```",
    "without a fence": "print(2 * int(input()))",
    "then an example": python("def f(n):\n    return 2 * n\n\nprint(f(int(input())))")
    + "\n"
    + python("print(f(3))"),
    "then a test": python(
        "def f(n):\n    return 2 * n\n\nif __name__ == '__main__':\n    print(f(int(input())))"
    )
    + "\n"
    + python("assert f(3) == 6"),
    "in pieces": python("def f(n):\n    return 2 * n") + "\n" + python("print(f(int(input())))"),
    "called in another piece": python("def main():\n    print(2 * int(input()))")
    + "\n"
    + python("main()"),
    "two versions": python("print(int(input()))") + "\n" + python("print(2 * int(input()))"),
}


@needs_sandbox
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_is_found_in_a_response(name: str) -> None:
    verdict = printing(SCRIPTS[name], ["3\n", "5\n"], ["6\n", "10\n"])
    assert (verdict.value, verdict.detail) == (1.0, "")
    assert printing(SCRIPTS[name], ["3\n", "5\n"], ["6\n", "11\n"]).value == 0.0


NOTHING = [
    ({"tests": "   "}, "blank"),
    ({"tests": "assert ("}, "no Python"),
    ({"tests": "f(1)"}, "assert nothing"),
    ({"tests": "def check(candidate):\n    assert candidate(1) == 1"}, "run nothing"),
    ({"tests": ["assert f(1) == 1"]}, "no text"),
    ({"inputs": [], "outputs": []}, "no output is expected"),
    ({"inputs": ["1"], "outputs": [" \n"]}, "no output is expected"),
    ({"inputs": ["1", "2"], "outputs": ["1"]}, "2 inputs have 1 outputs"),
    ({"inputs": [1], "outputs": [["1"]]}, "inputs are no list of texts"),
    ({"inputs": 1, "outputs": ["1"]}, "inputs are no list of texts"),
    ({"inputs": ["1"], "outputs": None}, "neither tests nor inputs"),
    (None, "no answer can equal"),
    ([], "no answer can equal"),
    ("[1]", "no mapping"),
    ("", "no answer can equal"),
    ("{", "Expecting property name"),
]


@pytest.mark.parametrize(("truth", "hint"), NOTHING)
def test_a_problem_that_tests_nothing_has_no_value(truth: Any, hint: str) -> None:
    asked = make_problem("codegen__x", user("?"), truth)
    for version in VERSIONS:
        verdict = score(asked, python("def f(x):\n    return x\nprint(f(1))"), version)
        assert (verdict.value, verdict.status) == (None, "error")
        assert hint in verdict.detail


@needs_sandbox
@pytest.mark.parametrize(
    "tests", ["assert True", "def check(candidate):\n    assert candidate(1) == 2\nprint(check)"]
)
def test_tests_that_use_nothing_of_the_program_have_no_value(tests: str) -> None:
    verdict = judged(python("def f(x):\n    return x"), tests)
    assert (verdict.value, verdict.status) == (None, "error")


DATES = "from datetime import date, datetime, time, timedelta, timezone\n"
VALUES = [
    ("from fractions import Fraction", "Fraction(6, 2)", "3", "4"),
    ("from decimal import Decimal", "Decimal('3.0')", "3", "4"),
    (DATES, "date(2020, 1, 2)", "date(2020, 1, 2)", "date(2020, 1, 3)"),
    (DATES, "[datetime(2020, 1, 2, 3)]", "[datetime(2020, 1, 2, 3)]", "[date(2020, 1, 2)]"),
    (
        DATES,
        "datetime(2020, 1, 2, 3, tzinfo=timezone.utc)",
        "datetime(2020, 1, 2, 4, tzinfo=timezone(timedelta(hours=1)))",
        "datetime(2020, 1, 2, 3)",
    ),
    (DATES, "time(3, 4)", "time(3, 4)", "time(3, 5)"),
    (DATES, "timedelta(days=1)", "timedelta(hours=24)", "timedelta(hours=23)"),
    ("", "complex(1, float('inf'))", "complex(1, float('inf'))", "1"),
    ("", "True", "1", "2"),
    ("", "3.0", "3", "4"),
    ("", "bytearray(b'a')", "b'a'", "'a'"),
    ("", "{1: 2}.keys()", "{1}", "[1]"),
    ("", "{1: 2}.items()", "{(1, 2)}", "{1: 2}"),
    ("", "int", "int", "float"),
    ("", "10 ** 5000", "10 ** 5000", "10 ** 5000 + 1"),
    ("from collections import namedtuple", "namedtuple('P', 'x y')(1, 2)", "(1, 2)", "[1, 2]"),
    ("from collections import Counter", "Counter('aab')", "{'a': 2, 'b': 1}", "{'a': 2}"),
    (
        "from collections import OrderedDict",
        "OrderedDict([(1, 2), (3, 4)])",
        "{3: 4, 1: 2}",
        "OrderedDict([(3, 4), (1, 2)])",
    ),
    ("from collections import defaultdict", "defaultdict(int, {1: 2})", "{1: 2}", "{1: 3}"),
    ("from collections import deque", "deque([1])", "deque([1])", "[1]"),
]


@needs_sandbox
@pytest.mark.parametrize(("imports", "value", "equal", "unequal"), VALUES)
def test_values_are_compared_by_pythons_rules(
    imports: str, value: str, equal: str, unequal: str
) -> None:
    program = python(f"{imports}\ndef f():\n    return {value}")
    tests = f"{imports}\nassert f() == {equal}\nassert f() != {unequal}"
    assert judged(program, tests).detail == ""
    assert judged(program, f"{imports}\nassert f() == {unequal}").value == 0.0


@needs_sandbox
@pytest.mark.parametrize(
    ("base", "value", "tests"),
    [
        ("fractions.Fraction", "A(7)", "assert f() == 3"),
        ("decimal.Decimal", "A(7)", "assert f() == 3"),
        ("datetime.date", "A(2020, 1, 1)", "import datetime\nassert f() == datetime.date.max"),
        ("collections.OrderedDict", "A()", "assert f() == {1: 2}"),
        ("collections.Counter", "A()", "assert f() == {1: 2}"),
    ],
)
def test_no_object_is_equal_to_everything(base: str, value: str, tests: str) -> None:
    program = (
        "import collections, datetime, decimal, fractions\n"
        f"class A({base}):\n    __hash__ = None\n    def __eq__(self, other): return True\n"
        f"    def __ne__(self, other): return False\ndef f(): return {value}"
    )
    assert judged(python(program), tests).value == 0.0


@needs_sandbox
def test_numpy_is_there_if_it_is_installed_and_nothing_else_is() -> None:
    pytest.importorskip("numpy")
    if numpy_version() == "absent":
        pytest.skip("the programs' Python is another than numpy's")
    for value, tests in (
        ("np.int64(3)", "assert f() == 3\nassert f() != 4"),
        ("[np.float64(0.5), np.bool_(True)]", "assert f() == [0.5, True]"),
        ("np.array([[1, 2]])", "assert f().tolist() == [[1, 2]]\nassert f().shape == (1, 2)"),
        ("np.arange(3) * 2", "import numpy as np\nassert np.array_equal(f(), [0, 2, 4])"),
    ):
        program = python(f"import numpy as np\ndef f():\n    return {value}")
        assert judged(program, tests).detail == ""
        assert judged(program, f"{tests}\nassert f() is None").value == 0.0
    verdict = judged(python("import pydantic\ndef f():\n    return 3"), "assert f() == 3")
    assert (verdict.value, verdict.status) == (0.0, "ok")


@needs_sandbox
def test_long_numbers_are_printed_and_read() -> None:
    assert printing(python("print(10 ** 5000)"), [""], ["1" + "0" * 5000]).value == 1.0
    assert (
        printing(python("print(int(input()) + 1)"), ["9" * 5000], ["1" + "0" * 5000]).value == 1.0
    )


@needs_sandbox
def test_a_program_out_of_time_is_wrong_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SECONDS", 1.0)
    monkeypatch.setattr(code, "RUN_SECONDS", 1)
    endless = judged(python("def f():\n    while True: pass"), "assert f() == 1")
    assert (endless.value, endless.status) == (0.0, "out_of_time")
    assert "1 s of CPU time" in endless.detail
    ended = judged(python("import os\ndef f():\n    os._exit(0)"), "assert f() == 1")
    assert (ended.value, ended.status) == (0.0, "ok")
    script = printing(python("while True: pass"), ["1"], ["1"])
    assert (script.value, script.status) == (0.0, "out_of_time")


def test_the_limits_of_the_benchmarks_are_known() -> None:
    assert seconds_of("codegen__humaneval", "code")["benchmark"] == 3.0
    assert seconds_of("codegen__livecodebench", "code")["CPU, a run on one input"] == 6.0
    assert seconds_of("simulation__cruxeval-i", "crux") == {
        "benchmark": 3.0,
        "CPU, a call": 5.0,
        "wall, a call": 15.0,
    }
    assert seconds_of("codegen__taco", "code")["benchmark"] is None


def human_eval() -> dict[str, tuple[Problem, dict[str, Any]]]:
    problems = read_problems(DATA / "HumanEval.jsonl.gz")
    lines = gzip.decompress((DATA / "HumanEval.jsonl.gz").read_bytes()).splitlines()
    return {
        problem.extra_info["task_id"]: (problem, row)
        for problem, row in zip(problems, map(json.loads, lines), strict=True)
    }


@needs_data
@needs_sandbox
def test_human_evals_helpers_are_there_when_the_answer_leaves_them_out() -> None:
    rows = human_eval()
    cyclic = "def decode_cyclic(s):\n    return encode_cyclic(encode_cyclic(s))"
    shift = "def decode_shift(s):\n    return ''.join(chr((ord(c) - 102) % 26 + 97) for c in s)"
    assert score(rows["HumanEval/38"][0], python(cyclic)).value == 1.0
    assert score(rows["HumanEval/50"][0], python(shift)).value == 1.0
    wrong = "def decode_cyclic(s):\n    return encode_cyclic(s)"
    assert score(rows["HumanEval/38"][0], python(wrong)).value == 0.0


@needs_data
@needs_sandbox
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
def test_human_evals_solutions_pass_as_bodies_and_without_their_imports(every: int) -> None:
    for problem, row in list(human_eval().values())[::every]:
        body = row["canonical_solution"]
        assert score(problem, python(body)).value == 1.0
        assert score(problem, body).value == 1.0
        whole = row["prompt"].replace("from typing import", "# from typing import") + body
        # In GURU's files the prompt alone has what the answer leaves out.
        bare = {**problem.ground_truth, "prefix": ""}
        bare_problem = Problem(**{**vars(problem), "ground_truth": bare})
        assert score(bare_problem, python(whole)).value == 1.0


@needs_data
@needs_sandbox
def test_mbpps_classes_are_there_when_the_answer_leaves_them_out() -> None:
    problems = {p.extra_info["task_id"]: p for p in read_problems(DATA / "mbpp.jsonl")}
    assert [number for number, p in problems.items() if "prefix" in p.extra_info] == [367]
    program = (
        "def is_tree_balanced(root):\n    def height(n):\n"
        "        return 0 if n is None else 1 + max(height(n.left), height(n.right))\n"
        "    return root is None or (abs(height(root.left) - height(root.right)) <= 1\n"
        "        and is_tree_balanced(root.left) and is_tree_balanced(root.right))"
    )
    assert score(problems[367], python(program)).value == 1.0
