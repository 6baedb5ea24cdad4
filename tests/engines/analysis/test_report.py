"""The report: the program on files of finished jobs."""

import csv
import json
import re
from pathlib import Path

import pytest

from engines.analysis.__main__ import run
from engines.analysis.config import Config
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.evaluation.config import Config as EvaluationConfig
from tests.support.browsing import ill_read
from tests.support.scores import Columns, write_scores


def evaluated(
    root: Path, arm: str, values: Columns, seed: int = 0, facts: dict | None = None, **settings
) -> dict:
    """A finished evaluation job of one arm."""
    out = root / f"evaluate-{arm}-{seed}" / "out"
    write_scores(out, "epoch-000002", values)
    write_results(
        out,
        "evaluation",
        EvaluationConfig(models=f"m-{arm}", data="d", **settings),
        [],
        1.0,
        {"checkpoints": [{"name": "epoch-000002", "step": 4, "epoch": 2}], **(facts or {})},
    )
    return {
        "job": f"evaluate/arm={arm},seed={seed}",
        "stage": "evaluate",
        "axes": {"arm": arm, "seed": seed},
        "folder": str(out),
    }


def report(root: Path, inputs: list[dict]) -> Path:
    config = Config.model_validate(
        {"inputs": inputs, "compare": {"baseline": "baseline", "treatment": "pcgrad"}}
    )
    (root / "out").mkdir()
    run(config, root / "out", Stop())
    return root / "out"


def test_the_terminal_report_says_the_difference_and_its_limits(tmp_path):
    out = report(
        tmp_path,
        [
            evaluated(tmp_path, "baseline", {"math": [0, 0, 0, 0]}),
            evaluated(tmp_path, "pcgrad", {"math": [1, 1, 1, 1]}),
        ],
    )
    text = (out / "report.txt").read_text()
    assert text.splitlines()[:5] == [
        "accuracy: the 4 problems cannot tell pcgrad from baseline: +100.0 [-20.5, "
        "+100.0] points, p = 0.125,",
        "macro mean over domains.",
        "",
        "domain      n  baseline  treatment       difference [95 %]  p adjusted  detectable",
        "math        4       0.0      100.0  +100.0 [-20.5, +100.0]       0.125     unknown",
    ]
    assert "not the variance of training" in text
    assert max(map(len, text.splitlines())) <= 100
    page = (out / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<svg" in page


def test_a_missing_number_is_named_and_never_zero(tmp_path):
    inputs = [
        evaluated(tmp_path, "baseline", {"code": [None, None], "math": [1, 0]}),
        evaluated(tmp_path, "pcgrad", {"code": [1, 1], "math": [1, 0]}),
    ]
    out = report(tmp_path, inputs)
    rows = json.loads((out / "results.json").read_text())["rows"]
    code = [row for row in rows if row["axes"]["domain"] == "code"]
    assert all(row["value"] is None and row["error"] for row in code)
    assert "2 samples without a score (code: error)" in (out / "report.txt").read_text()


def test_unequal_problems_are_refused(tmp_path):
    inputs = [
        evaluated(tmp_path, "baseline", {"math": [1, 0]}),
        evaluated(tmp_path, "pcgrad", {"math": [1]}),
    ]
    with pytest.raises(ConfigError, match="not comparable: math has 2 problems"):
        report(tmp_path, inputs)


def test_an_arm_that_is_not_done_is_named(tmp_path):
    out = report(tmp_path, [evaluated(tmp_path, "baseline", {"math": [1, 0]})])
    assert "No answer: no finished evaluation of pcgrad" in (out / "report.txt").read_text()


def test_a_last_checkpoint_that_was_refused_is_not_replaced_by_the_one_before(tmp_path):
    refused = {"name": "epoch-000004", "step": 8, "epoch": 4, "reason": "w has the shape [3]"}
    values = {"math": [0, 1, 0, 1]}
    inputs = [
        evaluated(tmp_path, "baseline", values),
        evaluated(tmp_path, "pcgrad", values, facts={"refused": [refused]}),
    ]
    with pytest.raises(
        ConfigError, match=r"checkpoint 'epoch-000004' was refused \(w has the shape \[3\]\)"
    ):
        report(tmp_path, inputs)


def test_two_seeds_give_a_spread_over_seeds_and_curves_are_drawn(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"math": [seed, arm == "pcgrad"]}, seed)
        for arm in ("baseline", "pcgrad")
        for seed in (0, 1)
    ]
    train = tmp_path / "train" / "out"
    train.mkdir(parents=True)
    Progress(train).write(
        1,
        1,
        {"validation_reward_mean": 0.5, "validation_reward/math": 0.5, "cosine/code|math": -0.2},
    )
    inputs.append(
        {
            "job": "train/arm=pcgrad,seed=0",
            "stage": "train",
            "axes": {"arm": "pcgrad", "seed": 0},
            "folder": str(train),
        }
    )
    out = report(tmp_path, inputs)
    assert (
        "Over training seeds the macro difference is +50.0 [+50.0, +50.0]"
        in (out / "report.txt").read_text()
    )
    assert {p.stem for p in (out / "figures").iterdir()} == {
        "differences",
        "validation_reward_mean",
        "tasks",
        "cosines",
        "cosine_course",
    }


