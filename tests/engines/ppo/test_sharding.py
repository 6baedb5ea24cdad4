"""Training cut over two processes (FSDP2 over Gloo) is the training of one."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EPSILON = 2.0**-23
"""One rounding in float32, relative."""
TOLERANCE = 1000 * EPSILON
"""How far two correct computations of one gradient may lie apart, relative to its norm. Between
a weight and its gradient lie some sixty operations in a row, each on sums of up to a few hundred
terms that two processes add up in another order: roundings in the hundreds, of which most
cancel."""

CASES: dict[str, dict[str, Any]] = {
    "pcgrad": {"mtl": {"method": "pcgrad"}},
    "per module, tied": {"mtl": {"method": "pcgrad", "group": "module"}, "tied": True},
    "adapters": {"mtl": {"method": "pcgrad"}, "lora": {"rank": 4}, "kl_coefficient": 0.1},
    "divergence": {"mtl": {"method": "equal"}, "estimator": "dr_grpo", "kl_coefficient": 0.1},
    "critic": {
        "mtl": {"method": "pcgrad"},
        "estimator": "gae",
        "critic": {"learning_rate": 1.0, "lam": 0.9},
    },
}

PROCESS = """
import json, sys
from pathlib import Path
import torch
import transformers
from engines.ppo import Config
from engines.ppo.data.task_sampler import Group
from engines.ppo.update.critic import Critic
from engines.ppo.update.policy import Policy
from engines.ppo.update.sharding import World, join
from engines.shared.inference import Generation
from engines.shared.language_model.packing import PackedModel

folder, index, size, cases = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
torch.set_num_threads(1)
cpu = torch.device("cpu")
world = join(cpu, index, size, folder / f"store-{size}") if size > 1 else World(cpu)

def model(seed, tied=False):
    torch.manual_seed(seed)
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(
        vocab_size=67, hidden_size=16, intermediate_size=36, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        tie_word_embeddings=tied))

def rollouts(step, tasks=("code", "logic", "math")):
    draw = torch.Generator().manual_seed(step)
    def ids(n):
        return torch.randint(1, 64, (n,), generator=draw).tolist()
    def group(i, rewards):
        samples = [Generation(tuple(answer := ids(1 + (i + k) % 6)), tuple([-4.0] * len(answer)), "x", "stop") for k in range(4)]
        return Group(tuple(ids(3 + i)), tuple(samples), rewards)
    # Every group of the second rank's math has one reward: that rank has no micro-batch of its own for the task.
    return {task: [group(i, (1.0,) * 4 if task == "math" and i % 2 else (0.0, 1.0, 0.0, 0.5)) for i in range(4)] for task in tasks}

class NoTokenizer:
    def save_pretrained(self, folder): pass

def train(values, crossed=False, tied=False, state=None):
    config = Config.model_validate({"model": "x", "data": "x", "validation_data": "x", "max_prompt_tokens": 8, "max_response_tokens": 8,
                                    "micro_batch_tokens": 48, "learning_rate": 1.0, "warmup_steps": 0, "ranks": size, **values})
    reference = model(1) if config.kl_coefficient and config.lora is None else None
    critic = Critic(model(0), config, world) if config.estimator == "gae" else None
    policy = Policy(model(0, tied), config, world, reference, critic)
    if state is not None:
        policy.load_state(folder / state)
    # AdamW divides by the root of the second moment plus its epsilon. With the usual 1e-8 an element
    # whose gradient is small moves by a share of the learning rate that rounding decides. With one as
    # large as the clipped gradient, a step is as exact as the gradient it follows.
    for learner in (policy, critic):
        if learner is not None:
            learner.optimizer.param_groups[0]["eps"] = 1.0
    for step in range(3):
        tasks = rollouts(step)
        if crossed and index == 1:
            tasks = dict(reversed(tasks.items()))
        metrics = policy.step({task: groups[index::size] for task, groups in tasks.items()}, step)
    return policy, metrics

for name, values in cases.items():
    PackedModel.sharing = values.pop("sharing", True)
    own = {key: values.pop(key) for key in ("crossed", "tied", "state") if key in values}
    policy, metrics = train(values, **own)
    out = folder / name / str(size)
    policy.save(out / "model", out / "state", NoTokenizer())
    probe = policy.prompt_logprobs([1, 2, 3, 4])
    if index == 0:
        (out / "metrics.json").write_text(json.dumps({**metrics, "probe": probe}))
if size > 1:
    torch.distributed.destroy_process_group()  # its threads outlive the interpreter otherwise, and end it with an error
