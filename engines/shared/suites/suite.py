"""Suites: which files belong to a benchmark suite, and how each of its tasks is sampled.

In: the name of a shipped suite (``shipped/*.yaml``) or the path of a user's own file, which are
alike. Out: a checked ``Suite``. The config takes the suite in when a job is planned; ``items.py``
looks for its files. Light on purpose (no torch): the login node checks a suite's name and its tasks
before a job waits for a GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from engines.contract.config import ConfigError, EngineConfig, describe, read_written, user_path
from engines.contract.words import did_you_mean
from engines.contract.written.nodes import Node, shown
from engines.shared.scoring.own import OwnScorer, sources_of

SHIPPED = Path(__file__).parent / "shipped"
MOST_INCLUDED = 20
"""Suites each of which includes the next."""


class Settings(EngineConfig):
    """How one task is sampled and judged."""

    samples_per_prompt: int = Field(1, ge=1)
    """Samples of each row of the file."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Share of the probability that tokens are drawn from, the likeliest first."""
    max_prompt_tokens: int = Field(4096, ge=1)
    """Longer prompts are counted and not sent; never cut."""
    max_response_tokens: int = Field(4096, ge=1)
    """Token limit of a response."""
    metric: Literal["accuracy", "score"] = "accuracy"
    """The task's figure in the mean over the suite; score counts partial credit."""
    expected_tokens: int | None = Field(None, ge=1)
    """How long responses are, about; the longest are sent first. Lengths seen in the same job
    replace it."""
    scorer: str | None = None
    """Who judges the answers: ``my_module:score``, a function of your own (see the how-to), or one
    of ours, such as ``mathematics``. None: the scorer of each row's data source."""


PLAIN = Settings.model_validate({})
"""Without a suite: one greedy sample."""


class Task(EngineConfig):
    """One task of a suite; what it leaves out is the suite's default."""

    file: str | list[str] | None = None
    """The beginning of the file's name (or several that it may have); what stands before two
    underscores is the task's domain."""
    rows: int | None = Field(None, ge=1)
    """Rows that the published file has; another number is said in the results. None: not known."""
    group: str | None = None
    """Tasks of one group count as one in the mean over the suite."""
    # None: not said here, the suite's default holds.
    samples_per_prompt: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_prompt_tokens: int | None = Field(None, ge=1)
    max_response_tokens: int | None = Field(None, ge=1)
    metric: Literal["accuracy", "score"] | None = None
    expected_tokens: int | None = Field(None, ge=1)
    scorer: str | None = None

    @property
    def prefixes(self) -> list[str]:
        """The beginnings that the file's name may have."""
        if self.file is None:
            return []
        return [self.file] if isinstance(self.file, str) else self.file

    @property
    def domain(self) -> str | None:
        """What stands before the two underscores of the file's name; None if it has none."""
        # Of several beginnings the first decides: ARC-AGI counts as logic, although some copies of
        # its file begin with simulation__.
        before, found, _ = self.prefixes[0].partition("__")
        return before if found else None


class Suite(EngineConfig):
    """A named set of tasks."""

    about: str = ""
    """One line."""
    include: str | None = None
    """Another suite, shipped or a file beside this one, whose tasks and defaults this one adds to
    and changes."""
    folder: str | None = None
    """The folder of the data set that holds the files, such as ``offline_eval``; the data folder
    itself where there is none."""
    defaults: Settings = PLAIN
    tasks: dict[str, Task] = Field(default_factory=dict)

    def settings(self, task: str) -> Settings:
        """How a task is sampled: its own settings over the suite's defaults."""
        return changed(
            self.defaults,
            self.tasks[task].model_dump(include=set(Settings.model_fields), exclude_none=True),
        )


class PlannedSuite(EngineConfig):
    """A suite's file, and what it said."""

    file: str
    suite: Suite
    scorers: dict[str, OwnScorer] = Field(default_factory=dict)
    """The users' own scorers that its tasks name, as their modules were."""


def changed(settings: Settings, values: dict[str, Any]) -> Settings:
    """Settings with some values replaced."""
    return Settings.model_validate({**settings.model_dump(), **values})


