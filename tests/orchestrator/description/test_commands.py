"""What of a command line only a shell would understand."""

from __future__ import annotations

import pytest

from orchestrator.description.keys import of_a_shell


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("python t.py > log.txt", ">"),
        ("python t.py >>log.txt", ">>log.txt"),
        ("python t.py 2>&1", "2>&1"),
        ("python t.py 2>/dev/null", "2>/dev/null"),
        ("python t.py < in.txt", "<"),
        ("python t.py | tee log", "|"),
        ("cd sub && python t.py", "cd"),
        ("python a.py && python b.py", "&&"),
        ("python a.py; python b.py", "a.py;"),
        ("python t.py --n $(nproc)", "$(nproc)"),
        ("python t.py --n `nproc`", "`nproc`"),
        ("source env.sh", "source"),
        ("python t.py &", "&"),
    ],
)
def test_what_only_a_shell_understands_is_named(text: str, wrong: str) -> None:
    assert of_a_shell(text) == wrong


@pytest.mark.parametrize(
    "text",
    [
        "",
        "python t.py --lr {lr} --out $ORCH_OUT/model",
        "python -c \"import sys; print('a > b', sys.argv)\" {name}",
        "bash -c 'cd sub && python t.py > log.txt'",
        "python t.py --note='it | that' --only \"a && b\" --less <5 --more >=0.5 --than >1e-3",
        "grep \\> file",
        "python t.py --pattern a|b --url https://x.org/?a=1&b=2",
        "python cd/train.py --say cd",
    ],
)
def test_what_a_program_may_get_is_left_alone(text: str) -> None:
    assert of_a_shell(text) == ""