"""


def train(folder: Path, size: int, cases: Mapping[str, Any]) -> list[str]:
    """Run all cases in ``size`` processes; what each printed, ``""`` for one that ended well."""
    (folder / "process.py").write_text(PROCESS)
    started = [
        subprocess.Popen(
            [
                sys.executable,
                str(folder / "process.py"),
                str(folder),
                str(index),
                str(size),
                json.dumps(cases),
            ],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for index in range(size)
    ]
    said = [process.communicate(timeout=240)[0] for process in started]
    return [
        "" if process.returncode == 0 else text for process, text in zip(started, said, strict=True)
    ]


LATER = {"later": {**CASES["critic"], "state": "critic/2/state"}}
CROSSED = {"crossed": {"crossed": True}}


@dataclass(frozen=True)
class Trained:
    """Every case after three steps in one process, and in two."""

    folder: Path
    two_said: list[str]
    """Of the two, whose last case was the crossed one."""
    one_said: list[str]
    """Of the one, whose last case was to go on from a state of the two."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All cases, each number of processes started once: most of a process's time is imports."""
    folder = tmp_path_factory.mktemp("parallel")
    two_said = train(folder, 2, {**CASES, **CROSSED})
    one_said = train(folder, 1, {**CASES, **LATER})
    for size in ("1", "2"):
        missing = [case for case in CASES if not (folder / case / size / "metrics.json").exists()]
        assert not missing, (two_said, one_said)
    return Trained(folder, two_said, one_said)


@pytest.fixture(scope="module")
def trained_apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in one process that runs a prompt again with each of its answers."""
    folder = tmp_path_factory.mktemp("apart")
    cases = {name: {**values, "sharing": False} for name, values in CASES.items()}
    assert train(folder, 1, cases) == [""]
    return folder


def assert_equal_but_for_rounding(
    one: Mapping[str, Any], two: Mapping[str, Any], what: str
) -> None:
    """Each tensor against its own norm.

    One rounding of all tensors together is allowed on top: some gradients are what is left where
    larger ones cancel, such as those of the keys' biases.
    """
    assert one.keys() == two.keys()
    whole = math.sqrt(sum(float(tensor.square().sum()) for tensor in one.values()))
    for name, tensor in one.items():
        apart = float((two[name] - tensor).norm())
        assert apart <= TOLERANCE * float(tensor.norm()) + EPSILON * whole, f"{what} of {name}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_two_processes_take_the_steps_of_one(trained: Trained, case: str) -> None:
    import torch
    from safetensors.torch import load_file

    one, two = (
        load_file(trained.folder / case / size / "model" / "model.safetensors")
        for size in ("1", "2")
    )
    assert_equal_but_for_rounding(one, two, "weight")
    first, second = (
        json.loads((trained.folder / case / size / "metrics.json").read_text())
        for size in ("1", "2")
    )
    assert first.keys() == second.keys()
    for key in first:
        # Sums of terms of order one, which may cancel: the loss is near 0.
        assert second[key] == pytest.approx(first[key], rel=TOLERANCE, abs=100 * EPSILON), key
    for file in ("optimizer.pt", *(["critic.pt"] if case == "critic" else [])):
        mine, other = (
            torch.load(trained.folder / case / size / "state" / file, weights_only=True)
            for size in ("1", "2")
        )
        moments, others = (values.get("optimizer", values) for values in (mine, other))
        assert moments.keys() == others.keys()
        for key in next(iter(moments.values())):
            mean, also = (
                {name: values[key] for name, values in own.items()} for own in (moments, others)
            )
            if key == "exp_avg_sq":  # its root is as exact as the gradients
                mean, also = (
                    {name: value.sqrt() for name, value in own.items()} for own in (mean, also)
                )
            assert_equal_but_for_rounding(mean, also, key)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_two_processes_that_run_a_prompt_once_take_the_steps_of_one_that_runs_it_with_each_answer(
    trained: Trained, trained_apart: Path, case: str
) -> None:
    from safetensors.torch import load_file

    whole, shared = (
        load_file(folder / case / size / "model" / "model.safetensors")
        for folder, size in ((trained_apart, "1"), (trained.folder, "2"))
    )
    assert_equal_but_for_rounding(whole, shared, "weight")


@pytest.mark.timeout(300)
def test_processes_that_disagree_about_the_order_of_tasks_are_stopped(trained: Trained) -> None:
    assert all(trained.two_said)
    assert any("disagree about the order of tasks" in text for text in trained.two_said)


@pytest.mark.timeout(300)
def test_a_state_of_two_processes_continues_in_one(trained: Trained) -> None:
    assert trained.one_said == [""]
    assert (trained.folder / "later" / "1" / "metrics.json").exists()
