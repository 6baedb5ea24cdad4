"""The launcher alone: a plain job without Python, the same records and environment as Python's, and
everything else left to Python before anything is started."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.node.launcher.build import SOURCE, compilers
from orchestrator.node.launcher.plain import FORM, LAUNCH, body_of, launch_file
from orchestrator.runs.documents.launch_files import put, tracking
from tests.support.node import (
    LAUNCHER,
    PROGRAM,
    SECONDS,
    TOKEN,
    attempt_node,
    first_exit_record,
    job_folder,
    write_launch,
)
from tests.support.paths import ROOT, wait_for

NO_PYTHON = "/no/python"


def environment(**more: str) -> dict[str, str]:
    inherited = {key: one for key, one in os.environ.items() if not key.startswith("SLURM_")}
    return {**inherited, "ORCH_JOB_ID": "7", **more}


def run(
    launcher: Path, *arguments: str | Path, python: str | Path = NO_PYTHON, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [launcher, python, "-I", "-S", "-u", PROGRAM, *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def run_plainly(launcher: Path, path: Path, **more: str) -> None:
    """Run the first attempt at a job where there is no Python."""
    done = run(launcher, path, "1", TOKEN, **more)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_says_which_form_it_reads(launcher: Path) -> None:
    said = subprocess.run([launcher, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"{FORM}\n"


def test_the_compiler_has_nothing_to_say(tmp_path: Path) -> None:
    if not compilers():
        pytest.skip("no C compiler is installed")
    compiler = compilers()[0]
    analysed = ["-fanalyzer"] if "gcc" in compiler or compiler == "cc" else []
    command = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *analysed]
    done = subprocess.run(
        [*command, "-c", "-o", tmp_path / "launcher.o", SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


SETTINGS = {
    "to": [],
    "online": False,
    "project": "p",
    "group": "e/r",
    "tags": ["t"],
    "uid": "u",
    "said": {"train": ["WANDB_NAME", "WANDB_RUN_ID"]},
}


def given(folder: Path, tracked: bool, command: list[str]) -> Path:
    """A job with all that a plain one may have."""
    needed = folder / "jobs" / "before"
    (needed / "out").mkdir(parents=True)
    (needed / "out" / "results.json").write_text("{}")
    path = job_folder(folder, command, {"before": str(needed)})
    job = json.loads((path / "job.json").read_text())
    job |= {"stage": "train", "axes": {"lr": 0.1, "word": "ä"}, "followed": "/f"}
    (path / "job.json").write_text(json.dumps(job))
    if tracked:
        (folder / "track.json").write_text(json.dumps(SETTINGS))
    write_launch(path)
    return path


def documents(path: Path) -> dict[str, Any]:
    names = ["attempt-1/claim.json", "attempt-1/exit.json", "attempt-1/left.json"]
    names += ["out/results.json", "out/cost.json"]
    return {name: json.loads((path / name).read_text()) for name in names}


def shape(value: Any) -> Any:
    """A document without what is another at each start: numbers that are not whole, times, ids."""
    if isinstance(value, dict):
        changing = {"pid", "start"}
        return [
            (key, type(one).__name__ if key in changing else shape(one))
            for key, one in value.items()
        ]
    if isinstance(value, list):
        return [shape(one) for one in value]
    if isinstance(value, float):
        return "float"
    return "hash" if isinstance(value, str) and len(value) == 64 else value


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    """What a job has left, in no order: a folder has none. The size changes with the seconds."""
    files = dict(sorted(document["files"].items()))
    files["results.json"] = files["results.json"][1:]
    return {**document, "files": files}


def test_the_records_are_those_of_python(
    launcher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("python", "launcher"):
        path = given(tmp_path / name / "run", True, ["sh", "-c", 'exit "$1"', "sh", "0"])
        if name == "launcher":
            run_plainly(launcher, path)
        else:
            assert attempt_node(path, "7").wait(SECONDS) == 0
        left = documents(path)
        assert not list(path.rglob(".*"))
        used = left["attempt-1/exit.json"]["usage"]
        assert 0 < used["cpu_seconds"] < 5
        assert 0 < used["memory_gb"] < 1
        exit_record, claim = left["attempt-1/exit.json"], left["attempt-1/claim.json"]
        assert (exit_record["pid"], exit_record["token"]) == (claim["pid"], TOKEN)
        assert claim["started"] - 5 < exit_record["started"] <= exit_record["ended"]
        left["attempt-1/left.json"] = by_name(left["attempt-1/left.json"])
        found.append(json.loads(json.dumps(left).replace(str(tmp_path / name), "HERE")))
    python, other = map(shape, found)
    assert other == python


def test_what_is_left_has_the_hash_of_the_results(launcher: Path, tmp_path: Path) -> None:
    # Of all lengths that the last blocks of a hash may have.
    for length in range(0, 64, 3):
        path = job_folder(tmp_path / str(length), ["sh", "-c", "exit 0", "x" * length])
        run_plainly(launcher, path)
        said = subprocess.run(
            ["sha256sum", path / "out/results.json"], capture_output=True, check=True
        )
        left = json.loads((path / "attempt-1/left.json").read_text())["files"]["results.json"]
        assert left[2] == said.stdout.split()[0].decode()
        assert left[0] == (path / "out/results.json").stat().st_size


@pytest.mark.parametrize("tracked", [True, False])
def test_the_environment_is_that_of_python(
    tracked: bool, launcher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "WANDB_NAME": "mine",
        "WANDB_RUN_ID": "",
        "WANDB_TAGS": "of the shell",
        "WANDB_MODE": "online",
        "MLFLOW_TRACKING_URI": "",
        "PYTHONPATH": "/before",
        "PYTHONSAFEPATH": "1",
        "ORCH_PYTHON": "python3",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    found = []
    for name in ("python", "launcher"):
        place = tmp_path / name / "run"
        path = given(
            place,
            tracked,
            [
                "sh",
                "-c",
                'env -0 > env; ls -l /proc/self/fd > fds; echo "$1" > word',
                "sh",
                "$ORCH_OUT {for_each}",
            ],
        )
        if name == "launcher":
            run_plainly(launcher, path)
        else:
            assert attempt_node(path, "7").wait(SECONDS) == 0
        said = (place / "env").read_bytes().replace(bytes(tmp_path / name), b"HERE").split(b"\0")
        descriptors = {line.split()[8] for line in (place / "fds").read_text().splitlines()[1:]}
        words = dict(one.split(b"=", 1) for one in said if one)
        assert words.pop(b"TMPDIR").startswith(b"/")
        assert (place / "word").read_text() == f"{path}/out/files /f\n"
        found.append((words, descriptors))
    assert found[1] == found[0]
    assert found[0][0][b"PYTHONPATH"].startswith(b"/before:")
    assert found[0][0][b"PYTHONUNBUFFERED"] == b"1"


def test_paths_and_words_may_have_blanks_and_letters_of_any_language(
    launcher: Path, tmp_path: Path
) -> None:
    words = [
        "sh",
        "-c",
        'printf "%s|" "$@" > said',
        "sh",
        "a b",
        "ü 字",
        '"',
        "\\",
        "$HOME",
        "",
        "\n",
    ]
    path = job_folder(tmp_path / "ein Ordner für 字 'x' $y", words)
    run_plainly(launcher, path, TMPDIR=str(tmp_path))
    assert (path.parents[1] / "said").read_text() == "|".join([*words[4:], ""])
    assert json.loads((path / "out/results.json").read_text())["facts"]["command"] == words
    assert first_exit_record(path)["results"]


def test_an_element_of_an_array_finds_its_job(launcher: Path, tmp_path: Path) -> None:
    array, bodies = tmp_path / "arrays" / "abc", {}
    array.mkdir(parents=True)
    for index in (0, 3, 12):
        path = job_folder(tmp_path / str(index), ["touch", f"ran-{index}"])
        content, place = (
            (path / "job.json").read_bytes(),
            tracking(tmp_path / str(index), str(path)),
        )
        body = body_of(str(path), f"abc_{index}", str(ROOT), content, place)
        assert body is not None
        bodies[index] = body
    put(array / LAUNCH, launch_file(bodies))
    for index in bodies:
        slurm = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": str(index)}
        done = run(launcher, array, ORCH_JOB_ID="", SLURMD_NODENAME="n1", **slurm)
        assert (done.returncode, done.stdout) == (0, "")
        record = first_exit_record(tmp_path / str(index) / "jobs" / "a")
        assert (record["token"], record["job_id"]) == (f"abc_{index}", f"17_{index}")
        assert record["host"] == "n1"
        assert (tmp_path / str(index) / f"ran-{index}").exists()
    # Of an element that is not in the file nobody knows anything.
    assert run(launcher, array, SLURM_ARRAY_TASK_ID="1").returncode == 127


def changed(key: str, value: Any) -> Callable[[Path], dict[str, str]]:
    def change(path: Path) -> dict[str, str]:
        job = json.loads((path / "job.json").read_text())
        (path / "job.json").write_text(json.dumps({**job, key: value}))
        (path / "attempt-1" / LAUNCH).unlink()
        write_launch(path)
        return {}

    return change


def file(name: str, content: str = "{}") -> Callable[[Path], dict[str, str]]:
    def make(path: Path) -> dict[str, str]:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(content)
        return {}

    return make


def variable(**more: str) -> Callable[[Path], dict[str, str]]:
    return lambda _: more


ASKED = {"nodes": 1, "gpus": 0, "cpus": 2, "memory_gb": 3, "minutes": 5}
NOT_PLAIN = {
    "claimed": file("attempt-1/claim.json"),
    "without what it needs": changed("needs", {"b": "/no/job"}),
    "an engine": changed("engine", "ppo"),
    "with reads": changed("reads", [{"kind": "trainer"}]),
    "with checkpoints": changed("checkpoints", {"folder": "/f", "checkpoints": "last"}),
    "with GPUs": changed("resources", {**ASKED, "gpus": 1}),
    "on two nodes": changed("resources", {**ASKED, "nodes": 2}),
    "without resources": changed("resources", None),
    "job.json is another": lambda path: file("job.json", '{"a": 1}')(path),
    "track.json is another": file("../../track.json"),
    "has written before": file("out/progress.jsonl"),
    "asked to go on": file("attempt-1/again"),
    "reads files that nobody listed": file("attempt-1/basis.json"),
    "started again": variable(SLURM_RESTART_COUNT="1"),
    "in a container": variable(ORCH_WRAP='["env"]'),
    "in a job of another run": variable(ORCH_TRACKING="WANDB_MODE"),
    "an id to be escaped": variable(ORCH_JOB_ID='a"b'),
    "a node to be escaped": variable(SLURMD_NODENAME="n\\"),
    "no file of its own": lambda path: (path / "attempt-1" / LAUNCH).unlink() or {},
}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_python_as_if_it_had_never_been(
    what: str, launcher: Path, tmp_path: Path
) -> None:
    path = job_folder(tmp_path, ["touch", "ran"])
    more = NOT_PLAIN[what](path)
    before = {one for one in path.rglob("*") if one.name != "out"}
    said = tmp_path / "said"
    # In place of Python: what would be started, in which environment, with which signals blocked.
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {shlex.quote(str(said))}\n"
        f"env > {said}.env\ngrep SigBlk /proc/self/status > {said}.mask\n"
    )
    python.chmod(0o755)
    assert (
        run(launcher, path, "1", TOKEN, python=python, TMPDIR=str(tmp_path), **more).returncode == 0
    )
    assert said.read_text().splitlines() == ["-I", "-S", "-u", str(PROGRAM), str(path), "1", TOKEN]
    assert {one for one in path.rglob("*") if one.name != "out"} == before
    assert not (tmp_path / "ran").exists()
    assert not list(tmp_path.glob("orch-*"))
    assert "ORCH_OUT=" not in Path(f"{said}.env").read_text()
    assert int(Path(f"{said}.mask").read_text().split()[1], 16) == 0


def test_later_attempts_and_other_arguments_are_left_to_python(
    launcher: Path, tmp_path: Path
) -> None:
    path = job_folder(tmp_path, ["touch", "ran"])
    shutil.copytree(path / "attempt-1", path / "attempt-2")
    for arguments in ((path, "2", TOKEN), (path, "1", "another"), (f"{path}/", "1", TOKEN)):
        assert run(launcher, *arguments).returncode == 127
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_cut_short_starts_nothing(launcher: Path, tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["touch", "ran"])
    whole = (path / "attempt-1" / LAUNCH).read_bytes()
    for length in range(0, len(whole), 7):
        (path / "attempt-1" / LAUNCH).write_bytes(whole[:length])
        assert run(launcher, path, "1", TOKEN).returncode == 127
    assert not (tmp_path / "ran").exists()
    assert not (path / "attempt-1" / "claim.json").exists()


def test_what_set_up_lines_left_running_is_left_to_python(launcher: Path, tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["touch", "ran"])
    words = shlex.join(map(str, [launcher, NO_PYTHON, "-I", "-S", "-u", PROGRAM, path, "1", TOKEN]))
    line = f"sleep 60 & echo $! > pid; exec {words}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        env=environment(),
        check=False,
        timeout=SECONDS,
        stdout=subprocess.DEVNULL,
    )
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert (done.returncode, (tmp_path / "ran").exists()) == (127, False)


def with_basis(path: Path, listed: Path) -> None:
    """What orch leaves of the files that a job reads (orchestrator/runs/reuse/basis.py)."""
    known = listed.stat()
    bases = path.parents[1] / "bases"
    bases.mkdir()
    files = {str(listed): [known.st_size, known.st_mtime_ns, "hash"]}
    (bases / "b.json").write_text(json.dumps({"files": files}))
    (bases / "b.json.flat").write_bytes(f"{known.st_size} {known.st_mtime_ns} {listed}\0".encode())
    (path / "attempt-1" / "basis.json").symlink_to("../../../bases/b.json")


@pytest.mark.parametrize("changes", [False, True])
def test_files_that_the_job_reads_are_looked_at_before_and_after(
    changes: bool, launcher: Path, tmp_path: Path
) -> None:
    read = tmp_path / "a file.py"
    read.write_text("1\n")
    command = ["sh", "-c", "echo 2 >> 'a file.py'"] if changes else ["cat", "a file.py"]
    path = job_folder(tmp_path, command)
    with_basis(path, read)
    if not changes:
        assert run(launcher, path, "1", TOKEN).stdout == "1\n"
    else:
        assert run(launcher, path, "1", TOKEN, python=sys.executable).returncode == 0
        listed = json.loads((path / "attempt-1" / "changed.json").read_text())
        assert listed["files"] == [str(read)]
    assert (path / "attempt-1" / "changed.json").exists() == changes
    assert first_exit_record(path)["results"]


CALLS = ["mkdir", "link", "open", "write", "rename", "symlink", "vfork", "wait4", "rmdir", "fsync"]
CALLS += ["rt_sigtimedwait", "prctl", "unlink", "close"]


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace, which kills it at a call, is missing"
)
def test_killed_at_any_moment_it_leaves_what_the_next_start_goes_on_with(
    launcher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAUNCHER, str(launcher))
    killed = 0
    for call, number in [(call, number) for call in CALLS for number in (1, 3)]:
        place = tmp_path / f"{call}-{number}"
        path = job_folder(place, ["sh", "-c", "echo ran >> ran"])
        inject = f"inject={call},?{call}at,?{call}at2:signal=KILL:when={number}"
        traced = ["strace", "-o", "/dev/null", "-e", inject, launcher, NO_PYTHON, "-I", "-S", "-u"]
        ended = subprocess.run(
            [*traced, PROGRAM, path, "1", TOKEN], env=environment(), check=False, timeout=SECONDS
        )
        killed += ended.returncode == -9
        # The scheduler starts it again under the same id.
        assert attempt_node(path, "7").wait(SECONDS) == 0
        record = first_exit_record(path)
        assert (record["results"], record["exit_code"]) == (True, 0)
        assert 1 <= len((place / "ran").read_text().splitlines()) <= 2
    assert killed >= len(CALLS)


def test_a_signal_that_comes_before_the_start_starts_nothing(
    launcher: Path, tmp_path: Path
) -> None:
    path = job_folder(tmp_path, ["touch", "ran"])
    # A pipe in place of the claim's folder would be no folder; so the signal is pending already.
    code = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
        "os.kill(os.getpid(), signal.SIGTERM); os.execv(sys.argv[1], sys.argv[1:])"
    )
    words = [sys.executable, "-c", code, launcher, sys.executable, "-I", "-S", "-u", PROGRAM]
    done = subprocess.run(
        [*words, path, "1", TOKEN], env=environment(), check=False, timeout=SECONDS
    )
    assert done.returncode == 1
    record = first_exit_record(path)
    assert (record["signals"], record["results"]) == (["SIGTERM"], False)
    assert not (tmp_path / "ran").exists()


def test_launchers_and_pythons_at_once_do_the_work_once(
    launcher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = job_folder(tmp_path, ["sh", "-c", "echo ran >> ran; sleep 2"])
    racers = []
    for number in range(6):
        monkeypatch.setenv(LAUNCHER, str(launcher) if number % 2 else "")
        racers.append(attempt_node(path, f"job-{number}"))
    wait_for(tmp_path / "ran")
    assert [racer.wait(SECONDS) for racer in racers] == [0] * 6
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert first_exit_record(path)["results"]
