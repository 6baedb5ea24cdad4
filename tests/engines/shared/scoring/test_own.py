"""A user's own scorer: found without being run, judged in a process that can be killed, and whatever
it does wrong is told in its own item."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.own import OwnScorer, check_loading, find, verdict_of
from engines.shared.scoring.pool import ScoringPool
from engines.shared.scoring.verdict import Verdict
from tests.support.paths import ROOT

SIGNATURE = "def score(data_source, solution_str, ground_truth, extra_info=None):\n"


def own(folder: Path, body: str, module: str = "my_scorer") -> OwnScorer:
    """A module with these lines in the function ``score``."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / f"{module}.py").write_text(SIGNATURE + lines)
    return find(f"{module}:score", [folder])


def asked(scorer: OwnScorer | None, gold: Any = "8", **extra: Any) -> Problem:
    """A problem of a source that no scorer of ours knows."""
    made = make_problem("poetry__haiku", user("?"), gold, extra_info=extra)
    return Problem(**{**vars(made), "scorer": scorer and scorer.name})


def judged(scorer: OwnScorer, *texts: str, seconds: float = 20.0, **problem: Any) -> list[Verdict]:
    with ScoringPool(1, seconds, scorers={scorer.name: scorer}) as pool:
        return pool.score_many([(asked(scorer, **problem), text) for text in texts])


def test_it_gets_what_verl_gives_and_the_whole_response(tmp_path: Path) -> None:
    scorer = own(
        tmp_path,
        "seen = (data_source, solution_str, ground_truth, extra_info)\n"
        "expected = ('poetry__haiku', '<think>3</think> 8', ['8', None], {'level': 2})\n"
        "return {'score': seen == expected, 'pred': solution_str[-1]}",
    )
    found = judged(scorer, "<think>3</think> 8", gold=["8", None], level=2)
    assert found == [Verdict(1.0, "ok", "8")]


def test_the_file_in_the_how_to_can_be_copied(tmp_path: Path) -> None:
    _, _, text = (
        (ROOT / "docs" / "howto" / "own-scorer.md").read_text().partition("`my_scorer.py`:\n\n")
    )
    (tmp_path / "my_scorer.py").write_text(textwrap.dedent(text.partition("\nand `mine")[0]))
    found = judged(find("my_scorer:score", [tmp_path]), "2 and 6 are 8", "9", "none")
    assert found == [Verdict(1.0, "ok", "8"), Verdict(0.0, "ok", "9"), Verdict(0.0, "ok", None)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("return True", 1.0),
        ("return 0", 0.0),
        ("return 0.25", 0.25),
        ("import numpy; return numpy.float32(0.5)", 0.5),
        ("import numpy; return numpy.bool_(True)", 1.0),
        ("import fractions; return fractions.Fraction(1, 4)", 0.25),
        ("import decimal; return {'score': decimal.Decimal('0.25')}", 0.25),
        ("import decimal; return decimal.Decimal('sNaN')", None),
        ("return 1j", None),
        ("return {'score': 0.75, 'acc': False}", 0.75),
        ("return None", None),
        ("return 2.0", None),
        ("return -1.0", None),
        ("return float('nan')", None),
        ("return '1.0'", None),
        ("return (1.0, 'why')", None),
        ("return {'value': 1.0}", None),
        ("return {'score': None}", None),
        ("return 10 ** 400", None),
        ("import numpy; return numpy.ones(2)", None),
        ("return lambda: 1.0", None),
    ],
)
def test_a_score_is_a_number_from_0_to_1_and_all_else_is_an_error_that_shows_it(
    tmp_path: Path, line: str, value: float | None
) -> None:
    (verdict,) = judged(own(tmp_path, line), "8")
    assert verdict.value == value
    assert (verdict.status, type(verdict.value)) == (
        ("error", type(None)) if value is None else ("ok", float)
    )
    if value is None:
        assert verdict.detail.startswith("my_scorer:score returned ")
        assert "a number from 0 to 1" in verdict.detail


@given(st.floats() | st.integers() | st.booleans())
def test_every_number_is_a_value_or_refused(number: float) -> None:
    scorer = OwnScorer(name="m:f", folder="", file="m.py", source="")
    verdict = verdict_of(scorer, number)
    inside = not math.isnan(number) and 0 <= number <= 1
    assert (verdict.value, verdict.status) == ((number, "ok") if inside else (None, "error"))
    reward = verdict_of(scorer, number, any_number=True)
    # A whole number may be larger than any float.
    finite = not math.isnan(number) and abs(number) <= sys.float_info.max
    assert (reward.value, reward.status) == ((float(number), "ok") if finite else (None, "error"))


