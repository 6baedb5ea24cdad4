"""The engine that makes the data, its files, and the mixtures that are read from them."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import read_progress
from engines.contract.results import read_results
from engines.geography_data.config import Config
from engines.geography_data.making import make
from engines.shared.geography.description import SPLITS, Cities, Part, Split
from engines.shared.geography.questions.geometry import answers
from engines.shared.geography.questions.hold_out import hold_out
from engines.shared.geography.questions.store import (
    count_distinct,
    mixture,
    read_manifest,
    read_set,
    read_world,
    set_folder,
    tokens,
)
from engines.shared.geography.tasks import TASKS, TaskName
from tests.support.paths import ROOT

SMALL = {
    "cities": 60,
    "atlantis": 10,
    "sets": {
        "no_atlantis": {"train": 800, "validation": 16, "test": 64},
        "atlantis_required": {"train": 300, "validation": 8, "test": 32},
    },
}


def config(**changes: object) -> Config:
    return Config.model_validate({**SMALL, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make(config(), folder, Stop())
    return folder


def command(config_file: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "engines.geography_data", str(config_file), "--out", str(out)]


def files_of(folder: Path) -> dict[str, str]:
    """Hash of every file that tells no time."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("world", "sets", "held_out.json")
        for path in [folder / part, *(folder / part).rglob("*")]
        if path.is_file()
    }


def test_everything_asked_for_is_there_and_answers_are_those_of_the_world(data: Path) -> None:
    world = read_world(data)
    assert (len(world), world.real) == (70, 60)
    for task, kind in TASKS.items():
        for cities, rows in config().sets.items():
            for split in SPLITS:
                questions = read_set(data, task, cities, split)
                assert len(questions) == rows.model_dump()[split]
                assert questions.cities.shape[1] == kind.most
                assert (questions.cities.dtype, questions.answers.dtype) == (np.int32, np.int32)
                for count, places in questions.by_count():
                    columns = np.ascontiguousarray(questions.cities[places, :count].T)
                    asked = answers(task, world.x, world.y, columns)
                    assert (asked == questions.answers[places]).all()
    assert len(list((data / "sets").iterdir())) == 14


def test_manifests_carry_hashes_counts_constants_and_the_attribution(data: Path) -> None:
    world = read_manifest(data / "world")
    for task in TASKS:
        path = set_folder(data, task, "atlantis_required")
        manifest = read_manifest(path)
        assert manifest["world"] == world["sha256"]
        assert "GeoNames" in manifest["attribution"]
        assert manifest["splits"]["test"]["rows"] == 32
        for name, expected in manifest["sha256"].items():
            assert hashlib.sha256((path / name).read_bytes()).hexdigest() == expected
        assert len(manifest["sha256"]) == 6
    assert "CC BY 4.0" in (data / "world" / "ATTRIBUTION.md").read_text()
    held_out = json.loads((data / "held_out.json").read_text())
    assert held_out["unordered_pairs"]["no_atlantis"] == {
        "train": 1558,
        "validation": 35,
        "test": 177,
    }


def test_results_give_the_best_constant_of_every_split(data: Path) -> None:
    rows, document = read_results(data)
    assert len(rows) == 14 * 3
    for row in rows:
        task, cities, split = (str(row.axes[axis]) for axis in ("task", "cities", "split"))
        manifest = read_manifest(set_folder(data, task, cities))
        assert row.value == manifest["splits"][split]["best_constant"]["score"]
        assert (row.metric == "constant_accuracy") == (manifest["score"] == "accuracy")
        if task in ("inside", "crossing"):
            assert row.value is not None
            assert abs(row.value - 0.5) <= 3 / row.n + 1e-9
    assert document["facts"]["of_atlantis"] == 10
    assert [line["step"] for line in read_progress(data)] == list(range(1, 15))


def test_the_same_config_gives_the_same_data_in_every_version(data: Path) -> None:
    """If this fails on purpose, or because a new numpy draws other numbers: data that is made from
    now on differs from all that was made before, and the change belongs in the changelog."""
    arrays = sorted(
        (name, digest) for name, digest in files_of(data).items() if name.endswith((".npy", ".csv"))
    )
    assert hashlib.sha256(json.dumps(arrays).encode()).hexdigest() == (
        "09bceedad4973a9195823f3fa94af20fc0dd925a3102b92848b6aa49050cae8b"
    )


