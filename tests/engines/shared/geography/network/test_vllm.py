"""vLLM loads a model's folder and answers as own generation does."""

from pathlib import Path

import pytest
import torch

from engines.shared.geography.description import Shape
from engines.shared.geography.network.generate import complete
from engines.shared.geography.network.model import initial
from engines.shared.geography.network.weights import write_model
from engines.shared.geography.vocabulary import BEGIN, PADDING, encode
from engines.shared.inference import Request, SamplerSettings, VllmSampler


@pytest.mark.engine
def test_vllm_answers_the_same(tmp_path: Path) -> None:
    shape = Shape(width=64, layers=2, heads=2, feed_forward=256)
    parameters = initial(shape, [0], 0.3)
    write_model(tmp_path / "model", shape, parameters)
    texts = [f"dist(c_{city:04d},c_{9999 - city:04d})=" for city in range(0, 9999, 500)]
    prompts = torch.tensor([[BEGIN, *encode(text)] for text in texts])
    answers = complete(parameters, shape, prompts, 6)[0]
    settings = SamplerSettings(seed=0, max_model_len=64, threads=1, logprobs=False)
    asked = [
        Request(tuple(row), samples=1, seed=0, temperature=0.0, max_tokens=6, logprobs=False)
        for row in prompts.tolist()
    ]
    found = VllmSampler(tmp_path / "model", settings).generate(asked)
    for ours, (theirs,) in zip(answers.tolist(), found, strict=True):
        assert [token for token in ours if token != PADDING] == list(theirs.token_ids)