def several_tasks(root: Path, arm: str, values: Columns) -> dict:
    """An evaluation whose domain math has the tasks of ``values``."""
    source = evaluated(root, arm, values)
    path = Path(source["folder"]) / "scores" / "epoch-000002.jsonl"
    path.write_text(
        "".join(
            json.dumps({**json.loads(line), "domain": "math"}) + "\n"
            for line in path.read_text().splitlines()
        )
    )
    return source


def test_a_domain_is_the_mean_over_its_tasks_however_many_problems_each_has(tmp_path):
    # Pooled by problem the difference would be 100/109; by task it is (1 + 0) / 2: the small task
    # counts as much as the large one.
    base = several_tasks(tmp_path, "baseline", {"large": [0.0] * 100, "small": [0.0] * 10})
    treat = several_tasks(tmp_path, "pcgrad", {"large": [1.0] * 100, "small": [0.0] * 9 + [None]})
    out = report(tmp_path, [base, treat])
    rows = {
        (row["axes"].get("domain"), row["axes"].get("task")): row
        for row in json.loads((out / "results.json").read_text())["rows"]
        if row["metric"] == "accuracy_difference"
    }
    assert rows["math", None]["value"] == pytest.approx(0.5)
    assert (
        rows["math", "large"]["value"],
        rows["math", "small"]["value"],
        rows["math", "small"]["n"],
    ) == (1.0, 0.0, 9)
    assert rows["macro mean", None]["value"] == pytest.approx(0.5)
    text = (out / "report.txt").read_text()
    assert "- small" in text
    assert "small: 9 of 10 problems: 1 without a score in pcgrad" in text
    assert "9 of 10  " in text
    # The tenth small problem right in the treatment: (1 + 1/10) / 2; it counts nothing if wrong,
    # and the baseline's 0 is known.
    assert (
        "Counted all against pcgrad they would make the macro difference +50.0, all for it +55.0."
        in " ".join(text.split())
    )
    assert (
        "Test by McNemar, exact: large, small. Test by sign flips: math, macro mean."
        in " ".join(text.split())
    )


def headline_of(out: Path) -> str:
    return json.loads((out / "results.json").read_text())["facts"]["headline"]


def test_one_training_seed_is_said_where_a_difference_is_claimed(tmp_path):
    out = report(
        tmp_path,
        [
            evaluated(tmp_path, "baseline", {"math": [0] * 20}),
            evaluated(tmp_path, "pcgrad", {"math": [1] * 20}),
        ],
    )
    assert (
        "pcgrad is better than baseline on these 20 problems, as far as one training seed can show"
        in headline_of(out)
    )


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [((20, 2), "differ too much to say that it is"), ((18, 20), "and over the training seeds")],
)
def test_a_difference_is_claimed_over_seeds_only_if_the_seeds_agree(tmp_path, gains, verdict):
    inputs = [evaluated(tmp_path, "baseline", {"math": [0] * 20}, seed) for seed in (0, 1)]
    inputs += [
        evaluated(tmp_path, "pcgrad", {"math": [1] * gain + [0] * (20 - gain)}, seed)
        for seed, gain in enumerate(gains)
    ]
    assert verdict in headline_of(report(tmp_path, inputs))


