"""What a user's command leaves in the documented form is seen; what is not in it is told and left
out."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.checkpoints import select
from engines.contract.config import ConfigError
from engines.contract.results import Row, read_results
from orchestrator.node.own_results import (
    MOST_PROBLEMS,
    checked_row,
    open_doors,
    read_own_results,
    rows_of,
    selected_checkpoints,
)
from tests.support.node import SECONDS, attempt_node, first_exit_record, job_folder

SCRIPT = """
import json, os
out = os.environ["ORCH_OUT"]
with open(f"{out}/progress.jsonl", "a") as file:
    file.write(json.dumps({"step": 1, "total": 2, "metrics": {"loss": 2.0}}) + "\\n")
    file.write("{torn\\n")
rows = [{"metric": "accuracy", "value": 0.75, "n": 8}, {"metric": "f1", "value": "high"}]
with open(f"{out}/results.json", "w") as file:
    json.dump({"schema": 1, "rows": rows}, file)
"""


@pytest.mark.usefixtures("each_program")
def test_rows_and_progress_of_a_command_are_where_those_of_an_engine_are(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    path = job_folder(tmp_path, ["python3", "train.py"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 0
    rows, document = read_results(path / "out")
    assert [(row.metric, row.value, row.n) for row in rows] == [("accuracy", 0.75, 8)]
    assert document["facts"]["problems"] == [
        "results.json: row 2: value: a number is expected, got 'high'; left out",
        "progress.jsonl:2: not JSON: '{torn'; passed over",
    ]
    assert "row 2" in (path / "attempt-1" / "log.txt").read_text()
    assert (path / "out" / "progress.jsonl").read_text().startswith('{"step": 1')
    # A finished job stays one, whatever it wrote.
    assert first_exit_record(path)["results"]


@pytest.mark.usefixtures("each_program")
def test_results_that_a_failed_command_has_left_do_not_make_it_a_finished_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "train.py").write_text(f"{SCRIPT}\nraise SystemExit(3)")
    path = job_folder(tmp_path, ["python3", "train.py"])
    assert attempt_node(path, "7").wait(timeout=SECONDS) == 3
    assert not first_exit_record(path)["results"]
    assert not (path / "out" / "results.json").exists()


def test_links_lead_to_the_folder_of_the_command_wherever_the_run_is_moved(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    open_doors(str(before))
    # A second start finds them there.
    files = Path(open_doors(str(before)))
    assert not (before / "checkpoints").exists()
    (files / "checkpoints" / "last").mkdir(parents=True)
    before.rename(after)
    assert (after / "checkpoints" / "last").is_dir()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", 'must be {"schema": 1, "rows": [...]}'),
        ('{"rows": {}}', 'must be {"schema": 1, "rows": [...]}'),
        ('{"schema": 2, "rows": []}', "schema 2 is not known"),
        ('{"rows": [5]}', "row 1: an object is expected, got 5"),
        ('{"rows": [{"value": 1}]}', "row 1: metric: a name is expected, got None"),
        ('{"rows": [{"metric": "a", "value": true}]}', "value: a number is expected, got True"),
        ('{"rows": [{"metric": "a"}]}', "no error says why"),
        ('{"rows": [{"metric": "a", "value": 1, "n": 0.5}]}', "n: a whole number is expected"),
        ('{"rows": [{"metric": "a", "value": 1, "axes": [1]}]}', "axes: names with texts"),
        ('{"rows": [{"metric": "a", "value": 1, "x": 1}]}', "unknown key 'x'"),
    ],
)
def test_what_is_malformed_is_told(text: str, said: str) -> None:
    rows, problems = rows_of(text)
    assert rows == []
    assert len(problems) == 1
    assert said in problems[0]


def test_a_value_that_is_no_number_is_missing_with_its_reason() -> None:
    """Frameworks write NaN into JSON; it must not become a number, nor a reason to fail."""
    row, problem = checked_row({"metric": "loss", "value": float("nan")})
    assert problem == ""
    assert (row["value"], row["error"]) == (None, "the value was nan")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)
KEYS = st.sampled_from(["metric", "value", "n", "spread", "axes", "error"])


@given(st.lists(st.dictionaries(KEYS, JSON) | JSON, max_size=4))
def test_rows_that_are_taken_are_rows_that_everything_reads(values: list[object]) -> None:
    rows, problems = rows_of(json.dumps({"rows": values}))
    assert len(rows) + len(problems) == len(values)
    for row in rows:
        Row.model_validate(row)


def test_thousands_of_problems_are_a_few_lines(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text("x\n" * 5000)
    (tmp_path / "results.json").write_text('{"rows": []}')
    _, problems = read_own_results(str(tmp_path))
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1] == f"and {5000 - MOST_PROBLEMS} more"


MANIFESTS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5), st.floats(-1, 1)), min_size=1, max_size=6
)
SELECTORS = st.sampled_from(["last", "best", "all", "every:2", "every:3"])


@settings(max_examples=60, deadline=None)
@given(MANIFESTS, SELECTORS | st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True))
def test_the_node_selects_the_checkpoints_that_an_engine_would(
    made: list[tuple[int, int, float]], selector: str | list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for number, (step, epoch, loss) in enumerate(made):
            model = out / "checkpoints" / f"c{number}"
            model.mkdir(parents=True)
            manifest = {
                "name": f"c{number}",
                "step": step,
                "epoch": epoch,
                "metrics": {"loss": loss},
                "rank_by": "loss",
                "better": "lower",
                "fingerprint": "0",
                "complete": True,
            }
            (model / "manifest.json").write_text(json.dumps(manifest))
        source = {"folder": folder, "checkpoints": selector}
        try:
            expected = [str(one.model) for one in select(out, selector)]
        except ConfigError:
            with pytest.raises(ValueError, match="no checkpoint"):
                selected_checkpoints(source)
            return
        assert [one["path"] for one in selected_checkpoints(source)] == expected


def test_an_evaluation_of_ones_own_gets_the_checkpoints_of_a_training(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import orch\n"
        "for step in (1, 2):\n"
        "    (orch.out() / 'w.pt').write_text(str(step))\n"
        "    orch.checkpoint(f'c{step}', orch.out() / 'w.pt', step, best_by='loss',\n"
        "                    better='lower', loss=step)\n"
    )
    (tmp_path / "a").mkdir()
    training = job_folder(tmp_path / "a", ["python3", str(tmp_path / "train.py")])
    assert attempt_node(training, "7").wait(timeout=SECONDS) == 0
    (tmp_path / "b").mkdir()
    code = "import sys, orch; print(open(sys.argv[1] + '/w.pt').read(), len(orch.checkpoints()))"
    evaluation = job_folder(tmp_path / "b", ["python3", "-c", code, "{checkpoint}"])
    job = json.loads((evaluation / "job.json").read_text())
    for selector, said in (("best", "1 1"), ("last", "2 1")):
        source = {"folder": str(training / "out"), "checkpoints": selector}
        (evaluation / "job.json").write_text(json.dumps({**job, "checkpoints": source}))
        (evaluation / "out" / "results.json").unlink(missing_ok=True)
        assert attempt_node(evaluation, "8").wait(timeout=SECONDS) == 0
        assert said in (evaluation / "attempt-1" / "log.txt").read_text()


def test_a_command_is_given_the_folder_of_the_job_that_it_follows(tmp_path: Path) -> None:
    words = ["echo", "{for_each}/w.pt", "{checkpoint}", "$ORCH_OUT"]
    folder = job_folder(tmp_path, words)
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**job, "followed": "/runs/a/out/files"}))
    assert attempt_node(folder, "9").wait(timeout=SECONDS) == 0
    said = (folder / "attempt-1" / "log.txt").read_text().split()
    assert said == ["/runs/a/out/files/w.pt", "{checkpoint}", str(folder / "out" / "files")]
