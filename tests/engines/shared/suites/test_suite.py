"""Suites are data: the published ones as published, a user's own in a few lines, files by the
beginning of their names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engines.contract.config import ConfigError
from engines.evaluation.aggregate import over_suite, pass_at_k_rows, rows
from engines.evaluation.config import Config
from engines.shared.data.preparation import file_hash
from engines.shared.data.problem_files import write_problems
from engines.shared.data.problems import make_problem, prompt_token_ids, user
from engines.shared.suites.items import read_items, remarks, task_files
from engines.shared.suites.suite import load_suite
from tests.support.paths import ROOT

ONLINE = {
    "aime": 240,
    "amc": 332,
    "math": 500,
    "humaneval": 164,
    "mbpp": 200,
    "livecodebench": 279,
    "supergpqa": 200,
    "arcagi1": 200,
    "zebra": 200,
    "ordering": 100,
    "codeio": 200,
    "hitab": 200,
    "multihier": 200,
}
REPEATED = {
    "aime",
    "humaneval",
    "livecodebench",
    "gpqa_diamond",
    "arcagi1",
    "zebra",
    "codeio",
    "multihier",
}
"""Tasks of which the leaderboard takes four samples a row."""


def config(**values: Any) -> Config:
    return Config.model_validate({"models": "m", "data": "d", **values})


def write_suite(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def write_rows(
    path: Path, count: int, source: str = "math__x", repeat: int = 1, prompt: str = "what is {}?"
) -> None:
    problems = []
    for number in range(count):
        # The right answer of a grid problem must be a grid.
        truth = [[number]] if source == "simulation__arcagi1" else str(number)
        problems.append(make_problem(source, user(prompt.format(number)), truth))
    write_problems(path, problems * repeat)


def tokenizer(bos: bool = False, template: str | None = None) -> Any:
    """One token per letter; with ``bos`` every text gets a beginning, as Llama's and Gemma's
    tokenizers do."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(32, 127)]
    inner = Tokenizer(
        models.WordLevel(
            {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", *letters])},
            unk_token="<unk>",
        )
    )
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        bos_token="<s>" if bos else None,
        eos_token="</s>",
    )
    made.chat_template = template
    return made


def test_the_online_suite_is_the_published_one() -> None:
    suite = load_suite("guru-online")
    assert {task: entry.rows for task, entry in suite.tasks.items()} == ONLINE
    assert sum(ONLINE.values()) == 3015
    assert {suite.settings(task).samples_per_prompt for task in suite.tasks} == {1}


def test_the_offline_suite_is_the_published_one() -> None:
    suite = load_suite("guru-offline")
    assert len(suite.tasks) == 19
    assert len({entry.group or task for task, entry in suite.tasks.items()}) == 17
    assert {
        task for task in suite.tasks if suite.settings(task).samples_per_prompt == 4
    } == REPEATED
    made = sum(
        (entry.rows or 1100) * suite.settings(task).samples_per_prompt
        for task, entry in suite.tasks.items()
    )
    assert made == 14749
    for task in suite.tasks:
        sampled = suite.settings(task)
        assert (sampled.temperature, sampled.top_p, sampled.metric) == (1.0, 0.7, "score")
        limits = (16384, 16384) if task == "arcagi1" else (4096, 28672)
        assert (sampled.max_prompt_tokens, sampled.max_response_tokens) == limits


def test_every_published_data_source_has_a_domain_and_a_scorer() -> None:
    from engines.shared.scoring.registry import kind_of

    for name in ("guru-online", "guru-offline"):
        for task, entry in load_suite(name).tasks.items():
            assert entry.domain in {
                "math",
                "codegen",
                "stem",
                "logic",
                "simulation",
                "table",
                "ood",
            }, task
            assert kind_of("simulation__arcagi1" if task == "arcagi1" else entry.prefixes[0])


