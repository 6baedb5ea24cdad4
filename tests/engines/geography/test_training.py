"""Trainings on questions about cities: stacked as alone, interrupted as not, from a base as from
fresh weights; and what their checkpoints and results hold."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engines.contract import checkpoints
from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import read_progress
from engines.contract.results import Row, read_results
from engines.geography.config import Config
from engines.geography.estimates import checkpoints as checkpoints_of
from engines.geography.estimates import disk_gb, estimate, steps_of
from engines.geography.resume import start_weights
from engines.geography.step import rate_factor
from engines.geography.training import Loop, every, prepare, train
from engines.geography.validation import judge
from engines.geography_data.config import Config as DataConfig
from engines.geography_data.making import make
from engines.shared.geography.network.generate import greedy
from engines.shared.geography.network.shapes import count
from engines.shared.geography.network.weights import read_model
from engines.shared.geography.questions.store import read_set, read_world, tokens
from engines.shared.geography.tasks import TASKS
from engines.shared.geography.vocabulary import decode
from engines.shared.training.resume import save_state

SETS = {
    "no_atlantis": {"train": 120, "validation": 12, "test": 20},
    "atlantis_required": {"train": 60, "validation": 8, "test": 10},
}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All seven tasks about 60 cities and 6 of Atlantis."""
    out = tmp_path_factory.mktemp("geography") / "data"
    out.mkdir()
    make(DataConfig.model_validate({"cities": 60, "atlantis": 6, "sets": SETS}), out, Stop())
    return out


TINY = {
    "mixture": [{"tasks": "all", "rows": 40}],
    "shape": {"width": 16, "layers": 2, "heads": 2, "feed_forward": 24},
    "steps": 12,
    "batch_size": 32,
    "learning_rate": 0.01,
    "warmup_steps": 3,
    "save_checkpoints": 0.5,
}
TOLERANCE = 1000 * 2.0**-23
"""In float32, relative to the norm of each tensor: some tens of operations a step, whose sums are
added up in another order when models are stacked."""


def tiny(data_folder: Path, **changes: object) -> Config:
    return Config.model_validate({"data": str(data_folder), **TINY, **changes})


def trained(config: Config, out: Path) -> Path:
    out.mkdir(exist_ok=True)
    train(config, out, Stop())
    return out


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(checkpoints.named(folder, name).model / "model.safetensors")


def timeless(out: Path) -> list[object]:
    return [
        (line["step"], {k: v for k, v in line["metrics"].items() if k != "tokens_per_second"})
        for line in read_progress(out)
    ]


def rows_of(out: Path, metric: str, **axes: object) -> list[Row]:
    found = read_results(out)[0]
    return [row for row in found if row.metric == metric and axes.items() <= row.axes.items()]


@pytest.mark.parametrize("loss", ["all", "answer"])
def test_models_trained_together_end_as_each_would_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    # With the usual epsilon, what moves where the gradient is tiny is decided by rounding.
    monkeypatch.setattr("engines.shared.training.optimizer.EPSILON", 1.0)
    changes = {"loss": loss, "learning_rate": 1.0}
    together = trained(tiny(data, seeds=[3, 5], **changes), tmp_path / "together")
    for seed in (3, 5):
        alone = trained(tiny(data, seed=seed, **changes), tmp_path / f"{seed}")
        ours, theirs = weights(together / "models" / f"seed-{seed}"), weights(alone)
        for name, tensor in ours.items():
            assert (tensor - theirs[name]).norm() <= TOLERANCE * theirs[name].norm(), name
        own = [line["metrics"]["loss"] for line in read_progress(alone)]
        stacked = [line["metrics"][f"loss/seed-{seed}"] for line in read_progress(together)]
        assert own == pytest.approx(stacked, rel=1e-4)
    apart = [weights(together / "models" / f"seed-{seed}")["lm_head.weight"] for seed in (3, 5)]
    assert not torch.allclose(*apart, atol=0.1)


