"""A recorded step replayed over static buffers trains as plain steps do. Without a GPU the recorder
is torch's tracer of tensor operations: like a CUDA graph it keeps operations and buffers and
nothing of Python, so whatever hung on a step's own Python values would go wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engines.fsm.config import Config
from engines.fsm.resume import find_start
from engines.fsm.step import Stepper
from engines.fsm.training import plan_epoch, prepare
from engines.shared.training.cuda_graphs import PLAIN_STEPS, Record, record
from engines.shared.training.resume import Point
from tests.support.recorded_steps import Tracer, assert_same

TINY = {
    "machines": {
        "states": 3,
        "actions": 3,
        "demonstrations": 1,
        "demonstration_length": 4,
        "query_length": 4,
    },
    "train_sequences": 43,
    "validation_sequences": 10,
    "test_sequences": 20,
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": [1.0, 0.3],
    "warmup_steps": 4,
    "decay": "linear",
    "weight_decay": 0.1,
    "embedding_scale": 1.0,
    "dropout": 0.1,
}


@pytest.fixture(autouse=True)
def smooth_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW divides by the root of the second moment plus its epsilon.

    With the usual 1e-8, an element whose gradient is small moves by a share of the learning rate
    that rounding decides. With one as large as a clipped gradient, a step is as exact as the
    gradient.
    """
    monkeypatch.setattr("engines.shared.training.optimizer.EPSILON", 1.0)


def trained(
    config: Config, folder: Path, recorder: Callable[[Point], Record | None], epochs: int = 2
) -> tuple[Point, Stepper]:
    setting = prepare(config, folder)
    point = find_start(config, folder, torch.device("cpu"))
    stepper = Stepper(setting, point, recorder(point))
    for number in range(epochs):
        epoch = plan_epoch(setting, number)
        for _ in range(setting.steps_per_epoch):
            stepper.take(epoch)
    return point, stepper


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize(
    ("kind", "backend"),
    [("lstm", "fused"), ("rnn", "fused"), ("rnn", "stacked"), ("transformer", "auto")],
)
def test_replayed_steps_end_where_plain_ones_do(tmp_path: Path, kind: str, backend: str) -> None:
    config = Config.model_validate(
        {
            **TINY,
            "architecture": {"kind": kind, "width": 8, "heads": 2, "layers": 1},
            "backend": backend,
        }
    )
    tracers: list[Tracer] = []

    def recorder(point: Point) -> Record:
        tracers.append(Tracer(point))
        return tracers[-1]

    with torch.backends.mkldnn.flags(enabled=False):  # oneDNN's LSTM cannot be traced
        plain, _ = trained(config, tmp_path, lambda _: None)
        replayed, stepper = trained(config, tmp_path, recorder)
    (tracer,) = tracers
    assert stepper.setting.steps_per_epoch == 6
    assert (
        tracer.replays == 2 * 5 - PLAIN_STEPS
    )  # neither the first three nor the smaller batch at the end of each epoch
    assert not tracer.waits
    assert_same(replayed, plain)


def test_a_step_that_cannot_be_recorded_goes_on_plainly_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config.model_validate({**TINY, "architecture": {"kind": "lstm", "width": 8}})
    plain, _ = trained(config, tmp_path, lambda _: None)
    refused, stepper = trained(config, tmp_path, lambda _: record)  # torch without CUDA refuses
    assert (stepper.repeated.record, stepper.repeated.replay) == (None, None)
    errors = capsys.readouterr().err
    says = "engines.fsm: goes on without a CUDA graph, the step could not be recorded:"
    assert [
        line.startswith(says) for line in errors.splitlines() if line.startswith("engines.fsm")
    ] == [True]
    assert_same(refused, plain)
