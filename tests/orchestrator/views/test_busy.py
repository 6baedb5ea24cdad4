"""What long commands show on a terminal of 80 columns, and nothing of it in a pipe.

ORCH_GOLDEN=write makes the golden file anew.
"""

import os
import re
import subprocess
import sys

import pytest

from engines.contract.counting.counts import Amount, counted, counter, heard_by
from orchestrator.views.busy.line import numbers
from tests.support.screens import FOLDER
from tests.support.terminal import frames, on_terminal

PROGRAM = """
import time
from engines.contract.counting.counts import BYTES, counter
from orchestrator.views.busy.line import busy, shown_and_told
with busy("submitting 8,000 jobs of [a]") as show:
    print("a result")
    time.sleep(0.5)
    shown_and_told(show, print)("the code was kept")
    time.sleep(0.5)
    more = counter("writing the jobs' files", 8000)
    more(1600)
    time.sleep(0.1)
    more(1600)
    time.sleep(0.5)
    more = counter("submitting jobs", 8000)
    more(1000)
    show("submitted many-seed-1-to-1000 as 17, an array of 1,000")
    time.sleep(0.5)
    more = counter("reading it back", 12_100_000_000, BYTES)
    more(400_000_000)
    time.sleep(0.5)
    more(11_700_000_000)
    show("what is not counted")
    time.sleep(0.5)
print("the end")
"""


def test_a_terminal_shows_how_far_the_work_is():
    text = on_terminal([sys.executable, "-c", PROGRAM], columns=80)
    shown = "".join(f"{line}\n" for line in frames(text))
    path = FOLDER / "busy-80.txt"
    if os.environ.get("ORCH_GOLDEN") == "write":
        path.write_text(shown)
    # A frame that comes between two of these may be drawn or not.
    missing = [line for line in path.read_text().splitlines() if line not in shown.splitlines()]
    assert missing == [], shown
    widest = max(len(line) for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines())
    assert widest <= 80


def test_a_pipe_gets_the_result_alone():
    piped = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert piped.stdout == "a result\nthe code was kept\nthe end\n"
    assert piped.stderr == ""


def test_output_for_a_program_or_a_dumb_terminal_has_no_line():
    quiet = PROGRAM.replace('of [a]")', 'of [a]", shown=False)')
    text = on_terminal([sys.executable, "-c", quiet], columns=80)
    dumb = on_terminal([sys.executable, "-c", PROGRAM], columns=80, variables={"TERM": "dumb"})
    assert dumb == text
    assert text.split() == ["a", "result", "the", "code", "was", "kept", "the", "end"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount("", 7, 8000), "    7 of 8,000"),
        (Amount("", 400_000_000, 12_100_000_000, "bytes"), " 0.4 of 12.1 GB"),
        (Amount("", 2_000_000, 35_000_000, "bytes"), " 2.0 of 35.0 MB"),
    ],
)
def test_numbers_are_as_wide_at_the_start_as_at_the_end(amount: Amount, text: str):
    assert numbers(amount) == text


def test_what_is_counted_is_heard_in_the_block_alone():
    heard: list[Amount] = []
    with heard_by(heard.append):
        assert list(counted("pieces", "abc")) == ["a", "b", "c"]
        assert list(counted("of one there is nothing to count", "a")) == ["a"]
        counter("bytes read", 10, "bytes")(4)
    counter("nobody listens", 5)(1)
    assert [one.done for one in heard] == [0, 1, 2, 3, 0, 4]
    assert heard[-1] == Amount("bytes read", 4, 10, "bytes")
