"""The whole report over planted arms: what it concludes, shows, and says is missing."""

from pathlib import Path

import pytest

from engines.contract.results import read_results
from engines.polychromic_report.__main__ import run
from engines.polychromic_report.config import Config
from engines.polychromic_report.report import make_report
from engines.polychromic_report.tables import level
from engines.shared.reporting.statistics import Interval
from tests.support.browsing import ill_read
from tests.support.reply_reports import Planted, plant

PLAIN = Planted(0.0, "none")
GATED = [
    PLAIN,
    Planted(0.3, gain=0.10, valid=0.05, cross_entropy=0.05),
    Planted(1.0, gain=0.22, valid=0.08, cross_entropy=0.07),
    Planted(2.0, gain=0.24, valid=0.09, cross_entropy=0.08),
]
UNGATED = [
    Planted(1.0, "none", gain=0.35, valid=-0.2),
    Planted(2.0, "none", gain=0.57, valid=-0.43),
]


class Never:
    """Nobody asks the report to stop."""

    requested = False


def written(tmp_path: Path, config: Config) -> tuple[str, str, dict]:
    """Text, page and facts."""
    run(config, tmp_path / "out", Never())
    _, document = read_results(tmp_path / "out")
    text = (tmp_path / "out" / "report.txt").read_text()
    return text, (tmp_path / "out" / "report.html").read_text(), document["facts"]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Gated and ungated arms in one experiment."""
    folder = tmp_path_factory.mktemp("both")
    inputs = plant(folder, [*GATED, *UNGATED])
    return written(folder, Config(inputs=inputs, price_per_gpu_hour=0.79))


def test_gated_arms_reach_a_level_and_nonsense_does_not(both) -> None:
    text, _, facts = both
    assert facts["conclusions"] == {
        "quality-gated": "workshop or findings",
        "not gated": "negative result",
    }
    assert "Weight 2, not gated is refused for its quality" in " ".join(text.split())
    assert any("bought with replies that the checker refuses" in one for one in facts["findings"])
    assert facts["missing"] == []


@pytest.mark.browser
def test_the_page_is_read_on_every_ground_and_width(browser, both, tmp_path) -> None:
    (tmp_path / "report.html").write_text(both[1])
    assert ill_read(browser, tmp_path / "report.html") == []


def test_first_picture_is_quality_against_diversity(both) -> None:
    _, page, _ = both
    assert page.index("different valid replies per prompt") < page.index("What the decision tree")
    assert page.count("<svg") == 2


def test_prompts_stand_side_by_side_and_what_models_write_is_text(both) -> None:
    _, page, _ = both
    assert "10 prompts side by side" in page
    assert "<b>train" not in page
    assert "&lt;b&gt;train" in page
    assert page.count("class=invalid") == 10 * 7


def test_costs_are_told_in_hours_and_money(both) -> None:
    text, _, _ = both
    # 18 trainings of 2 hours, an evaluation of half an hour.
    (line,) = [line for line in text.splitlines() if line.startswith("sum ")]
    assert line.split() == ["sum", "19", "76", "36.5", f"{36.5 * 0.79:.2f}"]


def test_gradients_stand_for_the_share_of_the_signal(both) -> None:
    text, _, _ = both
    table = text.split("training signal")[1].splitlines()
    line = next(line for line in table if line.startswith("weight 2, quality-gated"))
    # Lambda, the two norms, their cosine, then the samples: mean over steps 1 to 40 of .5 + .24 k/40.
    assert line.split()[3:] == ["2", "2", "0.25", "-0.1", "0.623", "0.8", "6", "0"]


def test_adapters_are_compared_by_kind_of_layer(both) -> None:
    text, _, _ = both
    table = text.split("What the adapters add")[1].splitlines()
    head, query, up = table[2], table[3], table[4]
    arms = head.count("weight") + head.count("no diversity term")
    assert query.split() == ["q_proj", *["1,", "rank", "4.0"] * arms]
    assert up.split() == ["up_proj", *["3,", "rank", "5.5"] * arms]


def test_the_interval_of_a_share_ends_at_one() -> None:
    assert level(Interval(0.998, 0.993, 1.003), "pass_at_5") == "0.998 [0.993, 1.000]"
    assert level(Interval(6.9, 6.3, 7.5), "unique_valid") == "6.900 [6.300, 7.500]"


def test_arms_that_differ_in_more_than_the_weight_are_called_confounded(tmp_path: Path) -> None:
    arms = [PLAIN, Planted(0.3, gain=0.1, samples=3), Planted(1.0, gain=0.2, samples=5)]
    report = make_report(Config(inputs=plant(tmp_path, arms)))
    assert [arm.label for arm in report.arms] == [
        "no diversity term",
        "weight 0.3, quality-gated, samples 3",
        "weight 1, quality-gated, samples 5",
    ]
    from engines.polychromic_report.text import findings

    assert any(
        "differ in more than the weight (samples 3; samples 5)" in f for f in findings(report)
    )


def test_one_seed_is_no_verdict(tmp_path: Path) -> None:
    inputs = plant(tmp_path, GATED, seeds=[0])
    _, _, facts = written(tmp_path, Config(inputs=inputs))
    assert facts["conclusions"] == {"quality-gated": "no verdict"}
    assert "one seed" in facts["headline"]


def test_a_judge_takes_the_place_of_cross_entropy(tmp_path: Path) -> None:
    arms = [PLAIN, Planted(2.0, gain=0.6, valid=0.05, cross_entropy=0.5)]
    without = make_report(Config(inputs=plant(tmp_path / "a", arms)))
    assert without.families[0].conclusion.level == "negative result"
    judged = make_report(Config(inputs=plant(tmp_path / "b", arms, judged=True)))
    assert judged.families[0].conclusion.level == "main track"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    inputs = plant(tmp_path, GATED)
    (Path(inputs[0].folder) / "results.json").unlink()
    report = make_report(Config(inputs=inputs))
    assert any("no results.json" in one for one in report.inputs.missing)
    # Its model was evaluated all the same, and counts for nothing without its training.
    assert any("its training is not an input" in one for one in report.inputs.missing)
    change = report.change(report.arms[-1], "distinct_2_rarefied")
    assert change.estimate.seeds == 2


def test_warnings_of_trainings_are_told_once(tmp_path: Path) -> None:
    warned = [
        PLAIN,
        Planted(1.0, gain=0.2, warnings=("valid_share_falling (step 30): from .9 to .7",)),
    ]
    _, _, facts = written(tmp_path, Config(inputs=plant(tmp_path, warned)))
    assert [one for one in facts["findings"] if "valid_share_falling" in one] == [
        "Warning of 3 of 6 trainings: valid_share_falling; the first: weight 1, quality-gated, "
        "seed 0, step 30: from .9 to .7."
    ]


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    _, _, facts = written(tmp_path, Config(inputs=plant(tmp_path, [PLAIN])))
    assert facts["headline"] == (
        "No arm with a diversity term is finished: there is nothing to compare."
    )
