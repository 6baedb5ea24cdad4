"""Packed and padded batches have the loss and gradient of each question alone; orders are
permutations whose batches have one layout for all seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.geography.step import token_losses
from engines.shared.geography.description import Shape
from engines.shared.geography.network.attention import Sequences
from engines.shared.geography.network.model import initial, logits
from engines.shared.geography.network.packing import (
    Batch,
    Counted,
    Table,
    order_of,
    packed,
    padded,
    sort_rows,
)
from engines.shared.geography.tasks import TASKS, write_question
from engines.shared.geography.vocabulary import BEGIN, END, encode

SMALL = Shape(width=16, layers=2, heads=2, feed_forward=24)
SEEDS = [0, 1]


def made_table(rows: int, seed: int) -> Table:
    """Questions of all tasks with random ids and answers."""
    random = np.random.default_rng(seed)
    texts, tasks, first = [], [], []
    for _ in range(rows):
        task = list(TASKS.values())[random.integers(len(TASKS))]
        ids = random.integers(0, 10_000, random.integers(task.fewest, task.most + 1)).tolist()
        question = [BEGIN, *encode(write_question(task.name, ids))]
        answer = encode(str(random.integers(0, 10 ** random.integers(1, 5))))
        texts.append([*question, *answer, END])
        tasks.append(task.number)
        first.append(len(question))
    longest = max(map(len, texts))
    tokens = np.array([[*text, *[0] * (longest - len(text))] for text in texts], np.uint8)
    lengths = np.array([len(text) for text in texts], np.int16)
    return Table(tokens, lengths, np.array(first, np.int16), np.array(tasks, np.int16))


def by_hand(table: Table, rows: np.ndarray, which: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Mean over the tokens that count, of each model; and its gradient, row by row and unpacked."""
    values = initial(SMALL, SEEDS, 0.3)
    leaves = {name: tensor.requires_grad_() for name, tensor in values.items()}
    means = []
    for model, own in enumerate(rows):
        losses = []
        for row in own:
            text = torch.from_numpy(table.tokens[row, : table.lengths[row]].astype(np.int64))
            one = {name: tensor[model : model + 1] for name, tensor in leaves.items()}
            chances = logits(one, SMALL, text[None, None])[0, 0, :-1].log_softmax(-1)
            each = -chances.gather(1, text[1:, None])[:, 0]
            losses.append(each[table.first_answers[row] - 1 if which == "answer" else 0 :])
        means.append(torch.cat(losses).mean())
    total = torch.stack(means)
    return total, list(torch.autograd.grad(total.sum(), list(leaves.values())))


def of_batches(batches: list[Batch]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The same of batches."""
    leaves = {name: tensor.requires_grad_() for name, tensor in initial(SMALL, SEEDS, 0.3).items()}
    total = torch.zeros(len(SEEDS))
    for batch in batches:
        losses, _ = token_losses(leaves, SMALL, (batch.tokens, batch.targets), batch.layout)
        total = total + (losses * batch.weights).sum(1)
    return total, list(torch.autograd.grad(total.sum(), list(leaves.values())))


@pytest.mark.parametrize("which", ["all", "answer"])
@pytest.mark.parametrize("way", ["packed", "packed in parts", "padded"])
def test_a_batch_is_its_questions_alone(which: Counted, way: str) -> None:
    table = made_table(400, 1)
    orders = np.stack([order_of(table, seed, 0) for seed in SEEDS])
    rows = orders[:, 32:64]
    if way == "padded":
        batches = [padded(table, rows, which)]
    else:
        batches = packed(table, rows, which, 10**9 if way == "packed" else 200)
    assert (len(batches) > 3) == (way == "packed in parts")
    found, gradients = of_batches(batches)
    wanted, expected = by_hand(table, rows, which)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


def test_common_beginnings_are_there_once() -> None:
    table = made_table(400, 2)
    rows = sort_rows(table, np.arange(400)[None])
    (batch,) = packed(table, rows, "all", 10**9)
    texts = [
        text[: length - 1].tobytes()
        for text, length in zip(table.tokens, table.lengths, strict=True)
    ]
    beginnings = {text[:end] for text in texts for end in range(1, len(text) + 1)}
    assert batch.tokens.shape[1] == len(beginnings) < 0.8 * sum(map(len, texts))
    assert batch.weights.sum() == pytest.approx(1.0)
    assert isinstance(batch.layout, Sequences)
    for row, places, length in zip(rows[0], *batch.layout, strict=True):
        assert length == table.lengths[row] - 1
        own = batch.tokens[0, places[:length]]
        assert own.tolist() == table.tokens[row, :length].tolist()


def test_models_share_what_all_of_them_share() -> None:
    table = made_table(400, 2)
    orders = np.stack([order_of(table, seed, 0) for seed in SEEDS])
    (batch,) = packed(table, orders, "all", 10**9)
    assert isinstance(batch.layout, Sequences)
    kinds = set(table.kinds.tolist())
    # A row repeats at least what its task begins with, "<bos>dist(c_" and the like.
    beginnings = {task.number: 1 + len(f"{task.prefix}(c_") for task in TASKS.values()}
    saved = int(table.lengths.sum()) - 400 - batch.tokens.shape[1]
    assert saved >= sum(beginnings[int(task)] for task in table.tasks) - max(
        beginnings.values()
    ) * len(kinds)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 60), seed=st.integers(0, 50), epoch=st.integers(0, 3))
def test_an_order_is_a_permutation_whose_kinds_are_those_of_all_seeds(
    rows: int, seed: int, epoch: int
) -> None:
    table = made_table(rows, 3)
    one, other = order_of(table, seed, epoch), order_of(table, seed + 1, epoch)
    assert sorted(one.tolist()) == list(range(rows))
    assert (table.kinds[one] == table.kinds[other]).all()
    assert (one == order_of(table, seed, epoch)).all()


def test_orders_differ_by_seed_and_epoch_and_favour_no_place() -> None:
    table = made_table(50, 4)
    assert (order_of(table, 0, 0) != order_of(table, 1, 0)).any()
    assert (order_of(table, 0, 0) != order_of(table, 0, 1)).any()
    # Over many epochs every row is in the first half as often as in the second: binomial, n 400.
    first_half = np.zeros(50)
    for epoch in range(400):
        first_half[order_of(table, 7, epoch)[:25]] += 1
    assert np.abs(first_half - 200).max() < 5 * 10
