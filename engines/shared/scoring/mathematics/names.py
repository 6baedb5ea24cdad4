"""What an answer names: its variables, the letter or quantity that is asked for, coordinates by
their axes.

In: forms of ``forms``. ``same`` asks here, before and while it compares two of them.
"""

from __future__ import annotations

import re

from engines.shared.scoring.mathematics.forms import Chain, Form, Joined, Many, Quantity, Words
from engines.shared.scoring.mathematics.regions import region
from engines.shared.scoring.mathematics.values import value

PROBABILITY = re.compile(r"(?:P|E|\\Pr|\\mathbb\s*\{[PE]\}|\\text\s*\{[\w ]*\})\s*[(\[].*[)\]]")


def is_name(form: Form) -> bool:
    """Whether a side only names what is asked for: a letter, "f(x)", "\\text{Area}", "(x, y)",
    "|AB|"."""
    import sympy

    if isinstance(form, Words) or (isinstance(form, Quantity) and PROBABILITY.fullmatch(form.text)):
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


def variables(form: Form) -> set[str]:
    """The variables in equations and inequalities."""
    if isinstance(form, Quantity):
        number = value(form.text)
        return set() if number is None else {str(symbol) for symbol in number.free_symbols}
    if isinstance(form, Chain):
        return set().union(*(variables(side) for side in form.sides))
    parts = form.items if isinstance(form, Many) else ()
    return set().union(*(variables(part) for part in parts))


def by_axes(form: Many) -> tuple[Form, ...]:
    """The coordinates of a point by the names of the axes: "y = 2, x = 1" is the point (1, 2)."""
    names = [
        item.sides[0].text
        if isinstance(item, Chain) and isinstance(item.sides[0], Quantity)
        else ""
        for item in form.items
    ]
    if form.brackets or "".join(sorted(names)) not in ("xy", "xyz"):
        return form.items
    order = sorted(range(len(names)), key=lambda place: names[place])
    return tuple(form.items[place] for place in order)


def named_coordinates(chain: Chain) -> Many | None:
    """The point of a chain such as "(y, x) = (2, 1)", by the names of the axes; None for others."""
    name, point = chain.sides[0], chain.sides[-1]
    if not isinstance(name, Many) or not isinstance(point, Many) or len(chain.sides) != 2:
        return None
    if len(name.items) != len(point.items) or "()" not in (name.brackets, point.brackets):
        return None
    equations = tuple(
        Chain((axis, number), ("=",)) for axis, number in zip(name.items, point.items, strict=True)
    )
    in_order = by_axes(Many(equations))
    if in_order == equations:
        return None
    numbers = [equation.sides[1] for equation in in_order if isinstance(equation, Chain)]
    return Many(tuple(numbers), point.brackets)


def readable(form: Form) -> bool:
    """Whether every expression in a form can be read as mathematics; words are no expressions."""
    if isinstance(form, Quantity):
        return value(form.text) is not None or region(form) is not None or is_name(form)
    if isinstance(form, Many):
        return all(map(readable, form.items))
    if isinstance(form, Chain):
        return all(map(readable, form.sides))
    return not isinstance(form, Joined) or all(map(readable, form.parts))
