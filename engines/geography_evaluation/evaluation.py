"""The evaluation: every set is answered once, kept, and judged.

In: the config and the output folder, perhaps with finished sets of an earlier start. Out: rows of
``results.json``, written last.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch

from engines.contract import checkpoints
from engines.contract.config import ConfigError, same_config
from engines.contract.files import write_json
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.geography_evaluation.answering import answer
from engines.geography_evaluation.config import MULTI_TASK, Config
from engines.geography_evaluation.scoring import Answers, beats_row, lead, set_rows
from engines.geography_evaluation.sets import (
    Asked,
    asked_sets,
    multi_task,
    read_answers,
    read_asked,
    write_answers,
)
from engines.shared.geography.network.device import chosen_device
from engines.shared.geography.network.weights import read_model
from engines.shared.geography.questions.origin import check_origin
from engines.shared.geography.questions.store import read_world

BEGUN = "evaluation.json"
"""Says of which model, with which config, the finished sets are."""


def evaluate(config: Config, out: Path, stop: Stop) -> None:
    """Answer what is not yet answered, then write the results."""
    started = time.monotonic()
    torch.set_num_threads(config.cpu_threads)
    chosen = checkpoints.named(Path(config.model.folder), config.model.checkpoint)
    check_origin(chosen.model, Path(config.data))
    check_begun(config, out, chosen.manifest.fingerprint)
    answers = answer_all(config, out, stop, chosen.model)
    together = multi_task_answers(config, answers)
    for name, part in together.items():
        write_answers(out, name, part)
    rows = all_rows(answers, together)
    facts = {
        "checkpoint": chosen.manifest.name,
        "step": chosen.manifest.step,
        "fingerprint": chosen.manifest.fingerprint,
        "sets": count_sets(config),
        "questions": sum(len(one) for one in answers.values()),
        "attribution": read_world(Path(config.data)).attribution,
    }
    write_results(out, "geography_evaluation", config, rows, time.monotonic() - started, facts)


def check_begun(config: Config, out: Path, fingerprint: str) -> None:
    """Note whose answers these are; ConfigError if an earlier start asked another model or with
    another config."""
    path = out / BEGUN
    if not path.exists():
        write_json(path, {"config": config.model_dump(mode="json"), "fingerprint": fingerprint})
        return
    try:
        begun = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); delete {out} and start again"
        ) from error
    same_config(config, begun["config"], path)
    if begun["fingerprint"] != fingerprint:
        raise ConfigError(
            f"{path}: the sets there were answered by other weights than "
            f"{config.model.folder} has now; give a new --out folder"
        )


def answer_all(config: Config, out: Path, stop: Stop, folder: Path) -> dict[Asked, Answers]:
    """The answers to every set, from an earlier start or new; the model is loaded once."""
    sets, counted = asked_sets(config), count_sets(config)
    progress, began = Progress(out), time.monotonic()
    world = read_world(Path(config.data))
    shape, parameters = read_model(folder)
    device = chosen_device(config.device)
    parameters = {name: tensor.to(device) for name, tensor in parameters.items()}
    found: dict[Asked, Answers] = {}
    asked_now = tested = 0
    for number, asked in enumerate(sets, start=1):
        if stop.requested:
            raise Interrupted("finished sets are kept; start it again")
        questions, places = read_asked(config, asked)
        kept = read_answers(out, asked.name, asked.task)
        if kept is not None and not np.array_equal(kept.expected, questions.answers):
            raise ConfigError(
                f"{config.data}: {asked.name} holds other questions than when {out} was begun; "
                "give a new --out folder"
            )
        if kept is None:
            given = answer(parameters, shape, world, questions, stop)
            kept = Answers(asked.task, places, questions.answers, given)
            write_answers(out, asked.name, kept)
            asked_now += 1
        found[asked] = kept
        tested += asked.split == "test"
        # The phase names the set, so the pace of a phase says nothing: the end is told instead.
        each = (time.monotonic() - began) / max(1, asked_now)
        progress.write(tested, counted, {"seconds_left": each * (len(sets) - number)}, asked.name)
    # The set of all tasks is read off these answers.
    progress.write(counted, counted, {}, "all sets")
    return found


def count_sets(config: Config) -> int:
    """The sets that an evaluation is said to have: its tests, of which the one of all tasks counts
    as one. Validation questions are there for whoever chooses by them, and are none."""
    tests = sum(asked.split == "test" for asked in asked_sets(config))
    return tests + (MULTI_TASK in config.test)


def multi_task_answers(config: Config, answers: dict[Asked, Answers]) -> dict[str, Answers]:
    """The parts of the set of all tasks by name; nothing where it is not asked for."""
    if MULTI_TASK not in config.test:
        return {}
    parts = multi_task([answers[Asked(task, "no_atlantis", "test")] for task in config.names])
    return {f"{part.task}.{MULTI_TASK}.test": part for part in parts}


def all_rows(answers: dict[Asked, Answers], together: dict[str, Answers]) -> list[Row]:
    """The rows of every set, then one ``beats_constant`` per task for gates, with the task as its
    only axis: that of the test on real cities."""
    rows: list[Row] = []
    for asked, one in answers.items():
        rows += set_rows(one, {"task": asked.task, "cities": asked.cities, "split": asked.split})
    for part in together.values():
        rows += set_rows(part, {"task": part.task, "cities": MULTI_TASK, "split": "test"})
    for asked, one in answers.items():
        if (asked.cities, asked.split) == ("no_atlantis", "test"):
            rows.append(beats_row(lead(one), {"task": asked.task}))
    return rows
