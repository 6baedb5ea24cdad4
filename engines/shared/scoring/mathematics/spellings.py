"""Tables of spellings for the mathematics scorer: signs, commands and names of functions that mean
the same. ``latex`` uses them."""

from __future__ import annotations

import re

SIGNS = {
    "\u2212": "-",
    "\u2013": "-",
    "\u00d7": "\\times ",
    "·": "\\cdot ",
    "⋅": "\\cdot ",
    "÷": "\\div ",
    "π": "\\pi ",
    "∞": "\\infty ",
    "≤": "\\le ",
    "≥": "\\ge ",
    "≠": "\\ne ",
    "≈": "\\approx ",
    "±": "\\pm ",
    "\u222a": "\\cup ",
    "∩": "\\cap ",
    "∈": "\\in ",
    "∅": "\\emptyset ",
    "\u211d": "\\mathbb{R}",
    "∠": "\\angle ",
    "°": "^\\circ ",
    "²": "^2",
    "³": "^3",
    "⟨": "\\langle ",
    "⟩": "\\rangle ",
    "¢": "\\text{ cents}",
    "\u03b1": "\\alpha ",
    "\u03b2": "\\beta ",
    "\u03b8": "\\theta ",
    "\u03bb": "\\lambda ",
    "\u03c6": "\\phi ",
    "\u03a9": "\\Omega ",
    "\u00a0": " ",
    "\u2009": " ",
    "\u202f": " ",
}


def commands(*spellings: tuple[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """Patterns and what is written for them."""
    return [(re.compile(pattern), written) for pattern, written in spellings]


COMMANDS = commands(
    (r"\\(?:[dtc]|nice|s)frac(?![a-zA-Z])", r"\\frac"),
    (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
    (r"\\leq?(?:slant)?(?![a-zA-Z])|<=", r"\\le "),
    (r"\\geq?(?:slant)?(?![a-zA-Z])|>=", r"\\ge "),
    (r"\\neq?(?![a-zA-Z])|\\not\s*=|!=", r"\\ne "),
    (r"\\lt(?![a-zA-Z])", "<"),
    (r"\\gt(?![a-zA-Z])", ">"),
    (r"\\(?:approx(?:eq)?|simeq|doteq)(?![a-zA-Z])", r"\\approx "),
    (r"\\(?:varnothing|empty)(?![a-zA-Z])", r"\\emptyset "),
    (r"\\lbrace(?![a-zA-Z])", r"\\{"),
    (r"\\rbrace(?![a-zA-Z])", r"\\}"),
    (r"\\(?:lbrack)(?![a-zA-Z])", "["),
    (r"\\(?:rbrack)(?![a-zA-Z])", "]"),
    (r"\\(?:[lr]?vert)(?![a-zA-Z])", "|"),
    (r"\\degrees?(?![a-zA-Z])|(?<=\d)\s*\\deg(?![a-zA-Z])", r"^\\circ "),
    (r"\^\s*\{\s*\\circ\s*\}|(?<=\d)\s*\^\s*\{?\s*o\s*\}?$", r"^\\circ "),
    (r"(?<=\d)\s*\\Omega$", r"\\text{ ohm}"),
    (r"\\textdollar(?![a-zA-Z])", r"\\$"),
    (r"\\(?:text)?euro(?![a-zA-Z])", "€"),
    (r"\\(?:pounds|textsterling)(?![a-zA-Z])", "£"),
    (r"\\Reals?(?![a-zA-Z])|\\R(?![a-zA-Z])", r"\\mathbb{R}"),
    (r"\\dots[cbm]?(?![a-zA-Z])", r"\\ldots "),
    (r"\\(?:lor|vee)(?![a-zA-Z])", r"\\text{ or }"),
    (r"\\(?:land|wedge)(?![a-zA-Z])", r"\\text{ and }"),
    (r"\\lg(?![a-zA-Z])", r"\\log "),
    (r"\\tg(?![a-zA-Z])", r"\\tan "),
    (r"\\arctg(?![a-zA-Z])", r"\\arctan "),
    (r"\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}", r"\\binom{\1}{\2}"),
    (r"\*\*", "^"),
    (r"\+/-", r"\\pm "),
    (r"\\&", r"\\text{ and }"),
    (r"\\colon(?![a-zA-Z])", ":"),
    (r"\\imath(?![a-zA-Z])", "i"),
    (r"(?<=[)\]])\s*U\s*(?=[(\[])", r"\\cup "),
    (r"(?<=\d)\s*(?:\\text\s*\{\s*to\s*\}|(?<= )to(?= ))\s*(?=\d)", ":"),
    (r"(?<=\d)\^?\s*\{?(?:\\text\s*\{)?(?:st|nd|rd|th)\s*\}?\s*\}?$", ""),
    (r"\\begin\{array\}\s*\{[^{}]*\}", r"\\begin{pmatrix}"),
    (r"\\end\{array\}", r"\\end{pmatrix}"),
    (r"\\(begin|end)\{(?:b|small)?matrix\}", r"\\\1{pmatrix}"),
    (r"[(\[]\s*(\\begin\{pmatrix\}(?:(?!\\begin).)*\\end\{pmatrix\})\s*[)\]]", r"\1"),
)

FUNCTIONS = {
    name: name
    for name in [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "ln",
        "log",
        "exp",
        "sqrt",
        "pi",
        "gcd",
        "lcm",
        "max",
        "min",
        "alpha",
        "beta",
        "theta",
        "lambda",
    ]
} | {
    "lg": "log",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "arctg": "arctan",
    "tg": "tan",
    "ctg": "cot",
    "infinity": "infty",
    "inf": "infty",
}
"""Names of functions and constants, and their commands."""

NAMES = re.compile(
    r"(?<![\\a-zA-Z])(?<!\\text\{)(?:"
    + "|".join(sorted(FUNCTIONS, key=len, reverse=True))
    + r")(?![a-zA-Z])"
)
