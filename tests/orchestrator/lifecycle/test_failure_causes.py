"""What a job died of, read from log texts as torch, vLLM, Ray, NCCL, Slurm, Python and bash write
them."""

# log lines are as long as they are
import importlib.util
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.description.profile import Profile
from orchestrator.lifecycle.deaths.kinds import ADVICE, AGAIN, EVERYWHERE, WITH_THESE_VALUES, Kind
from orchestrator.lifecycle.failure_causes import Cause, alike, cause_of, from_log, with_cause
from orchestrator.node.system import error_line
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.sources import ExitRecord

TRACEBACK = ["Traceback (most recent call last):", '  File "train.py", line 3, in <module>']

REAL = [
    (
        Kind.GPU_MEMORY,
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 22.78 GiB. GPU 0 "
        "has a total capacity of 31.47 GiB of "
        "which 12.73 GiB is free. Including non-PyTorch memory, this process has 18.73 "
        "GiB memory in use.",
    ),
    (Kind.GPU_MEMORY, "RuntimeError: CUDA error: out of memory"),
    (
        Kind.CACHE_BLOCKS,
        "ValueError: No available memory for the cache blocks. Try increasing "
        "`gpu_memory_utilization` when initializing the "
        "engine (this flag also controls CPU memory reservation on the CPU backend, "
        "despite its name).",
    ),
    (
        Kind.CACHE_BLOCKS,
        "ValueError: To serve at least one request with the model's max seq len (32768), "
        "(4.0 GiB KV cache is needed, which "
        "is larger than the available KV cache memory (1.2 GiB). Based on the available "
        "memory, the estimated maximum model "
        "length is 9824.",
    ),
    (
        Kind.CACHE_BLOCKS,
        "(EngineCore_0 pid=4321) ERROR 11-21 09:12:01 [core.py:708] ValueError: Free "
        "memory on device cuda:0 (3.1/79.1 GiB) "
        "on startup is less than desired GPU memory utilization (0.9, 71.2 GiB). "
        "Decrease GPU memory utilization or reduce "
        "GPU memory used by other processes.",
    ),
    (
        Kind.HOST_MEMORY,
        "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. "
        "DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4000000000000000 bytes. Error code 12 (Cannot allocate memory)",
    ),
    (Kind.HOST_MEMORY, "MemoryError"),
    (
        Kind.HOST_MEMORY,
        "slurmstepd: error: Detected 1 oom_kill event in StepId=11300781.batch. Some of "
        "the step tasks have been OOM Killed.",
    ),
    (
        Kind.HOST_MEMORY,
        "slurmstepd: error: Detected 2 oom-kill event(s) in step 3756240.batch cgroup.",
    ),
    (
        Kind.HOST_MEMORY,
        "(raylet) 1 worker(s) were killed due to the node running low on memory. Memory "
        "on the node was 60.8GB / 64.0GB",
    ),
    (
        Kind.COMMUNICATION,
        "[rank0]:[E321 02:07:08.408271257 ProcessGroupNCCL.cpp:607] [Rank 0] Watchdog "
        "caught collective operation timeout: "
        "WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600060 "
        "milliseconds before timing out.",
    ),
    (
        Kind.COMMUNICATION,
        "[rank3]: torch.distributed.DistBackendError: NCCL error in: "
        "/opt/pytorch/ProcessGroupNCCL.cpp:3763, remote process "
        "exited or there was a network error, NCCL version 2.28.8",
    ),
    (
        Kind.RAY,
        "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.",
    ),
    (
        Kind.NOT_A_NUMBER,
        "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0",
    ),
    (
        Kind.NOT_A_NUMBER,
        "RuntimeError: step 12: the gradient is not finite, 4 times so far (max_skipped_steps = 3)",
    ),
    (Kind.PACKAGE, "ModuleNotFoundError: No module named 'flash_attn'"),
    (Kind.PACKAGE, "bash: line 1: nvcc: command not found"),
    (
        Kind.IMPORT,
        "ImportError: cannot import name 'Foo' from 'transformers' "
        "(/opt/env/lib/python3.11/site-packages/transformers/__init__.py)",
    ),
    (Kind.IMPORT, "RuntimeError: operator torchvision::nms does not exist"),
    (Kind.VARIABLE, "KeyError: 'HF_TOKEN'"),
    (Kind.VARIABLE, "/var/spool/slurmd/job00017/slurm_script: line 14: SCRATCH: unbound variable"),
    (
        Kind.FILE,
        "FileNotFoundError: [Errno 2] No such file or directory: '/scratch/data/train.parquet'",
    ),
    (Kind.FILE, "cat: weights.bin: No such file or directory"),
    (Kind.DISK, "OSError: [Errno 28] No space left on device"),
    (
        Kind.DISK,
        "OSError: [Errno 122] Disk quota exceeded: "
        "'/home/me/checkpoints/step-10/model.safetensors'",
    ),
    (
        Kind.NODE,
        "slurmstepd: error: *** JOB 17 ON a100-1 CANCELLED AT 2026-11-21T09:00:00 DUE TO "
        "NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***",
    ),
    (
        Kind.TIME_LIMIT,
        "slurmstepd: error: *** JOB 17 ON a100-1 CANCELLED AT 2026-11-21T09:00:00 DUE TO "
        "TIME LIMIT ***",
    ),
    (
        Kind.PREEMPTED,
        "slurmstepd: error: *** JOB 17 ON a100-1 CANCELLED AT 2026-11-21T09:00:00 DUE TO "
        "PREEMPTION ***",
    ),
    (Kind.CODE, "TypeError: forward() got an unexpected keyword argument 'labels'"),
]


