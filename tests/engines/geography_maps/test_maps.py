"""The engine on a model whose map was put in by hand, on one that knows nothing, and as a
program."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from engines.contract import checkpoints
from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError, load_config
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import read_progress
from engines.contract.results import Row, read_results
from engines.geography_evaluation.config import Config as Evaluation
from engines.geography_evaluation.evaluation import evaluate
from engines.geography_maps.cities import parts_of
from engines.geography_maps.config import Config
from engines.geography_maps.maps import make_maps
from engines.geography_maps.probes import Cities, fitted, probe_rows, shuffled
from engines.geography_maps.states import id_digits
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import initial
from engines.shared.geography.questions.origin import note_origin
from tests.support.city_questions import make_data, save_model
from tests.support.planted_map import SHAPE, band, planted

FRESH = Shape(width=16, layers=2, heads=2, feed_forward=24)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted model with its data and its map."""
    folder = tmp_path_factory.mktemp("known")
    world = band()
    make_data(folder / "data", world, rows=300, tasks=["compass"])
    save_model(folder / "train", SHAPE, planted(world))
    (folder / "maps").mkdir()
    config = Config(
        model=CheckpointSource(folder=str(folder / "train")),
        data=str(folder / "data"),
        task="compass",
    )
    make_maps(config, folder / "maps", Stop())
    return folder


def rows_of(folder: Path) -> list[Row]:
    return read_results(folder / "maps")[0]


def value(rows: list[Row], metric: str, **axes: object) -> float:
    found = [row for row in rows if row.metric == metric and row.axes == axes]
    assert len(found) == 1, (metric, axes, found)
    assert found[0].value is not None, found[0].error
    return found[0].value


def test_the_planted_model_answers_every_question_right_and_beats_the_constant(
    known: Path, tmp_path: Path
) -> None:
    config = Evaluation(
        model=CheckpointSource(folder=str(known / "train")),
        data=str(known / "data"),
        tasks=["compass"],
    )
    evaluate(config, tmp_path, Stop())
    rows = read_results(tmp_path)[0]
    for cities in ("no_atlantis", "atlantis_required"):
        axes = {"task": "compass", "cities": cities, "split": "test"}
        assert value(rows, "answer_accuracy", **axes) == 1
        assert value(rows, "constant_accuracy", **axes) < 0.7
        assert value(rows, "beats_constant", **axes) == 1
    assert value(rows, "beats_constant", task="compass") == 1


def test_probes_read_the_planted_map_and_the_controls_read_nothing(known: Path) -> None:
    rows = rows_of(known)
    for coordinate in ("x", "y"):
        assert value(rows, "probe_r2", coordinate=coordinate) > 0.9999
        # Behind the first layer the places are there, in the embedding of a digit they are not.
        for layer, low, high in ((0, -1, 0.2), (1, 0.9999, 1), (2, 0.9999, 1)):
            axes = {"layer": layer, "region": "world", "coordinate": coordinate}
            trained = value(rows, "probe_r2", network="trained", control="none", **axes)
            assert low <= trained <= high
            assert value(rows, "probe_r2", network="untrained", control="none", **axes) < 0.2
            assert value(rows, "probe_r2", network="trained", control="shuffled", **axes) < 0.2
        assert (
            value(rows, "probe_r2", control="id_digits", region="world", coordinate=coordinate)
            < 0.2
        )


def test_atlantis_is_found_and_stands_beside_the_error_of_its_own_mean(known: Path) -> None:
    rows = rows_of(known)
    assert value(rows, "probe_distance", region="atlantis") < 0.1
    # Eight cities, 20 apart in a row: 10, 30, 50 and 70 from their middle.
    assert value(rows, "centre_distance", region="atlantis") == pytest.approx(40, abs=0.1)
    assert value(rows, "centre_distance", region="world") > 500
    assert not any(
        row.metric == "probe_r2" and row.axes.get("region") == "atlantis" for row in rows
    )


