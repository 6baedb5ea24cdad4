"""What was launched is kept, and what the nodes run is that: a later edit changes nothing that is
queued."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engines.contract.environment import cpu_count, environment, packages
from orchestrator.errors import CheckError, RunError
from orchestrator.runs.attempts import prepare
from orchestrator.runs.create import create_run
from orchestrator.runs.provenance.code_copies import (
    CODE,
    MOST_MEGABYTES,
    copy_launched,
    put_in_place,
    take_engines,
    take_folder,
)
from orchestrator.runs.provenance.git_state import PATCH_BYTES, cut, git_state
from orchestrator.runs.provenance.redaction import is_secret, redacted
from tests.support.builders import PLANNED, planned
from tests.support.cli import SMALL, describe, orch, the_run
from tests.support.paths import ROOT, wait_for
from tests.support.repositories import git, repository


def test_one_copy_per_distinct_code_and_a_torn_one_is_mended(tmp_path: Path) -> None:
    name = take_engines(tmp_path)
    place = tmp_path / CODE / name
    before = (place / "engines" / "contract" / "config.py").stat().st_ino
    assert take_engines(tmp_path) == name
    assert (place / "engines" / "contract" / "config.py").stat().st_ino == before
    assert (place / "engines" / "shared" / "suites" / "shipped").is_dir(), (
        "data of the engines is code too"
    )
    assert (place / "orchestrator" / "node" / "__main__.py").is_file()
    own = ROOT / "orchestrator" / "node"
    program = {path.relative_to(own) for path in own.rglob("*.py")}
    copied = place / "orchestrator" / "node"
    assert {path.relative_to(copied) for path in copied.rglob("*.py")} == program
    (place / "engines" / "contract" / "config.py").write_text("torn")
    assert take_engines(tmp_path) == name
    assert (place / "engines" / "contract" / "config.py").read_text() == (
        ROOT / "engines" / "contract" / "config.py"
    ).read_text()
    assert [path.name for path in (tmp_path / CODE).iterdir()] == [name]


def as_older_versions_made_it(code: Path) -> None:
    """Give a copy of the code the form of before the node's program was a package: a file node.py
    beside others."""
    package = code / "orchestrator" / "node"
    for path in package.rglob("*.py"):
        text = path.read_text().replace("orchestrator.node.", "orchestrator.node_parts.")
        text = text.replace("from orchestrator.node import", "from orchestrator.node_parts import")
        path.write_text(text)
    package.rename(package.with_name("node_parts"))
    (code / "orchestrator" / "node.py").write_text(
        "import os, sys\n"
        "sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]\n"
        "from orchestrator.node_parts.__main__ import main\n"
        "sys.exit(main())\n"
    )


def test_a_copy_that_an_older_version_made_is_still_started(tmp_path: Path) -> None:
    stages = {"a": {"command": "true", "resources": {"cpus": 1, "minutes": 1}}}
    plan = planned({"experiment": "x", "stages": stages}, tmp_path)
    run = create_run(plan, PLANNED, tmp_path / "runs")
    as_older_versions_made_it(run.code().folder)
    (job,) = run.plan.jobs
    record = replace(run.load()[0], attempt=1, token=run.token(job, 1))
    prepare(run, [job], [record])
    command = run.node_command(job, record)
    assert command[-4].endswith("orchestrator/node.py")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert run.results(job).exists()
    assert run.exits([record])["a"].results
    claim = json.loads((run.attempt_folder(record) / "claim.json").read_text())
    assert claim["code"] == run.code().name


def test_of_two_that_make_the_same_copy_the_first_stays_in_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    put_in_place(tmp_path / "a", tmp_path / "copy")
    put_in_place(tmp_path / "b", tmp_path / "copy")
    assert (tmp_path / "copy" / "file").read_text() == "a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_the_kept_engines_run_without_the_installed_ones(tmp_path: Path) -> None:
    place = tmp_path / CODE / take_engines(tmp_path)
    code = (
        "import engines.contract.config as config, engines.shared.suites.suite as suite; "
        "print(config.__file__); print(suite.SHIPPED)"
    )
    shown = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout.split()
    assert shown == [
        str(place / "engines" / "contract" / "config.py"),
        str(place / "engines" / "shared" / "suites" / "shipped"),
    ]


def test_a_folder_is_copied_as_git_knows_it(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    (folder / "sub").mkdir()
    (folder / "sub" / "new file.sh").write_text("#!/bin/sh\n")
    (folder / "sub" / "new file.sh").chmod(0o755)
    (folder / "ignored").write_text("x")
    (folder / ".env").write_text("HF_TOKEN=x")
    (folder / "link").symlink_to("train.py")
    (folder / "out").symlink_to("../elsewhere")
    work = tmp_path / "run" / "work"
    digest = take_folder(folder, work)
    copied = sorted(
        str(path.relative_to(work / digest))
        for path in (work / digest).rglob("*")
        if not path.is_dir()
    )
    assert copied == [".gitignore", "link", "out", "sub/new file.sh", "train.py"]
    assert os.access(work / digest / "sub" / "new file.sh", os.X_OK)
    assert (work / digest / "link").readlink() == Path("train.py")
    assert (work / digest / "out").readlink() == tmp_path / "elsewhere"
    assert json.loads((work / f"{digest}.json").read_text())["left_out"] == [".env"]
    assert take_folder(folder, work) == digest
    (folder / "train.py").write_text("print('two')\n")
    assert take_folder(folder, work) != digest
    (tmp_path / "other").mkdir()
    (work / digest / "made.txt").write_text("what ran there left this")
    copy_launched(work, digest, tmp_path / "other" / "work")
    assert not (tmp_path / "other" / "work" / digest / "made.txt").exists()
    assert (tmp_path / "other" / "work" / digest / "train.py").read_text() == "print('one')\n"
    (work / digest / "train.py").write_text("changed by what ran")
    with pytest.raises(RunError, match="was changed by what ran there"):
        copy_launched(work, digest, tmp_path / "third" / "work")


def test_a_folder_without_git_or_too_large_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="git init"):
        take_folder(tmp_path, tmp_path / "work")
    folder = repository(tmp_path / "here")
    with (folder / "weights.bin").open("wb") as file:
        file.truncate((MOST_MEGABYTES + 1) * 2**20)
    with pytest.raises(CheckError, match=r"101 MB .*weights\.bin"):
        take_folder(folder, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_git_is_described_with_its_changes_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_state(tmp_path) == (None, "")
    folder = repository(tmp_path / "here")
    git(folder, "remote", "add", "origin", "https://me:s3cretpassw0rd@example.org/x.git")
    (folder / "data.bin").write_bytes(bytes(range(256)))
    git(folder, "add", "-A")
    monkeypatch.setenv("MY_TOKEN", "planted-value-123")
    (folder / "train.py").write_text(
        "print('two')\ntoken = 'planted-value-123'\nMAX_TOKENS = 1024\n"
    )
    (folder / "note.txt").write_text("untracked")
    state, patch = git_state(folder)
    assert state is not None
    assert state["commit"] == git(folder, "rev-parse", "HEAD")
    assert (state["branch"], state["remote"]) == ("main", "https://example.org/x.git")
    assert (state["changed"], state["binary"], state["untracked"]) == (
        ["data.bin", "train.py"],
        ["data.bin"],
        ["note.txt"],
    )
    assert "+print('two')" in patch
    assert "+token = '<MY_TOKEN>'" in patch
    assert "+MAX_TOKENS = 1024" in patch
    assert "planted" not in patch
    # What stands in a file of secrets need not look like one.
    (folder / "conf").mkdir()
    (folder / "conf" / "secrets.yaml").write_text("who: knows\n")
    git(folder, "add", "-A")
    _, patch = git_state(folder)
    assert "conf/secrets.yaml\n(left out: by its name it holds secrets)\n" in patch
    assert "knows" not in patch
    assert "+print('two')" in patch


def test_a_long_patch_ends_with_a_whole_file() -> None:
    one = "diff --git a/x b/x\n" + "+line\n" * (PATCH_BYTES // 10)
    assert cut(one) == one
    assert cut(one * 3) in (one, one * 2)


def test_secrets_are_told_by_name_value_and_shape() -> None:
    assert all(
        map(
            is_secret,
            [
                "HF_TOKEN",
                "WANDB_API_KEY",
                "MY_SECRET",
                "DB_PASSWORD",
                "GITHUB_TOKEN",
                "SLACK_WEBHOOK",
                "apikey",
            ],
        )
    )
    assert not any(
        map(
            is_secret,
            ["PATH", "TOKENIZERS_PARALLELISM", "HOME", "KEYBOARD_LAYOUT", "SSH_AUTH_SOCK"],
        )
    )
    text = (
        'a hf_abcdefghijklmnopqrstuvwx b\nWANDB_API_KEY="0123456789abcdef0123"\nEOS_TOKEN = '
        '"<|endoftext|>"\nDB_PASSWORD=hunter22x\n'
    )
    assert (
        redacted(text, {}) == 'a <secret> b\nWANDB_API_KEY="<secret>"\nEOS_TOKEN = '
        '"<|endoftext|>"\nDB_PASSWORD=<secret>\n'
    )
    assert (
        redacted("x /home/me/cred.json", {"GOOGLE_CREDENTIALS": "/home/me/cred.json"})
        == "x /home/me/cred.json"
    )


def test_packages_are_those_that_importlib_finds() -> None:
    from importlib.metadata import distributions

    found = packages()
    expected = {
        d.metadata["Name"].lower().replace("_", "-").replace(".", "-"): d.version
        for d in distributions()
    }
    assert found["pydantic"] == expected["pydantic"]
    assert len(found.keys() & expected.keys()) > 0.9 * len(expected)
    assert environment()["python"] == sys.version.split()[0]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the product that a test may edit."""
    place = tmp_path / "program"
    for name in ("orchestrator", "engines", "jobs", "slurm_templates"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def test_an_edit_after_the_launch_changes_nothing_that_is_queued_and_a_retry_takes_it(
    tmp_path: Path, program: Path
) -> None:
    """The job waits for a command that waits for a file; meanwhile its engine is broken."""
    folder = tmp_path / "here"
    folder.mkdir()
    file = describe(
        folder,
        f"  gate: {{command: \"sh -c 'while [ ! -e go ]; do sleep 0.1; done'\", {SMALL}}}\n"
        f"  data: {{engine: miniature, after: [gate], {SMALL}, config: {{warmup_steps: 1}}}}\n"
        f"  after: {{command: 'false', after: [gate], {SMALL}}}\n",
    )
    (program / "engines" / "miniature" / "__main__.py").write_text(
        "import sys, engines\nsys.exit(f'old code {engines.__file__}')\n"
    )
    launched = orch(folder, "launch", file, "--cluster", "local", "--no-watch", program=program)
    assert launched.returncode == 0, launched.stderr
    (program / "engines" / "miniature" / "__main__.py").write_text("raise SystemExit('new code')\n")
    (folder / "go").touch()
    run = the_run(folder)
    log = run / "jobs" / "data" / "attempt-1" / "exit.json"
    wait_for(log)
    first = json.loads((run / "provenance" / "1" / "launch.json").read_text())["code"]
    assert (
        json.loads(log.read_text())["reason"]
        == f"old code {folder}/runs/{CODE}/{first}/engines/__init__.py"
    )
    assert json.loads((log.parent / "claim.json").read_text())["code"] == first
    wait_for(run / "jobs" / "after" / "attempt-1" / "exit.json")
    again = orch(folder, "retry", "--job", "data", program=program)
    assert "code: engines/miniature/__main__.py changed since the last launch" in again.stdout, (
        again.stderr
    )
    second = run / "jobs" / "data" / "attempt-2"
    wait_for(second / "exit.json")
    assert json.loads((second / "exit.json").read_text())["reason"] == "new code"
    assert (
        json.loads((second / "claim.json").read_text())["code"]
        == json.loads((run / "code.json").read_text())["code"]
        != first
    )


def test_commands_of_a_snapshot_run_what_was_there_at_the_launch(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    file = describe(
        folder,
        f"  a: {{command: \"sh -c 'while [ ! -e {folder}/ignored ]; do sleep 0.1; done; "
        "cat train.py; pwd; exit 3'\", "
        f"{SMALL}}}\n",
        "snapshot: true\n",
    )
    launched = orch(folder, "launch", file, "--cluster", "local", "--no-watch")
    assert launched.returncode == 0, launched.stderr
    (folder / "train.py").write_text("print('two')\n")
    (folder / "ignored").touch()
    run = the_run(folder)
    attempt = run / "jobs" / "a" / "attempt-1"
    wait_for(attempt / "exit.json")
    work = json.loads((run / "code.json").read_text())["work"]
    assert (attempt / "log.txt").read_text() == f"print('one')\n{run}/work/{work}\n"
    assert "files of the folder changed" in orch(folder, "retry", "--job", "a").stdout
    wait_for(attempt.with_name("attempt-2") / "exit.json")
    assert (attempt.with_name("attempt-2") / "log.txt").read_text().startswith("print('two')\n")


def launch_of(run: Path, number: int = 1) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (run / "provenance" / str(number) / "launch.json").read_text()
    )
    return document


def test_a_planted_secret_is_nowhere_after_everything_was_asked_for(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    (folder / "train.py").write_text("TOKEN = 'planted-4711-value'\n")
    (folder / "note.sh").write_text(
        "curl https://hooks.slack.com/services/T000/B000/planted-4711\n"
    )
    git(folder, "add", "note.sh")
    (tmp_path / "site.yaml").write_text(
        "kind: local\nenvironment: {HF_TOKEN: $MY_OWN_TOKEN}\n"
        f"notify: {{webhook_env: SLACK_WEBHOOK, command: [sh, -c, 'cat >> {folder}/told']}}\n"
    )
    digest = (
        "import hashlib, os; print(hashlib.sha256(os.environ['HF_TOKEN'].encode()).hexdigest())"
    )
    file = describe(
        folder,
        f"  a: {{command: {json.dumps(['python3', '-c', digest])}, {SMALL}}}\n"
        f"  b: {{command: 'false', {SMALL}}}\n"
        f"  c: {{engine: analysis, after: [a], config: {{compare: {{baseline: x, "
        f"treatment: y}}}}, {SMALL}}}\n",
    )
    tokens = {
        "MY_OWN_TOKEN": "planted-4711-value",
        "WANDB_API_KEY": "planted-4711-other",
        "SLACK_WEBHOOK": "http://127.0.0.1:9/planted-4711",
    }
    calls = (
        ["launch", file, "--cluster", str(tmp_path / "site.yaml"), "--watch"],
        ["status"],
        ["status", "--json"],
        ["logs", "a"],
        ["why", "b"],
        ["costs"],
        ["costs", "--json"],
        ["page"],
        ["report"],
        ["results"],
        ["results", "--json"],
        ["results", "--csv", "rows.csv", "--parquet", "rows.parquet"],
        ["rerun", "trial"],
        ["diff", "trial", "trial", "--json"],
        ["diff", "trial", "trial"],
        ["profile", "list"],
    )
    shown = [orch(folder, *arguments, HOME=str(folder), **tokens) for arguments in calls]
    assert [result.returncode for result in shown] == [1, *[0] * (len(calls) - 1)], [
        result.stderr for result in shown
    ]
    run = next(path for path in (folder / "runs" / "trial").iterdir() if "rerun" not in path.name)
    wait_for(run / "jobs" / "a" / "attempt-1" / "exit.json")
    assert (run / "jobs" / "a" / "attempt-1" / "log.txt").read_text() == hashlib.sha256(
        b"planted-4711-value"
    ).hexdigest() + "\n"
    assert (run / "jobs" / "c" / "out" / "environment.json").exists()
    assert "has ended: 2 COMPLETED, 1 FAILED" in (folder / "told").read_text()
    assert {
        note["state"]
        for key, note in json.loads((run / "notified.json").read_text()).items()
        if "webhook" in key
    } == {"not delivered"}
    assert [(run / name).exists() for name in ("page.html", "jobs/c/out/report.html")] == [
        True,
        True,
    ]
    assert "planted-4711" not in "".join(result.stdout + result.stderr for result in shown)
    written = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in ("train.py", "note.sh")
        and ".git" not in path.parts
        and b"planted-4711" in path.read_bytes()
    ]
    assert written == []


def test_a_secret_that_a_job_prints_goes_into_no_page_and_no_message(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        f"  b: {{command: \"sh -c 'echo Error: no access with $HF_TOKEN; exit 3'\", {SMALL}}}\n",
        f'notify: {{command: [sh, -c, \'cat >> {tmp_path}/told; echo "$1" >> '
        f"{tmp_path}/told', sh, '{{text}}']}}\n",
    )
    token = {"HF_TOKEN": "planted-4711-value"}
    assert orch(tmp_path, "launch", file, "--cluster", "local", "--watch", **token).returncode == 1
    shown = orch(tmp_path, "page", **token)
    told = (tmp_path / "told").read_text()
    assert "no access with <HF_TOKEN>" in told
    assert "no access with &lt;HF_TOKEN&gt;" in Path(shown.stdout.strip()).read_text()
    assert "planted-4711" not in told + Path(shown.stdout.strip()).read_text()


def test_a_rerun_is_a_run_of_its_own_and_the_difference_to_it_is_told(
    tmp_path: Path, program: Path
) -> None:
    folder = repository(tmp_path / "here")
    file = describe(
        folder,
        f"  a: {{command: [cat, train.py], {SMALL}}}\n  b: {{command: 'echo {{x}}', "
        f"matrix: {{x: [1, 2]}}, {SMALL}}}\n",
        "snapshot: true\n",
    )
    launched = orch(folder, "launch", file, "--cluster", "local", "--watch", program=program)
    assert launched.returncode == 0, launched.stderr
    first = the_run(folder)
    (folder / "train.py").write_text("print('two')\n")
    (folder / "trial.yaml").write_text("gone")
    with (program / "engines" / "contract" / "config.py").open("a") as engine:
        engine.write("# one more line\n")
    assert orch(folder, "rerun", "trial", "--code", "launched", program=program).returncode == 0
    again = orch(
        folder,
        "rerun",
        first.name,
        "--set",
        "b.matrix.x=[2, 3]",
        "--set",
        "a.resources.minutes=7",
        program=program,
    )
    assert again.returncode == 0, again.stderr
    reruns = (folder / "runs" / "trial").glob("*-rerun-1")
    same, other = sorted(reruns, key=lambda path: path.name != f"{first.name}-rerun-1")
    for run in (same, other):
        wait_for(run / "jobs" / "a" / "attempt-1" / "exit.json")
    logs = [
        (run / "jobs" / "a" / "attempt-1" / "log.txt").read_text() for run in (first, same, other)
    ]
    assert logs == ["print('one')\n", "print('one')\n", "print('two')\n"]
    assert launch_of(same)["code"] == launch_of(first)["code"] != launch_of(other)["code"]
    assert (
        json.loads(orch(folder, "diff", first.name, same.name, "--json", program=program).stdout)[
            "differences"
        ]
        == []
    )
    found = json.loads(
        orch(folder, "diff", first.name, other.name, "--json", program=program).stdout
    )["differences"]
    told = {(one["what"], one["where"], one["key"]): (one["a"], one["b"]) for one in found}
    assert told["jobs", "b", "b/x=1"] == ("only here", None)
    assert told["jobs", "b", "b/x=3"] == (None, "only here")
    assert told["resources", "a", "minutes"] == (5, 7)
    assert told["code", "engines/contract/config.py", "lines"] == ("-0", "+1")
    assert told["code", "train.py", "lines"] == ("-1", "+1")
    table = orch(folder, "diff", first.name, other.name, program=program).stdout
    assert "engines/contract/config.py" in table
    wrong = orch(folder, "diff", "triall", first.name, program=program)
    assert (wrong.returncode, "did you mean 'trial'?" in wrong.stderr) == (2, True)


def test_a_changed_config_with_the_launched_code_is_checked_by_that_code(
    tmp_path: Path, program: Path
) -> None:
    """The launched engine has a key and a default that the present one has not."""
    folder = tmp_path / "here"
    folder.mkdir()
    config, main = (
        program / "engines" / "miniature" / name for name in ("config.py", "__main__.py")
    )
    before = config.read_text()
    config.write_text(before + '\n    warmth: int = 5\n    """Degrees."""\n')
    main.write_text(
        "import json, sys\nprint('warmth', json.load(open(sys.argv[1]))['warmth'])\nsys.exit(3)\n"
    )
    file = describe(
        folder, f"  data: {{engine: miniature, {SMALL}, config: {{warmup_steps: 1}}}}\n"
    )
    assert (
        orch(folder, "launch", file, "--cluster", "local", "--no-watch", program=program).returncode
        == 0
    )
    first = the_run(folder)
    wait_for(first / "jobs" / "data" / "attempt-1" / "exit.json")
    config.write_text(before)
    main.write_text("raise SystemExit('new code')\n")
    for arguments, warmth in (((), 5), (("--set", "data.config.warmth=7"), 7)):
        again = orch(folder, "rerun", first.name, "--code", "launched", *arguments, program=program)
        assert again.returncode == 0, again.stderr
        made = max(
            (folder / "runs" / "trial").glob("*-rerun-1"), key=lambda path: path.stat().st_ctime
        )
        wait_for(made / "jobs" / "data" / "attempt-1" / "exit.json")
        assert (made / "jobs" / "data" / "attempt-1" / "log.txt").read_text().splitlines().count(
            f"warmth {warmth}"
        ) == 1
        assert launch_of(made)["code"] == launch_of(first)["code"]
    wrong = orch(
        folder,
        "rerun",
        first.name,
        "--code",
        "launched",
        "--set",
        "data.config.warmth=hot",
        program=program,
    )
    assert wrong.returncode == 2
    (said,) = [line for line in wrong.stderr.splitlines() if line.startswith("orch: ")]
    assert "config.warmth must be a valid integer" in said
    assert "Traceback" not in wrong.stderr
    unknown = orch(folder, "rerun", first.name, "--set", "data.config.warmth=7", program=program)
    assert "unknown key 'warmth'" in unknown.stderr


def test_a_job_takes_the_cpus_that_it_was_given_and_no_more_than_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = len(os.sched_getaffinity(0))
    for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert cpu_count() == there
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4096")
    assert cpu_count() == there
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cpu_count() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")  # of nested regions: not ours to read
    assert cpu_count() == there


@pytest.mark.parametrize("text", ["", "[]", '{"files": 7}', None], ids=str)
def test_a_copy_of_which_nobody_knows_what_it_held_is_not_run_again(
    text: str | None, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "abc.json").write_text(text)
    with pytest.raises(RunError, match="what the copy held is not known"):
        copy_launched(tmp_path, "abc", tmp_path / "target")
