"""vLLM says what the trained model says: adapters beside the base, merged ones, whole models."""

import math
from pathlib import Path

import pytest

from engines.contract.checkpoints import fingerprint
from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.generation import Answering
from engines.polychromic_evaluation.models import (
    Model,
    Models,
    check_adapters,
    merged_weights,
)
from engines.polychromic_evaluation.prompts import read_prompts
from engines.polychromic_evaluation.samples import finished_file, partial_file, read_answered
from engines.shared.language_model.lora import write_adapter
from engines.shared.replies.checker import checker_of
from engines.shared.replies.rows import read_manifest
from tests.support.models import byte_tokenizer
from tests.support.replies import ROWS, adapted, greedy, make_base, make_replies, replying_model

NEW_TOKENS = 12


def base_model(folder: Path) -> Model:
    make_base(folder / "base")
    return Model(
        "base", None, {"model": "base"}, folder / "base", fingerprint(folder / "base"), None
    )


def adapter(folder: Path, base: Model, seed: int, modules_to_save=None):
    """An adapter on disk, and the model that it was written from."""
    model = adapted(base.folder, seed, modules_to_save)
    name = f"adapter-{seed}"
    write_adapter(model, folder / name, base.fingerprint)
    return Model(name, name, {"model": "trained"}, folder / name, f"{seed}", None), model


def answering(folder: Path, models: Models) -> Answering:
    if not (folder / "data").exists():
        make_replies(folder / "data")
    config = Config.model_validate(
        {
            "base": str(models.base.folder),
            "data": str(folder / "data"),
            "samples": 3,
            "max_new_tokens": NEW_TOKENS,
            "pass_at": [1],
        }
    )
    prompts = read_prompts(config, models.base.folder)
    checker = checker_of(read_manifest(config.data), config.data)
    return Answering(config, models, prompts, checker)


def nats_of(model, prompt, replies) -> float:
    import torch

    total = 0.0
    for reply in replies:
        ids = torch.tensor([[*prompt, *reply]])
        with torch.no_grad():
            logprobs = model(ids).logits[0, :-1].log_softmax(-1)
        chosen = logprobs.gather(1, ids[0, 1:, None])[len(prompt) - 1 :]
        total -= float(chosen.sum())
    return total


def check_said(made: Answering, found, model) -> None:
    """Greedy replies and likelihoods of references are those of a transformers model."""
    tokenizer = byte_tokenizer()
    for prompt, answered in zip(made.prompts.all, found, strict=True):
        expected = greedy(model, list(prompt.token_ids), NEW_TOKENS, 256)
        assert answered.greedy.tokens == len(expected)
        text = tokenizer.decode(expected, skip_special_tokens=True)
        # Bytes that begin a character and do not end it are not shown by vLLM.
        assert answered.greedy.text.rstrip("\ufffd") == text.rstrip("\ufffd")
        nats = nats_of(model, prompt.token_ids, prompt.reference_ids)
        assert math.isclose(answered.reference_nats, nats, rel_tol=1e-4)
        assert answered.reference_tokens == sum(map(len, prompt.reference_ids))


def test_a_text_with_two_references_is_one_prompt(tmp_path):
    models = Models((base_model(tmp_path),), ())
    prompts = answering(tmp_path, models).prompts
    assert [prompt.id for prompt in prompts.all] == ["p1", "p2", "p3"]
    assert prompts.all[1].references == (ROWS[1].reply, ROWS[2].reply)
    assert prompts.end_token == 256
    assert all(ids[-1] == 256 for prompt in prompts.all for ids in prompt.reference_ids)


def test_prompts_that_do_not_fit_are_counted_and_none_is_an_error(tmp_path):
    base = base_model(tmp_path)
    make_replies(tmp_path / "data")
    config = {"base": str(base.folder), "data": str(tmp_path / "data"), "pass_at": [1]}
    # 128 positions, prompts of 25, 28 and 29 bytes, one token more to score.
    some = read_prompts(Config.model_validate({**config, "max_new_tokens": 100}), base.folder)
    assert ([prompt.id for prompt in some.all], some.too_long) == (["p1"], 2)
    with pytest.raises(ConfigError, match="no prompt of 'test' fits"):
        read_prompts(Config.model_validate({**config, "max_new_tokens": 120}), base.folder)


