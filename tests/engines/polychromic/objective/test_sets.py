"""The gradient of set diversity against exact enumeration: every set that a policy can draw, with
its probability."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.polychromic.objective.sets import advantages, policy_surrogate, set_diversity
from engines.shared.diversity.distances import bigram_distance

SYMBOLS, N = 6, 4
ROUNDING = 1e-13
"""Relative to the norm of the gradient: 1,296 terms in float64."""


def drawn(seed: int, symbols: int = SYMBOLS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of a policy, distances between its symbols, and how good each symbol is."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(symbols, generator=random, dtype=torch.double)
    half = torch.rand(symbols, symbols, generator=random, dtype=torch.double).tril(-1)
    quality = torch.rand(symbols, generator=random, dtype=torch.double)
    if symbols == SYMBOLS:
        # One symbol is not valid at all, one is perfect.
        quality[0], quality[1] = 0, 1
    return logits, half + half.T, quality


def all_sets(symbols: int, n: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(symbols), repeat=n)))


def of_sets(distances: torch.Tensor, sets: torch.Tensor) -> torch.Tensor:
    """(symbols, symbols), (P, n) -> (P, n, n)."""
    return distances[sets[:, :, None], sets[:, None, :]]


def of_quality(quality: torch.Tensor | None, sets: torch.Tensor) -> torch.Tensor | None:
    return None if quality is None else quality[sets]


def true_gradient(logits, sets, values):
    """Of the sum over all sets of p(S) f(S)."""
    logits = logits.clone().requires_grad_()
    (logits.log_softmax(0)[sets].sum(-1).exp() * values).sum().backward()
    return logits.grad


def expected_estimate(logits, sets, found):
    """Sum over all sets of p(S) times what ``policy_surrogate`` gives for S alone."""
    logits = logits.clone().requires_grad_()
    logprobs = logits.log_softmax(0)[sets]
    weights = logprobs.detach().sum(-1).exp()
    policy_surrogate(found * weights[:, None], logprobs, prompts=1).backward()
    return logits.grad


def bias(logits, sets, values, found):
    """Relative to the norm of the true gradient."""
    true = true_gradient(logits, sets, values)
    return float((expected_estimate(logits, sets, found) - true).norm() / true.norm())


def leave_one_out(sets, function):
    """f(S) - f(S without i) from the definition, of any set function."""
    n = sets.shape[1]
    without = [function(sets[:, [j for j in range(n) if j != i]]) for i in range(n)]
    return function(sets)[:, None] - torch.stack(without, -1)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_both_baselines_are_unbiased_over_all_1296_sets(seed, gated):
    logits, distances, quality = drawn(seed)
    quality = quality if gated else None
    sets = all_sets(SYMBOLS, N)
    pairs, good = of_sets(distances, sets), of_quality(quality, sets)
    values = set_diversity(pairs, good)
    assert len(sets) == 1296
    assert bias(logits, sets, values, advantages(pairs, good, "leave_one_out")) < ROUNDING
    # Any other prompt's set is a constant for this one: here all 1,296 beside one and the same.
    beside = [
        advantages(
            torch.stack([pairs[k], pairs[777]]),
            None if good is None else torch.stack([good[k], good[777]]),
            "cross_prompt",
        )[0]
        for k in range(len(sets))
    ]
    assert bias(logits, sets, values, torch.stack(beside)) < ROUNDING


@pytest.mark.parametrize(("prompts", "symbols"), [(2, 3), (3, 2)])
def test_cross_prompt_is_unbiased_over_all_batches_of_different_policies(prompts, symbols):
    made = [drawn(seed, symbols) for seed in range(prompts)]
    policies, distances, quality = zip(*made, strict=True)
    sets = all_sets(symbols, 2)
    logits = torch.stack(policies).requires_grad_()
    true, expected = 0, 0
    for batch in itertools.product(range(len(sets)), repeat=prompts):
        chosen = [sets[[k]] for k in batch]
        pairs = torch.cat([of_sets(d, s) for d, s in zip(distances, chosen, strict=True)])
        good = torch.cat([q[s] for q, s in zip(quality, chosen, strict=True)])
        logprobs = logits.log_softmax(-1).gather(-1, torch.cat(chosen))
        probability = logprobs.sum().exp()
        true = true + probability * set_diversity(pairs, good).mean()
        surrogate = policy_surrogate(advantages(pairs, good, "cross_prompt"), logprobs)
        expected = expected + probability.detach() * surrogate
    (true,) = torch.autograd.grad(true, logits, retain_graph=True)
    (expected,) = torch.autograd.grad(expected, logits)
    assert (expected - true).norm() < ROUNDING * true.norm()


def test_the_enumeration_catches_an_advantage_shared_by_the_set():
    """Document 004's mistake in new clothes: the mean of f(S without i) IS f(S)."""
    logits, distances, _ = drawn(0)
    sets = all_sets(SYMBOLS, N)
    pairs = of_sets(distances, sets)
    shared = advantages(pairs, None, "leave_one_out").mean(-1, keepdim=True).expand(-1, N)
    assert bias(logits, sets, set_diversity(pairs, None), shared) == pytest.approx(1, abs=1e-12)
    assert expected_estimate(logits, sets, shared).norm() < 1e-12


