"""Profiles of typical sites, what jobs get of them, commands with any arguments, and a profile
written from Slurm's own words."""

import hashlib
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.spec import Job, Resources
from orchestrator.checks.launch import check, variables, wrapper
from orchestrator.checks.new_profile import Wanted, profile_of, text_of
from orchestrator.checks.site import Site, parse_associations, parse_nodes
from orchestrator.clusters.slurm.parse import parse_partitions
from orchestrator.clusters.slurm.script import JobScript, script_text
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from tests.support.cli import SMALL, describe, orch, the_run
from tests.support.paths import ROOT
from tests.support.private_slurm import PrivateSlurm

GOLDEN = ROOT / "tests" / "golden"
JOB = Job(
    name="train/seed=0",
    stage="train",
    axes={"seed": 0},
    engine="ppo",
    command=None,
    config={},
    resources=Resources(gpus=3, cpus=32, memory_gb=100, minutes=720),
)


def script(profile: Profile, job: Job = JOB) -> str:
    script = JobScript(name="x.train.0123456789", log=Path("/runs/x/log.txt"), command=["true"])
    return script_text(profile, job.resources, script)


@pytest.mark.parametrize("name", ["a100_normal_q", "conda_mem_per_gpu", "apptainer_exclusive"])
def test_the_script_of_a_typical_site_is_as_it_was_reviewed(name: str) -> None:
    assert script(load_profile(name)) == (GOLDEN / f"{name}.sh").read_text()


@pytest.mark.parametrize(
    ("by", "gpus", "line"),
    [
        ("node", 3, "--mem=100G"),
        ("gpu", 3, "--mem-per-gpu=34134M"),
        ("gpu", 0, "--mem=100G"),
        ("cpu", 0, "--mem-per-cpu=3200M"),
    ],
)
def test_memory_is_asked_for_as_the_site_counts_it(by: Any, gpus: int, line: str) -> None:
    job = Job(**{**vars(JOB), "resources": Resources(gpus=gpus, cpus=32, memory_gb=100)})
    text = script(Profile(kind="slurm", memory_per=by), job)
    assert [found for found in text.splitlines() if "--mem" in found] == [f"#SBATCH {line}"]


def test_a_variable_reaches_the_job_by_name_alone_and_its_absence_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "planted-value-123")
    nasty = 'a "b" `c` \\d e'
    profile = Profile(
        kind="slurm",
        environment={
            "HF_TOKEN": "$MY_TOKEN",
            "BOTH": "x ${MY_TOKEN} y" + nasty,
            "MY_TOKEN": "other",
            "PLAIN": nasty,
        },
    )
    lines = "\n".join(profile.exports())
    assert "planted" not in lines
    show = '\nprintf \'%s\\n\' "$HF_TOKEN" "$BOTH" "$MY_TOKEN" "$PLAIN"'
    shown = subprocess.run(
        ["bash", "-c", lines + show], capture_output=True, text=True, check=True
    ).stdout
    assert shown == f"planted-value-123\nx planted-value-123 y{nasty}\nother\n{nasty}\n"
    monkeypatch.delenv("MY_TOKEN")
    absent = subprocess.run(["bash", "-c", lines + show], capture_output=True, text=True)
    assert (absent.returncode != 0, absent.stdout) == (True, "")
    assert "MY_TOKEN: is not set in the environment of this job" in absent.stderr


def told(profile: Profile, command: str = "echo") -> list[str]:
    job = Job(
        name="a",
        stage="a",
        axes={},
        engine=None,
        command=(command, "hi"),
        config={},
        resources=Resources(memory_gb=1),
    )
    return check(
        Plan(
            experiment="x", about="", preset=None, source=Path("x.yaml"), jobs=(job,), identity="0"
        ),
        profile,
    )