def test_a_suite_of_ones_own_adds_to_another_and_changes_it_in_a_few_lines(tmp_path: Path) -> None:
    write_suite(tmp_path / "base.yaml", "include: guru-online\ndefaults: {temperature: 0.6}\n")
    suite = load_suite(
        write_suite(
            tmp_path / "mine.yaml",
            "include: base.yaml\ntasks:\n  aime: {samples_per_prompt: 8}\n"
            "  sums: {file: math__sums_, rows: 9, max_response_tokens: 64}\n",
        )
    )
    assert set(suite.tasks) == {*ONLINE, "sums"}
    assert suite.tasks["aime"].rows == 240
    assert (suite.settings("aime").samples_per_prompt, suite.settings("aime").temperature) == (
        8,
        0.6,
    )
    assert suite.settings("sums").max_response_tokens == 64


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tasks: {a: {file: x, rows: 1}}\ntasks: {}\n", "key 'tasks' is here twice"),
        ("include: mine.yaml\n", "includes itself"),
        ("include: guru-onlin\n", "there is no 'guru-onlin', did you mean 'guru-online'"),
        (
            "tasks: {a: {file: x, sampels_per_prompt: 2}}\n",
            r"unknown key 'tasks\.a\.sampels_per_prompt'",
        ),
        ("tasks: {a: {rows: 3}}\n", r"no file for \['a'\]"),
        ("about: nothing\n", "no tasks"),
        ("[1]\n", "is no mapping"),
        (
            "tasks: {a: {file: x, temperature: -1}}\n",
            r"tasks\.a\.temperature: .*greater than or equal to 0, got -1",
        ),
    ],
)
def test_a_mistake_in_a_suite_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_suite(write_suite(tmp_path / "mine.yaml", text))


def test_a_wrong_suite_or_task_is_told_before_anything_is_submitted() -> None:
    with pytest.raises(ValidationError, match="did you mean 'guru-offline'"):
        config(suite="guru-ofline")
    with pytest.raises(
        ValidationError, match="the suite guru-online has no gpqa_diamond; it has aime, amc, math"
    ):
        config(suite="guru-online", tasks=["math", "gpqa_diamond"])


def test_an_edited_suite_is_another_evaluation_and_changes_none_that_was_planned_before(
    tmp_path: Path,
) -> None:
    path = write_suite(tmp_path / "mine.yaml", "tasks: {sums: {file: math__sums_, rows: 9}}\n")
    planned = config(suite=path)
    write_suite(
        tmp_path / "mine.yaml",
        "# the same in other words\ntasks:\n  sums:\n    file: math__sums_\n    rows: 9\n",
    )
    assert config(suite=path) == planned
    write_suite(
        tmp_path / "mine.yaml", "tasks: {sums: {file: math__sums_, rows: 9, temperature: 1.0}}\n"
    )
    kept = planned.model_dump(mode="json")
    assert Config.model_validate(kept) == planned != config(suite=path)
    assert config(suite=path).whole_suite().settings("sums").temperature == 1.0
    other = write_suite(
        tmp_path / "other.yaml", "tasks: {products: {file: math__products_, rows: 9}}\n"
    )
    assert list(Config.model_validate({**kept, "suite": other}).whole_suite().tasks) == ["products"]
    assert set(Config.model_validate({**kept, "suite": "guru-online"}).whole_suite().tasks) == set(
        ONLINE
    )
    with pytest.raises(ValidationError, match=r"the suite .*mine\.yaml has no math; it has sums"):
        config(suite=path, tasks=["math"])


def test_what_the_config_says_holds_for_all_tasks_also_after_it_was_written_to_a_file(
    tmp_path: Path,
) -> None:
    for task in ONLINE:
        (tmp_path / f"{load_suite('guru-online').tasks[task].prefixes[0]}9.parquet").touch()
    asked = config(
        suite="guru-online", data=str(tmp_path), temperature=0.0, tasks=["arcagi1", "aime"]
    )
    again = Config.model_validate(json.loads(json.dumps(asked.model_dump(mode="json"))))
    for each in (asked, again):
        files = task_files(each)
        assert [file.task for file in files] == ["arcagi1", "aime"]
        assert {(file.settings.temperature, file.settings.top_p) for file in files} == {(0.0, 0.7)}
        assert [file.settings.max_response_tokens for file in files] == [16384, 28672]
    (tmp_path / "math.test.parquet").touch()
    plain = task_files(config(data=str(tmp_path)))[0].settings
    assert (
        plain.samples_per_prompt,
        plain.temperature,
        plain.max_prompt_tokens,
        plain.max_response_tokens,
    ) == (1, 0.0, 4096, 4096)


def test_files_are_found_by_prefix_whatever_number_their_names_promise(tmp_path: Path) -> None:
    (tmp_path / "online_eval").mkdir()
    for name in (
        "math__math_499",
        "logic__zebra_puzzle_dataset_300",
        "math__mathematics_3",
        "simulation__arcagi1_200",
    ):
        (tmp_path / "online_eval" / f"{name}.parquet").touch()
    (tmp_path / "online_eval" / "math__math_readme.txt").touch()
    found = {
        file.task: file
        for file in task_files(
            config(suite="guru-online", data=str(tmp_path), tasks=["math", "zebra", "arcagi1"])
        )
    }
    assert {task: file.path.name for task, file in found.items()} == {
        "math": "math__math_499.parquet",
        "zebra": "logic__zebra_puzzle_dataset_300.parquet",
        "arcagi1": "simulation__arcagi1_200.parquet",
    }
    assert found["arcagi1"].domain == "logic"
    assert found["math"].expected_rows == 500