def test_answers_follow_the_planted_map_along_the_probe_and_along_nothing_else(
    known: Path,
) -> None:
    rows = rows_of(known)
    at = {"layer": 1, "coordinate": "x"}
    for metric in ("causal_share", "causal_slope"):
        assert value(rows, metric, direction="probe", **at) == pytest.approx(1, abs=0.05)
        assert value(rows, metric, direction="random", **at) < 0.2
        assert value(rows, metric, coordinate="x") == value(rows, metric, direction="probe", **at)
    # The model compares x alone: it has y in its states and does not use it.
    assert value(rows, "causal_share", coordinate="y") == 0
    # 300 is less than the spread of x and far more than that of y, which is what "move" is for.
    move = read_results(known / "maps")[1]["facts"]["move"]["1"]
    assert move["x"] < 1
    assert move["y"] > 10
    # The embedding of a digit knows no place, so there is no direction and no number.
    first = [row for row in rows if row.metric == "causal_share" and row.axes.get("layer") == 0]
    assert len(first) == 4
    assert all(row.error is not None and "reads nothing" in row.error for row in first)
    # Nothing looks at the last layer's other tokens.
    assert not any(row.metric == "causal_share" and row.axes.get("layer") == 2 for row in rows)


def test_files_say_what_is_in_them(known: Path) -> None:
    world, out = band(), known / "maps"
    with safe_open(out / "representations.safetensors", "numpy") as file:
        states, said = file.get_tensor("states"), file.metadata()
    assert (states.shape, str(states.dtype)) == ((168, 2, 3, 64), "float32")
    assert json.loads(said["layers"]) == [0, 1, 2]
    assert said["task"] == "compass"
    table = list(csv.DictReader((out / "cities.csv").open(encoding="utf-8")))
    assert len(table) == len(world)
    counts = {name: sum(line["part"] == name for line in table) for name in
              ("fit", "test", "atlantis", "left_out")}  # fmt: skip
    facts = read_results(out)[1]["facts"]
    assert counts == {
        "fit": facts["fitted"],
        "test": facts["judged"],
        "atlantis": facts["atlantis"],
        "left_out": facts["left_out"],
    }
    assert counts["left_out"] == int((world.ids < 1000).sum()) > 0
    for row, line in enumerate(table):
        assert (int(line["row"]), int(line["x"])) == (row, world.cities[row].x)
        assert (line["part"] == "left_out") == (len(str(world.ids[row])) < 4)
        assert float(line["predicted_x"]) == pytest.approx(world.cities[row].x, abs=1)
    drawing = (out / "map.svg").read_text()
    for words in ("GeoNames", "Atlantis (not fitted)", "Africa", "R² 1.00 (x)"):
        assert words in drawing
    assert [line["phase"] for line in read_progress(out)] == [
        "states",
        "probes",
        "causal check",
        "picture",
    ]


def test_ids_that_tell_the_place_are_found_out() -> None:
    """The detector of leaks: ids dealt from west to east."""
    world = make_world(300, 0, 4)
    ids = np.empty(300, np.int32)
    ids[np.argsort(world.x)] = 1000 + 30 * np.arange(300)
    for each, low, high in ((world, -1, 0.2), (World(world.cities, ids, world.atlantis), 0.8, 1)):
        config = Config(model=CheckpointSource(folder="m"), data="d")
        cities = Cities(np.stack([each.x, each.y], axis=1), parts_of(each, config))
        digits = id_digits(each.ids)
        rows = probe_rows(fitted(digits, cities), digits, cities, {})
        assert low < value(rows, "probe_r2", region="world", coordinate="x") < high


