"""Whether an answer is the gold answer: comparison of two forms of ``forms``.

``mathematics.strict`` calls ``same`` with both in the spelling of ``latex.tidy``.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from engines.shared.scoring.mathematics.forms import (
    Based,
    Chain,
    Form,
    Joined,
    Many,
    Quantity,
    Words,
    read,
)
from engines.shared.scoring.mathematics.regions import FLIPPED, equal_regions, region
from engines.shared.scoring.mathematics.values import decimals, equal, equal_large, ratio, value

EQUATIONS = ("=", "\\approx", "\\in", "\\equiv", "\\sim")
CHOICE = re.compile(r"(?:\\text\s*\{)?\(?([A-J])\)?\}?")
CHOSEN = re.compile(r"(?:\\text\s*\{\s*)?(?:\(([A-J])\)|([A-J])\s*[.):])\s*\}?(.*)")


def same(gold: str, answer: str) -> bool:
    """Whether an answer is the gold one."""
    choice = CHOICE.fullmatch(gold)
    if choice:
        chosen = CHOSEN.fullmatch(answer)
        # "(C) 12" chooses C; "(C) or (D)" chooses nothing.
        if chosen and not re.search(r"^\s*[,;+]|\([A-J]\)|\bor\b|\band\b", chosen[3]):
            return (chosen[1] or chosen[2]) == choice[1]
        answer = re.sub(r"\\text\s*\{\s*([A-J])\s*\}", r"\1", answer)
        return answer == choice[1]
    return same_form(read(gold), read(answer))


def same_form(gold: Form, answer: Form) -> bool:
    """Equality of two forms."""
    if gold == answer:
        return True
    if isinstance(gold, Chain) or isinstance(answer, Chain):
        return same_chain(gold, answer) or same_region(gold, answer)
    if isinstance(gold, Quantity) and isinstance(answer, Quantity):
        return same_quantity(gold, answer)
    if isinstance(gold, Many) and isinstance(answer, Many):
        return same_many(gold, answer) or same_region(gold, answer)
    if isinstance(gold, Joined) or isinstance(answer, Joined):
        return same_region(gold, answer)
    if isinstance(gold, Many) or isinstance(answer, Many):
        return same_vector(gold, answer) or same_region(gold, answer)
    if isinstance(gold, Based) or isinstance(answer, Based):
        return in_base_ten(gold) == in_base_ten(answer) != ""
    # "\text{xy}" and xy
    return letters(gold) == letters(answer) != ""


def letters(form: Form) -> str:
    """The letters of words, or of an expression that is nothing but letters."""
    if isinstance(form, Words):
        return form.text
    text = form.bare or form.text if isinstance(form, Quantity) else ""
    return text.replace(" ", "") if text.replace(" ", "").isalpha() else ""


def in_base_ten(form: Form) -> str:
    """The digits of a number in base ten, and a number in another base with that; "" for others.

    A number without a base is one in base ten or, as in "1100_b", in the question's. 42 is not the
    answer where 52_8 is asked for: it may be what the question began with.
    """
    if isinstance(form, Based):
        base_of_question = form.base in ("b", "10")
        return form.digits if base_of_question else f"{form.digits}_{form.base}"
    return form.text if isinstance(form, Quantity) and form.text.isdigit() else ""


def same_quantity(gold: Quantity, answer: Quantity) -> bool:
    """Equality of two expressions and of their units, if both have one."""
    gold_value, answer_value = value(gold.text), value(answer.text)
    if gold.unit is None and answer.unit is None:
        return equal(gold_value, answer_value) or equal_large(gold.text, answer.text)
    if gold.unit and answer.unit:
        return same_measure(gold, answer)
    # A unit may be left out; where it is per cent, the number may be the share itself.
    unit, measured = (gold.unit, gold_value) if gold.unit else (answer.unit, answer_value)
    plain = answer_value if gold.unit else gold_value
    if measured is None or plain is None or unit is None:
        return False
    if is_percent(gold) or is_percent(answer):
        return same_share(measured, plain, gold.unit is not None)
    if equal(measured, plain):
        return True
    variable = gold.bare or answer.bare  # "10 m" and "m \\cdot 10"
    return bool(variable) and equal(value(variable), plain)


def is_percent(form: Quantity) -> bool:
    """Whether a quantity is a percentage."""
    return form.unit is not None and form.unit.powers == frozenset({("percent", 1)})


def same_share(percentage: Any, plain: Any, gold_is_percentage: bool) -> bool:
    """Whether a percentage is a number without the sign: 50 % is 0.5, and 50 where the sign was
    left out. Where 0.5 is asked for, 0.5 % is too little."""
    if equal(percentage / 100, plain):
        return True
    left_out = gold_is_percentage or (plain.is_number and bool(abs(plain) >= 1))
    return left_out and equal(percentage, plain)


def same_measure(gold: Quantity, answer: Quantity) -> bool:
    """Equality of two numbers with units: 1 m is 100 cm, 5 cm is not 5 cm^2."""
    import sympy

    if gold.unit is None or answer.unit is None:
        return False
    gold_value, answer_value = value(gold.text), value(answer.text)
    if gold_value is None or answer_value is None:
        return False
    if gold.unit.powers == answer.unit.powers:
        times = gold.unit.factor / answer.unit.factor
        factor = sympy.Rational(times.numerator, times.denominator)
        return equal(gold_value * factor, answer_value)
    powers = [sum(power for _, power in form.unit.powers) for form in (gold, answer) if form.unit]
    anything = gold.unit.counts_anything or answer.unit.counts_anything
    return anything and powers[0] == powers[1] and equal(gold_value, answer_value)


def same_many(gold: Many, answer: Many) -> bool:
    """Equality of two lists, sets, points or intervals. The order counts where there are round or
    square brackets; a list without brackets may be either."""
    if len(gold.items) != len(answer.items):
        return False
    ordered = [form.brackets not in ("", "\\{\\}") for form in (gold, answer)]
    if not any(ordered):
        words = any(isinstance(item, Words) for item in gold.items)
        return gold.joint_fits(answer, words) and same_in_any_order(gold.items, answer.items)
    fits = gold.brackets == answer.brackets or "" in (gold.brackets, answer.brackets)
    # A closed interval is no list.
    closed = any(re.search(r"[\[\]]", form.brackets) for form in (gold, answer))
    if not fits or (closed and gold.brackets != answer.brackets):
        return False
    return all(map(same_form, gold.items, answer.items))


def same_in_any_order(gold: tuple[Form, ...], answer: tuple[Form, ...]) -> bool:
    """Whether each item of one has one of the other for itself."""
    left = list(answer)
    for item in gold:
        found = next((other for other in left if same_form(item, other)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def same_vector(gold: Form, answer: Form) -> bool:
    """Whether a point is a matrix of one row or column, or a set of one the thing itself."""
    several, other = (gold, answer) if isinstance(gold, Many) else (answer, gold)
    if not isinstance(several, Many) or not isinstance(other, Quantity):
        return False
    if several.brackets == "\\{\\}" and len(several.items) == 1:
        return same_form(several.items[0], other)
    matrix = value(other.text)
    shape = getattr(matrix, "shape", None)
    if several.brackets != "()" or shape is None or 1 not in shape:
        return False
    cells, items = list(matrix.flat()), several.items
    return len(cells) == len(items) and all(
        isinstance(item, Quantity) and equal(value(item.text), cell)
        for item, cell in zip(items, cells, strict=True)
    )


def same_region(gold: Form, answer: Form) -> bool:
    """Equality of two sets of real numbers, of the same variable where both name one."""
    names = [variables(form) for form in (gold, answer)]
    if all(names) and names[0] != names[1]:
        return False
    left = region(gold)
    right = region(answer) if left is not None else None
    return right is not None and equal_regions(left, right)


def variables(form: Form) -> set[str]:
    """The variables in equations and inequalities."""
    if isinstance(form, Quantity):
        number = value(form.text)
        return set() if number is None else {str(symbol) for symbol in number.free_symbols}
    if isinstance(form, Chain):
        return set().union(*(variables(side) for side in form.sides))
    parts = form.items if isinstance(form, Many) else ()
    return set().union(*(variables(part) for part in parts))


def same_chain(gold: Form, answer: Form) -> bool:
    """Equality where one side at least is a chain: "x = 5" is 5 unless another letter is asked for,
    equations are equal up to a factor, inequalities from either end."""
    if isinstance(gold, Chain) and isinstance(answer, Chain):
        return same_chains(gold, answer)
    if isinstance(gold, Chain):
        return any(same_form(side, answer) for side in named(gold))
    if isinstance(answer, Chain):
        return any(same_form(gold, side) for side in stated(answer, gold))
    return False


def same_chains(gold: Chain, answer: Chain) -> bool:
    """Equality of two chains."""
    names = [chain.sides[0] for chain in (gold, answer)]
    values = [named(chain) for chain in (gold, answer)]
    if all(values):
        if same_form(*names):
            return any(same_form(left, right) for left in values[0] for right in values[1])
        return same_equation(gold, answer)
    if len(gold.sides) == len(answer.sides) == 2 and same_equation(gold, answer):
        return True
    turned = [upward(chain) for chain in (gold, answer)]
    return turned[0].signs == turned[1].signs and all(
        map(same_form, turned[0].sides, turned[1].sides)
    )


def upward(chain: Chain) -> Chain:
    """A chain of inequalities with its smaller end first."""
    if all(sign in (">", "\\ge") for sign in chain.signs):
        signs = tuple(FLIPPED[sign] for sign in reversed(chain.signs))
        return Chain(tuple(reversed(chain.sides)), signs)
    return chain


def same_equation(gold: Chain, answer: Chain) -> bool:
    """Whether two equations or inequalities of two sides are multiples of each other."""
    differences = [difference(chain) for chain in (gold, answer)]
    if None in differences or len(gold.signs) != 1 or len(answer.signs) != 1:
        return False
    factor = ratio(*differences)
    if factor is None:
        return False
    sign = answer.signs[0]
    if factor.is_negative:
        sign = FLIPPED.get(sign, sign)
    return gold.signs[0] == sign


def difference(chain: Chain) -> Any:
    """The left side less the right one."""
    sides = [value(side.text) for side in chain.sides if isinstance(side, Quantity)]
    if len(sides) != 2 or any(side is None or getattr(side, "is_Matrix", False) for side in sides):
        return None
    return sides[0] - sides[1]


def named(chain: Chain) -> list[Form]:
    """What a chain says that its first side is, if all of its other sides agree."""
    if not all(sign in EQUATIONS for sign in chain.signs) or not is_name(chain.sides[0]):
        return []
    return agreeing(chain.sides[1:], chain.signs[1:])


def stated(chain: Chain, gold: Form) -> list[Form]:
    """The values that a chain states, if they agree: "3 = 2" states nothing. Where a number is
    asked for, sides with variables are the question: "a + b = 5"; "a + b = 0" is an equation."""
    if not all(sign in EQUATIONS for sign in chain.signs):
        return []
    number = isinstance(gold, Quantity) and not free_symbols(gold) and value(gold.text) != 0
    sides, signs = list(chain.sides), list(chain.signs)
    while len(sides) > 1 and (is_name(sides[0]) or (number and free_symbols(sides[0]))):
        sides, signs = sides[1:], signs[1:]
    if number and len(sides) > 1 and free_symbols(sides[-1]):  # 5 = x
        sides, signs = sides[:-1], signs[:-1]
    return agreeing(tuple(sides), tuple(signs))


def agreeing(sides: tuple[Form, ...], signs: tuple[str, ...]) -> list[Form]:
    """The sides if each is the one before it, or stands for it where "\\approx" says so."""
    for (left, right), sign in zip(pairwise(sides), signs, strict=True):
        if not same_form(left, right) and not (sign == "\\approx" and near(left, right)):
            return []
    return list(sides)


def near(exact: Form, decimal: Form) -> bool:
    """Whether a number is another one rounded to the digits it shows."""
    if not isinstance(exact, Quantity) or not isinstance(decimal, Quantity):
        return False
    left, right = value(exact.text), value(decimal.text)
    places = None if right is None or right.free_symbols else decimals(right)
    if left is None or places is None or left.free_symbols:
        return False
    return bool(abs((left - right).evalf()) <= 10.0**-places)


def is_name(form: Form) -> bool:
    """Whether a side only names what is asked for: a letter, "f(x)", "\\text{Area}", "(x, y)",
    "|AB|"."""
    import sympy

    if isinstance(form, Words):
        return True
    if isinstance(form, Many):
        return bool(form.items) and all(is_name(item) for item in form.items)
    number = value(form.text) if isinstance(form, Quantity) else None
    if number is None:
        return False
    symbols = {str(symbol) for symbol in number.free_symbols}
    # "NO/BO", "|AB|", "V_1 : V_2"; "xy = 6" is a curve.
    parts = bool(symbols) and all(len(name) > 1 or name.isupper() for name in symbols)
    lengths = parts and not number.is_Add and number.atoms(sympy.Number) <= {sympy.Integer(-1)}
    return bool(getattr(number, "is_Symbol", False) or lengths)


def free_symbols(form: Form) -> bool:
    """Whether variables occur in an expression."""
    number = value(form.text) if isinstance(form, Quantity) else None
    return number is not None and bool(number.free_symbols)