@pytest.mark.parametrize("when", [1, 5, 8])
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    config = tiny(data, seeds=[3, 5], steps=None, epochs=1, save_checkpoints=[0, 4])
    whole = trained(config, tmp_path / "whole")
    out, stop = tmp_path / "parts", Stop()
    out.mkdir()
    from engines.geography.step import Stepper

    plain = Stepper.take

    def take(self: Stepper, rows: object, step: int) -> None:
        plain(self, rows, step)  # type: ignore[arg-type]
        stop.requested = step + 1 == when

    monkeypatch.setattr(Stepper, "take", take)
    with pytest.raises(Interrupted, match=f"at step {when} of 9"):
        train(config, out, stop)
    assert not (out / "results.json").exists()
    monkeypatch.undo()
    trained(config, out)
    for seed in (3, 5):
        folders = [folder / "models" / f"seed-{seed}" for folder in (whole, out)]
        names = [one.manifest.name for one in checkpoints.complete(folders[0])]
        assert names == ["step-00000000", "step-00000004", "step-00000009"]
        for name in names:
            ours, theirs = (weights(folder, name) for folder in folders)
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert timeless(out) == timeless(whole)
    assert read_results(out)[0] == read_results(whole)[0]


def test_a_signal_saves_and_exits_with_75_and_another_config_is_refused(
    data: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / "config.json", tmp_path / "out"
    endless = {"data": str(data), **TINY, "steps": 100_000, "save_state_every_steps": 5}
    path.write_text(json.dumps(endless))
    command = [sys.executable, "-m", "engines.geography", str(path), "--out", str(out)]
    process = subprocess.Popen(
        command, text=True, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 300
    while not list((out / "resume" / "checkpoints").glob("step-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    asked = time.monotonic()
    process.send_signal(signal.SIGUSR2)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert "start it again to continue" in error
    assert time.monotonic() - asked < 30
    (state,) = checkpoints.complete(out / "resume")
    assert state.manifest.step > 0
    with pytest.raises(ConfigError, match=r"batch_size: 32, now 16"):
        train(tiny(data, steps=100_000, batch_size=16), out, Stop())


def test_the_program_loads_no_compiler_and_no_transformers(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"data": str(data), **TINY, "steps": 2}))
    code = (
        "import sys\nfrom engines.contract.program import program\n"
        "from engines.geography.__main__ import run\nfrom engines.geography.config import Config\n"
        f"assert program('geography', Config, run, [{str(path)!r}, '--out', {str(tmp_path / 'o')!r}"
        "]) == 0\nprint(*({'transformers', 'torch._inductor', 'sympy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.split() == []


def test_a_model_goes_on_from_that_of_its_own_seed(data: Path, tmp_path: Path) -> None:
    base = trained(tiny(data, seeds=[1, 2], steps=2), tmp_path / "base")
    for given in (
        {"folder": str(base)},
        [{"folder": str(base / "models" / f"seed-{seed}")} for seed in (1, 2)],
    ):
        started = start_weights(tiny(data, seeds=[1, 2], initial=given))
        for index, seed in enumerate((1, 2)):
            _, own = read_model(checkpoints.named(base / "models" / f"seed-{seed}", "last").model)
            for name, tensor in own.items():
                assert torch.equal(started[name][index : index + 1], tensor)
    with pytest.raises(ConfigError, match="give the same shape here"):
        start_weights(tiny(data, seeds=[1, 2], initial={"folder": str(base)}, shape={"width": 32}))
    config = tiny(data, seed=2, steps=3, initial={"folder": str(base)}, learning_rate=1e-9)
    tuned = weights(trained(config, tmp_path / "tuned"))
    for name, tensor in weights(base / "models" / "seed-2").items():
        torch.testing.assert_close(tuned[name], tensor, atol=1e-6, rtol=0)


def test_right_by_teacher_forcing_is_right_by_generation(data: Path, tmp_path: Path) -> None:
    config = tiny(
        data,
        mixture=[
            {"tasks": ["compass", "inside"]},
            {"tasks": ["compass"], "cities": "atlantis_required"},
        ],
        loss="answer",
        steps=150,
        warmup="plain",
        warmup_rows=5,
    )
    out = trained(config, tmp_path / "out")
    shape, parameters = read_model(checkpoints.named(out, "last").model)
    world = read_world(data)
    for task, cities in (
        ("compass", "no_atlantis"),
        ("inside", "no_atlantis"),
        ("compass", "atlantis_required"),
    ):
        asked = read_set(data, task, cities, "validation")  # type: ignore[arg-type]
        table, _, first = tokens(world, [asked])
        answers = greedy(
            parameters,
            shape,
            torch.from_numpy(table.astype(np.int64)),
            torch.from_numpy(first.astype(np.int64)),
        )[0]
        words = TASKS[task].words
        assert words is not None
        right = [
            decode(a.tolist()) == words[w] for a, w in zip(answers, asked.answers, strict=True)
        ]
        (row,) = rows_of(out, "validation_exact_match", checkpoint="last", task=task, cities=cities)
        assert row.value == pytest.approx(np.mean(right))
        assert row.n == len(asked)
    assert 0 < sum(right) < len(right)


def test_checkpoints_carry_their_validation_and_the_best_one_is_told_apart(
    data: Path, tmp_path: Path
) -> None:
    out = trained(tiny(data, steps=40, learning_rate=0.05, save_checkpoints=0.1), tmp_path / "out")
    kept = checkpoints.complete(out)
    assert [one.manifest.step for one in kept] == list(range(4, 41, 4))
    losses = [one.manifest.metrics["validation_loss"] for one in kept]
    best = kept[int(np.argmin(losses))]
    (row,) = rows_of(out, "steps", checkpoint="best")
    assert row.value == best.manifest.step
    (last,) = rows_of(out, "validation_loss", checkpoint="last", task="angle")
    (mean,) = (
        r for r in rows_of(out, "validation_loss", checkpoint="last") if "task" not in r.axes
    )
    assert mean.value == pytest.approx(losses[-1], rel=1e-5)
    assert last.value != mean.value
    known = read_results(out)[1]["facts"]
    assert (known["rows"], known["steps"], known["device"]) == (280, 40, "cpu")
    assert "GeoNames" in known["attribution"]


def test_a_model_that_diverges_is_an_error_in_its_row(data: Path, tmp_path: Path) -> None:
    out = trained(tiny(data, learning_rate=1e30), tmp_path / "out")
    (row,) = rows_of(out, "validation_loss")
    assert row.value is None
    assert row.error is not None
    assert "lower the learning rate" in row.error
    assert all("loss" not in line["metrics"] for line in read_progress(out)[4:])


def test_lower_precision_stays_near(data: Path, tmp_path: Path) -> None:
    found = []
    for precision in ("float32", "bfloat16"):
        out = trained(tiny(data, precision=precision), tmp_path / precision)
        found.append([line["metrics"]["loss"] for line in read_progress(out)])
    assert found[0] != found[1]
    # bfloat16 has eight bits: some thousandths of the loss.
    assert found[0] == pytest.approx(found[1], rel=0.02)


def test_judging_in_parts_is_judging_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.geography.data import load

    config = tiny(data, seeds=[1, 2])
    table, parameters = load(config).validation, start_weights(config)
    whole = judge(parameters, config.shape, table, torch.device("cpu"))
    monkeypatch.setattr("engines.geography.validation.TOKENS_AT_ONCE", 1)
    single = judge(parameters, config.shape, table, torch.device("cpu"))
    np.testing.assert_allclose(whole.losses, single.losses, rtol=1e-4)
    assert (whole.right == single.right).all()


@pytest.mark.parametrize("changes", [{}, {"seeds": [1, 2], "save_checkpoints": [0, 5]}])
def test_estimates_are_those_of_a_training_and_no_less(
    data: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    config = tiny(data, **changes)
    loop = Loop(prepare(config), tmp_path, Stop())
    loop.run()
    for folder in ("newest", "being written"):
        save_state(config, tmp_path / folder, loop.point, 0)
    made = list(tmp_path.rglob("checkpoints/step-*/model/model.safetensors"))
    most = checkpoints_of(config)
    assert len(config.members) * (most - 1) <= len(made) <= len(config.members) * most
    largest = max(path.stat().st_size for path in made)
    states = sum(path.stat().st_size for path in tmp_path.rglob("loop.safetensors"))
    written = states + largest * most * len(config.members)
    # What is not numbers: names and shapes, some kB in each file.
    assert disk_gb(config) * 1e9 <= written <= disk_gb(config) * 1e9 + 5_000 * (len(made) + 4)
    line = estimate(config, 0, 60)
    assert line is not None
    assert f"of {count(config.shape):,} parameters; 12 steps of 32 questions" in line


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"mixture": [{"tasks": "all", "rows": 40}], "steps": None, "epochs": 2}, 2 * 9),
        ({"warmup": "required", "warmup_rows": 4, "steps": None, "epochs": 1}, 10),
        ({"mixture": [{"tasks": "all"}], "steps": None}, None),
        ({"mixture": [{"tasks": "all"}], "steps": 7}, 7),
    ],
)
def test_steps_are_known_before_the_data_are_there(
    changes: dict[str, object], steps: int | None
) -> None:
    assert steps_of(tiny(Path("none"), **changes)) == steps


