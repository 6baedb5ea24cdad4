"""Rows come from any field names, and a bad one is named by file and line."""

import json
from pathlib import Path
from typing import Any

import pytest

from engines.contract.config import ConfigError
from engines.shared.replies.description import Fields
from engines.shared.replies.rows import read_manifest, read_rows

GOOD = {"tweet_id": 7, "tweet": "hello", "reply": "good day", "reply_likes": 6, "tweet_likes": 3}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_of_other_names_and_what_may_be_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, {**GOOD, "reply": "again", "tweet_likes": 0})
    first, second = read_rows(path, Fields())
    assert (first.prompt, first.reply, first.quantity) == ("hello", "good day", 2.0)
    # Without a like of the text its one reader counts.
    assert second.quantity == 6.0
    assert first.id != second.id
    assert first.id.startswith("7-")
    path = write(tmp_path / "b.jsonl", {"k": "x", "q": "why", "a": "because", "about": "life"})
    (row,) = read_rows(path, Fields(id="k", prompt="q", reply="a", topic="about"))
    assert (row.prompt, row.reply, row.quantity, row.topic) == ("why", "because", None, "life")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", r":2: not JSON: .* at column 2"),
        (b"[1]", r":2: an object is expected, got '\[1\]'"),
        (b'{"tweet": "\xff"}', ":2: not UTF-8"),
        (json.dumps({**GOOD, "reply": " "}).encode(), r":2: key 'reply': a text is expected"),
        (json.dumps({**GOOD, "tweet": None}).encode(), r":2: key 'tweet': a text is expected"),
        (json.dumps({"text": "x"}).encode(), r":2: key 'tweet' is missing; there are text"),
        (json.dumps({**GOOD, "tweet_id": None}).encode(), r":2: key 'tweet_id'"),
        (json.dumps({**GOOD, "reply_likes": "many"}).encode(), r"'reply_likes': .* got 'many'"),
        (json.dumps({**GOOD, "reply_likes": -1}).encode(), r"'reply_likes': .* got -1"),
        (json.dumps({**GOOD, "tweet_likes": float("nan")}).encode(), r"'tweet_likes': .* got nan"),
        (json.dumps({**GOOD, "tweet_likes": True}).encode(), r"'tweet_likes': .* got True"),
    ],
)
def test_a_bad_row_is_one_line_with_its_place(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(ConfigError, match=message) as caught:
        read_rows(path, Fields())
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_rows_and_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="holds no row"):
        read_rows(tmp_path / "empty.jsonl", Fields())
    with pytest.raises(ConfigError, match=r"gone\.jsonl: cannot be read"):
        read_rows(tmp_path / "gone.jsonl", Fields())
    with pytest.raises(ConfigError, match="finished polychromic_data"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"counts": 3}')
    with pytest.raises(ConfigError, match="make the data again"):
        read_manifest(tmp_path)
