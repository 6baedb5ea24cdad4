"""A prompt once for all of its answers gives the states and the gradient of each sequence alone."""

import contextlib
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.language_model import shared_prompts
from engines.shared.language_model.lora import adapt
from engines.shared.language_model.packing import PackedModel
from engines.shared.language_model.settings import LoraSettings
from engines.shared.language_model.shared_prompts import can_share, shared
from tests.support.models import qwen2

CPU = torch.device("cpu")
# Of three tokens, so that prompts and answers come twice.
TOKENS = st.integers(0, 2)
PROMPTS = st.lists(TOKENS, min_size=1, max_size=5) | st.lists(TOKENS, min_size=60, max_size=64)
ANSWERS = st.lists(TOKENS, min_size=1, max_size=12)
FAMILIES = st.lists(
    st.tuples(PROMPTS, st.lists(ANSWERS, min_size=1, max_size=6)), min_size=1, max_size=4
)


def laid_out(families, order):
    """Ids, lengths and positions of all answers behind their prompts, as a training asks for
    them."""
    rows = [(prompt, answer) for prompt, answers in families for answer in answers]
    order.shuffle(rows)
    ids, lengths, positions = [], [], []
    for prompt, answer in rows:
        ids += prompt + answer
        lengths.append(len(prompt) + len(answer))
        positions += range(len(ids) - len(answer) - 1, len(ids) - 1)
    return rows, (torch.tensor(ids), lengths, torch.tensor(positions))


def states_and_gradient(model, given, sharing):
    """The states that were asked for, and the gradient of something made of them."""
    model.sharing = sharing
    found = model.hidden(*given)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    (found * weights.double()).sum().backward()
    return [found.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def assert_equal_but_for_rounding(ours, theirs):
    """Qwen2 takes the root mean square in float32, whatever the model is in; the rest is float64
    here."""
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() <= 1e-6 * (1 + b.norm())


@contextlib.contextmanager
def tuned(queries, share, padding, pairs):
    """Other numbers decide what lies in one rectangle, so that few tokens make many."""
    numbers = {
        "QUERIES": queries,
        "PROMPT_SHARE": share,
        "BRANCH_PADDING": padding,
        "FEW_PAIRS": pairs,
    }
    with mock.patch.multiple(shared_prompts, **numbers):
        yield


TUNED = st.tuples(
    st.integers(1, 40), st.sampled_from([0.0, 0.25]), st.floats(1, 2), st.sampled_from([0, 100])
)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_states_and_gradients_are_those_of_each_sequence_alone(checkpointing):
    model = PackedModel(qwen2(vocab_size=3).double().train())
    if checkpointing:
        model.model.gradient_checkpointing_enable({"use_reentrant": False})

    @settings(deadline=None, max_examples=25)
    @given(FAMILIES, st.randoms(use_true_random=False), TUNED)
    def check(families, order, numbers):
        _, asked = laid_out(families, order)
        with tuned(*numbers):
            together = states_and_gradient(model, asked, sharing=True)
        assert_equal_but_for_rounding(together, states_and_gradient(model, asked, sharing=False))

    check()


@settings(deadline=None)
@given(FAMILIES, st.randoms(use_true_random=False), TUNED)
def test_every_different_token_is_laid_once_and_the_last_of_an_answer_never(
    families, order, numbers
):
    rows, asked = laid_out(families, order)
    with tuned(*numbers):
        layout = shared(*asked)
    prompts = {tuple(prompt) for prompt, _ in rows}
    answers = {(tuple(prompt), tuple(answer[:-1])) for prompt, answer in rows}
    assert (
        len(layout.input_ids) == len(layout.places) == sum(block.tokens for block in layout.blocks)
    )
    assert len(layout.input_ids) == sum(map(len, prompts)) + sum(
        len(answer) for _, answer in answers
    )
    # Where a state is found, there is the token that was asked for, at its position.
    ids, lengths, positions = asked
    starts = torch.tensor(lengths).cumsum(0) - torch.tensor(lengths)
    own = torch.searchsorted(starts, positions, right=True) - 1
    assert torch.equal(layout.input_ids[layout.rows], ids[positions])
    assert torch.equal(layout.places[layout.rows], positions - starts[own])


def test_sequences_of_which_nothing_or_only_some_is_wanted():
    model = PackedModel(qwen2(vocab_size=8).double())
    ids = torch.tensor([1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 7, 1, 2, 3, 4, 7, 7])
    # Of the first 2 and 4, of the second none, of the third 3 and 2 (in this order), of the
    # fourth 1.
    asked = ids, [5, 3, 6, 3], torch.tensor([2, 4, 11, 10, 15])
    assert_equal_but_for_rounding(
        states_and_gradient(model, asked, True), states_and_gradient(model, asked, False)
    )


@pytest.mark.parametrize("tokens", [7, 30, 300])
def test_copies_of_a_long_prompt_are_at_most_four_times_as_long_as_its_answers_and_one_more(tokens):
    prompt, answers = torch.arange(2000), [torch.arange(tokens) + k for k in range(100)]
    ids = torch.cat([part for answer in answers for part in (prompt, answer)])
    length = 2000 + tokens
    positions = torch.cat([torch.arange(1999, length) + length * k for k in range(100)])
    layout = shared(ids, [length] * 100, positions)
    _, *rectangles = layout.blocks
    copied = sum(2000 * len(one.keys) for one in rectangles)
    assert copied <= 4 * sum(one.tokens for one in rectangles) + 2000


def test_what_cannot_share_keeps_the_pass_of_whole_sequences():
    plain = qwen2().train()
    assert can_share(plain, CPU, 100)
    assert PackedModel(plain).shares_prompts(CPU, 100)
    adapted = qwen2()
    adapt(adapted, LoraSettings(rank=2, dropout=0.1), seed=0)
    assert not can_share(adapted.train(), CPU, 100)
    assert can_share(adapted.eval(), CPU, 100)
    window = qwen2(use_sliding_window=True, sliding_window=16, max_window_layers=0)
    assert can_share(window, CPU, 16)
    assert not can_share(window, CPU, 17)
    linear = qwen2()
    linear.config.layer_types = ["linear_attention", "full_attention"]
    assert not can_share(linear, CPU, 100)
    assert not can_share(plain, torch.device("cuda"), 100)


def test_dropout_falls_on_every_sequence_apart():
    model = qwen2(vocab_size=8)
    adapt(model, LoraSettings(rank=2, dropout=0.5), seed=0)
    for name, one in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(one, generator=torch.Generator().manual_seed(0))
    packed = PackedModel(model.train())
    ids = torch.tensor([1, 2, 3] * 2)
    torch.manual_seed(0)
    first, second = packed.hidden(ids, [3, 3], torch.tensor([1, 4])).detach()
    assert not torch.allclose(first, second)
