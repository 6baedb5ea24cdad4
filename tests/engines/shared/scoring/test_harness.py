"""Objects of a program, seen by its tests: they can be used, and no comparison is the program's."""

from __future__ import annotations

import os
import shutil

import pytest

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    reason="bubblewrap missing",
)

BOX = """class Box:
    def __init__(self, a): self.a = a
    def __enter__(self): return self.a
    def __exit__(self, *_): self.a = -1
    def __setitem__(self, key, value): self.a = value
    def __delitem__(self, key): self.a = key
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
        (BOX, "b = Box(1)\nwith b as inside:\n    assert inside == 1\nassert b.a == -1"),
        (BOX, "b = Box(1)\nb['x'] = 7\nassert b.a == 7\ndel b['x']\nassert b.a == 'x'"),
        ("X = object()\ndef f(): return X", "assert f() is f()"),
        (
            "def f():\n    yield 1\n    yield 2",
            "g = f()\nassert next(g) == 1\nassert list(g) == [2]",
        ),
        (
            "import itertools\ndef f(): return itertools.count()",
            "import itertools\nassert list(itertools.islice(f(), 3)) == [0, 1, 2]",
        ),
        (
            "class E(ValueError): pass\ndef f(): raise E('x')",
            "try:\n    f()\nexcept ValueError as error:\n    assert str(error) == 'x'\n"
            "else:\n    raise AssertionError",
        ),
        ("def f(x): return x + 1", UNITTEST),
        ("def f(x): return x + 1", "print(f(1), flush=True)\nassert f(1) == 2"),
    ],
)
def test_objects_of_a_program_can_be_used_in_its_tests(program: str, tests: str) -> None:
    verdict = judged(program, tests)
    assert (verdict.value, verdict.detail) == (1.0, "")


CHEAT = """class E:
    def __eq__(self, other): return True
    def __ne__(self, other): return True
    def __lt__(self, other): return True
    def __gt__(self, other): return True
    def __bool__(self): return True
    def __hash__(self): return hash(2)
    def __repr__(self): return "2"
    def __add__(self, other): return 2
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
        (CHEAT, "assert f(1) == f(2)"),
        (CHEAT, "assert not f(1) != f(2)"),
        (CHEAT, "assert f(1) < f(2)"),
        (CHEAT, "assert f(1) in [f(2)]"),
        (CHEAT, "assert f(1) + f(2) == 2"),
        (CHEAT, "assert f(1)"),
        (CHEAT, "assert {2: 'x'}[f(1)] == 'x'"),
        (CHEAT, "assert repr(f(1)) == '2'"),
        (CHEAT, "assert [f(1)] == [f(2)]"),
        (CHEAT, "assert isinstance(f(1), int)"),
        (CHEAT, UNITTEST),
        ("def f(x): return x", UNITTEST),
        ("import sys\ndef f(x): sys.exit(0)", "assert f(1) == 2"),
        ("def f(x): raise SystemExit(0)", UNITTEST),
    ],
)
def test_an_object_that_says_yes_to_everything_passes_nothing(program: str, tests: str) -> None:
    assert judged(program, tests).value == 0.0
