"""Evaluation: files that survive a kill, guards of the weights, means that leave errors out by name."""

import json
from types import SimpleNamespace

import pytest

from engines import checkpoints
from engines.evaluation import Config
from engines.evaluation.__main__ import files_of, write_prompts
from engines.evaluation.aggregate import rows
from engines.evaluation.generate import Generator, Item, Model, check_weights, read_lines, todo
from engines.io import ConfigError, Interrupted, Progress, Stop
from engines.scoring import answer_text


def line(item, value, status="ok"):
    return {"item_id": item, "sample": 0, "task": "math", "value": value, "status": status, "detail": "why", "tokens": 3,
            "finish_reason": "stop"}


def item(name, ids=(3, 4, 5)):
    return Item("math", SimpleNamespace(item_id=name), ids)


def test_a_torn_last_line_is_cut_and_its_sample_is_made_again(tmp_path):
    path = tmp_path / "math.jsonl"
    path.write_text(json.dumps({"item_id": "a", "sample": 0}) + "\n" + '{"item_id": "b", "sa')
    assert [(i.problem.item_id, k) for i, k in todo(Config(models="m", data="d"), tmp_path, [item("a"), item("b")])] == [("b", 0)]
    assert path.read_text().endswith("}\n")


def test_errors_are_left_out_of_the_mean_and_a_task_of_errors_has_a_reason():
    base = {"checkpoint": "c", "epoch": 1, "step": 1}
    mixed = rows([line("a", 1.0), line("b", 0.0), line("c", None, "timeout")], {"math": "math"}, base)[0]
    assert (mixed.value, mixed.n, mixed.spread) == (0.5, 2, pytest.approx(0.5))
    none = rows([line("a", None, "error")], {"math": "math"}, base)[0]
    assert none.value is None
    assert none.error == "no sample could be scored: error: why"


def test_thinking_that_was_never_closed_is_no_answer():
    assert answer_text("<think> 5") is None
    assert answer_text("<think> 4 </think> 5") == " 5"


def test_a_missing_task_is_refused_by_name(tmp_path):
    (tmp_path / "math.test.parquet").touch()
    with pytest.raises(ConfigError, match="no test file for \\['logic'\\]"):
        files_of(Config(models="m", data=str(tmp_path), tasks=["math", "logic"]))


def test_the_start_of_each_prompt_is_kept_for_reading(tmp_path):
    problem = SimpleNamespace(item_id="a", prompt=({"role": "system", "content": "be brief"}, {"role": "user", "content": "why? " * 300}))
    write_prompts(tmp_path, [Item("math", problem, (1, 2))])
    kept = read_lines(tmp_path / "problems.jsonl")
    assert kept == [{"task": "math", "item_id": "a", "prompt": ("why? " * 300)[:500]}]


def tiny_model(folder, seed):
    import torch
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    words = {word: i for i, word in enumerate(["<pad>", "<eos>", "<unk>", *map(chr, range(97, 122))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    config = Qwen2Config(vocab_size=len(words), hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                         num_key_value_heads=2, max_position_embeddings=64, eos_token_id=1, pad_token_id=0, tie_word_embeddings=False)
    Qwen2ForCausalLM(config).save_pretrained(folder)


def two_checkpoints(out):
    for epoch in (1, 2):
        checkpoints.save(out, f"epoch-{epoch}", lambda folder, seed=epoch: tiny_model(folder / "model", seed), step=epoch, epoch=epoch,
                         metrics={})
    return [Model(c.manifest.name, c.model, c.manifest) for c in checkpoints.complete(out)]


def test_a_checkpoint_whose_weights_are_not_those_of_its_manifest_is_refused(tmp_path):
    model = two_checkpoints(tmp_path)[0]
    check_weights(model)
    file = next(model.folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigError, match="checkpoint 'epoch-1': weights"):
        check_weights(model)


@pytest.mark.engine
@pytest.mark.timeout(150)
def test_a_resumed_generation_is_the_uninterrupted_one_and_two_checkpoints_differ(tmp_path):
    models = two_checkpoints(tmp_path / "train")
    config = Config(models="m", data="d", max_prompt_tokens=8, max_response_tokens=8)
    items = [item(f"p{i}", (3 + i, 4 + i, 5)) for i in range(6)]
    stop = Stop()
    generator = Generator(config, tmp_path, stop, Progress(tmp_path))
    for model in models:
        generator.run(model, items, 0, 12)
    paths = [tmp_path / "generations" / model.name / "math.jsonl" for model in models]
    whole = [sorted(map(json.dumps, read_lines(path))) for path in paths]
    assert whole[0] != whole[1]
    assert len(whole[0]) == 6
    written = [path.read_bytes() for path in paths]
    generator.run(models[0], items, 0, 12)
    assert [path.read_bytes() for path in paths] == written
    paths[0].write_bytes(b"".join(written[0].splitlines(keepends=True)[:3]) + b'{"item_id": "p')
    stop.requested = True
    with pytest.raises(Interrupted, match="3 of 12"):
        generator.run(models[0], items, 0, 12)
    stop.requested = False
    generator.run(models[0], items, 0, 12)
    assert sorted(map(json.dumps, read_lines(paths[0]))) == whole[0]
