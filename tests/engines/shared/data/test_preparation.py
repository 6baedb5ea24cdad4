"""`orch data prepare`: splits without a problem in common, the same again for the same request,
nothing overwritten."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.data.preparation import (
    Dropped,
    check_disjoint,
    prepare,
    prepared,
    split_files,
    task_files,
    write_prepared,
)
from engines.shared.data.problem_files import read_problems, write_problems
from engines.shared.data.problems import Problem, content_key, make_problem, user
from tests.support.cli import orch
from tests.support.counted import ends_of
from tests.support.paths import DATA


def sums(numbers: Iterable[int], source: str = "math__x") -> list[Problem]:
    return [
        make_problem(source, user(f"What is {number}+1?"), str(number + 1)) for number in numbers
    ]


def write_guru(folder: Path) -> Path:
    """A folder as GURU's: three training files of two domains, and an evaluation file that must not
    be touched."""
    (folder / "train").mkdir(parents=True)
    (folder / "offline_eval").mkdir()
    again = [
        make_problem("math__y", user("what IS\n3+1?"), "4"),
        make_problem("math__y", user("What is 4+1?"), "five"),
    ]
    write_problems(folder / "train" / "math__one_30.parquet", sums(range(30)))
    write_problems(folder / "train" / "math__two_12.parquet", [*sums(range(30, 40)), *again])
    write_problems(
        folder / "train" / "logic__grids_20.parquet",
        [
            make_problem(
                "logic__grids", user(f"Grid {n}"), [[n]] if n % 2 else {"rows": [[str(n)]]}
            )
            for n in range(20)
        ],
    )
    write_problems(folder / "offline_eval" / "math__math_500.parquet", sums(range(1000, 1005)))
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_a_guru_folder_becomes_splits_counted_hashed_and_without_a_problem_in_common(
    tmp_path: Path,
) -> None:
    guru, out = write_guru(tmp_path / "guru"), tmp_path / "out"
    done = orch(
        None, "data", "prepare", str(guru), "--out", str(out), "--validation", "5", "--test", "4"
    )
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["math", "31", "5", "4", "2", "1"] in words
    assert ["logic", "11", "5", "4", "0", "0"] in words
    assert ["all", "42", "10", "8", "2", "1"] in words
    manifest = json.loads((out / "data.json").read_text())
    assert {path.name for path in out.iterdir()} == {"data.json", *manifest["files"]}
    assert len(manifest["files"]) == 6
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == entry["sha256"]
        assert len(read_problems(out / name)) == entry["problems"]
    keys = [
        content_key(problem) for name in manifest["files"] for problem in read_problems(out / name)
    ]
    assert len(keys) == len(set(keys)) == 60
    raw = {
        problem.item_id for path in (guru / "train").iterdir() for problem in read_problems(path)
    }
    assert {
        problem.item_id for name in manifest["files"] for problem in read_problems(out / name)
    } < raw


def test_the_same_call_again_changes_nothing_and_a_copy_of_the_source_is_the_same_source(
    tmp_path: Path,
) -> None:
    guru, out = write_guru(tmp_path / "guru"), tmp_path / "out"
    ends = ends_of(lambda: prepare(str(guru), out, 2, 2, 0))
    assert ends == {
        "hashing the files of tasks": (2, 2),
        "reading logic__grids_20.parquet": (20, 20),
        "reading math__one_30.parquet": (30, 30),
        "reading math__two_12.parquet": (12, 12),
        "writing logic.train.parquet": (16, 16),
        "writing logic.validation.parquet": (2, 2),
        "writing logic.test.parquet": (2, 2),
        "writing math.train.parquet": (36, 36),
        "writing math.validation.parquet": (2, 2),
        "writing math.test.parquet": (2, 2),
    }
    before = contents(out)
    assert prepare(str(guru), out, 2, 2, 0)[1] is True
    guru.rename(tmp_path / "moved")
    assert prepare(str(tmp_path / "moved"), out, 2, 2, 0)[1] is True
    assert contents(out) == before


@pytest.mark.parametrize(
    ("validation", "test", "seed", "says"),
    [
        (3, 2, 0, r"was prepared with validation 2 \(now 3\): give another --out"),
        (2, 0, 1, r"was prepared with seed 0 \(now 1\), test 2 \(now 0\): give"),
    ],
)
def test_other_parameters_into_the_same_folder_are_one_error(
    tmp_path: Path, validation: int, test: int, seed: int, says: str
) -> None:
    guru, out = write_guru(tmp_path / "guru"), tmp_path / "out"
    prepare(str(guru), out, 2, 2, 0)
    before = contents(out)
    with pytest.raises(ConfigError, match=says):
        prepare(str(guru), out, validation, test, seed)
    with pytest.raises(
        ConfigError, match=r"was prepared with source 'files' \(now 'miniature'\)|other raw files"
    ):
        prepare("miniature", out, None, None, 0)
    write_problems(guru / "train" / "math__two_12.parquet", sums(range(50, 60)))
    with pytest.raises(ConfigError, match="was prepared with other raw files: give another --out"):
        prepare(str(guru), out, 2, 2, 0)
    assert contents(out) == before


def test_files_that_are_not_ours_or_were_changed_are_left_alone(tmp_path: Path) -> None:
    write_problems(tmp_path / "math.train.parquet", sums(range(3)))
    with pytest.raises(
        ConfigError, match=r"has math\.train\.parquet and no data\.json: nothing is overwritten"
    ):
        prepare("miniature", tmp_path, 1, 1, 0)
    out = tmp_path / "out"
    prepare("miniature", out, 1, 1, 0)
    write_problems(out / "math.test.parquet", sums(range(3)))
    with pytest.raises(ConfigError, match=r"math\.test\.parquet: is not what was prepared; delete"):
        prepare("miniature", out, 1, 1, 0)
    (out / "data.json").write_text("{")
    with pytest.raises(ConfigError, match=r"data\.json: cannot be read"):
        prepare("miniature", out, 1, 1, 0)


def test_miniature_files_are_those_of_the_engine_and_a_training_can_read_them(
    tmp_path: Path,
) -> None:
    from engines.miniature.__main__ import write_data
    from engines.miniature.config import Config
    from engines.shared.data.contamination import data_files
    from engines.shared.data.miniature import DOMAINS, splits

    done = orch(None, "data", "prepare", "miniature", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    default = Config()
    sizes = {
        "train": default.train_problems,
        "validation": default.validation_problems,
        "test": default.test_problems,
    }
    write_data(tmp_path / "engine", {domain: splits(domain, sizes, 0) for domain in DOMAINS})
    for path in (tmp_path / "engine").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    assert list(data_files(str(tmp_path / "out"), "train")) == list(DOMAINS)


def test_too_few_problems_are_one_line(tmp_path: Path) -> None:
    guru = write_guru(tmp_path / "guru")
    done = orch(
        None,
        "data",
        "prepare",
        str(guru),
        "--out",
        str(tmp_path / "out"),
        "--validation",
        "15",
        "--test",
        "5",
    )
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("orch: ")] == [
        "orch: task logic: 20 different problems are too few for 15 of validation, 5 of "
        "test and one of "
        "training; ask for fewer with --validation and --test"
    ]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    with pytest.raises(
        ConfigError, match="the domain science has not 224 different problems; ask for fewer"
    ):
        prepare("miniature", tmp_path / "out", 100, 60, 0)


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(range(24)),
    cut=st.integers(1, 23),
    validation=st.integers(0, 6),
    test=st.integers(0, 6),
    seed=st.integers(0, 9),
)
def test_a_problems_place_depends_on_seed_and_content_alone(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    cut: int,
    validation: int,
    test: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("order")
    write_problems(folder / "a.parquet", sums(order[:cut]))
    write_problems(folder / "b.parquet", sums(order[cut:]))
    write_problems(folder / "c.parquet", sums(range(24)))
    parts, dropped = split_files(
        {"math": [folder / "a.parquet", folder / "b.parquet"]}, validation, test, seed
    )
    whole, _ = split_files({"math": [folder / "c.parquet"]}, validation, test, seed)
    assert parts == whole
    assert [len(parts["math"][split]) for split in ("train", "validation", "test")] == [
        24 - validation - test,
        validation,
        test,
    ]
    assert dropped == {"math": Dropped()}
    check_disjoint(parts)


def test_a_problem_in_two_tasks_stays_in_the_first_and_is_counted(tmp_path: Path) -> None:
    write_problems(tmp_path / "a.parquet", sums(range(6)))
    write_problems(
        tmp_path / "b.parquet",
        [*sums(range(4, 9)), make_problem("b__x", user("WHAT is  0+1?"), "other")],
    )
    parts, dropped = split_files(
        {"b": [tmp_path / "b.parquet"], "a": [tmp_path / "a.parquet"]}, 1, 1, 0
    )
    assert dropped == {"a": Dropped(), "b": Dropped(duplicates=3, contradictions=1)}
    assert {task: sum(map(len, splits.values())) for task, splits in parts.items()} == {
        "a": 6,
        "b": 3,
    }


def test_what_is_written_is_looked_at_first(tmp_path: Path) -> None:
    parts = {
        "a": {"train": sums([1, 2]), "test": []},
        "b": {"train": sums([3]), "test": [make_problem("b__x", user("what is 2+1? "), "")]},
    }
    with pytest.raises(ValueError, match=r"'what is 2\+1\? ' is in a\.train and in b\.test"):
        write_prepared(tmp_path / "out", {}, parts, {})
    assert prepared(tmp_path / "out", {}) is None


def test_a_mapping_names_the_tasks_with_one_file_or_several(tmp_path: Path) -> None:
    guru = write_guru(tmp_path / "guru")
    mapping = tmp_path / "tasks.yaml"
    mapping.write_text(
        "sums: [guru/train/math__one_30.parquet, guru/train/math__two_12.parquet]\n"
        "grids: guru/train/logic__grids_20.parquet\n"
    )
    manifest, _ = prepare(str(mapping), tmp_path / "out", 2, 0, 0)
    assert {name: entry["problems"] for name, entry in manifest["files"].items()} == {
        "grids.train.parquet": 18,
        "grids.validation.parquet": 2,
        "sums.train.parquet": 38,
        "sums.validation.parquet": 2,
    }
    assert task_files(str(guru))["math"] == [
        guru / "train" / "math__one_30.parquet",
        guru / "train" / "math__two_12.parquet",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no mapping"),
        ("a: []", "neither a file nor a list"),
        ("a: {b: c}", "neither a file nor a list"),
        ("../a: x", "cannot name a task"),
        ("a: absent.parquet", "absent.parquet is not there"),
        ("a: [", "tasks.yaml:1: not YAML"),
        ("a: x.parquet\na: y.parquet", "tasks.yaml:2: key 'a' is here twice"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    # Places are relative to the working folder, which is that of the command below.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        prepare(str(tmp_path / "tasks.yaml"), tmp_path / "out", 0, 0, 0)
    done = orch(tmp_path, "data", "prepare", tmp_path / "tasks.yaml", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == f"orch: {' '.join(str(caught.value).split())}\n"


def test_a_data_set_of_the_hub_is_read_from_this_machines_cache_without_a_network(
    tmp_path: Path,
) -> None:
    """The cache is laid out as the hub's own library lays it out."""
    commit = "0" * 39 + "1"
    cached = tmp_path / "hub" / "datasets--some--guru"
    write_guru(cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    done = orch(
        None,
        "data",
        "prepare",
        "some/guru",
        "--out",
        str(tmp_path / "out"),
        "--validation",
        "1",
        "--test",
        "1",
        HF_HUB_CACHE=str(tmp_path / "hub"),
        HF_HUB_OFFLINE="1",
    )
    assert done.returncode == 0, done.stderr
    assert ["math", "38", "1", "1", "2", "1"] in [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "environment",
    [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}],
    ids=["offline", "unreachable"],
)
def test_a_data_set_that_cannot_be_fetched_is_one_line_with_the_command_to_run(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = orch(
        None,
        "data",
        "prepare",
        "some/guru",
        "--out",
        str(tmp_path / "out"),
        HF_HUB_CACHE=str(tmp_path / "hub"),
        **environment,
    )
    assert done.returncode == 2
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("orch: ")]
    assert "run: hf download some/guru --repo-type dataset --include 'train/*.parquet'" in said
    assert "Traceback" not in done.stderr


