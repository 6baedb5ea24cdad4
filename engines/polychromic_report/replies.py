"""The replies of every arm to a few prompts, side by side.

In: the report. Out: texts. Called by page.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from engines.polychromic_report.load import Evaluated
from engines.polychromic_report.report import Report

REPLIES = 4
"""Of each arm to a prompt."""


@dataclass(frozen=True)
class Told:
    """One reply."""

    text: str
    valid: bool


@dataclass(frozen=True)
class Shown:
    """One prompt with the first replies of each arm."""

    prompt: str
    by_arm: dict[str, list[Told]]


def shown_prompts(report: Report) -> list[Shown]:
    """The first prompts of the evaluation; of each arm the model of its first seed."""
    models = {}
    if report.inputs.base is not None:
        models["before fine-tuning"] = report.inputs.base
    for arm in report.arms:
        evaluated = report.inputs.evaluated(arm)
        if evaluated:
            models[arm.label] = evaluated[0]
    read = {
        label: first_lines(model, report.config.prompts_shown) for label, model in models.items()
    }
    if not read:
        return []
    found = []
    for lines in zip(*read.values(), strict=False):
        by_arm = {
            label: [Told(one["text"], one["reason"] is None) for one in line["samples"][:REPLIES]]
            for label, line in zip(read, lines, strict=True)
        }
        found.append(Shown(lines[0]["prompt"], by_arm))
    return found


def first_lines(model: Evaluated, count: int) -> list[dict[str, Any]]:
    """The first lines of a model's samples, one per prompt."""
    found: list[dict[str, Any]] = []
    with (model.folder / "samples.jsonl").open(encoding="utf-8") as file:
        for line in file:
            if len(found) == count:
                break
            found.append(json.loads(line))
    return found
