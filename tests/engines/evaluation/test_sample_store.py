"""Samples are made once, in a good order, whoever takes them, and survive every interruption."""

import json
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import checkpoints
from engines.contract.config import ConfigError
from engines.contract.files import read_lines
from engines.contract.progress import read_progress
from engines.contract.results import write_results
from engines.evaluation.__main__ import write_prompts
from engines.evaluation.inputs import Inputs, Model
from engines.evaluation.reuse import check_earlier_samples, differing, take_over
from engines.evaluation.sample_store import Sample
from engines.shared.data.problems import make_problem, user
from engines.shared.inference import Generation
from engines.shared.suites.items import Item
from engines.shared.suites.made import MADE, Made, write_made
from engines.shared.suites.suite import PLAIN
from tests.support.evaluation import config_of, coordinator_of, item, keys, samples_of, texts


def test_a_torn_last_line_is_cut_and_its_sample_is_made_again(tmp_path):
    items = [item("a"), item("b")]
    path = tmp_path / "generations" / "m" / "math.jsonl"
    path.parent.mkdir(parents=True)
    whole = {
        "item_id": items[0].problem.item_id,
        "sample": 0,
        "text": "x",
        "tokens": 3,
        "finish_reason": "stop",
    }
    path.write_text(json.dumps(whole) + "\n" + '{"item_id": "b", "sa')
    coordinator = coordinator_of(tmp_path, items)
    assert [(index, number) for index, number, _ in coordinator.take(9).requests] == [(1, 0)]
    assert path.read_text() == json.dumps(whole) + "\n"
    assert (coordinator.done, coordinator.total) == (1, 2)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_every_sample_is_made_once_whatever_takes_it_and_however_often_it_is_interrupted(
    tmp_path_factory, data
):
    out = tmp_path_factory.mktemp("out")
    items = [
        item(
            str(number),
            task=task,
            rows=data.draw(st.integers(1, 3)),
            temperature=1.0,
            samples_per_prompt=2,
        )
        for number, task in enumerate(["a", "a", "b"])
    ]
    wanted = Counter(
        (model, each.task, each.problem.item_id, number)
        for model in ("m", "n")
        for each in items
        for number in range(each.samples)
    )
    for _ in range(4):
        coordinator = coordinator_of(out, items, models=("m", "n"))
        coordinator.queue.workers = data.draw(st.integers(1, 3))
        for _ in range(data.draw(st.integers(1, 6))):
            chunk = coordinator.take(data.draw(st.integers(1, 7)))
            for sample in data.draw(st.permutations(samples_of(chunk)))[
                : data.draw(st.integers(0, 7))
            ]:  # the rest is lost
                coordinator.add(sample)
        coordinator.close()
    coordinator = coordinator_of(out, items, models=("m", "n"))
    while (chunk := coordinator.take(99)).requests:
        for sample in samples_of(chunk):
            coordinator.add(sample)
    coordinator.close()
    assert keys(out) == wanted


def test_a_samples_seed_depends_on_its_problem_and_number_alone(tmp_path):
    items = [item("a", samples_per_prompt=2), item("b", samples_per_prompt=2)]
    seeds = [
        {
            (index, number): request.seed
            for index, number, request in coordinator_of(tmp_path / str(turn), part)
            .take(9)
            .requests
        }
        for turn, part in enumerate((items, items[::-1]))
    ]
    assert len(set(seeds[0].values())) == 4
    assert seeds[0] == {(1 - index, number): seed for (index, number), seed in seeds[1].items()}


def test_the_longest_are_sent_first_by_what_the_suite_says_then_by_what_was_seen(tmp_path):
    items = [
        item("a", task="short"),
        item("b", task="long", expected_tokens=9000),
        item("c", task="short", expected_tokens=10),
        item("d", task="long", expected_tokens=9000),
    ]
    coordinator = coordinator_of(tmp_path, items, models=("m", "n"))
    first = coordinator.take(9)
    assert [items[index].problem.prompt[-1]["content"] for index, _, _ in first.requests] == [
        "d",
        "b",
        "a",
        "c",
    ]
    assert first.first_of_model
    for sample, tokens in zip(samples_of(first), (50, 40, 7, 800), strict=True):
        coordinator.add(Sample(sample.model, sample.item, sample.number, "x", tokens, "stop"))
    then = coordinator.take(9)
    assert (then.model, then.first_of_model) == (1, True)
    assert [items[index].problem.prompt[-1]["content"] for index, _, _ in then.requests] == [
        "c",
        "d",
        "b",
        "a",
    ]
    coordinator.close()