def test_merged_weights_compute_what_the_adapter_does(tmp_path):
    import torch

    base = base_model(tmp_path)
    one, model = adapter(tmp_path, base, 1, ["embed_tokens", "lm_head"])
    merged = replying_model()
    state = dict(merged_weights(base, one))
    assert set(state) == set(merged.state_dict())
    merged.load_state_dict(state)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        apart = (merged(ids).logits - model(ids).logits).abs().max()
        assert apart < 1e-5 * model(ids).logits.abs().max()


def test_adapters_are_served_only_if_vllm_takes_all_of_them(tmp_path):
    base = base_model(tmp_path)
    one, _ = adapter(tmp_path, base, 1)
    whole, _ = adapter(tmp_path, base, 2, ["lm_head"])
    assert Models((base, one), ()).adapter_rank == 4
    assert Models((base, one, whole), ()).adapter_rank is None
    assert Models((base,), ()).adapter_rank is None


def test_adapters_of_another_base_or_with_missing_tensors_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    base = base_model(tmp_path)
    one, model = adapter(tmp_path, base, 1)
    check_adapters(base, [one])
    write_adapter(model, one.folder, "another base")
    with pytest.raises(ConfigError, match="was trained on another base"):
        check_adapters(base, [one])
    write_adapter(model, one.folder, base.fingerprint)
    file = one.folder / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, file, {"format": "pt", "base_fingerprint": base.fingerprint})
    with pytest.raises(ConfigError, match="1 tensors are missing"):
        check_adapters(base, [one])


@pytest.mark.engine
def test_adapters_served_beside_the_base_say_what_they_were_trained_to(tmp_path):
    base = base_model(tmp_path)
    (one, first), (two, second) = (adapter(tmp_path, base, seed) for seed in (1, 2))
    made = answering(tmp_path, Models((base, one, two), ()))
    made.adapter_rank = made.models.adapter_rank  # as on a GPU
    assert made.adapter_rank == 4
    (tmp_path / "out").mkdir()
    found = made.answer_all(tmp_path / "out", Stop())
    check_said(made, found["base"], replying_model())
    check_said(made, found["adapter-1"], first)
    check_said(made, found["adapter-2"], second)
    greedy_texts = [[one.greedy.text for one in found[name]] for name in found]
    assert greedy_texts[0] != greedy_texts[1] != greedy_texts[2]


@pytest.mark.engine
def test_merged_adapters_and_whole_models_in_turn_say_what_they_were_trained_to(tmp_path):
    base = base_model(tmp_path)
    one, first = adapter(tmp_path, base, 1, ["embed_tokens", "lm_head"])
    two, second = adapter(tmp_path, base, 2)
    make_base(tmp_path / "whole", seed=5)
    whole = Model("whole", "whole", {"model": "trained"}, tmp_path / "whole", "5", None)
    models = Models((base, one, two, whole), ())
    made = answering(tmp_path, models)
    assert made.adapter_rank is None
    out = tmp_path / "out"
    out.mkdir()
    found = made.answer_all(out, Stop())
    check_said(made, found["base"], replying_model())
    check_said(made, found["adapter-1"], first)
    check_said(made, found["adapter-2"], second)
    check_said(made, found["whole"], replying_model(5))

    # A torn line, and a model that was not begun: the rest alone is done, and done the same.
    file = finished_file(out, one)
    lines = file.read_bytes().splitlines(keepends=True)
    file.unlink()
    partial_file(out, one).write_bytes(lines[2] + lines[0] + lines[1][:20])
    finished_file(out, base).unlink()
    before = {path: path.read_bytes() for path in (finished_file(out, two),)}
    stop = Stop()
    stop.requested = True
    with pytest.raises(Interrupted):
        made.answer_all(out, stop)
    assert len(read_answered(out, one)) == 2
    again = made.answer_all(out, Stop())
    assert again == found
    assert file.read_bytes().splitlines(keepends=True) == lines
    assert not partial_file(out, one).exists()
    assert {path: path.read_bytes() for path in before} == before