def distinct(sets):
    return (torch.nn.functional.one_hot(sets, SYMBOLS).sum(1) > 0).sum(-1).double()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_enumeration_catches_marginals_centred_inside_the_set(weighted):
    """For functions that are no mean over pairs, which the engine has none of."""
    logits, _, quality = drawn(0)
    sets = all_sets(SYMBOLS, N)

    def function(some):
        factor = quality[some].mean(-1) if weighted else 1
        return factor * distinct(some)

    marginal = leave_one_out(sets, function)
    centred = marginal - marginal.mean(-1, keepdim=True)
    assert bias(logits, sets, function(sets), marginal) < ROUNDING
    assert bias(logits, sets, function(sets), centred) > 0.05


def test_leaving_one_out_lowers_the_variance():
    logits, distances, _ = drawn(0)
    sets = all_sets(SYMBOLS, N)
    pairs = of_sets(distances, sets)
    probabilities = logits.softmax(0)
    # grad log p(y) of a softmax: onehot(y) - p.
    scores = torch.nn.functional.one_hot(sets, SYMBOLS) - probabilities
    weights = probabilities[sets].prod(-1)

    def second_moment(found):
        estimates = (found[..., None] * scores).sum(1)
        return float((weights * estimates.square().sum(-1)).sum())

    plain = set_diversity(pairs, None)[:, None].expand(-1, N)
    assert second_moment(advantages(pairs, None, "leave_one_out")) < 0.3 * second_moment(plain)


REPLIES = [[2], [0, 2], [0, 0], [0, 1], [1, 2], [1, 0], [1, 1]]
"""All that can be drawn of tokens 0, 1 and the end 2, cut after two tokens."""