def test_what_would_write_a_secret_down_is_refused_before_the_launch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "planted-value-123")
    assert (
        told(Profile(name="p", kind="local", environment={"WANDB_API_KEY": "$WANDB_API_KEY"})) == []
    )
    assert [
        line.split(":")[2]
        for line in told(Profile(name="p", kind="local", environment={"HF_TOKEN": "hf_1234567890"}))
    ] == [" HF_TOKEN holds its value, which would be written into scripts"]
    assert any(
        "profile 'p' holds the value of $WANDB_API_KEY" in line
        for line in told(Profile(name="p", kind="local", setup=["wandb login planted-value-123"]))
    )
    monkeypatch.setenv("HUB_TOKEN", "echo-with-secret")
    assert any(
        "the experiment holds the value of $HUB_TOKEN" in line
        for line in told(Profile(name="p", kind="local", setup=["true"]), "echo-with-secret")
    )


def test_a_variable_that_sbatch_leaves_behind_and_an_image_that_is_not_there_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "planted-value-123")
    behind = Profile(
        name="p",
        kind="slurm",
        environment={"T": "$MY_TOKEN", "H": "$HOME"},
        sbatch={"export": "NONE"},
    )
    (line,) = variables(behind)
    assert "leaves it behind" in line
    assert "{export: 'NONE,MY_TOKEN'}" in line
    assert (
        list(
            variables(
                Profile(
                    name="p",
                    kind="slurm",
                    environment={"T": "$MY_TOKEN"},
                    sbatch={"export": "MY_TOKEN"},
                )
            )
        )
        == []
    )
    program, image = wrapper(
        Profile(name="p", kind="slurm", wrap=["no-such-container", "exec", "x.sif"])
    )
    assert "no program 'no-such-container' on PATH" in program
    assert "no image x.sif" in image


def test_options_that_orch_hangs_on_cannot_be_taken_over(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "kind: slurm\nsbatch: {job_name: mine}\nwrap: apptainer exec\nmemory_per: core\n"
    )
    with pytest.raises(CheckError) as caught:
        load_profile(str(tmp_path / "c.yaml"))
    assert [line.split("profile: ")[1] for line in caught.value.lines] == [
        "sbatch must be without 'job_name', which orch sets itself, got {'job_name': 'mine'}",
        "wrap must be a list: a program and its arguments, got 'apptainer exec'",
        "memory_per must be node, gpu or cpu, got 'core'",
    ]


SHOW = (
    "import json, os, sys; json.dump([sys.argv[1:], sys.stdin.read()], "
    "open(os.environ['ORCH_OUT'] + '/seen', 'w'))"
)
NASTY = [
    "",
    " two  spaces ",
    "quote'\"s",
    "new\nline",
    "$HOME `id` $(id) \\",
    "ünïcode →",
    "--lead",
    "-",
    "*",
    "{brace",
    "a;b|c&d",
    "#no",
    "%j",
]


