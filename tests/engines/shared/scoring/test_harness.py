"""Objects of a program, seen by its tests: what the program defines for them holds, and never
against a value of the tests."""

from __future__ import annotations

import pytest

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict
from tests.engines.shared.scoring.test_code import needs_sandbox

pytestmark = needs_sandbox

NUMBER = """class N:
    def __init__(self, a): self.a = a
    def __eq__(self, other): return self.a == other.a
    def __hash__(self): return 5
    def __lt__(self, other): return self.a < other.a
    def __add__(self, other): return self.a + other.a
    def __repr__(self): return f"N{self.a}"
    def __bool__(self): return self.a > 0
    def __enter__(self): return self.a
    def __exit__(self, *_): self.a = -1
    def __setitem__(self, key, value): self.a = value
"""
UNITTEST = """import unittest
class T(unittest.TestCase):
    def test(self):
        self.assertEqual(f(1), 2)
unittest.main()"""


def judged(program: str, tests: str) -> Verdict:
    return score(
        make_problem("codegen__mbpp", user("?"), {"tests": tests}), f"```python\n{program}\n```"
    )


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        (NUMBER, "assert N(1) == N(1)\nassert N(1) != N(2)\nassert N(1) < N(2)"),
        (NUMBER, "assert N(1) + N(2) == 3\nassert hash(N(1)) == 5\nassert repr(N(1)) == 'N1'"),
        (NUMBER, "assert N(1)\nassert not N(0)\nassert isinstance(N(1), N)"),
        (NUMBER, "n = N(1)\nwith n as inside:\n    assert inside == 1\nassert n.a == -1"),
        (NUMBER, "n = N(1)\nn['x'] = 7\nassert n.a == 7"),
        ("class A: pass\nclass B(A): pass", "assert issubclass(B, A)\nassert not issubclass(A, B)"),
        ("X = object()\ndef f(): return X", "assert f() is f()"),
        (
            "def f():\n    yield 1\n    yield 2",
            "g = f()\nassert next(g) == 1\nassert list(g) == [2]",
        ),
        (
            "import itertools\ndef f(): return itertools.count()",
            "import itertools\nassert list(itertools.islice(f(), 3)) == [0, 1, 2]",
        ),
        ("import re\ndef f(s): return re.match('a', s)", "assert f('ab')\nassert not f('b')"),
        (
            "class E(ValueError): pass\ndef f(): raise E('x')",
            "try:\n    f()\nexcept ValueError as error:\n    assert str(error) == 'x'\n"
            "else:\n    raise AssertionError",
        ),
        ("def f(x): return x + 1", UNITTEST),
        ("def f(x): return x + 1", "print(f(1), flush=True)\nassert f(1) == 2"),
    ],
)
def test_what_a_program_defines_for_its_objects_holds(program: str, tests: str) -> None:
    verdict = judged(program, tests)
    assert (verdict.value, verdict.detail) == (1.0, "")


CHEAT = """class E:
    def __eq__(self, other): return True
    def __lt__(self, other): return True
    def __sub__(self, other): return 0
    def __rsub__(self, other): return 0
    def __contains__(self, other): return True
def f(x): return E()"""


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        (CHEAT, "assert f(1) == 2"),
        (CHEAT, "assert 2 == f(1)"),
        (CHEAT, "assert f(1) in [2]"),
        (CHEAT, "assert abs(f(1) - 2) < 1"),
        (CHEAT, "assert f(1) < 3"),
        (CHEAT, "assert 2 in f(1)"),
        (CHEAT, UNITTEST),
        ("def f(x): return x", UNITTEST),
        ("import sys\ndef f(x): sys.exit(0)", "assert f(1) == 2"),
        ("def f(x): raise SystemExit(0)", UNITTEST),
    ],
)
def test_no_object_equals_a_value_of_the_tests(program: str, tests: str) -> None:
    assert judged(program, tests).value == 0.0