@pytest.mark.parametrize(
    ("kind", "line"), REAL, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(REAL)]
)
def test_real_lines_name_their_cause_and_are_quoted(kind: Kind, line: str) -> None:
    cause = cause_of(
        JobState.FAILED, "exit code 1", None, ["step 4 of 30, loss 0.31", *TRACEBACK, line]
    )
    assert cause.kind is kind
    assert cause.line
    assert cause.line.removesuffix("...") in line
    assert ADVICE[kind] in str(cause)


def test_what_the_first_failure_drags_behind_it_is_not_the_cause() -> None:
    gpu, watchdog, ray = (
        next(line for found, line in REAL if found is kind)
        for kind in (Kind.GPU_MEMORY, Kind.COMMUNICATION, Kind.RAY)
    )
    assert (
        from_log([gpu, watchdog, ray, "engines.ppo: error: the actor died"]).kind is Kind.GPU_MEMORY
    )
    assert (
        from_log(
            [ray, "ray.exceptions.RayTaskError(FileNotFoundError): No such file or directory: 'x'"]
        ).kind
        is Kind.FILE
    )
    assert from_log([watchdog, "ModuleNotFoundError: No module named 'yaml'"]).kind is Kind.PACKAGE


def test_warnings_that_nothing_died_of_are_not_causes() -> None:
    log = [
        "WARNING 11-21 09:12:01 [x.py:7] ModuleNotFoundError: No module named "
        "'flash_attn', falling back",
        "INFO 11-21 09:12:02 [x.py:9] FileNotFoundError for the optional cache, going on",
        *TRACEBACK,
        "ValueError: seed must be at least 0",
    ]
    assert from_log(log) == Cause(Kind.CODE, "ValueError: seed must be at least 0")
    assert from_log(["all is well", "step 3"]) == Cause(Kind.UNKNOWN, "")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (JobState.TIMEOUT, Kind.TIME_LIMIT),
        (JobState.OUT_OF_MEMORY, Kind.HOST_MEMORY),
        (JobState.PREEMPTED, Kind.PREEMPTED),
        (JobState.NODE_FAIL, Kind.NODE),
        (JobState.CANCELLED, Kind.CANCELLED),
    ],
)
def test_the_schedulers_word_stands_above_the_log(state: JobState, kind: Kind) -> None:
    cause = cause_of(
        state, "so says sacct", None, [*TRACEBACK, "KeyboardInterrupt", "ValueError: half a batch"]
    )
    assert (cause.kind, cause.line) == (kind, "so says sacct")