def test_mcnemar_is_not_used_where_a_value_is_a_mean_over_seeds(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"math": [arm == "pcgrad"] * 6}, seed)
        for arm in ("baseline", "pcgrad")
        for seed in (0, 1)
    ]
    text = (report(tmp_path, inputs) / "report.txt").read_text()
    assert "McNemar" not in text
    assert "Test by sign flips: math, macro mean." in " ".join(text.split())


def cost(source: dict, **known) -> None:
    """What a job has cost, as the program on the node leaves it."""
    document = {
        "schema": 1,
        "seconds": 3600.0,
        "cpu_hours": 8.0,
        "gpu_hours": 0.0,
        "attempts": 1,
        "requeues": 0,
        "hosts": ["n1"],
        "cpus": 8,
        "gpus": 0,
        "memory_gb": 16,
        "unknown": [],
        "a key of a later version": 1,
    }
    (Path(source["folder"]) / "cost.json").write_text(json.dumps({**document, **known}))


def test_what_ran_where_is_shown_as_handed_over_and_every_table_row_names_its_source(tmp_path):
    inputs = [
        evaluated(tmp_path, "baseline", {"math": [0, 1]}),
        evaluated(tmp_path, "pcgrad", {"math": [1, 1]}),
    ]
    spent = {"seconds": 5400.0, "cpu_hours": 12.0, "gpu_hours": 3.0, "gpus": 2, "memory_gb": 64}
    cost(inputs[0], **spent, hosts=["a100-1", "a100-2"], requeues=1)
    cost(inputs[1])
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert (
        "| evaluate/arm=baseline,seed=0 | a100-1, a100-2 | 8 | 2 | 64 | 1.500 | 12.000 | 3.000 | "
        "1 | 1 | [5] |" in text
    )
    assert "| sum |  |  |  |  | 2.500 | 20.000 | 3.000 | 2 | 1 | [5-6] |" in text
    assert "Scores from [1-4]." in text
    assert "| math | 2 | 50.0 | 100.0 | +50.0 [+0.0, +100.0] | 1.000 | 140.1 | [1-4] |" in text
    assert "](figures/differences.png)\n\nPaired differences" in text
    assert "- [2] evaluate-baseline-0/out/scores/epoch-000002.jsonl" in text
    assert "- [5] evaluate-baseline-0/out/cost.json" in text


def test_two_jobs_of_a_pack_that_share_a_gpu_for_an_hour_make_one_gpu_hour(tmp_path):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    for source in inputs:
        cost(source, gpus=1, gpu_hours=0.5)
    out = report(tmp_path, inputs)
    assert "| sum |  |  |  |  | 2.000 | 16.000 | 1.000 | 2 | 0 |" in (out / "report.md").read_text()
    assert (
        "Spent on 2 jobs: 2.000 hours, 16.000 CPU-hours, 1.000 GPU-hours."
        in (out / "report.txt").read_text()
    )


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (None, "its output folder has no cost.json"),
        ('{"schema": 2, "price": 3}', "cost.json cannot be read by this version"),
    ],
)
def test_a_cost_that_is_not_known_is_named_and_never_zero(tmp_path, left, said):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    cost(inputs[0])
    if left is not None:
        (Path(inputs[1]["folder"]) / "cost.json").write_text(left)
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert "| evaluate/arm=pcgrad,seed=0 |" + " unknown |" * 9 + "  |" in text
    assert "| sum |  |  |  |  | ≥ 1.000 | ≥ 8.000 | unknown | ≥ 1 | unknown | [5] |" in text
    assert re.search(rf"- cost of evaluate/arm=pcgrad,seed=0: .*{said}", text)


def test_a_start_without_an_end_makes_the_sum_a_lower_bound_and_is_named(tmp_path):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    cost(inputs[0])
    nothing = {"seconds": 0.0, "cpu_hours": 0.0, "gpu_hours": 0.0}
    cost(inputs[1], **nothing, unknown=["attempt-1 started on n1 and left no exit record"])
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert "| n1 | 8 | 0 | 16 | 1.000 | 8.000 | 0.000 | 1 | 0 |" in text
    assert "| n1 | 8 | 0 | 16 | unknown | unknown | 0.000 | 1 | 0 |" in text
    assert "| sum |  |  |  |  | ≥ 1.000 | ≥ 8.000 | 0.000 | 2 | 0 |" in text
    assert (
        "- cost of evaluate/arm=pcgrad,seed=0: attempt-1 started on n1 and left no exit record"
        in text
    )


