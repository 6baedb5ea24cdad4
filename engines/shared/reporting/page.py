"""A report as one HTML file that names nothing outside itself and follows the reader's light or
dark scheme.

In: a title and the parts of the page. Out: the whole document. Called by the page.py of every
report engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from engines.shared.reporting.figures import Figure
from engines.shared.reporting.tables import STYLE


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """The page; ``style`` is CSS beside that of all reports."""
    title = escape(title)
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}{style}</style><h1>{title}</h1>"
    )
    return "\n".join([head, *parts]) + "</html>\n"


def picture(figure: Figure, caption: str) -> str:
    """A figure, drawn inline, with its caption below."""
    return (
        f'<figure role="img" aria-label="{escape(figure.caption)}">{figure.svg}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def items(texts: Iterable[object]) -> str:
    """The items of a list."""
    return "".join(f"<li>{escape(str(text))}</li>" for text in texts)
