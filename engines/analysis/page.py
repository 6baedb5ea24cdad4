"""The report as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

import platform
from html import escape

from engines.analysis.flips import Answer, Flip
from engines.analysis.report import Report
from engines.analysis.tables import Tables
from engines.analysis.text import EXPECTED_READING, headline, notes, spent
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, items, picture
from engines.shared.reporting.tables import Table


def page(report: Report, tables: Tables, figures: list[Figure]) -> str:
    """``report.html``."""
    names, sources = report.config.compare, report.inputs.sources
    parts = [
        f'<p class="lead">{escape(headline(report))}</p>',
        tables.comparison.html(),
        *(f"<p>{escape(note)}</p>" for note in notes(report)),
    ]
    if tables.expected is not None:
        parts.append(f"<h2>Expected and actual</h2><p>{escape(EXPECTED_READING)}</p>")
        parts.append(tables.expected.html())
    parts += ["<h2>How the arms answer</h2>", tables.behaviour.html(), "<h2>Figures</h2>"]
    for figure in figures:
        parts.append(picture(figure, f"{figure.caption} {sources.label(figure.source)}"))
    parts.append("" if tables.flips is None else flipped_examples(report, tables.flips))
    parts += ["<h2>What ran where</h2>", f"<p>{escape(spent(report))}</p>", tables.costs.html()]
    missing = items(report.missing) or "<li>nothing</li>"
    parts.append(
        f"<h2>Missing or uneven</h2><ul>{missing}</ul>"
        f"<h2>Sources</h2><ol>{items(sources.files)}</ol><p>{escape(versions())}</p>"
    )
    parts.append(f"<pre>{escape(report.config.model_dump_json(indent=1))}</pre>")
    return document(f"{names.treatment} against {names.baseline}", parts)


def versions() -> str:
    """What computed and drew the report."""
    import matplotlib as mpl
    import numpy as np

    python = platform.python_version()
    return f"Python {python}, numpy {np.__version__}, matplotlib {mpl.__version__}"


def flipped_examples(report: Report, counts: Table) -> str:
    """Counts, then up to ten examples in each direction."""
    flips, names = report.flips, report.config.compare
    parts = ["<h2>Samples that changed</h2>", counts.html()]
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
    return "\n".join(parts)


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
