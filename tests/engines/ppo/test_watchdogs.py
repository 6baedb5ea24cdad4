"""What ends a run with one line: provoked for real where a CPU can, else as pure functions with
properties."""

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.ppo.config import Config
from engines.ppo.data.task_sampler import Group
from engines.ppo.watchdogs import (
    PROBABILITY_GAP,
    SILENT_SAMPLES,
    Memory,
    Patience,
    check_memory,
    check_probabilities,
    check_rewards,
    memory,
)
from engines.shared.inference import Generation
from tests.support.models import qwen2


def rollouts(policy: Any, temperature: float) -> dict[str, list[Group]]:
    """Samples drawn at ``temperature`` from the policy, with the log-probabilities that a sampler
    at temperature 1 would report."""
    import torch

    from engines.shared.language_model.layout import blocks_of

    draw = torch.Generator().manual_seed(0)
    tasks: dict[str, list[Group]] = {"a": [], "b": []}
    for task in tasks:
        for prompt in range(2):
            tokens = [prompt + 1, 5]
            for _ in range(8):
                logits = (
                    policy.model(
                        torch.tensor([tokens]), blocks=blocks_of([len(tokens)], torch.device("cpu"))
                    )
                    .logits[0, -1]
                    .detach()
                    / temperature
                )
                tokens.append(int(torch.multinomial(logits.softmax(-1), 1, generator=draw)))
            said = policy.prompt_logprobs(tokens)[1:]
            sample = Generation(tuple(tokens[2:]), tuple(said), "", "length")
            tasks[task].append(Group(tuple(tokens[:2]), (sample, sample), (0.0, 1.0)))
    return tasks


@pytest.mark.parametrize(("temperature", "agrees"), [(1.0, True), (0.5, False)])
def test_a_sampler_that_reports_other_probabilities_than_the_trainer_computes_is_found(
    temperature: float, agrees: bool
) -> None:
    """The usual way to get this wrong: log-probabilities that leave out the sampling
    temperature."""
    import torch

    from engines.ppo.update.policy import Policy
    from engines.ppo.update.sharding import World

    model = qwen2(vocab_size=12, hidden_size=32, intermediate_size=64, initializer_range=0.5)
    config = Config(
        model="m",
        data="d",
        validation_data="d",
        max_prompt_tokens=8,
        max_response_tokens=8,
        temperature=temperature,
    )
    policy = Policy(model, config, World(torch.device("cpu")))
    metrics = policy.task_gradients(rollouts(policy, temperature))[2]
    # Rounding: logits of tens in float32, whose roundings of 1e-6 add up over two layers, of
    # probabilities up to 1.
    assert (metrics["probability_difference_mean"] <= 1e-4) == agrees
    if agrees:
        check_probabilities(metrics, 0)
    else:
        with pytest.raises(
            RuntimeError,
            match=r"^step 4: trainer and sampler give a token probabilities that differ by 0\.\d+",
        ):
            check_probabilities(metrics, 3)


@given(gap=st.floats(0, 1) | st.just(float("nan")))
def test_the_gap_ends_the_run_exactly_above_its_limit_and_when_it_is_no_number(gap: float) -> None:
    if gap <= PROBABILITY_GAP:
        check_probabilities({"probability_difference_mean": gap}, 0)
    else:
        with pytest.raises(RuntimeError):
            check_probabilities({"probability_difference_mean": gap}, 0)


