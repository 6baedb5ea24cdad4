"""The cluster `slurm`: sbatch scripts by submitit, and what squeue and sacct say. The only place that knows Slurm's programs.

submitit turns parameters into the head of an sbatch script. The script's last line, the call of sbatch and the reading of states are
ours: submitit's own submission needs a pickle that it renames after sbatch has answered, and its states may be minutes old
(docs/decisions.md).
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.spec import Job, Resources
from orchestrator import gates
from orchestrator.arrays import Batch, Waits, compressed, expanded, ranges
from orchestrator.errors import SubmitError
from orchestrator.node import write_json
from orchestrator.profile import Profile
from orchestrator.state import Answer, JobState, Record, Seen, split_token
from orchestrator.submit import AmbiguousSubmit

if TYPE_CHECKING:
    from orchestrator.run import Run

COMMAND_SECONDS = 60.0
"""Longest wait for one of Slurm's programs; they give up on a dead controller after about 9 s by themselves."""

WARNING_SECONDS = 120
"""How long before the time limit a job gets SIGUSR2; a job of a few minutes gets it after half of its time at the earliest."""

LOOK_SECONDS = 30
"""Slurm looks at time limits this often, and warns that much earlier rather than late."""

LOOK = Resources(cpus=1, memory_gb=1, minutes=10)
"""What the job that looks at gates asks for; it takes seconds."""

AMBIGUOUS = re.compile(r"socket timed out|temporarily unable|unable to contact|connection (refused|reset|timed out)|communication"
                       r"|zero bytes|timeout|unexpected message", re.IGNORECASE)
"""Errors of sbatch after which the job may be in the queue all the same."""

DEFAULT_ARRAY_SIZE = 1001
"""MaxArraySize of a Slurm that does not say another."""

STATES = {
    "PENDING": JobState.PENDING, "CONFIGURING": JobState.PENDING, "REQUEUED": JobState.PENDING, "REQUEUE_HOLD": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING, "SPECIAL_EXIT": JobState.PENDING, "RESV_DEL_HOLD": JobState.PENDING,
    "RUNNING": JobState.RUNNING, "RESIZING": JobState.RUNNING, "SIGNALING": JobState.RUNNING, "STAGE_OUT": JobState.RUNNING,
    "COMPLETING": JobState.COMPLETING, "SUSPENDED": JobState.SUSPENDED, "STOPPED": JobState.SUSPENDED,
    "COMPLETED": JobState.COMPLETED, "FAILED": JobState.FAILED, "BOOT_FAIL": JobState.NODE_FAIL, "NODE_FAIL": JobState.NODE_FAIL,
    "CANCELLED": JobState.CANCELLED, "REVOKED": JobState.CANCELLED, "DEADLINE": JobState.TIMEOUT, "TIMEOUT": JobState.TIMEOUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY, "PREEMPTED": JobState.PREEMPTED,
}

SQUEUE_FORMAT = "%i\x1f%j\x1f%T\x1f%r\x1f%S\x1f%N"
SACCT_STATES = "CA,CD,F,TO,OOM,NF,PR,BF,DL,RV,PD,R,S,RQ"
"""Naming the states, and an end, makes sacct show jobs too that were cancelled before they could ever have started."""
SACCT_FIELDS = "JobID,JobName%500,State,ExitCode,Start,End,NodeList,Reason"


def job_state(text: str) -> JobState:
    """Slurm's word as a state: ``CANCELLED by 1000`` and ``RUNNING+`` too. A word we do not know is UNKNOWN, never a failure."""
    return STATES.get(re.split(r"[ +]", text.strip(), maxsplit=1)[0], JobState.UNKNOWN)


