"""Evaluation: samples are made once, in a good order, by any number of processes, and survive every interruption."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import checkpoints
from engines.data import make_problem, user, write_problems
from engines.evaluation import Config
from engines.evaluation.__main__ import same_as_before, score_model, write_prompts
from engines.evaluation.aggregate import rows
from engines.evaluation.generate import Worker, check_weights, context_length
from engines.evaluation.processes import Pipe, generate_in_processes, gpu_groups, serve, tell
from engines.evaluation.reuse import take_over
from engines.evaluation.samples import Desk, Model, Sample, read_lines
from engines.evaluation.suite import PLAIN, changed
from engines.evaluation.tasks import Item, task_files
from engines.io import INTERRUPTED, ConfigError, Interrupted, Progress, Stop, read_progress, read_results, write_results
from engines.scoring import answer_text


def line(item, value, status="ok"):
    return {"item_id": item, "sample": 0, "task": "math", "value": value, "status": status, "detail": "why", "tokens": 3,
            "finish_reason": "stop"}


def item(name, ids=(3, 4, 5), task="math", rows=1, **sampled):
    problem = make_problem("math__miniature", user(name), name)
    return Item(task, problem, ids, "math", changed(PLAIN, sampled), rows)


def config_of(**values):
    return Config.model_validate({"models": "m", "data": "d", **values})


def desk_of(out, items, models=("m",), stop=None, **values):
    out.mkdir(parents=True, exist_ok=True)
    return Desk(config_of(**values), out, [model if isinstance(model, Model) else Model(model, out, None) for model in models], items,
                stop or Stop(), Progress(out, keep_until=10**9))


def made(portion, tokens=5):
    """Samples as an engine would give them back."""
    return [Sample(portion.model, index, number, "x", tokens, "stop") for index, number, _ in portion.requests]


def keys(out):
    """Every sample on disk."""
    return Counter((path.parent.name, path.stem, line["item_id"], line["sample"])
                   for path in sorted((out / "generations").glob("*/*.jsonl")) for line in read_lines(path))


def test_a_torn_last_line_is_cut_and_its_sample_is_made_again(tmp_path):
    items = [item("a"), item("b")]
    path = tmp_path / "generations" / "m" / "math.jsonl"
    path.parent.mkdir(parents=True)
    whole = {"item_id": items[0].problem.item_id, "sample": 0, "text": "x", "tokens": 3, "finish_reason": "stop"}
    path.write_text(json.dumps(whole) + "\n" + '{"item_id": "b", "sa')
    desk = desk_of(tmp_path, items)
    assert [(index, number) for index, number, _ in desk.take(9).requests] == [(1, 0)]
    assert path.read_text() == json.dumps(whole) + "\n"
    assert (desk.done, desk.total) == (1, 2)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_every_sample_is_made_once_whatever_takes_it_and_however_often_it_is_interrupted(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("desk")
    items = [item(str(number), task=task, rows=data.draw(st.integers(1, 3)), temperature=1.0, samples_per_prompt=2)
             for number, task in enumerate(["a", "a", "b"])]
    wanted = Counter((model, each.task, each.problem.item_id, number) for model in ("m", "n") for each in items
                     for number in range(each.samples))
    for _ in range(4):
        desk = desk_of(out, items, models=("m", "n"))
        desk.processes = data.draw(st.integers(1, 3))
        for _ in range(data.draw(st.integers(1, 6))):
            portion = desk.take(data.draw(st.integers(1, 7)))
            for sample in data.draw(st.permutations(made(portion)))[:data.draw(st.integers(0, 7))]:  # the rest is lost
                desk.give(sample)
        desk.close()
    desk = desk_of(out, items, models=("m", "n"))
    while (portion := desk.take(99)).requests:
        for sample in made(portion):
            desk.give(sample)
    desk.close()
    assert keys(out) == wanted


def test_a_samples_seed_hangs_on_its_problem_and_number_alone(tmp_path):
    items = [item("a", samples_per_prompt=2), item("b", samples_per_prompt=2)]
    seeds = [{(index, number): request.seed for index, number, request in desk_of(tmp_path / str(turn), part).take(9).requests}
             for turn, part in enumerate((items, items[::-1]))]
    assert len(set(seeds[0].values())) == 4
    assert seeds[0] == {(1 - index, number): seed for (index, number), seed in seeds[1].items()}


def test_the_longest_are_sent_first_by_what_the_suite_says_then_by_what_was_seen(tmp_path):
    items = [item("a", task="short"), item("b", task="long", expected_tokens=9000), item("c", task="short", expected_tokens=10),
             item("d", task="long", expected_tokens=9000)]
    desk = desk_of(tmp_path, items, models=("m", "n"))
    first = desk.take(9)
    assert [items[index].problem.prompt[-1]["content"] for index, _, _ in first.requests] == ["d", "b", "a", "c"]
    assert first.first
    for sample, tokens in zip(made(first), (50, 40, 7, 800), strict=True):
        desk.give(Sample(sample.model, sample.item, sample.number, "x", tokens, "stop"))
    then = desk.take(9)
    assert (then.model, then.first) == (1, True)
    assert [items[index].problem.prompt[-1]["content"] for index, _, _ in then.requests] == ["c", "d", "b", "a"]
    desk.close()


def test_several_processes_take_less_and_less_and_go_on_with_the_next_model_without_waiting(tmp_path):
    desk = desk_of(tmp_path, [item(str(number)) for number in range(40)], models=("m", "n"))
    desk.processes = 2
    sizes = []
    while (portion := desk.take(100, 0)).requests:
        sizes.append(len(portion.requests))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (10, 1, 40)
    assert desk.take(100).model == 1


def hand_in(connection):
    """What a generating process does, without an engine: waits for the word to stop before it hands in the rest."""
    pipe = Pipe(connection)
    pipe.ready()
    portion = pipe.take(3)
    for sample in made(portion)[:2]:
        pipe.give(sample)
    while not pipe.stopping():
        time.sleep(0.01)
    pipe.give(made(portion)[2])
    assert not pipe.take(3).requests


def test_a_process_is_told_to_stop_hands_in_what_it_has_and_gets_no_more(tmp_path):
    desk = desk_of(tmp_path, [item(str(number)) for number in range(9)])
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hand_in, args=(theirs,))
    process.start()
    theirs.close()
    live = {ours: process}
    while live:
        serve(desk, ours, live)
        if desk.done == 2 and not desk.stop.requested:
            desk.stop.requested = True
            tell(ours)
    assert (process.exitcode, desk.done) == (0, 3)
    desk.close()
    assert len(texts(tmp_path)) == 3


SEEN = os.environ.get("CUDA_VISIBLE_DEVICES")
"""As it is when a process imports this file."""


def make_slowly(connection, config, models, length):
    """A process of a group without an engine: says which GPUs it sees; after the word to stop it hands in no more than it has begun."""
    place, count = Path(os.environ["GATHER_AT"]), int(os.environ["GATHER"])
    (place / str(os.getpid())).touch()
    while len(list(place.iterdir())) < count:  # none is done before the last has started
        time.sleep(0.01)
    pipe = Pipe(connection)
    pipe.ready()
    while not pipe.stopping() and (portion := pipe.take(2)).requests:
        for index, number, _ in portion.requests:
            time.sleep(0.02)
            pipe.give(Sample(portion.model, index, number, str(SEEN), 1, "stop"))
            if pipe.stopping():
                break


def test_processes_of_one_queue_each_see_their_gpus_stop_when_told_and_others_go_on_without_doubles(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,8,9")
    (tmp_path / "gathered").mkdir()
    monkeypatch.setenv("GATHER_AT", str(tmp_path / "gathered"))
    monkeypatch.setenv("GATHER", "3")
    items = [item(str(number), rows=4, temperature=1.0) for number in range(25)]
    desk = desk_of(tmp_path, items, models=("m", "n"))
    give = desk.give

    def give_and_stop(sample):
        give(sample)
        desk.stop.requested = desk.done >= 60

    desk.give = give_and_stop
    generate_in_processes(desk, gpu_groups(2), make_slowly)
    desk.close()
    assert 60 <= desk.done < 120
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,6,7,8,9"
    again = desk_of(tmp_path, items, models=("m", "n"))
    assert again.done == desk.done
    monkeypatch.setenv("GATHER", "5")
    generate_in_processes(again, gpu_groups(3), make_slowly)
    again.close()
    assert set(keys(tmp_path).values()) == {1}
    assert (again.done, sum(keys(tmp_path).values())) == (200, 200)
    groups = {line["text"] for path in (tmp_path / "generations").glob("*/*.jsonl") for line in read_lines(path)}
    assert groups == {"4,5", "6,7", "8,9", "4,5,6", "7,8,9"}


def crash(connection):
    """A generating process that dies."""
    Pipe(connection).ready()
    os._exit(7)


def test_a_process_that_dies_is_an_error_with_its_exit_code(tmp_path):
    desk = desk_of(tmp_path, [item("a")])
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=crash, args=(theirs,))
    process.start()
    theirs.close()
    live = {ours: process}
    serve(desk, ours, live)  # that it is ready
    with pytest.raises(RuntimeError, match="a generating process died \\(exit code 7\\)"):
        serve(desk, ours, live)
    assert live == {}


def test_progress_says_speed_and_how_long_the_rest_takes(tmp_path):
    desk = desk_of(tmp_path, [item(str(number)) for number in range(4)])
    desk.began = time.monotonic() - 10
    for sample in made(desk.take(1), tokens=100):
        desk.give(sample)
    desk.close()
    line = read_progress(tmp_path)[-1]
    assert (line["step"], line["total"], line["phase"]) == (1, 4, "evaluate")
    assert line["metrics"]["tokens_per_second"] == pytest.approx(10, rel=0.1)
    assert line["metrics"]["seconds_left"] == pytest.approx(30, rel=0.1)


def test_the_gpus_of_the_job_are_divided_into_groups(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,6,7")
    assert gpu_groups(1) == ["2", "3", "6", "7"]
    assert gpu_groups(2) == ["2,3", "6,7"]
    assert gpu_groups(4) == [None]
    with pytest.raises(ConfigError, match="gpus_per_model: 3 does not divide the 4 GPUs"):
        gpu_groups(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_groups(2) == [None]


def test_samples_of_other_data_or_settings_are_not_mixed_and_speed_may_change(tmp_path):
    facts = {"math": {"sha256": "1", "settings": {"temperature": 0.0}}}
    same_as_before(config_of(limit=7), tmp_path, [], facts)  # it died before the first sample
    same_as_before(config_of(gpus_per_model=1), tmp_path, [], facts)
    (tmp_path / "generations/m").mkdir(parents=True)
    (tmp_path / "generations/m/math.jsonl").write_text("{}\n")
    same_as_before(config_of(gpus_per_model=2, scoring_workers=3), tmp_path, [], facts)
    with pytest.raises(ConfigError, match=r"other settings \(limit\); put those back, or delete that folder"):
        same_as_before(config_of(limit=3), tmp_path, [], facts)
    with pytest.raises(ConfigError, match="the tasks and their files"):
        same_as_before(config_of(), tmp_path, [], {"math": {"sha256": "2", "settings": {"temperature": 0.0}}})


def test_samples_of_the_same_weights_files_and_settings_are_taken_over_and_others_are_not(tmp_path):
    items, versions = [item("a", temperature=0.5, samples_per_prompt=2), item("b", temperature=0.5, samples_per_prompt=2)], {"vllm": "1"}
    manifest = checkpoints.Manifest(name="epoch-1", step=1, epoch=1, format="huggingface", fingerprint="f", metrics={})
    there = desk_of(tmp_path / "there", items, models=[Model("as-called-there", tmp_path, manifest)])
    for sample in made(there.take(3)):
        there.give(sample)
    there.close()
    facts = {"math": {"sha256": "s", "settings": {"temperature": 0.5, "metric": "accuracy"}}}
    write_results(tmp_path / "there", "evaluation", config_of(), [], 1.0, {"checkpoints": [{"name": "as-called-there", "fingerprint": "f"}],
                                                                         "tasks": facts, "versions": versions})
    mine = Model("epoch-1", tmp_path, manifest)

    def taken(name, seed=0, changed=facts, with_=versions, model=mine):
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        said = take_over([str(tmp_path / "nowhere"), str(tmp_path / "there"), str(out)], out, [model], items, changed, seed, with_)
        return said, desk_of(out, items, models=[model]).done

    said, done = taken("here")
    assert done == 3
    assert said == [f"epoch-1: 3 samples were taken over from {tmp_path / 'there'}: the same weights, files and settings"]
    assert taken("here") == (said, 3)
    other_file, other_settings = ({"math": {**facts["math"], **change}} for change in ({"sha256": "t"}, {"settings": {"temperature": 1.0}}))
    assert taken("b", seed=1) == taken("c", changed=other_file) == taken("d", changed=other_settings) == ([], 0)
    assert taken("e", with_={"vllm": "2"}) == ([], 0)
    assert taken("f", model=Model("epoch-1", tmp_path, manifest.model_copy(update={"fingerprint": "g"}))) == ([], 0)
    rest = desk_of(tmp_path / "here", items, models=[mine])
    assert [each[:2] for each in rest.take(9).requests] == [each[:2] for each in there.take(9).requests]


def test_scoring_goes_on_where_it_was_stopped_and_unclosed_thinking_is_no_answer(tmp_path):
    texts = {"1": "1", "2": "<think> 2", "3": "<think> 4 </think> 3"}
    items = [item(name) for name in texts]
    stop = Stop()
    desk = desk_of(tmp_path, items, stop=stop)
    for sample in made(desk.take(9)):
        desk.give(Sample(0, sample.item, 0, texts[items[sample.item].problem.ground_truth], 3, "stop"))
    desk.close()
    stop.requested = True
    with pytest.raises(Interrupted, match="0 of 3 of 'm' are scored"):
        score_model(desk, desk.models[0], 3)
    stop.requested = False
    lines = {line["item_id"]: line for line in score_model(desk, desk.models[0], 3)}
    found = [(lines[each.problem.item_id]["value"], lines[each.problem.item_id]["status"]) for each in items]
    assert found == [(1.0, "ok"), (0.0, "no_answer"), (1.0, "ok")]
    assert read_progress(tmp_path)[-1]["step"] == 6
    stop.requested = True
    assert score_model(desk, desk.models[0], 3) == read_lines(tmp_path / "scores" / "m.jsonl")


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
        task_files(config_of(data=str(tmp_path), tasks=["math", "logic"]))


def test_the_start_of_each_prompt_is_kept_for_reading(tmp_path):
    problem = make_problem("math__x", [{"role": "system", "content": "be brief"}, *user("why? " * 300)], "1")
    write_prompts(tmp_path, [Item("math", problem, (1, 2), "math")])
    kept = read_lines(tmp_path / "problems.jsonl")
    assert kept == [{"task": "math", "item_id": problem.item_id, "prompt": ("why? " * 300)[:500]}]


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


def test_a_model_without_positions_for_the_suite_is_told_so(tmp_path):
    models = two_checkpoints(tmp_path / "train")
    assert context_length(desk_of(tmp_path / "a", [item("a", max_prompt_tokens=32, max_response_tokens=32)], models)) == 64
    with pytest.raises(ConfigError, match="has positions for 64 tokens, and max_prompt_tokens and max_response_tokens together ask for 65"):
        context_length(desk_of(tmp_path / "b", [item("a", max_prompt_tokens=32, max_response_tokens=33)], models))


SAMPLED = {"temperature": 1.0, "max_prompt_tokens": 8, "samples_per_prompt": 2}
ITEMS = [item(f"p{i}", (3 + i, 4 + i, 5), task="ab"[i % 2], max_response_tokens=4 + 4 * (i % 2), **SAMPLED) for i in range(6)]


def texts(out):
    """Every sample on disk with its text."""
    return {(path.parent.name, path.stem, line["item_id"], line["sample"]): line["text"]
            for path in (out / "generations").glob("*/*.jsonl") for line in read_lines(path)}


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
    desk = desk_of(out, ITEMS, models)
    worker = Worker(desk.config, models, 16, desk)
    worker.run()
    desk.close()
    return out, models, worker.sampler


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_an_interrupted_generation_continued_is_the_uninterrupted_one_and_checkpoints_differ(whole, tmp_path):
    out, models, sampler = whole
    wanted = texts(out)
    assert len(wanted) == 2 * 6 * 2
    one, other = ({key[1:]: text for key, text in wanted.items() if key[0] == model.name} for model in models)
    assert one.keys() == other.keys()
    assert one != other
    for count, seconds in ((5, 0.0), (14, 60.0), (999, 0.0)):
        desk = desk_of(tmp_path, ITEMS, models, stop=StopAfter(tmp_path, count), drain_seconds=seconds)
        worker = Worker(desk.config, models, 16, desk)
        worker.sampler = sampler  # which holds the other checkpoint's weights: the first thing to happen is a swap
        worker.run()
        desk.close()
        assert not worker.on_the_way
        assert not sampler.busy()
        assert desk.done == len(texts(tmp_path))
        if count == 14:  # drained: what was on the way came to its end, and nothing new was begun
            assert desk.done > 14
    assert desk.done == desk.total
    assert texts(tmp_path) == wanted
    assert set(keys(tmp_path).values()) == {1}


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_two_processes_make_the_samples_of_one(whole, tmp_path):
    out, models, _ = whole
    desk = desk_of(tmp_path, ITEMS, models)
    generate_in_processes(desk, [None, None])
    desk.close()
    assert texts(tmp_path) == texts(out)
    assert set(keys(tmp_path).values()) == {1}


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_wrong_checkpoint_in_a_process_of_its_own_is_one_error_and_nothing_is_left_running(tmp_path):
    models = two_checkpoints(tmp_path / "train")
    file = next(models[0].folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigError, match="checkpoint 'epoch-1': weights in"):
        generate_in_processes(desk_of(tmp_path, ITEMS, models), [None, None])


SHARED = """
import json, sys
from pathlib import Path
from engines.inference import Request, VllmSampler
if __name__ == "__main__":
    folders = [Path(name) for name in sys.argv[1:]]
    sampler = VllmSampler(folders[0], seed=0, max_model_len=32, tensor_parallel=2, threads=1)
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
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run([sys.executable, str(tmp_path / "shared.py"), *(str(model.folder) for model in models)], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": root})
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("found ")] or [done.stderr]
    for (logprobs, greedy), model in zip(json.loads(line.removeprefix("found ")), models, strict=True):
        network = Qwen2ForCausalLM.from_pretrained(model.folder)
        said = torch.log_softmax(network(torch.tensor([[3, 4, 5, 6]])).logits[0, :-1], dim=-1)
        assert logprobs == pytest.approx([float(said[place, token]) for place, token in enumerate((4, 5, 6))], abs=1e-4)
        ids = network.generate(torch.tensor([[3, 4, 5]]), max_new_tokens=8, do_sample=False)[0, 3:].tolist()
        assert greedy == ids


