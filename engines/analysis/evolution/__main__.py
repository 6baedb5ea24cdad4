"""``python -m engines.analysis.evolution CONFIG --out FOLDER``."""

from __future__ import annotations

import sys
import time
from html import escape
from importlib.util import find_spec
from pathlib import Path

from engines.analysis.evolution.config import Config
from engines.analysis.evolution.figures import draw
from engines.analysis.evolution.load import Series, read_evolution
from engines.analysis.evolution.rows import facts, tidy
from engines.analysis.evolution.seeds import ARMS, arm_rows, uneven
from engines.analysis.evolution.stopping import RULES
from engines.analysis.evolution.text import (
    CHECKPOINTS,
    CHECKS,
    READING,
    STOPPING,
    Told,
    check_rows,
    checkpoint_rows,
    detectable_line,
    domain_rows,
    judge,
    markdown,
    plain,
    sentence,
    stopping_rows,
)
from engines.analysis.load import labels
from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, program
from engines.contract.results import write_results
from engines.contract.tidy import csv_text, with_ends, write_parquet
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.tables import STYLE, rows


def page(told: Told, figures: list[Figure]) -> str:
    """``report.html``: one file, nothing outside it is named."""
    found = told.evolved.found
    title = "Checkpoints over training"
    pictures = [
        '<figure role="img" '
        f'aria-label="{escape(one.caption)}">{one.svg}<figcaption>{escape(one.caption)} '
        f"{labels(found.uses.get(one.source, []))}</figcaption></figure>"
        for one in figures
    ]
    missing = "".join(f"<li>{escape(item)}</li>" for item in found.missing) or "<li>nothing</li>"
    rules = "".join(
        f"<li><b>{escape(name)}</b>: {escape(rule)}</li>" for name, rule in RULES.items()
    )
    return (
        "\n".join(
            [
                '<!doctype html><html lang="en"><meta charset="utf-8"><meta '
                'name="viewport" content="width=device-width">'
                f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>",
                *(
                    f'<p class="lead">{escape(sentence(told, one))}</p>'
                    for one in told.evolved.series
                ),
                pictures[0],
                *(
                    ["<h2>Means over seeds</h2>", rows(ARMS, arm_rows(told))]
                    if arm_rows(told)
                    else []
                ),
                "<h2>Where to stop</h2>",
                rows(STOPPING, stopping_rows(told)),
                f"<p>{escape(READING)}</p>",
                "<h2>Alarms</h2>",
                f"<ul>{rules}</ul>",
                *(checks_of(told, one) for one in told.evolved.series),
                f"<p>{escape(detectable_line(told))}</p>",
                "<h2>How the models answer</h2>",
                pictures[1],
                rows(CHECKPOINTS, checkpoint_rows(told)),
                "<h2>Domains</h2>",
                rows(["training", "checkpoint", *told.evolved.domains()], domain_rows(told)),
                f"<h2>Missing or uneven</h2><ul>{missing}</ul>",
                f"<h2>Sources</h2><ol>{''.join(f'<li>{escape(str(path))}</li>' for path in found.files)}</ol></html>",
            ]
        )
        + "\n"
    )


def checks_of(told: Told, series: Series) -> str:
    """The rules looked at for one training, alarms in bold; "" if there are none."""
    checks = [check for check in told.checks if check.series == series.name]
    if not checks:
        return ""
    kinds = ["macro" if check.raised else "" for check in checks]
    return f"<h3>{escape(series.label)}</h3>" + rows(
        CHECKS[1:], [row[1:] for row in check_rows(told, checks)], kinds
    )


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    told = judge(read_evolution(config))
    told.evolved.found.missing += uneven(told)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(told, out / "figures")
    lines, seeds = tidy(told), [ARMS, *arm_rows(told)] if arm_rows(told) else []
    for name, text in {
        "report.txt": plain(told, seeds),
        "report.md": markdown(told, figures, seeds),
        "report.html": page(told, figures),
        "tidy.csv": csv_text(lines),
    }.items():
        write_text(out / name, text)
    if find_spec("pyarrow"):
        write_parquet(out / "tidy.parquet", lines)
    write_results(
        out,
        "analysis.evolution",
        config,
        [with_ends(line) for line in lines],
        time.monotonic() - start,
        facts(told),
    )
    print(plain(told, seeds))


if __name__ == "__main__":
    sys.exit(program("analysis.evolution", Config, run))