def test_evaluations_are_compared_by_what_they_say_must_be_equal(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"math": [1, 0]}, limit=limit, facts={"must_be_equal": said})
        for arm, limit, said in (("baseline", 7, {"dose": 1}), ("pcgrad", 8, {"dose": 2}))
    ]
    with pytest.raises(
        ConfigError, match=r"not comparable: dose is 1 in evaluate/arm=baseline,seed=0 and 2 in"
    ):
        report(tmp_path, inputs)


def test_evaluations_that_do_not_say_it_are_compared_by_their_config(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"math": [1, 0]}, limit=limit, seed=limit)
        for arm, limit in (("baseline", 7), ("pcgrad", 8))
    ]
    with pytest.raises(ConfigError, match=r"not comparable: limit is 7 in \S+ and 8 in"):
        report(tmp_path, inputs)


def test_evaluations_with_other_sampling_are_refused(tmp_path):
    def sampled(arm: str, limit: int) -> dict:
        each = {
            "math": {"max_response_tokens": limit, "top_p": 1.0},
            "code": {"max_response_tokens": limit, "top_p": 0.7},
        }
        facts = {"tasks": {task: {"settings": settings} for task, settings in each.items()}}
        return evaluated(tmp_path, arm, {"math": [1, 0]}, facts=facts)

    inputs = [sampled("baseline", 4096), sampled("pcgrad", 99)]
    with pytest.raises(
        ConfigError,
        match=r"not comparable: max_response_tokens is 4096 in "
        r"evaluate/arm=baseline,seed=0 and 99 in \S+;",
    ):
        report(tmp_path, inputs)


def test_prompts_left_out_unlike_versions_and_unlike_checkpoints_are_named(tmp_path):
    inputs = [
        evaluated(
            tmp_path,
            arm,
            {"math": [1, 0]},
            facts={
                "remarks": [
                    "math: 2 of 9 problems left out, with a prompt of more than 4096 tokens"
                ],
                "versions": {"vllm": version},
                "sandbox": "bwrap",
                "checkpoints": [{"name": "epoch-000002", "step": step, "epoch": 2}],
            },
        )
        for arm, version, step in (("baseline", "1.0", 4), ("pcgrad", "1.1", 8))
    ]
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert (
        "- math: 2 of 9 problems left out, with a prompt of more than 4096 tokens (all evaluations)"
        in text
    )
    assert "- the evaluations were made with unlike vllm: 1.0, 1.1" in text
    assert (
        "- the compared checkpoints are not of the same step: baseline epoch-000002 "
        "(step 4); pcgrad epoch-000002 (step 8)"
    ) in text
    assert "code" not in text
    assert "sandbox" not in text


def test_length_and_truncation_stand_beside_the_score_as_means_over_domains(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"code": [1] * 8, "math": [0, 1]})
        for arm in ("baseline", "pcgrad")
    ]
    path = Path(inputs[1]["folder"]) / "scores" / "epoch-000002.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = [
        {**line, "tokens": 9, "finish_reason": "length"} if line["task"] == "math" else line
        for line in lines
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert "| baseline | 75.0 | 10 | 3.0 | 0.0 % | 0.0 % | [1-4] |" in text
    assert "| pcgrad | 75.0 | 10 | 6.0 | 50.0 % | 0.0 % | [1-4] |" in text


def test_programs_that_ran_out_of_time_are_counted_beside_the_score(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"code": [1] * 6 + [0] * 4}) for arm in ("baseline", "pcgrad")
    ]
    path = Path(inputs[1]["folder"]) / "scores" / "epoch-000002.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[-3:]:
        line["status"] = "out_of_time"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (report(tmp_path, inputs) / "report.md").read_text()
    assert "| no answer | programs out of time | source |" in text
    assert "| baseline | 60.0 | 10 | 3.0 | 0.0 % | 0.0 % | 0 | [1-4] |" in text
    assert "| pcgrad | 60.0 | 10 | 3.0 | 0.0 % | 0.0 % | 3 | [1-4] |" in text


