"""A recorded step replayed over static buffers trains as plain steps do. Without a GPU the recorder
is torch's tracer of tensor operations: like a CUDA graph it keeps operations and buffers and
nothing of Python, so whatever hung on a step's own Python values would go wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from engines.fsm.config import Config
from engines.fsm.resume import Point, find_start
from engines.fsm.step import PLAIN_STEPS, Record, Stepper
from engines.fsm.training import plan_epoch, prepare
from engines.shared.training.cuda_graphs import record

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
TOLERANCE = 1000 * 2.0**-23
"""In float32, relative to the norm: some tens of operations per time step and layer, on sums of
tens of terms."""
WAITS = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select")
"""Operations that wait for the device, or copy to it what Python holds."""


class Tracer:
    """Records what a step does to tensors. Tracing runs the step, unlike a CUDA graph's recording,
    so what it changed is put back."""

    def __init__(self, point: Point) -> None:
        self.point, self.operations, self.replays = point, set[str](), 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        flat = self.point.flat
        changed = [flat.values.detach(), flat.first, flat.second, self.point.losses]
        before = [tensor.clone() for tensor in changed]

        def traced(nothing: torch.Tensor) -> torch.Tensor:
            work()
            return nothing + 1

        graph = make_fx(traced)(torch.zeros(()))
        self.operations = {
            str(node.target) for node in graph.graph.nodes if node.op == "call_function"
        }
        for tensor, old in zip(changed, before, strict=True):
            tensor.copy_(old)

        def replay() -> None:
            self.replays += 1
            with torch.no_grad():
                graph(torch.zeros(()))

        return replay


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


def same(ours: Point, theirs: Point) -> None:
    """Equal to rounding: padding adds zeros to the sums of the gradient, and sums of other lengths
    are added up in another order."""
    assert ours.step == theirs.step
    for found, expected in (
        (ours.flat.values, theirs.flat.values),
        (ours.flat.first, theirs.flat.first),
        (ours.flat.second.sqrt(), theirs.flat.second.sqrt()),
        (ours.losses, theirs.losses),
    ):
        assert (found - expected).detach().norm() <= TOLERANCE * expected.detach().norm()


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
    assert not [name for name in tracer.operations if any(part in name for part in WAITS)]
    same(replayed, plain)


def test_a_step_that_cannot_be_recorded_goes_on_plainly_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config.model_validate({**TINY, "architecture": {"kind": "lstm", "width": 8}})
    plain, _ = trained(config, tmp_path, lambda _: None)
    refused, stepper = trained(config, tmp_path, lambda _: record)  # torch without CUDA refuses
    assert (stepper.record, stepper.replay) == (None, None)
    errors = capsys.readouterr().err
    says = "engines.fsm: goes on without a CUDA graph, the step could not be recorded:"
    assert [
        line.startswith(says) for line in errors.splitlines() if line.startswith("engines.fsm")
    ] == [True]
    same(refused, plain)