def test_the_kernels_memory_killer_explains_a_death_without_words() -> None:
    left = ExitRecord(
        token="t",
        job_id="7",
        host="n",
        pid=1,
        exit_code=-9,
        started=1.0,
        ended=2.0,
        results=False,
        oom_kills=2,
    )
    cause = cause_of(JobState.FAILED, "ended by signal 9", left, ["step 3"])
    assert (cause.kind, "killed 2 of its processes" in cause.line) == (Kind.HOST_MEMORY, True)
    assert cause_of(JobState.FAILED, "ended by signal 9", None, ["step 3"]) == Cause(
        Kind.UNKNOWN, "ended by signal 9"
    )


def test_the_messages_of_the_installed_vllm_are_the_ones_we_look_for() -> None:
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("vllm is not installed")
    root = Path(spec.submodule_search_locations[0]) / "v1"
    source = (root / "core" / "kv_cache_utils.py").read_text() + (
        root / "worker" / "utils.py"
    ).read_text()
    assert "No available memory for the cache blocks" in source
    assert "is less than desired GPU memory utilization" in source
    assert "cache is needed, which is larger than the available KV cache" in source


def test_jobs_that_fail_of_the_same_are_alike_whatever_their_numbers() -> None:
    one = "RuntimeError: step 12: the gradient is not finite, 4 times so far (0x7f3a)"
    assert alike(one) == alike(one.replace("12", "170").replace("0x7f3a", "0x11"))
    assert alike(one) != alike("RuntimeError: loss is nan")


def test_every_kind_has_its_advice() -> None:
    assert set(ADVICE) == set(Kind)


def test_of_several_nodes_the_first_dead_is_named_and_is_the_one_that_a_retry_leaves_out() -> None:
    left = ExitRecord(
        token="t",
        job_id="7",
        host="a100-2",
        pid=1,
        exit_code=1,
        started=0.0,
        ended=1.0,
        results=False,
        died_first={"node": 1, "log": "nodes/7-0/1.log"},
    )
    record = Record(
        name="a",
        stage="a",
        identity="i",
        folder="jobs/a",
        token="t",
        state=JobState.FAILED,
        host="a100-[1-2]",
    )
    named = with_cause(record, left, [b"ValueError: bad rate"])
    assert named.reason.startswith(f"node 1 ended first: {Kind.CODE}: ValueError: bad rate")
    assert named.host == "a100-2"


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        # What passes by itself, or elsewhere, is none of the program's mistakes.
        (
            Kind.NETWORK,
            "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests",
        ),
        (Kind.NETWORK, "requests.exceptions.ConnectionError: x: Max retries exceeded with url: /y"),
        (Kind.FILE_SYSTEM, "OSError: [Errno 116] Stale file handle"),
        (Kind.PORT, "OSError: [Errno 98] Address already in use"),
        (
            Kind.HOST_MEMORY,
            "RuntimeError: DataLoader worker (pid 31) is killed by signal: Killed. ",
        ),
        (
            Kind.HOST_MEMORY,
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB",
        ),
        (
            Kind.SHARED_MEMORY,
            "RuntimeError: DataLoader worker (pid 8) is killed by signal: Bus error. It is possible"
            " that dataloader's workers are out of shared memory.",
        ),
    ],
)
def test_what_passes_is_tried_again_and_holds_nobody(kind: Kind, last: str) -> None:
    assert from_log([*TRACEBACK, last]).kind is kind
    assert from_log(["step 3", last]).kind is kind
    assert kind in AGAIN
    assert kind not in EVERYWHERE | WITH_THESE_VALUES


