"""The report as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

import platform
from html import escape

from engines.analysis.flips import Answer, Flip
from engines.analysis.page import finding
from engines.analysis.report import Report
from engines.analysis.tables import Tables
from engines.analysis.text import EXPECTED_READING, notes, spent
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, folded, items, picture
from engines.shared.reporting.tables import Table

DIFFERENCES = "differences"
"""The figure that only the report as Markdown shows."""


def page(report: Report, tables: Tables, figures: list[Figure]) -> str:
    """``report.html``: the finding, the table that shows it, the reward over training; the rest is
    folded."""
    names = report.config.compare
    missing = items(report.missing) or "<li>nothing</li>"
    notes_html = [f"<p>{escape(note)}</p>" for note in notes(report)]
    expected = ""
    if tables.expected is not None:
        expected = f"<p>{escape(EXPECTED_READING)}</p>{tables.expected.html()}"
    # The table of the first screen is the figure of the differences, too.
    drawn = [figure for figure in figures if figure.name != DIFFERENCES]
    first, others = drawn[:1], drawn[1:]
    parts = [
        finding.lead(report),
        finding.limit(report),
        "<h2>Difference by domain</h2>",
        finding.table(report),
        *(shown(report, figure) for figure in first),
        folded("How to read this", *notes_html),
        folded("Expected and actual", expected),
        folded("How the arms answer", tables.behaviour.html()),
        folded("Each task, and the gradients", *(shown(report, one) for one in others)),
        "" if tables.flips is None else flipped_examples(report, tables.flips),
        folded("What ran where", f"<p>{escape(spent(report))}</p>", tables.costs.html()),
        folded("Missing or unequal", f"<ul>{missing}</ul>"),
        folded("Sources", f"<ol>{items(report.inputs.sources.files)}</ol>"),
        folded(
            "Settings of the report",
            f"<p>{escape(versions())}</p><pre>{escape(report.config.model_dump_json(indent=1))}"
            "</pre>",
        ),
    ]
    title = finding.heading(report)
    about = [f"{names.treatment} against {names.baseline}", *finding.about(report)]
    return document(title, [part for part in parts if part], about=about)


def shown(report: Report, figure: Figure) -> str:
    """A figure with its caption and sources."""
    return picture(figure, f"{figure.caption} {report.inputs.sources.label(figure.source)}")


def versions() -> str:
    """What computed and drew the report."""
    import matplotlib as mpl
    import numpy as np

    python = platform.python_version()
    return f"Python {python}, numpy {np.__version__}, matplotlib {mpl.__version__}"


def flipped_examples(report: Report, counts: Table) -> str:
    """Counts, then up to ten examples in each direction."""
    flips, names = report.flips, report.config.compare
    parts = [counts.html()]
    for arm, shown, total in (
        (names.treatment, flips.gained, flips.total("gained")),
        (names.baseline, flips.lost, flips.total("lost")),
    ):
        examples = "".join(example(report, flip) for flip in shown)
        parts.append(
            f"<details><summary>{len(shown)} of the {total} that only {escape(arm)} got "
            f"right, drawn at random</summary>{examples}</details>"
        )
    sources = report.inputs.sources.label("scores", "flips")
    parts.append(f"<p>Pairs of the same seed, problem and sample number. {sources}</p>")
    return folded("Samples that changed", *parts)


def example(report: Report, flip: Flip) -> str:
    """One flipped sample."""
    names = report.config.compare
    prompt = '<p class="read">its prompt was not kept</p>'
    if flip.prompt is not None:
        prompt = f"<pre>{escape(shortened(flip.prompt, 300, 50))}</pre>"
    return (
        f'<article><p class="read">{escape(flip.task)}, seed {escape(flip.seed)}, problem '
        f"{escape(flip.item_id)}</p>{prompt}"
        f'<div class="two">{answer(names.baseline, flip.baseline)}'
        f"{answer(names.treatment, flip.treatment)}</div></article>"
    )


def answer(arm: str, given: Answer) -> str:
    """One arm's answer: verdict, then what it wrote."""
    verdict = "wrong"
    if given.value == 1.0:
        verdict = "right"
    elif given.value > 0:
        verdict = f"partly right ({given.value:.2f})"
    if given.status != "ok":
        verdict += f", {given.status}"
    body = '<p class="read">the text is not on disk</p>'
    if given.text is not None:
        body = f"<pre>{escape(shortened(given.text, 300, 300))}</pre>"
    # Nothing new where the scorer took the whole text.
    if given.extracted not in ("", given.text):
        extracted = escape(shortened(given.extracted, 150, 50))
        body += f'<p class="read">read as: <code>{extracted}</code></p>'
    return f"<div><b>{escape(f'{arm}: {verdict}')}</b>, {given.tokens} tokens{body}</div>"


def shortened(text: str, start: int, end: int) -> str:
    """The first and last characters of a long text."""
    # To cut out a few characters saves nothing: the mark in their place is as long.
    if len(text) <= start + end + 20:
        return text
    return f"{text[:start]}\n[... {len(text) - start - end} characters ...]\n{text[-end:]}"
