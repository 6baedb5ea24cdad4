"""What jobs have really run: compared by their attempts, told where files have changed since, and
run once more."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.reproduction.differences import unequal
from orchestrator.runs.lookup import open_run
from orchestrator.runs.provenance.launches import launches
from orchestrator.runs.provenance.ran import RanJobs
from tests.support.cli import SMALL, describe, orch
from tests.support.repositories import git, repository

PYTHON = sys.executable
ONE, TWO = "print('one')\n", "print('two')\nprint('and three')\n"


def trial(folder: Path, top: str = "", stages: str = "") -> Path:
    """A stage that runs train.py with a data file, and one behind it."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(ONE)
    (folder / "data.csv").write_text("1\n")
    return describe(
        folder,
        stages
        or f"  a: {{command: '{PYTHON} train.py --data data.csv --seed {{seed}}', "
        f"matrix: {{seed: [0, 1]}}, {SMALL}}}\n"
        f"  b: {{command: \"sh -c 'cat $0 >> seen.txt' train.py\", for_each: a, {SMALL}}}\n",
        top,
    )


def launched(folder: Path, file: Path, *more: str) -> Any:
    said = orch(folder, "launch", file, "--cluster", "local", "--watch", *more)
    assert said.returncode == 0, said.stdout + said.stderr
    return said


def only_run(folder: Path) -> Path:
    runs = [path for path in (folder / "runs" / "trial").iterdir() if "rerun" not in path.name]
    assert len(runs) == 1
    return runs[0]


def finished(folder: Path, name: str) -> None:
    """Wait for a run without a terminal."""
    said = orch(folder, "wait", name)
    assert said.returncode == 0, said.stdout + said.stderr


def told(folder: Path, a: str, b: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    said = orch(folder, "diff", a, b, "--json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)["differences"]
    return {(one["where"], one["key"]): (one["a"], one["b"]) for one in found}


def test_a_launch_that_submits_nothing_is_none_and_names_what_has_changed_since(
    tmp_path: Path,
) -> None:
    file = trial(tmp_path)
    said = launched(tmp_path, file)
    assert "changed since" not in said.stdout + said.stderr
    run = only_run(tmp_path)
    (tmp_path / "train.py").write_text(TWO)
    again = launched(tmp_path, file)
    assert "0 jobs submitted, 4 of 4 done before" in again.stdout
    (line,) = [line for line in again.stderr.splitlines() if "changed since" in line]
    assert line == (
        "train.py changed since a/seed=0, a/seed=1, b/seed=0 and 1 more ran; what is done stays. "
        f"To run it again with the present files: orch rerun trial/{run.name} --job a --job b "
        "--code present"
    )
    assert [launch["action"] for launch in launches(run)] == ["launch"]
    # The command that it names does it, and the difference is told although nothing was committed.
    words = line.partition(": orch ")[2].split()
    repeated = orch(tmp_path, *words)
    assert repeated.returncode == 0, repeated.stderr
    finished(tmp_path, f"trial/{run.name}-rerun-1")
    rerun = run.with_name(f"{run.name}-rerun-1")
    log = next((rerun / "jobs").glob("a*seed-0/attempt-1/log.txt")).read_text()
    assert log == "two\nand three\n"
    found = told(tmp_path, f"trial/{run.name}", f"trial/{rerun.name}")
    ((where, key),) = [place for place in found if place[0].startswith("train.py")]
    assert (where, key) == ("train.py", "content")
    assert all(str(value).startswith("sha256 ") for value in found[where, key])
    assert len(set(found[where, key])) == 2


def test_an_edit_between_two_attempts_of_one_run_is_told_of_the_jobs_that_it_reached(
    tmp_path: Path,
) -> None:
    """A sweep that grows after an edit: the new job has run another script than the old one."""
    folder = repository(tmp_path / "here")
    file = trial(
        folder,
        "snapshot: true\n",
        f"  a: {{command: '{PYTHON} train.py {{seed}}', matrix: {{seed: [0]}}, {SMALL}}}\n"
        f"  c: {{command: \"sh -c 'test -e {tmp_path}/go'\", {SMALL}}}\n",
    )
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "two")
    first = orch(folder, "launch", file, "--cluster", "local", "--watch")
    assert first.returncode == 1
    (folder / "train.py").write_text(TWO)
    (tmp_path / "go").touch()
    assert orch(folder, "retry").returncode == 0
    run = only_run(folder)
    finished(folder, f"trial/{run.name}")
    known = RanJobs(open_run(run))
    a, c = (known.of(job) for job in open_run(run).plan.jobs)
    assert a is not None
    assert c is not None
    assert (a.launch or {})["folder"] == str(run / "provenance" / "1")
    assert (c.launch or {})["folder"] == str(run / "provenance" / "2")
    assert a.files["train.py"] != c.files["train.py"]
    assert orch(folder, "rerun", f"trial/{run.name}", "--code", "present").returncode == 0
    finished(folder, f"trial/{run.name}-rerun-1")
    found = told(folder, f"trial/{run.name}", f"trial/{run.name}-rerun-1")
    # Both ran in copies, so the lines are known; `c` had the edited script already.
    assert found["train.py (a/seed=0)", "lines"] == ("-1", "+2")
    assert [place for place in found if place[0].startswith("train.py")] == [
        ("train.py (a/seed=0)", "lines")
    ]


def test_a_job_runs_once_more_exactly_as_it_was_with_what_those_before_it_have_left(
    tmp_path: Path,
) -> None:
    file = trial(tmp_path)
    launched(tmp_path, file)
    run = only_run(tmp_path)
    name = f"trial/{run.name}"
    seen = tmp_path / "seen.txt"
    seen.unlink()
    again = orch(tmp_path, "rerun", name, "--job", "b/seed=0")
    assert again.returncode == 0, again.stderr
    finished(tmp_path, f"{name}-rerun-1")
    rerun = run.with_name(f"{run.name}-rerun-1")
    jobs = open_run(rerun).plan.jobs
    assert [job.name for job in jobs] == ["a/seed=0", "b/seed=0"]
    # `a` was brought, `b` has run.
    assert not list((rerun / jobs[0].folder).glob("attempt-*"))
    assert json.loads((rerun / jobs[0].folder / "out" / "reused.json").read_text())["from"] == name
    assert seen.read_text() == ONE
    # What ran is the same; a launch of it does not make what was brought anew.
    found = told(tmp_path, name, f"{name}-rerun-1")
    assert {key for _, key in found} == {"a/seed=1", "b/seed=1"}  # which it has not
    # The experiment's name means the newest run, which has one job of them; the others are named.
    asked = orch(tmp_path, "logs", f"{name.partition('/')[0]}:a/seed=1")
    assert asked.returncode == 2
    assert f"; {name} has it" in asked.stderr
    assert orch(tmp_path, "retry", f"{name}-rerun-1").returncode == 0
    assert not list((rerun / jobs[0].folder).glob("attempt-*"))
    (tmp_path / "train.py").write_text(TWO)
    refused = orch(tmp_path, "rerun", name, "--job", "a")
    assert refused.returncode == 2
    assert "train.py has changed since a/seed=0, a/seed=1 ran, and no copy of it" in refused.stderr
    assert "--code present" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not run.with_name(f"{run.name}-rerun-2").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--job", "x"), "has no job 'x'"),
        (("--job", "a", "--set", "a.matrix.seed=[3]"), "--job repeats a job as it was"),
        (("--job", "late"), "late has not run yet, so there is nothing to repeat"),
    ],
)
def test_what_cannot_be_repeated_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    file = trial(
        tmp_path,
        stages=f"  a: {{command: '{PYTHON} train.py', {SMALL}}}\n"
        f"  late: {{command: 'true', after: [fails], {SMALL}}}\n"
        f"  fails: {{command: 'false', {SMALL}}}\n",
    )
    orch(tmp_path, "launch", file, "--cluster", "local", "--watch")
    said = orch(tmp_path, "rerun", "trial", *arguments)
    assert said.returncode == 2
    assert says in said.stderr
    assert "Traceback" not in said.stderr
    assert len(list((tmp_path / "runs" / "trial").iterdir())) == 1


