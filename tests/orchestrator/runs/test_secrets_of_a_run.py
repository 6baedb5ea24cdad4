"""No file and no page of a run holds a secret, wherever it comes from; a log alone is as its job
wrote it."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.spec import Job, Options, Resources
from orchestrator.checks.launch import check
from orchestrator.description.profile import Profile
from orchestrator.planning.plan import Plan
from tests.support.cli import SMALL, describe, jobs, orch, the_run
from tests.support.secrets import AROUND, SERVICES, VALUES

PLANTED = "Zq8vT3nL0pXw7RkB5mYd"


def told(profile: Profile, command: tuple[str, ...] = ("true",), **job: object) -> list[str]:
    """What a check says of a plan with one job."""
    values = {"axes": {}, "config": {}, "engine": None, **job}
    one = Job(
        name="a",
        stage="a",
        command=command,
        resources=Resources(memory_gb=1),
        **values,  # type: ignore[arg-type]
    )
    plan = Plan(
        experiment="x", about="", preset=None, source=Path("x.yaml"), jobs=(one,), identity="0"
    )
    return [line for line in check(plan, profile) if "secret" in line]


LOCAL = Profile(name="p", kind="local")


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(sorted(AROUND)), value=VALUES, place=st.integers(0, 4))
def test_what_would_be_written_down_is_refused(kind: str, value: str, place: int) -> None:
    text = AROUND[kind].format(value)
    found = [
        lambda: told(LOCAL, ("true", text)),
        lambda: told(LOCAL, axes={"x": text}),
        lambda: told(LOCAL, config={"deep": [{"x": text}]}),
        lambda: told(LOCAL, options=Options(setup=(text,))),
        lambda: told(Profile(name="p", kind="local", setup=[text])),
    ][place]()
    assert len(found) == 1
    assert value not in found[0]


@pytest.mark.parametrize("key", SERVICES, ids=lambda key: key[:12])
def test_keys_of_services_are_refused_behind_any_name(key: str) -> None:
    (line,) = told(LOCAL, config={"anything": key})
    assert "stage 'a' holds what looks like a secret" in line


def test_a_flag_and_its_value_are_two_words() -> None:
    assert len(told(LOCAL, ("train", "--api-key", "hunter22x"))) == 1
    assert told(LOCAL, ("train", "--max-tokens", "512", "--key", "train_dataset")) == []
    assert told(LOCAL, ("sh", "-c", 'train --api-key "$API_KEY"')) == []


@pytest.mark.long
def test_what_jobs_print_and_where_they_come_from_leaves_no_secret(tmp_path: Path) -> None:
    lines = [text.format(PLANTED).replace("\n", " ") for text in AROUND.values()]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    (tmp_path / "dies.py").write_text(
        "import os, sys\n"
        "print('Traceback: all is lost')\n"
        "sys.exit('RuntimeError: ' + open('lines.txt').read().splitlines()[int(sys.argv[1])])\n"
    )

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    git("config", "http.extraHeader", f"Authorization: Bearer {PLANTED}")
    git("remote", "add", "origin", f"https://oauth2:{PLANTED}@example.org/x.git")
    git("add", "dies.py")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")
    (tmp_path / "dies.py").write_text(
        f"API_TOKEN = '{PLANTED}'\n" + (tmp_path / "dies.py").read_text()
    )
    file = describe(
        tmp_path,
        f"  a: {{command: 'python dies.py {{n}}', matrix: {{n: {list(range(len(lines)))}}}, "
        f"pack: {len(lines)}, at_once: 1, {SMALL}}}\n",
    )
    launched = orch(tmp_path, "launch", file, "--cluster", "local", "--watch")
    assert "submitted" in launched.stdout, launched.stderr
    found = jobs(tmp_path)
    assert {job["state"] for job in found.values()} == {"FAILED"}
    assert all("RuntimeError" in job["reason"] for job in found.values()), found
    assert PLANTED not in str(found)
    for command in (["page"], ["why", "a/n=0"], ["status", "--all"]):
        said = orch(tmp_path, *command)
        assert PLANTED not in said.stdout + said.stderr
    holds = [
        str(path.relative_to(tmp_path))
        for path in the_run(tmp_path).rglob("*")
        if path.is_file() and PLANTED.encode() in path.read_bytes()
    ]
    assert [path for path in holds if not path.endswith((".log", "log.txt"))] == []
    assert len(holds) > len(lines)
