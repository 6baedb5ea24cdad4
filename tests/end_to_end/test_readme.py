"""README.md, the example with a script of one's own, done as it says."""

import json
import re
import sys
from pathlib import Path

from tests.support.cli import orch
from tests.support.paths import ROOT

PAGE = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    orch ((?:launch|results|page) slope.*?)(?:  +#.*)?$", PAGE, re.M)


def test_the_example_of_the_first_page_runs_as_it_stands(tmp_path: Path) -> None:
    for text in re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL):
        path = tmp_path / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("command: python ", f"command: {sys.executable} "))
    assert [words.split()[0] for words in COMMANDS] == ["launch", "results", "page"]
    for words in COMMANDS:
        done = orch(tmp_path, *words.split())
        assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(orch(tmp_path, "results", "slope", "--json").stdout)["rows"]
    errors = {row["job"]: row["value"] for row in rows if row["metric"] == "error"}
    assert len(errors) == 12
    assert {job for job in errors if job.startswith("again")} == {
        f"again/trial={seed}" for seed in (10, 11, 12)
    }
    best = min((job for job in errors if job.startswith("train")), key=lambda job: errors[job])
    assert f"follows: {best}" in orch(tmp_path, "why", "again/trial=10").stdout
