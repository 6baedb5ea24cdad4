"""Ends of logs as publicly reported, and the kind of each; docs/causes.md shows the same."""

import importlib.util
import sys
from types import ModuleType

import pytest

from orchestrator.lifecycle.deaths.kinds import Kind
from tests.support.source_files import ROOT


def script() -> ModuleType:
    """scripts/causes.py, which reads the reports and writes the page."""
    spec = importlib.util.spec_from_file_location("causes", ROOT / "scripts" / "causes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["causes"] = module
    spec.loader.exec_module(module)
    return module


CAUSES = script()
REPORTS = [report for part in CAUSES.PARTS for report in CAUSES.reports(part)]
KNOWN_MISTAKES = {"apex, the scale goes to zero"}
"""A ZeroDivisionError in a library after the loss has overflowed for hundreds of steps: nothing in
the exception tells of it."""


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
    assert wrong == KNOWN_MISTAKES


def test_there_are_enough_of_them() -> None:
    assert len(REPORTS) >= 150
    assert len(CAUSES.reports("held_out")) >= len(REPORTS) / 3
    assert max(len(report.log) for report in REPORTS) <= CAUSES.LAST + 5


def test_every_line_that_is_quoted_is_of_the_log() -> None:
    for report in REPORTS:
        kind, line = report.cause
        said = " ".join(" ".join(report.log).split())
        start = " ".join(line.split())[:40]
        assert kind is Kind.UNKNOWN or start in said, report


def test_the_page_is_what_the_script_writes() -> None:
    assert CAUSES.PAGE.read_text() == CAUSES.page(), "run scripts/causes.py"