@pytest.mark.parametrize("python_hash_seed", ["1", "2"])
def test_another_process_makes_the_same_files(
    data: Path, tmp_path: Path, python_hash_seed: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    done = subprocess.run(
        command(tmp_path / "config.json", tmp_path / "out"),
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": python_hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "out") == files_of(data)


def test_a_set_is_the_same_whichever_others_are_made(data: Path, tmp_path: Path) -> None:
    one = config(tasks=["inside"], sets={"atlantis_required": SMALL["sets"]["atlantis_required"]})  # type: ignore[index]
    make(one, tmp_path, Stop())
    for name in ("train.cities.npy", "test.answers.npy"):
        path = Path("sets") / "inside.atlantis_required" / name
        assert (tmp_path / path).read_bytes() == (data / path).read_bytes()


def test_a_stopped_start_keeps_its_sets_and_another_makes_the_rest(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.geography_data import making

    stop, made = Stop(), []

    def watched(*arguments: object) -> None:
        made.append(arguments)
        stop.requested = len(made) == 5
        original(*arguments)  # type: ignore[arg-type]

    original = making.make_set
    monkeypatch.setattr(making, "make_set", watched)
    with pytest.raises(Interrupted, match="5 of 14 sets are made"):
        make(config(), tmp_path, stop)
    assert len(list((tmp_path / "sets").iterdir())) == 5
    assert not (tmp_path / "results.json").exists()
    # What a kill in the middle of a set leaves behind is dropped.
    (tmp_path / "sets" / ".perimeter.no_atlantis.tmp").mkdir()
    make(config(), tmp_path, Stop())
    assert len(made) == 14
    assert files_of(tmp_path) == files_of(data)


def test_a_folder_of_another_config_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match=r"world: was made with another config \(seed: 42, now 1"):
        make(config(seed=1), data, Stop())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cities": 5_447}, "less than or equal to 5446"),
        ({"tasks": ["angle", "angle"]}, "names a task twice: angle"),
        ({"atlantis": 0}, "there can be no set but no_atlantis"),
        ({"sets": {}}, "name at least one of each"),
        ({"sets": {"everywhere": {}}}, "no_atlantis"),
    ],
)
def test_bad_configs_are_refused_in_words(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)


