"""Linear probes: the fit is the optimum, the labels are what they say, and nothing is read where
nothing can be."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.checkpoints import CheckpointsSource
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.contract.results import read_results
from engines.fsm.config import Config as Training
from engines.fsm.training import train
from engines.probe.__main__ import run
from engines.probe.config import Config
from engines.probe.features import control, features, seen_before
from engines.probe.fit import blocks
from engines.probe.logistic_regression import Probe
from engines.shared.automata.data import fixed_order, make_data
from engines.shared.automata.description import Architecture, DataSet, Machines
from engines.shared.automata.models import Model, initial

WHICH = DataSet(
    machines=Machines(
        states=3, actions=2, demonstration_length=5, query_length=6, demonstrations=2
    ),
    train=5,
    validation=5,
    test=30,
)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), classes=st.integers(2, 4), penalty=st.sampled_from([1e-3, 1e-1]))
def test_a_probe_is_the_optimum_that_a_general_optimiser_finds(
    seed: int, classes: int, penalty: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(80, 3, generator=random) * torch.tensor([1.0, 5.0, 0.1]) + 2
    y = torch.randint(0, classes, (80,), generator=random)
    probe = Probe(x, y, classes, penalty, 2000)
    assert probe.converged
    standard = (x - x.mean(0)) / x.std(0)
    weights, bias = (
        torch.zeros(3, classes, requires_grad=True),
        torch.zeros(classes, requires_grad=True),
    )
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=300, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = (
            torch.nn.functional.cross_entropy(standard @ weights + bias, y)
            + penalty / 2 * weights.square().sum()
        )
        value.backward()
        return value

    optimiser.step(loss)
    ours = (standard @ probe.weights[:-1] + probe.weights[-1]).softmax(1)
    # The fit ends where no entry of the gradient exceeds 1e-5. The loss bends by 0.05 or more in
    # every direction, so that weights are within a few 1e-4, and features are up to 4.
    torch.testing.assert_close(ours, (standard @ weights + bias).softmax(1), atol=2e-3, rtol=0)


def test_features_and_labels_are_those_of_a_plain_walk_through_the_tokens() -> None:
    architecture = Architecture(kind="lstm", width=6)
    samples = make_data(WHICH).test
    order = fixed_order(samples, WHICH, "test")
    model, parameters = Model(architecture, stacked=False), initial(architecture, 3, [0], 1.0)
    found = features(model, parameters, samples, order)
    row = 0
    for n in range(len(samples)):
        seen: set[tuple[int, int]] = set()
        tokens = [
            t
            for segment in order[n]
            for t in samples.segments[n, segment, : samples.lengths[n, segment]].tolist()
        ]
        states = model.layers(parameters, torch.tensor([tokens[0], *tokens[:-1]])[None, None])
        number = 0
        for t in range(2, len(tokens)):
            if tokens[t] < 8 and 8 <= tokens[t - 1] < 18:
                pair, number = (tokens[t - 2], tokens[t - 1]), number + 1
                assert [found.sequence[row], found.position[row]] == [n, number]
                assert [
                    found.labels[name][row] for name in ("current_state", "next_state", "seen")
                ] == [pair[0], tokens[t], pair in seen]
                for layer, state in enumerate(states):
                    # Float32, in batches and alone: a hundred roundings of numbers below 4.
                    torch.testing.assert_close(
                        found.layers[layer][row], state[0, 0, t], atol=1e-5, rtol=1e-4
                    )
                seen.add(pair)
                row += 1
    assert row == len(found.sequence)
    assert sum(chosen.sum() for chosen in blocks(found).values()) == row


def test_the_control_is_a_function_of_state_and_action_in_each_sequence_and_differs_between_them() -> (
    None
):
    samples = make_data(WHICH).test
    architecture = Architecture(kind="lstm", width=4)
    found = features(
        Model(architecture, stacked=False),
        initial(architecture, 3, [0], 1.0),
        samples,
        fixed_order(samples, WHICH, "test"),
    )
    labels = control(found, "next_state", WHICH, np.random.default_rng(0))
    table: dict[tuple[int, ...], set[int]] = {}
    for key, label in zip(
        zip(found.sequence, found.state, found.action, strict=True), labels, strict=True
    ):
        table.setdefault(key, set()).add(int(label))
    assert all(len(values) == 1 for values in table.values())
    assert len({next(iter(values)) for key, values in table.items() if key[1:] == (0, 0)}) == 3


def test_seen_before_counts_within_a_sequence_only() -> None:
    assert seen_before(
        np.array([0, 0, 0, 1, 1]), np.array([1, 2, 1, 1, 1]), np.array([0, 0, 0, 0, 0])
    ).tolist() == [0, 0, 1, 0, 1]


def test_probing_a_trained_checkpoint_reads_the_state_and_nothing_of_the_control(
    tmp_path: Path,
) -> None:
    train(
        Training.model_validate(
            {
                "architecture": {"kind": "lstm", "width": 16},
                "machines": {
                    "states": 3,
                    "actions": 3,
                    "demonstration_length": 8,
                    "query_length": 8,
                },
                "train_sequences": 300,
                "validation_sequences": 120,
                "test_sequences": 120,
                "epochs": 2,
                "batch_size": 16,
                "learning_rate": 0.01,
                "embedding_scale": 1.0,
                "loss": "all",
                "dropout": 0.0,
            }
        ),
        tmp_path / "model",
        Stop(),
    )
    config = Config(models=CheckpointsSource(folder=str(tmp_path / "model")), sequences=120)
    (tmp_path / "probe").mkdir()
    run(config, tmp_path / "probe", Stop())
    rows, document = read_results(tmp_path / "probe")
    assert {row.axes["checkpoint"] for row in rows} == {"epoch-000002", "untrained"}

    def value(metric: str, **axes: object) -> float:
        (row,) = [
            r
            for r in rows
            if r.metric == metric and axes.items() <= r.axes.items() and "position" not in r.axes
        ]
        assert row.n == 120
        return row.value or 0.0

    state = {"checkpoint": "epoch-000002", "target": "current_state"}
    assert value("probe_accuracy", layer=1, **state) > 0.9
    assert value("probe_selectivity", layer=1, **state) > 0.3
    assert value("probe_accuracy", layer=0, **state) < 0.6, "the embedding holds the action alone"
    for layer in range(3):
        following = {"checkpoint": "epoch-000002", "target": "next_state", "layer": layer}
        common = value("majority_accuracy", checkpoint="epoch-000002", target="next_state")
        assert value("probe_control_accuracy", **following) < common + 0.1
        assert value("probe_selectivity", **following) == pytest.approx(
            value("probe_accuracy", **following) - value("probe_control_accuracy", **following)
        )
    assert json.dumps(document["facts"]["data"])
    with pytest.raises(ConfigError, match="sequences: 121 asked for"):
        run(config.model_copy(update={"sequences": 121}), tmp_path / "probe", Stop())
