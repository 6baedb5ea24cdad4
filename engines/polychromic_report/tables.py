"""The tables of the report.

In: the report. Out: tables by heading, in the order of the page. Called by ``__main__``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from engines.contract.results import Cost
from engines.polychromic_report.adapters import spectra
from engines.polychromic_report.compare import Change
from engines.polychromic_report.load import Setting, Training
from engines.polychromic_report.report import DIFFERENCES, Report
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import metric_words

Tables = dict[str, Table]
SHOWN = (
    "distinct_1_rarefied",
    "distinct_2_rarefied",
    "semantic_diversity",
    "vendi_share",
    "self_bleu",
    "unique_valid",
    "valid_share",
    "reply_words",
    "test_cross_entropy",
)
"""Columns of the first table of metrics."""
BESIDE = (
    "distinct_1",
    "distinct_2",
    "distinct_3",
    "ead_1",
    "ead_2",
    "compression_ratio",
    "rouge_1",
    "rouge_2",
    "rouge_l",
)
"""Metrics with a bias that the first ones do not have, or of one greedy reply."""
SIGNAL = {
    "gradient_norm_quality": "norm, cross-entropy",
    "gradient_norm_diversity": "norm, term",
    "gradient_cosine": "cosine of the two",
    "set_diversity": "diversity",
    "valid_share": "valid",
    "sample_tokens": "tokens",
    "cut_share": "cut",
}
"""What a training logs of its two parts."""
SHARE = re.compile("distinct|self_bleu|valid_share|vendi_share|rouge|pass_at")
"""How metrics between 0 and 1 are called from their first letter on."""
DASH = "-"


def make_tables(report: Report) -> Tables:
    """Every table that has a row."""
    tables = {
        "What the decision tree asked": asked(report),
        "Changes against the arm without the term": changes(report),
        "Levels, mean over prompts and seeds": levels(report, SHOWN),
        "The same with metrics of known bias, and greedy replies": levels(report, BESIDE),
        "Chance that one of k replies is valid": levels(report, pass_metrics(report)),
        "The two parts of the training signal": signal(report),
        "What the adapters add (Frobenius norm and effective rank, mean over layers and seeds)": (
            spectra(report)
        ),
        "Costs": costs(report),
    }
    return {heading: table for heading, table in tables.items() if table.rows}


def asked(report: Report) -> Table:
    """One row per question and arm."""
    head = ["question", "arm", "gain, %", "gained", "quality kept", "reached"]
    rows = []
    for family in report.families:
        for one in family.conclusion.asked:
            question = f"{one.level.name}: above {100 * one.level.above:g} %"
            rows.append(
                [
                    question,
                    one.arm.name,
                    in_percent(one.arm.diversity),
                    one.diversity,
                    one.quality.kept,
                    "yes" if one.reached else "no",
                ]
            )
    return Table(head, rows)


def changes(report: Report) -> Table:
    """Every arm with the term against the one without."""
    metrics = dict.fromkeys((report.config.metric, "unique_valid", "valid_share", "self_bleu"))
    metrics["test_cross_entropy"] = None
    head = ["arm", "seeds"]
    for name in metrics:
        unit = "" if name in DIFFERENCES else ", %"
        head.append(f"{metric_words(name)}{unit}")
    rows = []
    for arm in report.arms:
        if arm.weight == 0:
            continue
        found = [report.change(arm, name) for name in metrics]
        seeds = max((one.estimate.seeds for one in found if isinstance(one, Change)), default=0)
        cells = []
        for name, one in zip(metrics, found, strict=True):
            cells.append(signed(one) if name in DIFFERENCES else in_percent(one))
        rows.append([arm.label, str(seeds), *cells])
    return Table(head, rows)


def levels(report: Report, metrics: Sequence[str]) -> Table:
    """One row per arm, and one for the model that they began with."""
    models = report.inputs.models
    known = [name for name in metrics if any(name in model.values for model in models)]
    rows = []
    base = report.inputs.base
    if base is not None and known:
        cells = [
            f"{np.nanmean(base.values[name]):.3f}" if name in base.values else DASH
            for name in known
        ]
        rows.append(["before fine-tuning", *cells])
    for arm in report.arms:
        cells = [level(report.level(arm, name), name) for name in known]
        if any(cell != DASH for cell in cells):
            rows.append([arm.label, *cells])
    return Table(["arm", *map(metric_words, known)], rows)


def pass_metrics(report: Report) -> list[str]:
    """``pass_at_1`` and so on, as far as they were asked for."""
    names = {name for model in report.inputs.models for name in model.values}
    found = [name for name in names if name.startswith("pass_at_")]
    return sorted(found, key=lambda name: int(name.rsplit("_", 1)[1]))


def signal(report: Report) -> Table:
    """What pulled how hard, mean over the training and its seeds."""
    head = ["arm", "lambda", *SIGNAL.values()]
    rows = []
    for arm in report.arms:
        trainings = report.inputs.trained(arm)
        means = [over_training(trainings, name) for name in SIGNAL]
        if any(mean is not None for mean in means):
            cells = [DASH if mean is None else f"{mean:.3g}" for mean in means]
            rows.append([arm.label, lambdas(trainings), *cells])
    return Table(head, rows)


def over_training(trainings: Sequence[Training], name: str) -> float | None:
    """Mean over all logged steps of all seeds; None where nothing was logged."""
    values = [
        line["metrics"][name]
        for training in trainings
        for line in training.curve
        if name in line["metrics"]
    ]
    return float(np.mean(values)) if values else None


def lambdas(trainings: Sequence[Training]) -> str:
    """The weight that reached the gradient, as the trainings measured it."""
    values = {
        row.value
        for training in trainings
        for row in training.rows
        if row.metric == "lambda_effective" and row.value is not None
    }
    return ", ".join(f"{value:g}" for value in sorted(values)) or DASH


def costs(report: Report) -> Table:
    """GPU and CPU hours of each arm, and money where a price is known."""
    head = ["arm", "jobs", "CPU hours", "GPU hours"]
    price = report.config.price_per_gpu_hour
    if price is not None:
        head.append(report.config.currency)
    rows = []
    for arm in report.arms:
        found = [one.cost for one in report.inputs.trained(arm)]
        rows.append(cost_row(arm.label, found, price))
    others = [
        cost
        for job, cost in report.inputs.costs.items()
        if job not in {one.job for one in report.inputs.trainings}
    ]
    if others:
        rows.append(cost_row("everything else", others, price))
    every = list(report.inputs.costs.values())
    rows.append(cost_row("sum", every, price))
    return Table(head, rows, [""] * (len(rows) - 1) + ["sum"])


def cost_row(name: str, found: Sequence[Cost | str], price: float | None) -> list[str]:
    """One line of the costs; a sum over jobs of which some have no known cost is a lower bound."""
    known = [one for one in found if isinstance(one, Cost)]
    bound = ">= " if len(known) < len(found) or any(one.unknown for one in known) else ""
    gpu_hours = sum(one.gpu_hours for one in known)
    row = [
        name,
        str(len(found)),
        f"{bound}{sum(one.cpu_hours for one in known):.3g}",
        f"{bound}{gpu_hours:.3g}",
    ]
    return row if price is None else [*row, f"{bound}{gpu_hours * price:.2f}"]


def level(value: Interval | float | None, metric: str) -> str:
    """A mean, with its interval over seeds; that of a share ends where shares do."""
    if value is None:
        return DASH
    if not isinstance(value, Interval):
        return f"{value:.3f}"
    low, high = value.low, value.high
    if SHARE.match(metric):
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{value.value:.3f} [{low:.3f}, {high:.3f}]"


def in_percent(change: Change | str) -> str:
    """A relative change with its interval, in per cent."""
    if isinstance(change, str):
        return DASH
    one = change.interval
    return f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def signed(change: Change | str) -> str:
    """A difference with its interval."""
    if isinstance(change, str):
        return DASH
    one = change.interval
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def without_values(report: Report, arm: Setting) -> list[str]:
    """Why an arm has no change of the tree's metrics, in words."""
    names = (report.config.metric, "unique_valid")
    found = [report.change(arm, name) for name in names]
    return [f"{arm.label}: {one}" for one in found if isinstance(one, str)]
