"""Puts together what the report says: the comparison, the spread over training seeds, and what is
missing."""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.analysis.comparison import MACRO, Line, check_items, compare
from engines.analysis.config import Config
from engines.analysis.expected import Expected, expect
from engines.analysis.flips import Flips, find_flips
from engines.analysis.load import Found, read_jobs
from engines.shared.reporting.statistics import Interval, t_interval


@dataclass
class Report:
    """Everything the report says."""

    config: Config
    found: Found
    lines: list[Line] = field(default_factory=list)
    over_seeds: Interval | None = None
    flips: Flips = field(default_factory=Flips)
    expected: list[Expected] = field(default_factory=list)

    @property
    def seeds(self) -> dict[str, list[str]]:
        """arm -> its training seeds."""
        return {arm: sorted(seeds) for arm, seeds in self.found.scores.items()}

    @property
    def missing(self) -> list[str]:
        """What is not there, in words."""
        return self.found.missing


def make_report(config: Config) -> Report:
    """Read every input, compare what can be compared, name what is missing."""
    report = Report(config, read_jobs(config))
    empty = [arm for arm, seeds in report.found.scores.items() if not seeds]
    if empty:
        reason = f"no finished evaluation of {' and '.join(empty)}"
        report.lines = [Line(MACRO, 0, missing=reason)]
        report.missing.append(reason)
        return report
    arms = report.found.scores
    check_items({**report.found.specialists, **arms})
    report.lines = compare(arms, config, report.missing)
    left, right = arms.values()
    common = sorted(left.keys() & right.keys())
    if set(left) != set(right):
        report.missing.append(
            f"training seeds that only one arm has: {', '.join(sorted(left.keys() ^ right.keys()))}"
        )
    per_seed = [
        compare({arm: {seed: seeds[seed]} for arm, seeds in arms.items()}, config, [])[
            -1
        ].difference
        for seed in common
    ]
    if len(common) > 1 and all(per_seed):
        report.over_seeds = t_interval([d.value for d in per_seed if d])
    report.flips = find_flips(report.found, config)
    report.expected = expect(report.found.specialists, arms[config.compare.treatment], config)
    return report