def test_the_split_is_the_same_for_all_models_and_the_shuffle_keeps_the_places() -> None:
    world = make_world(200, 10, 5)
    config = Config(model=CheckpointSource(folder="m"), data="d")
    parts = parts_of(world, config)
    assert (parts == parts_of(world, config.model_copy(update={"seed": 9, "task": "angle"}))).all()
    assert (parts != parts_of(world, config.model_copy(update={"split_seed": 9}))).any()
    eligible = int(((world.ids >= 1000) & ~world.atlantis).sum())
    assert (parts == "fit").sum() == round(0.75 * eligible)
    assert (parts == "test").sum() == eligible - round(0.75 * eligible)
    cities = Cities(np.stack([world.x, world.y], axis=1), parts)
    dealt = shuffled(cities, np.random.default_rng(0))
    used = np.isin(parts, ["fit", "test"])
    assert sorted(map(tuple, dealt.places[used])) == sorted(map(tuple, cities.places[used]))
    assert (dealt.places[used] != cities.places[used]).any(axis=1).mean() > 0.9


def test_a_model_that_learned_nothing_has_no_map(tmp_path: Path) -> None:
    make_data(tmp_path / "data", make_world(120, 10, 6), tasks=["distance"])
    save_model(tmp_path / "train", FRESH, initial(FRESH, [3], 0.1))
    (tmp_path / "maps").mkdir()
    config = Config(
        model=CheckpointSource(folder=str(tmp_path / "train")), data=str(tmp_path / "data")
    )
    make_maps(config, tmp_path / "maps", Stop())
    rows = rows_of(tmp_path)
    for coordinate in ("x", "y"):
        assert value(rows, "probe_r2", coordinate=coordinate) < 0.25
    shares = [row for row in rows if row.metric == "causal_share" and not row.axes.get("layer")]
    # No answer of it can be read, which is a reason and not a share of 0.
    assert shares
    assert all(row.value is None for row in shares)


def test_what_cannot_be_done_is_one_clear_line(tmp_path: Path) -> None:
    make_data(tmp_path / "data", make_world(5, 2, 1), tasks=["distance"], rows=4)
    save_model(tmp_path / "train", FRESH, initial(FRESH, [0], 0.1))
    config = Config(
        model=CheckpointSource(folder=str(tmp_path / "train")), data=str(tmp_path / "data")
    )
    with pytest.raises(ConfigError, match="give it more cities"):
        make_maps(config, tmp_path, Stop())
    make_data(tmp_path / "more", make_world(60, 2, 1), tasks=["distance"], rows=4)
    more = config.model_copy(update={"data": str(tmp_path / "more"), "layers": [1, 3]})
    with pytest.raises(ConfigError, match="layers: 3 asked for"):
        make_maps(more, tmp_path, Stop())
    stop = Stop()
    stop.requested = True
    with pytest.raises(Interrupted):
        make_maps(more.model_copy(update={"layers": [1]}), tmp_path, stop)
    note_origin(checkpoints.named(tmp_path / "train", "last").model, tmp_path / "data")
    with pytest.raises(ConfigError, match="holds another world"):
        make_maps(more, tmp_path, Stop())
    assert not (tmp_path / "results.json").exists()
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.model_dump() | {"layers": [2, 1]}))
    with pytest.raises(ConfigError, match="ascending"):
        load_config(path, Config)


def test_the_program_ends_with_0_and_2(known: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    values = {
        "model": {"folder": str(known / "train")},
        "data": str(known / "data"),
        "task": "compass",
        "layers": [1],
        "causal_questions": 0,
    }
    path.write_text(json.dumps(values))
    command = [sys.executable, "-m", "engines.geography_maps", str(path), "--out"]
    done = subprocess.run(
        [*command, str(tmp_path / "out")], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rows = read_results(tmp_path / "out")[0]
    assert value(rows, "probe_r2", coordinate="x") > 0.9999
    assert not any(row.metric.startswith("causal") for row in rows)
    path.write_text(json.dumps(values | {"model": {"folder": str(tmp_path / "none")}}))
    bad = subprocess.run(
        [*command, str(tmp_path / "bad")], capture_output=True, text=True, check=False, timeout=120
    )
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
