"""Tables at any width: nothing is broken, and rows that differ look different."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.views.tables.columns import Column, Kind, numbers
from orchestrator.views.tables.drawing import Screen, draw, drawn_lines
from orchestrator.views.tables.folding import are_all, common_text, of_text, range_text
from orchestrator.views.tables.layout import fitted
from orchestrator.views.tables.words import ELLIPSIS, cut, middle_cut, shared_words

WORD = st.text("abcxyz0189é日", min_size=1, max_size=9)
NAME = st.lists(WORD, min_size=1, max_size=4).map("-".join)
SENTENCE = st.lists(WORD, min_size=0, max_size=8).map(" ".join)
NUMBER = st.integers(0, 10**6).map(str)


@st.composite
def tables(draw_) -> list[Column]:
    """Columns of every kind, whose rows differ in their keys."""
    keys = draw_(st.lists(st.tuples(NAME, NAME), min_size=1, max_size=6, unique=True))
    count = len(keys)

    def cells(of):
        return tuple(draw_(st.lists(of, min_size=count, max_size=count)))

    columns = [
        Column(name="stage", kind=Kind.KEY, cells=tuple(first for first, _ in keys)),
        Column(name="arm", kind=Kind.AXIS, cells=tuple(second for _, second in keys)),
        Column(name="jobs", kind=Kind.NUMBER, cells=cells(NUMBER)),
    ]
    for number in range(draw_(st.integers(0, 3))):
        kind = draw_(st.sampled_from([Kind.TEXT, Kind.WHOLE, Kind.PROSE, Kind.NUMBER]))
        of = NUMBER if kind is Kind.NUMBER else SENTENCE
        priority = draw_(st.integers(1, 9))
        floor = draw_(st.integers(8, 20))
        yields = kind is Kind.TEXT and draw_(st.booleans())
        columns.append(
            Column(
                name=f"c{number}",
                kind=kind,
                cells=cells(of),
                priority=priority,
                floor=floor,
                yields=yields,
            )
        )
    return columns


def words_of(columns: list[Column]) -> set[str]:
    return {word for column in columns for cell in column.cells for word in cell.split(" ")}


@settings(deadline=None, max_examples=60)
@given(columns=tables(), width=st.integers(40, 200))
def test_no_line_is_wider_than_the_terminal_and_no_word_or_number_is_broken(columns, width):
    drawn = draw(columns, Screen(width))
    # A single word that is wider than the terminal keeps a line of its own, whole.
    widest = max(cell_len(word) for word in words_of(columns)) + cell_len("stage ") + 2
    for line in drawn.lines:
        assert cell_len(line.plain) <= max(width, widest)
    whole = words_of(columns) | {column.name for column in columns}
    for line in drawn.lines:
        for word in line.plain.split():
            assert ELLIPSIS in word or word in whole
    text = " ".join(line.plain for line in [*drawn.lines, *drawn.notes]).split()
    assert set(columns[2].cells) <= set(text)


@settings(deadline=None, max_examples=60)
@given(columns=tables(), width=st.integers(40, 200))
def test_rows_that_differ_in_a_key_differ_as_they_are_printed(columns, width):
    table = fitted(columns, width)
    keys = [column.cells for column in table.columns if column.kind in (Kind.KEY, Kind.AXIS)]
    rows = len(columns[0].cells)
    assert rows == 1 or len(set(zip(*keys, strict=True))) == rows


@settings(deadline=None, max_examples=60)
@given(columns=tables(), width=st.integers(40, 200))
def test_what_is_not_shown_is_named_and_a_pipe_gets_everything(columns, width):
    table = fitted(columns, width)
    shown = {column.name for column in table.columns}
    said = " ".join(table.said)
    for column in columns:
        empty = not any(column.cells)
        assert (
            empty
            or column.name in shown
            or column.name in table.left_out
            or (f"{column.name} " in said)
        )
    assert fitted(columns, None).left_out == ()
    whole = " ".join(line.plain for line in drawn_lines(columns, Screen()))
    assert ELLIPSIS not in whole
    for column in columns:
        assert all(cell in whole for cell in column.cells)


def test_a_measured_number_that_all_rows_share_is_a_finding_and_stays():
    columns = [
        Column(name="arm", kind=Kind.AXIS, cells=("a", "b")),
        Column(name="seed", kind=Kind.AXIS, cells=("0", "")),
        Column(name="logic", kind=Kind.NUMBER, cells=("100.0", "100.0")),
        Column(name="empty", kind=Kind.TEXT, cells=("", "")),
    ]
    assert [line.plain for line in drawn_lines(columns, Screen(80))] == [
        "arm  logic",
        "a    100.0",
        "b    100.0",
        "all: seed 0",
    ]


def test_an_axis_that_alone_tells_two_rows_apart_is_not_said_once():
    columns = [
        Column(name="arm", kind=Kind.AXIS, cells=("a", "a")),
        Column(name="seed", kind=Kind.AXIS, cells=("0", "")),
    ]
    assert [line.plain for line in drawn_lines(columns, Screen(80))] == [
        "seed",
        "0",
        "",
        "all: arm a",
    ]


def test_names_that_share_most_of_their_words_are_told_apart_by_the_rest():
    models = [f"Qwen/Qwen2.5-{size}-Instruct" for size in ("0.5B", "7B") for _ in range(2)]
    columns = [
        Column(name="model", kind=Kind.AXIS, cells=tuple(models)),
        Column(name="seed", kind=Kind.AXIS, cells=("0", "1", "0", "1")),
        Column(name="state", kind=Kind.STATE, cells=("running",) * 4),
    ]
    assert [line.plain for line in drawn_lines(columns, Screen(30))] == [
        "model  seed  state",
        "0.5B   0     running",
        "       1     running",
        "7B     0     running",
        "       1     running",
        "model: Qwen/Qwen2.5-…-Instruct",
    ]


def test_a_table_that_fits_nowhere_has_its_keys_on_one_line_and_the_rest_below():
    columns = [
        Column(name="stage", kind=Kind.KEY, cells=("train",)),
        Column(name="model", kind=Kind.AXIS, cells=("transformer-small",)),
        *(Column(name=f"n{k}", kind=Kind.NUMBER, cells=("123456",)) for k in range(4)),
    ]
    assert [line.plain for line in drawn_lines(columns, Screen(30))] == [
        "train  model transformer-small",
        "  n0 123456  n1 123456",
        "  n2 123456  n3 123456",
    ]


def test_ends_of_lines_and_control_codes_of_a_cell_reach_no_terminal():
    column = Column(name="why", kind=Kind.TEXT, cells=("\x1b[2Jone\ntwo\tthree",))
    assert column.cells == ("[2Jone two three",)


@given(st.lists(st.floats(-1e300, 1e300) | st.just(math.nan) | st.none(), max_size=6))
def test_numbers_of_a_column_have_like_decimals_and_none_becomes_nought(values):
    cells = numbers(values)
    known = [(value, cell) for value, cell in zip(values, cells, strict=True) if value is not None]
    assert all(not cell for value, cell in zip(values, cells, strict=True) if value is None)
    for value, cell in known:
        assert math.isnan(value) == (cell == "nan")
        if value and math.isfinite(value):
            assert math.isclose(float(cell), value, rel_tol=0.06)
    plain = [cell for _, cell in known if "e" not in cell and "n" not in cell and "." in cell]
    if len(plain) == len(known) and all("." in cell for _, cell in known):
        spread = {len(cell.partition(".")[2]) for cell in plain}
        assert len(spread) <= 1 or any(abs(value) < 0.01 for value, _ in known)


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([0.123456, None], ("0.1235", "")),
        ([1.0, 40000.0], ("1", "40000")),
        ([0.5, 0.25], ("0.50", "0.25")),
        ([832.68701, 47.5976], ("832.69", "47.60")),
        ([0.7152, 8.967e-05], ("0.7152", "8.967e-05")),
        ([0.0, 0.0], ("0", "0")),
        ([], ()),
    ],
)
def test_numbers_as_a_reader_wants_them(values, cells):
    assert numbers(values) == cells


def test_a_range_of_values():
    assert range_text([0.475, None, 0.97]) == "0.475 to 0.970"
    assert range_text([2, 2.0]) == "2"
    assert range_text([None]) == ""


@given(text=SENTENCE, width=st.integers(1, 30))
def test_a_text_is_cut_at_the_end_of_a_word(text, width):
    short = cut(text, width)
    assert cell_len(short) <= max(width, 1)
    kept = short.removesuffix(ELLIPSIS)
    assert text == short or (text.startswith(kept) and text[len(kept)] == " ") or not kept


@given(name=NAME, width=st.integers(8, 30))
def test_a_name_keeps_its_ends(name, width):
    short = middle_cut(name, width)
    assert cell_len(short) <= width
    front, found, back = short.partition(ELLIPSIS)
    assert short == name if not found else name.startswith(front) and name.endswith(back)


@given(st.lists(NAME, min_size=2, max_size=5, unique=True))
def test_shared_words_leave_every_name_something_of_its_own(names):
    front, back = shared_words(names)
    rest = [name.removeprefix(front).removesuffix(back) for name in names]
    assert all(name.startswith(front) and name.endswith(back) for name in names)
    assert all(rest)
    assert len(set(rest)) == len(names)


def test_jobs_of_a_stage_in_words():
    grid = [{"lr": lr, "seed": seed} for lr in (0.1, 0.01) for seed in (0, 1, 2)]
    assert of_text(grid) == ("2 lr × 3 seeds", "2 × 3")
    assert of_text(grid[:4]) == ("2 lr, 3 seeds", "2 lr, 3 seeds")
    assert of_text([{"seed": 0}]) == ("", "")
    assert of_text(grid[:3]) == ("3 seeds", "3 seeds")
    assert (common_text(grid[:3], grid), are_all(grid[:3], grid)) == ("lr 0.1", True)
    assert (common_text(grid[1:2], grid), are_all(grid[1:2], grid)) == ("lr 0.1, seed 1", True)
    assert (common_text(grid[:2], grid), are_all(grid[:2], grid)) == ("lr 0.1, seed 0, 1", True)
    assert (common_text(grid[1:5], grid), are_all(grid[1:5], grid)) == ("", False)


def test_text_that_yields_makes_room_and_takes_what_is_left():
    reason = "CUDA out of memory. Tried to allocate 2.00 GiB and there is less"
    columns = [
        Column(name="stage", kind=Kind.KEY, cells=("train", "test")),
        Column(name="why", kind=Kind.TEXT, cells=(reason, ""), priority=3, floor=12, yields=True),
        Column(name="loss", kind=Kind.NUMBER, cells=("0.5", "0.25"), priority=6),
    ]
    at = {width: [one.name for one in fitted(columns, width).columns] for width in (80, 40, 22)}
    assert at == {80: ["stage", "why", "loss"], 40: ["stage", "why", "loss"], 22: ["stage", "why"]}
    assert fitted(columns, 80).columns[1].cells[0] == reason
    assert fitted(columns, 40).columns[1].cells[0] == "CUDA out of memory. Tried…"
    # The column of numbers has gone, and the text has its room.
    assert fitted(columns, 22).columns[1].cells[0] == "CUDA out of…"
