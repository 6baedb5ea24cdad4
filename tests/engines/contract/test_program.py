"""What every engine shares: strict configs, whole files, progress that survives a kill."""

import importlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from engines.contract.config import (
    DECIDES_NO_RESULT,
    IS_PATH,
    ConfigError,
    EngineConfig,
    keys_that_decide,
    load_config,
    marked_keys,
    same_config,
)
from engines.contract.progress import Progress, read_progress
from engines.contract.results import Row, read_results, write_results
from tests.support.paths import ROOT


class Config(EngineConfig):
    learning_rate: float
    epochs: int = 3
    workers: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    data: str = Field(default="data", json_schema_extra=IS_PATH)
    cache: str = Field(default="cache", json_schema_extra=DECIDES_NO_RESULT | IS_PATH)


def load(tmp_path: Path, text: str) -> Config:
    (tmp_path / "config.yaml").write_text(text)
    return load_config(tmp_path / "config.yaml", Config)


def test_a_state_is_continued_by_a_version_that_knows_one_key_more_and_not_with_another_value(
    tmp_path: Path,
) -> None:
    now = Config(learning_rate=0.1)
    same_config(
        now, {"learning_rate": 0.1}, tmp_path
    )  # made before there were epochs, of which there are 3 by default
    same_config(now, {"learning_rate": 0.1, "epochs": 3, "workers": 7}, tmp_path)
    same_config(now, {"learning_rate": 0.1, "workers": "an older version's word"}, tmp_path)
    with pytest.raises(
        ConfigError, match="an older version of the program, which did not keep its config"
    ):
        same_config(now, "the hash of a config", tmp_path)
    with pytest.raises(ConfigError, match=r"another config \(epochs: 4, now 3\); restore it"):
        same_config(now, {"learning_rate": 0.1, "epochs": 4, "workers": 7}, tmp_path)
    with pytest.raises(
        ConfigError, match=r"another version of the program \(unknown key 'momentum'"
    ):
        same_config(now, {"learning_rate": 0.1, "momentum": 0.9}, tmp_path)


def test_what_decides_no_result_is_marked_at_the_key_itself() -> None:
    assert keys_that_decide(Config) == ["learning_rate", "epochs", "data"]
    assert marked_keys(Config, IS_PATH) == ["data", "cache"]
    for engine in ("ppo", "fsm", "evaluation"):
        kind = importlib.import_module(f"engines.{engine}").Config
        free = kind.model_fields.keys() - set(keys_that_decide(kind))
        assert free, engine
        assert not free & {"seed", "models", "data", "model", "learning_rate", "temperature"}


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="unknown key 'learnin_rate', did you mean 'learning_rate'"
    ):
        load(tmp_path, "{learning_rate: 0.1, learnin_rate: 0.2}")


def test_wrong_type_says_key_and_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"epochs: .*, got 'three'"):
        load(tmp_path, "{learning_rate: 0.1, epochs: three}")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "{epochs: 1.5, extra: 1}")
    assert "learning_rate" in str(caught.value)
    assert "epochs" in str(caught.value)
    assert "extra" in str(caught.value)


def test_row_needs_a_value_or_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a value or an error"):
        Row(metric="accuracy", value=None, n=0)
    with pytest.raises(ValueError, match="needs a value or an error"):
        Row(metric="accuracy", value=0.5, n=3, error="but also this")


def test_results_round_trip_and_unregistered_metrics_are_refused(tmp_path: Path) -> None:
    rows = [
        Row(metric="accuracy", value=0.25, n=4, spread=0.2, axes={"task": "math", "seed": 0}),
        Row(metric="accuracy", value=None, n=0, axes={"task": "code"}, error="sandbox missing"),
    ]
    write_results(tmp_path, "test", Config(learning_rate=0.1), rows, seconds=1.0)
    assert read_results(tmp_path)[0] == rows
    with pytest.raises(ValueError, match="not registered"):
        write_results(
            tmp_path,
            "test",
            Config(learning_rate=0.1),
            [Row(metric="acuracy", value=1.0, n=1)],
            seconds=1.0,
        )


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(1, 12), kept=st.integers(0, 12), torn=st.integers(0, 40))
def test_progress_after_a_kill_and_a_resume_equals_the_uninterrupted_one(
    tmp_path_factory: pytest.TempPathFactory, steps: int, kept: int, torn: int
) -> None:
    out = tmp_path_factory.mktemp("out")
    first = Progress(out)
    for step in range(1, steps + 1):
        first.write(step, steps, {"loss": 1.0 / step})
    whole = [(line["step"], line["metrics"]) for line in read_progress(out)]
    content = first.path.read_bytes()
    first.path.write_bytes(content[: len(content) - min(torn, len(content))])
    kept = min(kept, len(read_progress(out)))
    resumed = Progress(out, keep_until=kept)
    for step in range(kept + 1, steps + 1):
        resumed.write(step, steps, {"loss": 1.0 / step})
    assert [(line["step"], line["metrics"]) for line in read_progress(out)] == whole