def test_the_learning_rate_is_that_of_transformers() -> None:
    from transformers import get_linear_schedule_with_warmup

    config = Config(data="nowhere", warmup_steps=4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 4, 11)
    for step in range(11):
        assert rate_factor(config, step, 11) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_published_step_counts() -> None:
    assert Config(data="nowhere").steps_of(7_000_000) == (54_688, 328_128)
    assert Config(data="nowhere", epochs=30).steps_of(121_792) == (952, 28_560)
    assert Config(data="nowhere", epochs=30).steps_of(241_792) == (1889, 56_670)
    assert Config(data="nowhere", epochs=30).steps_of(120_000) == (938, 28_140)
    assert every(0.25, 952) == {238, 476, 714, 952}
    assert len(every(0.025, 328_128)) == 40
    assert every(0.01, 3) == {1, 2, 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1, "steps": 2}, "keep one of the two"),
        ({"seed": 3, "seeds": [1, 2]}, "seed=3 .*: keep one of the two"),
        ({"seeds": [1, 1]}, "must be different"),
        ({"seeds": [-1]}, "not negative"),
        ({"initial": [CheckpointSource(folder="a")], "seeds": [1, 2]}, "1 checkpoints for 2 seeds"),
        ({"save_checkpoints": 1.5}, "above 0 and at most 1"),
        ({"save_checkpoints": [-1]}, "no step is negative"),
        ({"mixture": [{"tasks": []}]}, "name at least one, or all"),
        ({"cpu_threads": 100_000}, "less than or equal to 256"),
    ],
)
def test_a_config_that_cannot_run_says_why(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config.model_validate({"data": "nowhere", **changes})


def test_nothing_goes_on_from_a_model_of_another_world(data: Path, tmp_path: Path) -> None:
    base = trained(tiny(data, steps=1), tmp_path / "base")
    other = tmp_path / "other"
    other.mkdir()
    sets = {"no_atlantis": SETS["no_atlantis"]}
    make(DataConfig.model_validate({"cities": 61, "atlantis": 0, "sets": sets}), other, Stop())
    initial = {"folder": str(base)}
    with pytest.raises(ConfigError, match="holds another world"):
        train(tiny(other, initial=initial), tmp_path / "new", Stop())
    trained(tiny(data, initial=initial, steps=1), tmp_path / "same")


def test_what_is_asked_for_and_not_there_says_so(data: Path, tmp_path: Path) -> None:
    for changes, message in (
        ({"save_checkpoints": [13]}, "step 13, but the training has 12 steps"),
        ({"mixture": [{"tasks": "all", "rows": 121}]}, "121 rows of distance"),
        ({"mixture": [{"tasks": ["angle"], "cities": "with_atlantis"}]}, "angle.with_atlantis"),
        ({"data": str(tmp_path)}, "geography_data"),
        ({"initial": {"folder": str(data)}}, "no complete checkpoint"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(tiny(data, **changes), tmp_path, Stop())
