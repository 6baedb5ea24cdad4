"""Programs in responses, judged in a sandbox, and what is left of them on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict

GOOD = "def f(x):\n    return x * x"
TESTS = "assert f(3) == 9\nassert f(4) == 16\nassert f(-1) == 1"


def alive(name: str) -> list[str]:
    """The processes of that name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                found.append(path.parent.name)
        except OSError:  # it ended while we looked
            continue
    return found


def named(mark: str, program: str) -> str:
    """A program that gives its process a name, which its children inherit."""
    return f"import ctypes\nctypes.CDLL(None).prctl(15, b'{mark}', 0, 0, 0)\n{program}"


def judged(program: str, tests: str = TESTS) -> Verdict:
    """The verdict on a program in a response, by asserts."""
    task = make_problem("codegen__mbpp", user("square"), {"prefix": "", "tests": tests})
    return score(task, f"```python\n{program}\n```")


def printing(
    program: str, inputs: list[str], outputs: list[str], version: Any = "strict"
) -> Verdict:
    """The verdict on a program in a response, by what it prints."""
    task = make_problem(
        "codegen__livecodebench", user("?"), json.dumps({"inputs": inputs, "outputs": outputs})
    )
    return score(task, f"```python\n{program}\n```", version)
