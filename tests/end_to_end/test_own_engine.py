"""An engine of one's own, done as docs/howto/engines.md says, and what becomes of it when it is
wrong or changes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.cli import orch
from tests.support.page_files import write_files

PAGE = "howto/engines.md"
LAUNCH = ("launch", "words", "--cluster", "local", "--watch")


def values(folder: Path) -> dict[str, float]:
    said = orch(folder, "results", "words", "--json")
    assert said.returncode == 0, said.stderr
    return {row["job"]: row["value"] for row in json.loads(said.stdout)["rows"]}


def test_the_page_holds_and_an_edit_is_run_anew_where_it_counts(tmp_path: Path) -> None:
    assert write_files(PAGE, tmp_path) == ["my_engine.py", "jobs/words.yaml"]
    (tmp_path / "README.txt").write_text("one large file of words\n")
    launched = orch(tmp_path, *LAUNCH)
    assert launched.returncode == 0, launched.stdout + launched.stderr
    assert values(tmp_path) == {"count/shortest=1": 5, "count/shortest=4": 3}
    # Another run of like jobs takes them, until the engine's file is another.
    more = ("--set", "count.matrix.shortest=[1, 4, 6]")
    taken = orch(tmp_path, *LAUNCH[:4], "--no-watch", *more)
    assert "taken from there: count/shortest=1, count/shortest=4" in taken.stdout
    engine = tmp_path / "my_engine.py"
    engine.write_text(engine.read_text().replace("value=len(words)", "value=-1.0"))
    again = orch(tmp_path, *LAUNCH[:4], "--no-watch", "--set", "count.matrix.shortest=[1]")
    assert "count/shortest=1 not taken: " in again.stdout
    # The newest run that has it has itself taken it, so no file is named; none that has not changed.
    assert "since then a file that it names and its program changed" in again.stdout


def test_what_is_wrong_with_it_is_told_at_the_line_before_anything_is_queued(
    tmp_path: Path,
) -> None:
    write_files(PAGE, tmp_path)
    description = tmp_path / "jobs" / "words.yaml"
    text = description.read_text()
    description.write_text(text.replace("shortest:", "shortes:"))
    said = orch(tmp_path, "plan", "words")
    assert said.returncode == 2
    assert "words.yaml:7" in said.stderr
    assert "which no engine 'my_engine.py:run' reads; did you mean 'shortest'" in said.stderr
    description.write_text(text.replace("my_engine.py:run", "my_engine.py:rum"))
    said = orch(tmp_path, "plan", "words")
    assert "words.yaml:6: stage 'count': my_engine.py: has no function 'rum'" in said.stderr
    description.write_text(text)
    # Its marks count: the path has to be there.
    said = orch(tmp_path, "check", "words", "--cluster", "local")
    assert "text: README.txt is not here" in said.stdout + said.stderr
    (tmp_path / "my_engine.py").write_text("import no_such_module\n")
    said = orch(tmp_path, "plan", "words")
    assert said.returncode == 2
    assert "my_engine.py cannot be loaded: ModuleNotFoundError" in said.stderr
    assert "Traceback" not in said.stderr
