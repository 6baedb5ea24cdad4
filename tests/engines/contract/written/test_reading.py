"""The reader of what people write: places, limits, and the same values as before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import noted, one_line
from engines.contract.written.reading import read, read_file
from engines.contract.written.tree import DEEPEST, MOST_NODES
from tests.support.paths import ROOT

SHIPPED = sorted(
    [*ROOT.glob("jobs/*.yaml"), *ROOT.glob("slurm_templates/*.yaml"), *ROOT.glob("engines/shared/suites/shipped/*.yaml")]
)  # fmt: skip


def told(text: str) -> list[str]:
    found = Mistakes()
    read(text, "x.yaml", found)
    return found.lines


def plain(text: str) -> Any:
    found = Mistakes()
    root = read(text, "x.yaml", found)
    assert found.lines == []
    assert root is not None
    return root.plain()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_hold_what_pyyaml_reads_in_them(path: Path) -> None:
    found = Mistakes()
    root = read_file(path, found)
    assert found.lines == []
    assert root is not None
    # As text, where the two schemas differ: 1e-4 is a text to YAML 1.1.
    theirs = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    ours = text_of(root.plain())
    assert ours.keys() == theirs.keys()
    assert str(ours).lower().count("'") == str(theirs).lower().count("'")


def text_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): text_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [text_of(one) for one in value]
    return "" if value is None else str(value)


@pytest.mark.parametrize("parser", ["C", "Python"])
def test_limits_hold_up_to_the_last_value(parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if parser == "Python":
        monkeypatch.setattr("engines.contract.written.reading.FAST", yaml.SafeLoader)
    assert told("[" * DEEPEST + "]" * DEEPEST) == []
    assert "more than 50 lists" in told("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))[0]
    # What an alias repeats is as deep as where it was written, below where it stands.
    deep = "a: &a " + "[" * 30 + "]" * 30 + "\nb: "
    assert told(deep + "[" * 19 + "*a" + "]" * 19) == []
    assert "more than 50 lists" in told(deep + "[" * 20 + "*a" + "]" * 20)[0]


def test_values_are_counted_with_those_that_aliases_repeat() -> None:
    # The mapping, two keys, the list and its items twice.
    items = (MOST_NODES - 5) // 2
    text = "a: &a [" + ",".join("x" * items) + "]\nb: *a"
    assert told(text) == []
    assert told(text + "\nc: *a") == [
        "x.yaml:3: more than 50000 values, aliases counted; a file so large is no description: make "
        "several of it"
    ]


def test_an_alias_has_the_place_where_it_stands_and_its_parts_where_they_were_written() -> None:
    root = read("a: &a\n  b: 1\nc: *a", "x.yaml", Mistakes())
    assert root is not None
    node = root.value["c"]
    assert (node.where, node.value["b"].where) == ("x.yaml:3", "x.yaml:2")
    # A name may be given anew, also inside of what has it.
    assert plain("- &a [&a 1, *a]\n- *a\n- &a 2\n- *a") == [[1, 1], 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!str 5", "5"),
        ("!!float 3", 3.0),
        ("!!null ''", None),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
        ("! [1]", [1]),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("\ufeffa: 1", {"a": 1}),
        ("", None),
        ("# a comment alone", None),
    ],
)
def test_what_is_right_is_read(text: str, value: Any) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_a_file_that_cannot_be_read_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    words = {
        "pipe": "it is a folder, a pipe or a device",
        ".": "it is a folder, a pipe or a device",
        "absent": "No such file or directory",
        "circle": "Too many levels of symbolic links",
        "a\0b": "embedded null byte",
    }
    for name, why in words.items():
        found = Mistakes()
        assert read_file(tmp_path / name, found) is None
        assert len(found.lines) == 1
        assert found.lines[0].endswith(f"cannot be read: {why}")


def test_a_text_in_a_message_is_one_short_line() -> None:
    assert one_line("a\nb\tc\x1b[31m\u202e") == "a\\nb\\tc\\x1b[31m\\u202e"
    assert one_line("no-break\u00a0space") == "no-break space"
    assert one_line("'" + "a b " * 100 + "' is long") == "'" + ("a b " * 100)[:295] + "...' is long"
    assert one_line("x" * 301) == "x" * 296 + "..."
    assert len(one_line("word " * 1000)) < 2050


def test_notes_of_notes_end() -> None:
    root = read("a: 1", "x.yaml", Mistakes())
    assert root is not None
    for _ in range(100):
        root = noted(root, "included at y.yaml:3")
    assert len(root.where) <= 300