def test_of_a_snapshot_the_copy_runs_whatever_became_of_the_folder(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    file = trial(folder, "snapshot: true\n")
    launched(folder, file)
    run = only_run(folder)
    (folder / "train.py").write_text(TWO)
    again = orch(folder, "rerun", f"trial/{run.name}", "--job", "a/seed=1")
    assert again.returncode == 0, again.stderr
    finished(folder, f"trial/{run.name}-rerun-1")
    rerun = run.with_name(f"{run.name}-rerun-1")
    (log,) = (rerun / "jobs").glob("a*/attempt-1/log.txt")
    assert log.read_text() == "one\n"
    assert told(folder, f"trial/{run.name}", f"trial/{rerun.name}").keys() <= {
        ("a", "a/seed=0"),
        ("b", "b/seed=0"),
        ("b", "b/seed=1"),
    }


def test_why_and_the_page_say_what_ran(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    git(folder, "config", "user.name", "a")
    (folder / "train.py").write_text("print('<b>two</b>')\n")
    file = trial(folder)
    (folder / "train.py").write_text("print('<b>two</b>')\n")
    launched(folder, file)
    commit = git(folder, "rev-parse", "HEAD")
    why = orch(folder, "why", "a/seed=1").stdout
    assert f"ran: {PYTHON} train.py --data data.csv --seed 1; seed=1\n" in why
    assert f"commit {commit[:10]} (main) with changes in train.py" in why
    assert "files: " in why
    made = orch(folder, "page", "--json")
    page, ran = (Path(path) for path in json.loads(made.stdout)["files"])
    assert '<a href="ran.html">' in page.read_text()
    text = ran.read_text()
    for shown in (commit, "train.py --data data.csv --seed 1", "seed=1", "data.csv", "pydantic"):
        assert shown in text
    assert "+print(&#x27;&lt;b&gt;two&lt;/b&gt;&#x27;)" in text
    assert "<b>two" not in text
    assert "<script" not in text


def test_of_an_older_run_it_is_said_that_nothing_is_known(tmp_path: Path) -> None:
    file = trial(tmp_path)
    launched(tmp_path, file)
    run = only_run(tmp_path)
    (run / "bases.jsonl").unlink()
    found = told(tmp_path, f"trial/{run.name}", f"trial/{run.name}")
    words = "unknown: an older version noted nothing of it"
    assert found == {("files", "content"): (words, words)}
    assert f"files: {words}" in orch(tmp_path, "why", "a/seed=0").stdout
    # A launch of such a run forgets none of its launches.
    before = len(launches(run))
    launched(tmp_path, file)
    assert len(launches(run)) >= before


def test_a_mapping_that_is_filled_on_one_side_is_told_by_its_keys() -> None:
    assert list(unequal({"environment": {}}, {"environment.X": "1", "environment.Y": "2"})) == [
        ("environment.X", None, "1"),
        ("environment.Y", None, "2"),
    ]
    assert list(unequal({"e.X": "1"}, {"e": {}})) == [("e.X", "1", None)]
    # Where nothing is below it on the other side it is told itself.
    assert list(unequal({"e": {}}, {})) == [("e", {}, None)]
    assert list(unequal({"e": {}}, {"ex.X": 1})) == [("e", {}, None), ("ex.X", None, 1)]