def progress(rewards: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Lines of progress, a validation among them."""
    steps = [
        dict(zip(rewards, values, strict=True)) for values in zip(*rewards.values(), strict=True)
    ]
    lines = [
        {
            "phase": "train",
            "metrics": {f"train_reward/{task}": value for task, value in step.items()},
        }
        for step in steps
    ]
    return [{"phase": "validate", "metrics": {"validation_reward_mean": 0.5}}, *lines]


@given(
    before=st.lists(st.floats(0, 1), max_size=5),
    zeros=st.integers(0, 40),
    epoch=st.integers(1, 20),
    samples=st.integers(16, 600),
)
def test_a_task_is_silent_exactly_after_an_epoch_and_enough_samples_without_any_reward(
    before: list[float], zeros: int, epoch: int, samples: int
) -> None:
    hard = [*before, 0.5, *[0.0] * zeros]
    lines = progress({"easy": [0.5] * len(hard), "hard": hard})
    if zeros >= epoch and zeros * samples >= SILENT_SAMPLES:
        with pytest.raises(RuntimeError, match=r"^hard: no sample of the last \d+ steps"):
            check_rewards(lines, epoch, samples)
    else:
        check_rewards(lines, epoch, samples)


VERSION_2 = {
    "memory.max": "{limit}",
    "memory.current": "{current}",
    "memory.stat": "anon 5\ninactive_file {cache}\nactive_file 1\n",
}
VERSION_1 = {
    "memory.limit_in_bytes": "{limit}",
    "memory.usage_in_bytes": "{current}",
    "memory.stat": "inactive_file 0\nactive_file 0\ntotal_inactive_file {cache}\ntotal_active_file "
    "1\n",
}


def make_group(folder: Path, files: dict[str, str], **values: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text.format(**values).strip() + "\n")


@pytest.mark.parametrize(
    ("files", "top", "entry", "none"),
    [
        (VERSION_2, ".", "0::/slurm/job_7/step_0", "max"),
        (VERSION_1, "memory", "4:memory:/slurm/job_7/step_0", 9223372036854771712),
    ],
)
def test_the_control_group_that_binds_is_found_in_both_versions(
    tmp_path: Path, files: dict[str, str], top: str, entry: str, none: str | int
) -> None:
    table, job = tmp_path / "table", tmp_path / top / "slurm" / "job_7"
    table.write_text(f"12:cpuset:/elsewhere\n{entry}\n")
    make_group(job / "step_0", files, limit=none, current=60, cache=0)
    make_group(tmp_path / top, files, limit=1000, current=500, cache=100)
    assert memory(table, tmp_path) == Memory(399, 1000)
    make_group(job, files, limit=100, current=90, cache=29)  # Slurm limits the job, not the step
    assert memory(table, tmp_path) == Memory(60, 100)
    check_memory(memory(table, tmp_path), 0)
    make_group(job, files, limit=100, current=97, cache=0)
    with pytest.raises(RuntimeError, match=r"^step 2: .* of memory are in use \(more than 95%\)"):
        check_memory(memory(table, tmp_path), 1)
    for folder in (job, tmp_path / top):
        make_group(folder, files, limit=none, current=97, cache=0)
    assert memory(table, tmp_path) is None
    check_memory(None, 1)
    assert memory(tmp_path / "nothing", tmp_path) is None


@given(used=st.integers(0, 10**12), limit=st.integers(1, 10**12))
def test_memory_ends_the_run_exactly_above_95_per_cent(used: int, limit: int) -> None:
    if used > 0.95 * limit:
        with pytest.raises(RuntimeError):
            check_memory(Memory(used, limit), 0)
    else:
        check_memory(Memory(used, limit), 0)


@given(
    times=st.lists(st.floats(0, 1e4), max_size=80),
    ceiling=st.floats(1, 1e5),
    floor=st.floats(0, 1e5),
    other=st.floats(0, 1e4),
)
def test_patience_stays_between_what_is_usual_and_its_ceiling(
    times: list[float], ceiling: float, floor: float, other: float
) -> None:
    patience = Patience(ceiling, floor)
    for seconds in times:
        patience.took("update", seconds)
        patience.took("validation", other)
    limit = patience.seconds("update")
    newest = sorted(times[-50:])
    if len(times) < 3:
        assert limit == ceiling
    else:
        assert min(ceiling, floor) <= limit <= ceiling
        assert (
            min(ceiling, max(floor, 10 * newest[(len(newest) - 1) // 2]))
            <= limit
            <= max(floor, 10 * newest[len(newest) // 2])
        )
    assert patience.seconds("never seen") == ceiling


SLEEPER = """
import time
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.ppo.watchdogs import Patience
from engines.ppo.ranks.ray_session import Actors, ray_session

class Sleeper:
    def nap(self, seconds):
        time.sleep(seconds)
        return seconds
    def refuse(self):
        raise ConfigError("learning_rate: must be small")

def error_of(method, *arguments):
    began = time.monotonic()
    try:
        actor.call(method, *arguments)
    except (ConfigError, RuntimeError) as error:
        print(f"{time.monotonic() - began:.1f} {type(error).__name__} {error}", flush=True)

if __name__ == "__main__":
    with ray_session(1, 0, Stop()):
        actor = Actors(Sleeper, [()], cpus=1, gpus=0, patience=Patience(ceiling_seconds=120, floor_seconds=2))
        assert [actor.call("nap", 0.05) for _ in range(4)] == [0.05] * 4
        error_of("refuse")
        error_of("nap", 100.0)
"""


@pytest.mark.engine
def test_a_trainer_that_hangs_ends_the_run_after_a_multiple_of_the_usual_time_and_a_refusal_is_one_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "sleeper.py").write_text(
        SLEEPER
    )  # a process of its own: Ray keeps what it finds when it is first imported
    done = subprocess.run(
        [sys.executable, str(tmp_path / "sleeper.py")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refusal, hang = [
        line for line in done.stdout.splitlines() if re.match(r"\d+\.\d \w+Error ", line)
    ]
    assert refusal.split(maxsplit=1)[1] == "ConfigError learning_rate: must be small"
    seconds, said = hang.split(maxsplit=1)
    assert 1.9 < float(seconds) < 30
    assert re.match(
        r"RuntimeError nap did not answer within \d+ s; it usually takes 0\.\d s: the trainer hangs",
        said,
    )


def test_memory_that_this_process_takes_is_seen_where_it_is_limited() -> None:
    before = memory()
    if before is None:
        pytest.skip("no memory limit here")
    block = random.Random(0).randbytes(64 << 20)
    after = memory()
    assert after is not None
    assert after.limit == before.limit
    assert after.used > 64 << 20
    assert len(block) == 64 << 20
