"""Whether two expressions are equal: exactly where both are exact, within their digits where one is
a decimal, and never by working out a number too large to be written down.

In: expressions in the spelling of ``latex.tidy``. latex2sympy reads them; what it reads
is compared here, because math-verify's own comparison rounds to six decimals: a small number equals
every other one. ``same`` calls this.
"""

from __future__ import annotations

import math
import random
import re
from functools import lru_cache
from typing import Any

from engines.shared.scoring.mathematics.latex import for_parser

DIGITS = 60
"""Significant digits of numbers that are compared."""
EQUAL = 1e-45
"""Relative; what differs by more is another number."""
DUST = 1e-12
"""Relative; what the last digits of a printed floating-point number may differ by."""
DUST_DIGITS = range(14, 21)
"""Significant digits with which a decimal is taken for a printed floating-point number."""
SHOWN = 6
"""Decimals, and significant digits, that a rounded number must show to stand for the exact one."""
LARGEST = 5000.0
"""Digits of the largest number that is worked out."""
LARGEST_POWER = 300.0
LONGEST = 1000
"""Characters of the longest expression that is read."""
POINTS = 12
ENOUGH_POINTS = 3

PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
PLAIN_FRACTION = re.compile(r"([+-]?)\s*(?:\\frac\s*\{(-?\d+)\}\s*\{(\d+)\}|(\d+)\s*/\s*(\d+))")
UNREADABLE = re.compile(
    r"\d\s*_|\d\s+\d|\.\.|!!|[A-Z)]\s*\^\s*\{?\s*(?:T|\\top)\s*\}?(?![A-Za-z])|\\binom.*\d{6}"
)
"""What latex2sympy would misread: it drops a base, adds numbers side by side, takes a double
factorial for two, drops the T of a transposed matrix and works out binomials of any size."""


@lru_cache(maxsize=2048)
def value(text: str) -> Any:
    """The sympy expression or matrix that a text spells out; None if it spells none."""
    import sympy

    if len(text) > LONGEST:
        return None
    bare = text.replace(" ", "") if re.fullmatch(r"[+-]\s+\S+", text) else text
    if PLAIN_NUMBER.fullmatch(bare):
        return sympy.Rational(bare)
    fraction = PLAIN_FRACTION.fullmatch(bare)
    if fraction:
        numerator, denominator = fraction[2] or fraction[4], fraction[3] or fraction[5]
        if int(denominator) != 0:
            return sympy.Rational(int(f"{fraction[1]}1") * int(numerator), int(denominator))
    tree = parsed(text)
    try:
        if isinstance(tree, sympy.MatrixBase):
            return tree.applyfunc(exact)
        return exact(tree) if isinstance(tree, (sympy.Expr, sympy.MatrixExpr)) else None
    except Exception:  # sympy raises all kinds where something cannot be worked out
        return None


@lru_cache(maxsize=64)
def parsed(text: str) -> Any:
    """latex2sympy's reading, not worked out; None if it has none."""
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy

    spelling = for_parser(text)
    if len(text) > LONGEST or UNREADABLE.search(spelling):
        return None
    # Letters keep their case: r and R are two.
    config = ConversionConfig(lowercase_symbols=False)
    try:
        return latex2sympy(
            spelling, is_real=True, normalization_config=None, conversion_config=config
        )
    except Exception:  # the parser raises bare ones for what it does not know
        return None


def exact(tree: Any) -> Any:
    """A tree as the mathematics it means, worked out: decimals as fractions, i as the imaginary
    unit. OverflowError if the number would be too large."""
    import sympy
    from sympy.core.function import AppliedUndef

    if size(tree) > LARGEST:
        raise OverflowError
    swaps = {number: sympy.Rational(str(number)) for number in tree.atoms(sympy.Float)}
    unit = sympy.Symbol("i", real=True)
    if unit in tree.free_symbols:
        swaps[unit] = sympy.I
    # f(x) is as good as a letter.
    for function in tree.atoms(AppliedUndef):
        swaps[function] = sympy.Symbol(str(function), real=True)
    worked_out = tree.xreplace(swaps).doit()
    return worked_out.replace(is_odd_root, real_root) if worked_out.has(sympy.Pow) else worked_out


def is_odd_root(tree: Any) -> bool:
    """Whether a tree is an odd root of a negative number."""
    return bool(
        tree.is_Pow
        and tree.exp.is_Rational
        and tree.exp.q % 2 == 1
        and tree.exp.q > 1
        and tree.base.is_negative
    )


def real_root(tree: Any) -> Any:
    """The real root: the cube root of -8 is -2."""
    power = (-tree.base) ** tree.exp
    return -power if tree.exp.p % 2 == 1 else power


