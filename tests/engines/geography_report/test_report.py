"""The report on models of cities, from the folders that jobs leave to its text, page and rows."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.contract.config import ConfigError
from engines.geography_report.config import Config
from engines.geography_report.load import read_jobs
from engines.geography_report.report import Report, make_report
from engines.geography_report.text import headline
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS
from tests.support.browsing import ill_read
from tests.support.city_reports import ATTRIBUTION, Jobs, report_config
from tests.support.paths import ROOT

GOOD = dict.fromkeys(TASKS, 0.8)
GUESSING = dict.fromkeys(TASKS, -0.05)
LEARNED = {**GOOD, "crossing": -0.05}
"""Of bases: all tasks but one."""
NEW = dict.fromkeys(TASKS, 0.1)
PLACES = np.random.default_rng(0).integers(-900, 900, (40, 2))


def fine_tune(
    jobs: Jobs, base: Path, trained: tuple[str, ...], seed: int, warmup: str = "required"
) -> Path:
    parts = [(trained, "no_atlantis", 200), (trained, "atlantis_required", 1000)]
    return jobs.train(f"tune-{'-'.join(trained)}", seed, parts, base, warmup=warmup)


def experiment(
    jobs: Jobs, known: dict[str, float], seeds: int = 3, pairs: int = 3, maps: bool = False
) -> None:
    """Bases, all specialists and the first pairs, with ``maps`` of the bases and specialists."""
    for seed in range(seeds):
        base = jobs.train("base", seed, [("all", "no_atlantis", 1000)])
        jobs.evaluate(base, known, NEW, seed)
        if maps:
            jobs.map(base, state_of(seed, 0), PLACES)
        for number, trained in enumerate([*((task,) for task in TASKS), *PUBLISHED_PAIRS[:pairs]]):
            model = fine_tune(jobs, base, trained, seed)
            new = {task: 0.7 if task in trained else 0.4 for task in TASKS}
            jobs.evaluate(model, known, new if known != GUESSING else NEW, 100 * seed + number)
            if maps and len(trained) == 1:
                jobs.map(model, state_of(seed, number + 1), PLACES)


def state_of(seed: int, number: int) -> np.ndarray[Any, Any]:
    """Places, rotated and with noise of a model's own."""
    random = np.random.default_rng([seed, number])
    return PLACES @ random.standard_normal((2, 8)) + 100 * random.standard_normal((40, 8))