def with_texts(source: dict, texts: list[str], prompts: list[str] | None = None) -> dict:
    """Adds what the model wrote, and what was asked, to an evaluation of the task math."""
    out = Path(source["folder"])
    (out / "generations" / "epoch-000002").mkdir(parents=True)
    lines = [{"item_id": f"math{i}", "sample": 0, "text": text} for i, text in enumerate(texts)]
    (out / "generations" / "epoch-000002" / "math.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    if prompts is not None:
        problems = [
            {"task": "math", "item_id": f"math{i}", "prompt": prompt}
            for i, prompt in enumerate(prompts)
        ]
        (out / "problems.jsonl").write_text("".join(json.dumps(line) + "\n" for line in problems))
    return source


def test_flipped_samples_are_counted_and_shown_with_prompt_and_both_answers_escaped(tmp_path):
    prompts = ["<script>alert(1)</script>", "second?", "third?", "fourth?"]
    inputs = [
        with_texts(
            evaluated(tmp_path, "baseline", {"math": [0, 1, 1, None]}),
            ["<b>no", "yes", "same", "lost"],
            prompts,
        ),
        with_texts(
            evaluated(tmp_path, "pcgrad", {"math": [1, 0, 1, 1]}),
            ["good", "x" * 2000 + "END", "same", "lost"],
            prompts,
        ),
    ]
    out = report(tmp_path, inputs)
    page = (out / "report.html").read_text()
    assert "1 of the 1 that only pcgrad got right" in page
    assert "<pre>&lt;script&gt;alert(1)&lt;/script&gt;</pre>" in page
    assert "<script" not in page
    assert "baseline: wrong</b>, 3 tokens<pre>&lt;b&gt;no</pre>" in page
    assert "pcgrad: wrong</b>, 3 tokens<pre>" + "x" * 300 + "\n[... 1403 characters ...]\n" in page
    assert "third?" not in page
    assert "| math | 1 | 1 | 1 | 0 | [1-4] |" in (out / "report.md").read_text()
    assert (
        "Of 3 pairs of samples 1 are right only in pcgrad, 1 only in baseline."
        in (out / "report.txt").read_text()
    )


def test_ten_flipped_examples_of_many_are_drawn_and_prompts_that_were_not_kept_are_named(tmp_path):
    inputs = [
        with_texts(evaluated(tmp_path, arm, {"math": [arm == "pcgrad"] * 30}), [arm] * 30)
        for arm in ("baseline", "pcgrad")
    ]
    out = report(tmp_path, inputs)
    page = (out / "report.html").read_text()
    assert "10 of the 30 that only pcgrad got right" in page
    assert "0 of the 0 that only baseline got right" in page
    assert page.count("<article>") == 10
    assert "prompts of 10 flipped examples" in (out / "report.md").read_text()


def test_every_number_of_the_report_and_of_the_jobs_is_a_tidy_row_with_its_source(tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"math": [0, 1, arm == "pcgrad"]})
        for arm in ("baseline", "pcgrad")
    ]
    train = tmp_path / "train" / "out"
    train.mkdir(parents=True)
    rows = [
        Row(metric="conflict_rate", value=0.25, n=4, axes={"moment": "after"}),
        Row(metric="loss", value=None, n=0, error="diverged"),
    ]
    write_results(train, "ppo", EvaluationConfig(models="m", data="d"), rows, 1.0)
    inputs.append(
        {
            "job": "train/arm=pcgrad",
            "stage": "train",
            "axes": {"arm": "pcgrad", "seed": 0},
            "folder": str(train),
        }
    )
    out = report(tmp_path, inputs)
    lines = list(csv.DictReader((out / "tidy.csv").open()))
    own = json.loads((out / "results.json").read_text())["rows"]
    assert len(lines) == len(own) + len(rows)
    assert [line for line in lines if not line["source"]] == []
    conflict = next(line for line in lines if line["metric"] == "conflict_rate")
    assert {name: conflict[name] for name in ("job", "value", "n", "arm", "moment", "source")} == {
        "job": "train/arm=pcgrad",
        "value": "0.25",
        "n": "4",
        "arm": "pcgrad",
        "moment": "after",
        "source": str(train / "results.json"),
    }
    assert next(line for line in lines if line["metric"] == "loss")["error"] == "diverged"
    score = next(
        line
        for line in lines
        if line["metric"] == "accuracy" and line["domain"] == "math" and line["arm"] == "baseline"
    )
    assert float(score["value"]) == pytest.approx(1 / 3)
    assert float(score["low"]) < 1 / 3 < float(score["high"])
    assert score["source"].count("scores/epoch-000002.jsonl") == 2


