"""The report as one self-contained HTML file that follows the reader's light or dark scheme."""

from __future__ import annotations

import platform
from html import escape

from engines.analysis.comparison import MACRO
from engines.analysis.flips import Answer, Flip
from engines.analysis.load import labels
from engines.analysis.report import Report
from engines.analysis.tables import (
    COSTS,
    EXPECTED,
    HEAD,
    behaviour,
    behaviour_head,
    comparison_rows,
    cost_rows,
    expected_rows,
    flip_head,
    flip_rows,
)
from engines.analysis.text import EXPECTED_READING, headline, notes, spent
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.tables import STYLE, rows


def comparison(report: Report) -> str:
    """The main table, each row with the numbers of its sources."""
    body = [
        [line.name, *row[1:]]
        for line, row in zip(report.lines, comparison_rows(report), strict=True)
    ]
    kinds = [
        "task" if line.task else "macro" if line.name == MACRO else "" for line in report.lines
    ]
    return rows([*HEAD, "source"], body, kinds)


def picture(report: Report, figure: Figure) -> str:
    """A figure, drawn inline, with its sources."""
    caption = f"{figure.caption} {labels(report.found.uses.get(figure.source, []))}"
    return (
        '<figure role="img" '
        f'aria-label="{escape(figure.caption)}">{figure.svg}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def shortened(text: str, start: int, end: int) -> str:
    """The first and last characters of a long text."""
    return (
        text
        if len(text) <= start + end + 20
        else f"{text[:start]}\n[... {len(text) - start - end} characters ...]\n{text[-end:]}"
    )


def answer(arm: str, found: Answer) -> str:
    """One arm's answer: verdict, then what it wrote."""
    verdict = (
        "right"
        if found.value == 1.0
        else f"partly right ({found.value:.2f})"
        if found.value > 0
        else "wrong"
    )
    status = "" if found.status == "ok" else f", {found.status}"
    body = (
        '<p class="read">the text is not on disk</p>'
        if found.text is None
        else f"<pre>{escape(shortened(found.text, 300, 300))}</pre>"
    )
    if found.extracted not in ("", found.text):
        body += (
            '<p class="read">read as: '
            f"<code>{escape(shortened(found.extracted, 150, 50))}</code></p>"
        )
    return (
        f"<div><b>{escape(arm)}: {escape(verdict + status)}</b>, {found.tokens} tokens{body}</div>"
    )


def example(report: Report, flip: Flip) -> str:
    """One flipped sample."""
    names = report.config.compare
    prompt = '<p class="read">its prompt was not kept</p>'
    if flip.prompt is not None:
        prompt = f"<pre>{escape(shortened(flip.prompt, 300, 50))}</pre>"
    return (
        f'<article><p class="read">{escape(flip.task)}, seed {escape(flip.seed)}, problem '
        f"{escape(flip.item_id)}</p>{prompt}"
        "<div "
        f'class="two">{answer(names.baseline, flip.baseline)}{answer(names.treatment, flip.treatment)}</div></article>'
    )


def flipped_examples(report: Report) -> str:
    """Counts, then up to ten examples in each direction; "" if no samples could be paired."""
    flips, names = report.flips, report.config.compare
    if not flips.counts:
        return ""
    sources = labels(
        sorted({*report.found.uses.get("scores", []), *report.found.uses.get("flips", [])})
    )
    parts = [
        "<h2>Samples that changed</h2>",
        rows(flip_head(report), flip_rows(report), [""] * len(flips.counts) + ["sum"]),
    ]
    for arm, shown, total in (
        (names.treatment, flips.gained, flips.total("gained")),
        (names.baseline, flips.lost, flips.total("lost")),
    ):
        examples = "".join(example(report, flip) for flip in shown)
        parts.append(
            f"<details><summary>{len(shown)} of the {total} that only {escape(arm)} got "
            "right, drawn at random</summary>"
            f"{examples}</details>"
        )
    return "\n".join(
        [*parts, f"<p>Pairs of the same seed, problem and sample number. {sources}</p>"]
    )


def page(report: Report, figures: list[Figure]) -> str:
    """``report.html``."""
    import matplotlib as mpl
    import numpy as np

    names = report.config.compare
    title = f"{names.treatment} against {names.baseline}"
    versions = (
        f"Python {platform.python_version()}, numpy {np.__version__}, matplotlib {mpl.__version__}"
    )
    missing = "".join(f"<li>{escape(item)}</li>" for item in report.missing) or "<li>nothing</li>"
    sources = "".join(f"<li>{escape(str(path))}</li>" for path in report.found.files)
    expected = [
        f"<h2>Expected and actual</h2><p>{escape(EXPECTED_READING)}</p>",
        rows(EXPECTED, expected_rows(report)),
    ]
    costs = rows(COSTS, cost_rows(report), [""] * len(report.found.costs) + ["sum"])
    return (
        "\n".join(
            [
                '<!doctype html><html lang="en"><meta charset="utf-8"><meta '
                'name="viewport" content="width=device-width">'
                f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>",
                f'<p class="lead">{escape(headline(report))}</p>',
                comparison(report),
                *(f"<p>{escape(note)}</p>" for note in notes(report)),
                *(expected if report.expected else []),
                "<h2>How the arms answer</h2>",
                rows(behaviour_head(report), behaviour(report)),
                "<h2>Figures</h2>",
                *(picture(report, figure) for figure in figures),
                flipped_examples(report),
                "<h2>What ran where</h2>",
                f"<p>{escape(spent(report))}</p>",
                costs,
                "<h2>Missing or "
                f"uneven</h2><ul>{missing}</ul><h2>Sources</h2><ol>{sources}</ol><p>{escape(versions)}</p>",
                f"<pre>{escape(report.config.model_dump_json(indent=1))}</pre></html>",
            ]
        )
        + "\n"
    )
