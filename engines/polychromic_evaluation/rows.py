"""What the results hold: a row per model and measure, and notes for whoever reads them.

In: measures of all models, adapters' spectra, the judge's verdicts. Out: rows of ``results.json``,
``models/<name>/prompts.npz``, and facts. Called last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from engines.contract.results import Row
from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.judge.comparing import Judged, Verdicts
from engines.polychromic_evaluation.measures import ORDERS, Array, Measures, Shared
from engines.polychromic_evaluation.models import Axes, Model
from engines.polychromic_evaluation.samples import folder_of
from engines.polychromic_evaluation.spectra import Spectrum
from engines.shared.reporting.statistics import standard_error

PASS_AT = re.compile(r"pass_at_(\d+)")
SATURATED = 0.95
"""Of pass@1: above it hardly a sample fails, and pass@k tells no models apart."""


def write_arrays(out: Path, model: Model, ids: Sequence[str], measures: Measures) -> None:
    """``prompts.npz``: ``ids``, and one float64 array per measure, by rename."""
    path = folder_of(out, model) / "prompts.npz"
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        # Text of a fixed width: an array of objects would be a pickle.
        arrays: dict[str, Any] = {"ids": np.array(ids, dtype=np.str_), **measures}
        np.savez(file, **arrays)
        file.flush()
        # Without it a crash of the machine may leave the new name with no content.
        os.fsync(file.fileno())
    temporary.replace(path)


def measured_rows(model: Model, measures: Measures) -> list[Row]:
    """The mean of each measure over the prompts that have a value, with its standard error."""
    rows = []
    for name, values in measures.items():
        axes: Axes = dict(model.axes)
        k = PASS_AT.fullmatch(name)
        if k is not None:
            axes["k"] = int(k[1])
        rows.append(mean_row("pass_at_k" if k else name, values, axes))
    return rows


def mean_row(metric: str, values: Array, axes: Axes) -> Row:
    """Mean over the prompts where it is defined."""
    known = values[~np.isnan(values)]
    if not len(known):
        error = f"is not defined for any of {len(values)} prompts"
        return Row(metric=metric, value=None, n=0, axes=axes, error=error)
    spread = standard_error(known)
    return Row(metric=metric, value=float(known.mean()), n=len(known), spread=spread, axes=axes)


def spectrum_rows(model: Model, spectra: Sequence[Spectrum]) -> list[Row]:
    """One row per measure and layer of an adapter."""
    rows = []
    for one in spectra:
        axes: Axes = {**model.axes, "layer": one.layer}
        rows.append(Row(metric="frobenius_norm", value=one.frobenius_norm, n=1, axes=axes))
        rows.append(Row(metric="spectral_norm", value=one.spectral_norm, n=1, axes=axes))
        if one.effective_rank is None:
            error = "the adapter adds nothing to this layer"
            rows.append(Row(metric="effective_rank", value=None, n=0, axes=axes, error=error))
        else:
            rows.append(Row(metric="effective_rank", value=one.effective_rank, n=1, axes=axes))
    return rows


def judged_rows(model: Model, judged: Judged, ended: str | None) -> list[Row]:
    """What the judge has said of one model."""
    axes: Axes = dict(model.axes)
    rows = []
    if np.isnan(judged.win_rate).all():
        error = ended or "no comparison has an answer in both orders"
        rows.append(Row(metric="win_rate", value=None, n=0, axes=axes, error=error))
    else:
        rows.append(mean_row("win_rate", judged.win_rate, axes))
    decisions = judged.for_first + judged.for_second
    answers = decisions + judged.ties
    shares = {
        "first_position_share": (judged.for_first, decisions, "the judge decided for neither"),
        "tie_share": (judged.ties, answers, "the judge gave no answer that can be read"),
    }
    for metric, (part, whole, error) in shares.items():
        if whole:
            rows.append(Row(metric=metric, value=part / whole, n=whole, axes=axes))
        else:
            rows.append(Row(metric=metric, value=None, n=0, axes=axes, error=error))
    return rows


def notes(
    config: Config,
    measures: Mapping[str, Measures],
    shared: Shared,
    too_long: int,
    embedder: str,
) -> list[str]:
    """What a reader of the numbers must know, in words."""
    prompts = len(shared.drawn[1])
    said = [
        f"Every measure of a set is over {config.samples} samples to each of {prompts} prompts at "
        f"temperature {config.temperature:g}, top_p {config.top_p:g}, {config.max_new_tokens} "
        "tokens at most.",
        *(rarefied_note(n, shared.drawn[n]) for n in ORDERS),
        f"EAD counts with {shared.words} words, all that the models together used.",
        f"Embeddings are by {embedder}"
        + (", which knows words and no meaning." if embedder.startswith("hashing") else "."),
    ]
    saturated = [name for name, own in measures.items() if is_saturated(own)]
    if saturated:
        said.append(
            f"pass@k is saturated, no evidence: above {SATURATED:g} at k = 1 for {len(saturated)} "
            f"of {len(measures)} models."
        )
    if too_long:
        said.append(f"{too_long} prompts were left out: too long for the model's positions.")
    return said


def rarefied_note(n: int, drawn: Sequence[int]) -> str:
    """The m of a rarefied measure."""
    known = [m for m in drawn if m]
    if not known:
        return f"distinct_{n}_rarefied is not defined: no prompt has such n-grams in every model."
    text = (
        f"distinct_{n}_rarefied draws m n-grams of each prompt, the fewest that any model has "
        f"there: {min(known)} to {max(known)}, median {median(known):g}"
    )
    left_out = len(drawn) - len(known)
    return f"{text}; {left_out} prompts have none in some model." if left_out else f"{text}."


def is_saturated(measures: Measures) -> bool:
    """Whether hardly a sample fails."""
    # pass@1 is the valid share, asked for or not.
    return float(measures["valid_share"].mean()) > SATURATED


def judge_notes(verdicts: Verdicts) -> list[str]:
    """What the judge has cost, and why it ended early."""
    said = [f"The judge was to cost {verdicts.most:.4g} at most; it cost {verdicts.spent:.4g}."]
    unread = sum(judged.unread for judged in verdicts.models.values())
    if unread:
        said.append(f"{unread} answers of the judge named neither A, B nor tie, or several.")
    if verdicts.ended is not None:
        said.append(f"The judge ended early: {verdicts.ended}")
    return said


def model_facts(model: Model) -> dict[str, Any]:
    """What tells a model and its folder."""
    return {
        "name": model.name,
        "job": model.job,
        "folder": f"models/{model.name}",
        "axes": dict(model.axes),
        "checkpoint": model.manifest.name if model.manifest else None,
        "step": model.manifest.step if model.manifest else None,
        "fingerprint": model.fingerprint,
        "is_adapter": model.is_adapter,
    }
