"""What was measured, in words: a sentence per curve, a table, and the whole as plain text, Markdown
and a page.

In: what was measured. Out: text and HTML. Called by ``__main__``.
"""

from __future__ import annotations

from html import escape

from engines.analysis.measured.load import Curve, Measured, Value
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, folded, items, picture
from engines.shared.reporting.sources import ran
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import bullets, markdown_bullets, paragraph

TITLE = "Checkpoints over training"
READ_FIRST = 4
"""Curves that are told in a sentence each above the figure."""


def sentence(curve: Curve) -> str:
    """Where a curve is best."""
    best, last = curve.best, curve.values[-1]
    if best is None:
        return (
            f"{curve.label}: {curve.metric} ends at {shown(last)} (step {last.scored.step}); "
            "nothing says which values are better."
        )
    where = f"{best.scored.checkpoint} (step {best.scored.step})"
    end = "the last one" if best is last else f"the last one has {shown(last)}"
    return f"{curve.label}: {curve.metric} is best at {where}: {shown(best)}; {end}."


def shown(value: Value) -> str:
    """A value with as many digits as tell curves apart."""
    return f"{value.value:.4g}"


def table(measured: Measured) -> Table:
    """A line for each curve."""
    rows = []
    for curve in measured.curves:
        best = curve.best
        rows.append(
            [
                curve.label,
                curve.metric,
                shown(curve.values[0]),
                "" if best is None else shown(best),
                "" if best is None else str(best.scored.step),
                shown(curve.values[-1]),
                str(len(curve.values)),
            ]
        )
    head = ["training", "metric", "first", "best", "at step", "last", "checkpoints"]
    return Table(head, rows)


def plain(measured: Measured) -> str:
    """``report.txt``."""
    parts = [paragraph(sentence(curve)) for curve in measured.curves]
    parts += [table(measured).plain(), bullets("Missing", measured.missing or ["nothing"])]
    return "\n\n".join(parts) + "\n"


def markdown(measured: Measured, figure: Figure) -> str:
    """``report.md``."""
    parts = [f"# {TITLE}", *(sentence(curve) for curve in measured.curves)]
    parts.append(f"![{figure.caption}](figures/{figure.name}.svg)")
    parts += [
        table(measured).markdown(),
        markdown_bullets("Missing", measured.missing or ["nothing"]),
    ]
    return "\n\n".join(parts) + "\n"


def page(measured: Measured, figure: Figure) -> str:
    """``report.html``: one file that names nothing outside itself."""
    caption = f"{figure.caption} {measured.sources.label(figure.source)}"
    sentences = [f"<p>{escape(sentence(curve))}</p>" for curve in measured.curves]
    parts = [picture(figure, caption), table(measured).html()]
    # Few are read first; of many the table says as much in less room.
    if len(sentences) <= READ_FIRST:
        parts = [*sentences, *parts]
    else:
        parts.append(folded("Each curve in a sentence", *sentences))
    missing = items(measured.missing) or "<li>nothing</li>"
    parts.append(folded("Missing", f"<ul>{missing}</ul>"))
    parts.append(folded("Sources", f"<ol>{items(measured.sources.files)}</ol>"))
    steps = sorted({one.scored.step for curve in measured.curves for one in curve.values})
    trainings = len({one.scored.training for curve in measured.curves for one in curve.values})
    about = [
        *ran(measured.sources.files),
        f"{trainings} training{'' if trainings == 1 else 's'}",
        f"steps {steps[0]:,} to {steps[-1]:,}",
    ]
    return document(TITLE, parts, about=about)
