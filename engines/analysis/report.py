"""Puts together what the report says: the comparison, the spread over training seeds, and what is
missing.

In: the config. Out: one ``Report``, from which every table, text, figure and row is made. Called by
``__main__``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.analysis.comparison import MACRO, Arms, Line, check_items, compare
from engines.analysis.config import Config
from engines.analysis.expected import Expected, expect
from engines.analysis.flips import Flips, find_flips
from engines.analysis.load import Inputs, read_jobs
from engines.shared.reporting.statistics import Interval, t_interval


@dataclass
class Report:
    """Everything the report says."""

    config: Config
    inputs: Inputs
    lines: list[Line] = field(default_factory=list)
    """The rows of the main table; the last is the macro mean."""
    over_seeds: Interval | None = None
    """Macro difference with its interval over training seeds."""
    flips: Flips = field(default_factory=Flips)
    expected: list[Expected] = field(default_factory=list)

    @property
    def macro(self) -> Line:
        """The line that answers the question."""
        return self.lines[-1]

    @property
    def seeds(self) -> dict[str, list[str]]:
        """arm -> its training seeds."""
        return {arm: sorted(seeds) for arm, seeds in self.inputs.scores.items()}

    @property
    def missing(self) -> list[str]:
        """What is not there, in words."""
        return self.inputs.missing


def make_report(config: Config) -> Report:
    """Read every input, compare what can be compared, name what is missing."""
    report = Report(config, read_jobs(config))
    arms = report.inputs.scores
    empty = [arm for arm, seeds in arms.items() if not seeds]
    if empty:
        reason = f"no finished evaluation of {' and '.join(empty)}"
        report.lines = [Line(MACRO, 0, missing=reason)]
        report.missing.append(reason)
        return report
    # Before anything is paired: specialists and arms must have been asked the same problems.
    check_items({**report.inputs.specialists, **arms})
    report.lines = compare(arms, config, report.missing)
    baseline, treatment = arms.values()
    if set(baseline) != set(treatment):
        alone = sorted(baseline.keys() ^ treatment.keys())
        report.missing.append(f"training seeds that only one arm has: {', '.join(alone)}")
    report.over_seeds = over_seeds(arms, sorted(baseline.keys() & treatment.keys()), config)
    report.flips = find_flips(report.inputs, config)
    report.expected = expect(report.inputs.specialists, arms[config.compare.treatment], config)
    return report


def over_seeds(arms: Arms, common: list[str], config: Config) -> Interval | None:
    """The macro difference of each seed that both arms have, as a mean with its interval; None for
    one seed, or if a seed has no macro mean."""
    if len(common) < 2:
        return None
    values = []
    for seed in common:
        one_seed = {arm: {seed: seeds[seed]} for arm, seeds in arms.items()}
        # What is missing was named by the comparison of all seeds, so this list is thrown away.
        macro = compare(one_seed, config, [])[-1]
        if macro.difference is None:
            return None
        values.append(macro.difference.value)
    return t_interval(values)
