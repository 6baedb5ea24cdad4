"""CRUXEval: completing ``assert f(INPUT) == OUTPUT`` for a given function, by predicting the output
(-o) or an input (-i).

The benchmark's function runs in the sandbox; what it returns is compared here with what is asked
for.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring import harness
from engines.shared.scoring.code import by_secret, run_inside
from engines.shared.scoring.published import python_or_json
from engines.shared.scoring.text import fenced, literal
from engines.shared.scoring.verdict import Status, Verdict

SECONDS = 5.0
GURU_SECONDS = 3.0
BUILDERS = {
    "dict",
    "set",
    "list",
    "tuple",
    "frozenset",
    "range",
    "str",
    "int",
    "float",
    "bytes",
    "bool",
}
# Without format: a format string reads attributes, such as "{0.__class__}".
METHODS = {
    name for kind in (str, list, dict, set, bytes) for name in dir(kind) if not name.startswith("_")
} - {"format", "format_map"}
# What an input may be made of. Not among them: comprehensions, f-strings, assignments, `await`.
NODES = (
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.Name,
    ast.Load,
    ast.Call,
    ast.keyword,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.Lambda,
    ast.arguments,
    ast.arg,
    ast.Compare,
    ast.cmpop,
)


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the assertion is the one that was asked for, completed so that it holds."""
    code, given, output = asked(problem)
    found = assertion(text)
    if found is None:
        return Verdict(0.0, "no_answer", detail="no 'assert f(...) == ...' in the response")
    call, value = found
    extracted = f"assert {ast.unparse(call)} == {ast.unparse(value)}"
    try:
        # Not evaluated: an output such as `f(3)` would be right for every function.
        said = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return Verdict(0.0, "ok", extracted, "the output is not a literal")
    if given is not None:  # the output is asked for
        if not same_arguments(call, given):
            return Verdict(0.0, "ok", extracted, f"asserts another input than {given[:100]}")
        # GURU's files do not tell the output, so the function is run for it.
        right = literal(output) if output is not None else result(code, given)
        return Verdict(float(equal(said, right)), "ok", extracted)
    assert output is not None
    # The input is asked for: any input that gives this very output is right.
    if not equal(said, literal(output)):
        return Verdict(0.0, "ok", extracted, "asserts another output than the one given")
    if not harmless(call):
        return Verdict(0.0, "ok", extracted, "the input is more than values")
    try:
        returned = result(
            code, ", ".join(ast.unparse(part) for part in [*call.args, *call.keywords])
        )
    except ValueError as error:
        return Verdict(0.0, "ok", extracted, str(error))
    return Verdict(float(equal(returned, said)), "ok", extracted)


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: function and first ```python block, or all of the response without one, are
    run; no exception means right. Hence ``pass`` is right. Never the headline.

    Not as published: the sandbox guards the machine, so that functions of ``os`` are there.
    """
    truth = problem.ground_truth
    function = (python_or_json(truth) if isinstance(truth, str) else truth)["functional"]
    parts = text.split("</think>")
    response = parts[1] if len(parts) > 1 else text
    blocks = response.split("```python")
    answer = blocks[1].partition("```")[0] if len(blocks) > 1 else response
    try:
        # Prose needs no sandbox. Not kept: warnings of the model's spelling.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            compile(answer, "answer", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        status: Status = "ok" if len(blocks) > 1 else "no_answer"
        return Verdict(0.0, status, detail=f"does not compile: {error}"[:300])
    # The published scorer runs a program that is no main program.
    program = f"{function}\n__name__ = 'builtins'\n{answer}"
    return by_secret("judge_asserts", GURU_SECONDS, program, "")


def asked(problem: Problem) -> tuple[str, str | None, str | None]:
    """The function, the input if the output is asked for, and the output as far as it is known.
    ValueError if they are not to be found.

    The ground truth may name ``input`` and ``output``; GURU's does not, and then the prompt's last
    assertion with ``??`` tells.
    """
    truth = (
        json.loads(problem.ground_truth)
        if isinstance(problem.ground_truth, str)
        else problem.ground_truth
    )
    code = truth["functional"]
    of_output = problem.data_source.startswith("simulation__cruxeval-o")
    if "output" in truth:
        return code, truth["input"] if of_output else None, truth["output"]
    lines = re.findall(r"^assert f\((.*)\) == (.*)$", problem.prompt[-1]["content"], re.MULTILINE)
    lines = [line for line in lines if line[1 if of_output else 0].strip() == "??"]
    if not lines:
        raise ValueError("the prompt has no assertion with ??")
    return (code, lines[-1][0], None) if of_output else (code, None, lines[-1][1].strip())


def assertion(text: str) -> tuple[ast.Call, ast.expr] | None:
    """Call and value of the last ``assert f(...) == ...`` in the last fenced block, or in the
    response if there is none."""
    blocks = (
        [content for _, content in fenced(text)]
        # CRUXEval's own prompts ask for these tags.
        or re.findall(r"\[ANSWER\](.*?)\[/ANSWER\]", text, re.DOTALL)
        or [text]
    )
    for line in reversed(re.findall(r"assert f\(.*", blocks[-1])):
        try:
            statement = ast.parse(line.strip().strip("`")).body[0]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        test = statement.test if isinstance(statement, ast.Assert) else None
        if (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], ast.Eq)
            and isinstance(test.left, ast.Call)
        ):
            return test.left, test.comparators[0]
    return None


def same_arguments(call: ast.Call, given: str) -> bool:
    """Whether a call has the given arguments, as written or by value."""
    try:
        wanted = ast.parse(f"f({given})", mode="eval").body
    except SyntaxError:
        return False
    assert isinstance(wanted, ast.Call)
    # The same expression, also where it is no literal and has no value to compare.
    if ast.dump(call) == ast.dump(wanted):
        return True
    try:
        values = [[ast.literal_eval(part) for part in side.args] for side in (call, wanted)]
        named = [
            {part.arg: ast.literal_eval(part.value) for part in side.keywords}
            for side in (call, wanted)
        ]
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return equal(values[0], values[1]) and equal(named[0], named[1])


def harmless(call: ast.Call) -> bool:
    """Whether the arguments are values, or made of values by methods of plain types."""
    for node in [inner for part in [*call.args, *call.keywords] for inner in ast.walk(part)]:
        if not isinstance(node, NODES) or (
            isinstance(node, ast.Attribute) and node.attr not in METHODS
        ):
            return False
        if isinstance(node, ast.Name) and node.id.startswith("_"):
            return False
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id not in BUILDERS
        ):
            return False
    return True


def result(code: str, arguments: str) -> Any:
    """What ``f`` returns, as plain data. ValueError if it returns nothing that is, or nothing at
    all."""
    # `take` exists only where this is evaluated and gives back its arguments, by place and by name.
    execution = run_inside("call", SECONDS, [code, "f", f"take({arguments})"])
    if execution.timed_out or not execution.stdout:
        raise ValueError("the function does not return for this input")
    return harness.Codec(lambda _: object()).decode(
        json.loads(execution.stdout)
    )  # what is not plain data equals nothing


def equal(one: Any, other: Any) -> bool:
    """Python's equality of plain data, NaN included; never an exception."""
    try:
        return bool(one == other) or repr(one) == repr(other)
    except RecursionError:
        return False
