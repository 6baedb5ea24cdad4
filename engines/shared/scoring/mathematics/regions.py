"""Sets of real numbers, however they are written: intervals, unions, inequalities.

In: a form of ``forms``. Out: sympy's set in its own normal form, so that equal sets
compare equal. ``same`` calls this.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from engines.shared.scoring.mathematics.forms import Chain, Form, Joined, Many, Quantity
from engines.shared.scoring.mathematics.values import equal, value

FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}


def region(form: Form) -> Any:
    """The set of real numbers that a form is; None if it is none."""
    try:
        if isinstance(form, Quantity):
            return literal(form)
        if isinstance(form, Many):
            return several(form)
        if isinstance(form, Chain):
            return solved(form)
        return joined(form) if isinstance(form, Joined) else None
    # sympy refuses endpoints that it cannot order, such as complex ones.
    except (TypeError, ValueError, NotImplementedError):
        return None


def literal(form: Quantity) -> Any:
    """The real numbers by their name."""
    import sympy

    name = re.sub(r"\s", "", form.text)
    # R from "\mathbf{R}"; it is no number that an interval could be mistaken for.
    return sympy.S.Reals if name in ("\\mathbb{R}", "R") else None


def closed_at_infinity(form: Form) -> bool:
    """Whether a form takes in an infinite end, "[-\\infty, 0]": that is no set of real numbers."""
    if isinstance(form, Many):
        ends = [
            item
            for item, bracket in zip(form.items, form.brackets, strict=False)
            if bracket in "[]"
        ]
        return any(map(endless, ends)) or any(map(closed_at_infinity, form.items))
    if isinstance(form, Joined):
        return any(map(closed_at_infinity, form.parts))
    if not isinstance(form, Chain):
        return False
    touched = [
        side
        for pair, sign in zip(pairwise(form.sides), form.signs, strict=True)
        if sign in ("\\le", "\\ge")
        for side in pair
    ]
    return any(map(endless, touched)) or closed_at_infinity(form.sides[-1])


def endless(form: Form) -> bool:
    """Whether a form is infinite."""
    return isinstance(form, Quantity) and "\\infty" in form.text


def several(form: Many) -> Any:
    """An interval, a finite set, or inequalities that hold together or by turns."""
    import sympy

    if not form.items:
        return sympy.S.EmptySet
    if not form.brackets:
        parts = [region(item) for item in form.items]
        if any(part is None for part in parts):
            return None
        together = form.joint == "or" or are_intervals(form.items)
        return sympy.Union(*parts) if together else sympy.Intersection(*parts)
    ends = [real_value(item) for item in form.items]
    if None in ends:
        return None
    if form.brackets == "\\{\\}":
        return sympy.FiniteSet(*ends)
    if len(ends) != 2 or form.brackets[0] not in "([" or form.brackets[-1] not in ")]":
        return None
    if ends[0] >= ends[1]:  # a point, (15, -29)
        return None
    return sympy.Interval(*ends, form.brackets[0] == "(", form.brackets[-1] == ")")


def are_intervals(items: tuple[Form, ...]) -> bool:
    """Whether a list is one of intervals, which is their union, and not of points."""
    marks = "".join(item.brackets for item in items if isinstance(item, Many))
    ends = [end for item in items if isinstance(item, Many) for end in item.items]
    all_sets = all(isinstance(item, Many) and item.brackets not in ("", "\\{\\}") for item in items)
    return all_sets and ("[" in marks or "]" in marks or any(map(endless, ends)))


def real_value(form: Form) -> Any:
    """A number of the real line or one of its ends; None if a form is none."""
    number = value(form.text) if isinstance(form, Quantity) and form.unit is None else None
    if number is None or getattr(number, "is_Matrix", False):
        return None
    return number if number.is_extended_real else None


def solved(form: Chain) -> Any:
    """The numbers for which a chain of inequalities of one variable holds: "-2 \\le x < 7"."""
    import sympy

    if form.signs == ("\\in",):
        element = form.sides[0]
        name = value(element.text) if isinstance(element, Quantity) else None
        return region(form.sides[1]) if name is not None and name.is_Symbol else None
    if not all(sign in FLIPPED for sign in form.signs):
        return None
    parts = []
    for (left, right), sign in zip(pairwise(form.sides), form.signs, strict=True):
        part = half_line(left, right, sign)
        if part is None:
            part = half_line(right, left, FLIPPED[sign])
        if part is None:
            return None
        parts.append(part)
    return sympy.Intersection(*parts)


def half_line(variable: Form, bound: Form, sign: str) -> Any:
    """The numbers on one side of a bound; None if the sides are no variable and no number."""
    import sympy

    name = value(variable.text) if isinstance(variable, Quantity) else None
    end = real_value(bound)
    if end is None or name is None or end.free_symbols:
        return None
    if isinstance(name, sympy.Abs) and name.args[0].is_Symbol:
        inside = sympy.Interval(-end, end, sign in ("<", "\\ge"), sign in ("<", "\\ge"))
        if sign in ("<", "\\le"):
            return inside
        return sympy.Complement(sympy.S.Reals, inside) if sign in (">", "\\ge") else None
    if not name.is_Symbol:
        return None
    if sign == "\\ne":
        return sympy.Complement(sympy.S.Reals, sympy.FiniteSet(end))
    is_open = sign in "<>"
    if sign in ("<", "\\le"):
        return sympy.Interval(-sympy.oo, end, True, is_open)
    return sympy.Interval(end, sympy.oo, is_open, True)


def joined(form: Joined) -> Any:
    """Unions, intersections and differences, from the left."""
    import sympy

    found, *parts = [region(part) for part in form.parts]
    for part, sign in zip(parts, form.signs, strict=True):
        if found is None or part is None:
            return None
        if sign == "\\cup":
            found = sympy.Union(found, part)
        elif sign == "\\cap":
            found = sympy.Intersection(found, part)
        else:
            found = sympy.Complement(found, part)
    return found


def equal_regions(left: Any, right: Any) -> bool:
    """Equality of two sets; ends may be written differently, so they are compared as values."""
    import sympy

    if left == right:
        return True
    if isinstance(left, sympy.Interval) and isinstance(right, sympy.Interval):
        same_ends = left.left_open == right.left_open and left.right_open == right.right_open
        return bool(same_ends and equal(left.start, right.start) and equal(left.end, right.end))
    if type(left) is not type(right) or len(left.args) != len(right.args) or not left.args:
        return False
    if isinstance(left, sympy.Union):
        return all(
            equal_regions(*pair)
            for pair in zip(by_start(left.args), by_start(right.args), strict=True)
        )
    return isinstance(left, sympy.FiniteSet) and all(
        equal(*pair) for pair in zip(left.args, right.args, strict=True)
    )


def by_start(parts: Any) -> list[Any]:
    """Sets by their least number."""
    return sorted(parts, key=lambda part: float(part.inf))
