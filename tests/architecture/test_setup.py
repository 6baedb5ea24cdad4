"""scripts/setup.sh on a machine where another apt is at work, as a new one's first upgrade is."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4 (apt-get)"


def installed(folder: Path, rounds: int, said: str = LOCKED) -> tuple[int, list[str], str]:
    """The exit code, the calls of apt-get and what was said, where its lists cannot be had for so
    many calls."""
    script = (ROOT / "scripts" / "setup.sh").read_text()
    functions = re.findall(r"^\w+\(\) \{.*?\}\n(?=\n|\w+\(\)|#)", script, re.MULTILINE | re.DOTALL)
    (folder / "functions").write_text("".join(functions[:3]) + 'apt_install "$@"\n')
    calls = folder / "calls"
    stand_ins = {
        "apt-get": f'echo "$*" >> {calls}; [ $(grep -c update {calls}) -gt {rounds} ] && exit 0\n'
        f"echo '{said}' >&2; exit 100",
        # As root, and nobody waits ten minutes.
        "id": "echo 0",
        "sleep": "true",
    }
    for name, text in stand_ins.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-eu", str(folder / "functions"), "some-package"],
        capture_output=True,
        text=True,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    return done.returncode, calls.read_text().splitlines(), done.stdout + done.stderr


@pytest.mark.parametrize("rounds", [0, 3])
def test_it_waits_for_the_lock_and_lets_apt_wait_for_its_own(tmp_path: Path, rounds: int) -> None:
    code, calls, said = installed(tmp_path, rounds)
    assert code == 0
    assert [call.split()[0] for call in calls] == ["update"] * (rounds + 1) + ["install"]
    assert "DPkg::Lock::Timeout=600" in calls[-1]
    assert calls[-1].endswith("some-package")
    assert said.count("waiting for it") == (1 if rounds else 0)


def test_another_trouble_is_told_at_once_and_a_lock_that_stays_in_the_end(tmp_path: Path) -> None:
    code, calls, said = installed(tmp_path, 1000, "E: Failed to fetch http://deb.example.org")
    assert (code, len(calls)) == (1, 1)
    assert "Failed to fetch" in said
    (tmp_path / "calls").unlink()
    code, calls, said = installed(tmp_path, 1000)
    assert (code, len(calls)) == (1, 60)
    assert LOCKED in said
