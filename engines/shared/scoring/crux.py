"""CRUXEval: completing ``assert f(INPUT) == OUTPUT`` for a given function, by predicting the output
(-o) or an input (-i).

The benchmark's function runs in the sandbox; what it returns is compared here with what is asked
for.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring import harness
from engines.shared.scoring.code import by_secret, run_inside, took_too_much, truth_of
from engines.shared.scoring.fences import blocks
from engines.shared.scoring.published import python_or_json
from engines.shared.scoring.syntax import parsed, source_of
from engines.shared.scoring.text import literal
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
    "abs",
    "chr",
    "len",
    "max",
    "min",
    "ord",
    "round",
    "sorted",
    "sum",
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
    ast.Starred,
    ast.Lambda,
    ast.arguments,
    ast.arg,
    ast.Compare,
    ast.cmpop,
)


class DoesNotReturnError(ValueError):
    """A function gives nothing back for an input."""

    def __init__(self, why: str, out_of_time: bool) -> None:
        super().__init__(why)
        self.out_of_time = out_of_time


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the assertion is the one that was asked for, completed so that it holds."""
    code, given, output = gold_of(problem)
    # Before the answer is looked at: what is wrong with the problem is wrong for every answer.
    wanted = None if output is None else literal(output)
    found = assertion(text)
    if found is None:
        return Verdict(0.0, "no_answer", detail="no 'assert f(...) == ...' in the response")
    call, value = found
    try:
        extracted = f"assert {ast.unparse(call)} == {ast.unparse(value)}"
        # Not evaluated: an output such as `f(3)` would be right for every function.
        said = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return Verdict(0.0, "ok", text[:300], "the output is not a literal")
    if given is not None:  # the output is asked for
        if not same_arguments(call, given, code):
            return Verdict(0.0, "ok", extracted, f"asserts another input than {given[:100]}")
        # GURU's files do not tell the output, so the function is run for it.
        right = wanted if output is not None else result(code, given)
        return Verdict(float(equal(said, right)), "ok", extracted)
    # The input is asked for: any input that gives this very output is right.
    if not equal(said, wanted):
        return Verdict(0.0, "ok", extracted, "asserts another output than the one given")
    if not harmless(call):
        return Verdict(0.0, "ok", extracted, "the input is more than values")
    try:
        returned = result(
            code, ", ".join(ast.unparse(part) for part in [*call.args, *call.keywords])
        )
    except DoesNotReturnError as error:
        return Verdict(0.0, "out_of_time" if error.out_of_time else "ok", extracted, str(error))
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


def gold_of(problem: Problem) -> tuple[str, str | None, str | None]:
    """The function, the input if the output is asked for, and the output as far as it is known.
    ValueError if they are not to be found.

    The ground truth may name ``input`` and ``output``; GURU's does not, and then the prompt's last
    assertion with ``??`` tells.
    """
    truth = truth_of(problem)
    code = truth.get("functional")
    source = source_of(code) if isinstance(code, str) else None
    if source is None or "f" not in source.defined():
        raise ValueError(f"the ground truth has no function f in Python: {str(code)[:80]!r}")
    code = source.text
    of_output = problem.data_source.startswith("simulation__cruxeval-o")
    if "output" in truth:
        for name in ("input", "output"):
            if not isinstance(truth.get(name), str):
                raise ValueError(f"the ground truth's {name} is no text: {truth.get(name)!r}")
        return code, truth["input"] if of_output else None, truth["output"]
    lines = re.findall(r"^assert f\((.*)\) == (.*)$", problem.prompt[-1]["content"], re.MULTILINE)
    lines = [line for line in lines if line[1 if of_output else 0].strip() == "??"]
    if not lines:
        raise ValueError("the prompt has no assertion with ??")
    return (code, lines[-1][0], None) if of_output else (code, None, lines[-1][1].strip())


def assertion(text: str) -> tuple[ast.Call, ast.expr] | None:
    """Call and value of the last ``assert f(...) == ...``: in the last fenced block that has one,
    or in the response if there is no block."""
    parts = [block.content for block in blocks(text)]
    # CRUXEval's own prompts ask for these tags.
    parts = parts or re.findall(r"\[ANSWER\](.*?)\[/ANSWER\]", text, re.DOTALL) or [text]
    for part in reversed(parts):
        if (found := last_comparison(part)) is not None:
            return found
    return None


