"""The report of an evolution: the program on files of finished evaluations, and its rules on cases
whose answer is known."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.analysis.evolution.__main__ import run
from engines.analysis.evolution.config import Config, Scored
from engines.analysis.evolution.load import Inputs, Point, Series
from engines.analysis.evolution.stopping import (
    Check,
    Stopping,
    overfitted,
    overfitting,
    stopping,
)
from engines.analysis.evolution.text import last_against
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.contract.results import write_results
from engines.evaluation.config import Config as EvaluationConfig
from engines.shared.reporting.statistics import Interval, halves, weighted_error
from tests.support.browsing import ill_read
from tests.support.scores import Columns, share, write_scores


def evaluated(
    root: Path,
    arm: str,
    checkpoints: list[Columns],
    tokens: int = 3,
    seed: int | None = None,
    **changes: Any,
) -> list[dict[str, Any]]:
    """A finished evaluation of several checkpoints of one training, and the points that it
    gives."""
    axes = {"arm": arm} if seed is None else {"arm": arm, "seed": seed}
    out = root / f"evaluate-{'-'.join(map(str, axes.values()))}" / "out"
    points = []
    for place, values in enumerate(checkpoints):
        name = f"epoch-{place:06d}"
        write_scores(out, name, values, tokens)
        training = "train/" + ",".join(f"{name}={value}" for name, value in axes.items())
        points.append(
            {
                "training": training,
                "axes": axes,
                "checkpoint": name,
                "step": 4 * place,
                "epoch": place,
                "folder": str(out),
                "evaluated_as": name,
            }
        )
    write_results(
        out,
        "evaluation",
        EvaluationConfig(models="m", data="d", **changes),
        [],
        1.0,
        {"versions": {}},
    )
    return points


def percent(right: int) -> list[float | None]:
    """The values of a hundred problems."""
    return share(right, 100)


def rewarded(root: Path, arm: str, rewards: list[float]) -> dict[str, Any]:
    """A training whose rollouts earned these rewards, one per checkpoint after the first."""
    out = root / f"train-{arm}" / "out"
    out.mkdir(parents=True)
    progress = Progress(out)
    for place, reward in enumerate(rewards, start=1):
        progress.write(4 * place, 4 * len(rewards), {"train_reward_mean": reward})
    return {"job": f"train/arm={arm}", "stage": "train", "axes": {"arm": arm}, "folder": str(out)}


def report(root: Path, points: list[dict[str, Any]], **more: Any) -> Path:
    config = Config.model_validate({"points": points, "draws": 500, **more})
    (root / "out").mkdir(parents=True)
    run(config, root / "out", Stop())
    return root / "out"


def facts(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())["facts"]


def text_of(out: Path) -> str:
    """The plain report without its line breaks."""
    return " ".join((out / "report.txt").read_text().split())


def test_a_curve_that_rises_and_stays_stops_where_the_plateau_begins(tmp_path: Path) -> None:
    points = evaluated(
        tmp_path,
        "a",
        [
            {"math": percent(20)},
            {"math": percent(60)},
            {"math": percent(60)},
            {"math": percent(60)},
        ],
    )
    found = facts(report(tmp_path, points))["stopping"]["train/arm=a"]
    assert (found["checkpoint"], found["plateau"]) == ("epoch-000001", [4, 12])
    assert "plateau from step 4 to 12, the last" in text_of(tmp_path / "out")


def test_a_curve_that_still_rises_stops_at_its_end(tmp_path: Path) -> None:
    points = evaluated(tmp_path, "a", [{"math": percent(n)} for n in (10, 40, 80)])
    out = report(tmp_path, points)
    assert facts(out)["stopping"]["train/arm=a"]["step"] == 8
    assert "no plateau: the last is the best" in text_of(out)


def test_the_half_that_reports_is_not_the_half_that_chose(tmp_path: Path) -> None:
    """Ten checkpoints of pure chance: the best one's score on the half that chose it is too high,
    and the report says by how much."""
    random = np.random.default_rng(3)
    points = evaluated(
        tmp_path, "a", [{"math": [float(v) for v in random.integers(0, 2, 60)]} for _ in range(10)]
    )
    out = report(tmp_path, points)
    assert facts(out)["stopping"]["train/arm=a"]["optimism"] > 0.02
    scores = [
        row
        for row in json.loads((out / "results.json").read_text())["rows"]
        if row["axes"].get("at") == "stopping point"
    ]
    assert scores[0]["n"] == 30
    assert scores[0]["axes"]["half"] == "reporting"


@given(
    st.lists(
        st.text(st.characters(codec="ascii"), min_size=1), unique=True, min_size=1, max_size=40
    ),
    st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_halves_share_nothing_miss_nothing_and_do_not_hang_on_the_order(
    items: list[str], seed: int
) -> None:
    task = ("math", "math")
    choosing, reporting = halves({task: items}, seed)
    assert choosing[task] | reporting[task] == set(items)
    assert not choosing[task] & reporting[task]
    assert 0 <= len(choosing[task]) - len(reporting[task]) <= 1
    assert halves({task: items[::-1]}, seed) == (choosing, reporting)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=8), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_the_error_of_a_macro_mean_is_that_of_independent_groups(groups: list[list[float]]) -> None:
    arrays = [np.array(group) for group in groups]
    expected = np.sqrt(sum(array.var(ddof=1) / len(array) for array in arrays)) / len(arrays)
    # Float64: sums of a few terms of order one.
    assert weighted_error(arrays) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("rewards", "verdict"),
    [
        ([0.2, 0.5, 0.9], "alarm: overfitting"),
        ([0.2, 0.9, 0.1], "not overfitting but a collapse"),
        ([], "whether the training reward did"),
    ],
)
def test_a_domain_that_falls_after_its_peak_is_overfitting_only_if_the_training_reward_did_not_fall(
    tmp_path: Path, rewards: list[float], verdict: str
) -> None:
    columns = [{"code": percent(50), "math": percent(n)} for n in (30, 60, 90, 40)]
    training = rewarded(tmp_path, "a", rewards)
    out = report(tmp_path, evaluated(tmp_path, "a", columns), trainings=[training])
    alarms = facts(out)["alarms"]
    assert [(alarm["domain"], alarm["rule"]) for alarm in alarms] == [("math", "overfitting")]
    assert verdict in alarms[0]["verdict"]
    assert "math (" in text_of(out)


def test_a_fall_within_noise_raises_no_alarm(tmp_path: Path) -> None:
    out = report(tmp_path, evaluated(tmp_path, "a", [{"math": share(n, 40)} for n in (20, 24, 22)]))
    assert facts(out)["alarms"] == []
    assert re.search(r"overfitting \|.*\| no: ", (out / "report.md").read_text())


def test_a_domain_that_falls_below_its_start_by_more_than_is_detectable_is_forgotten(
    tmp_path: Path,
) -> None:
    checkpoints = [
        {"code": percent(90), "math": percent(10)},
        {"code": percent(60), "math": percent(80)},
    ]
    out = report(tmp_path, evaluated(tmp_path, "a", checkpoints))
    forgotten = [alarm for alarm in facts(out)["alarms"] if alarm["rule"] == "forgetting"]
    assert [alarm["domain"] for alarm in forgotten] == ["code"]


def test_flips_between_neighbours_show_change_that_equal_scores_hide(tmp_path: Path) -> None:
    out = report(
        tmp_path,
        evaluated(
            tmp_path,
            "a",
            [{"math": [1, 1, 0, 0]}, {"math": [0, 1, 1, 0]}, {"math": [0, 1, 1, None]}],
        ),
    )
    rows = re.findall(
        r"\| arm=a \| epoch-00000(\d) \| \d+ \|.*?\| (\d*) \| (\d*) \|\n",
        (out / "report.md").read_text(),
    )
    assert rows == [("0", "", ""), ("1", "1", "1"), ("2", "0", "0")]
    assert "math: 3 of 4 problems have a score at every checkpoint" in text_of(out)


def test_both_arms_are_in_one_picture_and_the_page_names_nothing_outside_it(tmp_path: Path) -> None:
    points = [
        point
        for arm in ("baseline", "pcgrad")
        for point in evaluated(tmp_path, arm, [{"math": percent(40)}, {"math": percent(70)}])
    ]
    trainings = [rewarded(tmp_path, arm, [0.5]) for arm in ("baseline", "pcgrad")]
    out = report(
        tmp_path,
        points,
        trainings=trainings,
        pruned=["train/arm=pcgrad: epoch 5: deleted before anyone looked"],
    )
    page = (out / "report.html").read_text()
    figure = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)[0]
    assert "var(--c1)" in figure
    assert "var(--c2)" in figure
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "epoch 5: deleted before anyone looked" in page
    assert {path.name for path in (out / "figures").iterdir()} == {
        "domains.svg",
        "domains.png",
        "answers.svg",
        "answers.png",
    }
    assert max(map(len, (out / "report.txt").read_text().splitlines())) <= 110


@pytest.mark.browser
def test_the_page_is_read_on_every_ground_and_width(browser: Any, tmp_path: Path) -> None:
    points = [
        point
        for arm in ("baseline", "pcgrad")
        for point in evaluated(tmp_path, arm, [{"math": percent(40)}, {"math": percent(70)}])
    ]
    assert ill_read(browser, report(tmp_path, points) / "report.html") == []


def test_the_seeds_of_an_arm_are_one_curve_whose_band_is_over_seeds(tmp_path: Path) -> None:
    right = {
        ("baseline", 0): (40, 50, 60),
        ("baseline", 1): (40, 56, 66),
        ("pcgrad", 0): (40, 60, 70),
        ("pcgrad", 1): (40, 60, 80),
    }
    points = [
        point
        for (arm, seed), counts in right.items()
        for point in evaluated(
            tmp_path, arm, [{"math": percent(count)} for count in counts], seed=seed
        )
    ]
    out = report(tmp_path, points[:-1])  # the last of one seed is missing
    lines = [
        line
        for line in csv.DictReader((out / "tidy.csv").open())
        if line["mean"] == "over seeds" and line["domain"] == "math"
    ]
    assert [(line["arm"], line["step"], line["n"], line["value"]) for line in lines] == [
        ("baseline", "0", "2", "0.4"),
        ("baseline", "4", "2", "0.53"),
        ("baseline", "8", "2", "0.63"),
        ("pcgrad", "0", "2", "0.4"),
        ("pcgrad", "4", "2", "0.6"),
    ]
    # Student's t of two values 0.50 and 0.56: 12.706 standard errors of 0.03 on either side.
    # The quantile and the table have five digits.
    assert float(lines[1]["high"]) - 0.53 == pytest.approx(12.706 * 0.03, rel=1e-3)
    assert "only some seeds have a checkpoint at step 8: not in the mean" in text_of(out)
    assert "arm=pcgrad 4 2 60.0" in text_of(out)
    figure = (out / "figures" / "domains.svg").read_text()
    assert "arm=baseline (mean of 2 seeds)" in figure
    assert figure.count("stroke-width: 1.1") == 2 * len(
        right
    )  # a thin line per seed in both panels


def test_every_number_is_a_tidy_row_with_its_interval_and_source(tmp_path: Path) -> None:
    out = report(tmp_path, evaluated(tmp_path, "a", [{"math": percent(40)}, {"math": percent(70)}]))
    lines = list(csv.DictReader((out / "tidy.csv").open()))
    assert len(lines) == len(json.loads((out / "results.json").read_text())["rows"])
    (macro,) = [
        line
        for line in lines
        if (line["metric"], line["checkpoint"], line["domain"], line["at"])
        == ("accuracy", "epoch-000000", "macro mean", "")
    ]
    assert float(macro["value"]) == pytest.approx(0.4)
    assert float(macro["low"]) < 0.4 < float(macro["high"])
    assert macro["source"].endswith("scores/epoch-000000.jsonl")


def test_checkpoints_scored_with_other_settings_or_on_other_problems_are_refused(
    tmp_path: Path,
) -> None:
    first = evaluated(tmp_path, "a", [{"math": percent(40)}])
    with pytest.raises(ConfigError, match="not comparable: max_response_tokens"):
        report(
            tmp_path / "x",
            first + evaluated(tmp_path, "b", [{"math": percent(40)}], max_response_tokens=9),
        )
    with pytest.raises(ConfigError, match="not comparable: math has 100 problems"):
        report(tmp_path / "y", first + evaluated(tmp_path, "c", [{"math": share(40, 99)}]))


def test_an_evaluation_that_is_not_done_is_named_and_the_rest_is_reported(tmp_path: Path) -> None:
    points = evaluated(tmp_path, "a", [{"math": percent(40)}, {"math": percent(70)}])
    points.append(
        {**points[0], "checkpoint": "epoch-000009", "step": 36, "folder": str(tmp_path / "nowhere")}
    )
    assert "train/arm=a, epoch-000009:" in text_of(report(tmp_path, points))


def test_a_checkpoint_that_its_evaluation_refused_is_named_and_the_rest_is_reported(
    tmp_path: Path,
) -> None:
    columns: list[Columns] = [{"math": percent(right)} for right in (40, 50, 70)]
    points = evaluated(tmp_path, "a", columns)
    out = Path(points[0]["folder"])
    (out / "scores" / "epoch-000001.jsonl").unlink()
    document = json.loads((out / "results.json").read_text())
    document["facts"]["refused"] = [{"name": "epoch-000001", "reason": "w has the shape [3]"}]
    (out / "results.json").write_text(json.dumps(document))
    assert "train/arm=a, epoch-000001: its evaluation refused it: w has the shape [3]" in text_of(
        report(tmp_path, points)
    )


def simulated(columns: list[dict[str, list[float]]], draws: int = 200) -> Inputs:
    """An evolution of one training from values per checkpoint, without files."""
    points = []
    for place, values in enumerate(columns):
        scored = Scored(
            training="t",
            axes={},
            checkpoint=f"c{place}",
            step=place,
            epoch=place,
            folder="",
            evaluated_as="",
        )
        scores = {
            (task, task): {f"p{i}": [v] for i, v in enumerate(column)}
            for task, column in values.items()
        }
        points.append(Point(scored, scores, {}, {}))
    rewards = [(place, float(place)) for place in range(len(columns))]
    config = Config(points=[], draws=draws)
    return Inputs(config, [Series("t", "t", points, rewards)])


def test_of_equal_checkpoints_the_reported_score_is_right_and_the_choosing_half_flatters() -> None:
    """150 trainings that learn nothing: true accuracy 0.5 throughout. The error of a mean over them
    is 0.5/sqrt(20 * 150) = 0.009."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(150):
        evolved = simulated(
            [{"math": [float(v) for v in random.integers(0, 2, 40)]} for _ in range(8)]
        )
        stop = stopping(evolved, evolved.series[0])
        assert not isinstance(stop, str)
        found.append((stop.reported_best, stop.choosing[stop.best]))
    reported, choosing = np.mean(found, axis=0)
    assert abs(reported - 0.5) < 0.03
    assert choosing > 0.6


