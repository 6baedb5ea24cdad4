"""A rank in the driver's own process: it answers, refuses, and ends the process when it hangs."""

import subprocess
import sys
from pathlib import Path

from engines.ppo.ranks.in_process import InProcess
from engines.ppo.watchdogs import Patience

SLEEPER = """
import time
from engines.ppo.ranks.in_process import InProcess
from engines.ppo.watchdogs import Patience

class Sleeper:
    def nap(self, seconds):
        time.sleep(seconds)

ranks = InProcess(Sleeper(), Patience(ceiling_seconds=60, floor_seconds=0.5))
for _ in range(4):
    ranks.call("nap", 0.05)
print("hanging", flush=True)
ranks.call("nap", 50.0)
print("never here")
"""


class Adder:
    def add(self, one: int, other: int) -> int:
        return one + other


def test_a_method_is_called_once_and_its_time_is_kept() -> None:
    ranks = InProcess(Adder(), Patience(ceiling_seconds=60))
    assert len(ranks) == 1
    assert ranks.each("add", [(1, 2)], "sum") == [3]
    assert ranks.call("add", 3, 4) == 7
    assert {work: len(times) for work, times in ranks.patience.seen.items()} == {"sum": 1, "add": 1}


def test_a_rank_that_hangs_ends_the_run_with_a_line_and_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "sleeper.py")],
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "hanging\n")
    said, tail = done.stderr.split(" s; it usually takes 0.1 s: ")
    assert said.startswith("RuntimeError: nap did not answer within ")
    assert tail.startswith("the trainer hangs; start it again to continue")