def last_comparison(part: str) -> tuple[ast.Call, ast.expr] | None:
    """The last assertion of a text, which may be a program, or prose with the assertion on a line
    of its own."""
    source = source_of(part)
    if source is not None:
        nodes = list(ast.walk(source.tree))
        asserted = [node.test for node in nodes if isinstance(node, ast.Assert)]
        # Without the word, as a line of its own.
        stated = [node.value for node in nodes if isinstance(node, ast.Expr)]
        for test in (*reversed(asserted), *reversed(stated)):
            if (found := compared(test)) is not None:
                return found
    for line in reversed(re.findall(r"assert f\(.*", part)):
        tree = parsed(line.strip().rstrip("`*$}"))
        # The end of a value may have been among them.
        tree = tree or parsed(line.strip().strip("`"))
        statement = tree.body[0] if tree is not None and tree.body else None
        if isinstance(statement, ast.Assert) and (found := compared(statement.test)) is not None:
            return found
    return None


def compared(test: ast.expr) -> tuple[ast.Call, ast.expr] | None:
    """Call and value of ``f(...) == ...``, in either order; None if it is anything else."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        return None
    if not isinstance(test.ops[0], ast.Eq):
        return None
    sides = (test.left, test.comparators[0])
    for call, value in (sides, sides[::-1]):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "f":
            return call, value
    return None


def same_arguments(call: ast.Call, given: str, code: str) -> bool:
    """Whether a call of the function in ``code`` has the given arguments, as written or by value,
    by place or by name."""
    try:
        wanted = ast.parse(f"f({given})", mode="eval").body
    except SyntaxError:
        return False
    assert isinstance(wanted, ast.Call)
    # The same expression, also where it is no literal and has no value to compare.
    if ast.dump(call) == ast.dump(wanted):
        return True
    names = parameters_of(code)
    try:
        return equal(values_of(call, names), values_of(wanted, names))
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False


def parameters_of(code: str) -> list[str]:
    """The names of ``f``'s parameters that may be given by place."""
    names: list[str] = []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "f":
            names = [part.arg for part in (*statement.args.posonlyargs, *statement.args.args)]
    return names


def values_of(call: ast.Call, names: list[str]) -> dict[str | int, Any]:
    """The values of a call's arguments by name, by place where the function has no name for it.
    ValueError or the like if one is no literal."""
    found: dict[str | int, Any] = {}
    for place, part in enumerate(call.args):
        found[names[place] if place < len(names) else place] = ast.literal_eval(part)
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in found:
            raise ValueError("arguments in a mapping, or one of them twice")
        found[keyword.arg] = ast.literal_eval(keyword.value)
    return found


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
    """What ``f`` returns, as plain data. DoesNotReturnError if it returns nothing that is, or
    nothing at all."""
    # `take` exists only where this is evaluated and gives back its arguments, by place and by name.
    execution = run_inside("call", SECONDS, [code, "f", f"take({arguments})"])
    late = execution.timed_out or execution.stdout == harness.OUT_OF_TIME.encode()
    if late or not execution.stdout:
        why = "the function does not return for this input"
        raise DoesNotReturnError(f"{why} within {SECONDS:g} s" if late else why, late)
    if execution.took:
        # What was printed until then is a part of the value, which is none.
        raise DoesNotReturnError(f"for this input {took_too_much(execution)}", False)
    # What is not plain data equals nothing.
    return harness.Codec(lambda _: object()).decode(json.loads(execution.stdout))


def equal(one: Any, other: Any) -> bool:
    """Python's equality of plain data, where a NaN equals a NaN; never an exception."""
    try:
        return bool(one == other) or equal_with_nan(one, other)
    except (RecursionError, ValueError, TypeError, ArithmeticError):
        return False


def equal_with_nan(one: Any, other: Any) -> bool:
    """Equality where it may fail for the NaNs in lists, tuples and values of mappings."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(equal_with_nan, one, other))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return all(equal_with_nan(value, other[key]) for key, value in one.items())
    return bool(one == other)