def test_all_missing_tasks_are_one_error_that_names_what_looks_like_them(tmp_path: Path) -> None:
    (tmp_path / "logic__arcagi_400.parquet").touch()
    (tmp_path / "table__hitab_1k.parquet").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError) as caught:
        task_files(
            config(suite="guru-offline", data=str(tmp_path), tasks=["arcagi1", "hitab", "ifeval"])
        )
    text = str(caught.value)
    assert (
        "arcagi1: no file logic__arcagi1_* or simulation__arcagi1_* (there is "
        "logic__arcagi_400.parquet)" in text
    )
    assert "ifeval: no file ood__ifeval_*:" in text
    assert "hitab:" not in text
    assert "\n" not in text


def test_of_several_files_the_one_with_the_published_rows_is_taken_else_none(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path / "codegen__mbpp_200.parquet", 200, "codegen__mbpp")
    write_rows(tmp_path / "codegen__mbpp_500.parquet", 500, "codegen__mbpp")
    for suite, name in (
        ("guru-online", "codegen__mbpp_200.parquet"),
        ("guru-offline", "codegen__mbpp_500.parquet"),
    ):
        assert (
            task_files(config(suite=suite, data=str(tmp_path), tasks=["mbpp"]))[0].path.name == name
        )
    write_rows(tmp_path / "codegen__mbpp_new.parquet", 500, "codegen__mbpp")
    with pytest.raises(
        ConfigError,
        match=r"mbpp: codegen__mbpp_500\.parquet, codegen__mbpp_new\.parquet all fit; keep one",
    ):
        task_files(config(suite="guru-offline", data=str(tmp_path), tasks=["mbpp"]))
    named = {"mbpp": str(tmp_path / "codegen__mbpp_new.parquet")}
    assert (
        task_files(config(suite="guru-offline", data=named, tasks=["mbpp"]))[0].path.name
        == "codegen__mbpp_new.parquet"
    )
    with pytest.raises(ConfigError, match="names no file for math"):
        task_files(config(suite="guru-offline", data=named, tasks=["mbpp", "math"]))


