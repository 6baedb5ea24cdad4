"""A run goes for good or into one file, and never while it runs or another run needs it."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.cli.json_schemas import document_schema
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.lookup import open_run
from orchestrator.runs.record import JobState
from orchestrator.runs.run import waiting
from orchestrator.scores.evolution import Evolution, write_evolution
from orchestrator.storage.archive import MANIFEST, archive, read_manifest, verify, write
from orchestrator.storage.needs import needed_by, wanted_inside
from orchestrator.storage.taking import measured
from tests.support.builders import PLANNED
from tests.support.cli import SMALL, describe, orch, the_run
from tests.support.counted import ends_of

SCRIPT = """
import orch
path = orch.out() / "state.bin"
path.write_bytes(bytes(100_000))
orch.progress(1, 1, loss=0.5)
orch.checkpoint("step-1", path, 1)
orch.result("accuracy", 0.5, n=4)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that is over; tests work on copies, except for what only looks."""
    folder = tmp_path_factory.mktemp("taking")
    (folder / "train.py").write_text(SCRIPT)
    file = describe(
        folder,
        f"  train: {{command: {sys.executable} train.py, metrics: {{accuracy: {{better: higher}}}}, "
        f"{SMALL}}}\n",
    )
    launched = orch(folder, "launch", file, "--cluster", "local", "--watch")
    assert launched.returncode == 0, launched.stdout
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done / "runs", tmp_path / "runs", symlinks=True)
    return tmp_path


def files(run: Path) -> dict[str, bytes | str]:
    """Every file and link of a run, but for its lock."""
    found: dict[str, bytes | str] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and path.name not in ("state.lock", "archive.json"):
            found[name] = path.read_bytes()
    return found


def other_run(folder: Path, command: str) -> Path:
    """Another run in the same runs folder, as a plan alone: nothing of it has to run."""
    source = the_run(folder)
    made = folder / "runs" / "other" / "full-1"
    shutil.copytree(source, made, symlinks=True)
    text = (made / "plan.json").read_text().replace(source.name, "full-1")
    (made / "plan.json").write_text(text.replace("train.py", command))
    for path in (*made.glob("jobs/*/*.json"), made / "state.json"):
        path.write_text(path.read_text().replace(f"trial/{source.name}", "other/full-1"))
    (made / "plan.json").write_text(
        (made / "plan.json").read_text().replace("trial/full-1", "other/full-1")
    )
    return made


def test_a_run_is_removed_for_good_once_one_has_said_so(folder: Path) -> None:
    run = the_run(folder)
    size = sum(
        path.stat().st_size for path in run.rglob("*") if path.is_file() and not path.is_symlink()
    )
    would = json.loads(orch(folder, "remove", "trial", "--dry-run", "--json").stdout)
    assert abs(would["bytes"] - size) < 1000
    assert would["bytes"] > 100_000
    asked = orch(folder, "remove", "trial")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert run.is_dir()
    gone = orch(folder, "remove", "trial", "--yes")
    assert (gone.returncode, "took" in gone.stdout) == (0, True), gone.stderr
    assert list((folder / "runs").glob("trial*")) == []
    assert orch(folder, "status", "trial").returncode == 2


def test_without_its_checkpoints_a_run_keeps_results_and_logs(folder: Path) -> None:
    run = the_run(folder)
    before = files(run)
    said = orch(folder, "remove", "trial", "--checkpoints", "--yes")
    assert said.returncode == 0, said.stderr
    after = files(run)
    gone = before.keys() - after.keys()
    assert gone
    assert all("/checkpoints" in name for name in gone)
    assert {name: after[name] for name in after if name != "state.json"} == {
        name: before[name] for name in after if name != "state.json"
    }
    rows = json.loads(orch(folder, "results", "trial", "--json").stdout)["rows"]
    assert [row["value"] for row in rows] == [0.5]


def test_what_runs_stays(tmp_path: Path) -> None:
    file = describe(tmp_path, f"  a: {{command: sleep 300, {SMALL}}}\n")
    assert orch(tmp_path, "launch", file, "--cluster", "local").returncode == 0
    try:
        for words in (["remove", "trial", "--yes"], ["archive", "trial"]):
            said = orch(tmp_path, *words)
            assert said.returncode == 2
            assert "stays" in said.stderr
            assert "orch cancel" in said.stderr
        told = orch(tmp_path, "remove", "trial", "--dry-run", "--json")
        assert (told.returncode, len(json.loads(told.stdout)["refused"])) == (2, 1)
        assert the_run(tmp_path).is_dir()
    finally:
        assert orch(tmp_path, "cancel").returncode == 0


def test_what_another_run_reads_stays(folder: Path) -> None:
    run = the_run(folder)
    made = other_run(folder, f"{run}/jobs/train/out/checkpoints/step-1")
    assert needed_by(open_run(run)) == ["other/full-1 needs it (plan.json)"]
    assert needed_by(open_run(made)) == []
    said = orch(folder, "remove", "trial", "--yes")
    assert (said.returncode, "other/full-1 needs it" in said.stderr) == (2, True)
    assert run.is_dir()


def test_followers_copies_reused_samples_and_links_keep_a_run(folder: Path) -> None:
    run = the_run(folder)
    made = other_run(folder, "nothing.py")
    assert needed_by(open_run(run)) == []
    write_evolution(made, Evolution(source=str(run), folders=[]))
    assert needed_by(open_run(run)) == ["other/full-1 needs it (evolution.json)"]
    (made / "evolution.json").unlink()
    write_json(made / "jobs" / "train" / "config.json", {"reuse": [f"{run}/jobs/train/out"]})
    assert needed_by(open_run(run)) == ["other/full-1 needs it (jobs/train/config.json)"]
    # A name that only begins like the run's is another run.
    write_json(made / "jobs" / "train" / "config.json", {"reuse": [f"{run}-rerun-1/jobs"]})
    assert needed_by(open_run(run)) == []
    shutil.rmtree(made / "jobs" / "train" / "out")
    (made / "jobs" / "train" / "out").symlink_to(run / "jobs" / "train" / "out")
    assert needed_by(open_run(run)) == ["other/full-1 needs it (jobs/train/out)"]


def test_an_archive_brings_the_run_back_and_says_what_it_holds(folder: Path) -> None:
    run = the_run(folder)
    before = files(run)
    said = orch(folder, "archive", "trial")
    assert said.returncode == 0, said.stderr
    assert not run.exists()
    (file,) = (folder / "runs" / "archives").iterdir()
    shown = orch(folder, "archive", file)
    assert "train accuracy: 0.5" in shown.stdout
    told = json.loads(orch(folder, "archive", file, "--json").stdout)
    assert set(document_schema("archive")["$defs"]["Archive"]["properties"]) == set(told)
    assert [job["state"] for job in told["jobs"]] == ["COMPLETED"]
    with tarfile.open(file) as tar:
        tar.extractall(folder / "runs", filter="tar")
    after = files(run)
    # The run was looked at once more before it was packed.
    for name in ("state.json", "answered"):
        before.pop(name, None)
        after.pop(name, None)
    assert after == before
    assert orch(folder, "status", "trial").returncode == 0
    again = orch(folder, "archive", "trial")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert run.is_dir()


def test_an_archive_may_leave_checkpoints_out_and_the_run_in_place(folder: Path) -> None:
    run = the_run(folder)
    before = files(run)
    file = folder / "small.tar"
    taken = archive(open_run(run), file, with_checkpoints=False, keep=True)
    assert taken.bytes < 100_000
    assert files(run) == before
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert not any("/checkpoints" in name for name in names)
    assert any(name.endswith("out/results.json") for name in names)
    assert not read_manifest(file)["checkpoints"]


def test_an_archive_says_how_far_it_is_in_bytes(folder: Path) -> None:
    run = open_run(the_run(folder))
    ends = ends_of(lambda: archive(run, folder / "a.tar", keep=True))
    size = sum(read_manifest(folder / "a.tar")["files"].values())
    assert ends["writing the archive"] == (size, size)
    done, total = ends["reading it back"]
    # A tar file is filled up to a multiple of 20 blocks.
    assert size < done <= total < done + 21 * 512


def test_a_file_that_changed_on_its_way_is_noticed(folder: Path) -> None:
    run = open_run(the_run(folder))
    paths = [run.folder / "plan.json", run.folder / "state.json"]
    draft = folder / "draft.tar"
    sums = write(run, draft, paths, {"archived": 0.0})
    verify(draft, sums)
    content = bytearray(draft.read_bytes())
    content[content.index(b'"uid"') + 1] ^= 1
    draft.write_bytes(content)
    with pytest.raises(RunError, match=r"does not hold .*plan\.json"):
        verify(draft, sums)


def test_another_tar_file_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "a", "a")
    for name in ("a.tar", "a"):
        with pytest.raises(RunError, match="archive"):
            read_manifest(tmp_path / name)


def test_a_file_with_two_names_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    found = measured([tmp_path], [])
    assert (found.files, found.bytes) == (3, 1000)


def test_checkpoints_that_jobs_to_come_would_load_stay(tmp_path: Path) -> None:
    stages = (
        f"  train: {{command: 'true {{n}}', matrix: {{n: [1, 2]}}, {SMALL}}}\n"
        f"  evaluate: {{command: 'cat {{n}} {{checkpoint}}', for_each: train, checkpoints: last, {SMALL}}}\n"
        f"  look: {{command: ls, after: train, {SMALL}}}\n"
        f"  alone: {{command: pwd, {SMALL}}}\n"
    )
    run = create_run(make_plan(describe(tmp_path, stages)), PLANNED, tmp_path / "runs")
    records = [waiting(one) for one in run.plan.jobs]
    (run.out_folder(run.by_name["train/n=1"]) / "checkpoints").mkdir(parents=True)
    (line,) = wanted_inside(run, records)
    # One goes on from its own, two load them, one may look into them.
    assert line.startswith("train/n=1, evaluate/n=1, evaluate/n=2, look still to come")
    ended = [
        replace(one, state=JobState.CANCELLED if one.name == "look" else JobState.COMPLETED)
        for one in records
    ]
    assert wanted_inside(run, ended) == []
    said = orch(tmp_path, "remove", "trial", "--checkpoints", "--yes")
    assert said.returncode == 2
    assert "still to come, and may load them" in said.stderr
    assert (run.out_folder(run.by_name["train/n=1"]) / "checkpoints").exists()


SAYS = {
    "format": 1,
    "run": "a/b",
    "cluster": "local",
    "archived": 1.0,
    "checkpoints": True,
    "jobs": [{"state": "COMPLETED"}],
    "rows": [{"job": "a", "metric": "m", "value": 1.0, "error": None}],
    "files": {"plan.json": 3},
}
ODD: dict[str, Any] = {"format": [], "archived": 1e300, "jobs": {}, "rows": [{}], "files": [1]}


@pytest.mark.parametrize("key", [None, *ODD], ids=str)
def test_an_archive_that_says_something_else_of_itself_is_one_line(
    key: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "a.tar"
    text = json.dumps(SAYS if key is None else {**SAYS, key: ODD[key]}).encode()
    with tarfile.open(file, "w") as tar:
        member = tarfile.TarInfo(f"a/b/{MANIFEST}")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    if key is None:
        assert read_manifest(file) == SAYS
        return
    with pytest.raises(RunError, match="cannot be read as an archive"):
        read_manifest(file)
