"""Every example of docs/judging.md is what the scorers say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.registry import KINDS, VERSIONS, score
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "judging.md").read_text()
HEADER = "| right answer | response | strict | guru |"


def cell(text: str) -> str:
    """What a cell shows between its backticks."""
    ticks = re.fullmatch(r"(`+) ?(.*?) ?\1", text.strip())
    assert ticks, text
    return ticks[2].replace("\\|", "|").replace("⏎", "\n")


def examples() -> list[Any]:
    """Data source, right answer, response and both values of every line of the page's tables."""
    found: list[Any] = []
    for section in PAGE.split("\n## ")[1:]:
        source = re.search(r"Data source `(\w.*?)`", section)
        assert source, section[:60]
        assert HEADER in section, section[:60]
        for line in section.partition(HEADER)[2].splitlines()[2:]:
            if not line.startswith("|"):
                break
            gold, response, *values = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.append(
                pytest.param(
                    source[1],
                    cell(gold),
                    cell(response),
                    [value.strip() for value in values],
                    id=f"{section.partition(chr(10))[0]}-{len(found)}",
                )
            )
    return found


def problem(source: str, gold: str) -> Problem:
    """The problem of a line: instructions and LiveBench's tasks stand before the right answer."""
    truth: Any = gold
    extra = None
    if source == "ood__ifeval":
        name, _, parameters = gold.partition(" ")
        extra = {"instruction_id_list": [name]}
        truth = [json.loads(parameters or "{}")]
    elif source == "ood__livebench":
        task, _, truth = gold.partition(": ")
        extra = {"task": task}
    elif source.startswith(("logic__zebra", "logic__ordering", "simulation__arc")):
        truth = json.loads(gold)
    return make_problem(source, user("?"), truth, extra_info=extra)


@pytest.mark.parametrize(("source", "gold", "response", "values"), examples())
def test_an_example_is_judged_as_the_page_says(
    source: str, gold: str, response: str, values: list[str]
) -> None:
    for version, value in zip(VERSIONS, values, strict=True):
        verdict = score(problem(source, gold), response, version)
        said = "no value" if verdict.value is None else f"{verdict.value:.3g}"
        assert said == value, (version, verdict)


def test_the_page_has_every_kind_of_answer() -> None:
    told = re.findall(r"Data source `(\w.*?)`", PAGE)
    kinds = {next(kind for prefix, kind in KINDS if one.startswith(prefix)) for one in told}
    assert kinds == {kind for _, kind in KINDS}


def test_the_page_says_of_every_scorer_which_data_sources_it_judges() -> None:
    table = PAGE.partition("| data source | scorer | |")[2].partition("\n\n")[0]
    told = set()
    for line in table.splitlines()[2:]:
        sources, name, link = line.strip("|").split("|")
        told |= {(source.strip(" `"), name.strip(" `")) for source in sources.split(",")}
        title = link.partition("[")[2].partition("]")[0]
        assert f"\n## {title}\n" in PAGE
    assert told == set(KINDS)
