"""Checkpoints are found by what lies in the folder, whole or not at all."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engines.contract import checkpoints
from engines.contract.checkpoints import CheckpointsSource
from engines.contract.config import ConfigError
from tests.support.counted import ends_of


def write(out: Path, epoch: int, reward: float | None = None) -> checkpoints.Checkpoint:
    def fill(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors").write_bytes(bytes([epoch % 256]) * 64)

    metrics = {} if reward is None else {"validation_reward_mean": reward}
    description = checkpoints.Description(
        name=f"epoch-{epoch:06d}",
        step=epoch * 3,
        epoch=epoch,
        metrics=metrics,
        rank_by="validation_reward_mean",
    )
    return checkpoints.save(out, description, fill)


def epochs(found: list[checkpoints.Checkpoint]) -> list[int]:
    return [checkpoint.manifest.epoch for checkpoint in found]


def test_a_fingerprint_says_how_much_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path, 5).model
    ends = ends_of(lambda: checkpoints.fingerprint(folder))
    assert ends == {"reading weights": (64, 64)}


def test_half_written_folder_is_not_a_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, 5)
    (tmp_path / "checkpoints" / "epoch-000010" / "model").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".epoch-000015.tmp").mkdir()
    (tmp_path / "checkpoints" / ".epoch-000015.tmp" / "manifest.json").write_text("{}")
    assert epochs(checkpoints.complete(tmp_path)) == [5]


def test_failing_write_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    before = write(tmp_path, 5).manifest

    def fail(folder: Path) -> None:
        (folder / "model").mkdir()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(
            tmp_path,
            checkpoints.Description(name="epoch-000005", step=1, epoch=5, metrics={}),
            fail,
        )
    assert [c.manifest for c in checkpoints.complete(tmp_path)] == [before]


def test_selectors_name_the_checkpoints(tmp_path: Path) -> None:
    for epoch, reward in ((5, 0.2), (10, 0.9), (15, 0.9), (20, 0.4), (25, 0.5)):
        write(tmp_path, epoch, reward)
    assert epochs(checkpoints.select(tmp_path, "last")) == [25]
    assert epochs(checkpoints.select(tmp_path, "best")) == [10]
    assert epochs(checkpoints.select(tmp_path, "all")) == [5, 10, 15, 20, 25]
    assert epochs(checkpoints.select(tmp_path, "every:2")) == [5, 15, 25]
    assert epochs(checkpoints.select(tmp_path, [20, 5])) == [5, 20]


def test_a_config_names_several_checkpoints_or_one_by_its_name_and_not_both(tmp_path: Path) -> None:
    for epoch in (5, 10, 15):
        write(tmp_path, epoch)
    assert epochs(
        checkpoints.selected_by(CheckpointsSource(folder=str(tmp_path), checkpoints="all"))
    ) == [5, 10, 15]
    assert epochs(
        checkpoints.selected_by(CheckpointsSource(folder=str(tmp_path), checkpoint="epoch-000010"))
    ) == [10]
    again = CheckpointsSource.model_validate(
        CheckpointsSource(folder=str(tmp_path), checkpoint="last").model_dump()
    )  # as a plan keeps it
    assert epochs(checkpoints.selected_by(again)) == [15]
    with pytest.raises(ValidationError, match="keep one of the two"):
        CheckpointsSource(folder=str(tmp_path), checkpoint="last", checkpoints="all")


@pytest.mark.parametrize("selector", ["newest", "every:0", "every:x", ""])
def test_unknown_selector_says_what_it_may_be(selector: str) -> None:
    with pytest.raises(ConfigError, match=r"none of last, best, all, every:N"):
        checkpoints.check_selector(selector)


def test_missing_epoch_is_an_error_that_lists_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, 5)
    with pytest.raises(
        ConfigError, match=r"no complete checkpoint of epochs \[10\]; there are \[5\]"
    ):
        checkpoints.select(tmp_path, [5, 10])


def test_best_without_a_metric_is_an_error_not_a_guess(tmp_path: Path) -> None:
    write(tmp_path, 5)
    with pytest.raises(ConfigError, match="'best' ranks by"):
        checkpoints.select(tmp_path, "best")


@settings(max_examples=25, deadline=None)
@given(rewards=st.lists(st.floats(0, 1), min_size=1, max_size=8), keep=st.integers(2, 5))
def test_rotation_keeps_the_last_and_the_best(
    tmp_path_factory: pytest.TempPathFactory, rewards: list[float], keep: int
) -> None:
    out = tmp_path_factory.mktemp("run")
    for number, reward in enumerate(rewards, start=1):
        write(out, number, reward)
    best = checkpoints.best(checkpoints.complete(out)).path
    checkpoints.rotate(out, keep)
    left = checkpoints.complete(out)
    assert len(left) == min(keep, len(rewards))
    assert best in {checkpoint.path for checkpoint in left}
    assert left[-1].manifest.epoch == len(rewards)


def write_adapter(out: Path, alpha: int = 16, weights: bytes = b"AB") -> checkpoints.Checkpoint:
    def fill(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "adapter_config.json").write_text(f'{{"lora_alpha": {alpha}}}')
        (folder / "model" / "adapter_model.safetensors").write_bytes(weights)

    base = checkpoints.Base(folder="/models/base", fingerprint="f" * 64)
    description = checkpoints.Description(
        name="step-10", step=10, epoch=1, metrics={}, format="adapter", base=base
    )
    return checkpoints.save(out, description, fill)


def test_an_adapter_keeps_its_base_and_is_told_apart_by_weights_and_by_scale(
    tmp_path: Path,
) -> None:
    one = write_adapter(tmp_path)
    (found,) = checkpoints.complete(tmp_path)
    assert found == one
    assert found.manifest.base is not None
    assert found.manifest.base.fingerprint == "f" * 64
    others = [write_adapter(tmp_path / "a", alpha=32), write_adapter(tmp_path / "b", weights=b"AC")]
    assert len({found.manifest.fingerprint for found in (one, *others)}) == 3
    assert write_adapter(tmp_path / "c").manifest.fingerprint == one.manifest.fingerprint


def test_an_adapter_is_not_taken_for_a_whole_model(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"an adapter \(LoRA\) alone, not a whole model; merge it"
    ):
        write_adapter(tmp_path).whole_model()
    whole = write(tmp_path / "whole", 1)
    assert whole.whole_model() == whole.model