def seconds(text: str) -> float | None:
    """Slurm's local time stamp as Unix seconds; None for Unknown, None and N/A."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        return None


def parse_squeue(text: str) -> dict[str, Seen]:
    """Jobs by token from squeue in SQUEUE_FORMAT. A job that is waiting shows why.

    Elements of an array that are alike share a line (``123_[4-9,12%3]``). ValueError if a line cannot be read whole.
    """
    found = {}
    for line in text.splitlines():
        job_id, name, state, reason, start, nodes = line.split("\x1f")
        known = job_state(state)
        token = name.rpartition(".")[2]
        why = "" if reason == "None" or known is not JobState.PENDING else reason
        started = seconds(start) if known is not JobState.PENDING else None
        for one in expanded(job_id):
            whole = element_token(token, one)
            found[whole] = Seen(job_id=one, token=whole, state=known, reason=why, started=started, host=nodes or None, source="squeue")
    return found


def element_token(token: str, job_id: str) -> str:
    """The token of a job by the one in its name and its id: ``123_4`` is element 4 of its array."""
    index = split_token(job_id)[1]
    return token if index is None else f"{token}_{index}"


def parse_sacct(text: str) -> dict[str, Seen]:
    """Jobs by token from sacct -P with SACCT_FIELDS. Of several rows with one token the last submitted counts."""
    found: dict[str, Seen] = {}
    for line in text.splitlines():
        fields = line.split("|")
        # A job name may hold the delimiter; nothing else in the line can.
        job_id, name, rest = fields[0], "|".join(fields[1:-6]), fields[-6:]
        state, exit_code, start, end, nodes, reason = rest
        known = job_state(state)
        token = name.rpartition(".")[2]
        code, _, number = exit_code.partition(":")
        why = {JobState.TIMEOUT: "time limit reached", JobState.OUT_OF_MEMORY: "out of memory (host)",
               JobState.NODE_FAIL: "node failed", JobState.PREEMPTED: "preempted"}.get(known, "")
        if known is JobState.CANCELLED:
            why = state.strip().lower() if " by " in state else "cancelled"
        if known is JobState.FAILED:
            why = f"ended by signal {number}" if number not in ("", "0") else f"exit code {code}"
        if reason not in ("", "None", "Dependency", "Priority", "Resources") and known is not JobState.COMPLETED:
            why = f"{why} ({reason})" if why else reason
        for one in expanded(job_id):
            whole = element_token(token, one)
            found[whole] = Seen(job_id=one, token=whole, state=known, reason=why, started=seconds(start), ended=seconds(end),
                                host=None if nodes in ("", "None assigned") else nodes, source="sacct",
                                exit_code=int(code) if code.isdigit() else None)
    return found


def dependency(waits: Waits) -> str:
    """What a batch waits for, in the words of ``sbatch --dependency``."""
    kinds = {"afterok": waits.all, "aftercorr": waits.same_index}
    return ",".join(f"{kind}:{':'.join(ids)}" for kind, ids in kinds.items() if ids)


def script_text(profile: Profile, job: Job, name: str, log: Path, after: str, command: Sequence[str], indexes: Sequence[int] = (),
                exclude: str = "") -> str:
    """The sbatch script: submitit's text, with the profile's set-up and one command that takes the shell's place.

    No srun (``use_srun=False``), hence ``B:`` so that the signal reaches the batch step; the time limit is an int because submitit
    multiplies it; no wckey, which sites that enforce wckeys would refuse.
    """
    from submitit.slurm.slurm import _make_sbatch_string

    resources = job.resources
    gpu = f"gpu:{profile.gpu_type}:{resources.gpus}" if profile.gpu_type else f"gpu:{resources.gpus}"
    warning = min(WARNING_SECONDS, max(1, resources.minutes * 30 - LOOK_SECONDS))
    output = str(log.parent).replace("%", "%%") + f"/{log.name}"
    further: dict[str, Any] = {"output": output, "signal": f"B:USR2@{warning}", "requeue": True}
    if indexes:
        further["array"] = ranges(indexes) + (f"%{profile.throttle}" if profile.throttle else "")
    if after:
        further["kill-on-invalid-dep"] = "yes"
    text: str = _make_sbatch_string(
        command=f"exec {shlex.join(command)}", folder=log.parent, job_name=name, time=resources.minutes, nodes=resources.nodes,
        ntasks_per_node=1, cpus_per_task=resources.cpus, **memory(profile, resources), gres=gpu if resources.gpus else None,
        partition=profile.partition, account=profile.account, qos=profile.qos,
        dependency=after or None, exclude=exclude or None, setup=set_up(profile), wckey=None,
        stderr_to_stdout=True, use_srun=False, additional_parameters={**further, **profile.sbatch})
    return text


def memory(profile: Profile, resources: Resources) -> dict[str, str]:
    """A job's memory as the site counts it, rounded up to whole MB; a job without GPUs asks per node where it counts by GPU."""
    parts = {"gpu": resources.gpus, "cpu": resources.cpus}.get(profile.memory_per, 0)
    if not parts:
        return {"mem": f"{resources.memory_gb}G"}
    return {f"mem_per_{profile.memory_per}": f"{math.ceil(resources.memory_gb * 1024 / parts)}M"}