def trained(root: Path, arm: str, seed: int, ends: float) -> dict:
    """A training whose validation reward rises to ``ends``."""
    out = root / f"train-{arm}-{seed}" / "out"
    out.mkdir(parents=True)
    progress = Progress(out)
    for step in range(5):
        value = ends * step / 4
        progress.write(
            step,
            4,
            {
                "validation_reward_mean": value,
                "conflict_rate": 0.5,
                "cosine/code|math": value - 0.2,
            },
        )
    return {
        "job": f"train/arm={arm},seed={seed}",
        "stage": "train",
        "axes": {"arm": arm, "seed": seed},
        "folder": str(out),
    }


def test_figures_take_the_colours_of_the_page_and_names_of_arms_that_end_alike_stand_apart(
    tmp_path,
):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    inputs += [
        trained(tmp_path, arm, seed, 0.8) for arm in ("baseline", "pcgrad") for seed in (0, 1)
    ]
    inputs.append(trained(tmp_path, "another", 0, 0.3))
    out = report(tmp_path, inputs)
    page = (out / "report.html").read_text()
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert len(figures) == 4
    for figure in figures:
        assert "currentColor" in figure
        assert not re.search("#(010203|0072b2|d55e00)", figure)
    names = dict(re.findall(r'fill: var\(--(w1|w2)\)" x="[\d.]+" y="([\d.]+)"', figures[0]))
    assert abs(float(names["w1"]) - float(names["w2"])) > 9  # the letters are 9 points high
    assert "another" not in figures[0]
    assert "2 seeds thin, their mean thick; band: 95 % interval" in figures[0]


@pytest.mark.browser
def test_the_page_is_read_on_every_ground_and_width(browser, tmp_path):
    inputs = [
        evaluated(tmp_path, arm, {"math": [0, 1, 1, 1], "logic": [1, 0, 0, 0]})
        for arm in ("baseline", "pcgrad")
    ]
    inputs += [trained(tmp_path, arm, 0, 0.8) for arm in ("baseline", "pcgrad")]
    assert ill_read(browser, report(tmp_path, inputs) / "report.html") == []


def title_of(out: Path) -> str:
    page = (out / "report.html").read_text()
    return re.findall(r"<h1>(.*?)</h1>", page)[0]


@pytest.mark.parametrize(
    ("baseline", "pcgrad", "heading"),
    [
        ({"math": [0] * 20}, {"math": [1] * 20}, "pcgrad is better than baseline"),
        ({"math": [1] * 20}, {"math": [0] * 20}, "pcgrad is worse than baseline"),
        (
            {"math": [0, 1] * 10},
            {"math": [1, 0] * 10},
            "No measurable difference between pcgrad and baseline",
        ),
        (
            {"math": [0] * 20, "code": [1] * 20},
            {"math": [1] * 20, "code": [0] * 20},
            "pcgrad is better in math and worse in code",
        ),
        (
            {"math": [None]},
            {"math": [1]},
            "Whether pcgrad or baseline is better cannot be told",
        ),
    ],
)
def test_the_page_begins_with_what_was_found(tmp_path, baseline, pcgrad, heading):
    inputs = [
        evaluated(tmp_path, "baseline", baseline),
        evaluated(tmp_path, "pcgrad", pcgrad),
    ]
    assert title_of(report(tmp_path, inputs)) == heading


def test_seeds_that_disagree_are_part_of_the_heading(tmp_path):
    inputs = [evaluated(tmp_path, "baseline", {"math": [0] * 20}, seed) for seed in (0, 1)]
    inputs += [
        evaluated(tmp_path, "pcgrad", {"math": [1] * gain + [0] * (20 - gain)}, seed)
        for seed, gain in enumerate((20, 2))
    ]
    assert "its seeds differ too much to say so" in title_of(report(tmp_path, inputs))