def test_neither_folder_nor_hub_name_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="no such folder, and no data set on the Hugging Face hub"
    ):
        prepare(str(tmp_path / "absent"), tmp_path / "out", None, None, 0)
    with pytest.raises(ConfigError, match="no <domain>__<data set>"):
        task_files(str(tmp_path))


def test_orch_loads_no_torch_for_it_and_no_pyarrow_before_it(tmp_path: Path) -> None:
    code = (
        "import sys; import orchestrator.cli.__main__, orchestrator.cli.commands.data, "
        "engines.shared.data.preparation\n"
        "heavy = {'torch', 'transformers', 'vllm', 'ray', 'numpy', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        f"sys.argv = ['orch', 'data', 'prepare', 'miniature', '--out', {str(tmp_path / 'out')!r}]\n"
        "try: orchestrator.cli.__main__.main()\nexcept SystemExit: pass\n"
        "print(sorted((heavy - {'numpy', 'pyarrow'}) & set(sys.modules)))"
    )
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[]", "[]"]
    assert (tmp_path / "out" / "data.json").is_file()


@pytest.mark.parametrize("name", ["math500.jsonl", "mbpp.jsonl"])
def test_a_published_benchmark_can_be_split_like_any_other_file(tmp_path: Path, name: str) -> None:
    if not (DATA / name).is_file():
        pytest.skip(f"{DATA / name} is not here")
    (tmp_path / "tasks.yaml").write_text(json.dumps({"task": str(DATA / name)}))
    manifest, _ = prepare(str(tmp_path / "tasks.yaml"), tmp_path / "out", 50, 100, 0)
    assert sum(entry["problems"] for entry in manifest["files"].values()) == 500
    assert manifest["dropped"]["task"] == {"duplicates": 0, "contradictions": 0}
