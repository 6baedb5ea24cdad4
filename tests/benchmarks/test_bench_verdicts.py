"""The benchmark of agreement on a small folder of lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

SCORER = "def score(**given): return float(given['ground_truth'] in given['solution_str'])\n"


def line(
    response: str, verdict: Any, gold: Any = "B", source: str = "stem__gpqa"
) -> dict[str, Any]:
    return {"data_source": source, "ground_truth": gold, "response": response, "verdict": verdict}


def bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_verdicts", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def write(path: Path, *lines: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))


def counts(output: str) -> dict[tuple[str, str], list[str]]:
    """(source, scorer) -> verdicts, agreement and the five kinds."""
    found = {}
    for text in output.splitlines():
        words = text.split()
        if len(words) == 10 and words[3].endswith("%"):
            found[words[0], words[1]] = [words[2], words[3], *words[5:]]
    return found


def test_agreement_time_and_every_disagreement_by_kind(tmp_path: Path) -> None:
    write(
        tmp_path / "a.jsonl",
        line("Answer: B", 1.0),
        line("Answer: B", False),
        line("Answer: A", True),
        line("I cannot say.", 1),
        line("I cannot say.", 0.0),
    )
    write(
        tmp_path / "below" / "b.jsonl",
        {**line("\\boxed{8}", 1.0, "8", "math__x"), "model": "not read", "prompt": "4+4?"},
        line("\\boxed{8}", 1.0, None, "math__x"),
    )
    done = bench(tmp_path, "--workers", "1")
    assert done.returncode == 0, done.stderr
    found = counts(done.stdout)
    assert found["stem__gpqa", "strict"] == ["5", "40.00%", "1", "1", "1", "0", "0"]
    assert found["math__x", "strict"][0] == "2"
    assert {scorer for _, scorer in found} == {"strict", "guru"}
    _, _, listed = done.stdout.partition("stem__gpqa, strict: false positive (1)")
    # Those of guru, which guesses, come behind.
    ours = listed.partition("stem__gpqa, guru")[0]
    assert "  a.jsonl:2: official 0, ours 1; gold 'B', read 'B'" in ours
    assert "  a.jsonl:3: official 1, ours 0; gold 'B', read 'A'" in ours
    assert "  a.jsonl:4: official 1, ours 0; gold 'B', read None" in ours
    assert ours.count("official") == 3


def test_an_own_scorer_judges_beside_ours_and_alone_what_ours_do_not_know(tmp_path: Path) -> None:
    (tmp_path / "my_scorer.py").write_text(SCORER)
    write(
        tmp_path / "a.jsonl",
        line("Answer: B", 1.0),
        line("Because A", 1.0, "A", "poetry__haiku"),
        line("Because A", 0.0, "A", "poetry__haiku"),
        line("Because", 0.0, 3, "poetry__haiku"),
    )
    done = bench(tmp_path, "--workers", "1", "--scorer", "my_scorer:score")
    assert (done.returncode, done.stderr) == (0, "")
    found = counts(done.stdout)
    assert set(found) == {
        ("stem__gpqa", "strict"),
        ("stem__gpqa", "guru"),
        ("stem__gpqa", "my_scorer:score"),
        ("poetry__haiku", "my_scorer:score"),
    }
    assert found["poetry__haiku", "my_scorer:score"] == ["3", "33.33%", "1", "0", "0", "0", "1"]
    (told,) = [text for text in done.stdout.splitlines() if text.startswith("  a.jsonl:4:")]
    assert told.startswith("  a.jsonl:4: official 0, ours none; gold 3, read None; ")
    assert "my_scorer:score: TypeError: " in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "a.jsonl:2: no JSON: "),
        ("[1]", "a.jsonl:2: no JSON object, but [1]"),
        ('{"response": "x"}', "a.jsonl:2: data_source, ground_truth, verdict missing; it has"),
        (json.dumps(line("x", 2.0)), "a.jsonl:2: verdict is 2.0, not from 0 to 1"),
        (json.dumps(line("x", float("nan"))), "a.jsonl:2: verdict is nan, not from 0 to 1"),
        (json.dumps(line("x", None)), "a.jsonl:2: verdict is None, which is of a wrong type"),
        (json.dumps({**line("x", 1), "response": 3}), "a.jsonl:2: response is 3, which is of a wr"),
        (json.dumps(line("x", 1, "B", "poetry")), "a.jsonl:2: no scorer for the data source 'poe"),
        ("\udcff", "a.jsonl:2: no JSON: "),
    ],
)
def test_a_damaged_line_is_told_by_file_and_line_with_exit_code_2(
    tmp_path: Path, text: str, says: str
) -> None:
    content = f"{json.dumps(line('Answer: B', 1.0))}\n{text}\n"
    (tmp_path / "a.jsonl").write_bytes(content.encode(errors="surrogateescape"))
    done = bench(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"bench_verdicts: {says}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [(), ("--scorer", "no_such:score")])
def test_an_empty_folder_and_an_unknown_scorer_are_one_line(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = bench(tmp_path, *options)
    assert done.returncode == 2
    assert done.stderr.startswith("bench_verdicts: ")
    assert done.stderr.count("\n") == 1
