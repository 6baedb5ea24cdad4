"""Ends of logs as publicly reported, and the kind of each; docs/causes.md shows the same."""

import pytest

from orchestrator.lifecycle.deaths.kinds import Kind
from tests.support.deaths import causes

CAUSES = causes()
REPORTS = [report for part in CAUSES.PARTS for report in CAUSES.reports(part)]
TAKEN_FOR_CODE = {"apex, the scale goes to zero"}
"""A ZeroDivisionError in a library after the loss has overflowed for hundreds of steps: nothing in
the exception tells of it."""
KNOWN_MISTAKES = TAKEN_FOR_CODE | {"CUDA's compiler for an extension"}
"""A program that is not there, in the words of a file that is not there."""


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CANCELLED])
def test_reported_deaths_have_their_kind(kind: Kind) -> None:
    wrong = [
        f"{report.file}:{report.line} {report.about}: {report.cause}"
        for report in REPORTS
        if report.kind is kind and report.judged is not kind and report.about not in KNOWN_MISTAKES
    ]
    assert wrong == []


def test_nothing_else_is_taken_for_an_error_of_the_code() -> None:
    """It is not tried again, and holds siblings."""
    wrong = {
        report.about
        for report in REPORTS
        if report.judged is Kind.CODE and report.kind is not Kind.CODE
    }
    assert wrong == TAKEN_FOR_CODE


def test_there_are_enough_of_them() -> None:
    assert len(REPORTS) >= 150
    unseen = CAUSES.reports("held_out") + CAUSES.reports("second_look")
    assert len(unseen) >= len(REPORTS) / 3
    assert max(len(report.log) for report in REPORTS) <= CAUSES.LAST + 5


def test_every_line_that_is_quoted_is_of_the_log() -> None:
    for report in REPORTS:
        kind, line = report.cause
        said = " ".join(" ".join(report.log).split())
        start = " ".join(line.split())[:40]
        assert kind is Kind.UNKNOWN or start in said, report


def test_the_page_is_what_the_script_writes() -> None:
    assert CAUSES.PAGE.read_text() == CAUSES.page(), "run scripts/causes.py"
