"""A recorded step over static buffers trains as packed steps do. Without a GPU the recorder is
torch's tracer of tensor operations: like a CUDA graph it keeps operations and buffers and nothing
of Python, so whatever hung on a step's own Python values would go wrong."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from engines.geography.config import Config
from engines.geography.data import Data
from engines.geography.resume import start_weights
from engines.geography.step import Setting, Stepper, token_losses
from engines.shared.geography.network.packing import Table, order_of, padded
from engines.shared.geography.tasks import TASKS, write_question
from engines.shared.geography.vocabulary import BEGIN, END, encode
from engines.shared.training.cuda_graphs import PLAIN_STEPS, Record, record
from engines.shared.training.optimizer import Flat
from engines.shared.training.resume import Point
from tests.support.recorded_steps import Tracer, assert_same

STEPS, ROWS = 8, 70
CONFIG = Config.model_validate(
    {
        "data": "nowhere",
        "shape": {"width": 16, "layers": 2, "heads": 2, "feed_forward": 24},
        "seeds": [3, 4],
        "steps": STEPS,
        "batch_size": 32,
        "learning_rate": 1.0,
        "warmup_steps": 2,
    }
)


def questions() -> Table:
    """Questions of two tasks of different lengths."""
    random = np.random.default_rng(0)
    tokens, lengths, first, tasks = np.zeros((ROWS, 57), np.uint8), [], [], []
    for row in range(ROWS):
        task = TASKS["compass" if row % 3 else "perimeter"]
        cities = int(random.integers(task.fewest, task.most + 1))
        question = [BEGIN, *encode(write_question(task.name, random.integers(10_000, size=cities)))]
        text = [*question, *encode("NE" if row % 3 else str(random.integers(5000))), END]
        tokens[row, : len(text)] = text
        lengths.append(len(text))
        first.append(len(question))
        tasks.append(task.number)
    return Table(tokens, np.array(lengths), np.array(first), np.array(tasks))


@pytest.fixture(autouse=True)
def smooth_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the usual epsilon, what moves where the gradient is tiny is decided by rounding."""
    monkeypatch.setattr("engines.shared.training.optimizer.EPSILON", 1.0)


def trained(recorder: Callable[[Point], Record | None]) -> tuple[Point, Stepper]:
    table = questions()
    data = Data(table, table, ["compass.no_atlantis"], np.zeros(ROWS, np.int64), ROWS, "")
    rates = torch.full((2, 1), CONFIG.learning_rate)
    steps_per_epoch, steps = CONFIG.steps_of(ROWS)
    cpu = torch.device("cpu")
    setting = Setting(CONFIG, data, cpu, torch.float32, rates, steps_per_epoch, steps)
    point = Point(Flat.of(start_weights(CONFIG), cpu, matrices_alone=True), torch.zeros(2))
    stepper = Stepper(setting, point.flat, point.losses, recorder(point))
    for step in range(steps):
        orders = [order_of(table, seed, step // steps_per_epoch) for seed in CONFIG.members]
        start = step % steps_per_epoch * CONFIG.batch_size
        stepper.take(np.stack(orders)[:, start : start + CONFIG.batch_size], step)
    return point, stepper


def test_replayed_padded_steps_end_where_packed_ones_do() -> None:
    tracers: list[Tracer] = []

    def recorder(point: Point) -> Record:
        tracers.append(Tracer(point))
        return tracers[-1]

    plain, _ = trained(lambda _: None)
    replayed, _ = trained(recorder)
    (tracer,) = tracers
    # Two of three batches of an epoch are whole: steps 0, 1, 3, 4, 6, 7.
    assert tracer.replays == 6 - PLAIN_STEPS
    assert not tracer.waits
    assert_same(replayed, plain)


def test_a_step_that_cannot_be_recorded_goes_on_plainly_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain, _ = trained(lambda _: None)
    refused, stepper = trained(lambda _: record)  # torch without CUDA refuses
    assert (stepper.repeated.record, stepper.repeated.replay) == (None, None)
    says = "engines.geography: goes on without a CUDA graph, the step could not be recorded:"
    assert says in capsys.readouterr().err
    assert_same(refused, plain)


@pytest.mark.long  # compiles for a minute
def test_the_compiled_loss_is_the_plain_one() -> None:
    table = questions()
    batch = padded(table, np.stack([np.arange(16), np.arange(16)]), "all")
    parameters = start_weights(CONFIG)
    given = (parameters, CONFIG.shape, (batch.tokens, batch.targets), batch.layout)
    found, _ = torch.compile(token_losses, dynamic=False)(*given)
    torch.testing.assert_close(found, token_losses(*given)[0], atol=1e-4, rtol=1e-4)