def test_intervals_are_drawn_in_the_rows_of_the_table_all_domains_first(tmp_path):
    inputs = [
        evaluated(tmp_path, "baseline", {"code": [0] * 20, "math": [0, 1] * 10}),
        evaluated(tmp_path, "pcgrad", {"code": [1] * 20, "math": [1, 0] * 10}),
    ]
    page = (report(tmp_path, inputs) / "report.html").read_text()
    rows = re.findall(r"<tr[^>]*><td>([^<]+)</td><td class=drawn>(<svg.*?</svg>)", page)
    assert [name for name, _ in rows] == ["macro mean", "math", "code"]
    places = {name: float(re.findall(r'cx="([\d.]+)"', drawn)[0]) for name, drawn in rows}
    (zero,) = {re.findall(r'd="M([\d.]+) 0V', drawn)[0] for _, drawn in rows}
    assert places["math"] == float(zero) < places["macro mean"] < places["code"]
    # Filled where there is evidence.
    filled = {name: "currentColor" in drawn.rpartition("fill=")[2] for name, drawn in rows}
    assert filled == {"macro mean": True, "math": False, "code": True}


def test_how_to_read_is_folded_and_the_page_prints(tmp_path):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    page = (report(tmp_path, inputs) / "report.html").read_text()
    assert "<details><summary>How to read this</summary>" in page
    assert "How to read this:" not in page.partition("<details>")[0]
    assert "@media print" in page
    # What was run stands above the title.
    above = page.partition("<h1>")[0].rpartition('<p class="what">')[2]
    assert "pcgrad against baseline" in above
    assert "1 task" in above
    assert "1 training seed per arm" in above


def test_ids_of_the_figures_do_not_meet(tmp_path):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    inputs += [
        trained(tmp_path, "baseline", 0, 0.8),
        trained(tmp_path, "pcgrad", 0, 0.7),
    ]  # alike pictures share an id
    page = (report(tmp_path, inputs) / "report.html").read_text()
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r"url\(#([^)]+)\)", page)) | set(
        re.findall(r'href="#([^"]+)"', page)
    ) <= set(ids)


def test_a_score_that_is_missing_in_one_arm_alone_cannot_flatter_it(tmp_path):
    # The treatment's two lost samples leave 2 of 4 problems on which it looks perfect; all against
    # it, it is no better.
    inputs = [
        evaluated(tmp_path, "baseline", {"math": [0, 1, 0, 1]}),
        evaluated(tmp_path, "pcgrad", {"math": [1, 1, None, None]}),
    ]
    text = " ".join((report(tmp_path, inputs) / "report.txt").read_text().split())
    assert "math 2 of 4 50.0 100.0" in text
    assert (
        "Counted all against pcgrad they would make the macro difference +0.0, all for it +50.0."
        in text
    )


@pytest.mark.parametrize(
    ("test_data", "said", "in_headline"),
    [
        (
            {"problems": 9, "in_training": {"math": 2, "code": 0}, "in_validation": {}},
            "problems of the evaluation in training: math 2",
            True,
        ),
        (
            {"problems": 9, "in_training": {"math": 0}, "in_validation": {"math": 1}},
            "problems of the evaluation in validation: math 1",
            False,
        ),
        (
            {"problems": 9, "in_training": {"math": 0}, "near_training": "math 4; such as 'How'"},
            "training problems that nearly repeat one of the evaluation: math 4; such as 'How'",
            False,
        ),
        (None, "whether it trained on problems of the evaluation was not checked", False),
    ],
)
def test_a_training_on_problems_of_the_evaluation_is_said_first(
    tmp_path, test_data, said, in_headline
):
    inputs = [evaluated(tmp_path, arm, {"math": [0, 1]}) for arm in ("baseline", "pcgrad")]
    inputs.append(trained(tmp_path, "pcgrad", 0, 0.5))
    write_results(
        Path(inputs[-1]["folder"]),
        "ppo",
        EvaluationConfig(models="m", data="d"),
        [],
        1.0,
        {"test_data": test_data},
    )
    out = report(tmp_path, inputs)
    assert f"- train/arm=pcgrad,seed=0: {said}" in (out / "report.md").read_text()
    assert (
        "trained on problems of the evaluation, so this is no test" in headline_of(out)
    ) == in_headline
