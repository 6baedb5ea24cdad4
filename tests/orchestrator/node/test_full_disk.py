"""A job on a disk that is full at its end: what it has done is known, and why another one died."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.node import TOKEN, job_folder, started_by, write_launch

MOUNTS = shutil.which("unshare") is not None and (
    subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
)


def run_on(folder: Path, command: list[str]) -> tuple[dict[str, object], bool]:
    """Run a job below a file system of a megabyte; its exit record, and whether it has results."""
    path = job_folder(folder, command)
    write_launch(path, folder / "disk" / "job")
    script = (
        f"mkdir {folder}/disk && mount -t tmpfs -o size=1m none {folder}/disk && "
        f"cp -r {path} {folder}/disk/job && "
        f"{shlex.join(started_by(folder / 'disk' / 'job', '1', TOKEN))} "
        f"> {folder}/disk/job/attempt-1/log.txt 2>&1; "
        f"rm -f {folder}/disk/filler; cp -r {folder}/disk/job {folder}/copy"
    )
    subprocess.run(["unshare", "-rm", "sh", "-c", script], check=True, timeout=100)
    record = json.loads((folder / "copy" / "attempt-1" / "exit.json").read_text())
    assert not (folder / "copy" / "attempt-1" / ".reserve").exists()
    return record, (folder / "copy" / "out" / "results.json").exists()


@pytest.mark.usefixtures("each_program")
@pytest.mark.skipif(not MOUNTS, reason="no file system can be mounted here")
@pytest.mark.parametrize(("end", "done"), [("true", True), ("echo 'no word of it'; exit 3", False)])
def test_the_records_have_their_room(end: str, done: bool, tmp_path: Path) -> None:
    fill = f"cat /dev/zero > {tmp_path}/disk/filler; {end}"
    record, results = run_on(tmp_path, ["sh", "-c", fill])
    assert (record["results"], results) == (done, done)
    assert record["reason"] == ("" if done else "No space left on device")