def test_several_processes_take_less_and_less_and_go_on_with_the_next_model_without_waiting(
    tmp_path,
):
    coordinator = coordinator_of(
        tmp_path, [item(str(number)) for number in range(40)], models=("m", "n")
    )
    coordinator.queue.workers = 2
    sizes = []
    while (chunk := coordinator.take(100, 0)).requests:
        sizes.append(len(chunk.requests))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1], sum(sizes)) == (10, 1, 40)
    assert coordinator.take(100).model == 1


def test_progress_says_speed_and_how_long_the_rest_takes(tmp_path):
    coordinator = coordinator_of(tmp_path, [item(str(number)) for number in range(4)])
    coordinator.began = time.monotonic() - 1000  # a busy machine takes some seconds
    for sample in samples_of(coordinator.take(1), tokens=10_000):
        coordinator.add(sample)
    coordinator.close()
    line = read_progress(tmp_path)[-1]
    assert (line["step"], line["total"], line["phase"]) == (1, 4, "evaluate")
    assert line["metrics"]["tokens_per_second"] == pytest.approx(10, rel=0.1)
    assert line["metrics"]["seconds_left"] == pytest.approx(3000, rel=0.1)


def test_samples_of_other_data_or_settings_are_not_mixed_and_speed_may_change(tmp_path):
    facts = {"math": {"sha256": "1", "settings": {"temperature": 0.0}}}
    check_earlier_samples(
        config_of(limit=7), tmp_path, [], facts
    )  # it died before the first sample
    check_earlier_samples(config_of(gpus_per_model=1), tmp_path, [], facts)
    (tmp_path / "generations/m").mkdir(parents=True)
    (tmp_path / "generations/m/math.jsonl").write_text("{}\n")
    check_earlier_samples(config_of(gpus_per_model=2, scoring_workers=3), tmp_path, [], facts)
    with pytest.raises(
        ConfigError, match=r"other settings \(limit\); put those back, or delete that folder"
    ):
        check_earlier_samples(config_of(limit=3), tmp_path, [], facts)
    with pytest.raises(ConfigError, match="the tasks and their files"):
        check_earlier_samples(
            config_of(), tmp_path, [], {"math": {"sha256": "2", "settings": {"temperature": 0.0}}}
        )


def test_samples_of_an_earlier_version_go_on_and_what_decides_none_of_them_may_change(tmp_path):
    facts = {"math": {"sha256": "1", "settings": PLAIN.model_dump()}}
    path = tmp_path / "settings.json"
    check_earlier_samples(config_of(probe_tolerance=0.05), tmp_path, [], facts)
    (tmp_path / "generations/m").mkdir(parents=True)
    (tmp_path / "generations/m/math.jsonl").write_text("{}\n")
    check_earlier_samples(config_of(probe_tolerance=0.1), tmp_path, [], facts)

    # As version 0.1.0 wrote it, before it knew of a key of the config and of one of the sampling.
    written = json.loads(path.read_text())
    for key in ("kv_cache_gb", "reuse", "drain_seconds", "scoring_seconds"):
        del written[key]
    del written["the tasks and their files"]["math"][1]["top_p"]
    path.write_text(json.dumps(written))
    check_earlier_samples(config_of(), tmp_path, [], facts)
    assert json.loads(path.read_text())["scoring_seconds"] == 10.0

    path.write_text(json.dumps(written))
    with pytest.raises(ConfigError, match=r"other settings \(scoring_seconds\); put those back"):
        check_earlier_samples(config_of(scoring_seconds=20.0), tmp_path, [], facts)


