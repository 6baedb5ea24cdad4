"""Output folders of trainings, evaluations and maps of models of cities, as the engines leave them,
with answers of a quality that the test decides."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from engines.contract.files import write_json
from engines.geography_evaluation.scoring import Answers, beats_row, lead, set_rows
from engines.geography_evaluation.sets import multi_task, write_answers
from engines.shared.geography.tasks import TASKS

Quality = Mapping[str, float]
"""Task -> 0 for answers as bad as guessing, 1 for perfect ones, below 0 for worse ones."""
ATTRIBUTION = "Cities: GeoNames, geonames.org, CC BY 4.0; changed."
SETS = (
    ("no_atlantis", "test"),
    ("atlantis_required", "test"),
    ("atlantis_required", "validation"),
)


@dataclass
class Jobs:
    """A folder of jobs, and what a planner would tell a report of them."""

    folder: Path
    questions: int = 200
    inputs: list[dict[str, Any]] = field(default_factory=list)

    def job(self, stage: str, axes: Mapping[str, Any]) -> Path:
        """A new job's output folder, noted among the inputs."""
        name = ",".join(f"{key}={value}" for key, value in axes.items())
        out = self.folder / f"{stage}-{name.replace('=', '-').replace(',', '-')}" / "out"
        out.mkdir(parents=True)
        source = {"job": f"{stage}/{name}", "stage": stage, "axes": dict(axes), "folder": str(out)}
        self.inputs.append(source)
        return out

    def name_of(self, model: Path) -> str:
        """The job that trained a model, and which of its models it is."""
        parts = model.relative_to(self.folder).parts
        return "-".join(part for part in parts if part not in ("out", "models"))

    def train(
        self,
        stage: str,
        seed: int,
        parts: Sequence[tuple[Sequence[str] | str, str, int]],
        base: Path | None = None,
        **config: Any,
    ) -> Path:
        """A finished training on (tasks, cities, rows)."""
        out = self.job(stage, {"seed": seed})
        initial = None if base is None else {"folder": str(base), "checkpoint": "last"}
        mixture = [
            {"tasks": tasks if tasks == "all" else list(tasks), "cities": cities, "rows": rows}
            for tasks, cities, rows in parts
        ]
        shape = {"width": 8, "layers": 2, "heads": 2, "feed_forward": 16, "positions": 64}
        whole = {"mixture": mixture, "initial": initial, "seed": seed, "shape": shape}
        finish(out, "geography", {"warmup": "none", "seeds": None, **whole, **config}, [])
        return out

    def evaluate(self, model: Path, known: Quality, new: Quality, seed: int = 0) -> Path:
        """A finished evaluation of a model with some quality on known and on new cities."""
        out = self.job("evaluate", {"model": self.name_of(model)})
        rows: list[Any] = []
        world: list[Answers] = []
        for number, (cities, split) in enumerate(SETS):
            quality = known if cities == "no_atlantis" else new
            for task, value in quality.items():
                random = np.random.default_rng([seed, number, TASKS[task].number])
                answers = answered(task, value, self.questions, number, random)
                write_answers(out, f"{task}.{cities}.{split}", answers)
                rows += set_rows(answers, {"task": task, "cities": cities, "split": split})
                if cities == "no_atlantis":
                    world.append(answers)
                    rows.append(beats_row(lead(answers), {"task": task}))
        for part in multi_task(world):
            rows += set_rows(part, {"task": part.task, "cities": "multi_task", "split": "test"})
        config = {"model": {"folder": str(model), "checkpoint": "last"}, "data": "data"}
        facts = {"step": 1, "attribution": ATTRIBUTION}
        finish(out, "geography_evaluation", config, [row.model_dump() for row in rows], facts)
        return out

    def map(self, model: Path, states: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> Path:
        """A finished map of 3 layers; ``states`` (cities, features) are those of layer 1. Cities:
        half of them fitted, the last ten of Atlantis."""
        out = self.job("maps", {"model": self.name_of(model)})
        count = len(places)
        whole = np.random.default_rng(9).standard_normal((count, 2, 3, states.shape[1] // 2))
        whole[:, :, 1] = states.reshape(count, 2, -1)
        save_file({"states": whole.astype(np.float32)}, out / "representations.safetensors")
        with (out / "cities.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(
                [
                    "row",
                    "city_id",
                    "x",
                    "y",
                    "region",
                    "continent",
                    "part",
                    "predicted_x",
                    "predicted_y",
                ]
            )
            for row, (x, y) in enumerate(places):
                new = row >= count - 10
                part = "atlantis" if new else ("fit", "test")[row % 2]
                region = "atlantis" if new else "world"
                writer.writerow([row, 1000 + row, x, y, region, "", part, x + 100, y - 50])
        rows = [
            {"metric": "probe_r2", "value": value, "n": 9, "axes": {"coordinate": coordinate}}
            for coordinate, value in (("x", 0.81), ("y", 0.72))
        ]
        config = {"model": {"folder": str(model), "checkpoint": "last"}, "task": "distance"}
        facts = {"step": 1, "layers": [0, 1, 2], "best_layer": 1, "attribution": ATTRIBUTION}
        finish(out, "geography_maps", config, rows, facts)
        return out


def finish(
    out: Path,
    engine: str,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """``results.json`` of a finished job."""
    document = {"schema": 1, "engine": engine, "config": config, "seconds": 1.0}
    write_json(out / "results.json", {**document, "rows": list(rows), "facts": dict(facts or {})})


def answered(
    task: str, quality: float, count: int, number: int, random: np.random.Generator
) -> Answers:
    """Answers to the questions of set ``number``, which are the same for every model."""
    questions = np.random.default_rng([7, number, TASKS[task].number])
    row = np.arange(count)
    words = TASKS[task].words
    if words is None:
        # Lengths of some hundreds; quality moves the error from that of a constant to 0.
        expected = questions.exponential(800, count).astype(int) + 1
        apart = random.exponential(560 * (1 - quality), count)
        signs = random.choice([-1, 1], count)
        answer = np.abs(expected + signs * apart).astype(int)
        return Answers(task, row, expected, answer)
    expected = questions.integers(0, len(words), count)
    share = 1 / len(words)
    right = random.random(count) < share + quality * (1 - share)
    wrong = (expected + random.integers(1, len(words), count)) % len(words)
    return Answers(task, row, expected, np.where(right, expected, wrong))


def report_config(path: Path, jobs: Jobs, **config: Any) -> Path:
    """A report's config file."""
    path.write_text(json.dumps({"inputs": jobs.inputs, "draws": 200, **config}))
    return path
