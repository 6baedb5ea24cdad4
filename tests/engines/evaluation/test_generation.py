"""Generation with a real engine: interrupted, continued, shared by processes, the result is the
same; and the program as a whole."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from engines.contract import checkpoints
from engines.contract.config import ConfigError
from engines.contract.files import read_lines
from engines.contract.program import INTERRUPTED, Stop
from engines.contract.progress import read_progress
from engines.contract.results import read_results
from engines.evaluation.generation import Worker, context_length
from engines.evaluation.inputs import Model
from engines.evaluation.workers import generate_in_processes
from engines.shared.data.problem_files import write_problems
from engines.shared.data.problems import make_problem, user
from engines.shared.loaded_weights import check_weights
from tests.support.evaluation import coordinator_of, item, keys, texts
from tests.support.paths import ROOT


def tiny_model(folder, seed, **values):
    import torch
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    words = {
        word: i for i, word in enumerate(["<pad>", "<eos>", "<unk>", *map(chr, range(97, 122))])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        eos_token_id=1,
        pad_token_id=0,
        tie_word_embeddings=False,
        **values,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)


def two_checkpoints(out):
    for epoch in (1, 2):
        checkpoints.save(
            out,
            checkpoints.Description(name=f"epoch-{epoch}", step=epoch, epoch=epoch, metrics={}),
            lambda folder, seed=epoch: tiny_model(folder / "model", seed),
        )
    return [Model(c.manifest.name, c.model, c.manifest) for c in checkpoints.complete(out)]


def test_a_checkpoint_whose_weights_are_not_those_of_its_manifest_is_refused(tmp_path):
    model = two_checkpoints(tmp_path)[0]
    check_weights(model.name, model.folder, model.manifest)
    file = next(model.folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigError, match="checkpoint 'epoch-1': weights"):
        check_weights(model.name, model.folder, model.manifest)


def test_a_model_without_positions_for_the_suite_is_told_so(tmp_path):
    models = two_checkpoints(tmp_path / "train")
    assert (
        context_length(
            coordinator_of(
                tmp_path / "a", [item("a", max_prompt_tokens=32, max_response_tokens=32)], models
            ).inputs
        )
        == 64
    )
    with pytest.raises(
        ConfigError,
        match="has positions for 64 tokens, and max_prompt_tokens and max_response_tokens "
        "together ask for 65",
    ):
        context_length(
            coordinator_of(
                tmp_path / "b", [item("a", max_prompt_tokens=32, max_response_tokens=33)], models
            ).inputs
        )


SAMPLED = {"temperature": 1.0, "max_prompt_tokens": 8, "samples_per_prompt": 2}
ITEMS = [
    item(
        f"p{i}", (3 + i, 4 + i, 5), task="ab"[i % 2], max_response_tokens=4 + 4 * (i % 2), **SAMPLED
    )
    for i in range(6)
]


class StopAfter(Stop):
    """A signal that comes when so many samples are on disk."""

    def __init__(self, out, count):
        self.out, self.count = out, count

    @property
    def requested(self):
        return len(texts(self.out)) >= self.count


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Checkpoints, their samples made without an interruption, and the engine that made them."""
    out = tmp_path_factory.mktemp("whole")
    models = two_checkpoints(out / "train")
    coordinator = coordinator_of(out, ITEMS, models)
    worker = Worker(coordinator.inputs.config, models, 16, coordinator)
    worker.run()
    coordinator.close()
    return out, models, worker.sampler


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_an_interrupted_generation_continued_is_the_uninterrupted_one_and_checkpoints_differ(
    whole, tmp_path
):
    out, models, sampler = whole
    wanted = texts(out)
    assert len(wanted) == 2 * 6 * 2
    one, other = (
        {key[1:]: text for key, text in wanted.items() if key[0] == model.name} for model in models
    )
    assert one.keys() == other.keys()
    assert one != other
    for count, seconds in ((5, 0.0), (14, 60.0), (999, 0.0)):
        coordinator = coordinator_of(
            tmp_path, ITEMS, models, stop=StopAfter(tmp_path, count), drain_seconds=seconds
        )
        worker = Worker(coordinator.inputs.config, models, 16, coordinator)
        # which holds the other checkpoint's weights: the first thing to happen is a swap
        worker.sampler = sampler
        worker.run()
        coordinator.close()
        assert not worker.in_engine
        assert not sampler.busy()
        assert coordinator.done == len(texts(tmp_path))
        if count == 14:  # drained: what was on the way came to its end, and nothing new was begun
            assert coordinator.done > 14
    assert coordinator.done == coordinator.total
    assert texts(tmp_path) == wanted
    assert set(keys(tmp_path).values()) == {1}


