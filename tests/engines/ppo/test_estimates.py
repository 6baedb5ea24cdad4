"""What a training takes: the published arithmetic, what torch really keeps, and refusals that name
a setting that helps."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.ppo.config import Config, MultiTask
from engines.ppo.estimates import (
    UTILISATION,
    checkpoints_gb,
    estimate,
    first_gpu,
    look_at,
    refuse,
    work,
    work_of_tokens,
)
from engines.ppo.memory import Machine, checkpoint_bytes, memory_plan, sums, table
from engines.ppo.model_size import ModelSize, adapter_parameters
from tests.support.models import make_data, make_model, qwen2

QWEN_7B = ModelSize(7_615_616_512, 28, 3584, 18944, 152_064, 57_344)
TINY = ModelSize(500_000, 2, 128, 256, 300, 512)
TWO_A100 = Machine(2, "NVIDIA A100-SXM4-80GB", 85e9, 256e9, 1e12)
PCGRAD = MultiTask(method="pcgrad")


def config(**values: Any) -> Config:
    return Config(**{"model": "m", "data": "d", "validation_data": "v", "mtl": PCGRAD, **values})


def plan(
    machine: Machine = TWO_A100, size: ModelSize = QWEN_7B, tasks: int = 6, **values: Any
) -> dict[str, tuple[float, float]]:
    """Bytes on each GPU and on the host, by item."""
    return {
        item.name: (item.gpu, item.host)
        for item in memory_plan(config(**values), size, tasks, machine)
    }


def test_qwen_7b_on_two_gpus_takes_what_the_known_table_says() -> None:
    """GB per GPU (and on the host) of a 7B model whose trained state two GPUs share."""
    items = {
        name: (round(gpu / 1e9, 1), round(host / 1e9, 1)) for name, (gpu, host) in plan().items()
    }
    assert items["weights, float32"] == (15.2, 0)
    assert items["gradients, float32"] == (15.2, 0)
    assert items["AdamW moments, float32"] == (30.5, 0)
    assert items["sum of the tasks' gradients, float32"] == (15.2, 0)
    assert items["gradients of 6 tasks, bfloat16"] == (0, 91.4)
    assert items["vLLM weights, bfloat16"] == (15.2, 0)
    assert items["model while it is read, float32"] == (0, 60.9)  # each process reads all of it
    assert "first model for the divergence, float32" not in items
    assert (
        plan(kl_coefficient=0.1)["first model for the divergence, float32"]
        == plan()["weights, float32"]
    )
    assert not any("tasks, bfloat16" in name for name in plan(mtl=MultiTask(method="off")))


def test_activations_of_qwen_7b_are_the_known_bytes_per_token_but_in_float32() -> None:
    assert checkpoint_bytes(QWEN_7B, width=2) == 200_704
    assert (
        plan()["inputs of the layers, float32"][0] == 2 * 200_704 * 16_384
    )  # 6.6 GB, see checkpoint_bytes
    # Here and below: the numbers were worked out by hand to three or four digits.
    assert 16e9 / QWEN_7B.cache_bytes_per_token == pytest.approx(279e3, rel=1e-3)


def test_hours_of_an_epoch_follow_from_the_tokens() -> None:
    """18,000 prompts x 8 samples x 1,500 tokens: 216 million tokens, 1.3e19 FLOP, about 17 hours on
    two A100 at 35 %."""
    cost = work(
        config(prompts_per_task=8, max_response_tokens=1000),
        QWEN_7B,
        TWO_A100,
        steps=375,
        tasks=6,
        prompt_tokens=500,
    )
    assert cost.tokens == 216e6
    assert cost.flop == pytest.approx(1.316e19, rel=1e-3)
    assert cost.hours == pytest.approx(16.7, abs=0.05)
    assert (
        work_of_tokens(
            config(), 1e6, QWEN_7B.parameters, replace(TWO_A100, gpu_name="some other GPU")
        ).hours
        is None
    )
    on_cpu = work_of_tokens(
        config(), 1e6, QWEN_7B.parameters, replace(TWO_A100, gpus=0, gpu_name="")
    )
    assert (on_cpu.flop, on_cpu.hours) == (6e6 * QWEN_7B.parameters, None)


def test_adapters_of_qwen_7b_take_a_hundredth_of_what_training_it_whole_takes() -> None:
    assert adapter_parameters(QWEN_7B, 32) == pytest.approx(80.7e6, rel=1e-3)
    adapters = plan(TWO_A100, QWEN_7B, lora={"rank": 32})
    whole = plan(TWO_A100, QWEN_7B)
    moments = "AdamW moments, float32"
    assert adapters[moments][0] / whole[moments][0] == pytest.approx(
        80.7e6 / QWEN_7B.parameters, rel=1e-3
    )
    assert adapters["weights, bfloat16"][0] == whole["weights, float32"][0] / 2
    assert checkpoints_gb(config(lora={"rank": 32}), QWEN_7B) < checkpoints_gb(config(), QWEN_7B)


def saved_bytes(
    checkpointing: bool, autocast: bool, hidden: int, intermediate: int, rows: int, length: int
) -> tuple[int, Any]:
    """Bytes that torch keeps for the backward pass of a Qwen2 of six layers, and the type of what
    enters a layer."""
    import torch

    from engines.shared.language_model.layout import blocks_of
    from engines.shared.language_model.packing import Scorer

    model = qwen2(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        tie_word_embeddings=False,
    ).train()
    model.config.use_cache = False
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Any] = {}
    types = []
    model.model.layers[3].register_forward_pre_hook(
        lambda _module, arguments: types.append(arguments[0].dtype)
    )

    def pack(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = (
                tensor  # held, so that no address comes twice
            )
        return tensor

    ids = torch.randint(0, 64, (1, rows * length))
    places = torch.arange(length).repeat(rows)[None]
    Scorer(model)  # sets the attention that training uses
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        blocks = blocks_of([length] * rows, ids.device)
        model.base_model(input_ids=ids, position_ids=places, blocks=blocks)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), types[0]


@pytest.mark.parametrize(
    ("hidden", "intermediate", "length"), [(128, 256, 64), (256, 256, 64), (128, 768, 128)]
)
def test_planned_activations_cover_what_torch_keeps_on_the_cpu_and_not_much_more(
    hidden: int, intermediate: int, length: int
) -> None:
    really, _ = saved_bytes(False, False, hidden, intermediate, 2, length)
    size = ModelSize(1, 6, hidden, intermediate, 64, 1)
    planned = plan(
        replace(TWO_A100, gpus=0),
        size,
        max_prompt_tokens=length // 2,
        max_response_tokens=length // 2,
        micro_batch_tokens=2 * length,
    )["activations, float32"][1]
    assert really <= planned <= 1.25 * really


def test_gradient_checkpointing_under_autocast_keeps_the_inputs_of_the_layers_in_float32() -> None:
    import torch

    really, kind = saved_bytes(True, True, 128, 256, 2, 64)
    size = ModelSize(1, 6, 128, 256, 64, 1)
    assert kind == torch.float32
    assert (
        checkpoint_bytes(size) * 2 * 64 <= really <= 1.5 * checkpoint_bytes(size) * 2 * 64
    )  # the last norm keeps a little as well


def test_on_the_cpu_all_of_it_is_host_memory_and_the_start_never_meets_the_update() -> None:
    cpu = replace(TWO_A100, gpus=0)
    items = memory_plan(config(micro_batch_tokens=4096, sampler="vllm"), TINY, 6, cpu)
    assert sums(items)[0] == 0
    by_name = {item.name: item.host for item in items}
    assert by_name["gradients of 6 tasks, float32"] == 6 * 4 * TINY.parameters
    assert by_name["vLLM key-value cache"] == 2**30
    on_gpu = memory_plan(config(), QWEN_7B, 6, TWO_A100)
    read, kept = (
        next(item.host for item in on_gpu if item.name.startswith(name))
        for name in ("model while", "gradients of 6")
    )
    assert sums(on_gpu)[1] == pytest.approx(sum(item.host for item in on_gpu) - min(read, kept))


def refusal(tried: Config, size: ModelSize, machine: Machine) -> str:
    """Why it is refused; empty if it is not."""
    try:
        refuse(tried, size, 6, machine, 0.0)
    except ConfigError as error:
        return str(error)
    return ""


@given(
    billions=st.floats(0.1, 9),
    gpu=st.floats(20e9, 300e9),
    fraction=st.floats(0.05, 0.9),
    tokens=st.integers(4096, 1 << 17),
)
def test_what_a_refusal_for_the_gpu_advises_is_accepted(
    billions: float, gpu: float, fraction: float, tokens: int
) -> None:
    size = replace(QWEN_7B, parameters=int(billions * 1e9))
    machine = Machine(1, "NVIDIA A100-SXM4-80GB", gpu, 1e15, 1e15)
    tried = config(gpu_memory_fraction=fraction, micro_batch_tokens=tokens)
    why = refusal(tried, size, machine)
    assert bool(why) == (sums(memory_plan(tried, size, 6, machine))[0] > gpu)
    advised = re.search(r"set (gpu_memory_fraction|micro_batch_tokens) to ([\d.]+) ", why)
    if advised:
        value = float(advised[2]) if advised[1] == "gpu_memory_fraction" else int(advised[2])
        assert refusal(tried.model_copy(update={advised[1]: value}), size, machine) == ""
    elif switched := re.search(r"set (offload|sampler_sleeps) to true", why):
        assert refusal(tried.model_copy(update={switched[1]: True}), size, machine) == ""
    elif why:
        assert re.fullmatch(r"GPU memory: .*too large for one GPU.*", why)


def test_what_does_not_fit_is_refused_in_one_line_with_the_setting_to_change() -> None:
    one = replace(TWO_A100, gpus=1)
    with pytest.raises(
        ConfigError, match=r"^GPU memory: .*7\.6 billion parameters is too large for one GPU"
    ):
        refuse(config(), QWEN_7B, 6, replace(one, gpu_bytes=24e9), 0.0)
    half = replace(QWEN_7B, parameters=494_000_000, layers=24, hidden=896, intermediate=4864)
    with pytest.raises(
        ConfigError,
        match=r"^host memory: the training needs 8\.\d GB, .* 6\.0: ask for resources\.memory_gb 8 ",
    ):
        refuse(config(), half, 6, replace(one, host_bytes=6e9), 0.0)
    with pytest.raises(ConfigError, match=r"set micro_batch_tokens to \d+ \(now 16384\)"):
        refuse(config(sampler="vllm"), TINY, 6, Machine(0, "", None, 3.9e9, 1e12), 0.0)
    # Without vLLM's cache beside it the same training fits.
    refuse(config(), TINY, 6, Machine(0, "", None, 3.9e9, 1e12), 0.0)
    with pytest.raises(
        ConfigError,
        match=r"^disk: .* up to 20\.0 GB, there are 10\.0 GB at --out: lower keep_checkpoints \(10\)",
    ):
        refuse(config(), half, 6, replace(one, disk_bytes=10e9), 20e9)
    refuse(config(), half, 6, one, 20e9)


def test_a_gpu_of_unknown_size_is_not_refused_and_the_table_says_so() -> None:
    unknown = Machine(1, "the GPU", None, 256e9, 1e12)
    refuse(config(), QWEN_7B, 6, unknown, 0.0)
    assert table(memory_plan(config(), QWEN_7B, 6, unknown), unknown, 0.0).splitlines()[-2].split()[
        -2:
    ] == ["?", "256.0"]


def test_the_first_visible_gpu_is_asked_for_its_name_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\ntest "$1 $2" = "-i 3" && echo "NVIDIA A100-SXM4-80GB, 81920"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert first_gpu() == ("NVIDIA A100-SXM4-80GB", 81920 * 2**20)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert first_gpu() == ("the GPU", None)


def test_what_a_run_has_written_already_counts_as_room_for_it(tmp_path: Path) -> None:
    before = look_at(tmp_path, 0)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "x").write_bytes(bytes(50_000_000))
    after = look_at(tmp_path, 0)
    assert after.disk_bytes == pytest.approx(
        before.disk_bytes, abs=40_000_000
    )  # others write meanwhile
    assert 0 < after.host_bytes < 1e15


def test_the_program_prints_the_plan_and_refuses_before_it_starts_anything(tmp_path: Path) -> None:

    make_model(tmp_path / "model", tied=False)
    make_data(tmp_path / "data")
    values = {
        "model": str(tmp_path / "model"),
        "data": str(tmp_path / "data"),
        "validation_data": str(tmp_path / "data"),
        "max_prompt_tokens": 16,
        "max_response_tokens": 4,
        "micro_batch_tokens": 64,
        "device": "cpu",
        "sampler": "vllm",
        "kv_cache_gb": 1_000_000,
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    command = [
        sys.executable,
        "-P",
        "-m",
        "engines.ppo",
        str(tmp_path / "config.json"),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 2
    assert "memory plan, GB" in done.stdout
    assert "to do: at most " in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("engines.ppo: ")]
    assert line.startswith("engines.ppo: host memory: the training needs 1073")
    assert "Traceback" not in done.stderr


def test_the_document_s_run_fits_two_a100_with_its_state_in_host_memory() -> None:
    """7B, six tasks, both GPUs: refused with its state on the GPUs, by the name of the setting that
    helps; with it, it fits."""
    values: dict[str, Any] = {"ranks": 2, "micro_batch_tokens": 16384}
    host = replace(TWO_A100, host_bytes=300e9)
    with pytest.raises(
        ConfigError, match=r"set offload to true \(it takes 2\d\d GB of host memory\)"
    ):
        refuse(config(**values), QWEN_7B, 6, host, 0.0)
    refuse(config(**values, offload=True), QWEN_7B, 6, host, 0.0)
    gpu, needed = sums(memory_plan(config(**values, offload=True), QWEN_7B, 6, host))
    assert gpu < 80e9
    assert 243e9 < needed < 300e9


def test_the_estimate_is_the_arithmetic_of_the_config_and_says_how_often_the_limit_ends_a_run(
    tmp_path: Path,
) -> None:
    for task in ("code", "math"):
        (tmp_path / f"{task}.train.parquet").touch()
    own = config(
        model="Qwen/Qwen2.5-7B", data=str(tmp_path), ranks=2, epochs=30, steps_per_epoch=63
    )
    tokens = 30 * 63 * 2 * 8 * 8 * 4096
    hours = 8 * 7e9 * tokens / (312e12 * UTILISATION * 2) / 3600
    said = estimate(own, 2, 720)
    assert said is not None
    assert f"at most 1,890 steps, {tokens:.2g} tokens" in said
    assert f"{hours:,.0f} hours of updates on 2 A100" in said
    assert said.endswith(
        f"with a time limit of 12 h it is started {math.ceil(hours / 12)} times or more"
    )
    assert "every task" not in said
    assert "for every task (the training data are not there yet)" in (
        estimate(own.model_copy(update={"data": "nowhere"}), 2, 720) or ""
    )
    assert "time limit" not in (estimate(own, 2, 100_000) or "")
    for changed in ({"steps_per_epoch": None}, {"model": "a/model-without-a-size"}):
        assert estimate(own.model_copy(update=changed), 2, 720) is None
    assert estimate(own, 0, 720) is None


def test_a_sampler_that_sleeps_leaves_the_gpu_to_the_update_and_a_critic_needs_as_much_as_the_policy() -> (
    None
):
    awake, asleep = (
        sums(memory_plan(config(sampler_sleeps=sleeps), TINY, 6, replace(TWO_A100, gpus=1)))[0]
        for sleeps in (False, True)
    )
    assert awake > asleep
    small = replace(QWEN_7B, parameters=3_000_000_000)
    with pytest.raises(ConfigError, match="set sampler_sleeps to true"):
        refuse(
            config(micro_batch_tokens=4096),
            small,
            6,
            replace(TWO_A100, gpus=1, host_bytes=1e12, disk_bytes=1e13),
            0.0,
        )
    with_critic = sums(memory_plan(config(estimator="gae"), QWEN_7B, 6, replace(TWO_A100, gpus=1)))[
        0
    ]
    assert with_critic - sums(memory_plan(config(), QWEN_7B, 6, replace(TWO_A100, gpus=1)))[
        0
    ] == pytest.approx(16 * QWEN_7B.parameters)
