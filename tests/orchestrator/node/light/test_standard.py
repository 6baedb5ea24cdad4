"""What stands in for modules of the standard library does what they do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.node.light.standard import dumps, loads, sha256, suppress, whole
from tests.support.paths import ROOT

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(value=VALUES, indent=st.sampled_from([None, 1, 2]))
def test_json_is_written_to_the_letter_as_the_library_writes_it(
    value: Any, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    assert dumps(value, indent) == text
    assert json.dumps(loads(text)) == json.dumps(value)


def test_what_no_file_can_be_named_by_is_read_as_an_unknown_character() -> None:
    odd = {"a\0b": ["\ud800", "\\u0000", "\U0001f600"]}
    assert loads(json.dumps(odd)) == {"a\ufffdb": ["\ufffd", "\\u0000", "\U0001f600"]}


def test_keys_that_are_no_text_and_tuples_are_written_as_the_library_does() -> None:
    value = {2: (1, 2), None: [], True: {}, 0.5: ()}
    assert dumps(value, 1) == json.dumps(value, indent=1)
    with pytest.raises(TypeError, match="not JSON serializable"):
        dumps({"a": object()})
    with pytest.raises(TypeError, match="keys must be"):
        dumps({(1,): 1})


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\t\\u"aN', max_size=12))
def test_json_is_refused_where_the_library_refuses_it(text: str) -> None:
    try:
        expected = json.dumps(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            loads(text)
    else:
        assert json.dumps(loads(text)) == expected


def test_a_digest_is_that_of_hashlib() -> None:
    assert sha256(b"abc").hexdigest() == hashlib.sha256(b"abc").hexdigest()


def test_exceptions_are_passed_over_as_contextlib_does() -> None:
    for way in (suppress, contextlib.suppress):
        with way(KeyError, OSError):
            raise FileNotFoundError
        with pytest.raises(ValueError, match="x"), way(KeyError):
            raise ValueError("x")


SLOW = {
    *("json", "re", "contextlib", "enum", "signal", "subprocess", "ctypes", "hashlib", "pathlib"),
    *("typing", "dataclasses", "functools", "collections", "inspect", "threading", "tempfile"),
}


def test_a_job_on_the_node_loads_no_module_that_takes_longer_than_the_job() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import orchestrator.node.__main__; "
        "import orchestrator.node.own_results; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) & SLOW == set()


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "\N{SUPERSCRIPT TWO}", "9" * 5000], ids=len)
def test_a_text_that_int_refuses_is_no_whole_number(text: str) -> None:
    assert whole(text) is None


@given(st.integers(0, 10**18 - 1))
def test_a_whole_number_is_read(number: int) -> None:
    assert whole(str(number)) == number