def unlike_its_config(folder):
    """Weights of another size under the same config, as a wrong merge leaves them."""
    config = (folder / "config.json").read_text()
    tiny_model(folder, 7, head_dim=16)
    (folder / "config.json").write_text(config)


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_an_engine_goes_on_after_weights_that_do_not_fit(whole, tmp_path):
    _, models, sampler = whole
    sampler.load_checkpoint(models[0].folder)
    before = sampler.prompt_logprobs((3, 4, 5, 6))
    tiny_model(tmp_path / "unlike", 5)
    unlike_its_config(tmp_path / "unlike")
    tiny_model(tmp_path / "other", 5, rope_theta=1.0)
    for name, words in (("unlike", "has the shape"), ("other", "not that of 'the loaded model'")):
        with pytest.raises(ConfigError, match=f"{tmp_path / name}: .*{words}"):
            sampler.load_checkpoint(tmp_path / name)
    sampler.load_checkpoint(models[1].folder)
    assert sampler.prompt_logprobs((3, 4, 5, 6)) != before
    sampler.load_checkpoint(models[0].folder)
    assert sampler.prompt_logprobs((3, 4, 5, 6)) == before


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_two_processes_make_the_samples_of_one(whole, tmp_path):
    out, models, _ = whole
    coordinator = coordinator_of(tmp_path, ITEMS, models)
    generate_in_processes(coordinator, [None, None])
    coordinator.close()
    assert texts(tmp_path) == texts(out)
    assert set(keys(tmp_path).values()) == {1}


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_wrong_checkpoint_in_a_process_of_its_own_is_one_error_and_nothing_is_left_running(
    tmp_path,
):
    models = two_checkpoints(tmp_path / "train")
    file = next(models[0].folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigError, match="checkpoint 'epoch-1': weights in"):
        generate_in_processes(coordinator_of(tmp_path, ITEMS, models), [None, None])


SHARED = """
import json, sys
from pathlib import Path
from engines.shared.inference import Request, SamplerSettings, VllmSampler
if __name__ == "__main__":
    folders = [Path(name) for name in sys.argv[1:]]
    sampler = VllmSampler(
        folders[0], SamplerSettings(seed=0, max_model_len=32, tensor_parallel=2, threads=1)
    )
    found = []
    for index, folder in enumerate(folders):
        if index:
            sampler.load_checkpoint(folder)
        greedy = sampler.generate([Request((3, 4, 5), 1, 7, 0.0, 8)])[0][0].token_ids
        found.append([sampler.prompt_logprobs((3, 4, 5, 6)), greedy])
    print("found", json.dumps(found))
"""


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_model_shared_by_two_processes_says_what_pytorch_says_also_after_a_swap(tmp_path):
    import torch
    from transformers import Qwen2ForCausalLM

    models = two_checkpoints(tmp_path / "train")
    (tmp_path / "shared.py").write_text(SHARED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "shared.py"), *(str(model.folder) for model in models)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("found ")] or [
        done.stderr
    ]
    for (logprobs, greedy), model in zip(
        json.loads(line.removeprefix("found ")), models, strict=True
    ):
        network = Qwen2ForCausalLM.from_pretrained(model.folder)
        said = torch.log_softmax(network(torch.tensor([[3, 4, 5, 6]])).logits[0, :-1], dim=-1)
        # Rounding of float32, in nats, as much as a training allows between its two models.
        assert logprobs == pytest.approx(
            [float(said[place, token]) for place, token in enumerate((4, 5, 6))], abs=1e-4
        )
        ids = network.generate(torch.tensor([[3, 4, 5]]), max_new_tokens=8, do_sample=False)[
            0, 3:
        ].tolist()
        assert greedy == ids


SUITE = """
about: two small tasks
defaults: {temperature: 1.0, top_p: 0.9, max_prompt_tokens: 16, max_response_tokens: 32, samples_per_prompt: 3}
tasks:
  first: {file: math__first_, rows: 40}
  second: {file: math__second_, rows: 41, max_response_tokens: 8, samples_per_prompt: 1, scorer: "my_scorer:score"}
"""
SCORER = """
def score(data_source, solution_str, ground_truth, extra_info=None):
    print("looking at", solution_str)
    return {"score": len(solution_str) % 2 == 0, "pred": solution_str[::-1]}
"""