def test_samples_of_the_same_weights_files_and_settings_are_taken_over_and_others_are_not(tmp_path):
    items, versions = (
        [
            item("a", temperature=0.5, samples_per_prompt=2),
            item("b", temperature=0.5, samples_per_prompt=2),
        ],
        {"vllm": "1"},
    )
    manifest = checkpoints.Manifest(
        name="epoch-1", step=1, epoch=1, format="huggingface", fingerprint="f", metrics={}
    )
    there = coordinator_of(
        tmp_path / "there", items, models=[Model("as-called-there", tmp_path, manifest)]
    )
    for sample in samples_of(there.take(3)):
        there.add(sample)
    there.close()
    facts = {"math": {"sha256": "s", "settings": {"temperature": 0.5, "metric": "accuracy"}}}
    write_results(
        tmp_path / "there",
        "evaluation",
        config_of(),
        [],
        1.0,
        {
            "checkpoints": [{"name": "as-called-there", "fingerprint": "f"}],
            "tasks": facts,
            "versions": versions,
        },
    )
    mine = Model("epoch-1", tmp_path, manifest)

    def taken(name, seed=0, changed=facts, with_=versions, model=mine):
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        reuse = [str(tmp_path / "nowhere"), str(tmp_path / "there"), str(out)]
        said = take_over(
            Inputs(config_of(seed=seed, reuse=reuse), out, [model], items), changed, with_
        )
        return said, coordinator_of(out, items, models=[model]).done

    said, done = taken("here")
    assert done == 3
    assert said == [
        f"epoch-1: 3 samples were reused from {tmp_path / 'there'}: the same weights, "
        "files and settings"
    ]
    assert taken("here") == (said, 3)
    other_file, other_settings = (
        {"math": {**facts["math"], **change}}
        for change in ({"sha256": "t"}, {"settings": {"temperature": 1.0}})
    )
    assert (
        taken("b", seed=1)
        == taken("c", changed=other_file)
        == taken("d", changed=other_settings)
        == ([], 0)
    )
    assert taken("e", with_={"vllm": "2"}) == ([], 0)
    assert taken(
        "f", model=Model("epoch-1", tmp_path, manifest.model_copy(update={"fingerprint": "g"}))
    ) == ([], 0)
    rest = coordinator_of(tmp_path / "here", items, models=[mine])
    assert [each[:2] for each in rest.take(9).requests] == [
        each[:2] for each in there.take(9).requests
    ]


def test_samples_of_the_training_are_taken_over_where_they_are_the_same(tmp_path):
    items = [item("a"), item("b")]
    train = tmp_path / "train"
    manifest = checkpoints.Manifest(
        name="epoch-1", step=1, epoch=1, format="huggingface", fingerprint="f", metrics={}
    )
    model = Model("epoch-1", tmp_path, manifest)
    facts = {"math": {"sha256": "s", "settings": {**PLAIN.model_dump(), "scorer": None}}}
    versions = {"torch": "1", "transformers": "1", "vllm": "1"}
    made = Made(
        seed=0,
        versions={"torch": "1", "transformers": "1"},
        sampler="transformers",
        checkpoints={"f": "epoch-1"},
        tasks=facts,
    )
    drawn = [(one, 0, Generation((7, 1), (), "x", "stop")) for one in items]
    write_made(train / MADE, made, "epoch-1", drawn)

    def taken(name, changed=facts, with_=versions, **values):
        out = tmp_path / name
        out.mkdir()
        models = {"folder": str(train), "checkpoints": "all"}
        inputs = Inputs(config_of(models=models, **values), out, [model], items)
        said = take_over(inputs, changed, with_)
        return said, coordinator_of(out, items, models=[model]).done, differing(inputs, changed)

    said, done, other = taken("here")
    assert (done, other) == (2, [])
    assert said[0].endswith("files and settings, drawn by the training itself (transformers)")
    assert texts(tmp_path / "here") == {("epoch-1", "math", one, 0): "x" for one in items_of(items)}
    assert taken("seed", seed=1)[1] == 0
    assert taken("version", with_={**versions, "torch": "2"})[1] == 0
    longer = {"math": {"sha256": "t", "settings": {**facts["math"]["settings"], "top_p": 0.5}}}
    assert taken("longer", changed=longer)[1:] == (
        0,
        [
            "math: what the training drew (evaluate_here) is not reused: top_p 1.0, here 0.5; "
            "another file"
        ],
    )


def items_of(items):
    return [one.problem.item_id for one in items]


def test_the_start_of_each_prompt_is_kept_for_reading(tmp_path):
    problem = make_problem(
        "math__x", [{"role": "system", "content": "be brief"}, *user("why? " * 300)], "1"
    )
    write_prompts(tmp_path, [Item("math", problem, (1, 2), "math")])
    kept = read_lines(tmp_path / "problems.jsonl")
    assert kept == [{"task": "math", "item_id": problem.item_id, "prompt": ("why? " * 300)[:500]}]
