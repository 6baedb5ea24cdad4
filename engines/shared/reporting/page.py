"""A report as one HTML file that names nothing outside itself and follows the reader's light or
dark scheme.

In: a title and the parts of the page. Out: the whole document. Called by the page.py of every
report engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from engines.shared.reporting.figures import Figure
from engines.shared.reporting.style import STYLE

PHONE = 340.0
"""Points that a figure may be wide for a phone to show it whole: at most a sixth smaller."""
WIDTH = re.compile(r'<svg [^>]*width="([\d.]+)pt"')


def document(title: str, parts: Iterable[str], style: str = "", about: Sequence[str] = ()) -> str:
    """The page.

    Args:
        style: CSS beside that of all pages.
        about: What was run, above the title: experiment, date, model, data, steps.
    """
    title = escape(title)
    above = f'<p class="what">{escape(" · ".join(filter(None, about)))}</p>' if about else ""
    whole = escape(" · ".join([*about[:2]])) if about else ""
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}{f' · {whole}' if whole else ''}</title><style>{STYLE}{style}</style>"
        f"<main>{above}<h1>{title}</h1>"
    )
    return "\n".join([head, *parts]) + "</main></html>\n"


def picture(figure: Figure, caption: str) -> str:
    """A figure, drawn inline, with its caption below."""
    # A phone shows it whole, or lets it move sideways where its words would be too small.
    width = WIDTH.search(figure.svg)
    fits = ' class="fits"' if width is not None and float(width[1]) <= PHONE else ""
    return (
        f'<figure{fits} role="img" aria-label="{escape(figure.caption)}">{figure.svg}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def items(texts: Iterable[object]) -> str:
    """The items of a list."""
    return "".join(f"<li>{escape(str(text))}</li>" for text in texts)


def folded(heading: str, *parts: str) -> str:
    """A part that is opened by who wants to read it; "" where there is nothing in it."""
    body = "\n".join(filter(None, parts))
    return f"<details><summary>{escape(heading)}</summary>{body}</details>" if body else ""