def test_a_data_set_of_the_hub_is_read_from_this_machines_cache(tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "datasets--some--guru"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots" / "abc" / "online_eval").mkdir(parents=True)
    write_rows(cached / "snapshots" / "abc" / "online_eval" / "math__math_500.parquet", 2)
    code = (
        "import sys; from engines.evaluation import Config; from "
        "engines.shared.suites.items import task_files; from engines.contract.config import "
        "ConfigError\ntry: print(task_files(Config(models='m', data=sys.argv[1], "
        "suite='guru-online', tasks=['math']))[0].path)\n"
        "except ConfigError as error: print(error)"
    )

    def ask(name: str) -> str:
        environment = {
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.run(
            [sys.executable, "-c", code, name],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        ).stdout

    assert ask("some/guru").endswith("online_eval/math__math_500.parquet\n")
    assert "other/guru: no such folder, not in this machine's Hugging Face cache" in (
        told := ask("other/guru")
    )
    assert "--include 'online_eval/math__math_*'" in told


@pytest.fixture
def small(tmp_path: Path) -> Config:
    """A suite of two tasks in a folder with files of the wrong size, one of them repeated."""
    tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "logic__grids_12.parquet", 3, "simulation__arcagi1", repeat=4)
    write_rows(tmp_path / "data" / "sums.parquet", 11)
    suite = write_suite(
        tmp_path / "suite.yaml",
        "defaults: {temperature: 1.0, samples_per_prompt: 2}\ntasks:\n"
        "  grids: {file: logic__grids_, rows: 12}\n  sums: {file: sums, rows: 20}\n",
    )
    return config(suite=suite, data=str(tmp_path / "data"), models=str(tmp_path / "model"))


def test_repeated_rows_are_one_problem_with_more_samples(small: Config) -> None:
    items, facts = read_items(small, Path(str(small.models)))
    grids = [item for item in items if item.task == "grids"]
    assert [(item.rows, item.samples, item.domain, item.problem.domain) for item in grids] == [
        (4, 8, "logic", "simulation")
    ] * 3
    assert (facts["grids"]["rows"], facts["grids"]["problems"], facts["grids"]["samples"]) == (
        12,
        3,
        24,
    )
    greedy, _ = read_items(small.model_copy(update={"temperature": 0.0}), Path(str(small.models)))
    assert {item.samples for item in greedy} == {2}


def test_rows_hash_and_prompts_left_out_are_facts_and_said(small: Config) -> None:
    short = small.model_copy(update={"max_prompt_tokens": len("what is 7?")})
    items, facts = read_items(short, Path(str(small.models)))
    path = Path(str(small.data)) / "sums.parquet"
    assert sum(item.task == "sums" for item in items) == 10
    assert {
        key: facts["sums"][key]
        for key in ("file", "sha256", "rows", "expected_rows", "too_long_prompts")
    } == {
        "file": str(path),
        "sha256": file_hash(path),
        "rows": 11,
        "expected_rows": 20,
        "too_long_prompts": 1,
    }
    assert remarks(facts) == [
        f"sums: {path} has 11 rows, the suite expects 20: not the published file",
        "sums: 1 of 11 problems left out, with a prompt of more than 10 tokens",
    ]
    with pytest.raises(ConfigError, match="no problem has so short a prompt"):
        read_items(small.model_copy(update={"max_prompt_tokens": 3}), Path(str(small.models)))


def test_a_beginning_of_text_comes_once_from_template_tokenizer_or_text() -> None:
    adds = tokenizer(
        bos=True,
        template="{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}",
    )
    begin = adds.bos_token_id
    assert adds("a")["input_ids"] == [begin, adds.convert_tokens_to_ids("a"), adds.eos_token_id]
    templated = prompt_token_ids(make_problem("math__x", user("hi"), "1"), adds)
    assert templated == [begin, *(adds.convert_tokens_to_ids(letter) for letter in "user: hi")]
    for text in ("hi", "<s>hi"):
        plain = prompt_token_ids(
            make_problem("math__x", user(text), "1", apply_chat_template=False), adds
        )
        assert plain == [begin, *(adds.convert_tokens_to_ids(letter) for letter in "hi")]
    assert prompt_token_ids(
        make_problem("math__x", user("hi"), "1", apply_chat_template=False), tokenizer()
    ) == [adds.convert_tokens_to_ids(letter) for letter in "hi"]


def scored(task: str, item: str, value: float | None) -> dict[str, Any]:
    return {
        "task": task,
        "item_id": item,
        "value": value,
        "status": "ok",
        "detail": "",
        "tokens": 3,
        "finish_reason": "stop",
    }


def test_pass_at_k_doubles_up_to_the_samples_and_leaves_out_what_has_no_score() -> None:
    lines = [scored("a", "p", value) for value in (1.0, 0.5, 0.0, 0.0)] + [
        scored("a", "q", value) for value in (1.0, None, 1.0, 1.0)
    ]
    found = {row.axes["k"]: (row.value, row.n) for row in pass_at_k_rows(lines, {"task": "a"})}
    assert found == {2: (pytest.approx(0.5), 1), 4: (1.0, 1)}
    assert not [row for row in rows(lines, {"a": "math"}, {}) if row.metric == "pass_at_k"]
    assert [
        row for row in rows(lines, {"a": "math"}, {}, frozenset({"a"})) if row.metric == "pass_at_k"
    ]


def test_a_group_counts_once_in_the_suite_and_a_part_of_a_suite_has_no_score() -> None:
    lines = [scored("a", "1", 0.5), scored("b", "2", 0.0), scored("c", "3", 1.0)]
    metrics = {"a": "score", "b": "accuracy", "c": "accuracy"}
    groups = {"a": None, "b": "g", "c": "g"}
    found = rows(lines, dict.fromkeys("abc", "math"), {})
    assert over_suite(found, metrics, groups, "", {}).value == pytest.approx(
        (0.5 + (0.0 + 1.0) / 2) / 2
    )
    assert over_suite(found, metrics, {}, "", {}).value == pytest.approx(0.5)
    part = over_suite(found, metrics, groups, "only 3 of the 19 tasks", {})
    assert (part.value, part.error) == (None, "only 3 of the 19 tasks")
    unscored = rows([*lines[:2], scored("c", "3", None)], dict.fromkeys("abc", "math"), {})
    assert (
        over_suite(unscored, metrics, groups, "", {}).error == "c: no sample could be scored: ok: "
    )
    assert (
        over_suite(rows(lines[:2], dict.fromkeys("ab", "math"), {}), metrics, groups, "", {}).error
        == "c: no sample"
    )


def test_a_missing_task_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "math.test.parquet").touch()
    with pytest.raises(ConfigError, match="no test file for \\['logic'\\]"):
        task_files(config(data=str(tmp_path), tasks=["math", "logic"]))