class Recurrent(torch.nn.Module):
    """A language model of three tokens in double precision, which transformers' norms do not
    have."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(3, 5)
        self.body = torch.nn.GRU(5, 8, batch_first=True)
        self.head = torch.nn.Linear(8, 3)
        self.double()

    def forward(self, rows):
        return self.head(self.body(self.embedding(rows))[0])


def reply_logprobs(model, normalised=False):
    """Of each of REPLIES behind one prompt: (7,)."""
    prompt = [0, 1]
    rows = torch.tensor([prompt + reply + [0] * (2 - len(reply)) for reply in REPLIES])
    logits = model(rows).log_softmax(-1)[:, 1:-1]
    targets = rows[:, 2:]
    lengths = torch.tensor([len(reply) for reply in REPLIES])
    inside = torch.arange(2) < lengths[:, None]
    sums = (logits.gather(-1, targets[..., None])[..., 0] * inside).sum(-1)
    return sums / lengths if normalised else sums


def replies_of_three():
    sets = all_sets(len(REPLIES), 3)
    distances = torch.from_numpy(bigram_distance(REPLIES))
    quality = torch.tensor([0.0, 1.0, 0.5, 1.0, 1.0, 0.0, 1.0], dtype=torch.double)
    return sets, of_sets(distances, sets), quality[sets]


def estimate(model, normalised=False):
    """The expected gradient on every weight of a language model, as one vector."""
    sets, pairs, good = replies_of_three()
    logprobs = reply_logprobs(model)
    weights = logprobs.detach()[sets].sum(-1).exp()
    found = advantages(pairs, good, "leave_one_out") * weights[:, None]
    scores = reply_logprobs(model, normalised)[sets]
    grads = torch.autograd.grad(policy_surrogate(found, scores, prompts=1), model.parameters())
    return torch.cat([grad.flatten() for grad in grads])


@pytest.mark.parametrize("seed", range(3))
def test_a_language_model_s_gradient_is_that_of_finite_differences(seed):
    model = Recurrent()
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    direction = torch.randn(
        start.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double
    )
    direction /= direction.norm()
    sets, pairs, good = replies_of_three()
    values = set_diversity(pairs, good)

    @torch.no_grad()
    def objective(step):
        torch.nn.utils.vector_to_parameters(start + step * direction, model.parameters())
        probabilities = reply_logprobs(model).exp()
        assert probabilities.sum() == pytest.approx(1)
        return float((probabilities[sets].prod(-1) * values).sum())

    step = 1e-4
    slope = (objective(step) - objective(-step)) / (2 * step)
    objective(0)
    whole = estimate(model)
    assert abs(float(whole @ direction) - slope) < 1e-8 * float(whole.norm())


def test_log_probabilities_divided_by_the_length_are_another_gradient():
    model = Recurrent()
    whole, wrong = estimate(model), estimate(model, normalised=True)
    assert (whole - wrong).norm() > 0.1 * whole.norm()


def test_twice_the_weight_is_twice_the_gradient_bit_for_bit():
    model = Recurrent()
    sets, pairs, good = replies_of_three()
    some = slice(None, None, 40)
    found = advantages(pairs[some], good[some], "leave_one_out")

    def gradient(weight):
        loss = -weight * policy_surrogate(found, reply_logprobs(model)[sets[some]])
        return torch.autograd.grad(loss, model.parameters())

    once, twice = gradient(0.3), gradient(0.6)
    assert any(grad.abs().sum() > 0 for grad in once)
    assert all(torch.equal(2 * a, b) for a, b in zip(once, twice, strict=True))


@st.composite
def batches(draw):
    prompts, n = draw(st.integers(1, 4)), draw(st.integers(2, 7))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    half = torch.rand(prompts, n, n, generator=random, dtype=torch.double).tril(-1)
    quality = torch.rand(prompts, n, generator=random, dtype=torch.double)
    if draw(st.booleans()):
        quality = quality.round()
    return half + half.mT, draw(st.sampled_from([quality, None]))


def chosen(distances, quality, places):
    return (
        distances[:, places][:, :, places],
        None if quality is None else quality[:, places],
    )


@settings(deadline=None)
@given(batches())
def test_the_closed_form_is_the_marginal_contribution(batch):
    distances, quality = batch
    n = distances.shape[-1]
    found = advantages(distances, quality, "leave_one_out")
    whole = set_diversity(distances, quality)
    for i in range(n):
        places = [j for j in range(n) if j != i]
        without = set_diversity(*chosen(distances, quality, places)) if n > 2 else 0
        assert torch.allclose(found[:, i], whole - without, atol=1e-14, rtol=0)


@settings(deadline=None)
@given(batches())
def test_diversity_is_the_mean_over_pairs(batch):
    distances, quality = batch
    prompts, n, _ = distances.shape
    good = torch.ones(prompts, n) if quality is None else quality
    for p in range(prompts):
        pairs = [
            float(distances[p, i, j] * good[p, i] * good[p, j])
            for i, j in itertools.combinations(range(n), 2)
        ]
        found = float(set_diversity(distances, quality)[p])
        assert found == pytest.approx(sum(pairs) / len(pairs), abs=1e-14)
        assert 0 <= found <= 1


@settings(deadline=None)
@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(batch, random):
    distances, quality = batch
    order = list(range(distances.shape[-1]))
    random.shuffle(order)
    for baseline in ("leave_one_out", "cross_prompt")[: len(distances)]:
        found = advantages(distances, quality, baseline)
        mixed = advantages(*chosen(distances, quality, order), baseline)
        assert torch.allclose(found[:, order], mixed, atol=1e-14, rtol=0)


def test_a_sample_that_is_not_valid_is_never_asked_for():
    distances = 1 - torch.eye(4)[None]
    quality = torch.tensor([[1.0, 1, 1, 0]])
    found = advantages(distances, quality, "leave_one_out")[0]
    # Three valid samples, all different: without the fourth the set is perfect.
    assert found[3] == pytest.approx(-0.5)
    assert (found[:3] > 0).all()


def test_equal_samples_have_no_gradient():
    assert not advantages(torch.zeros(2, 5, 5), None, "leave_one_out").any()
    assert not advantages(torch.zeros(2, 5, 5), None, "cross_prompt").any()


def test_the_distance_of_a_sample_to_itself_is_not_read():
    noisy = torch.full((1, 3, 3), 0.5)
    clean = noisy.masked_fill(torch.eye(3, dtype=torch.bool), 0)
    assert set_diversity(noisy, None).item() == 0.5
    for found in (noisy, clean):
        assert advantages(found, None, "leave_one_out").abs().max() < 1e-16


def test_micro_batches_add_up_with_the_prompts_of_the_step():
    found, scores = torch.randn(4, 3, dtype=torch.double), torch.randn(4, 3, dtype=torch.double)
    whole = policy_surrogate(found, scores)
    parts = [
        policy_surrogate(found.flatten()[some], scores.flatten()[some], prompts=4)
        for some in (slice(0, 5), slice(5, 12))
    ]
    assert torch.isclose(sum(parts), whole, rtol=1e-14)
    assert torch.isclose(whole, (found * scores).sum(-1).mean(), rtol=1e-14)


def test_advantages_are_constants():
    distances = torch.rand(2, 3, 3, requires_grad=True)
    quality = torch.rand(2, 3, requires_grad=True)
    found = advantages(distances, quality, "leave_one_out")
    assert found.dtype is torch.float64
    assert not found.requires_grad
    weights = torch.ones(2, 3, requires_grad=True)
    surrogate = policy_surrogate(weights, torch.zeros(2, 3, requires_grad=True))
    assert torch.autograd.grad(surrogate, weights, allow_unused=True) == (None,)


def test_what_has_no_estimate_is_refused():
    with pytest.raises(ConfigError, match="a set of 1 has no pairs"):
        advantages(torch.zeros(2, 1, 1), None, "leave_one_out")
    with pytest.raises(ConfigError, match="at least 2 prompts per step, there is 1"):
        advantages(torch.zeros(1, 3, 3), None, "cross_prompt")
