"""What a rank says of its own process."""

import subprocess
import sys

SAYS = "from engines.ppo.worker import Rank; print(Rank.peak_memory_gib(None))"
LARGE = (
    "import subprocess, sys\n"
    "room = bytearray(512 << 20)\n"
    "print(subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True).stdout)"
)


def test_the_memory_of_whoever_started_a_rank_is_not_its_own() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LARGE, sys.executable, "-c", SAYS],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0 < float(said.stdout) < 0.4