def program(config, out):
    return [sys.executable, "-m", "engines.evaluation", str(config), "--out", str(out)]


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_the_program_stops_on_a_signal_with_75_and_goes_on_to_complete_results(tmp_path):
    two_checkpoints(tmp_path / "train")
    (tmp_path / "data").mkdir()
    # No scorer of ours knows the second data source.
    for task, source, repeat in (("first", "math__miniature", 2), ("second", "haiku", 1)):
        problems = [
            make_problem(
                source,
                user("abc"[number % 3] * (1 + number % 7) + chr(100 + number)),
                "a",
            )
            for number in range(20 * 2 // repeat)
        ]
        write_problems(tmp_path / "data" / f"math__{task}_x.parquet", problems * repeat)
    (tmp_path / "suite.yaml").write_text(SUITE)
    (tmp_path / "my_scorer.py").write_text(SCORER)
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "models": {"folder": str(tmp_path / "train"), "checkpoints": "all"},
                "data": str(tmp_path / "data"),
                "suite": str(tmp_path / "suite.yaml"),
                "drain_seconds": 0.0,
            }
        )
    )
    out = tmp_path / "out"
    running = subprocess.Popen(program(config, out), stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not list((out / "generations").glob("*/*.jsonl")):
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGUSR2)
    stopped = running.communicate()[1]
    assert running.returncode == INTERRUPTED, stopped
    before = keys(out)
    assert f"stopped: {sum(before.values())} of 320 samples are on disk" in stopped
    done = subprocess.run(program(config, out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = keys(out)
    assert set(after.values()) == {1}
    assert before <= after
    found, document = read_results(out)
    facts = document["facts"]["tasks"]
    assert [
        (facts[task]["rows"], facts[task]["problems"], facts[task]["samples"]) for task in facts
    ] == [(40, 20, 120), (40, 40, 40)]
    assert document["facts"]["remarks"] == [
        f"second: {facts['second']['file']} has 40 rows, the suite expects 41: not the "
        "published file"
    ]
    assert document["facts"]["remarks"][0] in done.stdout
    suite = {row.axes["checkpoint"]: row for row in found if row.metric == "suite_score"}
    assert set(suite) == {"epoch-1", "epoch-2"}
    means = {
        row.axes["task"]: row.value
        for row in found
        if row.metric == "accuracy" and row.axes["checkpoint"] == "epoch-1" and "task" in row.axes
    }
    assert suite["epoch-1"].value == pytest.approx(sum(means.values()) / 2)
    assert {row.axes["k"] for row in found if row.metric == "pass_at_k"} == {2, 4}
    assert {line["phase"] for line in read_progress(out)} == {"evaluate", "score"}
    # The second task's scorer is the user's own, and its prints are in no log.
    made = texts(out)
    judged = read_lines(out / "scores" / "epoch-1.jsonl")
    for line in (line for line in judged if line["task"] == "second"):
        text = made["epoch-1", "second", line["item_id"], 0]
        assert (line["value"], line["extracted"]) == (float(len(text) % 2 == 0), text[::-1])
    assert facts["second"]["settings"]["scorer"].startswith("my_scorer:score@")
    assert "looking at" not in done.stdout + done.stderr
    assert [line["step"] for line in read_progress(out)] == sorted(
        line["step"] for line in read_progress(out)
    )


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_checkpoints_that_do_not_fit_are_refused_by_name_and_the_good_ones_are_scored(tmp_path):
    train = tmp_path / "train"

    def save(epoch, change=None, **values):
        def write(folder):
            tiny_model(folder / "model", epoch, **values)
            if change is not None:
                change(folder / "model")

        description = checkpoints.Description(
            name=f"epoch-{epoch}", step=epoch, epoch=epoch, metrics={}
        )
        checkpoints.save(train, description, write)

    save(1)
    save(2, change=unlike_its_config)
    save(3)
    save(4, rope_theta=1.0)  # a whole model, but another one
    (tmp_path / "data").mkdir()
    problems = [make_problem("math__miniature", user(text), "a") for text in ("ab", "c")]
    write_problems(tmp_path / "data" / "math.test.parquet", problems)
    config = tmp_path / "config.json"
    settings = {
        "models": {"folder": str(train), "checkpoints": "all"},
        "data": str(tmp_path / "data"),
        "max_prompt_tokens": 16,
        "max_response_tokens": 16,
    }
    config.write_text(json.dumps(settings))
    out = tmp_path / "out"
    done = subprocess.run(program(config, out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, document = read_results(out)
    facts = document["facts"]
    assert [one["name"] for one in facts["checkpoints"]] == ["epoch-1", "epoch-3"]
    assert facts["engine_starts"] == 1
    refused = {one["name"]: one["reason"] for one in facts["refused"]}
    assert set(refused) == {"epoch-2", "epoch-4"}
    assert "has the shape" in refused["epoch-2"]
    assert "its config.json is not that of 'epoch-1' (rope_parameters)" in refused["epoch-4"]
    for name, reason in refused.items():
        line = (
            f"checkpoint '{name}' ({train / 'checkpoints' / name / 'model'}) was refused: {reason}"
        )
        assert line in done.stdout
        assert line in facts["remarks"]
    accuracy = {row.axes["checkpoint"]: row for row in rows if row.metric == "accuracy"}
    assert accuracy["epoch-1"].value is not None
    assert accuracy["epoch-3"].value is not None
    assert accuracy["epoch-2"].value is None
    assert refused["epoch-2"] in accuracy["epoch-2"].error
    # What the good ones say is what they say without the others.
    made = texts(out)
    for name in ("epoch-2", "epoch-4"):
        settings["models"] = {"folder": str(train), "checkpoint": name}
        config.write_text(json.dumps(settings))
        alone = subprocess.run(program(config, tmp_path / name), capture_output=True, text=True)
        if name == "epoch-2":
            assert alone.returncode == 2
            assert alone.stderr.splitlines()[-1].startswith(
                "engines.evaluation: checkpoint 'epoch-2'"
            )
        else:
            assert alone.returncode == 0, alone.stderr
    settings["models"] = {"folder": str(train), "checkpoint": "epoch-3"}
    config.write_text(json.dumps(settings))
    assert subprocess.run(program(config, tmp_path / "third"), capture_output=True).returncode == 0
    third = {key: text for key, text in made.items() if key[0] == "epoch-3"}
    assert texts(tmp_path / "third") == third
