"""The ledger of the slots of a machine: nobody else can fill it, block it or lead it elsewhere."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.spec import Resources
from orchestrator.clusters.local.slots import entry, ledger, ledger_folder
from orchestrator.runs.documents import damage
from tests.support.cli import SMALL, launch, until
from tests.support.locks import held

ONE = Resources(cpus=1, memory_gb=1, minutes=1)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, and one for the cache."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("ORCH_CACHE", str(tmp_path / "cache"))
    return folder


def test_the_ledger_lies_in_a_folder_of_the_users_own(temporary: Path) -> None:
    before = os.umask(0)
    try:
        with ledger() as entries:
            entries.append(entry(os.getpid(), ONE, [], "r:a"))
    finally:
        os.umask(before)
    (folder,) = temporary.iterdir()
    assert folder == ledger_folder()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert modes == {folder.name: 0o700, "slots.json": 0o600, "slots.lock": 0o600}
    # Opened by somebody, it is closed again.
    folder.chmod(0o777)
    with ledger() as entries:
        assert [one.get("name") for one in entries] == ["r:a"]
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["link", "file", "folder of somebody else"])
def test_what_somebody_else_has_put_in_its_place_is_not_used(
    planted: str, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    place = temporary / f"orch-{os.geteuid()}"
    if planted == "link":
        place.symlink_to(target)
    elif planted == "file":
        place.touch()
    else:
        place.mkdir()
        really = Path.lstat

        def of_somebody_else(path: Path) -> os.stat_result:
            known = really(path)
            if path != place:
                return known
            return os.stat_result([*known[:4], known.st_uid + 1, *known[5:]])

        monkeypatch.setattr(Path, "lstat", of_somebody_else)
    for _ in range(2):
        with ledger() as entries:
            entries[:] = [*entries, entry(os.getpid(), ONE, [], "r:a")]
    assert len(json.loads((tmp_path / "cache" / "slots.json").read_text())) == 2
    assert list(target.iterdir()) == []
    assert not place.is_dir() or list(place.iterdir()) == []


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["pid", "start", "cpus", "gpus", "x"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_broken_means_empty(content: bytes) -> None:
    path = ledger_folder() / "slots.json"
    path.write_bytes(content)
    with ledger() as entries:
        assert entries == []
        entries.append(entry(os.getpid(), ONE, [], "r:a"))
    with ledger() as entries:
        assert [one["pid"] for one in entries] == [os.getpid()]
    damage.told()


def test_a_job_waits_for_the_ledger_says_for_whom_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / f"orch-{os.geteuid()}"
    folder.mkdir(mode=0o700)
    path = folder / "slots.lock"
    path.touch()
    with held(path) as pid:
        launched = launch(tmp_path, f"  a: {{command: 'true', {SMALL}}}\n", "--no-watch")
        assert launched.returncode == 0, launched.stderr
        until(tmp_path, lambda now: f"process {pid}" in now["a"]["reason"])
    until(tmp_path, lambda now: now["a"]["state"] == "COMPLETED")
