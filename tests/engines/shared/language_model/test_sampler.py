"""Samples of a torch model: their probabilities, their randomness, and what they leave alone."""

import torch

from engines.shared.language_model import sampler
from engines.shared.language_model.lora import adapt
from engines.shared.language_model.packing import Scorer
from engines.shared.language_model.sampler import Sampling, draw, nucleus, sample
from engines.shared.language_model.settings import LoraSettings
from tests.support.models import qwen2

PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8], [9], [3, 2, 1]]


def sharp(seed=0, **values):
    """A model whose next tokens are far from equally likely."""
    return qwen2(seed, **{"initializer_range": 0.4, **values})


def scored(scorer, prompt, one, temperature=1.0):
    ids = torch.tensor([*prompt, *one.token_ids])
    places = torch.arange(len(prompt) - 1, len(ids) - 1)
    with torch.no_grad():
        return scorer(ids, (len(ids),), places, ids[len(prompt) :], temperature)


def test_log_probabilities_are_those_of_a_pass_over_the_whole_sequence():
    for temperature in (1.0, 0.7):
        scorer = Scorer(sharp())
        sampling = Sampling(5, 12, end_tokens=(0,), temperature=temperature)
        found = sample(scorer, PROMPTS, sampling, seeds=range(4))
        assert [len(samples) for samples in found] == [5] * 4
        for prompt, samples in zip(PROMPTS, found, strict=True):
            for one in samples:
                expected = scored(scorer, prompt, one, temperature)
                torch.testing.assert_close(torch.tensor(one.logprobs), expected, rtol=0, atol=1e-5)
                assert one.complete == (one.token_ids[-1] == 0)
                assert one.complete or len(one.token_ids) == 12
                assert 0 not in one.token_ids[:-1]


def test_works_with_adapters():
    model = sharp()
    adapt(model, LoraSettings(rank=3, dropout=0.5), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    scorer = Scorer(model.train())
    before = torch.get_rng_state()
    found = sample(scorer, PROMPTS, Sampling(3, 8, end_tokens=(0,)), seeds=range(4))
    assert torch.equal(torch.get_rng_state(), before)
    assert scorer.training
    assert all(module.training for module in model.modules())
    scorer.eval()
    for prompt, samples in zip(PROMPTS, found, strict=True):
        for one in samples:
            torch.testing.assert_close(
                torch.tensor(one.logprobs), scored(scorer, prompt, one), rtol=0, atol=1e-5
            )


def test_a_sample_hangs_on_its_seed_and_number_and_not_on_its_neighbours():
    scorer = Scorer(sharp())
    sampling = Sampling(4, 10, end_tokens=(0,))
    whole = sample(scorer, PROMPTS, sampling, seeds=[5, 6, 7, 8])
    torch.rand(7)
    alone = sample(scorer, PROMPTS[2:3], Sampling(2, 10, end_tokens=(0,)), seeds=[7])
    assert [one.token_ids for one in alone[0]] == [one.token_ids for one in whole[2][:2]]
    assert len({one.token_ids for one in whole[2]}) > 1
    again = sample(scorer, PROMPTS, sampling, seeds=[5, 6, 7, 8])
    assert again == whole
    other = sample(scorer, PROMPTS, sampling, seeds=[9, 10, 11, 12])
    assert other != whole


def test_rows_that_have_ended_are_left_out_and_the_others_do_not_notice(monkeypatch):
    # Of 16 tokens, nearly equally likely, one ends a sample: they end at very different steps.
    scorer = Scorer(qwen2(vocab_size=16))
    sampling = Sampling(6, 60, end_tokens=(0,))
    widths = []
    original = scorer.next_hidden
    monkeypatch.setattr(
        scorer,
        "next_hidden",
        lambda ids, *rest: widths.append(len(ids)) or original(ids, *rest),
    )
    found = sample(scorer, PROMPTS, sampling, seeds=range(4))
    assert widths[0] == 24
    assert widths[-1] < 12
    monkeypatch.setattr(sampler, "FULL", 0.0)
    widths.clear()
    whole = sample(scorer, PROMPTS, sampling, seeds=range(4))
    assert set(widths) == {24}
    assert [[one.token_ids for one in row] for row in found] == [
        [one.token_ids for one in row] for row in whole
    ]


def test_tokens_come_as_often_as_their_probabilities_say():
    logits = torch.tensor([[1.0, -torch.inf, 0.0, 2.0]])
    count = 4000
    # Evenly spaced numbers: the shares are then exact to one in `count`.
    numbers = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    for temperature in (1.0, 0.5):
        sampling = Sampling(1, 1, end_tokens=(-1,), temperature=temperature)
        tokens, chances = draw(logits.repeat(count, 1), numbers, sampling)
        expected = (logits[0] / temperature).softmax(-1)
        shares = tokens.bincount(minlength=4) / count
        torch.testing.assert_close(shares, expected, rtol=0, atol=1.5 / count)
        torch.testing.assert_close(chances, expected.log()[tokens])


def test_the_nucleus_is_the_smallest_set_that_holds_top_p_and_sums_to_one():
    chances = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]])
    kept = nucleus(chances.log(), 0.7).exp()
    expected = torch.tensor([[0.0, 2 / 3, 0.0, 1 / 3], [1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(kept, expected)
    # The largest number there is still draws a token of the nucleus.
    last = torch.full((2,), 1 - 2.0**-53, dtype=torch.float64)
    tokens, logprobs = draw(chances.log(), last, Sampling(1, 1, end_tokens=(-1,), top_p=0.7))
    assert tokens.tolist() == [3, 0]
    torch.testing.assert_close(logprobs.exp(), torch.tensor([1 / 3, 1.0]))
