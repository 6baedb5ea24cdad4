"""An engine may say what a job takes, in a module of a fixed name with fixed functions."""

import inspect

import pytest

from engines.contract.estimates import Estimates, estimates_of
from tests.support.paths import ROOT

ENGINES = sorted(path.parent.name for path in (ROOT / "engines").glob("*/__main__.py"))


def test_an_engine_without_estimates_is_asked_nothing() -> None:
    assert estimates_of("probe") is None


@pytest.mark.parametrize("engine", ENGINES)
def test_estimates_have_the_functions_that_the_contract_names(engine: str) -> None:
    found = estimates_of(engine)
    assert (found is not None) == (ROOT / "engines" / engine / "estimates.py").is_file()
    if found is None:
        return
    for name in ("estimate", "disk_gb"):
        promised = list(inspect.signature(getattr(Estimates, name)).parameters)[1:]
        assert list(inspect.signature(getattr(found, name)).parameters) == promised
