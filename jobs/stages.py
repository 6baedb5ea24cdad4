"""What tells the jobs of a stage apart: points of a matrix, names, folders, identities.

What goes in: the axes of a stage and the points of its parents. What comes out: one point per job,
and for a point its name, its arguments and the hash of what it does. Pure, no I/O. Called by the
planner and by whatever else makes jobs (`orch evolve`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Scalar = str | int | float | bool
Point = dict[str, Scalar]
"""What varies in one job: ``{"arm": "pcgrad", "seed": 0}``."""

Pair = tuple[Scalar, Scalar]
MOST_POINTS = 20_000
"""Of an experiment, before any is excluded: twice the jobs that Slurm's controller holds at its
default."""
PAIR_AXES = ("first", "second")
"""The two axes that the pairs of a stage give its jobs."""

IN_RUN = "{run}/"
"""How paths begin that lead into the folder of the run."""
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{([A-Za-z_]\w*)\}")
"""``{axis}`` in a command; ``{{word}}`` stands for a literal ``{word}``. Other braces are left
alone."""


def same(a: object, b: object) -> bool:
    """Equal in value and type: 1, 1.0 and true are three values."""
    return type(a) is type(b) and a == b


Values = tuple[tuple[type, Scalar], ...]
"""The values of a point on some axes; with their types, as to Python 1 and true are one."""


class Entries:
    """Entries of which each names values on some axes, such as those of ``exclude``: a point is
    looked up and not compared with each, as both may be thousands."""

    def __init__(self, entries: Iterable[Mapping[str, Scalar]]) -> None:
        self.numbers: dict[tuple[str, ...], dict[Values, list[int]]] = {}
        for number, entry in enumerate(entries):
            axes = tuple(sorted(entry))
            alike = self.numbers.setdefault(axes, {})
            alike.setdefault(values_on(entry, axes), []).append(number)

    def fitting(self, point: Mapping[str, Scalar]) -> list[int]:
        """The numbers of the entries all of whose values a point has, the first ones first."""
        found: list[int] = []
        for axes, alike in self.numbers.items():
            if all(axis in point for axis in axes):
                found += alike.get(values_on(point, axes), ())
        return sorted(found)


def values_on(point: Mapping[str, Scalar], axes: Iterable[str]) -> Values:
    """The values of a point on these axes."""
    return tuple((type(point[axis]), point[axis]) for axis in axes)


def fits(point: Point, wanted: Mapping[str, Scalar]) -> bool:
    """Whether a job has these values on these axes."""
    return all(axis in point and same(point[axis], value) for axis, value in wanted.items())


def points(
    matrix: Mapping[str, Sequence[Scalar]],
    exclude: Sequence[Mapping[str, Scalar]] = (),
    parents: Iterable[Point] = ({},),
    pairs: Sequence[Pair] = (),
    joined: Sequence[Sequence[Point]] = (),
) -> list[Point]:
    """The product of pairs, ``joined`` and axes for each parent's point, without what is excluded;
    the last axis varies fastest. Of a parent that has an axis of the pairs, the pairs with its
    value. ``joined``: sets of axes that vary together, each as the points that it has."""
    each = points_of_each(matrix, exclude, parents, pairs, joined)
    return list(itertools.chain.from_iterable(each))


def points_of_each(
    matrix: Mapping[str, Sequence[Scalar]],
    exclude: Sequence[Mapping[str, Scalar]] = (),
    parents: Iterable[Point] = ({},),
    pairs: Sequence[Pair] = (),
    joined: Sequence[Sequence[Point]] = (),
) -> Iterator[list[Point]]:
    """The same for each parent by itself."""
    of_matrix: list[Point] = []
    for values in itertools.product(*matrix.values()):
        of_matrix.append(dict(zip(matrix, values, strict=True)))
    product: list[Point] = []
    sets: list[Sequence[Point]] = [*joined, of_matrix]
    for parts in itertools.product(*sets):
        point: Point = {}
        for part in parts:
            point |= part
        product.append(point)
    both: list[Point] = [dict(zip(PAIR_AXES, pair, strict=True)) for pair in pairs] or [{}]
    by_first: dict[Values, list[Point]] = {}
    for pair in both if pairs else ():
        by_first.setdefault(values_on(pair, PAIR_AXES[:1]), []).append(pair)
    left_out = Entries(exclude)
    for parent in parents:
        found = []
        fitting = both
        if pairs and PAIR_AXES[0] in parent:
            fitting = by_first.get(values_on(parent, PAIR_AXES[:1]), [])
        for pair, own in itertools.product(fitting, product):
            # The parent's axes first, so that names and folders begin alike.
            point = {**parent, **pair, **own}
            # No pair changes what comes from the parent.
            if fits(point, parent) and not left_out.fitting(point):
                found.append(point)
        yield found


def ordered_pairs(values: Sequence[Scalar]) -> list[Pair]:
    """Every value with every other one, both ways round: 42 of 7."""
    return list(itertools.permutations(values, 2))


def unordered_pairs(values: Sequence[Scalar]) -> list[Pair]:
    """Every two values once, the one that is named first in front: 21 of 7."""
    return list(itertools.combinations(values, 2))


def literal(value: Scalar) -> str:
    """An axis' value as YAML writes it: ``true``, not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_text(value: Scalar) -> str:
    """An axis' value as it stands in a job's name: no spaces, commas or quotes, which shells and
    squeue would split."""
    return re.sub(r"[^A-Za-z0-9._+:@/-]", "_", literal(value))