def run(jobs: Jobs, out: Path, **config: Any) -> subprocess.CompletedProcess[str]:
    """The program on all jobs."""
    file = report_config(jobs.folder / "report.json", jobs, **config)
    return subprocess.run(
        [sys.executable, "-m", "engines.geography_report", str(file), "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def read(jobs: Jobs, **config: Any) -> Report:
    return make_report(Config.model_validate({"inputs": jobs.inputs, "draws": 200, **config}))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Jobs]:
    """The report of an experiment whose bases learned all but one task; its folder and jobs."""
    jobs = Jobs(tmp_path_factory.mktemp("learned"))
    experiment(jobs, LEARNED, maps=True)
    out = jobs.folder / "report"
    reason = "inside was not learned"
    replaced = [
        {"job": f"{stage}/seed=9", "by": f"{stage}/seed=2", "reason": reason}
        for stage in ("base", "evaluate-base", "maps-base")
    ]
    done = run(jobs, out, replaced=replaced)
    assert done.returncode == 0, done.stderr
    return out, jobs


@pytest.mark.browser
def test_the_page_is_read_on_every_ground_and_width(
    browser: Any, learned: tuple[Path, Jobs]
) -> None:
    assert ill_read(browser, learned[0] / "report.html") == []


def test_the_text_says_first_what_was_learned_and_names_what_decides_it(
    learned: tuple[Path, Jobs],
) -> None:
    text = (learned[0] / "report.txt").read_text()
    flat = " ".join(text.split())
    assert text.startswith("Bases beat the best constant answer in 18 of 21 comparisons.")
    for said in (
        "crossing 0 of 3.",
        "Undefined improvements: 3 of 21 pairs of seed and task (3 base not above its constant",
        "Of 147 cells of actual minus expected: ",
        "Warm-up rows of all tasks: required (questions with new cities: transfer is few-shot).",
        "Replaced: base/seed=9 by base/seed=2 (and 2 jobs that follow), because: inside was not",
        "This run is not of the published size",
        ATTRIBUTION,
        "0.564 of the standard deviation between runs",
    ):
        assert said in flat, said


def test_matrices_are_in_the_published_order_with_trained_cells_marked_in_80_columns(
    learned: tuple[Path, Jobs],
) -> None:
    text = (learned[0] / "report.txt").read_text()
    for heading, rows, marks in (
        ("Normalised improvement, one task:", 7, 7),
        ("Actual minus expected:", 21, 42),
        ("Expected, published definition (best on the test):", 21, 42),
    ):
        lines = text.partition(f"{heading}\n")[2].partition("\n\n")[0].splitlines()
        assert len(lines) == rows + 1
        assert max(len(line) for line in lines) <= 80
        assert sum(line.count("T") for line in lines[1:]) == marks
        if rows == 21:
            assert [line.split()[0] for line in lines[1:]] == [str(n + 1) for n in range(21)]
            assert lines[4].split()[1] == "cross+dist"


def test_every_number_has_its_constant_beside_it(learned: tuple[Path, Jobs]) -> None:
    text = (learned[0] / "report.txt").read_text()
    table = text.partition("Scores with new cities (test):\n")[2].partition("\n\n")[0].splitlines()
    # 3 bases, 21 specialists, 9 models of two tasks; seven tasks each.
    assert len(table) == 1 + 3 + 21 + 9
    assert all(line.count("(") == 7 for line in table[1:])


def test_all_numbers_are_in_tidy_csv(learned: tuple[Path, Jobs]) -> None:
    lines = list(csv.DictReader((learned[0] / "tidy.csv").open()))
    count: dict[str, int] = {}
    for line in lines:
        count[line["metric"]] = count.get(line["metric"], 0) + 1
    # 33 models on 7 tasks, of known and new cities, validation and the set of all tasks.
    assert count["constant_error"] == 33 * 4 * 4
    assert count["constant_accuracy"] == 33 * 3 * 4
    # 7 x 7 cells and 3 x 7, each with 4 means over kinds.
    assert count["normalised_improvement"] == 49 + 21 + 8
    assert count["improvement_over_expected"] == 3 * (147 + 4)
    assert count["cka"] == count["procrustes"] == 24 * 23 // 2
    gains = [line for line in lines if line["metric"] == "improvement_over_expected"]
    assert {line["verdict"] for line in gains if line["value"]} <= {
        "none",
        "synergy",
        "negative transfer",
    }
    undefined = [line for line in gains if line["task"] == "crossing"]
    assert {(line["value"], line["error"][:9]) for line in undefined} == {("", "undefined")}


def test_the_page_is_one_file_with_figures_for_both_schemes(learned: tuple[Path, Jobs]) -> None:
    page = (learned[0] / "report.html").read_text()
    figures = sorted(path.stem for path in (learned[0] / "figures").glob("*.png"))
    assert figures == ["expected", "gain", "maps", "one-task", "similarity", "two-tasks"]
    assert page.count("<figure") == 6
    assert "currentColor" in page
    for outside in ('src="http', 'href="http', "@import"):
        assert outside not in page
    facts = json.loads((learned[0] / "results.json").read_text())["facts"]
    assert facts["nothing_learned"] is False
    assert facts["missing"] == []


def test_models_of_one_task_are_held_against_other_seeds_of_other_tasks(
    learned: tuple[Path, Jobs],
) -> None:
    found = read(learned[1]).similarity
    assert found is not None
    pairs = {(one.kind, one.tasks, one.relation): one.pairs for one in found.relations}
    assert pairs == {
        ("base", 7, "same tasks, other seed"): 3,
        ("new cities", 1, "same tasks, other seed"): 7 * 3,
        ("new cities", 1, "other tasks, same seed"): 3 * 21,
        ("new cities", 1, "other tasks, other seed"): 21 * 6,
    }
    assert np.diag(found.cka).tolist() == [1.0] * 24
    assert np.diag(found.procrustes).tolist() == [0.0] * 24
    assert (found.cka == found.cka.T).all()


def test_a_run_in_which_no_base_beats_its_constants_concludes_that_nothing_was_learned(
    tmp_path: Path,
) -> None:
    jobs = Jobs(tmp_path, questions=60)
    experiment(jobs, GUESSING, seeds=3, pairs=1)
    done = run(jobs, tmp_path / "report")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "report" / "report.txt").read_text()
    assert text.startswith("Nothing learned: none of 3 base models beats the best constant answer")
    assert "Undefined improvements: 21 of 21" in " ".join(text.split())
    assert "Every cell is undefined: the matrices are left out." in text
    facts = json.loads((tmp_path / "report" / "results.json").read_text())["facts"]
    assert facts["nothing_learned"] is True
    # Matrices without a single value are not drawn.
    assert not (tmp_path / "report" / "figures" / "gain.png").exists()


def second_tasks(jobs: Jobs) -> None:
    """Bases of distance and crossing, of which the second learned nothing, and both orders."""
    quality = {"distance": 0.8, "crossing": -0.05}
    for first, second in (("distance", "crossing"), ("crossing", "distance")):
        base = jobs.train(f"base-{first}", 42, [([first], "no_atlantis", 1000)])
        jobs.evaluate(base, {first: quality[first]}, {first: 0.0})
        parts = [([first], "no_atlantis", 200), ([second], "no_atlantis", 1000)]
        model = jobs.train(f"second-{first}-{second}", 42, parts, base)
        jobs.evaluate(model, {first: quality[first] - 0.4, second: 0.5}, {first: 0.0}, 7)


