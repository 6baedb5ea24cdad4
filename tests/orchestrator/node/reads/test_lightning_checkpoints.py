"""What Lightning's ModelCheckpoint has left: whole, told apart, and never loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

from engines.contract.checkpoints import listed
from orchestrator.node.own_results import selected_checkpoints
from orchestrator.node.reads.checkpoints import keep_manifests
from orchestrator.node.reads.lightning.checkpoints import numbers_in, read_checkpoint
from tests.support.frameworks import FRAMEWORKS, look

VERSION = Path("lightning_logs", "version_0", "checkpoints")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A training of 12 steps, with all of its files."""
    copy = tmp_path / "files" / "run"
    shutil.copytree(FRAMEWORKS / "lightning_checkpoints", copy)
    return copy


def test_step_and_epoch_are_inside_and_last_is_no_second_one(trained: Path) -> None:
    found = look("lightning", trained, better={"val_loss": "lower"})
    known = {one["name"]: one for one in found.checkpoints}
    assert {name: (one["step"], one["epoch"]) for name, one in known.items()} == {
        "epoch=0-step=4": (4, 0),
        "epoch=1-step=8": (8, 1),
        "epoch=2-step=12": (12, 2),
        # Its name tells no step.
        "epoch=2-val_loss=0.003": (12, 2),
    }
    assert known["epoch=1-step=8"]["metrics"]["val_loss"] == pytest.approx(0.0070329057)
    assert {one["rank_by"] for one in known.values()} == {"val_loss"}
    assert found.problems == []


def test_without_another_of_its_step_last_is_taken(trained: Path) -> None:
    (trained / VERSION / "epoch=2-step=12.ckpt").unlink()
    shutil.rmtree(trained / "best")
    names = {one["name"]: one["step"] for one in look("lightning", trained).checkpoints}
    assert names == {"epoch=0-step=4": 4, "epoch=1-step=8": 8, "last": 12}


def test_half_a_file_is_told_and_left_out(trained: Path) -> None:
    whole = (trained / VERSION / "epoch=1-step=8.ckpt").read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        (trained / VERSION / "epoch=1-step=8.ckpt").write_bytes(whole[:size])
        found = look("lightning", trained)
        assert "epoch=1-step=8" not in {one["name"] for one in found.checkpoints}
        (problem,) = found.problems
        assert "epoch=1-step=8.ckpt: not a whole file" in problem
    with zipfile.ZipFile(trained / VERSION / "epoch=1-step=8.ckpt", "w") as archive:
        archive.writestr("words.txt", "words")
    assert "not one that torch has written" in look("lightning", trained).problems[0]


class Bomb:
    """Whoever loads it makes a folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_a_pickle_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4):
        head = pickle.dumps({"epoch": 3, "global_step": 70000, "bomb": Bomb()}, protocol)
        with zipfile.ZipFile("a.ckpt", "w") as archive:
            archive.writestr("archive/data.pkl", head)
        one = read_checkpoint("a.ckpt")
        assert isinstance(one, dict)
        assert (one["step"], one["epoch"]) == (70000, 3)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("head", [b"", b"\x80\x02}q\x00X\x05", b"\xff\xff", pickle.dumps([1, "a"])])
def test_other_words_tell_nothing_and_the_name_is_asked(head: bytes, tmp_path: Path) -> None:
    assert numbers_in(head) == {}
    path = tmp_path / "model-epoch=2-step=40-v1.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", head)
    one = read_checkpoint(str(path))
    assert isinstance(one, dict)
    assert (one["step"], one["epoch"]) == (40, 2)
    other = path.rename(tmp_path / "model.ckpt")
    assert "neither its first words nor its name" in str(read_checkpoint(str(other)))


def test_a_following_command_is_given_them_and_what_is_removed_goes(trained: Path) -> None:
    files = str(trained.parent)
    source = {"folder": files, "checkpoints": "best"}
    keep_manifests(files, look("lightning", trained, better={"val_loss": "lower"}).checkpoints)
    (best,) = selected_checkpoints(source)
    assert best["name"] == "epoch=2-step=12"
    (file,) = Path(best["path"]).iterdir()
    assert file.read_bytes() == (trained / VERSION / "epoch=2-step=12.ckpt").read_bytes()
    found, damaged = listed(trained.parent)
    assert (len(found), damaged) == (4, [])
    assert {one.manifest.format for one in found} == {"files"}
    before = {one.manifest.name: one.manifest.fingerprint for one in found}
    # Written again under the same name it is another one.
    last = trained / VERSION / "epoch=1-step=8.ckpt"
    shutil.copyfile(trained / VERSION / "epoch=0-step=4.ckpt", last)
    os.utime(last, (2**31, 2**31))
    (trained / VERSION / "epoch=0-step=4.ckpt").unlink()
    keep_manifests(files, look("lightning", trained).checkpoints)
    after = {one.manifest.name: one.manifest for one in listed(trained.parent)[0]}
    assert set(after) == set(before) - {"epoch=0-step=4"}
    assert (after["epoch=1-step=8"].step, after["epoch=1-step=8"].fingerprint) != (
        8,
        before["epoch=1-step=8"],
    )
    # A run that is moved takes them along.
    moved = trained.parent.rename(trained.parent.with_name("moved"))
    (path,) = (moved / "checkpoints" / "epoch=1-step=8" / "model").iterdir()
    assert json.loads((path.parents[1] / "manifest.json").read_text())["step"] == 4
    assert path.exists()
