"""What trainings with a diversity term and their evaluation leave, planted: arms whose gains are
known. ``plant`` writes it, the report reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract.results import ResultSource, Row, write_results
from engines.polychromic.config import Config as TrainingConfig
from engines.polychromic_evaluation.config import Config as EvaluationConfig

Axes = dict[str, str | int | float | bool]
PROMPTS, SAMPLES = 80, 10
LEVELS = {"distinct_2_rarefied": 0.5, "unique_valid": 8.0, "test_cross_entropy": 1.0}
"""Of the arm without the term."""


@dataclass(frozen=True)
class Planted:
    """One arm: how far its means lie from those of the arm without the term, as shares."""

    weight: float
    gate: str = "quality"
    gain: float = 0.0
    valid: float = 0.0
    cross_entropy: float = 0.0
    samples: int = 8
    """Of its training."""
    warnings: tuple[str, ...] = ()


def plant(
    folder: Path, arms: Sequence[Planted], seeds: Sequence[int] = (0, 1, 2), judged: bool = False
) -> list[ResultSource]:
    """Trainings of all arms and seeds, one evaluation, and a base; the inputs of the report."""
    random = np.random.default_rng(5)
    out = folder / "evaluate" / "out"
    ids = [f"p{number}" for number in range(PROMPTS)]
    # What makes a prompt easy or hard does so for every model.
    easy = random.normal(0, 0.1, PROMPTS)
    models = [plant_model(out, "base", None, ids, LEVELS, easy, random)]
    sources = []
    for arm in arms:
        for seed in seeds:
            job = f"train/weight={arm.weight:g},gate={arm.gate},seed={seed}"
            name = job.replace("/", "-")
            sources.append(plant_training(folder / name / "out", job, arm, seed))
            shares = (arm.gain, arm.valid, arm.cross_entropy)
            levels = {
                key: level * (1 + share + random.normal(0, 0.003))
                for (key, level), share in zip(LEVELS.items(), shares, strict=True)
            }
            if judged and arm.weight:
                levels["win_rate"] = 0.5
            models.append(plant_model(out, name, job, ids, levels, easy, random))
    config = EvaluationConfig(base="base", data="data", inputs=sources)
    facts = {"models": models, "notes": ["Every measure of a set is over 10 samples."]}
    write_results(out, "polychromic_evaluation", config, [], 60.0, facts)
    write_cost(out, 0.5)
    return [
        *sources,
        ResultSource(job="evaluate", stage="evaluate", axes={}, folder=str(out)),
    ]


def plant_training(out: Path, job: str, arm: Planted, seed: int) -> ResultSource:
    """What one training leaves."""
    out.mkdir(parents=True)
    config = TrainingConfig.model_validate(
        {
            "model": "base",
            "data": "data",
            "seed": seed,
            "diversity": {"weight": arm.weight, "gate": arm.gate, "samples": arm.samples},
        }
    )
    lines = []
    for step in range(1, 41):
        metrics = {"cross_entropy": 2.0 - step / 40}
        if arm.weight:
            metrics |= {"set_diversity": 0.5 + arm.gain * step / 40, "valid_share": 0.8}
            metrics |= {"gradient_norm_quality": 2.0, "gradient_norm_diversity": 0.25}
            metrics |= {"gradient_cosine": -0.1, "sample_tokens": 6.0, "cut_share": 0.0}
        line = {"step": step, "total": 40, "time": 1e9 + step, "phase": "train", "metrics": metrics}
        lines.append(json.dumps(line))
        if step % 10 == 0:
            own = {"validation_cross_entropy": 1.5 - step / 80}
            lines.append(json.dumps({**line, "phase": "validation", "metrics": own}))
    (out / "progress.jsonl").write_text("\n".join(lines) + "\n")
    rows = [Row(metric="lambda_effective", value=arm.weight, n=1)]
    write_results(out, "polychromic", config, rows, 60.0, {"warnings": list(arm.warnings)})
    write_cost(out, 2.0)
    axes: Axes = {"weight": arm.weight, "gate": arm.gate, "seed": seed}
    return ResultSource(job=job, stage="train", axes=axes, folder=str(out))


def plant_model(
    out: Path,
    name: str,
    job: str | None,
    ids: list[str],
    levels: dict[str, float],
    easy: np.ndarray,
    random: np.random.Generator,
) -> dict[str, object]:
    """The replies and measures of one model; what the evaluation's facts say of it."""
    folder = out / "models" / name
    folder.mkdir(parents=True)
    values = {}
    for metric, level in levels.items():
        values[metric] = level * (1 + easy + random.normal(0, 0.02, len(ids)))
    values["pass_at_1"] = np.full(len(ids), 0.8)
    arrays: dict[str, Any] = {"ids": np.array(ids, dtype=np.str_), **values}
    np.savez(folder / "prompts.npz", **arrays)
    with (folder / "samples.jsonl").open("w") as file:
        for one in ids:
            samples = [
                {"text": f"<b>{name}</b> {n}", "reason": "too short" if n == 1 else None}
                for n in range(SAMPLES)
            ]
            file.write(
                json.dumps({"id": one, "prompt": f"prompt {one}", "samples": samples}) + "\n"
            )
    if job is not None:
        plant_spectra(folder)
    return {"name": name, "job": job, "folder": f"models/{name}"}


def plant_spectra(folder: Path) -> None:
    """Two layers of one kind, of which one gets nothing from the adapter."""
    layers = [
        {"layer": "model.layers.0.q_proj", "frobenius_norm": 2.0, "effective_rank": 4.0},
        {"layer": "model.layers.1.q_proj", "frobenius_norm": 0.0, "effective_rank": None},
        {"layer": "model.layers.0.up_proj", "frobenius_norm": 3.0, "effective_rank": 5.5},
    ]
    (folder / "spectra.json").write_text(json.dumps(layers))


def write_cost(out: Path, gpu_hours: float) -> None:
    """What the node writes beside results."""
    cost: dict[str, Any] = {
        "schema": 1,
        "seconds": 3600.0,
        "cpu_hours": 4.0,
        "gpu_hours": gpu_hours,
        "attempts": 1,
    }
    cost |= {"requeues": 0, "hosts": ["n1"], "cpus": 4, "gpus": 1, "memory_gb": 8, "unknown": []}
    (out / "cost.json").write_text(json.dumps(cost))
