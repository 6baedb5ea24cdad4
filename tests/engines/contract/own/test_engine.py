"""An engine in a file of a user's own: what is wrong with the file is one line, and it runs as every
engine does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines.contract.config import ConfigError
from engines.contract.own.engine import own_engine

CLASS = "from engines.contract.config import EngineConfig\nclass Config(EngineConfig):\n    n: int = 1\n"
RUN = "def run(config, out, stop):\n    (out / 'results.json').write_text(str(config.n))\n"


@pytest.mark.parametrize(
    ("engine", "source", "says"),
    [
        ("mine.py:run", CLASS, r"mine\.py: has no function 'run'"),
        ("mine.py:rum", CLASS + RUN, "has no function 'rum'; did you mean 'run'"),
        ("mine.py:run", RUN, "has no class Config of engines.contract.config.EngineConfig"),
        ("mine.py:run", "class Config: ...\n" + RUN, "has no class Config of"),
        ("mine.py:run", CLASS + "def run(config): ...\n", r"run\(config\): too many positional"),
        ("mine.py:run", CLASS + "run = 3\n", "has no function 'run'"),
        ("mine.py:run", "import no_such\n", r"cannot be loaded: ModuleNotFoundError: .*, line 1\)"),
        ("mine.py:run", "\ndef run(:\n", r"cannot be loaded: SyntaxError: .*line 2"),
        ("mine.py:run", "import sys\nsys.exit('off')\n", r"cannot be loaded: SystemExit: off"),
        ("mine.py:run", "x = 1\0", "cannot be loaded"),
        ("mines.py:run", "", r"there is no file mines\.py; did you mean 'mine\.py'"),
        (f"{'long' * 100}.py:run", "", "there is no file long"),
        ("mine:run", "", "'mine:run' names no function; write path/file.py:function"),
        ("~nobody-here/mine.py:run", "", "is no path"),
    ],
)
def test_a_file_that_is_no_engine_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, source: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ConfigError, match=says) as caught:
        own_engine(engine)
    assert "\n" not in str(caught.value)


def test_a_file_is_what_it_says_now_and_finds_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my engines"
    folder.mkdir()
    (folder / "a_neighbour_here.py").write_text("N = 4\n")
    file = folder / "json.py"  # a name that Python has
    file.write_text(
        "from __future__ import annotations\nimport json\nimport a_neighbour_here\n"
        + CLASS.replace("= 1", "= a_neighbour_here.N")
        + RUN
    )
    assert own_engine("my engines/json.py:run").config().n == 4  # type: ignore[attr-defined]
    file.write_text(CLASS.replace("= 1", "= 5") + RUN)
    assert own_engine("my engines/json.py:run").config().n == 5  # type: ignore[attr-defined]
    assert json.__name__ == "json"
    assert sys.modules["json"] is json


def started(folder: Path, engine: str, values: object) -> subprocess.CompletedProcess[str]:
    (folder / "config.json").write_text(json.dumps(values))
    program = [sys.executable, "-P", "-m", "engines.contract.own", engine, "config.json"]
    return subprocess.run(
        [*program, "--out", "out"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_it_runs_as_a_program_once_and_refuses_a_wrong_config(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CLASS + RUN)
    wrong = started(tmp_path, "mine.py:run", {"m": 2})
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "unknown key 'm'; known keys: n" in wrong.stderr
    assert not (tmp_path / "out").exists()
    absent = started(tmp_path, "other.py:run", {})
    assert (absent.returncode, absent.stderr.count("\n")) == (2, 1)
    first = started(tmp_path, "mine.py:run", {"n": 2})
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "out" / "results.json").read_text() == "2"
    assert (tmp_path / "out" / "environment.json").exists()
    again = started(tmp_path, "mine.py:run", {"n": 3})
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True)
    assert (tmp_path / "out" / "results.json").read_text() == "2"
