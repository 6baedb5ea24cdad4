"""Programs, judged in the sandbox: by asserts (HumanEval, MBPP, LiveCodeBench's functions) or by
what they print (its others).

Asserts run in a process of their own that asks the candidate's process for plain results
(``engines.shared.scoring.harness``), and print a secret when all of them hold. Output is compared
here, so the program never meets what is expected. An exit code says nothing.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import math
import re
import secrets
import time
import warnings
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.sandbox.bubblewrap import SandboxError
from engines.shared.sandbox.execution import run_program, shares_processes
from engines.shared.sandbox.running import OUTPUT_BYTES, WALL_FACTOR, Execution
from engines.shared.scoring import harness
from engines.shared.scoring.fences import blocks
from engines.shared.scoring.program import Given, function_program, given_by, script_program
from engines.shared.scoring.syntax import acts, parsed
from engines.shared.scoring.verdict import Verdict

SECONDS = 10.0
GURU_SECONDS = 30.0
RUN_SECONDS = 6
"""CPU time of one run on one input."""
ALL_RUNS_SECONDS = 40.0
"""CPU time of the process that starts the runs; with the wall time that goes with it, the limit of
all runs together is 120 s."""
PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Between goes, where the machine may have had no process to give."""
STARTS_MORE = re.compile(
    r"fork|subprocess|multiprocessing|popen|os\.(?:system|spawn|posix_spawn)|thread|concurrent|asyncio",
    re.IGNORECASE,
)
"""In the text of a program that starts processes or threads."""
INSIDE = inspect.getsource(harness)
FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?")
TOLERANCE = 1e-6


def gold_of(problem: Problem) -> dict[str, Any]:
    """``tests``: asserts; or ``inputs`` and ``outputs``. ValueError if the ground truth is neither,
    or if every program would pass it."""
    truth = truth_of(problem)
    # "functional" is GURU's name for asserts.
    tests = truth.get("tests") or truth.get("functional")
    if tests:
        if not isinstance(tests, str):
            raise ValueError(f"the tests are no text: {str(tests)[:80]}")
        tested_names(tests)
        return {"tests": tests}
    inputs, outputs = truth.get("inputs"), truth.get("outputs")
    if inputs is None or outputs is None:
        raise ValueError(
            "the ground truth has neither tests nor inputs and outputs, but "
            f"{', '.join(sorted(map(str, truth)))}"
        )
    for name, side in (("inputs", inputs), ("outputs", outputs)):
        are_texts = isinstance(side, (list, tuple)) and all(isinstance(t, str) for t in side)
        if not are_texts:
            raise ValueError(f"the {name} are no list of texts: {str(side)[:80]}")
    if len(inputs) != len(outputs):
        raise ValueError(f"{len(inputs)} inputs have {len(outputs)} outputs")
    if not any(output.strip() for output in outputs):
        raise ValueError("no output is expected: every program that prints nothing would pass")
    return {"inputs": list(inputs), "outputs": list(outputs)}


def truth_of(problem: Problem) -> dict[str, Any]:
    """The ground truth as a mapping. ValueError if it is none."""
    truth = problem.ground_truth
    if isinstance(truth, str):
        truth = json.loads(truth)
    if not isinstance(truth, dict):
        raise ValueError(f"the ground truth is no mapping: {str(truth)[:80]}")
    return truth


@functools.lru_cache(maxsize=64)
def tested_names(tests: str) -> frozenset[str]:
    """What the tests ask the answer for. ValueError if they can fail for no program: blank, no
    Python, nothing asserted, nothing run."""
    if not tests.strip():
        raise ValueError("the tests are blank")
    tree = parsed(tests, longest=len(tests))
    if tree is None:
        raise ValueError(f"the tests are no Python: {tests[:80]!r}")
    asserts = False
    for node in ast.walk(tree):
        named = node.attr if isinstance(node, ast.Attribute) else ""
        # unittest's and numpy's assertions are methods.
        if isinstance(node, (ast.Assert, ast.Raise)) or named.startswith("assert"):
            asserts = True
    runs_something = acts(tree) or any(isinstance(node, ast.Assert) for node in tree.body)
    if not asserts or not runs_something:
        raise ValueError(f"the tests {'run' if asserts else 'assert'} nothing: {tests[:80]!r}")
    return frozenset(harness.names_used(tree))


def given_of(problem: Problem, tested: frozenset[str] = frozenset()) -> Given:
    """The problem's own code: its prefix, else what its question shows in fences."""
    prefix = truth_of(problem).get("prefix") or problem.extra_info.get("prefix")
    if isinstance(prefix, str) and prefix.strip():
        return given_by([prefix], tested)
    question = problem.prompt[-1]["content"] if problem.prompt else ""
    return given_by([block.content for block in blocks(question)], tested)


def run_inside(
    entry: str,
    seconds: float,
    texts: list[str],
    output_bytes: int = OUTPUT_BYTES,
    was_killed: Callable[[Execution], bool] = lambda _: False,
    failed: Callable[[Execution], bool] = lambda _: False,
) -> Execution:
    """Run a function of ``inside`` in the sandbox, with these texts on its standard input: the
    first is the program.

    A second go, of which the result stands: for a program that used up its wall time without using
    up its CPU time, as the machine may have been busy; for one that died, itself or, as
    ``was_killed`` says, the process of the candidate's, by a signal that nobody here has sent; and
    for one that starts processes and ``failed``, where another may have had all of them. A
    second time it is the program's own doing: otherwise a program could choose to have no verdict.
    SandboxError as ``begun`` says.
    """
    given = b"".join(map(harness.block, texts))
    once = functools.partial(
        run_program,
        f"{entry}()",
        seconds,
        standard_input=given,
        output_bytes=output_bytes,
        prelude=INSIDE,
    )
    execution, took_seconds = begun(once)
    # The kernel kills for CPU time too, and not before so much time has passed.
    died = execution.died and took_seconds < seconds
    crowded = failed(execution) and may_be_crowded(execution, texts[0])
    if crowded or execution.timed_out or died or was_killed(execution):
        if crowded:
            time.sleep(PAUSES_SECONDS[0])
        execution, _ = begun(once)
    return execution


