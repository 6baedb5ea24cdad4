"""Requests answered by the torch model itself: the vLLM engine's promises, kept without one."""

from dataclasses import replace

import pytest
import torch

from engines.shared.inference import Request
from engines.shared.language_model.packing import Scorer
from engines.shared.language_model.torch_sampler import TorchSampler, end_tokens
from tests.support.models import byte_tokenizer, qwen2


@pytest.fixture(scope="module")
def sampler():
    model = qwen2(0, vocab_size=257, initializer_range=0.4)
    model.generation_config.eos_token_id = [3, 7]
    return TorchSampler(Scorer(model), byte_tokenizer())


def request(length, seed, **values):
    return Request(
        tuple(range(40, 40 + length)), 3, seed, **{"temperature": 1.0, "max_tokens": 6, **values}
    )


def test_an_answer_depends_on_its_own_request_alone(sampler, monkeypatch):
    requests = [request(length, seed) for seed, length in enumerate((5, 2, 9, 2, 4))]
    found = sampler.generate(requests)
    assert [len(samples) for samples in found] == [3] * 5
    assert sampler.generate(requests[::-1]) == found[::-1]
    # Two prompts at a time: what is computed together changes nothing but rounding.
    per_row = 2 * 2 * 1 * 8 * 4 * (9 + 6)  # keys and values, layers, key heads, width, float32
    monkeypatch.setattr(sampler, "cache_bytes", 6.5 * per_row)
    assert sampler.rows(requests) == 6
    for whole, parts in zip(found, sampler.generate(requests), strict=True):
        assert [one.token_ids for one in whole] == [one.token_ids for one in parts]
        for one, other in zip(whole, parts, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    assert sampler.generate([]) == []


def test_a_greedy_answer_takes_the_likeliest_token_at_every_place(sampler):
    ((made,),) = sampler.generate([replace(request(4, 0, temperature=0.0), samples=1)])
    ids = [40, 41, 42, 43, *made.token_ids]
    for place, token in enumerate(made.token_ids, start=4):
        with torch.no_grad():
            blocks = torch_blocks(place)
            logits = sampler.model.model(torch.tensor([ids[:place]]), blocks=blocks).logits[0, -1]
        assert int(logits.argmax()) == token
        chance = float(logits.log_softmax(-1)[token])
        assert made.logprobs[place - 4] == pytest.approx(chance, abs=1e-5)


def torch_blocks(length):
    from engines.shared.language_model.layout import blocks_of

    return blocks_of([length], torch.device("cpu"))


def test_every_end_token_of_the_model_and_its_tokenizer_ends_an_answer(sampler):
    tokenizer = sampler.tokenizer
    assert end_tokens(sampler.model.model, tokenizer) == tuple(
        sorted({3, 7, tokenizer.eos_token_id})
    )
    answers = [
        one
        for own in sampler.generate([replace(request(3, 5), samples=200, max_tokens=40)])
        for one in own
    ]
    ended = [one for one in answers if one.finish_reason == "stop"]
    assert {one.token_ids[-1] for one in ended} == {3, 7, tokenizer.eos_token_id}
    for one in answers:
        assert not set(one.token_ids[:-1]) & {3, 7, tokenizer.eos_token_id}
        assert (one.finish_reason == "stop") or len(one.token_ids) == 40
        assert one.text == tokenizer.decode(one.token_ids, skip_special_tokens=True)


def test_the_probe_token_by_token_is_that_of_one_pass(sampler):
    ids = torch.arange(50, 80)
    places = torch.arange(len(ids) - 1)
    with torch.no_grad():
        expected = sampler.model(ids, (len(ids),), places, ids[1:], 1.0)
    assert sampler.prompt_logprobs(ids.tolist()) == pytest.approx(expected.tolist(), abs=1e-5)