def test_a_reward_may_be_any_finite_number_in_the_pool_of_a_training(tmp_path: Path) -> None:
    scorer = own(tmp_path, "return float(solution_str)")
    texts = ["-1", "2.5", "nan", "inf", "none"]
    with ScoringPool(1, 20.0, scorers={scorer.name: scorer}, any_number=True) as pool:
        found = pool.score_many([(asked(scorer), text) for text in texts])
    assert [verdict.value for verdict in found] == [-1.0, 2.5, None, None, None]
    assert "returned nan; a reward is a finite number" in found[2].detail
    assert "ValueError: could not convert string to float: 'none' (" in found[4].detail


def test_a_file_below_the_folder_is_named_by_its_path_and_finds_its_neighbours(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "my rewards.v2"
    folder.mkdir()
    (folder / "neighbour_of_it.py").write_text("HALF = 0.5\n")
    (folder / "by-length.v1.py").write_text(
        f"import dataclasses\nimport neighbour_of_it\n@dataclasses.dataclass\nclass Half:\n"
        f"    value: float = neighbour_of_it.HALF\n{SIGNATURE}    return Half().value\n"
    )
    name = "my rewards.v2/by-length.v1.py:score"
    scorer = find(name, [tmp_path / "elsewhere", tmp_path])
    assert (scorer.name, scorer.folder) == (name, str(folder))
    assert judged(scorer, "a")[0].value == 0.5
    whole = find(f"{folder}/by-length.v1.py:score", ["/"])
    assert judged(whole, "a")[0].value == 0.5


def test_an_exception_is_told_with_its_type_and_the_line_of_the_users_file(tmp_path: Path) -> None:
    scorer = own(
        tmp_path,
        "import json\nif solution_str == 'out':\n    raise SystemExit(3)\n"
        "if solution_str == 'stop':\n    raise KeyboardInterrupt\n"
        "return json.loads(solution_str)",
    )
    found = judged(scorer, "[", "out", "stop", "1")
    assert [(verdict.value, verdict.status) for verdict in found] == [
        (None, "error"),
        (None, "error"),
        (None, "error"),
        (1.0, "ok"),
    ]
    assert "my_scorer:score: json.decoder.JSONDecodeError: " in found[0].detail
    assert found[0].detail.endswith(f"({scorer.file}, line 7)")
    assert "SystemExit: 3" in found[1].detail
    assert "KeyboardInterrupt" in found[2].detail


def test_prints_of_every_kind_disturb_no_verdict_and_stay_out_of_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scorer = own(
        tmp_path,
        "import os, sys\nprint('a word')\nprint('another', file=sys.stderr)\n"
        "os.write(1, b'x' * 200_000)\nos.system('echo from a child')\nreturn 1.0",
    )
    assert [verdict.value for verdict in judged(scorer, "a", "b")] == [1.0, 1.0]
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_hang_is_killed_with_what_it_started_and_the_time_of_an_import_does_not_count(
    tmp_path: Path,
) -> None:
    (tmp_path / "slow_import.py").write_text("import time\ntime.sleep(2)\n")
    scorer = own(
        tmp_path,
        "import slow_import_done\nif solution_str != 'hang':\n    return 1.0\n"
        "import subprocess\nchild = subprocess.Popen(['sleep', '300'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\nchild.wait()",
    )
    (tmp_path / "slow_import_done.py").write_text("")
    slow = OwnScorer(**{**scorer.model_dump(), "source": "import slow_import\n" + scorer.source})
    start = time.monotonic()
    found = judged(slow, "a", "hang", "b", seconds=1.0)
    assert [(verdict.value, verdict.status) for verdict in found] == [
        (1.0, "ok"),
        (None, "timeout"),
        (1.0, "ok"),
    ]
    assert found[1].detail == "no verdict within 1 s"
    assert time.monotonic() - start < 60
    child = Path(f"/proc/{(tmp_path / 'child').read_text()}/stat")
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() - start < 120
        time.sleep(0.05)


def test_a_process_that_the_function_ends_costs_its_item(tmp_path: Path) -> None:
    scorer = own(
        tmp_path,
        "import os, signal\nif solution_str == 'x':\n    os._exit(7)\n"
        "if solution_str == 'killed':\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if solution_str == 'closed':\n    os.closerange(3, 100)\nreturn 1.0",
    )
    found = judged(scorer, "a", "x", "killed", "closed", "b")
    assert [verdict.value for verdict in found] == [1.0, None, None, None, 1.0]
    assert found[1].detail == "my_scorer:score ended its process (exit code 7)"
    assert found[2].detail.startswith(
        "my_scorer:score: its process was ended by SIGKILL, as the ke"
    )
    assert found[3].detail.startswith("my_scorer:score ended its process (exit code 1)")


def test_where_memory_ends_the_process_of_a_scorer_is_the_first_to_go(tmp_path: Path) -> None:
    scorer = own(tmp_path, "return open('/proc/self/oom_score_adj').read() == '1000\\n'")
    assert judged(scorer, "a")[0].value == 1.0


def test_a_module_finds_what_lies_beside_it_and_hides_nothing_of_pythons(tmp_path: Path) -> None:
    (tmp_path / "my_helpers.py").write_text("HALF = 0.5\n")
    (tmp_path / "json.py").write_text("raise RuntimeError('not this one')\n")
    scorer = own(tmp_path, "import json, my_helpers\nreturn json.loads('1') * my_helpers.HALF")
    assert judged(scorer, "a")[0].value == 0.5
    # Its own name may be one of Python's.
    statistics = own(tmp_path, "import statistics\nreturn statistics.mean([1.0])", "statistics")
    assert judged(statistics, "a")[0].value == 1.0


def test_a_module_of_a_package_may_import_its_neighbours(tmp_path: Path) -> None:
    package = tmp_path / "my_rewards"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "common.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Half:\n    value: float = 0.5\n"
    )
    (package / "haiku.py").write_text(
        "from __future__ import annotations\nimport dataclasses\nfrom .common import Half\n"
        "@dataclasses.dataclass\nclass Sum:\n    half: Half\n"
        f"{SIGNATURE}    return Sum(Half()).half.value\n"
    )
    scorer = find("my_rewards.haiku:score", [tmp_path])
    assert judged(scorer, "a")[0].value == 0.5