def begun(once: Callable[[], Execution]) -> tuple[Execution, float]:
    """Run a program, and how many seconds it took. Where the machine gives the judge no process,
    nothing of it has run, and it is tried again while others end theirs; SandboxError if that
    takes too long."""
    for pause in (*PAUSES_SECONDS, 0.0):
        begin = time.monotonic()
        execution = once()
        if not execution.stdout.startswith(harness.NOT_BEGUN):
            return execution, time.monotonic() - begin
        time.sleep(pause)
    why = execution.stdout[1:300].decode(errors="replace").lstrip("0")
    raise SandboxError(f"the sandbox gets no process for the program: {why}")


def may_be_crowded(execution: Execution, program: str) -> bool:
    """Whether another program may have had all processes that this one, which failed, wanted."""
    # What was ended for what it took is no neighbour's victim.
    return not execution.took and bool(STARTS_MORE.search(program)) and shares_processes()


def candidate_killed(execution: Execution) -> bool:
    """Whether the judge of asserts says that the candidate's process was killed."""
    return execution.stdout == harness.WAS_KILLED.encode()


def run_killed(execution: Execution) -> bool:
    """Whether the newest run of a program that prints was killed."""
    found = runs(execution.stdout)
    return bool(found) and found[-1][0] == harness.KILLED[0]


def run_failed(execution: Execution) -> bool:
    """Whether the newest run of a program that prints failed."""
    found = runs(execution.stdout)
    return bool(found) and found[-1][0] == harness.WRONG[0]


def by_secret(entry: str, seconds: float, code: str, *others: str) -> Verdict:
    """1.0 if the judge prints the secret that it is given. ValueError if the tests used nothing of
    the program."""
    secret = secrets.token_hex(16)
    execution = run_inside(
        entry,
        seconds,
        [code, secret, *others],
        was_killed=candidate_killed,
        failed=lambda execution: execution.stdout != secret.encode(),
    )
    # Nothing else counts: a program that exits with 0 before its tests has not printed the secret.
    if execution.stdout == secret.encode():
        return Verdict(1.0, "ok", code)
    said = execution.stdout.decode(errors="replace")[:300]
    if said == harness.NOTHING_TESTED:
        raise ValueError("the tests ran and used nothing of the program")
    if execution.timed_out or said == harness.OUT_OF_TIME:
        return out_of_time(code, seconds, "")
    if execution.took:
        return Verdict(0.0, "ok", code, took_too_much(execution))
    return Verdict(0.0, "ok", code, said or "ended, or was killed, before its tests")


def took_too_much(execution: Execution) -> str:
    """Why a program was ended, in words."""
    return f"ended, as it took too much: {execution.took}"


def out_of_time(code: str, seconds: float, where: str) -> Verdict:
    """A program that ran longer than it may: a wrong answer, and counted."""
    why = f"{where}more than {seconds:g} s of CPU time, or {WALL_FACTOR * seconds:g} s in all"
    return Verdict(0.0, "out_of_time", code, why)


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the program passes all tests of the problem."""
    tests = gold_of(problem)
    if "tests" in tests:
        code = function_program(text, given_of(problem, tested_names(tests["tests"])))
    else:
        needs_input = any(given.strip() for given in tests["inputs"])
        code = script_program(text, given_of(problem), needs_input)
    if code is None:
        return Verdict(0.0, "no_answer", detail="no code in the response")
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
    tests = gold_of(problem)
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "candidate", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Verdict(0.0, "ok", code, f"does not compile: {error}"[:300])
    # One record: a byte of status, ten digits of size, and an output that may be too long.
    room = OUTPUT_BYTES + sum(2 * len(output.encode()) + 11 for output in tests["outputs"])
    texts = [code, str(run_seconds), json.dumps(tests["inputs"])]
    execution = run_inside("judge_output", ALL_RUNS_SECONDS, texts, room, run_killed, run_failed)
    outputs = runs(execution.stdout)
    for number, expected in enumerate(tests["outputs"]):
        # Runs are in order and stop at the first bad one, so here time or output came to its end.
        if number >= len(outputs):
            if not execution.timed_out:
                return Verdict(0.0, "ok", code, no_output(number, execution))
            # Far fewer runs than the time is enough for: the judge was kept from ending one.
            if 2 * (number + 1) * run_seconds < ALL_RUNS_SECONDS:
                return out_of_time(code, run_seconds, f"run {number}: ")
            why = f"all runs together took more than their time, {number} done"
            return Verdict(None, "timeout", code, why)
        state, output = outputs[number]
        if state == harness.TIMED_OUT[0]:
            return out_of_time(code, run_seconds, f"run {number}: ")
        if state != 0 or not same(output, expected):
            found = "failed" if state else "other output"
            return Verdict(0.0, "ok", code, f"run {number}: {found}")
    return Verdict(1.0, "ok", code)


def no_output(number: int, execution: Execution) -> str:
    """Why there is no output of a run, in words."""
    why = f": {took_too_much(execution)}" if execution.took else ""
    return f"run {number} left no output{why}"


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
