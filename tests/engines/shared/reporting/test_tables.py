"""Tables of reports: the same cells in three forms, and the numbers of their sources."""

from __future__ import annotations

import re
from pathlib import Path

from engines.shared.reporting.sources import Sources, labels
from engines.shared.reporting.tables import Table

TABLE = Table(
    ["domain", "n", "difference [95 %]"],
    [["math", "12", "+1.0 [-2.0, +4.0]"], ["<algebra>", "3", ""], ["macro mean", "12", "0"]],
    ["", "task", "macro"],
)


def test_plain_columns_are_aligned_the_first_left_and_a_task_is_set_in() -> None:
    assert TABLE.plain().splitlines() == [
        "domain        n  difference [95 %]",
        "math         12  +1.0 [-2.0, +4.0]",
        "- <algebra>   3",
        "macro mean   12                  0",
    ]


def test_markdown_has_the_same_cells() -> None:
    assert TABLE.markdown().splitlines() == [
        "| domain | n | difference [95 %] |",
        "| --- | ---: | ---: |",
        "| math | 12 | +1.0 [-2.0, +4.0] |",
        "| - <algebra> | 3 |  |",
        "| macro mean | 12 | 0 |",
    ]


def test_a_page_marks_rows_by_their_class_and_escapes_cells() -> None:
    page = TABLE.html()
    assert "<tr><td>math</td><td>12</td><td>+1.0 [-2.0, +4.0]</td></tr>" in page
    assert "<tr class=task><td>&lt;algebra&gt;</td>" in page
    assert "<tr class=macro><td>macro mean</td>" in page


def test_an_interval_goes_below_its_value_where_a_table_is_too_wide() -> None:
    words = ["x" * 40] * 4
    wide = Table(["a", "b", "c", "d", "e"], [[*words, "+1.0 [-2.0, +4.0]"]])
    assert "+1.0<br>[-2.0, +4.0]" in wide.html()
    assert '<div class="wide many">' in wide.html()


def test_a_column_is_left_out_by_its_name_and_the_table_itself_stays() -> None:
    narrow = TABLE.without("n")
    assert narrow.head == ["domain", "difference [95 %]"]
    assert narrow.rows[0] == ["math", "+1.0 [-2.0, +4.0]"]
    assert narrow.kinds == TABLE.kinds
    assert TABLE.rows[0] == ["math", "12", "+1.0 [-2.0, +4.0]"]


def test_a_file_keeps_its_number_and_runs_of_numbers_are_joined() -> None:
    sources = Sources()
    first = [sources.add("scores", Path(name)) for name in ("a", "b", "a")]
    assert first == [1, 2, 1]
    assert sources.add("costs", Path("c")) == 3
    assert sources.add("rows", Path("b")) == 2
    assert sources.label("scores") == "[1-2]"
    assert sources.label("rows", "costs") == "[2-3]"
    assert sources.label("curves") == ""
    assert sources.paths("scores") == "a;b"
    assert labels([7, 3, 1, 2]) == "[1-3, 7]"


def test_a_word_that_needs_it_is_explained_where_it_stands() -> None:
    page = Table(["domain", "p adjusted", "last minus it [95 %]"], [["math", "0.1", "1"]]).html()
    assert "<th>domain</th>" in page
    assert re.search(r'<th title="How often[^"]+">p adjusted</th>', page)
    assert re.search(r'<th title="The last[^"]+">last minus it \[95&nbsp;%\]</th>', page)
