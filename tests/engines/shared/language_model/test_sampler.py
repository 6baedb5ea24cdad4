"""Samples of a torch model: their probabilities, their randomness, and what they leave alone."""

import torch

from engines.shared.language_model.lora import adapt
from engines.shared.language_model.packing import Scorer
from engines.shared.language_model.sampler import Sampling, sample
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
        sampling = Sampling(5, 12, end_token=0, temperature=temperature)
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
    found = sample(scorer, PROMPTS, Sampling(3, 8, end_token=0), seeds=range(4))
    assert torch.equal(torch.get_rng_state(), before)
    assert scorer.training
    assert all(module.training for module in model.modules())
    scorer.eval()
    for prompt, samples in zip(PROMPTS, found, strict=True):
        for one in samples:
            torch.testing.assert_close(
                torch.tensor(one.logprobs), scored(scorer, prompt, one), rtol=0, atol=1e-5
            )
