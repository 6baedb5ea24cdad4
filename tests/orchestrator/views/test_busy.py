"""A sign of life on a terminal, and nothing of it in a pipe."""

import os
import pty
import subprocess
import sys

PROGRAM = """
import time
from orchestrator.views.busy import busy, shown_and_told
with busy("comparing [a] and b") as show:
    print("a result")
    time.sleep(0.3)
    shown_and_told(show, print)("3 of 7 [b]")
    time.sleep(0.3)
print("the end")
"""


def test_a_terminal_shows_what_goes_on_and_a_pipe_the_result_alone():
    piped = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (piped.stdout, piped.stderr) == ("a result\n3 of 7 [b]\nthe end\n", "")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=theirs, stderr=theirs, stdin=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.wait(timeout=60) == 0
    os.close(ours)
    text = shown.decode()
    assert "comparing [a] and b" in text
    assert "comparing [a] and b: 3 of 7 [b]" in text
    assert "a result" in text
    assert "the end" in text
