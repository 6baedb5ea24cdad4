"""The differences in words: a sentence, a table, and the whole as plain text, CSV and a page.

In: the differences and what is missing. Out: text and HTML. Called by ``__main__``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

from engines.analysis.paired.config import Config
from engines.analysis.paired.differences import Difference
from engines.analysis.paired.load import Paired
from engines.shared.reporting.page import document, folded, items
from engines.shared.reporting.sources import ran
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import bullets, paragraph, probability

COLUMNS = (
    "stage",
    "setting",
    "metric",
    "baseline",
    "treatment",
    "difference",
    "low",
    "high",
    "p",
    "p_adjusted",
    "pairs",
    "verdict",
    "missing",
)
"""Of ``table.csv``; the last one says why there is no interval."""
METHOD = (
    "Differences are treatment minus baseline, paired by setting and seed. Intervals: 95 %, "
    "Student's t over seeds; p-values adjusted over all lines by Holm."
)


def sentence(found: Sequence[Difference], config: Config) -> str:
    """What is shown, in one sentence."""
    counts: dict[str, int] = {}
    for one in found:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    told = "; ".join(f"{verdict} ({count})" for verdict, count in counts.items())
    lines = "line" if len(found) == 1 else "lines"
    return (
        f"{config.treatment.label} against {config.baseline.label}, {len(found)} {lines}: {told}."
    )


def table(found: Sequence[Difference]) -> Table:
    """A line for each difference; columns that are empty throughout are left out."""
    head = [
        "metric",
        "stage",
        "setting",
        "baseline",
        "treatment",
        "difference",
        "p",
        "n",
        "verdict",
    ]
    rows = [
        [
            one.line.metric,
            one.line.stage,
            one.line.setting,
            f"{one.baseline:.4g}",
            f"{one.treatment:.4g}",
            change(one),
            probability(one.adjusted),
            str(len(one.line.pairs)),
            one.verdict,
        ]
        for one in found
    ]
    whole = Table(head, rows)
    columns = zip(head, zip(*rows, strict=True), strict=True)
    return whole.without(*(name for name, cells in columns if not any(cells)))


def change(one: Difference) -> str:
    """``+0.012 [-0.003, +0.027]``."""
    if one.interval is None:
        return f"{one.difference:+.4g}"
    return f"{one.difference:+.4g} [{one.interval.low:+.4g}, {one.interval.high:+.4g}]"


def plain(found: Sequence[Difference], paired: Paired, config: Config) -> str:
    """``report.txt``."""
    parts = [paragraph(sentence(found, config)), table(found).plain(), paragraph(METHOD)]
    if paired.missing:
        parts.append(bullets("Missing", paired.missing))
    return "\n\n".join(parts) + "\n"


def page(found: Sequence[Difference], paired: Paired, config: Config) -> str:
    """``report.html``: one file that names nothing outside itself."""
    title = f"{config.treatment.label} against {config.baseline.label}"
    parts = [f'<p class="lead">{escape(sentence(found, config))}</p>', table(found).html()]
    parts.append(f"<p>{escape(METHOD)} {escape(paired.sources.label('scores'))}</p>")
    if paired.missing:
        parts.append(folded("Missing", f"<ul>{items(paired.missing)}</ul>"))
    parts.append(folded("Sources", f"<ol>{items(paired.sources.files)}</ol>"))
    return document(title, parts, about=ran(paired.sources.files))


def table_csv(found: Sequence[Difference]) -> str:
    """``table.csv``: numbers with all their digits, an empty cell for one that is not there."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in found:
        low = high = None
        if one.interval is not None:
            low, high = one.interval.low, one.interval.high
        values = {
            "stage": one.line.stage,
            "setting": one.line.setting,
            "metric": one.line.metric,
            "baseline": one.baseline,
            "treatment": one.treatment,
            "difference": one.difference,
            "low": low,
            "high": high,
            "p": one.p,
            "p_adjusted": one.adjusted,
            "pairs": len(one.line.pairs),
            "verdict": one.verdict,
            "missing": one.verdict if one.interval is None else "",
        }
        writer.writerow({name: "" if value is None else value for name, value in values.items()})
    return text.getvalue()
