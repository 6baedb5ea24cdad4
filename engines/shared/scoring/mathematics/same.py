"""Whether an answer is the gold answer: comparison of two forms of ``forms``.

``mathematics.strict`` calls ``same`` with both in the spelling of ``latex.tidy``.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from typing import Any

from engines.shared.scoring.mathematics.forms import (
    CHOICE,
    Based,
    Chain,
    Form,
    Joined,
    Many,
    Quantity,
    Time,
    Words,
    chosen,
    read,
)
from engines.shared.scoring.mathematics.names import (
    by_axes,
    free_symbols,
    is_name,
    named_coordinates,
    variables,
)
from engines.shared.scoring.mathematics.regions import (
    FLIPPED,
    closed_at_infinity,
    equal_regions,
    region,
)
from engines.shared.scoring.mathematics.units import Unit
from engines.shared.scoring.mathematics.values import equal, equal_large, near, ratio, value
from engines.shared.scoring.numerals import in_english, in_words

CONSTANT = re.compile(r"\+\s*(?:[CcKk](?:_\{?[01]\}?)?|\\text\s*\{\s*const(?:ant|\.)?\s*\})$")
DEGREE = Unit(Fraction(1), frozenset({("degree", 1)}))
RADIAN = Unit(Fraction(1), frozenset({("radian", 1)}))
EQUATIONS = ("=", "\\approx", "\\in", "\\equiv", "\\sim")


def same(gold: str, answer: str) -> bool:
    """Whether an answer is the gold one."""
    choice = CHOICE.fullmatch(gold)
    if choice:
        return chosen(answer) == choice[1]
    if "," not in gold and ("," in answer or "." in answer):
        answer = in_english(answer)
    if CONSTANT.search(gold):  # of an integral, whatever its letter
        gold, answer = (CONSTANT.sub("+ C", side) for side in (gold, answer))
    based = isinstance(form := read(gold), Based)
    return same_form(form, read(re.sub(r"^[0-9a-f]+(?=\s*_)", upper, answer) if based else answer))


def upper(match: re.Match[str]) -> str:
    """A match in capitals, as the digits A to F are read."""
    return match[0].upper()


def same_form(gold: Form, answer: Form) -> bool:
    """Equality of two forms."""
    if gold == answer:
        return True
    if isinstance(gold, Many | Chain | Joined) or isinstance(answer, Many | Chain | Joined):
        return same_composed(gold, answer)
    if isinstance(gold, Quantity) and isinstance(answer, Quantity):
        return same_quantity(gold, answer)
    if isinstance(gold, Time) or isinstance(answer, Time):
        return same_time(gold, answer)
    if isinstance(gold, Based) or isinstance(answer, Based):
        return in_base_ten(gold) == in_base_ten(answer) != ""
    # "\text{xy}" and xy
    return letters(gold) == letters(answer) != "" or same_in_words(gold, answer)


def same_composed(gold: Form, answer: Form) -> bool:
    """Equality of two forms of which one at least is a chain, a list or a union."""
    if isinstance(gold, Chain) or isinstance(answer, Chain):
        found = same_chain(gold, answer)
    elif isinstance(gold, Many) and isinstance(answer, Many):
        found = same_many(gold, answer)
    elif isinstance(gold, Joined) or isinstance(answer, Joined):
        found = False
    else:
        found = same_vector(gold, answer)
    # "1/2 or 0.5"
    either = isinstance(answer, Many) and answer.joint == "or" and not isinstance(gold, Many)
    if either and isinstance(answer, Many):
        every = bool(answer.items) and all(same_form(gold, item) for item in answer.items)
        found = found or every
    return found or same_region(gold, answer)


def same_in_words(gold: Form, answer: Form) -> bool:
    """Whether words spell out the number that the other one is."""
    words, other = (gold, answer) if isinstance(gold, Words) else (answer, gold)
    if not isinstance(words, Words) or not isinstance(other, Quantity):
        return False
    number = in_words(words.text)
    return number is not None and same_quantity(Quantity(str(number)), other)


def same_time(gold: Form, answer: Form) -> bool:
    """Equality of two times of day, of which one may leave out its half of the day; or of ratios,
    where one of them only looks like a time."""
    if isinstance(gold, Time) and isinstance(answer, Time):
        hours = [time.seconds % 43200 + 43200 * (time.half == "p") for time in (gold, answer)]
        if gold.half and answer.half:
            return hours[0] == hours[1]
        if not gold.half and not answer.half:
            return gold.seconds == answer.seconds
        known, other = (gold, answer) if gold.half else (answer, gold)
        same_hour = 3600 <= other.seconds < 46800 and other.seconds % 43200 == known.seconds % 43200
        return same_hour or other.seconds == hours[0 if gold.half else 1]
    sides = [Quantity(side.text) if isinstance(side, Time) else side for side in (gold, answer)]
    if any(isinstance(side, Time) and side.half for side in (gold, answer)):
        return False
    return same_form(*sides)


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
    import sympy

    gold_value, answer_value = value(gold.text), value(answer.text)
    if gold.unit is None and answer.unit is None:
        if gold_value is None and answer_value is None:
            return equal_large(gold.text, answer.text)
        return equal(gold_value, answer_value)
    if gold.unit and answer.unit:
        return same_measure(gold, answer)
    # A unit may be left out; where it is per cent, the number may be the share itself.
    unit, measured = (gold.unit, gold_value) if gold.unit else (answer.unit, answer_value)
    plain = answer_value if gold.unit else gold_value
    if measured is None or plain is None or unit is None:
        return False
    if modulus := unit.modulus:
        return equal(measured, plain) or equal(measured % modulus, plain)
    # An angle in degrees is one in radians; a bare pi is not taken for radians where degrees are
    # asked for.
    if unit == DEGREE and gold.unit is None and plain.has(sympy.pi):
        return equal(measured * sympy.pi / 180, plain)
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
    zero = sympy.Integer(0)
    gold_value, answer_value = value(gold.text), value(answer.text)
    if gold_value is None or answer_value is None:
        return False
    if gold.unit.powers == answer.unit.powers:
        times = gold.unit.factor / answer.unit.factor
        factor = sympy.Rational(times.numerator, times.denominator)
        modulus = gold.unit.modulus
        congruent = modulus is not None and equal((gold_value - answer_value) % modulus, zero)
        return congruent or equal(gold_value * factor, answer_value)
    if {gold.unit, answer.unit} == {DEGREE, RADIAN}:
        values = [
            number * sympy.pi / 180 if form.unit == DEGREE else number
            for form, number in ((gold, gold_value), (answer, answer_value))
        ]
        return equal(*values)
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
    return all(map(same_form, gold.items, by_axes(answer)))


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
    if several.brackets not in ("()", "[]") or shape is None:
        return False
    rows = [
        item for item in several.items if isinstance(item, Many) and item.brackets in ("()", "[]")
    ]
    if len(rows) == len(several.items) == shape[0]:  # [[1, 2], [3, 4]]
        several = Many(tuple(item for row in rows for item in row.items), "()")
        if any(len(row.items) != shape[1] for row in rows):
            return False
    elif 1 not in shape:
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
    # Of a right answer "[-\\infty, 0]" the sense is plain; as an answer it is a mistake.
    if left is None or closed_at_infinity(answer):
        return False
    right = region(answer)
    return right is not None and equal_regions(left, right)


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
        functions = {side.text.replace(" ", "") for side in names if isinstance(side, Quantity)}
        if functions in ({"y", f"{letter}(x)"} for letter in "fgh"):  # y = 2x and f(x) = 2x
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
    if coordinates := named_coordinates(chain):
        return [coordinates]
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
        if not same_form(left, right) and not (sign == "\\approx" and rounded(left, right)):
            return []
    return list(sides)


def rounded(one: Form, other: Form) -> bool:
    """Whether one of two numbers is the other one to the digits it shows."""
    if not isinstance(one, Quantity) or not isinstance(other, Quantity):
        return False
    left, right = value(one.text), value(other.text)
    return near(left, right) or near(right, left)
