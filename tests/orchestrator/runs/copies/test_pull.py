"""`orch pull` from a real ssh server on this machine, and what can be done with the copy."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import RunError
from orchestrator.runs.copies.pull import Source
from tests.support.cli import ORCH, SMALL, describe, jobs, launch, orch, states, the_run, until
from tests.support.private_sshd import PrivateSshd, missing, started

RESULTS = (
    "import json, os, pathlib; out = pathlib.Path(os.environ['ORCH_OUT']);"
    "[(out / 'checkpoints' / n).mkdir(parents=True) for n in ('step-1', 'step-2')];"
    "(out / 'checkpoints' / 'step-2' / 'weights').write_bytes(os.urandom(8_000_000))"
)
"""A program that leaves a large checkpoint, of bytes that no compression makes fewer."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSshd]:
    """A server; without its programs the tests are skipped, but fail where CI=true."""
    why = missing()
    if why and os.environ.get("CI") == "true":
        pytest.fail(why)
    if why:
        pytest.skip(why)
    with started(tmp_path_factory.mktemp("sshd")) as private:
        yield private


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of which one job is done, one has failed and one runs."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "train.py").write_text(RESULTS)
    (folder / "mine.yaml").write_text(f"kind: local\nnotify: {{command: [touch, {folder}/told]}}\n")
    stages = (
        f"  train: {{command: python3 train.py, {SMALL}}}\n"
        f"  fails: {{command: \"sh -c 'echo no such luck; exit 3'\", {SMALL}}}\n"
        f'  runs: {{command: "sleep 900", {SMALL}}}\n'
    )
    file = describe(folder, stages)
    assert orch(folder, "launch", file, "--cluster", folder / "mine.yaml").returncode == 0
    wanted = {"train": "COMPLETED", "fails": "FAILED", "runs": "RUNNING"}
    until(folder, lambda now: states(now) == wanted)
    yield folder
    orch(folder, "cancel")