def test_trainings_that_only_wobble_raise_an_overfitting_alarm_in_at_most_one_of_twenty() -> None:
    """Six domains, five checkpoints whose true accuracy is 0.5; Holm keeps the chance of any alarm
    below the level of 0.05."""
    random = np.random.default_rng(2)
    domains = [f"d{i}" for i in range(6)]
    raised = 0
    for _ in range(80):
        evolved = simulated(
            [
                {name: [float(v) for v in random.integers(0, 2, 60)] for name in domains}
                for _ in range(5)
            ]
        )
        raised += any(check.raised for check in overfitting(evolved, evolved.series[0]))
    assert raised <= 9  # of 80 at 0.05: more than 9 would happen once in 300 times


def test_a_real_fall_in_one_of_six_domains_is_found() -> None:
    random = np.random.default_rng(4)
    truth = {f"d{i}": [0.5, 0.7, 0.7] for i in range(5)} | {"lost": [0.5, 0.9, 0.3]}
    found = 0
    for _ in range(20):
        evolved = simulated(
            [
                {
                    name: [float(v) for v in random.random(80) < curve[place]]
                    for name, curve in truth.items()
                }
                for place in range(3)
            ]
        )
        alarms = [check.domain for check in overfitting(evolved, evolved.series[0]) if check.raised]
        found += "lost" in alarms
    assert found == 20