def test_a_command_gets_any_arguments_as_they_are_written_and_knows_what_it_is(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    command = json.dumps(["python3", "-c", SHOW, *NASTY, "{x}"])
    tell = (
        "import json, os, pathlib; print(json.dumps({k: v for k, v in os.environ.items() if "
        "k.startswith('ORCH_')}))"
    )
    file = describe(
        folder,
        f"  a: {{command: {command}, matrix: {{x: ['it''s $x']}}, {SMALL}}}\n"
        f"  b: {{command: {json.dumps(['python3', '-c', tell])}, for_each: a, {SMALL}}}\n"
        f"  c: {{command: [sh, -c, 'exit 7'], {SMALL}}}\n",
    )
    assert orch(folder, "launch", file, "--cluster", "local", "--watch").returncode == 1
    run = the_run(folder)
    job = next((run / "jobs").glob("a.*"))
    assert json.loads((job / "out" / "files" / "seen").read_text()) == [[*NASTY, "it's $x"], ""]
    known = json.loads(next((run / "jobs").glob("b.*/attempt-1/log.txt")).read_text())
    assert json.loads(known["ORCH_AXES"]) == {"x": "it's $x"}
    assert json.loads(known["ORCH_NEEDS"]) == {f"a/x={'it_s__x'}": str(job / "out" / "files")}
    assert (known["ORCH_RUN"], known["ORCH_ATTEMPT"]) == (str(run), "1")
    assert Path(known["ORCH_OUT"]).is_dir()
    assert json.loads((run / "jobs/c/attempt-1/exit.json").read_text())["exit_code"] == 7


WORDS = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_characters="\0", exclude_categories=["Cs"]),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS.filter(lambda word: "{" not in word), min_size=1, max_size=4))
def test_a_list_and_a_quoted_text_are_the_same_command(
    tmp_path_factory: Any, words: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    plans = []
    for command in (["p", *words], shlex.join(["p", *words])):
        (folder / "x.yaml").write_text(
            f"experiment: x\nstages:\n  a: {{command: {json.dumps(command, ensure_ascii=False)}}}\n"
            if all(word.isprintable() for word in words)
            else f"experiment: x\nstages:\n  a: {{command: {json.dumps(command)}}}\n"
        )
        plans.append(make_plan(folder / "x.yaml"))
    assert plans[0].jobs[0].command == ("p", *words)
    assert plans[0].identity == plans[1].identity


def wrapper_program(folder: Path) -> Path:
    """What stands in for a container's program: it notes how it was called and becomes what it was
    given."""
    path = folder / "contain"
    path.write_text(f'#!/bin/bash\nprintf \'%s\\n\' "$@" >> {folder}/called\nshift 2\nexec "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_wrapped_jobs_start_inside_and_their_node_program_outside(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    contain = wrapper_program(tmp_path)
    (tmp_path / "site.yaml").write_text(
        f"kind: local\nwrap: [{contain}, exec, 'image x']\npython: {sys.executable}\n"
    )
    file = describe(
        folder,
        f"  a: {{command: [sh, -c, 'echo wrapped ${{ORCH_WRAP-no}}'], {SMALL}}}\n"
        f"  c: {{engine: analysis, after: [a], {SMALL}, config: {{compare: {{baseline: x, "
        f"treatment: y}}}}}}\n",
    )
    assert (
        orch(folder, "launch", file, "--cluster", str(tmp_path / "site.yaml"), "--watch").returncode
        == 0
    )
    run = the_run(folder)
    assert (run / "jobs" / "a" / "attempt-1" / "log.txt").read_text() == "wrapped no\n"
    calls = (tmp_path / "called").read_text()
    assert calls.count("exec\nimage x\n") == 2
    assert f"image x\n{sys.executable}\n-P\n-u\n-X\nutf8\n-m\nengines.analysis\n" in calls
    assert (
        json.loads((run / "jobs" / "c" / "out" / "environment.json").read_text())["executable"]
        == sys.executable
    )


PARTITIONS = """PartitionName=cpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL Default=YES MaxTime=2-00:00:00 State=UP
PartitionName=gpu AllowGroups=ALL AllowAccounts=mine,theirs AllowQos=ALL MaxTime=1-00:00:00 State=UP
PartitionName=old AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL MaxTime=UNLIMITED State=DOWN
"""
NODES = "cpu|128|257000|(null)\ngpu|64+|515000+|gpu:a100:4(S:0-3)\ngpu|96|1031000|gpu:a100:8(S:0-7)\nold|8|64000|gpu:v100:2\n"


def site(associations: str, nodes: str = NODES) -> Site:
    return Site(
        parse_nodes(nodes),
        parse_partitions(PARTITIONS),
        parse_associations(associations),
        {"long": 20},
        {"long": 600},
    )


def test_a_profile_says_what_slurm_says_and_asks_only_where_there_is_a_choice(
    tmp_path: Path,
) -> None:
    made = profile_of(site("mine||normal|50\n"), Wanted())
    assert (
        made.partition,
        made.account,
        made.gpu_type,
        made.cpus_per_node,
        made.memory_gb_per_node,
        made.gpus_per_node,
        made.max_minutes,
        made.max_jobs,
    ) == ("gpu", "mine", "a100", 96, 1006, 8, 1440, 50)
    (tmp_path / "c.yaml").write_text(text_of(made))
    assert load_profile(str(tmp_path / "c.yaml")) == Profile(**{**vars(made), "name": "c"})
    two = site("mine||normal,long|\ntheirs||normal|\n")
    with pytest.raises(
        CheckError, match="there are 2 accounts: choose one with --account: mine; theirs"
    ):
        profile_of(two, Wanted())
    chosen = profile_of(two, Wanted(account="mine", qos="long"))
    assert (chosen.qos, chosen.max_minutes, chosen.max_jobs) == ("long", 600, 20)
    with pytest.raises(
        CheckError, match="--partition gpus: no such partition for you here; did you mean 'gpu'"
    ):
        profile_of(two, Wanted(partition="gpus"))
    with pytest.raises(
        CheckError, match="there are 2 GPU types: choose one with --gpu-type: a100; h100"
    ):
        profile_of(site("mine||normal|\n", NODES + "gpu|64|515000|gpu:h100:4\n"), Wanted())
    assert profile_of(site("other||normal|\n"), Wanted()).partition == "cpu"


def on(
    slurm: PrivateSlurm, folder: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    assert os.environ["SLURM_CONF"]
    return orch(folder, *arguments, HOME=str(folder), **variables)


@pytest.mark.slurm
def test_a_profile_of_the_private_slurm_is_written_proved_and_used(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    several = on(slurm, tmp_path, "profile", "init")
    assert several.returncode == 2
    assert (
        "there are 2 partitions: choose one with --partition: a100_normal_q (4 a100, up "
        "to 1-00:00:00); low (4 a100" in several.stderr
    )
    mine = ["profile", "init", "--partition", "a100_normal_q"]
    assert "choose one with --account: llmalignment; root" in on(slurm, tmp_path, *mine).stderr
    written = on(slurm, tmp_path, *mine, "--account", "llmalignment")
    assert written.returncode == 0, written.stderr
    assert "Slurm takes a job of 1 GPU, 1 CPU, 1 GB on partition 'a100_normal_q'" in written.stdout
    made, known = (
        load_profile(str(tmp_path / ".config" / "orch" / "cluster.yaml")),
        load_profile(str(slurm.profile)),
    )
    for key in (
        "partition",
        "account",
        "gpu_type",
        "cpus_per_node",
        "memory_gb_per_node",
        "gpus_per_node",
        "max_minutes",
    ):
        assert getattr(made, key) == getattr(known, key), key
    assert (
        "is there already: --force"
        in on(slurm, tmp_path, "profile", "init", "--partition", "low").stderr
    )
    assert on(slurm, tmp_path, "check", "hello-command").returncode == 0


@pytest.mark.slurm
def test_a_planted_token_reaches_a_wrapped_job_on_slurm_and_is_in_no_file(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    text = (
        slurm.profile.read_text()
        + f"wrap: [{wrapper_program(tmp_path)}, exec, image]\nenvironment: {{HF_TOKEN: "
        f"$PLANTED_TOKEN}}\n"
    )
    (tmp_path / "site.yaml").write_text(text)
    digest = (
        "import hashlib, os, time; "
        "print(hashlib.sha256(os.environ['HF_TOKEN'].encode()).hexdigest())"
    )
    file = describe(folder, f"  a: {{command: {json.dumps(['python3', '-c', digest])}, {SMALL}}}\n")
    shown = [
        on(slurm, folder, *arguments, PLANTED_TOKEN="planted-4711-value")
        for arguments in (
            ["launch", file, "--cluster", str(tmp_path / "site.yaml"), "--watch"],
            ["status"],
            ["logs", "a"],
        )
    ]
    assert [result.returncode for result in shown] == [0, 0, 0], [result.stderr for result in shown]
    log = the_run(folder) / "jobs" / "a" / "attempt-1" / "log.txt"
    assert log.read_text() == hashlib.sha256(b"planted-4711-value").hexdigest() + "\n"
    assert "planted-4711" not in "".join(result.stdout + result.stderr for result in shown)
    assert [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and b"planted-4711" in path.read_bytes()
    ] == []