PROGRAM = textwrap.dedent("""
    import sys, time
    from engines.contract.config import EngineConfig
    from engines.contract.program import Interrupted, program
    from engines.contract.results import write_results
    class Config(EngineConfig):
        wait: bool = False
    def run(config, out, stop):
        print("started", flush=True)
        while config.wait and not stop.requested:
            time.sleep(0.02)
        if stop.requested:
            raise Interrupted("state saved")
        write_results(out, "test", config, [], seconds=0.0)
    sys.exit(program("test", Config, run))
""")


def start(tmp_path: Path, config: str) -> subprocess.Popen[str]:
    (tmp_path / "config.yaml").write_text(config)
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(tmp_path / "config.yaml"),
            "--out",
            str(tmp_path / "out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_second_run_of_a_program_does_nothing(tmp_path: Path) -> None:
    assert "started" in start(tmp_path, "{}").communicate()[0]
    second = start(tmp_path, "{}")
    assert "nothing to do" in second.communicate()[0]
    assert second.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_a_stopped_program_says_that_it_can_be_continued(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, "wait: true")
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, number)
    assert "state saved" in process.communicate()[1]
    assert process.returncode == 75


def test_bad_config_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    process = start(tmp_path, "wiat: true")
    error = process.communicate()[1]
    assert process.returncode == 2
    (said,) = [line for line in error.splitlines() if line.startswith("engines.test: ")]
    assert "did you mean 'wait'" in said
    assert "Traceback" not in error


@pytest.mark.parametrize("text", ['{"rate": 1e-05}', "rate: 1e-5", "rate: 1.0e-5", "rate: 1.E-5"])
def test_a_small_number_is_a_number_as_json_and_as_a_person_writes_it(
    tmp_path: Path, text: str
) -> None:
    class Rated(EngineConfig):
        rate: float

    path = tmp_path / "config.json"
    path.write_text(text)
    assert load_config(path, Rated).rate == 1e-5


LEAVES = """
import atexit, subprocess, sys, time
from engines.contract.config import EngineConfig
from engines.contract.program import Interrupted, leave, program

class Config(EngineConfig):
    ends: str

def run(config, out, stop):
    # What libraries do when Python takes them down.
    atexit.register(print, "taken down")
    children = [
        subprocess.Popen(["sleep", "600"]),
        subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]),
    ]
    (out / "pids").write_text(" ".join(str(child.pid) for child in children))
    time.sleep(0.3)
    print("last word", end="")
    if config.ends == "stopped":
        raise Interrupted("saved")
    if config.ends == "failed":
        for child in children:
            child.kill()
        raise RuntimeError("it failed")

leave(program("test", Config, run))
"""


@pytest.mark.parametrize(("ends", "code"), [("well", 0), ("stopped", 75), ("failed", 1)])
def test_a_program_whose_work_is_on_disk_ends_at_once_and_with_it_what_it_has_started(
    ends: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "leaves.py").write_text(LEAVES)
    (tmp_path / "config.yaml").write_text(f"ends: {ends}")
    command = [sys.executable, "leaves.py", "config.yaml", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, done.stderr
    # Only where something went wrong does Python itself end the process.
    assert done.stdout == ("last word" if code != 1 else "last wordtaken down\n")
    for pid in (tmp_path / "out" / "pids").read_text().split():
        assert not Path(f"/proc/{pid}").exists()