def pull(
    sshd: PrivateSshd, there: Path, here: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    return orch(here, "pull", f"gpu:{the_run(there)}", *more, path=sshd.path)


def test_a_copy_is_shown_as_one_and_changes_nothing(
    sshd: PrivateSshd, there: Path, tmp_path: Path
) -> None:
    done = pull(sshd, there, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ files, 8\.\d MB, 8\.0 MB of it checkpoints", done.stdout)
    copy = the_run(tmp_path)
    weights = "jobs/train/out/checkpoints/step-2/weights"
    assert (copy / weights).read_bytes() == (the_run(there) / weights).read_bytes()
    assert not (copy / "scheduler").exists()
    (there / "told").unlink()  # what had failed there was told there

    # The scheduler there knows more than this one could.
    assert states(jobs(tmp_path)) == {"train": "COMPLETED", "fails": "FAILED", "runs": "RUNNING"}
    said = f"a copy of gpu:{the_run(there)}, where the run lives, as it was at"
    assert said in orch(tmp_path, "status").stdout
    assert "runs RUNNING" in orch(tmp_path, "status", "--watch").stdout
    assert said in orch(tmp_path, "results").stderr
    assert orch(tmp_path, "page").returncode == 0
    assert said in (copy / "page.html").read_text()
    assert "no such luck" in orch(tmp_path, "logs", "fails").stdout

    before = sorted(copy.rglob("*"))
    file = there / "trial.yaml"
    for command in (
        ["cancel"],
        ["retry"],
        ["retry", "--job", "fails"],
        ["advance"],
        ["launch", file, "--cluster", there / "mine.yaml"],
        ["override", "runs", "--skip", "--reason", "r"],
        ["evolve", "trial"],
    ):
        # A launch looks for the programs that the file names where it is called.
        where = {"ORCH_RUNS": str(tmp_path / "runs")}
        refused = orch(there, *command, **where)
        assert refused.returncode == 2, command
        assert len(refused.stderr.splitlines()) == 1, refused.stderr
        assert f"a copy of gpu:{the_run(there)}" in refused.stderr
    assert sorted(copy.rglob("*")) == before
    assert not (copy / "scheduler").exists()
    assert not (there / "told").exists(), "a copy told somebody, by a command from over there"
    assert states(jobs(there))["runs"] == "RUNNING"


def test_a_broken_transfer_goes_on_and_shows_no_half_file(
    sshd: PrivateSshd, there: Path, tmp_path: Path
) -> None:
    sshd.network.received, sshd.network.breaks_after = 0, 5_000_000
    broken = pull(sshd, there, tmp_path)
    sshd.network.received, sshd.network.breaks_after = 0, None
    assert broken.returncode == 2
    assert "the same command goes on from there" in broken.stderr
    weights = the_run(tmp_path) / "jobs/train/out/checkpoints/step-2/weights"
    assert not weights.exists()
    part = weights.parent / ".rsync-partial" / "weights"
    had = part.stat().st_size
    assert 3_000_000 < had < 5_000_000
    assert pull(sshd, there, tmp_path).returncode == 0
    assert sshd.network.received < 8_000_000 - had + 300_000
    assert weights.stat().st_size == 8_000_000
    assert not part.parent.exists()
    # Nothing is new: nothing comes.
    sshd.network.received = 0
    assert pull(sshd, there, tmp_path).returncode == 0
    assert sshd.network.received < 100_000


def test_part_of_a_copy_kills_no_job(sshd: PrivateSshd, there: Path, tmp_path: Path) -> None:
    assert pull(sshd, there, tmp_path, "--without-checkpoints").returncode == 0
    copy = the_run(tmp_path)
    # As a transfer that broke may leave it: what ended well has no results yet.
    (copy / "jobs/train/out/results.json").unlink()
    values = json.loads((copy / "copy.json").read_text())
    (copy / "copy.json").write_text(json.dumps(values | {"complete": False}))
    assert states(jobs(tmp_path))["train"] == "COMPLETED"
    assert "not all of it has come" in orch(tmp_path, "status").stdout
    (copy / "state.json").unlink()
    found = states(jobs(tmp_path))
    assert (found["train"], found["fails"]) == ("COMPLETED", "FAILED")


def test_checkpoints_stay_there_if_asked_and_a_port_may_be_given(
    sshd: PrivateSshd, there: Path, tmp_path: Path
) -> None:
    more = ["--without-checkpoints", "--port", str(sshd.port), "--to", "mine"]
    done = orch(tmp_path, "pull", f"127.0.0.1:{the_run(there)}", *more, path=sshd.path)
    assert done.returncode == 0, done.stderr
    assert "8.0 MB of checkpoints stay there" in done.stdout
    assert not (tmp_path / "mine/jobs/train/out/checkpoints").exists()
    assert orch(tmp_path, "status", "mine").returncode == 0


def test_links_that_lead_out_are_not_taken(sshd: PrivateSshd, there: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("private")
    run = the_run(there)
    planted = {
        "jobs/fails/out/files/absolute": secret / "key",
        "jobs/fails/out/files/folder": secret,
        "jobs/fails/out/files/up": Path("../" * 12) / str(secret)[1:],
        # Each step of it stays inside by the letter.
        "jobs/fails/out/files/deep": Path("../../../.."),
        "jobs/fails/out/files/inside": Path("../../attempt-1/exit.json"),
        "jobs/fails/out/files/circle": Path("circle"),
    }
    for name, target in planted.items():
        (run / name).symlink_to(target)
    try:
        done = pull(sshd, there, tmp_path, "--without-checkpoints")
    finally:
        for name in planted:
            (run / name).unlink()
    assert done.returncode == 0, done.stderr
    assert "left out: 4 links that lead out of the run's folder" in done.stdout
    copy = the_run(tmp_path)
    links = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_symlink()}
    # Those of every command lead to what it writes, and to what it hangs on.
    usual = ("/out/progress.jsonl", "/out/checkpoints", "/basis.json")
    own = {one for one in links if one.endswith(usual)}
    assert links - own == {"jobs/fails/out/files/inside", "jobs/fails/out/files/circle"}
    assert not any("private" in path.read_text() for path in copy.rglob("key"))


def test_what_is_there_already_is_not_overwritten(
    sshd: PrivateSshd, there: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes").write_text("mine")
    refused = pull(sshd, there, tmp_path, "--to", str(mine))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "no copy" in refused.stderr
    assert [path.name for path in mine.iterdir()] == ["notes"]
    # The same experiment, launched a second time elsewhere.
    assert pull(sshd, there, tmp_path, "--without-checkpoints").returncode == 0
    copy = the_run(tmp_path) / "copy.json"
    copy.write_text(json.dumps(json.loads(copy.read_text()) | {"uid": "another"}))
    refused = pull(sshd, there, tmp_path)
    assert refused.returncode == 2
    assert "another launch of the same experiment" in refused.stderr


def test_no_run_there_and_no_server_are_one_line_each(sshd: PrivateSshd, tmp_path: Path) -> None:
    for source, more, words in (
        (f"gpu:{tmp_path}/nothing", [], "no run there"),
        # No shell there reads the path.
        (f"gpu:{tmp_path}/$(touch${{IFS}}{tmp_path}/made);touch {tmp_path}/made", [], "no run"),
        ("127.0.0.1:runs/a", ["--port", "1"], "Connection refused"),
    ):
        refused = orch(tmp_path, "pull", source, *more, path=sshd.path)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1, refused.stderr
        assert words in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "-oProxyCommand=touch${IFS}x:runs/a",
        "me@-oProxyCommand=x:runs/a",
        "-me@gpu:runs/a",
        "gpu",
        "gpu:",
        "gpu:/",
        "gpu:~/",
        ":runs/a",
        "gpu::module/a",
        "rsync://gpu/a",
        "a b:runs/a",
        "$(touch x):runs/a",
        "gpu;touch x:runs/a",
        "gpu:runs/a\nb",
        "gpu:runs/*",
        "[::1:runs/a",
        "[-x]:runs/a",
    ],
)
def test_what_is_no_host_and_folder_is_refused(text: str) -> None:
    with pytest.raises(RunError):
        Source.parse(text)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(RunError) as caught:
        Source.parse("me:hunter2@gpu:runs/a")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("gpu:runs/t/full-1", "gpu", "runs/t/full-1"),
        ("root@203.0.113.7:/root/runs/t/full-1/", "root@203.0.113.7", "/root/runs/t/full-1"),
        ("me@[fe80::1%eth0]:~/runs/t", "me@[fe80::1%eth0]", "runs/t"),
        ("[::1]:a:b", "[::1]", "a:b"),
    ],
)
def test_host_and_folder(text: str, host: str, path: str) -> None:
    assert Source.parse(text) == Source(host, path)


def test_a_launch_over_ssh_outlives_its_connection(sshd: PrivateSshd, tmp_path: Path) -> None:
    counts = "for i in $(seq 20); do echo $i >> counted; sleep 0.1; done"
    file = describe(tmp_path, f"  a: {{command: [sh, -c, '{counts}'], {SMALL}}}\n")
    command = f"cd {tmp_path} && ORCH_RUNS={tmp_path}/runs TMPDIR={tmp_path}"
    command += f" {ORCH} launch {file} --cluster local --watch"
    config = ["-F", str(sshd.folder / "client")]
    client = subprocess.Popen(
        ["ssh", *config, "-tt", "gpu", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    counted = tmp_path / "counted"
    deadline = time.monotonic() + 60
    while not counted.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.send_signal(signal.SIGKILL)
    client.wait()
    until(tmp_path, lambda now: states(now) == {"a": "COMPLETED"})
    assert counted.read_text().split() == [str(number) for number in range(1, 21)]
    again = launch(tmp_path, file.read_text().partition("stages:\n")[2], "--no-watch")
    assert "0 jobs submitted, 1 of 1 done before" in again.stdout
