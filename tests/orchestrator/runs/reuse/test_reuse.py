"""What another run has done is taken from there, and nothing that differs in anything is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.description.profile_reader import load_profile
from orchestrator.lifecycle.refresh import refresh
from orchestrator.lifecycle.reused import taking
from orchestrator.node.reuse import evidence
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.documents import damage
from orchestrator.runs.lookup import open_run
from orchestrator.runs.reuse import ledger
from orchestrator.runs.reuse.bring import Changed, bring, check, unshare
from orchestrator.runs.run import Run
from orchestrator.storage.archive import archive
from orchestrator.storage.needs import needed_by
from orchestrator.views.why import why
from tests.support.cli import ORCH, SMALL, orch

TRAIN = """
import pathlib, sys
import helper, orch
with open("ran.txt", "a") as file:
    file.write(f"train {sys.argv[1]}\\n")
path = orch.out() / "state.bin"
path.write_bytes(bytes(2_000_000))
orch.progress(1, 1, loss=0.5)
orch.checkpoint("step-1", path, 1)
orch.result("accuracy", float(sys.argv[1]), n=4)
"""
SCORE = """
import json, os
with open("ran.txt", "a") as file:
    file.write(f"score {os.environ['ORCH_AXES']}\\n")
(needs,) = json.loads(os.environ["ORCH_NEEDS"]).values()
assert json.load(open(needs + "/results.json"))["rows"]
"""
FILES = {
    "train.py": TRAIN,
    "score.py": SCORE,
    "helper.py": "WIDTH = 4\n",
    "data.csv": "a,b\n1,2\n",
    "settings.toml": "depth = 2\n",
    "notes.ipynb": "{}",
    "README.md": "hello",
}


def text_of(rates: str = "0.1, 0.2", more: str = "", command: str = "", name: str = "sweep") -> str:
    command = command or f"{sys.executable} train.py {{lr}} data.csv"
    return (
        f"experiment: {name}\nabout: a sweep\nstages:\n"
        f'  train: {{command: "{command}", matrix: {{lr: [{rates}]}}, '
        f"metrics: {{accuracy: {{better: higher}}}}, {more}{SMALL}}}\n"
        f"  score: {{for_each: train, command: {sys.executable} score.py, {SMALL}}}\n"
    )


def launch_sweep(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    said = orch(folder, "launch", "sweep.yaml", "--cluster", "local", "--watch", *options)
    assert said.returncode == 0, said.stdout + said.stderr
    return said


def ran(folder: Path) -> list[str]:
    """What has run since this was asked last."""
    path = folder / "ran.txt"
    lines = sorted(path.read_text().splitlines()) if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two rates that is over; tests work on copies."""
    folder = tmp_path_factory.mktemp("reuse")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / "sweep.yaml").write_text(text_of())
    launch_sweep(folder)
    assert len(ran(folder)) == 4
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(done, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new_run(folder: Path, root: Path | None = None) -> Run:
    """The run that a launch of the description would make; nothing is submitted."""
    plan = replace(make_plan(folder / "sweep.yaml"), reuse=True)
    return create_run(plan, load_profile("local"), root or folder / "runs")


def would_take(folder: Path, root: Path) -> taking.Taken:
    """What a launch under another name would take."""
    run = new_run(folder, root)
    return taking.would_take(run, run.load(), folder / "runs", root / run.name)


ALL = {"train/lr=0.1", "train/lr=0.2", "score/lr=0.1", "score/lr=0.2"}


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").glob("sweep/*")
    return run


def write(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def described_as(**values: str) -> Callable[[Path], object]:
    return write("sweep.yaml", text_of(**values))


def of_train(name: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    """A change of a file of the first training."""
    return lambda folder: change(only_run(folder) / "jobs" / "train.lr-0.1" / name)


def same_length(path: Path) -> None:
    facts = path.stat()
    path.write_text(path.read_text().replace("0.1", "0.9"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def failed(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "results": False}))


def overridden(folder: Path) -> None:
    path = only_run(folder) / "gates" / "overrides.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([{"job": "train/lr=0.1", "decision": "run"}]))


PYTHON = sys.executable
SAME = {
    "nothing": write("notes.txt", "of no meaning"),
    "a notebook": write("notes.ipynb", '{"cells": []}'),
    "README": write("README.md", "other"),
    "memory and time": write(
        "sweep.yaml", text_of().replace("memory_gb: 1, minutes: 5", "memory_gb: 2, minutes: 6")
    ),
    "words for people": write("sweep.yaml", text_of().replace("a sweep", "another")),
    "a profile": write("low.yaml", "kind: slurm\npartition: low\nenvironment:\n  A: b\n"),
    "more rates": described_as(rates="0.1, 0.2, 0.3"),
    "another experiment": described_as(name="other"),
}
UNLIKE = {
    "command": described_as(command=f"{PYTHON} train.py {{lr}} data.csv --more"),
    "script": write("train.py", TRAIN + "# more\n"),
    "module beside the script": write("helper.py", "WIDTH = 5\n"),
    "new module": write("more.py", "X = 1\n"),
    "settings": write("settings.toml", "depth = 3\n"),
    "settings with a kind": write("model.yaml", "kind: local\ndepth: 3\n"),
    "data file": write("data.csv", "a,b\n1,3\n"),
    "environment": described_as(more="environment: {WIDTH: '4'}, "),
    "set-up": described_as(more="setup: ['ulimit -c 0'], "),
    "reads": described_as(more="reads: [{kind: jsonl, path: $ORCH_OUT/log.jsonl}], "),
    "gpus": write(
        "sweep.yaml", text_of().replace("cpus: 1, memory_gb: 1", "gpus: 1, cpus: 1, memory_gb: 1")
    ),
    "seed": described_as(command=f"{PYTHON} train.py {{lr}} data.csv 1"),
}
OF_ONE = {
    "results": of_train("out/results.json", same_length),
    "own results": of_train("out/files/results.json", same_length),
    "checkpoint gone": of_train("out/files/checkpoints", lambda path: shutil.rmtree(path)),
    "not ended": of_train("attempt-1/exit.json", Path.unlink),
    "failed": of_train("attempt-1/exit.json", failed),
    "changed meanwhile": of_train(
        "attempt-1/changed.json", lambda path: path.write_text('{"files": ["train.py"]}')
    ),
    "override": overridden,
}


@pytest.mark.parametrize("what", SAME)
def test_what_decides_no_result_lets_it_be_taken(folder: Path, tmp_path: Path, what: str) -> None:
    SAME[what](folder)
    taken = would_take(folder, tmp_path / "elsewhere")
    assert (set(taken.sources), dict(taken.notes)) == (ALL, {})


@pytest.mark.parametrize("what", UNLIKE)
def test_each_part_of_the_identity_makes_it_run_again(
    folder: Path, tmp_path: Path, what: str
) -> None:
    UNLIKE[what](folder)
    taken = would_take(folder, tmp_path / "elsewhere")
    # A score whose training runs again has other inputs.
    assert set(taken.sources) == set()
    if what not in ("command", "seed"):
        assert "done in sweep/full-" in taken.notes["train/lr=0.1"]
        assert taken.notes["train/lr=0.1"].endswith("changed")


def test_the_changed_file_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "helper.py").write_text("WIDTH = 5\n")
    taken = would_take(folder, tmp_path / "elsewhere")
    assert "since then helper.py changed" in taken.notes["train/lr=0.1"]


def test_an_axis_that_only_the_variables_tell_counts(folder: Path, tmp_path: Path) -> None:
    (folder / "sweep.yaml").write_text(text_of().replace("lr", "rate"))
    taken = would_take(folder, tmp_path / "elsewhere")
    assert taken.sources == {}
    assert "the values of its axes changed" in taken.notes["train/rate=0.1"]


@pytest.mark.parametrize("what", OF_ONE)
def test_what_is_not_whole_any_more_is_not_taken(folder: Path, tmp_path: Path, what: str) -> None:
    OF_ONE[what](folder)
    taken = would_take(folder, tmp_path / "elsewhere")
    assert set(taken.sources) == {"train/lr=0.2", "score/lr=0.2"}
    unfinished = what in ("not ended", "failed")
    assert ("train/lr=0.1" in taken.notes) == (not unfinished)


DAMAGES = [b"", b"[1, 2]", b"null", b"\xff\xfe", b'{"token": 1, "files": 2, "results": []}']


@pytest.mark.parametrize("content", DAMAGES, ids=str)
@pytest.mark.parametrize("name", ["exit.json", "left.json", "changed.json"])
def test_what_cannot_be_read_is_named_and_not_taken(
    folder: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    path = only_run(folder) / "jobs" / "train.lr-0.1" / "attempt-1" / name
    path.write_bytes(content)
    damage.told()
    taken = would_take(folder, tmp_path / "elsewhere")
    assert set(taken.sources) == {"train/lr=0.2", "score/lr=0.2"}
    assert str(path) in "\n".join(damage.told())


@pytest.mark.parametrize("content", DAMAGES, ids=str)
def test_of_a_run_with_damaged_overrides_nothing_is_taken(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    path = only_run(folder) / "gates" / "overrides.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    taken = would_take(folder, tmp_path / "elsewhere")
    assert not taken.sources
    assert "cannot be known" in taken.notes["train/lr=0.1"]


def test_lines_of_a_ledger_that_cannot_be_read_hide_no_others(folder: Path, tmp_path: Path) -> None:
    path = only_run(folder) / ledger.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    identity = lines[0][:80]
    path.write_bytes(b"".join([identity + b"\xff\n", b"\x00\n", *lines]) + b'{"identity":"to')
    damage.told()
    assert set(would_take(folder, tmp_path / "elsewhere").sources) == ALL
    assert str(path) in "\n".join(damage.told())
    # What is added behind a line that a kill has torn is a line of its own.
    ledger.append(path.parent, [ledger.Line(identity="i", job="new", folder="f", digest="d")])
    newest = ledger.newest(path.parent, "new")
    assert newest is not None
    assert newest.digest == "d"


@pytest.mark.parametrize("content", DAMAGES, ids=str)
def test_a_job_taken_from_somewhere_unknown_stays_done(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    run = new_run(folder)
    taken = taking.take_done(taking.Taking(run), run.load(), ALL)
    run.save(taken.records)
    records = {record.name: record for record in run.load()}
    told = run.out_folder(records["train/lr=0.1"]) / "reused.json"
    told.write_bytes(content)
    damage.told()
    assert why(run, records["train/lr=0.1"], list(records.values()))
    assert str(told) in "\n".join(damage.told())
    # Whose results these are is not known: nothing that reads them is like anything else.
    assert taking.origin_of(run, records["train/lr=0.1"]) not in ("", "0")
    assert taking.origin_of(run, records["train/lr=0.2"]) != taking.origin_of(
        run, records["train/lr=0.1"]
    )
    other = would_take(folder, tmp_path / "elsewhere")
    assert "train/lr=0.1" in other.sources, "the run that did the work is there"
    # Where its results are gone it must not write into what was taken.
    (told.parent / "results.json").unlink()
    taking.make_ready(run, run.by_name["train/lr=0.1"])
    assert not told.parent.exists()


def test_a_grown_sweep_runs_what_is_new(folder: Path) -> None:
    source = only_run(folder)
    before = {path: path.read_bytes() for path in source.rglob("out/**/*") if path.is_file()}
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    shown = orch(folder, "launch", "sweep.yaml", "--cluster", "local", "--dry-run").stdout
    assert f"# done in sweep/{source.name} and taken from there: train/lr=0.1" in shown
    assert [line for line in shown.splitlines() if line.startswith("# ----")] == [
        "# ---- train/lr=0.3",
        "# ---- score/lr=0.3",
    ]
    said = launch_sweep(folder).stdout
    assert len(ran(folder)) == 2
    assert "2 jobs submitted, 4 of 6 done before (4 in other runs)" in said
    rows = json.loads(orch(folder, "results", "sweep", "--json").stdout)
    assert [row["value"] for row in rows["rows"] if row["metric"] == "accuracy"] == [0.1, 0.2, 0.3]
    assert rows["reused"]["train/lr=0.1"] == f"sweep/{source.name}:train/lr=0.1"
    why = orch(folder, "why", "sweep:train/lr=0.1").stdout
    taken = next(line for line in why.splitlines() if line.startswith("taken from"))
    assert f" sweep/{source.name}:train/lr=0.1" in taken
    # The state can be lost, and the run goes on as it was.
    again = orch(folder, "status", "sweep", "--rescan", "--json").stdout
    jobs = {job["job"]: job for job in json.loads(again)["jobs"]}
    assert jobs["train/lr=0.1"]["reused"] == f"sweep/{source.name}:train/lr=0.1"
    assert jobs["train/lr=0.3"]["reused"] is None
    grown = open_run(next(one for one in source.parent.iterdir() if one != source))
    # The other run is needed for its logs, and its files are no less there.
    assert needed_by(open_run(source)) != []
    assert needed_by(grown) == []
    file = folder / "grown.tar"
    archive(grown, file, keep=True)
    with tarfile.open(file) as tar:
        sizes = {one.name.partition("/out/")[2]: one.size for one in tar if one.isreg()}
    assert sizes["files/checkpoints/step-1/model/state.bin"] == 2_000_000
    launch_sweep(folder, "--fresh")
    assert len(ran(folder)) == 4
    assert {path: path.read_bytes() for path in before} == before


def test_two_launches_at_once_run_each_job_once(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    command = [ORCH, "launch", "sweep.yaml", "--cluster", "local", "--watch"]
    variables = {**os.environ, "ORCH_RUNS": str(folder / "runs"), "TMPDIR": str(folder)}
    both = [subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(240) for one in both] == [0, 0]
    assert len(ran(folder)) == 2


def test_a_source_that_goes_meanwhile_lets_the_job_run(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    source = only_run(folder)
    run = new_run(folder)
    pass_ = taking.Taking(run)
    assert pass_.finder.ledgers
    shutil.rmtree(source / "jobs" / "train.lr-0.1" / "out")
    taken = taking.take_done(pass_, run.load(), {job.name for job in run.plan.jobs})
    assert set(taken.sources) == {"train/lr=0.2", "score/lr=0.2"}
    assert "is gone" in taken.notes["train/lr=0.1"]
    assert not run.out_folder(run.by_name["train/lr=0.1"]).exists()


def test_a_kill_before_the_state_is_saved_loses_nothing(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    run = new_run(folder)
    taking.take_done(taking.Taking(run), run.load(), {"train/lr=0.1"})
    records, _ = refresh(open_run(run.folder))
    (first,) = [record for record in records if record.name == "train/lr=0.1"]
    assert (str(first.state), first.source) == ("COMPLETED", "reused")


def test_what_runs_again_shares_no_file(folder: Path, tmp_path: Path) -> None:
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    run = new_run(folder)
    taking.take_done(taking.Taking(run), run.load(), {"train/lr=0.1"})
    model = "files/checkpoints/step-1/model/state.bin"
    source = only_run_but(folder, run) / "jobs" / "train.lr-0.1" / "out"
    own = run.out_folder(run.by_name["train/lr=0.1"])
    assert (own / model).samefile(source / model)
    assert not (own / "results.json").samefile(source / "results.json")
    unshare(source)
    assert not (own / model).samefile(source / model)
    taking.make_ready(run, run.by_name["train/lr=0.1"])
    assert not own.exists()
    assert (own.with_name("out.before-1") / model).exists()


def only_run_but(folder: Path, run: Run) -> Path:
    (other,) = [one for one in (folder / "runs" / "sweep").iterdir() if one != run.folder]
    return other


def test_a_chain_of_sweeps_takes_from_those_that_took(folder: Path, tmp_path: Path) -> None:
    (folder / "sweep.yaml").write_text(text_of("0.1, 0.2, 0.3"))
    run = new_run(folder)
    taking.take_done(taking.Taking(run), run.load(), ALL)
    shutil.rmtree(only_run_but(folder, run))
    (folder / "sweep.yaml").write_text(text_of())
    taken = would_take(folder, tmp_path / "elsewhere")
    assert {source.run for source in taken.sources.values()} == {run.name}
    assert set(taken.sources) == ALL


def test_a_file_that_changed_while_a_job_waited_is_noted(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("a = 1\n")
    facts = script.stat()
    listed = [facts.st_size, facts.st_mtime_ns, evidence.sha256_of(script)]
    (tmp_path / "basis.json").write_text(json.dumps({"files": {str(script): listed}}))
    evidence.note_changed(str(tmp_path))
    script.touch()
    evidence.note_changed(str(tmp_path))
    assert not (tmp_path / "changed.json").exists()
    script.write_text("a = 2\n")
    evidence.note_changed(str(tmp_path))
    script.write_text("a = 1\n")
    evidence.note_changed(str(tmp_path))
    assert json.loads((tmp_path / "changed.json").read_text())["files"] == [str(script)]


@pytest.mark.parametrize("content", DAMAGES, ids=str)
def test_files_that_cannot_be_known_count_as_changed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "basis.json").write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    evidence.note_end(str(tmp_path), str(out), "token")
    changed = json.loads((tmp_path / "changed.json").read_text())
    assert changed["files"] == [str(tmp_path / "basis.json")]
    assert json.loads((tmp_path / "left.json").read_text()) == {"token": "token", "files": {}}


def test_gates_packs_and_the_best_hold_for_what_is_taken(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    text = (
        text_of(more="pack: 2, ") + f"  best: {{for_each: {{of: train, best: accuracy}}, "
        f"command: {PYTHON} score.py, {SMALL}}}\n"
        f"  gated: {{command: {PYTHON} train.py 0.5, metrics: {{accuracy: {{better: higher}}}}, "
        f"when: {{metric: accuracy, of: train, at_least: 0.15, for: 1 of 2}}, {SMALL}}}\n"
    )
    (tmp_path / "sweep.yaml").write_text(text)
    launch_sweep(tmp_path)
    assert len(ran(tmp_path)) == 6
    (tmp_path / "sweep.yaml").write_text(text.replace("experiment: sweep", "experiment: other"))
    launch_sweep(tmp_path)
    assert ran(tmp_path) == []
    (taken,) = (tmp_path / "runs" / "other").iterdir()
    chosen = json.loads((taken / "choices" / "best" / "choice.json").read_text())["chosen"]
    assert chosen == "train/lr=0.2"
    assert (taken / "choices" / "best" / "job").readlink().name == "train.lr-0.2"
    # A gate that says no skips the job, whatever another run has done.
    (tmp_path / "sweep.yaml").write_text(
        text.replace("experiment: sweep", "experiment: third").replace("0.15", "0.25")
    )
    launch_sweep(tmp_path)
    assert ran(tmp_path) == []
    jobs = json.loads(orch(tmp_path, "status", "third", "--json").stdout)["jobs"]
    assert {one["job"]: one["state"] for one in jobs}["gated"] == "SKIPPED"


FACTS: list[Any] = [7, [], [1], [1, 2.0], ["x", 2.0, ""], [1, "x", ""], ["link", 7], ["other", "x"]]
NOT_OURS = "is not noted in the form that this version knows"


@pytest.mark.parametrize("facts", FACTS, ids=str)
def test_what_is_not_noted_in_our_form_is_not_taken(facts: Any, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    left = {"results.json": facts}
    for ask in (
        lambda: check(tmp_path, left),
        lambda: bring(tmp_path, left, tmp_path / "job", {}),
    ):
        with pytest.raises(Changed, match=NOT_OURS):
            ask()


@pytest.mark.parametrize("name", ["../above", "/etc/hostname", "a/../../above"])
def test_a_name_that_leads_out_of_the_folder_is_not_taken(name: str, tmp_path: Path) -> None:
    out = tmp_path / "from" / "out"
    out.mkdir(parents=True)
    (out.parent / "above").write_text("secret")
    left = {name: [6, 1.0, ""], "results.json": [1, 1.0, ""]}
    with pytest.raises(Changed, match=NOT_OURS):
        bring(out, left, tmp_path / "job", {})
    assert not (tmp_path / "job" / "above").exists()
