"""Losses that flatten the next token's distribution, against their closed forms."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.polychromic.objective.surrogates import collision, gem_beta, gem_loss

BETAS = st.floats(0.05, 1)


def drawn(seed, rows=5, symbols=7):
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, symbols, generator=random)
    return logits.requires_grad_(), torch.randint(symbols, (rows,), generator=random)


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_gem_at_beta_one_is_cross_entropy(seed):
    logits, targets = drawn(seed)
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(gem_loss(logits, targets, 1.0), expected, atol=1e-5)


@settings(deadline=None)
@given(st.integers(0, 2**31), BETAS)
def test_gem_has_the_gradient_and_the_game_of_the_paper(seed, beta):
    logits, targets = drawn(seed)
    found = gem_loss(logits, targets, beta)
    (gradient,) = torch.autograd.grad(found.sum(), logits, retain_graph=True)
    q = (logits / beta).softmax(-1).detach()
    logprobs = logits.log_softmax(-1)
    chosen = logprobs.gather(-1, targets[:, None])
    published = (q * (logprobs - chosen)).sum(-1)
    (expected,) = torch.autograd.grad(published.sum(), logits)
    assert torch.allclose(gradient, expected, atol=1e-5)
    entropy = -torch.special.xlogy(q, q).sum(-1)
    assert torch.allclose(found, published + beta * entropy, atol=1e-4)
    assert (found >= -1e-5).all()


@settings(deadline=None)
@given(st.integers(0, 2**31), BETAS)
def test_gem_is_least_where_the_policy_is_the_data_to_the_power_beta(seed, beta):
    random = torch.Generator().manual_seed(seed)
    data = torch.rand(6, generator=random).double().softmax(0)
    logits = (beta * data.log()).requires_grad_()
    losses = gem_loss(logits.expand(6, 6), torch.arange(6), beta)
    (gradient,) = torch.autograd.grad((data * losses).sum(), logits)
    assert gradient.abs().max() < 1e-6


def test_the_weight_of_the_entropy_is_the_paper_s_beta():
    assert gem_beta(0) == 1
    assert gem_beta(3 / 7) == pytest.approx(0.7)


def test_collision_is_the_probability_that_two_draws_differ():
    logits, _ = drawn(0, rows=2, symbols=4)
    p = logits.detach().double().softmax(-1)
    for row in range(2):
        pairs = itertools.product(range(4), repeat=2)
        expected = sum(float(p[row, a] * p[row, b]) for a, b in pairs if a != b)
        assert float(collision(logits.detach())[row]) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_collision_s_gradient_is_that_of_one_minus_the_sum_of_squares(seed):
    logits, _ = drawn(seed)
    (found,) = torch.autograd.grad(collision(logits).sum(), logits)
    (expected,) = torch.autograd.grad((1 - logits.softmax(-1).square().sum(-1)).sum(), logits)
    assert torch.allclose(found, expected, atol=1e-6)


def test_collision_at_both_ends():
    assert float(collision(torch.zeros(1, 8))) == pytest.approx(1 - 1 / 8)
    # p is 1 but for 1e-7, which 1 - p * p has as a whole rounding.
    nearly = torch.tensor([[0.0, -16.0]])
    assert float(collision(nearly)) == pytest.approx(2 * 1.1253516e-07, rel=0.3)
    assert float(collision(torch.tensor([[0.0, -1e4]]))) == 0


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_logits_stay_finite(size):
    logits = torch.tensor([[size, -size, 0.0]], requires_grad=True)
    total = gem_loss(logits, torch.tensor([1]), 0.1).sum() + collision(logits).sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


def test_half_precision_is_computed_in_single():
    logits, targets = drawn(3)
    half = logits.detach().bfloat16()
    assert torch.equal(gem_loss(half, targets, 0.7), gem_loss(half.float(), targets, 0.7))
    assert torch.equal(collision(half), collision(half.float()))