def test_a_second_task_is_judged_against_the_base_and_marked_where_that_learned_nothing(
    tmp_path: Path,
) -> None:
    jobs = Jobs(tmp_path, questions=400)
    second_tasks(jobs)
    report = read(jobs)
    assert report.transfer is None
    by_pair = {(one.first, one.second): one for one in report.kept}
    lost, never = by_pair["distance", "crossing"], by_pair["crossing", "distance"]
    assert (lost.verdict, lost.learned) == ("worse", 1)
    assert (never.verdict, never.learned, never.share) == ("undefined", 0, None)
    assert lost.after > lost.before
    assert run(jobs, tmp_path / "report").returncode == 0
    text = " ".join((tmp_path / "report" / "report.txt").read_text().split())
    assert "1 start from a base that is not above its constant (crossing) and say nothing" in text
    assert "NO (0 of 1)" in text


def test_expectations_need_the_specialists_alone(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, questions=100)
    experiment(jobs, LEARNED, pairs=0)
    transfer = read(jobs).transfer
    assert transfer is not None
    assert transfer.pairs is None
    assert transfer.gains == {}
    assert [matrix.rows for matrix in transfer.expected.values()] == [list(PUBLISHED_PAIRS)] * 3


def test_models_that_were_trained_side_by_side_are_told_apart_by_their_folders(
    tmp_path: Path,
) -> None:
    jobs = Jobs(tmp_path, questions=50)
    base = jobs.train("base", 1, [("all", "no_atlantis", 1000)], seeds=[1, 2])
    parts = [(("angle",), "no_atlantis", 200), (("angle",), "atlantis_required", 1000)]
    tuned = jobs.train("tuned", 1, parts, base, seeds=[1, 2], warmup="plain")
    for job in (base, tuned):
        for seed in (1, 2):
            folder = job / "models" / f"seed-{seed}"
            folder.mkdir(parents=True)
            jobs.evaluate(folder, LEARNED, NEW, seed)
    report = read(jobs)
    names = [model.name for model in report.inputs.ordered]
    assert names == [
        "base of all tasks, seed 1",
        "base of all tasks, seed 2",
        "angle, seed 1",
        "angle, seed 2",
    ]
    bases = [model.base.name for model in report.inputs.ordered[2:] if model.base]
    assert bases == names[:2]


def test_what_is_not_there_is_named_and_the_rest_is_reported(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, questions=60)
    experiment(jobs, LEARNED, seeds=2, pairs=1)
    folders = {source["job"]: Path(source["folder"]) for source in jobs.inputs}
    unfinished = folders["evaluate/model=tune-angle-seed-1"]
    (unfinished / "results.json").unlink()
    skipped = folders["evaluate/model=tune-compass-seed-0"]
    (skipped / "results.json").unlink()
    (skipped.parent / "skipped.json").write_text(json.dumps({"reason": "gate says no"}))
    report = read(jobs)
    assert "evaluate/model=tune-angle-seed-1: no results.json, the job is not done" in (
        report.inputs.missing
    )
    assert "angle, seed 1: no finished evaluation among the inputs" in report.inputs.missing
    assert report.inputs.skipped == ["evaluate/model=tune-compass-seed-0: gate says no"]
    assert report.transfer is not None
    assert report.transfer.singles is not None
    seeds = {
        cell.trained[0]: cell.value.seeds
        for cell in report.transfer.singles.cells
        if cell.value is not None
    }
    assert seeds == {**dict.fromkeys(TASKS, 2), "angle": 1, "compass": 1}


def test_models_that_answered_other_questions_are_not_compared(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, questions=60)
    experiment(jobs, LEARNED, seeds=2, pairs=0)
    path = Path(jobs.inputs[-1]["folder"]) / "items" / "compass.atlantis_required.test.npz"
    other = Path(jobs.inputs[-1]["folder"]) / "items" / "inside.atlantis_required.test.npz"
    shutil.copy(other, path)
    done = run(jobs, tmp_path / "report")
    assert done.returncode == 2
    assert "answered other questions of compass.atlantis_required.test" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_models_of_the_same_tasks_and_seed_are_refused_with_both_folders(
    tmp_path: Path,
) -> None:
    jobs = Jobs(tmp_path, questions=20)
    base = jobs.train("base", 1, [("all", "no_atlantis", 1000)])
    jobs.evaluate(base, LEARNED, NEW)
    for arm in ("required", "plain"):
        parts = [(("angle",), "atlantis_required", 1000)]
        jobs.evaluate(jobs.train(f"arm-{arm}", 1, parts, base, warmup=arm), LEARNED, NEW)
    with pytest.raises(ConfigError, match=r"arm-required.* and .*arm-plain"):
        read(jobs)


def test_an_evaluation_whose_training_is_gone_is_an_error(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, questions=20)
    base = jobs.train("base", 1, [("all", "no_atlantis", 1000)])
    jobs.evaluate(base, LEARNED, NEW)
    (base / "results.json").unlink()
    with pytest.raises(ConfigError, match=r"no results.json of the training"):
        read_jobs(Config.model_validate({"inputs": jobs.inputs}))


def test_without_any_job_the_report_says_so() -> None:
    assert headline(make_report(Config())).startswith("No base model was evaluated")
