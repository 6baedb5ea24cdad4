"""The engine as a program: from a file or from the grammar, once, and the same for the same seed."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.contract import checkpoints
from engines.contract.program import program
from engines.contract.results import read_results
from engines.polychromic_data.__main__ import run as engine
from engines.polychromic_data.config import Config
from engines.polychromic_data.tokenizer import ROLES, make_tokenizer
from engines.shared.replies.checker import Replies, checker_of
from engines.shared.replies.description import SPLITS, Template
from engines.shared.replies.grammar import all_words, fault, first_words
from engines.shared.replies.prompts import end_token_id, prompt_token_ids, reply_token_ids
from engines.shared.replies.rows import read_manifest, read_split

SMALL = {"rows": 60, "base_steps": 3, "base_batch": 4, "hidden_size": 32, "heads": 1, "layers": 1}


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str, dict[str, Any]], tuple[int, str]]]:
    """Run the engine with a config; its exit code and what it said."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def start(folder: str, config: dict[str, Any]) -> tuple[int, str]:
        (tmp_path / "config.json").write_text(json.dumps(config))
        arguments = [str(tmp_path / "config.json"), "--out", str(tmp_path / folder)]
        code = program("polychromic_data", Config, engine, arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    yield start
    # The program takes over signals, which are pytest's.
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def tweets(path: Path, number: int = 80) -> Path:
    rows = [
        {
            "tweet_id": n,
            "tweet": f"What do you think of number {n // 2}?",
            "reply": f"I have liked {n} ever since my {n * n} days at school",
            "reply_likes": n % 17,
            "tweet_likes": 100,
        }
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_becomes_splits_a_manifest_and_counts(
    tmp_path: Path, run: Callable[[str, dict[str, Any]], tuple[int, str]]
) -> None:
    source = str(tweets(tmp_path / "tweets.jsonl"))
    config = {"source": source, "checker": {"name": "replies", "on_topic": {}}}
    assert run("out", config)[0] == 0
    out = tmp_path / "out"
    manifest = read_manifest(out)
    assert sum(manifest.counts.values()) == 80
    assert manifest.counts == {split: len(read_split(out, split)) for split in SPLITS}
    assert manifest.near_copies["same_texts_on_one_side"] == 40
    rows, document = read_results(out)
    told = {(row.metric, row.axes["split"]): row.value for row in rows}
    assert told["rows", "test"] == manifest.counts["test"]
    assert told["prompts", "train"] == manifest.counts["train"] / 2
    assert document["facts"]["near_copies"] == manifest.near_copies
    # The limit is from the training rows, of which the lowest twentieth fails.
    checker = checker_of(manifest, out)
    assert isinstance(checker, Replies)
    assert manifest.checker.on_topic.measured_with == "hashing-1024-v1"  # type: ignore[union-attr]
    checker.copies.clear()
    train = read_split(out, "train")
    failed = [row for row in train if checker.check(row, row.reply, complete=True)]
    assert 0 < len(failed) <= len(train) / 20 + 1
    assert "nothing to do" in run("out", config)[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "nowhere.jsonl"}, "nowhere.jsonl: cannot be read"),
        ({"fields": {"prompt": "text"}}, "tweets.jsonl:1: key 'text' is missing"),
        ({"shares": {"train": 0.9, "validation": 0.1, "test": 0.1}}, "must add up to 1, not 1.1"),
        ({"generate": {}}, "give exactly one of the two"),
        ({"checker": {"name": "grammar"}}, "grammar knows generated replies only"),
        ({"checker": {"name": "nobody"}}, "checker"),
        ({"source": None, "generate": {"hidden_size": 48}}, "multiple of 32"),
        ({"source": None, "generate": {"rows": 10_000_000}}, "less than or equal to 20000"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path,
    run: Callable[[str, dict[str, Any]], tuple[int, str]],
    change: dict[str, Any],
    message: str,
) -> None:
    config = {"source": str(tweets(tmp_path / "tweets.jsonl")), **change}
    code, said = run("out", config)
    assert code == 2
    assert message in said
    assert said.count("\n") == 1


def test_changed_splits_and_another_config_are_refused(
    tmp_path: Path, run: Callable[[str, dict[str, Any]], tuple[int, str]]
) -> None:
    config = {"source": str(tweets(tmp_path / "tweets.jsonl"))}
    run("out", config)
    out = tmp_path / "out"
    (out / "results.json").unlink()
    code, said = run("out", {**config, "seed": 1})
    assert code == 2
    assert "seed: 0, now 1" in said
    with (out / "splits" / "test.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(ValueError, match="was changed after it was made"):
        read_split(out, "test")


def test_generated_rows_come_with_a_base_model_that_loads_with_its_tokenizer(
    tmp_path: Path, run: Callable[[str, dict[str, Any]], tuple[int, str]]
) -> None:
    from transformers import AutoTokenizer

    config = {"generate": SMALL, "cpu_threads": 1}
    assert run("a", config)[0] == run("b", config)[0] == 0
    manifest = read_manifest(tmp_path / "a")
    assert manifest == read_manifest(tmp_path / "b")
    rows = [row for split in SPLITS for row in read_split(tmp_path / "a", split)]
    assert len(rows) == 60
    assert all(row.topic and fault(row.reply, row.topic) is None for row in rows)
    assert set(manifest.quartiles["train"]) == {"0", "1", "2", "3"}
    (base,) = checkpoints.select(tmp_path / "a", "last")
    (again,) = checkpoints.select(tmp_path / "b", "last")
    assert base.manifest.name == "base"
    assert base.manifest.fingerprint == again.manifest.fingerprint
    assert base.manifest.probe is not None
    # As everybody loads it: AutoTokenizer takes the tokenizer of any Qwen2 folder for Qwen2's.
    loaded = AutoTokenizer.from_pretrained(base.model)
    made = make_tokenizer(Template())
    for row in rows:
        assert prompt_token_ids(loaded, row.prompt, manifest.template) == prompt_token_ids(
            made, row.prompt, manifest.template
        )
        ids = reply_token_ids(loaded, row.reply)
        assert ids == reply_token_ids(made, row.reply)
        assert loaded.decode(ids, skip_special_tokens=True) == row.reply
        assert len(ids) == len(row.reply.split()) + 1
    # A stop between the base model and the results loses nothing.
    (tmp_path / "a" / "results.json").unlink()
    changed = base.path.stat().st_mtime_ns
    assert run("a", config)[0] == 0
    assert base.path.stat().st_mtime_ns == changed
    assert [row.axes for row in read_results(tmp_path / "a")[0]][-1] == {"moment": "base"}


def test_every_word_is_one_token_wherever_it_stands() -> None:
    tokenizer = make_tokenizer(Template(text="Answer this briefly: {prompt}"))
    for word in [*all_words(), "Answer", "briefly:"]:
        assert len(tokenizer(f" {word}")["input_ids"]) <= 1 + word.endswith(":"), word
    for word in [*first_words(), *ROLES]:
        assert len(tokenizer(word)["input_ids"]) == 1, word
    thinking_off = prompt_token_ids(tokenizer, "my soup is so great today", Template())
    assert tokenizer.decode(thinking_off) == (
        "<|im_start|>user my soup is so great today<|im_end|><|im_start|>assistant<think></think>"
    )
    assert tokenizer.convert_ids_to_tokens(end_token_id(tokenizer)) == "<|im_end|>"
    assert (
        tokenizer.decode(tokenizer("un\u00e9 \U0001f600?")["input_ids"]) == "un\u00e9 \U0001f600?"
    )