SUITE = """
about: two small tasks
defaults: {temperature: 1.0, top_p: 0.9, max_prompt_tokens: 16, max_response_tokens: 32, samples_per_prompt: 3}
tasks:
  first: {file: math__first_, rows: 40}
  second: {file: math__second_, rows: 41, max_response_tokens: 8, samples_per_prompt: 1}
"""


def program(config, out):
    return [sys.executable, "-m", "engines.evaluation", str(config), "--out", str(out)]


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_the_program_stops_on_a_signal_with_75_and_goes_on_to_complete_results(tmp_path):
    two_checkpoints(tmp_path / "train")
    (tmp_path / "data").mkdir()
    for task, repeat in (("first", 2), ("second", 1)):
        problems = [make_problem(f"math__miniature_{task}__miniature", user("abc"[number % 3] * (1 + number % 7) + chr(100 + number)), "a")
                    for number in range(20 * 2 // repeat)]
        write_problems(tmp_path / "data" / f"math__{task}_x.parquet", problems * repeat)
    (tmp_path / "suite.yaml").write_text(SUITE)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"models": {"folder": str(tmp_path / "train"), "checkpoints": "all"}, "data": str(tmp_path / "data"),
                                  "suite": str(tmp_path / "suite.yaml"), "drain_seconds": 0.0}))
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
    assert [(facts[task]["rows"], facts[task]["problems"], facts[task]["samples"]) for task in facts] == [(40, 20, 120), (40, 40, 40)]
    assert document["facts"]["remarks"] == [f"second: {facts['second']['file']} has 40 rows, the suite expects 41: not the published file"]
    assert document["facts"]["remarks"][0] in done.stdout
    suite = {row.axes["checkpoint"]: row for row in found if row.metric == "suite_score"}
    assert set(suite) == {"epoch-1", "epoch-2"}
    means = {row.axes["task"]: row.value for row in found if row.metric == "accuracy" and row.axes["checkpoint"] == "epoch-1"
             and "task" in row.axes}
    assert suite["epoch-1"].value == pytest.approx(sum(means.values()) / 2)
    assert {row.axes["k"] for row in found if row.metric == "pass_at_k"} == {2, 4}
    assert {line["phase"] for line in read_progress(out)} == {"evaluate", "score"}
    assert [line["step"] for line in read_progress(out)] == sorted(line["step"] for line in read_progress(out))


def test_a_task_whose_every_prompt_is_too_long_has_rows_without_a_value():
    found = rows([], {"code": "codegen"}, {"checkpoint": "m"})
    assert {row.metric for row in found} >= {"accuracy", "no_answer_rate"}
    assert all(row.value is None and "every prompt is too long" in row.error for row in found)
