"""Trainings on generated replies: interrupted as not, with checkpoints that others load, and more
diversity where the weight is higher."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.contract import checkpoints
from engines.contract.config import ConfigError
from engines.contract.estimates import estimates_of
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import read_progress
from engines.contract.results import Row, read_results
from engines.polychromic.batches import length
from engines.polychromic.config import Config, EarlyStopping
from engines.polychromic.model import find_base, load_model
from engines.polychromic.resume import BEST_UNIQUE_VALID
from engines.polychromic.sampling import Sampler
from engines.polychromic.step import Stepper
from engines.polychromic.training import read_encoded, train
from engines.polychromic.validation import Evaluation, probe, should_stop
from engines.polychromic_data.config import Config as DataConfig
from engines.polychromic_data.making import make
from engines.shared.replies.rows import read_manifest

WHOLE = ["embed_tokens", "lm_head"]
TERM = {"weight": 0.5, "samples": 3, "prompts_per_step": 4, "max_new_tokens": 12}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Replies of the grammar, and a base model that knows all of it."""
    out = tmp_path_factory.mktemp("replies") / "data"
    out.mkdir()
    make(DataConfig.model_validate({"generate": {"rows": 600}, "cpu_threads": 1}), out, Stop())
    return out


def tiny(data_folder: Path, **changes: Any) -> Config:
    values = {
        "model": {"folder": str(data_folder), "checkpoint": "base"},
        "data": str(data_folder),
        "lora": {"rank": 4, "alpha": 8.0, "dropout": 0.1, "modules_to_save": WHOLE},
        "steps": 6,
        "learning_rate": 5e-3,
        "max_tokens": 100,
        "diversity": TERM,
        "evaluate_every_steps": 4,
        "unique_valid_prompts": 3,
        "save_state_every_steps": 3,
    }
    return Config.model_validate({**values, **changes})


def trained(config: Config, out: Path) -> Path:
    out.mkdir(exist_ok=True)
    train(config, out, Stop())
    return out


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    model = checkpoints.named(folder, name).model
    (file,) = model.glob("*.safetensors")
    return load_file(file)


def timeless(out: Path) -> list[object]:
    return [
        (
            line["step"],
            line["phase"],
            {k: v for k, v in line["metrics"].items() if not k.startswith("seconds")},
        )
        for line in read_progress(out)
    ]


def names(out: Path) -> list[str]:
    return sorted(one.manifest.name for one in checkpoints.complete(out))


def rows_of(out: Path, metric: str, **axes: object) -> list[Row]:
    found = read_results(out)[0]
    return [row for row in found if row.metric == metric and axes.items() <= row.axes.items()]


