"""A plain table: a list with a dictionary per row, which pandas or polars take as it is.

In: rows, all with the same keys. Out: the same, or a data frame of a library that the user has
installed; the product needs neither. Called by ``orchestrator.api.loaded``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.errors import RunError


class Table(list[dict[str, Any]]):
    """Rows with the same keys; what a row does not have is None."""

    def columns(self) -> list[str]:
        """The keys of the rows, in their order."""
        return list(self[0]) if self else []

    def column(self, name: str) -> list[Any]:
        """The values of one column. RunError names the columns there are."""
        if self and name not in self[0]:
            raise RunError(f"no column '{name}'; there are: {', '.join(self.columns())}")
        return [row[name] for row in self]

    def where(self, **values: Any) -> Table:
        """The rows in which these columns have these values: ``where(stage="train", seed=0)``."""
        return Table(
            row for row in self if all(row.get(name) == value for name, value in values.items())
        )

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``. RunError where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise RunError("to_pandas() needs pandas; run: pip install pandas") from error
        return pandas.DataFrame(list(self))

    def to_polars(self) -> Any:
        """A ``polars.DataFrame``. RunError where polars is not installed."""
        try:
            import polars
        except ImportError as error:
            raise RunError("to_polars() needs polars; run: pip install polars") from error
        # All rows, not the first hundred: a column may be empty for long, or become a float late.
        return polars.DataFrame(list(self), infer_schema_length=None, strict=False)


def with_axes(rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Table:
    """Rows from pairs of own columns and axes, all with the same keys: an axis that a row does not
    have is None, one that is called like a column gets ``axis_`` in front (as in ``orch
    results``)."""
    pairs = list(rows)
    own = dict.fromkeys(name for row, _ in pairs for name in row)
    axes = sorted({name for _, point in pairs for name in point})
    table = Table()
    for row, point in pairs:
        whole: dict[str, Any] = dict.fromkeys(own) | dict(row)
        for name in axes:
            whole[f"axis_{name}" if name in own else name] = point.get(name)
        table.append(whole)
    return table