def shipped() -> list[str]:
    """Names of the suites that come with the program."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def is_file(name: str) -> bool:
    """Whether a suite is named by a path to a user's own file."""
    # By the ending alone: whether the file exists is asked later.
    return name.endswith((".yaml", ".yml"))


def load_suite(name: str, seen: tuple[Path, ...] = (), beside: Path = Path()) -> Suite:
    """A shipped suite by name, or a user's by the path of its YAML file. ConfigError says which
    suites or keys there are.

    ``seen`` are the files that include this one; ``beside`` is the folder of the file that does.
    """
    path = suite_path(name, beside)
    if path in seen:
        raise ConfigError(f"{path}: includes itself")
    if len(seen) >= MOST_INCLUDED:
        raise ConfigError(f"{path}: more than {MOST_INCLUDED} suites include one another")
    root = read_yaml(path)
    values = root.plain()
    included = values.get("include")
    # Anything else is left for the check of the whole suite to refuse.
    if isinstance(included, str):
        base = included_suite(root.value["include"], (*seen, path))
        values = merged(base.model_dump(exclude_none=True), values)
    try:
        suite = Suite.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe(error, Suite, root))}") from error
    without_file = sorted(task for task, entry in suite.tasks.items() if not entry.prefixes)
    if without_file or not suite.tasks:
        raise ConfigError(
            f"{path}: {'no tasks' if not suite.tasks else f'no file for {without_file}'}; "
            f"write tasks: {{name: {{file: the "
            "beginning of its name}}"
        )
    return suite


def included_suite(included: Node, seen: tuple[Path, ...]) -> Suite:
    """The suite that the last file of ``seen`` includes; ConfigError with the places of both."""
    try:
        return load_suite(included.value, seen, seen[-1].parent)
    except ConfigError as error:
        raise ConfigError(f"{included.where}: include: {error}") from error


def planned(name: str) -> PlannedSuite:
    """A user's suite with the sources of the scorers that it brings. ConfigError says what is wrong
    with it or with them."""
    suite = load_suite(name)
    named = {}
    for task in suite.tasks:
        scorer = suite.settings(task).scorer
        if scorer is not None:
            named[task] = scorer
    try:
        scorers = sources_of(named, folders_of(user_path(name)))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    return PlannedSuite(file=name, suite=suite, scorers=scorers)


def folders_of(path: Path) -> list[Path]:
    """Where a suite's scorers may lie: beside the suite, beside those that it includes, and in the
    working folder."""
    folders = [path.parent]
    included = included_by(path)
    while included is not None and is_file(included):
        path = path.parent / user_path(included)
        folders.append(path.parent)
        included = included_by(path)
    return list(dict.fromkeys([*folders, Path()]))


def suite_path(name: str, beside: Path) -> Path:
    """The file of a suite. ConfigError names the shipped suites if the name is none of them."""
    if is_file(name):
        try:
            return (beside / user_path(name)).resolve()
        # A circle of links, a NUL.
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"suite: {shown(name)} is no path: {error}") from error
    known = shipped()
    if name not in known:
        raise ConfigError(
            f"suite: there is no '{name}'{did_you_mean(name, known, sign=',')}"
            f"; there are {', '.join(known)}, or the path of a .yaml file of your own"
        )
    return (SHIPPED / f"{name}.yaml").resolve()


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``own`` over ``base``; mappings are merged key by key, so that a task's entry may change one
    setting of it."""
    both = dict(base)
    for key, value in own.items():
        if isinstance(base.get(key), dict) and isinstance(value, dict):
            both[key] = merged(base[key], value)
        else:
            both[key] = value
    return both


def read_yaml(path: Path) -> Node:
    """The mapping in a YAML file. ConfigError if there is none."""
    root = read_written(path)
    if not isinstance(root.value, dict):
        raise ConfigError(
            f"{root.where}: is no mapping; a suite has the keys {', '.join(Suite.model_fields)}"
        )
    return root


def included_by(path: Path) -> str | None:
    """The suite that a suite's file includes."""
    included = read_yaml(path).plain().get("include")
    return included if isinstance(included, str) else None