def set_up(profile: Profile) -> list[str]:
    """Shell lines before the command. One that fails ends the job, and its message is the last line of the log."""
    return ["export PYTHONSAFEPATH=1", *profile.exports(), *(["set -e", *profile.setup] if profile.setup else [])]


class SlurmCluster:
    """Slurm through its own programs. One squeue call for all jobs, one sacct call for those that squeue has forgotten."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.trouble = ""

    def array_size(self) -> int:
        """Slurm's MaxArraySize, or max_array_tasks where that is less; Slurm's default where it cannot be asked."""
        answer = self.ask(["scontrol", "show", "config"]) or ""
        sizes = [int(number) for number in re.findall(r"(?:^MaxArraySize\s*=\s*|max_array_tasks=)(\d+)", answer, re.MULTILINE)]
        return min(sizes, default=DEFAULT_ARRAY_SIZE)

    def script(self, batch: Batch, waits: Waits) -> str:
        """The exact script of one batch."""
        job, record = batch.jobs[0], batch.records[0]
        name = f"{self.run.plan.experiment}.{job.stage if batch.indexes else job.name}.{batch.token}"
        log = self.run.array_folder(batch.token) / "%a.log" if batch.indexes else self.run.log(record)
        return script_text(self.run.profile, job, name, log, dependency(waits), self.run.node_command(job, record), batch.indexes,
                           record.exclude)

    def submit(self, batch: Batch, waits: Waits) -> str:
        """sbatch. An id together with an error, a time-out or a lost connection is ambiguous; anything else that fails is refused."""
        folder = self.run.array_folder(batch.token) if batch.indexes else self.run.attempt_folder(batch.records[0])
        path = folder / "script.sh"
        path.write_text(self.script(batch, waits))
        try:
            result = call(["sbatch", "--parsable", str(path)], cwd=self.run.cwd)
        except subprocess.TimeoutExpired as error:
            raise AmbiguousSubmit(f"{batch.title}: sbatch did not answer within {COMMAND_SECONDS:.0f} s") from error
        except FileNotFoundError as error:
            raise SubmitError(f"{batch.title}: there is no sbatch here; log in to the cluster, or use --cluster local") from error
        answer, said = result.stdout.strip().split(";")[0], " ".join(result.stderr.split())
        if result.returncode == 0 and answer.isdigit():
            return answer
        if answer or AMBIGUOUS.search(said) or result.returncode == 0:
            raise AmbiguousSubmit(f"{batch.title}: sbatch's answer is unclear: {answer!r} {said}; orch launch again looks it up")
        raise SubmitError(f"{batch.title}: sbatch refused: {said.removeprefix('sbatch: error: ')}")

    def ask_active(self) -> Answer:
        """squeue for all of the user's jobs, once."""
        answer = self.ask(["squeue", "--me", "--noheader", f"--format={SQUEUE_FORMAT}"])
        return self.read(answer, parse_squeue)

    def ask_final(self, since: float) -> Answer:
        """sacct for all of the user's jobs since then, once. The start is set a minute earlier for clocks that differ."""
        start = datetime.datetime.fromtimestamp(since - 60).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
        answer = self.ask(["sacct", "--allocations", "--parsable2", "--noheader", f"--starttime={start}", "--endtime=now+1hour",
                           f"--state={SACCT_STATES}", f"--format={SACCT_FIELDS}"])
        return self.read(answer, parse_sacct)

    def read(self, answer: str | None, parse: Callable[[str], dict[str, Seen]]) -> Answer:
        """An answer by token; one that cannot be read whole counts as none: what is missing in it is not gone."""
        if answer is None:
            return None
        try:
            return parse(answer)
        except ValueError as error:
            self.trouble = f"cannot read Slurm's answer: {error}"
            return None

    def ask(self, command: list[str]) -> str | None:
        """Run one of Slurm's programs; None, and ``trouble``, if it cannot answer."""
        try:
            result = call(command)
        except subprocess.TimeoutExpired:
            self.trouble = f"{command[0]} did not answer within {COMMAND_SECONDS:.0f} s"
            return None
        except FileNotFoundError:
            self.trouble = f"there is no {command[0]} here"
            return None
        if result.returncode != 0:
            self.trouble = f"{command[0]}: {' '.join(result.stderr.split())[:200]}"
            return None
        return result.stdout

    def look_after(self, records: Sequence[Record]) -> None:
        """A job of one core that Slurm starts when these have ended, and that runs `orch advance`. Twice would do no harm."""
        if not self.run.profile.submit_from_nodes:
            return
        token = self.run.look_token([record.token for record in records])
        folder = gates.look_folder(self.run)
        note, path = folder / f"{token}.json", folder / f"{token}.sh"
        # The one that is looking at this moment is as good as gone: a requeued job that it waited for is active again.
        if note.exists() and json.loads(note.read_text())["job_id"] != os.environ.get("SLURM_JOB_ID"):
            return
        job = Job(name="look", stage="look", axes={}, engine=None, command=None, config={}, resources=LOOK)
        command = [self.run.profile.host_python, "-P", "-m", "orchestrator.cli", "advance", str(self.run.folder)]
        ids, name = sorted({str(record.job_id) for record in records}), f"{self.run.plan.experiment}.look.{token}"
        path.write_text(script_text(self.run.profile, job, name, folder / f"{token}.log", f"afterany:{':'.join(ids)}", command))
        answer = self.ask(["sbatch", "--parsable", f"--chdir={self.run.cwd}", str(path)])
        if answer is None:
            self.trouble += "; no job will look at the gates: run orch advance when the jobs they judge have ended"
            return
        write_json(note, {"job_id": answer.strip().split(";")[0], "after": [record.name for record in records]})

    def cancel(self, job_ids: Sequence[str]) -> None:
        """scancel, a hundred ids at a time; elements of one array are one of them."""
        job_ids = compressed(job_ids)
        for first in range(0, len(job_ids), 100):
            if self.ask(["scancel", *job_ids[first:first + 100]]) is None:
                raise SubmitError(f"cannot cancel: {self.trouble}; try again")

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go; False, and ``trouble``, if Slurm cannot be asked."""
        word = "release" if release else "uhold"
        return all(self.ask(["scontrol", word, job_id]) is not None for job_id in compressed(job_ids))


def call(command: list[str], cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program with a time limit and an argument list, never a shell. Lists of array elements come whole (64 letters else)."""
    # Inside a job SLURM_* describe that job, and sbatch would hand them on to the next one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_") or key == "SLURM_CONF"}
    return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, cwd=cwd, stdin=subprocess.DEVNULL,
                          env=environment | {"SLURM_BITSTR_LEN": "0"})
