"""The frozen table of real cities.

In: ``table.csv`` beside this file, which ``scripts/cities.py`` makes. Out: its rows. Worlds are
made of them. The table holds the cities of at least 100,000 people, one per cell of 0.1 degree (the
most populous; of equals the smaller geonameid), the most populous first; coordinates are tenths of
a degree, rounded half to even on the double ``10 * degrees``. A city's key is its geonameid: 57
pairs of name and country occur more than once.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from importlib import resources

LEAST_POPULATION = 100_000
MOST = 5_446
"""Cities in the table."""
PUBLISHED = 5_075
"""Cities of the published world. Its list is of another year; here they are the most populous."""

ATTRIBUTION = (
    "City data: GeoNames (https://www.geonames.org/), CC BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/); changed: cities of at least 100,000 people, "
    "one per cell of 0.1 degree, coordinates rounded to 0.1 degree; Atlantis is invented."
)
"""What every manifest, map and page that shows the cities says."""


@dataclass(frozen=True)
class City:
    """One row of the table."""

    geonameid: int
    """Negative for a city of Atlantis."""
    name: str
    country: str
    """ISO code of two letters; ``NA`` is Namibia."""
    continent: str
    """Code of two letters of GeoNames; ``NA`` is North America."""
    x: int
    """Longitude in tenths of a degree, -1800 to 1800."""
    y: int
    """Latitude in tenths of a degree, -900 to 900."""
    population: int


COLUMNS = tuple(field.name for field in fields(City))


def format_table(cities: Iterable[City]) -> str:
    """The rows as CSV with a head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(city) for city in cities)
    return text.getvalue()


def parse_table(text: str) -> list[City]:
    """The rows of what ``format_table`` wrote, in their order."""
    return [
        # The csv module leaves every field a text, so that NA stays NA.
        City(
            geonameid=int(row["geonameid"]),
            name=row["name"],
            country=row["country"],
            continent=row["continent"],
            x=int(row["x"]),
            y=int(row["y"]),
            population=int(row["population"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    ]


def packaged(name: str) -> str:
    """The text of a file beside this one."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def read_table() -> list[City]:
    """All cities of the frozen table, the most populous first."""
    return parse_table(packaged("table.csv"))
