"""Random machines, what can be known of them, and models whose two ways of computing agree with a
plain loop."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.automata import baselines as known
from engines.shared.automata import data as made
from engines.shared.automata.batches import Store
from engines.shared.automata.description import (
    ARCHITECTURES,
    END,
    FIRST_ACTION,
    MACHINES,
    PADDING,
    QUERY,
    VOCABULARY,
    Architecture,
    DataSet,
    Machines,
    longest_walk,
    shortest_walk,
)
from engines.shared.automata.models import Model, Parameters, count, dropout_masks, initial


def small(**changes: object) -> DataSet:
    """A few small machines."""
    machines = Machines(
        **{
            "states": 3,
            "actions": 2,
            "demonstration_length": 6,
            "query_length": 8,
            "demonstrations": 2,
        }
        | changes
    )
    return DataSet(machines=machines, train=12, validation=6, test=8)


sizes = st.builds(
    lambda s, a, d, q, absorbing: DataSet(
        machines=Machines(
            states=s,
            actions=a,
            demonstration_length=d,
            query_length=q,
            demonstrations=min(3, s),
            absorbing=absorbing,
        ),
        train=9,
        validation=4,
        test=5,
    ),
    st.integers(3, 8),
    st.integers(3, 10),
    st.integers(2, 20),
    st.integers(2, 20),
    st.booleans(),
)


@pytest.mark.parametrize(
    ("name", "states", "parameters"),
    [
        ("lstm-large", 5, 1_059_328),
        ("lstm-small", 5, 68_224),
        ("rnn-large", 5, 269_312),
        ("rnn-small", 5, 18_176),
        ("rnn-deep", 5, 1_057_280),
        ("transformer-small", 5, 52_416),
    ],
)
def test_models_have_the_parameters_that_were_published(
    name: str, states: int, parameters: int
) -> None:
    assert count(ARCHITECTURES[name], states) == parameters
    assert (
        sum(tensor[0].numel() for tensor in initial(ARCHITECTURES[name], states, [0], 1.0).values())
        == parameters
    )


def test_the_matched_vanilla_rnn_has_the_parameters_of_the_small_lstm() -> None:
    assert (
        abs(count(ARCHITECTURES["rnn-matched"], 5) / count(ARCHITECTURES["lstm-small"], 5) - 1)
        < 0.003
    )


@settings(max_examples=25, deadline=None)
@given(which=sizes)
def test_every_sequence_follows_its_machine_and_the_layout(which: DataSet) -> None:
    data, machines = made.make_data(which), which.machines
    order = made.fixed_order(data.test, which, "test")
    store = Store(data.test, torch.device("cpu"))
    batch = store.batch(
        torch.arange(5), torch.from_numpy(order), store.longest(np.arange(5), order)
    )
    for n in range(5):
        tokens, table = batch.targets[n].tolist(), data.test.tables[n]
        body = tokens[: int(data.test.lengths[n, order[n]].sum())]
        assert set(tokens[len(body) :]) <= {PADDING}
        assert len(body) <= machines.longest
        assert len(set(order[n])) == machines.demonstrations + 1
        demonstrations, query = body[: body.index(QUERY)], body[body.index(QUERY) + 1 :]
        walks = [
            list(walk)
            for end, walk in itertools.groupby(
                [*demonstrations, *query], lambda token: token == END
            )
            if not end
        ]
        assert [walk[0] for walk in walks[:-1]] == list(order[n, :-1])
        for walk, base in zip(
            walks,
            [machines.demonstration_length] * machines.demonstrations + [machines.query_length],
            strict=True,
        ):
            assert shortest_walk(base) <= len(walk) // 2 <= longest_walk(base)
            assert all(
                table[s, a - FIRST_ACTION] == t
                for s, a, t in zip(walk[:-2:2], walk[1:-1:2], walk[2::2], strict=True)
            )
        assert batch.query[n].sum() == len(walks[-1]) // 2
        assert batch.scored[n].sum() == sum(len(walk) // 2 for walk in walks)
        assert batch.inputs[n].tolist() == [tokens[0], *tokens[:-1]]
    if machines.absorbing:
        loops = (data.train.tables == np.arange(machines.states)[None, :, None]).all(axis=2)
        assert loops.any(axis=1).all()


def test_data_hang_on_all_parameters_and_on_nothing_else() -> None:
    which = small()
    assert np.array_equal(made.make_data(which).test.segments, made.make_data(which).test.segments)
    others = [
        small(states=4),
        small(actions=3),
        small(demonstration_length=7),
        small(query_length=9),
        small(demonstrations=3),
        small(absorbing=True),
        *(
            which.model_copy(update={key: getattr(which, key) + 1})
            for key in ("seed", "train", "validation", "test")
        ),
    ]
    assert len({made.key_of(other) for other in [which, *others]}) == len(others) + 1
    assert set(DataSet.model_fields) | set(Machines.model_fields) == {
        "machines",
        "seed",
        "train",
        "validation",
        "test",
        "states",
        "actions",
        "demonstration_length",
        "query_length",
        "demonstrations",
        "absorbing",
    }, "a new parameter must be among the others above"


def test_no_machine_is_in_two_splits_and_an_overlap_is_refused() -> None:
    which = DataSet(machines=MACHINES["3s3a"])
    data = made.make_data(which)
    kept = {
        part: {table.tobytes() for table in getattr(data, part).tables}
        for part in ("train", "validation", "test")
    }
    assert [len(kept[part]) for part in kept] == [6000, 2000, 2000]
    assert len(set.union(*kept.values())) == 10_000
    parts = (data.train, data.validation, data.test)
    samples = made.Samples(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("tables", "segments", "lengths")
        )
    )
    samples.tables[-1] = samples.tables[0]
    with pytest.raises(ValueError, match="overlap: 10000 machines, 9999 different"):
        made.split(samples, which)


def test_more_machines_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="30 different machines asked for; there are 16"):
        DataSet(
            machines=Machines(
                states=2, actions=2, demonstration_length=4, query_length=4, demonstrations=2
            ),
            train=10,
            validation=10,
            test=10,
        )


def test_the_cache_is_read_again_and_never_believed_by_its_name(tmp_path: Path) -> None:
    which, other = small(), small(query_length=9)
    first = made.load(which, tmp_path)
    (path,) = tmp_path.iterdir()
    stamp = path.stat().st_mtime_ns
    assert np.array_equal(made.load(which, tmp_path).train.segments, first.train.segments)
    assert path.stat().st_mtime_ns == stamp
    path.rename(tmp_path / f"{made.key_of(other)}.npz")
    with pytest.raises(ConfigError, match="delete the file"):
        made.load(other, tmp_path)


def all_machines(states: int, actions: int, absorbing: bool) -> list[tuple[float, np.ndarray]]:
    """Every table with its prior probability."""
    found: dict[bytes, float] = {}
    tables = [
        np.array(entries).reshape(states, actions)
        for entries in itertools.product(range(states), repeat=states * actions)
    ]
    for table in tables:
        sinks = [s for s in range(states) if (table[s] == s).all()] if absorbing else [0]
        free = (states - 1) * actions if absorbing else states * actions
        found[table.tobytes()] = (
            len(sinks) / states * states ** -float(free) if absorbing else states ** -float(free)
        )
    return [
        (weight, np.frombuffer(key, dtype=tables[0].dtype).reshape(states, actions))
        for key, weight in found.items()
        if weight
    ]


@pytest.mark.parametrize("absorbing", [False, True])
def test_the_exact_predictor_is_bayes_over_all_machines(absorbing: bool) -> None:
    which = DataSet(
        machines=Machines(
            states=3,
            actions=2,
            demonstration_length=2,
            query_length=6,
            demonstrations=2,
            absorbing=absorbing,
        ),
        train=4,
        validation=4,
        test=25,
    )
    samples = made.make_data(which).test
    order = made.fixed_order(samples, which, "test")
    expected = known.exact(samples, order, which)
    steps, is_query = known.transitions(samples, order)
    everything = all_machines(3, 2, absorbing)
    assert sum(weight for weight, _ in everything) == pytest.approx(1)
    for n in range(len(samples)):
        posterior, column = list(everything), 0
        for (state, action, following), asked in zip(steps[n], is_query[n], strict=True):
            if state < 0:
                continue
            if asked:
                weights = [
                    sum(weight for weight, table in posterior if table[state, action] == s)
                    for s in range(3)
                ]
                assert expected[n, column] == pytest.approx(max(weights) / sum(weights))
                column += 1
            posterior = [
                (weight, table) for weight, table in posterior if table[state, action] == following
            ]
        assert np.isnan(expected[n, column:]).all()


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("3s3a", 0.9953),
        ("5s5a", 0.99874),
        ("5s8a", 0.99648),
        ("8s8a", 0.99077),
        ("absorbing", 0.98312),
    ],
)
def test_ceilings_are_those_of_an_independent_count(name: str, limit: float) -> None:
    which = DataSet(machines=MACHINES[name], train=10, validation=10, test=800)
    samples = made.make_data(which).test
    # The mean over 800 sequences, of which each is within some hundredths of the limit: standard
    # errors below 0.001.
    assert np.nanmean(
        known.exact(samples, made.fixed_order(samples, which, "test"), which)
    ) == pytest.approx(limit, abs=0.003)


def test_counting_is_what_a_plain_loop_counts() -> None:
    which = small()
    samples = made.make_data(which).test
    order = made.fixed_order(samples, which, "test")
    steps, is_query = known.transitions(samples, order)
    right = known.counting(samples, order, 3, "action")
    for n in range(len(samples)):
        seen: list[tuple[int, int]] = []
        found = []
        for (state, action, following), asked in zip(steps[n].tolist(), is_query[n], strict=True):
            if state < 0:
                continue
            if asked:
                found.append(
                    max(range(3), key=lambda s, a=action: (seen.count((a, s)), -s)) == following
                )  # type: ignore[misc]
            seen.append((action, following))
        assert right[n][~np.isnan(right[n])].tolist() == found


def assert_equal_but_for_rounding(found: torch.Tensor, expected: torch.Tensor) -> None:
    """In float32, relative to the norm: some hundred operations in a row, on sums of up to tens of
    terms."""
    assert (found - expected).detach().norm() <= 1000 * 2.0**-23 * expected.detach().norm()


def plain(
    architecture: Architecture, parameters: Parameters, s: int, tokens: list[int]
) -> torch.Tensor:
    """One sequence through one recurrent model, token by token, as a textbook writes it."""
    own = {name: tensor[s] for name, tensor in parameters.items()}
    d, logits = architecture.width, []
    h = [torch.zeros(d)] * architecture.layers
    c = [torch.zeros(d)] * architecture.layers
    for token in tokens:
        x = own["embedding"][token]
        for n in range(architecture.layers):
            z = own[f"{n}.weight_ih"] @ x + own[f"{n}.bias_ih"] + own[f"{n}.weight_hh"] @ h[n]
            if architecture.kind == "lstm":
                z = z + own[f"{n}.bias_hh"]
                i, f, g, o = (
                    z[:d].sigmoid(),
                    z[d : 2 * d].sigmoid(),
                    z[2 * d : 3 * d].tanh(),
                    z[3 * d :].sigmoid(),
                )
                c[n] = f * c[n] + i * g
                h[n] = o * c[n].tanh()
            else:
                h[n] = z.tanh()
            x = h[n]
        logits.append(own["head"] @ x)
    return torch.stack(logits)


def some(
    architecture: Architecture, models: int, batch: int, longest: int
) -> tuple[Parameters, torch.Tensor]:
    parameters = initial(architecture, 5, list(range(models)), 1.0)
    random = torch.Generator().manual_seed(7)
    parameters = {
        name: (t + 0.1 * torch.randn(t.shape, generator=random)).requires_grad_()
        for name, t in parameters.items()
    }
    return parameters, torch.randint(0, VOCABULARY, (models, batch, longest), generator=random)


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
@pytest.mark.parametrize("stacked", [False, True])
def test_recurrent_models_are_a_plain_loop_in_value_and_gradient(kind: str, stacked: bool) -> None:
    architecture = Architecture(kind=kind, width=6, layers=3)
    parameters, inputs = some(architecture, 3, 2, 7)
    logits = Model(architecture, stacked).logits(parameters, inputs)
    expected = torch.stack(
        [
            torch.stack([plain(architecture, parameters, s, one.tolist()) for one in inputs[s]])
            for s in range(3)
        ]
    )
    assert_equal_but_for_rounding(logits, expected)
    weight = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    ours = torch.autograd.grad((logits * weight).sum(), list(parameters.values()))
    theirs = torch.autograd.grad((expected * weight).sum(), list(parameters.values()))
    for a, b in zip(ours, theirs, strict=True):
        assert_equal_but_for_rounding(a, b)


def plain_transformer(
    parameters: Parameters, s: int, tokens: list[int], heads: int, layers: int
) -> torch.Tensor:
    """One sequence through one transformer, position by position."""
    own = {name: tensor[s] for name, tensor in parameters.items()}
    x = [own["embedding"][token] for token in tokens]
    d = len(x[0])
    size = d // heads

    def norm(v: torch.Tensor, name: str) -> torch.Tensor:
        return (v - v.mean()) / (v.var(unbiased=False) + 1e-5).sqrt() * own[f"{name}.weight"] + own[
            f"{name}.bias"
        ]

    def turn(v: torch.Tensor, position: int) -> torch.Tensor:
        angle = torch.tensor([position / 10_000 ** (2 * j / size) for j in range(size // 2)])
        a, b = v[: size // 2], v[size // 2 :]
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()])

    for n in range(layers):
        qkv = [own[f"{n}.qkv.weight"] @ norm(v, f"{n}.norm1") + own[f"{n}.qkv.bias"] for v in x]
        mixed = []
        for t in range(len(x)):
            parts = []
            for h in range(heads):
                q = turn(qkv[t][h * size : (h + 1) * size], t)
                keys = torch.stack(
                    [turn(qkv[u][d + h * size : d + (h + 1) * size], u) for u in range(t + 1)]
                )
                values = torch.stack(
                    [qkv[u][2 * d + h * size : 2 * d + (h + 1) * size] for u in range(t + 1)]
                )
                parts.append((keys @ q / size**0.5).softmax(0) @ values)
            mixed.append(own[f"{n}.out.weight"] @ torch.cat(parts) + own[f"{n}.out.bias"])
        x = [v + m for v, m in zip(x, mixed, strict=True)]
        ups = [
            torch.nn.functional.gelu(
                own[f"{n}.up.weight"] @ norm(v, f"{n}.norm2") + own[f"{n}.up.bias"],
                approximate="tanh",
            )
            for v in x
        ]
        x = [
            v + own[f"{n}.down.weight"] @ up + own[f"{n}.down.bias"]
            for v, up in zip(x, ups, strict=True)
        ]
    return torch.stack([own["head"] @ norm(v, "norm") for v in x])


def test_the_transformer_is_a_plain_loop_and_looks_only_back() -> None:
    architecture = Architecture(kind="transformer", width=8, heads=2, feed_forward=5)
    parameters, inputs = some(architecture, 2, 2, 6)
    logits = Model(architecture, stacked=False).logits(parameters, inputs)
    expected = torch.stack(
        [
            torch.stack([plain_transformer(parameters, s, one.tolist(), 2, 2) for one in inputs[s]])
            for s in range(2)
        ]
    )
    assert_equal_but_for_rounding(logits, expected)


def test_dropout_masks_hang_on_each_models_seed_alone_and_keep_the_mean() -> None:
    architecture = Architecture(kind="lstm", width=32)
    device = torch.device("cpu")
    both = dropout_masks(architecture, [3, 4], 5, 40, 0.25, device)
    assert torch.equal(both[:, 1:], dropout_masks(architecture, [4], 5, 40, 0.25, device))
    assert not torch.equal(both[:, 0], both[:, 1])
    # Each of 12800 entries or more deviates by 0.58: standard error 0.005.
    assert both.mean().item() == pytest.approx(1, abs=0.02)
    assert both.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