@pytest.mark.parametrize(
    ("earlier", "last"),
    [
        ("rm: cannot remove 'x': No such file or directory", "ValueError: bad learning rate"),
        ("/etc/profile.d/z.sh: No such file or directory", "AssertionError: batch must divide"),
        ("wandb: Network error (ConnectionError), entering retry loop.", "ValueError: bad rate"),
        ("OSError: [Errno 98] Address already in use, trying the next", "KeyError: 'labels'"),
        ("bash: nvidia-smi: command not found", "TypeError: f() takes 2 positional arguments"),
    ],
)
def test_a_harmless_line_before_the_exception_is_not_the_cause(earlier: str, last: str) -> None:
    log = [earlier, *(f"step {n}" for n in range(20)), *TRACEBACK, last]
    assert from_log(log) == Cause(Kind.CODE, last)
    # Also where the first was a traceback of its own, which was logged and survived.
    handled = [*TRACEBACK, f"OSError: {earlier}", *log]
    assert from_log(handled) == Cause(Kind.CODE, last)


def test_a_chain_is_read_from_its_last_exception_back_to_what_explains_it() -> None:
    direct = "The above exception was the direct cause of the following exception:"
    context = "During handling of the above exception, another exception occurred:"
    missing = [*TRACEBACK, "FileNotFoundError: [Errno 2] No such file or directory: '/d/x'"]
    full = [*TRACEBACK, "OSError: [Errno 28] No space left on device"]
    vague = [*TRACEBACK, "RuntimeError: could not make the data set"]
    wrong = [*TRACEBACK, "ValueError: bad learning rate"]
    assert from_log([*missing, "", direct, "", *vague]).kind is Kind.FILE
    # What was being handled is the cause only if programs seldom survive it.
    assert from_log([*missing, "", context, "", *wrong]) == Cause(Kind.CODE, wrong[-1])
    assert from_log([*full, "", context, "", *wrong]).kind is Kind.DISK
    assert from_log([*full, "", context, "", *vague, "", direct, "", *wrong]).kind is Kind.DISK
    # What the last one says by itself stands above both.
    named = [*TRACEBACK, "torch.OutOfMemoryError: CUDA out of memory."]
    assert from_log([*missing, "", direct, "", *named]).kind is Kind.GPU_MEMORY
    ignored = [
        "Exception ignored in: <function Pool.__del__ at 0x7f>",
        *TRACEBACK,
        "OSError: [Errno 9]",
    ]
    assert from_log([*wrong, *ignored]) == Cause(Kind.CODE, wrong[-1])