def test_programs_that_ran_out_of_time_have_a_column_where_there_were_any(tmp_path: Path) -> None:
    points = evaluated(tmp_path, "a", [{"code": percent(20)}, {"code": percent(60)}])
    text = (report(tmp_path / "none", points) / "report.md").read_text()
    assert "programs out of time" not in text
    path = tmp_path / "evaluate-a" / "out" / "scores" / "epoch-000001.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[-3:]:
        line["status"] = "out_of_time"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (report(tmp_path / "some", points) / "report.md").read_text()
    rows = [line for line in text.splitlines() if "| epoch-00000" in line and line.endswith(" |")]
    assert "| lost | programs out of time |" in text
    counts = [row.rstrip(" |").rpartition("| ")[2] for row in rows if row.count("|") == 11]
    assert counts == ["0", "3"]


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        ((0.30, 0.133, 0.467), "no: it rose"),
        ((0.02, -0.1, 0.14), "no: it did not fall"),
        ((0.0, 0.0, 0.0), "no: it did not fall"),
        ((-0.02, -0.1, 0.06), "no: the fall is within what these problems can show"),
    ],
)
def test_a_verdict_says_what_its_number_says(
    difference: tuple[float, float, float], said: str
) -> None:
    check = Check(
        "a", "math", "overfitting", before=0, after=1, n=30, difference=Interval(*difference)
    )
    assert overfitted(check, adjusted=1.0, level=0.05) == (False, said)


def stopped(to_last: Interval | None) -> Stopping:
    return Stopping(
        chosen=0,
        best=0,
        plateau=(0, 0),
        choosing=(0.5, 0.4),
        n=30,
        reported=Interval(0.5, 0.4, 0.6),
        reported_best=0.5,
        to_last=to_last,
    )


def test_a_stopping_point_that_its_own_problems_speak_against_says_so() -> None:
    better = last_against(stopped(Interval(0.067, 0.011, 0.122)))
    assert "the last checkpoint is better by +6.7 [+1.1, +12.2] points" in better
    worse = last_against(stopped(Interval(-0.067, -0.122, -0.011)))
    assert "the last checkpoint is worse by -6.7 [-12.2, -1.1] points" in worse
    assert last_against(stopped(Interval(0.02, -0.01, 0.05))) == last_against(stopped(None)) == ""
