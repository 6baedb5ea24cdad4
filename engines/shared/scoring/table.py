"""Answers about tables: a number, a phrase, or several of them divided by ``|`` in any order
(HiTab, MultiHiertt, FinQA)."""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics_guru import normal, numbers_close
from engines.shared.scoring.text import last_boxed, without_latex
from engines.shared.scoring.verdict import Verdict

RELATIVE_TOLERANCE = 1e-3
WHOLE_TOLERANCE = 0.005
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
LONGEST_EXPRESSION = 200
OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the boxed answers are the right ones, each once.

    Numbers: within a relative 1e-3; where the right one is whole, within 0.005. Only a percent sign
        allows a factor of 100.
    """
    boxed = last_boxed(text)
    if not boxed:
        return Verdict(0.0, "no_answer", detail="no \\boxed{} in the response")
    golds = [gold.strip() for gold in str(problem.ground_truth).split("|")]
    answers = boxed.split("|") if len(golds) > 1 else [boxed]
    return Verdict(float(matched(answers, golds, equal)), "ok", boxed)


def matched(answers: list[str], golds: list[str], same: Callable[[str, str], bool]) -> bool:
    """Whether every right answer is met by one answer of its own; near numbers may fit twice, hence
    the search."""
    if len(answers) != len(golds):
        return False
    # A matching by augmenting paths: a gold whose answers are all taken asks the others to move.
    partner: dict[int, int] = {}  # answer -> gold

    def place(gold: int, seen: set[int]) -> bool:
        for answer in range(len(answers)):
            if answer not in seen and same(answers[answer], golds[gold]):
                seen.add(answer)
                if answer not in partner or place(partner[answer], seen):
                    partner[answer] = gold
                    return True
        return False

    return all(place(gold, set()) for gold in range(len(golds)))


def equal(answer: str, gold: str) -> bool:
    """Whether one answer is the right one."""
    wanted = readings(gold)
    if not wanted:
        return words(answer) == words(gold)
    values = readings(answer)
    # "12%" as the right answer: 12 and 0.12 are both meant.
    if "%" in gold:  # the right answer is itself a percentage
        return any(near(value, target) for value in values for target in wanted)
    # 0.075 as the right answer: "7.5%" is right, "7.5" is not.
    return any(near(value, wanted[0]) for value in values)


def near(value: float, gold: float) -> bool:
    """Equality within the tolerance that the gold number's kind allows."""
    return (
        abs(value - gold) < WHOLE_TOLERANCE
        if float(gold).is_integer()
        else math.isclose(value, gold, rel_tol=RELATIVE_TOLERANCE)
    )


def readings(answer: str) -> list[float]:
    """The number that an answer is; with a percent sign also its hundredth. Empty if it is no
    number or no fraction of two."""
    # "$1,234.50", "1{,}234", "\$5".
    bare = re.sub(r"\\?[$€£]|[{}]?,[{}]?|\s", "", answer.strip().rstrip("."))
    percent = bare.endswith("%")
    bare = bare.removesuffix("%").removesuffix("\\")
    parts = bare.split("/")
    if len(parts) > 2 or not all(NUMBER.fullmatch(part) for part in parts):
        return []
    if len(parts) == 2 and float(parts[1]) == 0:
        return []
    value = float(parts[0]) / (float(parts[1]) if len(parts) == 2 else 1.0)
    return [value, value / 100] if percent else [value]


def words(answer: str) -> str:
    """A phrase without case, LaTeX, quotes and doubled spaces."""
    return re.sub(r"\s+", " ", re.sub(r"[\"'`]", "", without_latex(answer))).strip().casefold()


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: without a box the whole text; arithmetic is worked out, here by a parser; a
    factor of 100 is allowed."""
    lowered, gold = text.lower(), str(problem.ground_truth).lower()
    boxed = last_boxed(lowered)
    answer = (
        re.sub(r"\\\\", "", re.sub(r"\\\\text\{([^}]*)\}", r"\1", boxed))
        if boxed is not None
        else lowered
    )
    if "|" not in gold:
        right = guru_equal(answer, gold)
    else:
        golds, answers = (
            sorted(part.strip() for part in side.split("|")) for side in (gold, answer)
        )
        right = len(golds) == len(answers) and all(map(guru_equal, answers, golds))
    return Verdict(float(right), "ok" if boxed is not None else "no_answer", boxed)


def guru_equal(answer: str, gold: str) -> bool:
    """Equality of two answers as GURU's table scorer has it."""
    # "3:4" is a ratio.
    expression = re.sub(r"[,$\\]", "", answer).replace("%", " / 100").replace(":", "/")
    try:
        value = arithmetic(expression)
    except (ValueError, ArithmeticError):
        return normal(answer) == normal(gold)
    return bool(numbers_close(value, gold, RELATIVE_TOLERANCE))


def arithmetic(expression: str) -> float:
    """The value of a short sum of numbers. ValueError if it is anything else; nothing is evaluated
    but + - * / // % and powers."""
    if len(expression) > LONGEST_EXPRESSION:
        raise ValueError("too long for an answer")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"not arithmetic: {expression!r}") from error
    return valued(tree)


def valued(node: ast.expr) -> float:
    """The value of a parsed sum."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return valued(node.operand) * (-1.0 if isinstance(node.op, ast.USub) else 1.0)
    if isinstance(node, ast.BinOp):
        one, other = valued(node.left), valued(node.right)
        if type(node.op) in OPERATIONS:
            return OPERATIONS[type(node.op)](one, other)
        # A root of a negative number is complex; math.pow overflows where integers would grow.
        if isinstance(node.op, ast.Pow) and not (one < 0 and other % 1):
            return math.pow(one, other)
    raise ValueError("not arithmetic")
