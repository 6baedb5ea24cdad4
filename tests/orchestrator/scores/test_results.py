"""What `orch results` says where there is no value that was asked for."""

import errno
import json
from pathlib import Path

from orchestrator.cli.system_errors import sentence
from tests.support.cli import SMALL, launch, orch

SCRIPT = """import orch, sys
orch.progress(1, 1, val_loss=2.0)
if sys.argv[1] == "says":
    orch.result("accuracy", 0.5)
"""


def test_a_metric_that_no_result_has_is_answered_by_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(SCRIPT)
    stages = (
        f"  mute: {{command: python t.py mute, {SMALL}}}\n"
        f"  says: {{command: python t.py says, {SMALL}}}\n"
        f"  dies: {{command: 'false', {SMALL}}}\n"
    )
    launch(tmp_path, stages)
    run = next((tmp_path / "runs" / "trial").iterdir()).name
    head = f"trial/{run}: no result has the metric loss; there are: "
    for job, said in (
        ("says", "accuracy"),
        (
            "mute",
            "none, though mute is done; its progress has val_loss, which are no results; other "
            "jobs have accuracy",
        ),
        ("dies", "none yet"),
    ):
        asked = orch(tmp_path, "results", f"trial/{run}:{job}", "--metric", "loss")
        assert (asked.returncode, asked.stdout) == (2, "")
        assert asked.stderr == f"orch: {head}{said}\n"
    found = orch(tmp_path, "results", "--metric", "accuracy", "--json")
    assert [row["value"] for row in json.loads(found.stdout)["rows"]] == [0.5]
    # What a training counts as problems are its tasks', and nothing that is wrong.
    (path,) = (tmp_path / "runs").glob("*/*/jobs/says/out/results.json")
    document = json.loads(path.read_text())
    document["facts"] |= {"problems": {"code": 64, "logic": 64}, "tasks": 2, "missing": {}}
    path.write_text(json.dumps(document))
    counted = orch(tmp_path, "results", "--metric", "accuracy")
    assert counted.returncode == 0, counted.stderr
    assert "code" not in counted.stderr
    document["facts"]["problems"] = ["results.json: row 3: no value; left out"]
    path.write_text(json.dumps(document))
    told = orch(tmp_path, "results", "--metric", "accuracy").stderr
    assert "says: results.json: row 3: no value; left out\n" in told


def test_a_file_that_cannot_be_written_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(SCRIPT)
    launch(tmp_path, f"  says: {{command: python t.py says, {SMALL}}}\n")
    (tmp_path / "file").write_text("")
    for name, said in (
        ("gone/rows.csv", "there is no folder gone; make it, or name another file"),
        ("file/rows.csv", "there is no folder file; make it, or name another file"),
        (".", "is a folder; name a file in it"),
    ):
        asked = orch(tmp_path, "results", "--csv", name)
        assert (asked.returncode, asked.stdout) == (2, "")
        assert asked.stderr == f"orch: {name}: {said}\n"
    assert not list(tmp_path.glob(".*.tmp"))
    # What is missing is told once, with what there is or what comes next.
    best = orch(tmp_path, "results", "--best", "lr").stderr
    assert best.endswith("no result has the metric lr; known: accuracy\n")
    report = orch(tmp_path, "report").stderr
    assert "orch results trial/" in report
    assert "orch page trial/" in report


def test_an_error_names_a_draft_by_the_file_that_it_was_to_be() -> None:
    for given, shown in (
        ("/a/.rows.csv.123.tmp", "/a/rows.csv"),
        (".rows.csv.123.tmp", "rows.csv"),
        ("/a/.hidden", "/a/.hidden"),
    ):
        error = OSError(errno.ENOSPC, "No space left on device", given)
        assert (sentence(error) or "").startswith(f"{shown}: No space left on device: make room")