def test_the_tracebacks_of_several_ranks_are_read_apart() -> None:
    gpu = [*TRACEBACK, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"]
    lost = [*TRACEBACK, "RuntimeError: [gloo/pair.cc:534] Connection closed by peer [10.0.0.1]:4"]
    ranks = [f"[rank1]: {line}" for line in gpu], [f"[rank0]: {line}" for line in lost]
    interleaved = [line for pair in zip(*ranks, strict=True) for line in pair]
    assert from_log(interleaved) == Cause(Kind.GPU_MEMORY, gpu[-1])
    # Without their names, whichever comes first.
    bare = [line for pair in zip(gpu, lost, strict=True) for line in pair]
    assert from_log(bare).kind is Kind.GPU_MEMORY
    assert from_log(bare[::-1][1::-1] + bare).kind is Kind.GPU_MEMORY
    labelled = [f"3: {line}" for line in gpu] + [f"0: {line}" for line in lost]
    assert from_log(labelled).kind is Kind.GPU_MEMORY


def test_terminals_and_progress_bars_hide_no_traceback() -> None:
    log = (
        b"\r 10%|#   | 1/10 [00:01<00:09]\r 20%|##  | 2/10 [00:02<00:08]Traceback (most recent call"
        b' last):\n  File "t.py", line 3, in <module>\n\x1b[31mValueError\x1b[0m: \x1b[1mbad rate'
        b"\x1b[0m\x00\xff\n"
    )
    record = failed_record()
    named = with_cause(record, None, log.splitlines())
    assert named.died_of.startswith(f"{Kind.CODE}: ValueError: bad rate")
    assert named.died_of.isprintable()


@given(
    st.lists(st.binary(max_size=200) | st.sampled_from([line.encode() for _, line in REAL])),
    st.integers(1, 40),
)
@settings(deadline=None, max_examples=60)
def test_any_bytes_have_a_cause_of_bounded_length(log: list[bytes], times: int) -> None:
    named = with_cause(failed_record(), None, log * times)
    assert named.cause in set(Kind)
    assert len(named.died_of) < 700
    assert named.died_of.isprintable()


def test_a_line_of_the_setup_is_named_with_its_exit_code() -> None:
    ended = "orch-error: setup ended with exit code 1 in: source env.sh (write || true behind it)"
    cause = from_log([ended])
    assert (cause.kind, cause.line) == (Kind.SETUP, ended.removeprefix("orch-error: "))
    # What it said just before says more of the kind; the line of the setup is named all the same.
    told = from_log(["script.sh: line 7: nosuch: command not found", ended])
    assert told.kind is Kind.PACKAGE
    assert told.line.startswith(cause.line)
    assert "nosuch: command not found" in told.line
    assert from_log(["x.sh: No such file or directory", "one", "two", ended]).kind is Kind.SETUP


def test_the_setup_is_named_as_a_real_shell_leaves_it(tmp_path: Path) -> None:
    sourced = tmp_path / "env.sh"
    sourced.write_text('[ -n "$NOT_THERE_AT_ALL" ] && echo there\n')
    profile = Profile(kind="slurm", setup=["true", f"source {sourced}"])
    script = tmp_path / "script.sh"
    script.write_text("\n".join(["#!/bin/bash", *profile.set_up_lines(), "exec true", ""]))
    said = subprocess.run(["/bin/bash", str(script)], capture_output=True, text=True)
    cause = from_log((said.stdout + said.stderr).splitlines())
    assert said.returncode == 1
    assert cause.kind is Kind.SETUP
    assert f"exit code 1 in: source {sourced}" in cause.line


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-11, Kind.CRASH), (139, Kind.CRASH), (-7, Kind.SHARED_MEMORY), (132, Kind.PROGRAM)],
)
def test_a_signal_without_words_tells_something(code: int, kind: Kind) -> None:
    left = ExitRecord(
        token="t",
        job_id="7",
        host="n",
        pid=1,
        exit_code=code,
        started=1.0,
        ended=2.0,
        results=False,
    )
    assert cause_of(JobState.FAILED, "so it ended", left, ["step 3"]) == Cause(kind, "so it ended")


def failed_record() -> Record:
    return Record(
        name="a",
        stage="a",
        identity="i",
        folder="jobs/a",
        token="t",
        state=JobState.FAILED,
    )


def test_torchruns_own_error_is_not_the_cause(tmp_path: Path) -> None:
    torchrun = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
    log = ["[rank1]: Traceback (most recent call last):", "[rank1]: ValueError: bad rate", torchrun]
    assert from_log(log) == Cause(Kind.CODE, "ValueError: bad rate")
    (tmp_path / "log").write_text("\n".join(log))
    assert error_line(tmp_path / "log") == "ValueError: bad rate"
    # Nothing of what colours a terminal reaches the exit record.
    (tmp_path / "log").write_text("\x1b[31mValueError\x1b[0m: bad\x07 rate\n")
    assert error_line(tmp_path / "log") == "ValueError: bad rate"


@pytest.mark.parametrize(
    "line",
    [
        "{'loss': 2.1, 'learning_rate': 1e-05, 'epoch': 0.31}",
        '{"loss": "0.5", "grad_norm": nan, "eval/acc": null}',
        " 31%|###   | 312/1000 [02:11<04:50,  2.37it/s]",
        "100%|######| 7/7 [00:03<00:00,  1.9s/it, loss=0.2]",
    ],
)
def test_metrics_and_progress_bars_are_no_cause(line: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"epoch 1 begins\n{line}\n")
    assert error_line(tmp_path / "log") == "epoch 1 begins"
    assert error_line(tmp_path / "log", stopped=True) == ""
    (tmp_path / "log").write_text(f"RuntimeError: no room\n{line}\n")
    assert error_line(tmp_path / "log", stopped=True) == "RuntimeError: no room"


@pytest.mark.parametrize("line", ['{"error": "out of room"}', "{'level': 'x', 'step': 3}"])
def test_other_documents_may_say_why(line: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{line}\n")
    assert error_line(tmp_path / "log") == line