@pytest.fixture(scope="session")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nobody has interrupted."""
    return trained(tiny(data), tmp_path_factory.mktemp("whole") / "out")


class Killed(Exception):
    """The process is gone."""


def broken_at(
    monkeypatch: pytest.MonkeyPatch, when: int, happen: Any, config: Config, out: Path, stop: Stop
) -> None:
    """Start a training and let ``happen()`` come after step ``when``."""
    plain = Stepper.take

    def take(self: Stepper, step: int) -> dict[str, float]:
        found = plain(self, step)
        if step + 1 == when:
            happen()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "take", take)
        train(config, out, stop)


@pytest.mark.parametrize(
    ("how", "when"), [*(("killed", step) for step in range(1, 7)), ("stopped", 3), ("stopped", 5)]
)
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(
    data: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: int,
    how: str,
) -> None:
    config, out, stop = tiny(data), tmp_path / "out", Stop()
    out.mkdir()

    def happen() -> None:
        if how == "killed":
            raise Killed
        stop.requested = True

    expected: type[Exception] = Killed if how == "killed" else Interrupted
    with pytest.raises(expected):
        broken_at(monkeypatch, when, happen, config, out, stop)
    assert not (out / "results.json").exists()
    before = read_progress(out)[-1]["step"]
    trained(config, out)
    assert before <= when
    assert names(out) == names(whole)
    for name in names(whole):
        ours, theirs = weights(out, name), weights(whole, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    assert timeless(out) == timeless(whole)
    assert read_results(out)[0] == read_results(whole)[0]


def test_weights_move_after_a_continuation(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out, stop = tiny(data), tmp_path / "out", Stop()
    out.mkdir()

    def happen() -> None:
        stop.requested = True

    with pytest.raises(Interrupted, match="at step 2 of 6"):
        broken_at(monkeypatch, 2, happen, config, out, stop)
    (state,) = checkpoints.complete(out / "resume")
    before = load_file(state.model / "loop.safetensors")
    trained(config, out)
    (state,) = checkpoints.complete(out / "resume")
    after = load_file(state.model / "loop.safetensors")
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert sorted(moved) == sorted(before)


def test_another_config_or_base_is_refused(data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out, symlinks=True)
    (out / "results.json").unlink()
    with pytest.raises(ConfigError, match=r"batch_size: 16, now 8"):
        train(tiny(data, batch_size=8), out, Stop())
    other = tmp_path / "base"
    shutil.copytree(checkpoints.named(data, "base").model, other)
    changed = load_file(other / "model.safetensors")
    changed["model.norm.weight"] += 1e-3
    save_file(changed, other / "model.safetensors", metadata={"format": "pt"})
    loop = next((out / "resume").rglob("loop.json"))
    config = tiny(data, model=str(other))
    values = json.loads(loop.read_text())
    loop.write_text(json.dumps({**values, "config": config.model_dump(mode="json")}))
    with pytest.raises(ConfigError, match="was made from another base"):
        train(config, out, Stop())


def test_a_signal_saves_and_exits_with_75(data: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "config.json", tmp_path / "out"
    endless = tiny(data, steps=100_000, evaluate_every_steps=50_000)
    path.write_text(endless.model_dump_json())
    command = [sys.executable, "-m", "engines.polychromic", str(path), "--out", str(out)]
    process = subprocess.Popen(
        command, text=True, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 300
    while not list((out / "resume" / "checkpoints").glob("step-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGUSR2)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 75, error
    assert "start it again to continue" in error


def test_an_adapter_gives_its_probe_by_peft_and_a_whole_model_by_transformers(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(checkpoints.named(data, "base").model)
    adapter = checkpoints.named(whole, "last")
    assert adapter.manifest.format == "adapter"
    assert adapter.manifest.base is not None
    known = checkpoints.named(data, "base").manifest.fingerprint
    assert adapter.manifest.base.fingerprint == known
    full = checkpoints.named(trained(tiny(data, lora=None, steps=2), tmp_path / "full"), "last")
    assert full.manifest.format == "huggingface"
    for one, model in (
        (full, AutoModelForCausalLM.from_pretrained(full.model)),
        (adapter, PeftModel.from_pretrained(base, adapter.model)),
    ):
        assert one.manifest.probe is not None
        ids = torch.tensor([one.manifest.probe["token_ids"]])
        with torch.no_grad():
            chances = model.eval()(ids).logits[0, :-1].log_softmax(-1)
        found = chances.gather(1, ids[0, 1:, None])[:, 0]
        torch.testing.assert_close(
            found, torch.tensor(one.manifest.probe["logprobs"]), atol=1e-5, rtol=0
        )


def test_the_best_by_each_measure_is_kept_and_named(data: Path, tmp_path: Path) -> None:
    config = tiny(data, steps=8, evaluate_every_steps=1, keep_checkpoints=2)
    out = trained(config, tmp_path / "out")
    looks = [line for line in read_progress(out) if line["phase"] == "validate"]
    lowest = min(looks[1:], key=lambda line: line["metrics"]["validation_cross_entropy"])
    most = max(looks[1:], key=lambda line: line["metrics"]["unique_valid"])
    assert checkpoints.named(out, "best").manifest.step == lowest["step"]
    assert (out / "checkpoints" / "best").resolve().name == f"step-{lowest['step']:08d}"
    assert checkpoints.named(out, BEST_UNIQUE_VALID).manifest.step == most["step"]
    assert checkpoints.named(out, "last").manifest.name == "step-00000008"
    kept = {"step-00000007", "step-00000008", f"step-{lowest['step']:08d}", BEST_UNIQUE_VALID}
    assert set(names(out)) == kept
    (row,) = rows_of(out, "unique_valid", checkpoint=BEST_UNIQUE_VALID)
    assert row.value == most["metrics"]["unique_valid"]


def test_the_loss_of_evaluations_holds_no_term_and_needs_no_sample(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sampler, "draw", None)
    plain = {"steps": 1, "learning_rate": 1e-12, "unique_valid_prompts": None}
    losses = []
    for objective in ("score_function", "collision", "gem"):
        term = {"weight": 0.0 if objective == "score_function" else 0.9, "objective": objective}
        out = trained(tiny(data, **plain, diversity=term), tmp_path / objective)
        losses += [row.value for row in rows_of(out, "validation_cross_entropy")]
    assert len(losses) == 6
    assert max(losses) - min(losses) < 1e-6


def test_early_stopping_is_read(data: Path, tmp_path: Path) -> None:
    rule = {"patience": 2, "min_delta": 10.0}
    config = tiny(data, steps=20, evaluate_every_steps=2, early_stopping=rule)
    out = trained(config, tmp_path / "out")
    facts = read_results(out)[1]["facts"]
    assert (facts["stopped_early"], facts["steps"]) == (True, 4)


def test_patience_counts_evaluations_without_a_new_lowest() -> None:
    rule = EarlyStopping(patience=2, min_delta=0.1)

    def stops(*losses: float) -> bool:
        return should_stop(rule, [Evaluation(step, loss) for step, loss in enumerate(losses)])

    assert not stops(3.0, 2.95)
    assert stops(3.0, 2.95, 2.91)
    assert not stops(3.0, 2.95, 2.89)
    assert not stops(3.0, 3.5, 2.5, 2.5)
    assert not should_stop(None, [Evaluation(0, 1.0)])


def test_nf4_on_a_cpu_and_an_adapter_as_base_are_refused_in_one_line(
    data: Path, whole: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    with pytest.raises(ConfigError, match="nf4 needs a GPU, and torch finds none here"):
        train(tiny(data, quantization="nf4"), data, Stop())
    with pytest.raises(ConfigError, match="is of format adapter"):
        find_base(tiny(data, model={"folder": str(whole)}))
    with pytest.raises(ConfigError, match="no Hugging Face folder"):
        find_base(tiny(data, model=str(data)))
    config = tiny(data, max_tokens=250)
    with pytest.raises(ConfigError, match="positions"):
        load_model(config, find_base(config), torch.device("cpu"))


def test_rows_that_are_too_long_are_counted(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="raise max_tokens"):
        train(tiny(data, max_tokens=3), tmp_path, Stop())
    config = tiny(data)
    model = load_model(config, find_base(config), torch.device("cpu"))
    longest = []
    for split in ("train", "validation"):
        rows = read_encoded(config, model, read_manifest(data), split).sequences
        longest.append(max(map(length, rows)))
    lengths = []
    # Too short for the longest of both splits.
    out = trained(tiny(data, max_tokens=min(longest) - 1, steps=1), tmp_path / "out")
    facts = read_results(out)[1]["facts"]
    for split in ("train", "validation"):
        lengths.append(facts["rows"][split] + facts["rows_left_out"][split])
        assert facts["rows_left_out"][split] > 0
    counts = json.loads((data / "manifest.json").read_text())["counts"]
    assert lengths == [counts["train"], counts["validation"]]


def test_results_say_the_weight_and_the_estimate_the_steps(data: Path, whole: Path) -> None:
    (row,) = rows_of(whole, "lambda_effective")
    assert row.value == 0.5
    facts = read_results(whole)[1]["facts"]
    assert any(line.startswith("three_samples") for line in facts["warnings"])
    assert {row.axes["moment"] for row in rows_of(whole, "gradient_cosine")} == {"begin", "end"}
    estimates = estimates_of("polychromic")
    assert estimates is not None
    assert "at most 6 steps" in (estimates.estimate(tiny(data), 0, 60) or "")
    used = sum(path.stat().st_size for path in whole.rglob("*.safetensors"))
    assert used <= 1e9 * (estimates.disk_gb(tiny(data)) or 0) < 4 * used


@pytest.mark.long
def test_more_weight_is_more_diversity_and_the_gate_keeps_replies_valid(
    data: Path, tmp_path: Path
) -> None:
    """The recipe of the smoke preset, one seed: 120 steps of plain and of gated training."""
    seen = {}
    for weight in (0.0, 0.3):
        config = tiny(
            data,
            lora={"rank": 16, "alpha": 16.0, "modules_to_save": WHOLE},
            steps=120,
            evaluate_every_steps=120,
            unique_valid_prompts=60,
            diversity={"weight": weight, "samples": 5, "max_new_tokens": 12},
        )
        out = trained(config, tmp_path / str(weight))
        seen[weight] = read_progress(out)[-1]["metrics"]
    plain, gated = seen[0.0], seen[0.3]
    assert gated["sample_distance"] > plain["sample_distance"] + 0.01
    assert gated["unique_valid"] > plain["unique_valid"]
    assert gated["valid_share"] > plain["valid_share"]


def test_a_probe_is_the_log_probability_of_each_token_but_the_first(data: Path) -> None:
    config = tiny(data)
    model = load_model(config, find_base(config), torch.device("cpu"))
    found = probe(model, ((7, 8), (9,)))
    assert found["token_ids"] == [7, 8, 9]
    assert len(found["logprobs"]) == 2
