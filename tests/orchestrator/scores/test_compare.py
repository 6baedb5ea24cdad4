"""`orch compare` and `orch results`: any two evaluations, what may not be compared, specialists,
the gate."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engines.analysis.config import Config
from engines.analysis.expected import expect
from engines.contract.files import write_json
from engines.contract.results import Row, write_results
from engines.contract.tidy import Tidy, csv_text, records, write_parquet
from engines.evaluation.config import Config as EvaluationConfig
from engines.ppo.config import Config as TrainingConfig
from engines.shared.data.contamination import overlap
from engines.shared.data.problem_files import write_problems
from engines.shared.data.problems import make_problem, user
from orchestrator.errors import RunError
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.run import Run
from orchestrator.scores.compare import COLUMNS, OPERATORS, condition, holds
from orchestrator.scores.sides import pick, resolve
from orchestrator.views.results import results_lines
from orchestrator.views.tables.drawing import Screen
from tests.support.builders import PLANNED
from tests.support.cli import orch
from tests.support.damaged_values import damaged, kinds, places
from tests.support.extras import needs
from tests.support.scores import Columns, share, write_scores


def evaluated(out: Path, checkpoints: list[Columns], models: Any = "m", **settings: Any) -> Path:
    """A finished evaluation of one checkpoint per entry (task -> values), each task a domain, with
    texts and prompts."""
    for epoch, values in enumerate(checkpoints, start=1):
        write_scores(out, f"epoch-{epoch:06d}", values)
    entries = [
        {
            "name": f"epoch-{epoch:06d}",
            "step": 10 * epoch,
            "epoch": epoch,
            "fingerprint": f"{out}{epoch}",
        }
        for epoch in range(1, len(checkpoints) + 1)
    ]
    write_results(
        out,
        "evaluation",
        EvaluationConfig(models=models, data="data", **settings),
        [
            Row(metric="accuracy", value=0.5, n=2, spread=0.1, axes={"domain": "math"}),
            Row(
                metric="score",
                value=None,
                n=0,
                axes={"domain": "code"},
                error="no sample could be scored",
            ),
        ],
        1.0,
        {"checkpoints": entries, "versions": {}},
    )
    return out


def finished_run(root: Path, seeds: tuple[int, ...] = (0,)) -> Run:
    """A run whose evaluations of two arms are done: arm b is better in math, at its second
    checkpoint."""
    (root / "base").mkdir(parents=True)
    (root / "base" / "config.json").write_text("{}")
    path = root / "x.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "experiment": "x",
                "about": "y",
                "stages": {
                    "train": {
                        "engine": "ppo",
                        "matrix": {
                            "arm": {"a": {"learning_rate": 1e-3}, "b": {"learning_rate": 1e-2}},
                            "seed": list(seeds),
                        },
                        "config": {
                            "model": str(root / "base"),
                            "data": "data",
                            "validation_data": "data",
                        },
                    },
                    "evaluate": {
                        "engine": "evaluation",
                        "for_each": "train",
                        "checkpoints": "all",
                        "config": {"data": "data"},
                    },
                },
            }
        )
    )
    run = create_run(make_plan(path), PLANNED, root / "runs")
    for job in run.plan.jobs:
        if job.engine == "evaluation":
            later = 30 if job.axes["arm"] == "b" else 10
            evaluated(
                run.job_folder(job) / "out",
                [{"math": share(10), "code": share(20)}, {"math": share(later), "code": share(20)}],
            )
    return run


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


@needs("scipy")
def test_two_arms_of_a_run_are_compared_and_the_gate_decides_the_exit_code(tmp_path: Path) -> None:
    finished_run(tmp_path)
    shown = orch(
        None,
        "compare",
        "x:arm=a",
        "x:arm=b",
        "--out",
        "c",
        "--fail-if",
        "domain=math difference<-0.02",
        "--fail-if",
        "accuracy<0.2",
    )
    assert shown.returncode == 0, shown.stderr
    assert "x:arm=b is better than x:arm=a" in " ".join(shown.stdout.split())
    written = {path.name for path in Path("c").iterdir()}
    assert {
        "report.html",
        "report.md",
        "report.txt",
        "table.csv",
        "tidy.csv",
        "tidy.parquet",
    } <= written
    failed = orch(
        None,
        "compare",
        "x:arm=a",
        "x:arm=b",
        "--out",
        "c",
        "--fail-if",
        "domain=code difference<=0",
    )
    assert failed.returncode == 3
    assert "gate: domain=code difference<=0: difference is 0.0000" in failed.stderr.splitlines()
    wrong = orch(
        None,
        "compare",
        "x:arm=a",
        "x:arm=b",
        "--out",
        "c",
        "--fail-if",
        "domain=chess difference<0",
    )
    assert (
        wrong.returncode,
        "no domain 'chess'; there are: code, macro mean, math" in wrong.stderr,
    ) == (2, True)
    other = orch(None, "compare", "x:arm=a@10", "x:arm=b", "--out", "c")
    assert (other.returncode, "holds another comparison" in other.stderr) == (2, True)


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path: Path) -> None:
    evaluated(tmp_path / "a", [{"math": share(10)}], max_response_tokens=8)
    evaluated(tmp_path / "b", [{"math": share(10)}], max_response_tokens=9)
    evaluated(tmp_path / "c", [{"math": share(10, 39)}], max_response_tokens=8)
    settings = orch(None, "compare", "a", "b")
    assert settings.returncode == 2
    assert (
        "orch: not comparable: max_response_tokens is 8 in a@epoch-000001 [a] and 9 in "
        "b@epoch-000001 [b]" in settings.stderr
    )
    problems = orch(None, "compare", "a", "c")
    assert (
        "orch: not comparable: math has 40 problems in a, seed 0 and 39 in c, seed 0"
        in problems.stderr
    )
    assert (
        "orch: a and a are the same evaluation; name two"
        in orch(None, "compare", "a", "a").stderr.splitlines()
    )


def test_a_name_means_one_checkpoint_for_each_seed_or_is_refused_with_what_there_is(
    tmp_path: Path,
) -> None:
    run = finished_run(tmp_path, (0, 1))
    side = resolve("x:arm=b")
    assert [(one.axes["seed"], one.step) for one in side.chosen] == [(0, 20), (1, 20)]
    assert [one.checkpoint for one in resolve(":arm=b@10").chosen] == ["epoch-000001"] * 2
    assert [one.checkpoint for one in resolve("x:evaluate/arm=b,seed=1@epoch-000001").chosen] == [
        "epoch-000001"
    ]
    folder = run.job_folder(run.by_name["evaluate/arm=a,seed=0"]) / "out"
    assert resolve(f"{folder}@20").chosen[0].out == folder
    with pytest.raises(RunError, match=r"x: 2 arms; name one, as in x:evaluate/arm=a,seed=0"):
        resolve("x")
    with pytest.raises(
        RunError, match=r"checkpoint '7' was not evaluated; there are: epoch-000001 \(step 10\)"
    ):
        resolve("x:arm=b@7")
    with pytest.raises(RunError, match="carry no metric to rank by"):
        resolve("x:arm=b@best")
    with pytest.raises(RunError, match="no run 'y'"):
        resolve("y")


def test_best_is_what_the_training_ranks_first(tmp_path: Path) -> None:
    one = resolve(str(evaluated(tmp_path / "a", [{"math": share(1)}, {"math": share(2)}]))).chosen[
        0
    ]
    group = [
        type(one)(**{**vars(one), "name": name, "is_best": name == "e2"})
        for name in ("e1", "e2", "e3")
    ]
    assert pick(group, "best", "x").name == "e2"


NAMES = st.sampled_from(sorted(COLUMNS))


@given(
    NAMES,
    st.sampled_from(sorted(OPERATORS)),
    st.floats(-1, 1, allow_nan=False),
    st.sampled_from(["", "domain=math ", "task=a/b "]),
)
def test_every_sentence_of_the_grammar_is_read_as_written(
    column: str, sign: str, bound: float, where: str
) -> None:
    for gap in ("", " "):
        found = condition(f"{where}{column}{gap}{sign}{gap}{bound}")
        assert (found.column, found.compare, found.bound) == (COLUMNS[column], sign, bound)
        assert found.where == (where.strip().partition("=")[2] or "macro mean")


@given(st.text(max_size=30))
def test_nothing_else_is_read(text: str) -> None:
    if any(sign in text for sign in "<>") and any(name in text for name in COLUMNS):
        return
    with pytest.raises(RunError, match="must be"):
        condition(text)


def test_a_gate_on_a_number_that_is_missing_fails_and_says_so(tmp_path: Path) -> None:
    columns = ["domain", "task", "difference", "missing"]
    with (tmp_path / "table.csv").open("w") as file:
        gone = ["math", "", "", "no problem was scored in both arms"]
        csv.writer(file).writerows(
            [columns, gone, ["code", "", "-0.1", ""], ["code", "mbpp", "0.3", ""]]
        )
    assert "no problem was scored in both arms" in holds(
        condition("domain=math difference<0"), tmp_path
    )
    assert (
        holds(condition("domain=code difference<0"), tmp_path)
        == "domain=code difference<0: difference is -0.1000"
    )
    assert holds(condition("task=mbpp difference<0"), tmp_path) == ""


def scores(values: list[float]) -> dict[tuple[str, str], dict[str, list[float]]]:
    return {("math", "math"): {f"p{i}": [value] for i, value in enumerate(values)}}


@needs("scipy")
def test_the_specialist_is_chosen_on_one_half_and_scored_on_the_other(tmp_path: Path) -> None:
    """Of equal specialists the best one's score on all problems is too high; on the half that did
    not choose it is not."""
    config = Config.model_validate({"compare": {"baseline": "a", "treatment": "b"}, "draws": 200})
    random = np.random.default_rng(0)
    gains, naive = [], []
    for _ in range(60):
        draws = [[float(v) for v in random.integers(0, 2, 40)] for _ in range(9)]
        lines = expect(
            {f"s{i}": {"0": scores(one)} for i, one in enumerate(draws[:8])},
            {"0": scores(draws[8])},
            config,
        )
        gains.append(lines[0].gain.value)
        naive.append(np.mean(draws[8]) - max(np.mean(one) for one in draws[:8]))
    assert (
        abs(np.mean(gains)) < 0.045
    )  # 4 standard errors of a mean of 60 differences over 20 problems
    assert np.mean(naive) < -0.08


@needs("scipy")
def test_expected_and_actual_stand_in_every_form_of_the_report(tmp_path: Path) -> None:
    evaluated(tmp_path / "base", [{"math": share(5), "code": share(5)}])
    evaluated(tmp_path / "both", [{"math": share(38), "code": share(10)}])
    evaluated(tmp_path / "maths", [{"math": share(20), "code": share(2)}])
    evaluated(tmp_path / "coder", [{"math": share(3), "code": share(36)}])
    shown = orch(
        None,
        "compare",
        "base",
        "both",
        "--specialist",
        "maths",
        "--specialist",
        "coder",
        "--out",
        "c",
    )
    assert shown.returncode == 0, shown.stderr
    rows = {row["domain"]: row for row in table("c/tidy.csv") if row["at"] == "gain"}
    assert rows["math"]["specialist"] == "maths"
    assert float(rows["math"]["low"]) > 0
    assert rows["code"]["specialist"] == "coder"
    assert float(rows["code"]["high"]) < 0
    for name in ("report.txt", "report.md", "report.html"):
        assert "actual minus expected" in Path("c", name).read_text()


def problem_file(path: Path, questions: list[str]) -> None:
    write_problems(path, [make_problem("math__x", user(question), "1") for question in questions])


@needs("scipy")
def test_a_training_that_nobody_had_checked_is_checked_against_the_evaluation(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    problem_file(
        data / "math.train.parquet", ["What is 1 + 1?", "What is 2 + 2?", "What is 3 + 3?"]
    )
    problem_file(data / "math.test.parquet", ["what is  2 + 2?", "What is 9 + 9?"])
    assert overlap(str(data), str(data)) == {"problems": 2, "in_training": {"math": 1}}
    train = tmp_path / "train" / "out"
    train.mkdir(parents=True)
    write_results(
        train,
        "ppo",
        TrainingConfig(model="m", data=str(data), validation_data="v"),
        [],
        1.0,
        {"test_data": None},
    )
    evaluated(tmp_path / "a", [{"math": share(10)}])
    evaluated(
        tmp_path / "b", [{"math": share(12)}], models={"folder": str(train), "checkpoints": "all"}
    )
    shown = orch(None, "compare", "a", "b", "--out", "c")
    assert shown.returncode == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    assert "the models were trained on problems of the evaluation, so this is no test" in text
    assert "problems of the evaluation in training: math 1" in text


def test_on_a_narrow_terminal_numbers_are_whole_and_what_is_the_same_everywhere_is_said_once() -> (
    None
):
    lines = [
        Tidy(
            Row(
                metric="accuracy",
                value=value,
                n=60,
                axes={"arm": arm, "domain": "a domain with a long name", "seed": 0},
                error=None if value is not None else "no sample could be scored",
            ),
            "results.json",
            None,
            None,
            f"evaluate/arm={arm}",
            "evaluate",
        )
        for arm, value in (("baseline", 0.123456), ("pcgrad", None))
    ]
    assert [line.plain for line in results_lines("x/y", lines, Screen(40))] == [
        "x/y  2 results of 2 jobs, 1 metric",
        "",
        "evaluate  accuracy",
        "arm        value  no value",
        "baseline  0.1235",
        "pcgrad            no sample could be",
        "                  scored",
        "all: domain a domain with a long name,",
        "seed 0, n 60",
    ]


def test_results_are_printed_and_exported_whatever_the_engine(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    run = finished_run(tmp_path)
    shown = orch(None, "results", "x")
    assert shown.returncode == 0, shown.stderr
    assert "no sample could be scored" in shown.stdout
    assert (
        f"{run.name}: no results yet of 2 jobs: train/arm=a,seed=0, train/arm=b,seed=0"
        in shown.stderr
    )
    assert orch(None, "results", "x", "--csv", "r.csv", "--parquet", "r.parquet").returncode == 0
    rows = table("r.csv")
    assert len(rows) == 4
    assert (
        rows[0]["job"],
        rows[0]["arm"],
        rows[0]["metric"],
        rows[0]["value"],
        rows[0]["spread"],
    ) == ("evaluate/arm=a,seed=0", "a", "accuracy", "0.5", "0.1")
    assert (
        pyarrow.read_table("r.parquet").to_pylist()
        == json.loads(orch(None, "results", "x", "--json").stdout)["rows"]
    )
    assert (
        len(
            json.loads(
                orch(None, "results", "x", "--json", "--metric", "score", "--job", "arm=b").stdout
            )["rows"]
        )
        == 1
    )
    assert (
        "no result has the metric lss; there are: accuracy, score"
        in orch(None, "results", "x", "--metric", "lss").stderr
    )


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["arm", "seed", "low", "job"]),
            st.integers() | st.text(max_size=3) | st.booleans(),
            max_size=3,
        ),
        max_size=5,
    )
)
def test_a_table_of_rows_has_every_axis_once_and_parquet_takes_mixed_axes(
    axes: list[dict[str, Any]],
) -> None:
    lines = [Tidy(Row(metric="loss", value=1.0, n=1, axes=one), "s") for one in axes]
    found = records(lines)
    assert [list(row) for row in found] == [list(found[0])] * len(found) if found else True
    for row, one in zip(found, axes, strict=True):
        for name, value in one.items():
            assert row[f"axis_{name}" if name in ("low", "job") else name] == value
    assert len(csv_text(lines).splitlines()) >= len(lines) + 1


def test_parquet_of_an_axis_of_several_types_is_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    lines = [
        Tidy(
            Row(
                metric="loss",
                value=value,
                n=1,
                axes={"arm": arm},
                error=None if value is not None else "why",
            ),
            "s",
        )
        for arm, value in (("a", 1.0), (3, None), (True, 2.0))
    ]
    write_parquet(tmp_path / "r.parquet", lines)
    assert [row["arm"] for row in pyarrow.read_table(tmp_path / "r.parquet").to_pylist()] == [
        "a",
        "3",
        "True",
    ]
    write_json(tmp_path / "r.json", records(lines))


def test_an_evaluation_with_damaged_results_is_compared_or_refused(tmp_path: Path) -> None:
    models = {"folder": str(tmp_path / "training"), "checkpoints": "all"}
    out = evaluated(tmp_path / "e", [{"math": share(10)}, {"math": share(30)}], models)
    path = out / "results.json"
    whole, refused = json.loads(path.read_text()), []
    for place in places(whole):
        for way, value in kinds():
            if place[:1] not in (("facts",), ("config",)):
                continue
            path.write_bytes(damaged(whole, place, way, value) or b"{}")
            try:
                assert resolve(str(out)).chosen
            except RunError as error:
                refused.append(len(str(error)))
    assert len(refused) > 100
    assert max(refused) < 1000


def test_a_step_that_int_refuses_was_not_evaluated(tmp_path: Path) -> None:
    out = evaluated(tmp_path / "e", [{"math": share(10)}])
    with pytest.raises(RunError, match="was not evaluated; there are: epoch-000001"):
        resolve(f"{out}@\N{SUPERSCRIPT TWO}")