def size(tree: Any) -> float:
    """About how many digits the number has that a tree would be worked out to; at least that."""
    import sympy

    if tree.is_Number:
        return digits_of(tree)
    inner = [size(argument) for argument in tree.args]
    if isinstance(tree, (sympy.Pow, sympy.exp)):
        base = inner[0] if tree.is_Pow else 0.5
        return max(base, 0.3) * magnitude(tree.exp, inner[-1])
    factorials = (sympy.factorial, sympy.gamma, sympy.binomial)
    if isinstance(tree, factorials) and not tree.args[0].free_symbols:
        return magnitude(tree.args[0], inner[0]) * inner[0]
    return sum(inner) + (1.0 if inner or tree.is_Symbol else 0.0)


def digits_of(number: Any) -> float:
    """The digits of a number's numerator and denominator; few if it has none."""
    if not number.is_Rational:
        return 2.0
    return math.log10(max(abs(int(number.p)), 1)) + math.log10(int(number.q))


def magnitude(tree: Any, digits: float) -> float:
    """About how large a number of so many digits is, at most."""
    if tree.is_Number and tree.is_finite and digits < LARGEST_POWER:
        return abs(float(tree))
    if digits < LARGEST_POWER and {str(symbol) for symbol in tree.free_symbols} <= {"i"}:
        # 7 pi i / 12 has many digits and is small.
        found = tree.xreplace(dict.fromkeys(tree.free_symbols, 1)).evalf(15)
        return abs(float(found)) if found.is_real and found.is_finite else float(10.0**digits)
    return float(10.0 ** min(digits, LARGEST_POWER))


def equal(left: Any, right: Any) -> bool:
    """Equality of two values of this module."""
    import sympy

    if left is None or right is None:
        return False
    matrices = [isinstance(side, (sympy.MatrixBase, sympy.MatrixExpr)) for side in (left, right)]
    if any(matrices):
        return all(matrices) and equal_matrices(left, right)
    endless = (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)
    if left == right or left.has(*endless) or right.has(*endless):
        return bool(left == right and not left.has(sympy.zoo, sympy.nan))
    try:
        if left.free_symbols or right.free_symbols:
            return equal_functions(left, right)
        return equal_numbers(left, right)
    # Anything that sympy cannot compare is not shown to be equal.
    except Exception:
        return False


def equal_matrices(left: Any, right: Any) -> bool:
    """Equality of shape and of every element."""
    left, right = left.doit(), right.doit()
    shapes = [getattr(side, "shape", None) for side in (left, right)]
    if shapes[0] != shapes[1] or not all(hasattr(side, "flat") for side in (left, right)):
        return bool(left == right)
    return all(map(equal, left.flat(), right.flat()))


def equal_large(left: str, right: str) -> bool:
    """Equality of numbers too large to be worked out, such as powers of powers: of what is written,
    or of their logarithms."""
    trees = [parsed(text) for text in (left, right)]
    try:
        if any(tree is None or size(tree) <= LARGEST for tree in trees):
            return False
        return bool(trees[0] == trees[1]) or equal(*map(logarithm, trees))
    except Exception:  # the logarithm itself is too large, or there is none
        return False


def logarithm(tree: Any) -> Any:
    """The natural logarithm of a large power or product of positive numbers. OverflowError if it
    is too large to be worked out too, ValueError if there is none."""
    import sympy

    if size(tree) <= LARGEST:
        number = exact(tree)
        if not number.is_positive:
            raise ValueError
        return sympy.log(number)
    if isinstance(tree, sympy.exp):
        return exact(tree.exp)
    if tree.is_Pow:
        return exact(tree.exp) * logarithm(tree.base)
    if tree.is_Mul:
        return sympy.Add(*map(logarithm, tree.args))
    raise ValueError


def equal_numbers(left: Any, right: Any) -> bool:
    """Equality of two numbers; a decimal may be the other one rounded."""
    if left.is_Rational and right.is_Rational:
        return left == right or rounded(left, right) or dust(left, right)
    if 0 in (left, right):
        # What cancels leaves the rounding of its terms; what has no terms is small and not zero.
        sum_ = right if left == 0 else left
        return bool(sum_.is_Add and abs(sum_.evalf(DIGITS)) < EQUAL)
    if close(left.evalf(DIGITS), right.evalf(DIGITS)):
        return True
    if left.is_real is False and right.is_real is False:
        parts = [side.as_real_imag() for side in (left, right)]
        printed = any(all(part.is_Rational for part in both) for both in parts)
        return printed and all(map(equal_numbers, *parts))
    return rounded(left, right) or dust(left, right)


