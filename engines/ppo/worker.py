"""What lives beside the GPU: the trained model, the sampler, and the way of the weights from one to
the other.

A Ray actor, or the driver itself, holds one ``Rank``; all its methods take and return plain values,
so that the driver needs no torch. With several ranks every method but ``generate`` is called in all
of them at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.ppo.config import Config
from engines.shared.inference import Generation, Request, SamplerSettings, VllmSampler

if TYPE_CHECKING:
    from engines.shared.language_model.torch_sampler import TorchSampler

BFLOAT16_TOLERANCE = 0.5
"""Largest difference of one token's log-probability seen as rounding in bfloat16."""


class Rank:
    """Trainer and sampler on one device, rank ``index`` of ``config.ranks``.

    ``folder`` is the Hugging Face folder to start from, ``state`` what lies beside it to continue
    from; the ranks meet over ``store``.
    """

    def __init__(
        self,
        config: Config,
        folder: str,
        probe: Sequence[int],
        state: str | None,
        index: int,
        store: str,
    ) -> None:
        self.config, self.probe = config, list(probe)
        self.folder, self.state, self.index, self.store = folder, state, index, store

    def leave_signals(self) -> None:
        """Ignore what asks a run to stop: a signal to the whole process group is the driver's
        business, and Ray ends this process."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)

    def start(self) -> dict[str, Any]:
        """Load model and sampler; returns facts for the results: versions, device, sizes, seconds
        to start."""
        config, folder = self.config, self.folder
        # Ray sets OMP_NUM_THREADS to 1 for an actor with one CPU; torch reads it at its import.
        threads = max(1, (config.cpu_threads or len(os.sched_getaffinity(0))) // config.ranks)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        import torch
        from transformers import AutoTokenizer

        from engines.ppo.update.sharding import World, join

        started = time.monotonic()
        torch.set_num_threads(threads)
        # Some kernels have no deterministic version on a GPU; there it is a warning, not an error.
        torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
        self.device = choose_device(config.device)
        # The process group comes before vLLM, which finds it and makes none of its own.
        world = World(self.device)
        if config.ranks > 1 or config.offload:
            world = join(self.device, self.index, config.ranks, Path(self.store))
        self.vllm: VllmSampler | None = None
        if config.samples_with_vllm(self.device.type == "cuda"):
            self.vllm = self._load_vllm(folder, threads, launched=world.sharded)
        # Read now: the folder may be a state to continue from, which is deleted when the next one
        # is there.
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.policy = self._load_policy(world)
        if self.state is not None:
            self.policy.load_state(Path(self.state))
        self.sampler: VllmSampler | TorchSampler = self.vllm or self._own_sampler()
        # Also in a continued run: nobody trains before both have been seen to compute the same.
        self.synchronize(check=True)
        return self._facts() | {"start_seconds": round(time.monotonic() - started, 1)}

    def _own_sampler(self) -> TorchSampler:
        """The trained model as its own sampler."""
        from engines.shared.language_model.torch_sampler import TorchSampler

        return TorchSampler(self.policy.scorer, self.tokenizer, self.config.kv_cache_gb)

    def _load_vllm(self, folder: str, threads: int, launched: bool) -> VllmSampler:
        """vLLM with the weights in ``folder``; ``launched``: inside a process group of ours."""
        config = self.config
        settings = SamplerSettings(
            seed=config.seed,
            max_model_len=config.max_prompt_tokens + config.max_response_tokens + 1,
            kv_cache_gb=config.kv_cache_gb,
            gpu_memory_fraction=config.gpu_memory_fraction,
            max_sequences=512 if self.device.type == "cpu" else 256,
            threads=threads,
            launched=launched,
            sleeps=config.sampler_sleeps,
        )
        return VllmSampler(folder, settings)

    def _load_policy(self, world: Any) -> Any:
        """The trained model, and what stands beside it: the first model for the divergence, the
        critic."""
        import torch

        from engines.ppo.resume import base_model
        from engines.ppo.update.critic import Critic
        from engines.ppo.update.load import load_model
        from engines.ppo.update.policy import Policy

        config = self.config
        # Shards are cut from whole parameters, which a GPU may not hold: they are loaded into host
        # memory then.
        place = torch.device("cpu") if world.sharded else self.device
        critic = (
            Critic(load_model(base_model(config), place), config, world)
            if config.estimator == "gae"
            else None
        )
        # The frozen part is where the training began and no update is added to it, so that a GPU
        # needs no float32 copy.
        if config.lora is not None:
            frozen = torch.bfloat16 if self.device.type == "cuda" else torch.float32
            return Policy(
                load_model(base_model(config), place, frozen), config, world, critic=critic
            )
        # The divergence is measured from where the training began, also after it was continued.
        reference = load_model(base_model(config), place) if config.kl_coefficient > 0 else None
        return Policy(load_model(Path(self.folder), place), config, world, reference, critic)

    def _facts(self) -> dict[str, Any]:
        import torch
        import transformers

        from engines.ppo.update.pcgrad import remark_on_groups

        remark = remark_on_groups(self.policy.names, self.config.mtl.group)
        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        if self.vllm is not None:
            import vllm

            versions["vllm"] = vllm.__version__
        return {
            **versions,
            "sampler": "vllm" if self.vllm is not None else "transformers",
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "parameters": sum(parameter.numel() for parameter in self.policy.parameters),
            "gradient_groups": len(set(self.policy.groups)),
            "remarks": [remark] if remark else [],
        }

    def generate(self, requests: list[Request]) -> list[list[Generation]]:
        """Samples of each request. The prefix cache starts empty, so that a continued run computes
        the same numbers."""
        if self.vllm is not None:
            self.vllm.llm.reset_prefix_cache()
        return self.sampler.generate(requests)

    def update(self, tasks: dict[str, list[Any]], step: int) -> dict[str, float]:
        """One optimizer step (``step`` from 0) on ``{task: [Group]}``, then the new weights to the
        sampler; returns metrics.

        RuntimeError if trainer and sampler disagree about the rollouts, on average, or the probe.
        """
        started = time.monotonic()
        # Before the update, which gets the memory of vLLM's weights and cache.
        if self.vllm is not None:
            self.vllm.sleep()
        metrics: dict[str, float] = self.policy.step(tasks, step)
        # The mean: a model that is almost sure of everything can magnify the rounding of a single
        # token to a tenth of a nat.
        self._check("on the rollouts, on average", metrics["logprob_difference_mean"])
        updated = time.monotonic()
        if self.vllm is not None:
            metrics |= self.synchronize(check=(step + 1) % self.config.probe_every_steps == 0)
        return metrics | {
            "seconds_update": updated - started,
            "seconds_sync": time.monotonic() - updated,
        }

    def synchronize(self, check: bool) -> dict[str, float]:
        """Give the sampler the trainer's weights; with ``check``, compare both on the probe."""
        if self.vllm is not None:
            # Every process must take part: it gathers the weights of all shards.
            self.vllm.load_weights(self.policy.named_weights())
        if not check:
            return {}
        ours, theirs = (
            self.policy.prompt_logprobs(self.probe),
            self.sampler.prompt_logprobs(self.probe),
        )
        difference = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        self._check("on the probe after new weights", difference)
        return {"probe_difference_max": difference}

    def _check(self, where: str, difference: float) -> None:
        tolerance = (
            self.config.logprob_tolerance if self.device.type == "cpu" else BFLOAT16_TOLERANCE
        )
        if not difference <= tolerance:
            raise RuntimeError(
                f"log-probabilities of trainer and sampler differ by {difference:.3g} "
                f"{where} (at most "
                f"{tolerance:g} is rounding): the sampler lacks the trainer's weights; "
                "check the vLLM version"
            )

    def save(self, folder: str) -> None:
        """Write ``model/`` and ``state/`` below ``folder``."""
        self.policy.save(Path(folder) / "model", Path(folder) / "state", self.tokenizer)

    def probe_logprobs(self) -> list[float]:
        """The trainer's log-probabilities of the probe, kept in a checkpoint's manifest."""
        found: list[float] = self.policy.prompt_logprobs(self.probe)
        return found

    def peak_memory_gib(self) -> float:
        """Largest resident size of this process so far, GiB."""
        # Not getrusage: its value is kept over exec, so that a process begins with that of whoever
        # started it.
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) / 2**20
        raise RuntimeError("/proc/self/status does not say how large this process has been")


def choose_device(wanted: str) -> Any:
    """The torch device for ``auto``, ``cpu`` or ``cuda``; ConfigError for cuda without a GPU."""
    import torch

    from engines.contract.config import ConfigError

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device: cuda, but torch sees no GPU here; ask for one (gpus: 1) or set device: cpu"
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