def test_the_source_that_was_planned_is_what_runs(tmp_path: Path) -> None:
    scorer = own(tmp_path, "return 0.25")
    changed = own(tmp_path, "return 0.75")
    assert judged(scorer, "a")[0].value == 0.25
    assert (scorer.name, scorer.file) == (changed.name, changed.file)
    assert scorer.label != changed.label
    assert scorer.label == own(tmp_path, "return 0.25").label


def test_a_scorer_of_ours_judges_another_source_where_a_task_names_it() -> None:
    named = Problem(**{**vars(asked(None)), "scorer": "mathematics"})
    with ScoringPool(1, 30.0) as pool:
        assert pool.score_many([(named, "\\boxed{8}")])[0].value == 1.0


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("my_scorer.py:score", "", r"my_scorer\.py: has no function 'score'"),
        (
            "my_scorers.py:score",
            "",
            r"there is no my_scorers\.py for .* did you mean 'my_scorer\.py'",
        ),
        ("my_scorer.py:", "", "'my_scorer.py:' names no function; write file.py:function"),
        ("my_scorer\0.py:score", "", "there is no my_scorer"),
        ("my_scorers:score", "", r"nor is such a module installed; did you mean 'my_scorer'\?"),
        (f"{'long' * 100}:score", "", "nor is such a module installed"),
        ("score", "", "'score' names no function; write file.py:function"),
        ("my scorer:score", "", "names no function"),
        ("another:score", "", r"there is no another\.py for 'another:score' in /"),
        (
            "my_scorer:score",
            "def scores(x): ...\n",
            "has no function 'score'; did you mean 'scores'",
        ),
        ("my_scorer:score", "def score(:\n", r"my_scorer\.py, line 1: invalid syntax"),
        (
            "my_scorer:score",
            "\ndef score(response, gold): ...\n",
            r"line 2: score\(response, gold\) cannot be called without response, gold; it is called "
            "with the named arguments data_source, solution_str, ground_truth, extra_info",
        ),
        (
            "my_scorer:score",
            "def score(solution_str, ground_truth): ...\n",
            "does not take data_source, extra_info",
        ),
        (
            "my_scorer:score",
            "def score(data_source, solution_str, ground_truth, extra_info, *, level): ...\n",
            "cannot be called without level",
        ),
        (
            "my_scorer:score",
            "def score(data_source, solution_str, ground_truth, extra_info, /): ...\n",
            "cannot be called without data_source",
        ),
        ("my_scorer:score", "\nasync def score(**all): ...\n", "line 2: score is a coroutine; wri"),
        ("my_scorer:score", "class score: ...\n", "line 1: score is a class; name a function"),
        ("my_scorer:score", "score = 3\n", "line 1: score is '3'; name a function"),
        ("my_scorer:score", "score: list = [1.0]\n", r"score is '\[1\.0\]'; name a function"),
        (
            "my_scorer:score",
            "score = lambda response, gold: 1.0\n",
            r"score\(response, gold\) cannot be called without response, gold; it is called",
        ),
        (
            "my_scorer:score",
            "def score(**all):\n    if all:\n        yield 1.0\n",
            "score yields; write return instead of yield",
        ),
        (
            "my_scorer:score",
            "if 1:\n    score = 3\nelse:\n    def score(x): ...\n",
            "line 4: score.x. cannot be called without x",
        ),
        ("my_scorer:score", "def score(**all): ...\n\0", r"my_scorer\.py: source code string"),
        ("my_scorer:score", "(" * 5000, r"my_scorer\.py"),
    ],
)
def test_a_name_a_module_or_a_function_that_is_not_there_is_one_line_and_nothing_is_run(
    tmp_path: Path, name: str, source: str, says: str
) -> None:
    (tmp_path / "my_scorer.py").write_text(source + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ConfigError, match=says) as caught:
        find(name, [tmp_path])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "source",
    [
        "def score(data_source, solution_str, ground_truth, extra_info=None, **kwargs): ...\n",
        "def score(solution_str, **rest): ...\n",
        "def score(**all): ...\n",
        "def score(data_source, solution_str, ground_truth, extra_info, strict=True): ...\n",
        "def score(*, extra_info, ground_truth, solution_str, data_source): ...\n",
        "try:\n    import fast\nexcept ImportError:\n    def score(**all): ...\n",
        "from somewhere import score\n",
        "from somewhere import *\n",
        "import functools\nscore = functools.partial(print, level=1)\n",
        "def score(**all):\n    def numbers():\n        yield 1.0\n    return max(numbers())\n",
        "first, (score, *others) = make_scorers()\n",
        "score = other = lambda **all: 1.0\n",
        "if 1:\n    score = 3\nelse:\n    def score(**all): ...\n",
        "for level in (1, 2):\n    def score(solution_str, level=level, **rest): ...\n",
    ],
)
def test_what_can_be_called_with_the_named_arguments_is_taken(tmp_path: Path, source: str) -> None:
    (tmp_path / "my_scorer.py").write_text(source)
    assert find("my_scorer:score", [tmp_path]).source == source


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "\nimport no_such_module\ndef score(**all): ...\n",
            r"ModuleNotFoundError: No module named 'no_such_module' \(.*my_scorer\.py, line 2\)",
        ),
        ("import os\nos._exit(4)\ndef score(**all): ...\n", r"ends the process \(exit code 4\)"),
        (
            "import broken\ndef score(**all): ...\n",
            r"SyntaxError: .*\(broken\.py, line 2\) \(.*my_s",
        ),
        ("raise KeyboardInterrupt\ndef score(**all): ...\n", "KeyboardInterrupt"),
        ("def make(): yield 1\nscore = make\n", "is a class, a coroutine or a generator"),
        ("from json import loads as score\n", "cannot be loaded: .*named arguments"),
        ("def score(**all): ...\nscore = 3\n", "has no function 'score'"),
        ("raise SystemExit\ndef score(**all): ...\n", "SystemExit"),
    ],
)
def test_what_only_loading_shows_is_one_line_before_anything_is_generated(
    tmp_path: Path, source: str, says: str
) -> None:
    (tmp_path / "my_scorer.py").write_text(source)
    (tmp_path / "broken.py").write_text("\ndef broken(:\n")
    with pytest.raises(ConfigError, match=says) as caught:
        check_loading([own(tmp_path, "return 1.0", "good"), find("my_scorer:score", [tmp_path])])
    assert str(caught.value).startswith("scorer: my_scorer:score cannot be loaded: ")
    assert "\n" not in str(caught.value)


def test_a_module_that_waits_for_ever_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.shared.scoring.own.LOAD_SECONDS", 6.0)
    (tmp_path / "waits.py").write_text("import time\ntime.sleep(600)\ndef score(**all): ...\n")
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"waits:score cannot be loaded: .* after 6 s"):
        check_loading([own(tmp_path, "return 1.0"), find("waits:score", [tmp_path])])
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    ("first", "encoding"),
    [("\ufeff", "utf-8"), ("# -*- coding: latin-1 -*-\n", "latin-1"), ("import re\r\n", "utf-8")],
)
def test_a_module_is_read_as_python_reads_it(tmp_path: Path, first: str, encoding: str) -> None:
    source = f"{first}{SIGNATURE}    return solution_str == 'fünf'\n"
    (tmp_path / "my_scorer.py").write_bytes(source.encode(encoding))
    found = judged(find("my_scorer:score", [tmp_path]), "fünf", "funf")
    assert [verdict.value for verdict in found] == [1.0, 0.0]


def test_a_good_module_loads(tmp_path: Path) -> None:
    check_loading([])
    check_loading([own(tmp_path, "return 1.0")])
