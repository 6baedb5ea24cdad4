"""Programs, judged in the sandbox: by asserts (HumanEval, MBPP, LiveCodeBench's functions) or by
what they print (its others).

Asserts run in a process of their own that asks the candidate's process for plain results
(``engines.shared.scoring.harness``), and print a secret when all of them hold. Output is compared
here, so the program never meets what is expected. An exit code says nothing.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import secrets
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.sandbox.execution import OUTPUT_BYTES, Execution, run_program
from engines.shared.scoring import harness
from engines.shared.scoring.text import fenced
from engines.shared.scoring.verdict import Verdict

SECONDS = 10.0
GURU_SECONDS = 30.0
RUN_SECONDS = 6
"""CPU time of one run on one input."""
ALL_RUNS_SECONDS = 40.0
"""CPU time of the process that starts the runs; with the wall time that goes with it, the limit of
all runs together is 120 s."""
INSIDE = inspect.getsource(harness)
FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?")
TOLERANCE = 1e-6


def code_of(text: str) -> str | None:
    """All fenced blocks of Python, or of no named language, or the response itself if it is plain
    code."""
    blocks = fenced(text)
    chosen = [
        content
        for language, content in blocks
        if language.lower() in ("python", "py", "python3", "")
    ]
    if blocks:
        return "\n\n".join(chosen) or None
    # Without any fence: plain code is told from prose by a line that begins as code does.
    return text if re.search(r"^\s*(def|class|import|from)\s", text, re.MULTILINE) else None


def tests_of(problem: Problem) -> dict[str, Any]:
    """``tests``: asserts; or ``inputs`` and ``outputs``. ValueError if the ground truth is
    neither."""
    truth = (
        json.loads(problem.ground_truth)
        if isinstance(problem.ground_truth, str)
        else problem.ground_truth
    )
    # "functional" is GURU's name for asserts.
    tests = truth.get("tests") or truth.get("functional")
    if tests:
        return {"tests": tests}
    if truth.get("inputs") is None or truth.get("outputs") is None:
        raise ValueError(
            "the ground truth has neither tests nor inputs and outputs, but "
            f"{', '.join(sorted(truth))}"
        )
    return {"inputs": list(truth["inputs"]), "outputs": list(truth["outputs"])}


def run_inside(
    entry: str, seconds: float, blocks: list[str], output_bytes: int = OUTPUT_BYTES
) -> Execution:
    """Run a function of ``inside`` in the sandbox, with these texts on its standard input.

    A program that used up its wall time without using up its CPU time gets a second go: the machine
    may have been busy.
    """
    given = b"".join(map(harness.block, blocks))
    execution = run_program(
        f"{INSIDE}\n{entry}()", seconds, standard_input=given, output_bytes=output_bytes
    )
    if execution.timed_out:
        execution = run_program(
            f"{INSIDE}\n{entry}()", seconds, standard_input=given, output_bytes=output_bytes
        )
    return execution


def by_secret(entry: str, seconds: float, code: str, *others: str) -> Verdict:
    """1.0 if the judge prints the secret that it is given."""
    secret = secrets.token_hex(16)
    execution = run_inside(entry, seconds, [code, secret, *others])
    # Nothing else counts: a program that exits with 0 before its tests has not printed the secret.
    if execution.stdout == secret.encode():
        return Verdict(1.0, "ok", code)
    said = execution.stdout.decode(errors="replace")[:300]
    return Verdict(
        0.0,
        "ok",
        code,
        "time limit" if execution.timed_out else said or "ended, or was killed, before its tests",
    )


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the program passes all tests of the problem."""
    code = code_of(text)
    if code is None:
        return Verdict(0.0, "no_answer", detail="no code in the response")
    tests = tests_of(problem)
    if "tests" in tests:
        return by_secret("judge_asserts", SECONDS, code, tests["tests"])
    return by_output(code, tests, same_output, RUN_SECONDS)


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: all fenced blocks, whatever their language; the program and its tests are
    one, and right if it ends well.

    Hence ``sys.exit(0)`` passes here. Never the headline.
    """
    _, thought, after = text.partition("</think>")
    answer = after.strip() if thought else text
    code = "\n".join(re.findall(r"```(?:\w+)?\n(.*?)\n```", answer, re.DOTALL)).strip()
    if not code:
        return Verdict(0.0, "no_answer", detail="no fenced block")
    tests = tests_of(problem)
    if "tests" in tests:
        prefix = problem.extra_info.get("prefix")
        if prefix is not None:
            code = f"{prefix}\n{code}"
        return by_secret("judge_exit", GURU_SECONDS, f"{code}\n{tests['tests']}")
    return by_output(code, tests, guru_same_output, round(GURU_SECONDS))


def by_output(code: str, tests: dict[str, Any], same: Any, run_seconds: int) -> Verdict:
    """1.0 if the program prints what is expected for every input."""
    # Text that does not compile needs no sandbox.
    try:
        compile(code, "candidate", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Verdict(0.0, "ok", code, f"does not compile: {error}"[:300])
    # One record: a byte of status, ten digits of size, and an output that may be too long.
    room = OUTPUT_BYTES + sum(2 * len(output.encode()) + 11 for output in tests["outputs"])
    blocks = [code, str(run_seconds), json.dumps(tests["inputs"])]
    execution = run_inside("judge_output", ALL_RUNS_SECONDS, blocks, room)
    outputs = runs(execution.stdout)
    for number, expected in enumerate(tests["outputs"]):
        # Runs are in order and stop at the first bad one, so here time or output came to its end.
        if number >= len(outputs):
            why = f"all runs together took more than their time, {number} done"
            return (
                Verdict(None, "timeout", code, why)
                if execution.timed_out
                else Verdict(0.0, "ok", code, f"run {number} left no output")
            )
        state, output = outputs[number]
        if state != 0 or not same(output, expected):
            return Verdict(
                0.0,
                "ok",
                code,
                f"run {number}: {('other output', 'failed', 'time limit')[min(state, 2)]}",
            )
    return Verdict(1.0, "ok", code)


def runs(printed: bytes) -> list[tuple[int, str]]:
    """Status and output of every run; a torn last one is left out."""
    found, position = [], 0
    while position + 11 <= len(printed):
        size = int(printed[position + 1 : position + 11])
        content = printed[position + 11 : position + 11 + size]
        if len(content) < size:
            break
        found.append((printed[position], content.decode(errors="replace")))
        position += 11 + size
    return found


def same_output(output: str, expected: str) -> bool:
    """Equality line by line and word by word; where a number with a decimal point is expected,
    within 1e-6, absolute or relative."""
    lines, wanted = (
        [line.split() for line in side.strip().splitlines()] for side in (output, expected)
    )
    return len(lines) == len(wanted) and all(
        len(line) == len(target) and all(map(same_word, line, target))
        for line, target in zip(lines, wanted, strict=True)
    )


def same_word(word: str, expected: str) -> bool:
    """Equality of two words."""
    if word == expected:
        return True
    if (
        not FLOAT.fullmatch(expected)
        or not re.fullmatch(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", word)
        # "1.2.3" fits the pattern and is no number.
        or word.count(".") > 1
    ):
        return False
    return (
        math.isclose(float(word), float(expected), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        # "-." fits the pattern too.
        if word.strip("+-.")
        else False
    )


def guru_same_output(output: str, expected: str) -> bool:
    """GURU's comparison: any numbers within an absolute 1e-6, yes and no without case."""
    lines, wanted = (side.strip().replace("\r\n", "\n").split("\n") for side in (output, expected))
    if len(lines) != len(wanted):
        return False
    return all(
        line == target
        or (
            len(line.split()) == len(target.split())
            and all(map(guru_same_word, line.split(), target.split()))
        )
        for line, target in zip(lines, wanted, strict=True)
    )


def guru_same_word(word: str, expected: str) -> bool:
    """Equality of two words, as GURU has it."""
    if word == expected:
        return True
    if word.lower() in ("yes", "no") and expected.lower() in ("yes", "no"):
        return word.lower() == expected.lower()
    try:
        return abs(float(word) - float(expected)) <= TOLERANCE
    except ValueError:
        return False
