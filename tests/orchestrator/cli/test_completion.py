"""The real completion protocol: what the shell asks `orch`, and what it gets."""

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.completion import rejoined
from tests.support.cli import ORCH


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for experiment, name, jobs in (
        ("old", "full-1", ["a"]),
        ("mtl", "smoke-2", ["train/arm=base,seed=0", "train/arm=pcgrad,seed=0", "report"]),
    ):
        folder = tmp_path / "runs" / experiment / name
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text("{}")
        lines = ",\n".join(json.dumps({"name": job, "stage": job.split("/")[0]}) for job in jobs)
        (folder / "state.json").write_text(f'{{"run": "x", "jobs": [\n{lines}]}}\n')
        os.utime(folder / "plan.json", (1, 1) if experiment == "old" else (2, 2))
    return tmp_path


def ask(folder: Path, *words: str, shell: str = "bash") -> list[str]:
    asked = {
        "_ORCH_COMPLETE": f"complete_{shell}",
        "ORCH_RUNS": str(folder / "runs"),
        "HOME": str(folder),
    }
    asked |= (
        {"COMP_WORDS": "\n".join(["orch", *words]), "COMP_CWORD": str(len(words))}
        if shell == "bash"
        else {
            "_TYPER_COMPLETE_ARGS": " ".join(["orch", *words]),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
    )
    result = subprocess.run(
        [ORCH], cwd=folder, env={**os.environ, **asked}, capture_output=True, text=True, timeout=300
    )
    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


def test_runs_jobs_stages_experiments_presets_and_clusters_are_offered(runs: Path) -> None:
    assert ask(runs, "status", "m") == ["mtl", "mtl/smoke-2"]
    assert ask(runs, "logs", "tr") == ["train", "train/arm=base,seed=0", "train/arm=pcgrad,seed=0"]
    assert ask(runs, "retry", "old", "--job", "") == ["a"]
    assert ask(runs, "why", "rep") == ["report"]
    assert "mtl-comparison" in ask(runs, "launch", "mtl")
    assert ask(runs, "launch", "mtl-comparison", "--preset", "sm") == ["smoke"]
    assert ask(runs, "launch", "mtl-comparison", "--cluster", "lo") == ["local"]
    assert "costs" in ask(runs, "cos")


def test_bash_gets_what_comes_after_its_own_end_of_a_word(runs: Path) -> None:
    assert ask(runs, "logs", "train/arm", "=", "p") == ["pcgrad,seed=0"]
    assert ask(runs, "logs", "train/arm", "=") == ["base,seed=0", "pcgrad,seed=0"]
    assert ask(runs, "logs", "train/arm=p", shell="fish") == ["train/arm=pcgrad,seed=0"]


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [
        (["orch", "logs", "a"], 2, (["orch", "logs", "a"], 2, 0)),
        (["orch", "logs", "a", "=", "b"], 4, (["orch", "logs", "a=b"], 2, 2)),
        (["orch", "logs", "a", "=", "b,c", "=", ""], 6, (["orch", "logs", "a=b,c="], 2, 6)),
        (
            ["orch", "logs", "a", "=", "b", "--run", "x"],
            6,
            (["orch", "logs", "a=b", "--run", "x"], 4, 0),
        ),
    ],
)
def test_words_that_bash_broke_are_one_again(
    words: list[str], place: int, expected: tuple[list[str], int, int]
) -> None:
    assert rejoined(words, place) == expected


def work() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_ten_thousand_jobs_take_little_more_than_three(runs: Path) -> None:
    begin = work()
    assert ask(runs, "logs", "rep") == ["report"]
    few = work() - begin
    path = runs / "runs" / "mtl" / "smoke-2" / "state.json"
    rest = {
        "identity": "0" * 64,
        "folder": "jobs/x",
        "state": "COMPLETED",
        "reason": "x" * 100,
        "token": "0" * 10,
    }
    lines = ",\n".join(
        json.dumps({"name": f"train/n={number}", "stage": "train", **rest})
        for number in range(10_000)
    )
    path.write_text(f'{{"run": "x", "jobs": [\n{lines}]}}\n')
    assert len(ask(runs, "logs", "train/n", "=", "99")) == 111
    assert work() - begin - few < few + 0.3
