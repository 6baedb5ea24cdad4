"""The results of a run as text for people: of many the metrics with their ranges, of few or asked
for by name each value.

In: tidy rows, or the settings of a sweep. Out: lines of text. Called by `orch results`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from engines.contract.tidy import Tidy
from jobs.ranking import Setting, varying
from orchestrator.views.tables.columns import Column, Kind, numbers, value_text
from orchestrator.views.tables.drawing import Screen, draw, drawn_lines, sentence
from orchestrator.views.tables.folding import counted, range_text, values_of

ROUND_THE_TABLES = 6
"""Lines of a terminal that the tables do not have."""
NUMBERS = ("low", "high", "spread", "n")
"""What a row has beside its value."""
NO_VALUE = "–"
"""In the column of an axis that a row does not have, such as the task of a mean over tasks."""
Point = tuple[tuple[str, str], ...]
"""Axes with their values as text."""


def results_lines(
    run: str, rows: Sequence[Tidy], screen: Screen, every: bool = False
) -> list[Text]:
    """All results.

    Args:
        run: Its name.
        screen: On one that all values do not fit on, each metric has a line in their place.
        every: Each value, however many there are.
    """
    jobs = {row.job for row in rows}
    metrics = {row.row.metric for row in rows}
    size = f"{counted(len(rows), 'result')} of {counted(len(jobs), 'job')}"
    head = f"{run}  {size}, {counted(len(metrics), 'metric')}"
    lines = sentence(head, screen, style="bold")
    if not rows:
        return lines
    tables = list(value_tables(rows, screen))
    length = sum(len(table) + 1 for table in tables)
    is_long = screen.height is not None and length > screen.height - ROUND_THE_TABLES
    if is_long and not every:
        lines += [Text(), *drawn_lines(summary_columns(rows), screen), Text()]
        told = "one metric: --metric NAME    one stage: --job NAME    each value: --all, --csv FILE"
        return lines + sentence(told, screen, style="dim")
    for table in tables:
        lines += [Text(), *table]
    return lines


def summary_columns(rows: Sequence[Tidy]) -> list[Column]:
    """A row for each metric, below one with the name of its stage: how many values between which,
    told apart by what."""
    names, lines = [], []
    before = None
    for (stage, metric), group in by_metric(rows).items():
        if stage != before:
            names.append(stage)
            lines.append(("", "", ""))
        before = stage
        values = [one.row.value for one in group]
        missing = sum(value is None for value in values)
        by = ", ".join(varying_axes(group))
        names.append(f"  {metric}")
        lines.append(
            (
                f"{len(group):,}",
                range_text(values),
                f"{by}; {missing:,} without a value" if missing else by,
            )
        )
    counts, ranges, axes = zip(*lines, strict=True)
    return [
        Column(
            name="metric",
            kind=Kind.WHOLE,
            cells=tuple(names),
            styles=tuple("" if name.startswith(" ") else "bold" for name in names),
        ),
        Column(name="rows", kind=Kind.NUMBER, cells=counts),
        Column(name="values", kind=Kind.NUMBER, cells=ranges),
        Column(name="by", kind=Kind.PROSE, cells=axes, priority=1, floor=14),
    ]


def by_metric(rows: Sequence[Tidy]) -> dict[tuple[str, str], list[Tidy]]:
    """The rows of each metric of each stage; stages in the order in which they come."""
    stages = list(dict.fromkeys(row.stage for row in rows))
    groups: dict[tuple[str, str], list[Tidy]] = {}
    for row in rows:
        groups.setdefault((row.stage, row.row.metric), []).append(row)
    # Sorting is stable: metrics stay in their order within a stage.
    return dict(sorted(groups.items(), key=lambda item: stages.index(item[0][0])))


def varying_axes(rows: Sequence[Tidy]) -> list[str]:
    """The axes in which some rows differ; one that only some of them have is among them."""
    found = values_of([row.axes for row in rows])
    of_all = {axis for axis in found if all(axis in row.axes for row in rows)}
    return [axis for axis, values in found.items() if len(values) > 1 or axis not in of_all]


def value_tables(rows: Sequence[Tidy], screen: Screen) -> Iterator[list[Text]]:
    """Each value: of a stage the metrics that are known of the same points side by side."""
    alike: dict[tuple[str, tuple[Point, ...], str | None], dict[str, list[Tidy]]] = {}
    for (stage, metric), group in by_metric(rows).items():
        points = tuple(point_of(row) for row in group)
        # What has an interval, or was counted of unlike numbers, has a table of its own.
        alone = metric if has_interval(group) or len(set(points)) < len(points) else None
        alike.setdefault((stage, points, alone), {})[metric] = group
    for (stage, _, _), metrics in alike.items():
        columns = value_columns(metrics)
        drawn = draw(columns, screen)
        title = Text(stage, style="bold")
        if len(metrics) == 1:
            title.append(f"  {next(iter(metrics))}")
        yield [title, *drawn.lines, *drawn.notes]


def point_of(row: Tidy) -> Point:
    """What tells a row apart from the others of its metric."""
    axes = tuple((axis, value_text(value)) for axis, value in sorted(row.axes.items()))
    # Jobs of one stage differ in their axes, but for stages of one job.
    return axes or (("job", row.job),)


def has_interval(group: Sequence[Tidy]) -> bool:
    """Whether rows have more than a value and the one number of things it was counted of."""
    several = len({row.row.n for row in group}) > 1
    return several or any(row.low is not None or row.row.spread is not None for row in group)


def value_columns(metrics: Mapping[str, Sequence[Tidy]]) -> list[Column]:
    """The axes of some points, then the values of each metric there."""
    first = next(iter(metrics.values()))
    axes = values_of([row.axes for row in first])
    columns = []
    for axis in axes:
        # An empty cell would mean: as above.
        cells = tuple(value_text(row.axes.get(axis)) or NO_VALUE for row in first)
        columns.append(Column(name=axis, kind=Kind.AXIS, cells=cells))
    for metric, group in metrics.items():
        # The name of a table's only metric stands above it.
        name = metric if len(metrics) > 1 else "value"
        values = numbers([row.row.value for row in group])
        columns.append(Column(name=name, kind=Kind.NUMBER, cells=values))
    if len(metrics) == 1:
        columns += number_columns(first)
    else:
        columns.append(size_column(list(metrics.values())))
    columns.append(error_column(list(metrics.values())))
    return columns


def number_columns(group: Sequence[Tidy]) -> Iterator[Column]:
    """Interval, spread and number of things of a metric."""
    for priority, name in enumerate(NUMBERS, start=4):
        values: list[float | None] = []
        for row in group:
            value = getattr(row, name) if name in ("low", "high") else getattr(row.row, name)
            values.append(None if name == "n" and value == 1 else value)
        # All of one number: a table of its own says it once.
        kind = Kind.TEXT if name == "n" and len(set(values)) == 1 else Kind.NUMBER
        decimals = 0 if name == "n" else 4
        yield Column(name=name, kind=kind, cells=numbers(values, decimals), priority=priority)


def size_column(groups: Sequence[Sequence[Tidy]]) -> Column:
    """Of how many things values that stand side by side were counted, if of one number."""
    sizes = {row.row.n for group in groups for row in group}
    # A single number was counted of nothing.
    text = str(sizes.pop()) if len(sizes) == 1 and sizes != {1} else ""
    cells = (text,) * len(groups[0])
    return Column(name="n", kind=Kind.TEXT, cells=cells, priority=7)


def error_column(groups: Sequence[Sequence[Tidy]]) -> Column:
    """Why values are missing; each reason of a row once."""
    cells = []
    for rows in zip(*groups, strict=True):
        reasons = [row.row.error or "unknown" for row in rows if row.row.value is None]
        cells.append("; ".join(dict.fromkeys(reasons)))
    return Column(name="no value", kind=Kind.PROSE, cells=tuple(cells), priority=2, floor=16)


def best_lines(stage: str, metric: str, settings: Sequence[Setting], screen: Screen) -> list[Text]:
    """The settings of one stage, the best one first; axes that are the same in all are left
    out."""
    title = f"{stage}, by {metric}; n: how many seeds, spread: their standard deviation"
    has_best = settings and settings[0].values
    ranks = ("best" if has_best else "", *([""] * (len(settings) - 1)))
    columns = [Column(name="", kind=Kind.STATE, cells=ranks, styles=("green",) * len(ranks))]
    for axis in varying(settings):
        cells = tuple(value_text(one.axes.get(axis)) for one in settings)
        columns.append(Column(name=axis, kind=Kind.KEY, cells=cells))
    columns += [
        Column(name="mean", kind=Kind.NUMBER, cells=numbers([one.mean for one in settings])),
        Column(name="n", kind=Kind.NUMBER, cells=tuple(str(len(one.values)) for one in settings)),
        Column(
            name="spread",
            kind=Kind.NUMBER,
            cells=numbers([one.spread for one in settings]),
            priority=4,
        ),
        Column(
            name="missing",
            kind=Kind.PROSE,
            cells=tuple(missing_text(one) for one in settings),
            priority=2,
            floor=20,
        ),
    ]
    return [*sentence(title, screen, style="dim"), *drawn_lines(columns, screen)]


def missing_text(setting: Setting) -> str:
    """The jobs of a setting that have no value, with the reason of the first."""
    missing = [f"{tried.job}: {tried.why}" for tried in setting.tried if tried.value is None]
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{missing[0]}{more}" if missing else ""