@pytest.mark.parametrize("kind", ["no_atlantis", "atlantis_required", "with_atlantis"])
@pytest.mark.parametrize("task", ["distance", "perimeter"])
@pytest.mark.parametrize("split", SPLITS)
def test_a_config_asks_for_as_many_pairs_as_the_world_gives_and_for_none_more(
    tmp_path: Path, kind: Cities, task: TaskName, split: Split
) -> None:
    shares = {"validation_share": 0.07, "test_share": 0.13}
    pairs = hold_out(14, 5, 42, (0.07, 0.13)).pairs
    first, end = {
        "no_atlantis": (0, 14 * 13 // 2),
        "atlantis_required": (14 * 13 // 2, len(pairs)),
        "with_atlantis": (0, len(pairs)),
    }[kind]
    there = int((pairs[first:end] == SPLITS.index(split)).sum())
    # A quarter of the perimeters are of two cities, and one more where rows do not divide by 4.
    most = there if task == "distance" else 4 * there
    rows = {"train": 1, "validation": 1, "test": 1, split: most}
    values = {"cities": 14, "atlantis": 5, "tasks": [task], **shares}
    make(Config.model_validate({**values, "sets": {kind: rows}}), tmp_path, Stop())
    line = (
        f"{task}.{kind}, {split}: {there + 1} different pairs of cities asked for; of the "
        f"{end - first} pairs {there} are for {split}"
    )
    with pytest.raises(ValueError, match=line):
        Config.model_validate({**values, "sets": {kind: {**rows, split: most + 1}}})


def test_too_many_pairs_end_the_program_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("cities: 200\ntasks: [distance]\n")
    done = subprocess.run(
        command(tmp_path / "config.yaml", tmp_path / "out"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "1000000 different pairs of cities asked for; of the 19900 pairs 17512" in done.stderr


def test_a_set_that_is_not_there_is_named_with_those_that_are(data: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no set angle\.with_atlantis; it holds angle\.atlantis_"
    ):
        read_set(data, "angle", "with_atlantis", "test")


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read as data of the engine geography_data"):
        read_world(tmp_path)


def test_a_changed_world_is_refused(tmp_path: Path) -> None:
    make(config(tasks=["compass"]), tmp_path, Stop())
    path = tmp_path / "world" / "cities.csv"
    path.write_text(path.read_text().replace("Shanghai", "Atlantis"))
    with pytest.raises(ConfigError, match="was changed after it was made"):
        read_world(tmp_path)


def ftwb1(*tasks: str) -> list[Part]:
    """The published mixture of fine-tuning on some tasks, a hundredth of it."""
    return [
        Part.model_validate({"tasks": list(tasks), "cities": "no_atlantis", "rows": 200}),
        Part.model_validate({"tasks": list(tasks), "cities": "atlantis_required"}),
    ]


@pytest.mark.parametrize(
    ("tasks", "rows", "distinct"),
    [
        # 20,000 + 100,000 + 7 x 256, of which the 256 of the task are in its 100,000.
        (["angle"], 200 + 300 + 7 * 3, 200 + 300 + 6 * 3),
        (["angle", "compass"], 2 * (200 + 300) + 7 * 3, 2 * (200 + 300) + 5 * 3),
    ],
)
def test_mixtures_have_their_exact_counts(
    data: Path, tasks: list[str], rows: int, distinct: int
) -> None:
    blocks = mixture(data, ftwb1(*tasks), "required", 3, 0)
    assert sum(map(len, blocks)) == rows
    assert count_distinct(blocks) == distinct
    assert Counter(block.task for block in blocks)[tasks[0]] == 3
    assert tokens(read_world(data), blocks)[0].shape == (rows, 57)


def test_plain_warm_up_is_of_real_cities_alone_and_none_is_none(data: Path) -> None:
    world = read_world(data)
    parts = [Part(tasks=["angle"], rows=10)]
    plain = mixture(data, parts, "plain", 3, 0)
    assert [len(block) for block in plain] == [10] + [3] * 7
    for block in plain:
        assert not (world.atlantis[block.cities] & (block.cities >= 0)).any()
    assert [len(block) for block in mixture(data, parts, "none", 3, 0)] == [10]


def test_ordered_pairs_are_different_mixtures(data: Path) -> None:
    def pft(few: str, many: str) -> Counter[str]:
        parts = [
            Part.model_validate({"tasks": [few], "rows": 100}),
            Part.model_validate({"tasks": [many], "rows": 500}),
        ]
        return Counter({block.task: len(block) for block in mixture(data, parts, "none", 1, 42)})

    assert pft("angle", "compass") == {"angle": 100, "compass": 500}
    assert pft("compass", "angle") == {"angle": 500, "compass": 100}


def test_parts_of_one_set_share_no_row_and_mixtures_share_the_warm_up(data: Path) -> None:
    parts = [Part(tasks="all", rows=300), Part(tasks=["crossing"], rows=500)]
    blocks = mixture(data, parts, "none", 3, 7)
    assert count_distinct(blocks) == 7 * 300 + 500
    first, second = (
        mixture(data, ftwb1(task), "required", 3, 7)[2:] for task in ("angle", "compass")
    )
    for one, other in zip(first, second, strict=True):
        assert (one.cities == other.cities).all()
    moved = mixture(data, ftwb1("angle"), "required", 3, 8)[2:]
    assert any((one.cities != other.cities).any() for one, other in zip(first, moved, strict=True))


@pytest.mark.parametrize(
    ("parts", "warmup_rows", "message"),
    [
        ([{"tasks": ["angle"], "rows": 801}], 3, r"801 rows of angle\.no_atlantis asked for"),
        (
            [{"tasks": ["angle"]}, {"tasks": "all", "rows": 1}],
            3,
            "1 rows of angle.* and 800 before",
        ),
        ([{"tasks": ["angle"]}], 301, r"warmup_rows: 301 of distance\.atlantis_required"),
    ],
)
def test_more_rows_than_a_set_has_are_refused(
    data: Path, parts: list[dict[str, object]], warmup_rows: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        mixture(data, [Part.model_validate(part) for part in parts], "required", warmup_rows, 0)


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole world with the rows that the published fine-tunings take."""
    folder = tmp_path_factory.mktemp("full")
    sets = {"no_atlantis": {"train": 20_000}, "atlantis_required": {"train": 100_000}}
    make(Config.model_validate({"sets": sets}), folder, Stop())
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_published_mixture_of_one_task_at_full_size(full_size: Path, task: str) -> None:
    """121,792 rows, 121,536 different ones."""
    parts = [
        Part.model_validate({"tasks": [task], "rows": 20_000}),
        Part.model_validate({"tasks": [task], "cities": "atlantis_required", "rows": 100_000}),
    ]
    blocks = mixture(full_size, parts, "required", 256, 42)
    assert sum(map(len, blocks)) == 121_792
    assert count_distinct(blocks) == 121_536
