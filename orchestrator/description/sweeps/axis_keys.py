"""The keys of a stage that give it its jobs: axes, drawn values, a search, the best job of another
stage.

``keys.StageFile`` holds them; what they mean together is read by ``joined``. Names of axes and of
metrics are checked here too.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from engines.contract.written.nodes import GLANCE, shown
from jobs.stages import MOST_POINTS, Scalar
from orchestrator.description.checking import FileModel, Must, WordedError

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,99}$"
"""What may be the name of an experiment, a stage, a preset or an axis: part of names of folders."""
METRIC_NAME = r"^[A-Za-z][A-Za-z0-9_/.:@-]{0,199}$"
"""What a script may call a metric: frameworks write ``eval/loss`` and ``acc@5``."""


def is_name(value: object) -> bool:
    """Whether a key may be a name."""
    # Not `match`, whose `$` lets a line end pass.
    return isinstance(value, str) and re.fullmatch(NAME, value) is not None


def axis_name(value: Any) -> Any:
    """A key of ``matrix``."""
    if not is_name(value):
        raise WordedError(
            "axis {wrong} must be a word of letters, digits, '_' and '-', at most 100 of them",
            wrong=shown(value),
        )
    return value


def check_axis(value: Any) -> Any:
    """An axis is a list of values or a mapping of them, and has at least one."""
    if not isinstance(value, dict | list):
        raise WordedError(
            "axis '{key}' must be a list of values, got {value}; write [{plain}]",
            plain=str(value)[:GLANCE],
        )
    if not value:
        raise WordedError(
            "axis '{key}' is empty, so the stage has no job; give it a value or take it out"
        )
    return value


def axis_value(value: Any) -> Any:
    """One value of an axis."""
    # The value becomes part of the job's name, and fills `{axis}` in a command.
    if not isinstance(value, Scalar):
        raise WordedError(
            "axis '{path[1]}': {wrong} is no text, number or boolean; "
            "give such values names: {{name: {{key: value}}}}",
            wrong=shown(value),
        )
    return value


def check_axis_config(value: Any) -> Any:
    """What a value of an axis brings, where the axis is written as a mapping."""
    if value is not None and not isinstance(value, dict):
        raise WordedError(
            "axis '{path[1]}', value {path[2]}: must bring a mapping of config keys, got {value}"
        )
    return value


def metric_name(value: Any) -> Any:
    """A metric; whether the judged stage has it is known when that stage is."""
    if not isinstance(value, str) or re.fullmatch(METRIC_NAME, value) is None:
        raise WordedError(
            "metric {wrong} must be a name of letters, digits and '_/.:@-', at most 200 of them",
            wrong=shown(value),
        )
    return value


Axis = Annotated[
    Annotated[list[Annotated[Scalar, BeforeValidator(axis_value)]], Tag("a list")]
    | Annotated[
        dict[Scalar, Annotated[dict[str, Any] | None, BeforeValidator(check_axis_config)]],
        Tag("a mapping"),
    ],
    # Without it pydantic tries both branches, and a mistake in one is told as a mistake in both.
    Discriminator(lambda value: "a mapping" if isinstance(value, dict) else "a list"),
    # The outermost, so it runs first and may word that the value is neither.
    BeforeValidator(check_axis),
]


MOST_EXACT = 2**53
"""Whole numbers up to here are exact as floats, which draws are made of."""


def limits(value: Any) -> Any:
    """The two ends of a range, the lower one first."""
    numbers = isinstance(value, list) and len(value) == 2
    numbers = numbers and all(type(one) in (int, float) and math.isfinite(one) for one in value)
    # As the numbers that are drawn: two large whole numbers may be one float.
    if not numbers or float(value[0]) >= float(value[1]):
        raise WordedError("{name} must be the least and the largest value, [0.1, 0.5], got {value}")
    if not math.isfinite(float(value[1]) - float(value[0])):
        raise WordedError("{name}: the two are too far apart to draw between, got {value}")
    return value


def positive_limits(value: Any) -> Any:
    """The two ends of a range on the scale of logarithms."""
    if limits(value)[0] <= 0:
        raise WordedError("{name} must begin above 0, as logarithms do, got {value}")
    if not 1 < float(value[1]) / float(value[0]) < math.inf:
        raise WordedError("{name}: the two are too far apart, or too close, got {value}")
    return value


def whole_limits(value: Any) -> Any:
    """The least and the largest of some whole numbers."""
    if not all(type(one) is int for one in limits(value)):
        raise WordedError("{name} must be two whole numbers, such as [1, 8], got {value}")
    if max(map(abs, value)) > MOST_EXACT:
        raise WordedError("{name} must be whole numbers of at most 2^53, got {value}")
    return value


class DrawFile(FileModel):
    """What the values of an axis are drawn from, below ``random.axes``."""

    MUST = "be a mapping such as {uniform: [0, 0.5]}"

    uniform: Annotated[
        list[float] | None, BeforeValidator(limits, json_schema_input_type=list[float])
    ] = None
    """Any number between two, each part of the range alike."""
    log_uniform: Annotated[
        list[float] | None, BeforeValidator(positive_limits, json_schema_input_type=list[float])
    ] = None
    """Any number between two, each power of ten alike: learning rates, `[1e-4, 1e-1]`."""
    integers: Annotated[
        list[int] | None, BeforeValidator(whole_limits, json_schema_input_type=list[int])
    ] = None
    """A whole number between two, both included."""
    choice: Annotated[list[Scalar] | None, Field(min_length=1), Must("be a list of values")] = None
    """One of these values."""

    @model_validator(mode="after")
    def _one_of_them(self) -> DrawFile:
        if len(self.model_fields_set) != 1:
            raise WordedError(
                "axis {name} must have one of uniform, log_uniform, integers and choice, got "
                "{value}"
            )
        return self


class RandomFile(FileModel):
    """``random`` of a stage."""

    MUST = "be such as {n: 8, seed: 0, axes: {lr: {log_uniform: [1e-4, 1e-1]}}}"

    n: Annotated[
        int, Field(ge=1, le=MOST_POINTS), Must("say how many points are drawn, 20000 at most")
    ]
    """How many points are drawn, all different. A larger number keeps the ones before."""
    seed: int = Field(default=0, ge=0)
    """Of the draws: the same seed draws the same values of an axis, whatever else changes."""
    axes: Annotated[
        dict[Annotated[str, BeforeValidator(axis_name)], DrawFile],
        Field(min_length=1),
        Must("name at least one axis with what it is drawn from"),
    ]
    """What each axis is drawn from: `{uniform: [0, 0.5]}`, `{log_uniform: [1e-4, 1e-1]}`,
    `{integers: [1, 8]}` or `{choice: [16, 32]}`. Each drawn value sets the config key of its
    axis."""


class SearchFile(FileModel):
    """``search`` of a stage."""

    MUST = "be such as {metric: val_loss, rounds: 4, n: 6, axes: {lr: {log_uniform: [1e-4, 1e-1]}}}"

    metric: Annotated[
        str, BeforeValidator(metric_name), Must("name a metric of this stage's results")
    ]
    """The metric that is searched by; which values are better the stage or the metric itself
    says. A point counts with the mean over its seeds, and only if each of them has a value."""
    rounds: Annotated[
        int,
        Field(ge=2, le=1000),
        Must("say how many rounds there are, at least two and 1000 at most"),
    ]
    """How many rounds there are. The points of one are drawn when the jobs of the round before have
    ended; at least one of its points must have a value."""
    n: Annotated[
        int, Field(ge=1, le=1000), Must("say how many points each round has, 1000 at most")
    ]
    """How many points each round has, all different. Those of the first round are the ones that
    `random` draws."""
    seed: int = Field(default=0, ge=0)
    """Of the draws: with the same seed the same values lead to the same points."""
    axes: Annotated[
        dict[Annotated[str, BeforeValidator(axis_name)], DrawFile],
        Field(min_length=1),
        Must("name at least one axis with what it is drawn from"),
    ]
    """What each axis is drawn from, as under `random`. Each drawn value sets the config key of its
    axis, or stands in the command as `{axis}`."""
    where: Annotated[dict[str, Scalar], Must("be a mapping axis: value")] = Field(
        default_factory=dict
    )
    """Which row of the results counts, by its own axes: `{task: math}`. Of several checkpoints
    `best` does, unless it names another."""


class BestFile(FileModel):
    """``for_each`` of a stage that follows the best job of another one."""

    MUST = "be a stage, or such as {of: train, best: val_loss, per: [seed]}"

    of: Annotated[str, Field(min_length=1, max_length=100), Must("name a stage")]
    """The stage whose best job is taken."""
    best: Annotated[
        str, BeforeValidator(metric_name), Must("name a metric of that stage's results")
    ]
    """The metric that says which job is best; which values are better its stage or the metric
    itself says."""
    per: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
        Must("be an axis or a list of axes of that stage", at_item=True),
    ] = Field(default_factory=list)
    """Axes: one job for each of their values, of the best of those that have it; without it one job
    in all."""
    where: Annotated[dict[str, Scalar], Must("be a mapping axis: value")] = Field(
        default_factory=dict
    )
    """Which row of the results counts, by its own axes: `{task: math}`. Of several checkpoints
    `best` does, unless it names another."""