def close(left: Any, right: Any) -> bool:
    """Equality of two numbers of DIGITS digits."""
    difference, largest = abs(left - right), max(abs(left), abs(right))
    if left == 0 or right == 0:  # what cancels leaves the rounding of its terms
        return bool(largest < EQUAL)
    return bool(difference <= EQUAL * largest)


def decimals(number: Any) -> int | None:
    """How many decimals a number has; None if they do not end."""
    if not number.is_Rational:
        return None
    rest, twos, fives = int(number.q), 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def shown(number: Any) -> int:
    """Significant digits of a number whose decimals end."""
    places = decimals(number) or 0
    return len(str(abs(int(number * 10**places))))


def rounded(left: Any, right: Any) -> bool:
    """Whether one of two numbers is the other one rounded to all the digits it shows, at least
    SHOWN: 0.333333 is 1/3, 0.333 is not."""
    import sympy

    places = [decimals(side) for side in (left, right)]
    for short, long, own, other in ((left, right, *places), (right, left, *places[::-1])):
        fewer = own is not None and (other is None or own < other)
        if fewer and own >= SHOWN and shown(short) >= SHOWN:
            half = sympy.Rational(1, 2 * 10**own)
            return bool(abs((short - long).evalf(DIGITS)) <= half)
    return False


def near(exact: Any, decimal: Any) -> bool:
    """Whether a decimal is a number rounded, or cut off, to the digits it shows, however few."""
    places = None if decimal is None or decimal.free_symbols else decimals(decimal)
    if exact is None or places is None or exact.free_symbols:
        return False
    difference, last = (exact - decimal).evalf(), 10.0**-places
    cut_off = abs(difference) <= last and difference * decimal >= 0
    return bool(cut_off or abs(difference) <= last / 2)


def dust(left: Any, right: Any) -> bool:
    """Whether two numbers differ by no more than a printed floating-point number does from the one
    it stands for: 5.000000000000002 is 5."""
    printed = [
        decimals(side) is not None and shown(side) in DUST_DIGITS and not side.is_Integer
        for side in (left, right)
    ]
    if not any(printed):
        return False
    left, right = left.evalf(DIGITS), right.evalf(DIGITS)
    return bool(abs(left - right) <= DUST * max(abs(left), abs(right)))


def equal_functions(left: Any, right: Any) -> bool:
    """Equality of two expressions with variables: of their values wherever both have one, at points
    that no one chose."""
    agreed = 0
    for pair in values_at_points(left, right):
        if not close(*pair):
            return False
        agreed += 1
    return agreed >= ENOUGH_POINTS


def values_at_points(left: Any, right: Any) -> list[tuple[Any, Any]]:
    """The values of two expressions at the points where both are defined. Real unless an imaginary
    unit occurs."""
    import sympy

    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    may_be_complex = left.has(sympy.I) or right.has(sympy.I)
    found = []
    for point in points(len(symbols)):
        where = dict(zip(symbols, point, strict=True))
        pair = [at(side, where) for side in (left, right)]
        defined = all(side.is_number and side.is_finite for side in pair)
        if defined and (may_be_complex or all(side.is_real for side in pair)):
            found.append((pair[0], pair[1]))
    return found


def at(tree: Any, where: dict[Any, Any]) -> Any:
    """The value of an expression at a point."""
    # Put in exactly, 90^x would be worked out as a root first, which takes seconds.
    found = tree.evalf(DIGITS, subs=where)
    return found if found.is_number else tree.subs(where).evalf(DIGITS)


def points(dimension: int) -> list[list[Any]]:
    """Points in small and large, positive and negative and whole numbers; the same each time."""
    import sympy

    generator = random.Random(dimension)
    ranges = ((0, 1), (1, 4), (-3, 0), (2, 9))
    rows = []
    for number in range(POINTS):
        low, high = ranges[number % 4]
        denominator = 1 if number % 4 == 3 else 10007
        rows.append(
            [
                sympy.Rational(
                    generator.randint(low * denominator + 1, high * denominator), denominator
                )
                for _ in range(dimension)
            ]
        )
    return rows


def ratio(left: Any, right: Any) -> Any:
    """The number by which one expression is a multiple of another; None if it is none."""
    try:
        found = [pair[0] / pair[1] for pair in values_at_points(left, right) if pair[1] != 0]
    except Exception:  # as above: not shown to be one
        return None
    if len(found) < ENOUGH_POINTS or found[0] == 0:
        return None
    return found[0] if all(close(found[0], other) for other in found) else None