def job_name(stage: str, point: Point) -> str:
    """``train/arm=pcgrad,seed=0``; a stage of one job is its own name."""
    if not point:
        return stage
    parts = [f"{axis}={value_text(value)}" for axis, value in point.items()]
    return f"{stage}/{','.join(parts)}"


def folder_names(names: Sequence[str]) -> dict[str, str]:
    """A readable, filesystem-safe, unique folder for each job name: ``train.arm-pcgrad_seed-0``.

    A name that is too long for a file system, or that reads like another one, gets eight digits of
    its hash.
    """
    plain = {}
    for name in names:
        # The first slash parts stage and point; any other is in a value, as in
        # model=Qwen/Qwen2.5-7B, and becomes "-".
        readable = name.replace("/", ".", 1).replace(",", "_")
        plain[name] = re.sub(r"[^A-Za-z0-9._+-]", "-", readable)
    # Compared without case: there are file systems that do not tell it apart.
    taken = Counter(folder.lower() for folder in plain.values())
    folders = {}
    for name, folder in plain.items():
        if taken[folder.lower()] > 1 or len(folder) > 100:
            # Most file systems take names of 255 bytes; shorter ones can still be read.
            folder = f"{folder[:80]}-{digest(name)[:8]}"
        folders[name] = folder
    return folders


def placeholders(argument: str) -> list[str]:
    """The axis names a command's argument asks for."""
    return [match[2] for match in PLACEHOLDER.finditer(argument) if match[2]]


def fill(arguments: Sequence[str], point: Point) -> tuple[str, ...]:
    """Put the point's values into a command's arguments. Each argument stays one argument: no shell
    sees it."""

    def text(match: re.Match[str]) -> str:
        if match[1]:
            return f"{{{match[1]}}}"
        return literal(point[match[2]])

    return tuple(PLACEHOLDER.sub(text, argument) for argument in arguments)


# The text must never change: identities of runs on disk hang on it. One encoder for all: to make
# one takes longer than to write a small config.
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def digest(value: object) -> str:
    """sha256 of the canonical JSON of ``value``: the order of keys does not count."""
    return hashlib.sha256(CANONICAL(value).encode()).hexdigest()


def identity(
    engine: str | None,
    command: Sequence[str] | None,
    config: Any,
    parents: Sequence[str],
    folders: Mapping[str, str],
    told: Point | None = None,
) -> str:
    """Hash of what decides a job's result; ``parents`` are the identities of the jobs it waits for.

    ``folders`` maps each job's folder (``{run}/jobs/x``) to its identity: a path into a folder
    counts as that identity, so the same work is the same in every run folder. ``told``: axes that a
    command is told by its environment alone.
    """
    decides: dict[str, Any] = {
        "engine": engine,
        "command": list(command) if command else None,
        "config": config,
        # Sorted: `after: [a, b]` waits for the same as `after: [b, a]`.
        "parents": sorted(parents),
    }
    # Without any it stays as it was: identities of runs on disk hang on it.
    if told:
        decides["told"] = told
    text = CANONICAL(decides)
    # Mostly no path leads into a job's folder, and then none need be looked for in each value.
    if f'"{IN_RUN}' in text:
        text = CANONICAL({**decides, "config": _abstract(config, folders)})
    return hashlib.sha256(text.encode()).hexdigest()


def _abstract(value: Any, folders: Mapping[str, str]) -> Any:
    """``value`` with every path below a job's folder replaced by that job's identity."""
    if isinstance(value, dict):
        return {key: _abstract(item, folders) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_abstract(item, folders) for item in value]
    if isinstance(value, str) and value.startswith(IN_RUN):
        parts = value.split("/")
        # {run}/jobs/train.seed-0/out/checkpoints: the first three parts name the job.
        folder = "/".join(parts[:3])  # {run}/jobs/NAME
        if folder in folders:
            return "/".join([f"<{folders[folder]}>", *parts[3:]])
    return value
