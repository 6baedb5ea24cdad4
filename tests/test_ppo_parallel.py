"""Training cut over two processes (FSDP2 over Gloo) is the training of one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROCESS = """
import json, sys
from pathlib import Path
import torch
import transformers
from engines.inference import Generation
from engines.ppo import Config
from engines.ppo.parallel import World, join
from engines.ppo.policy import Policy
from engines.ppo.sampler import Group

folder, index, size, values = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
torch.set_num_threads(1)
cpu = torch.device("cpu")
world = join(cpu, index, size, folder / f"store-{size}") if size > 1 else World(cpu)

def model(seed):
    torch.manual_seed(seed)
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(
        vocab_size=67, hidden_size=16, intermediate_size=36, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        tie_word_embeddings=values.pop("tied", False)))

def rollouts(step, tasks=("code", "logic", "math")):
    draw = torch.Generator().manual_seed(step)
    def ids(n):
        return torch.randint(1, 64, (n,), generator=draw).tolist()
    def group(i, rewards):
        samples = [Generation(tuple(answer := ids(1 + (i + k) % 6)), tuple([-4.0] * len(answer)), "x", "stop") for k in range(4)]
        return Group(tuple(ids(3 + i)), tuple(samples), rewards)
    # Every group of the second rank's math has one reward: that rank has no micro-batch of its own for the task.
    return {task: [group(i, (1.0,) * 4 if task == "math" and i % 2 else (0.0, 1.0, 0.0, 0.5)) for i in range(4)] for task in tasks}

crossed = values.pop("crossed", False)
start = model(0)
reference = model(1) if values.get("kl_coefficient") and "lora" not in values else None
config = Config.model_validate({"model": "x", "data": "x", "validation_data": "x", "max_prompt_tokens": 8, "max_response_tokens": 8,
                                "micro_batch_tokens": 48, "learning_rate": 1e-2, "warmup_steps": 0, "ranks": size, **values})
policy = Policy(start, config, world, reference)
state = folder / values.get("wandb_project", "orch") / "state"
if state.exists():
    policy.load_state(state)
for step in range(3):
    tasks = rollouts(step)
    if crossed and index == 1:
        tasks = dict(reversed(tasks.items()))
    metrics = policy.step({task: groups[index::size] for task, groups in tasks.items()}, step)
class NoTokenizer:
    def save_pretrained(self, folder): pass
policy.save(folder / f"model-{size}", folder / f"state-{size}", NoTokenizer())
probe = policy.prompt_logprobs([1, 2, 3, 4])
if index == 0:
    (folder / f"metrics-{size}.json").write_text(json.dumps({**metrics, "probe": probe}))
"""


def train(folder: Path, size: int, **values: object) -> list[subprocess.CompletedProcess[str]]:
    (folder / "process.py").write_text(PROCESS)
    started = [subprocess.Popen([sys.executable, str(folder / "process.py"), str(folder), str(index), str(size), json.dumps(values)],
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for index in range(size)]
    return [subprocess.CompletedProcess("", process.wait(timeout=120), process.stdout.read() if process.stdout else "")
            for process in started]


def weights(folder: Path, size: int) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / f"model-{size}" / "model.safetensors")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("values", [{"mtl": {"method": "pcgrad"}}, {"mtl": {"method": "pcgrad", "group": "module"}, "tied": True},
                                    {"mtl": {"method": "pcgrad"}, "lora": {"rank": 4}, "kl_coefficient": 0.1},
                                    {"mtl": {"method": "equal"}, "estimator": "dr_grpo", "kl_coefficient": 0.1}])
def test_two_processes_take_the_steps_of_one(tmp_path: Path, values: dict) -> None:
    import torch

    for size in (1, 2):
        for process in train(tmp_path, size, **values):
            assert process.returncode == 0, process.stdout
    one, two = weights(tmp_path, 1), weights(tmp_path, 2)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-5, atol=1e-5)
    first, second = (json.loads((tmp_path / f"metrics-{size}.json").read_text()) for size in (1, 2))
    assert first.keys() == second.keys()
    for key in first:
        assert second[key] == pytest.approx(first[key], rel=1e-3, abs=1e-5), key
    states = [torch.load(tmp_path / f"state-{size}" / "optimizer.pt", weights_only=True)["optimizer"] for size in (1, 2)]
    for name in states[0]:
        torch.testing.assert_close(states[1][name], states[0][name], rtol=1e-3, atol=1e-6)


@pytest.mark.timeout(180)
def test_processes_that_disagree_about_the_order_of_tasks_are_stopped(tmp_path: Path) -> None:
    ended = train(tmp_path, 2, crossed=True)
    assert all(process.returncode != 0 for process in ended)
    assert any("disagree about the order of tasks" in process.stdout for process in ended)


@pytest.mark.timeout(180)
def test_a_state_of_two_processes_continues_in_one(tmp_path: Path) -> None:
    assert all(process.returncode == 0 for process in train(tmp_path, 2))
    (tmp_path / "later").mkdir()
    (tmp_path / "state-2").rename(tmp_path / "later" / "state")
    (process,) = train(tmp_path, 1, wandb_project="later")
    assert process.returncode == 0, process.stdout
