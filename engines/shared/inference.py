"""One vLLM engine inside this process: sampling with log-probabilities, and new weights without a
restart.

In: a model folder, requests of token ids, and now and then new weights. Out: samples, each with its
text and, if asked for, the log-probabilities of its tokens. ``ppo`` samples its rollouts with it,
``evaluation`` scores many checkpoints with one start. Exercised on the CPU backend (float32); the
CUDA path (bfloat16, CUDA graphs) goes through the same calls but has not been run by the tests
here.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.contract.config import ConfigError
from engines.shared.model_shapes import read_folder, refusal

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Request:
    """One prompt and how to sample from it."""

    token_ids: tuple[int, ...]
    samples: int
    seed: int
    """Sample k of this request uses a seed derived from (seed, k): independent of the other
    requests and of their order."""
    temperature: float
    """0 is greedy."""
    max_tokens: int
    top_p: float = 1.0
    """Tokens are drawn from the likeliest ones that hold this share of the probability."""
    logprobs: bool = True
    """Whether the samples carry the log-probabilities of their tokens."""
    adapter: Path | None = None
    """PEFT folder of the adapter that answers; None: the model without one."""
    stop_token: int | None = None
    """Ends a response, besides what the model's own folder names."""


@dataclass(frozen=True)
class Generation:
    """One sample."""

    token_ids: tuple[int, ...]
    """The response, its end-of-text token included if it came."""
    logprobs: tuple[float, ...]
    """Natural log-probability of each token under the distribution it was drawn from (temperature
    applied); empty if not asked for."""
    text: str
    """The response without special tokens."""
    finish_reason: str
    """``stop`` (end of text) or ``length`` (token limit)."""


def sample_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on ``parts`` alone."""
    # repr tells (1, 2) from ("1", "2"), and (12, 3) from (1, 23).
    digest = hashlib.sha256(repr(parts).encode()).digest()
    # Without the top bit it fits into a signed 64-bit integer.
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """How an engine is started."""

    seed: int
    max_model_len: int
    """Tokens of the longest prompt and response together."""
    kv_cache_gb: int = 1
    """Size of the cache on the CPU."""
    gpu_memory_fraction: float = 0.4
    """vLLM's share of the GPU."""
    max_sequences: int | None = 256
    """Samples that it works on at a time; None: what vLLM finds good for the device."""
    threads: int | None = None
    """CPU threads of this process (torch is set to it); None leaves them as they are."""
    launched: bool = False
    """A process group of torch is there already, and each of its processes has an engine of its
    own."""
    sleeps: bool = False
    """It can give its GPU memory back between generations."""
    tensor_parallel: int = 1
    """GPUs that share one copy of the model, each in a process that vLLM starts."""
    logprobs: bool = True
    """Whether requests may ask for log-probabilities; else vLLM spends nothing on them."""
    adapter_rank: int | None = None
    """Highest rank of the adapters (LoRA) that requests may name; None: there are none."""


def set_environment(kv_cache_gb: int) -> None:
    """What vLLM reads from the environment when it is imported; call it before the first ``import
    vllm``."""
    # One process: tensors reach the engine without serialization.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(kv_cache_gb)
    # Several engines may share the cores.
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    # Each reload would warn that the rotary table is not in the checkpoint.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def check_libnuma() -> None:
    """ConfigError without the library that vLLM's CPU kernels are linked against; vLLM itself dies
    of a missing attribute then."""
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError as error:
        raise ConfigError(
            "vLLM on a CPU needs the system library libnuma.so.1: install the package libnuma1"
        ) from error


class VllmSampler:
    """A vLLM engine in this process, with the weights of a Hugging Face folder. ConfigError if
    there is no model."""

    def __init__(self, model_path: str | Path, settings: SamplerSettings) -> None:
        check_model_folder(Path(model_path))
        set_environment(settings.kv_cache_gb)
        import torch

        if settings.threads is not None:
            # Before vLLM is imported: on the CPU it makes later calls do nothing.
            torch.set_num_threads(settings.threads)
        from vllm import LLM

        self.on_gpu = torch.cuda.is_available()
        if not self.on_gpu:
            check_libnuma()
            # vLLM compiles small functions on first use; on the CPU that takes a C++ compiler and
            # seconds, and gains nothing here.
            os.environ["TORCHDYNAMO_DISABLE"] = "1"
        self.sleeps = settings.sleeps
        self.started_with = read_folder(Path(model_path))
        self.llm = LLM(model=str(model_path), **llm_arguments(settings, self.on_gpu))
        self.max_sequences = int(self.llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)
        self._requests = 0
        self._adapters: dict[Path, Any] = {}

    def generate(
        self,
        requests: Sequence[Request],
        on_finished: Callable[[int, int, Generation], None] | None = None,
    ) -> list[list[Generation]]:
        """All samples of all requests: ``result[i][k]`` is sample k of ``requests[i]``.

        ``on_finished(i, k, generation)`` is called as each sample ends, in the order in which they
        end.
        """
        queued: dict[str, tuple[int, int]] = {}
        for index, request in enumerate(requests):
            for sample in range(request.samples):
                queued[self.add(request, sample)] = (index, sample)
        finished: dict[tuple[int, int], Generation] = {}
        while self.busy():
            for name, generation in self.step():
                index, sample = queued[name]
                finished[index, sample] = generation
                if on_finished is not None:
                    on_finished(index, sample, generation)
        if len(finished) < len(queued):
            raise RuntimeError("vLLM ended without finishing every request")
        return [
            [finished[index, sample] for sample in range(request.samples)]
            for index, request in enumerate(requests)
        ]

    def prompt_logprobs(self, token_ids: Sequence[int], adapter: Path | None = None) -> list[float]:
        """Log-probabilities at temperature 1 of ``token_ids[1:]``, each given what precedes it: one
        number less than ids."""
        return self.prompts_logprobs([token_ids], adapter)[0]

    def prompts_logprobs(
        self, prompts: Sequence[Sequence[int]], adapter: Path | None = None
    ) -> list[list[float]]:
        """The same of several prompts, in their order. Nothing else may be queued."""
        from vllm import SamplingParams

        # One token is sampled and thrown away: vLLM gives a prompt's log-probabilities on the way.
        params = SamplingParams(
            max_tokens=1, temperature=1.0, prompt_logprobs=0, seed=0, detokenize=False
        )
        places = {
            self._submit(token_ids, params, adapter): place
            for place, token_ids in enumerate(prompts)
        }
        found: list[list[float]] = [[] for _ in prompts]
        while self.busy():
            for output in self._finished():
                place = places[output.request_id]
                # The first token has no log-probability: nothing precedes it.
                rows = zip(output.prompt_logprobs[1:], prompts[place][1:], strict=True)
                found[place] = [row[token].logprob for row, token in rows]
        return found

    def sleep(self) -> None:
        """Give back the memory of weights and cache, if the engine ``sleeps``; new weights wake it.
        On a CPU it only stops to schedule."""
        # Level 2 drops weights and cache. Level 1 would keep a copy of the weights in the host's
        # memory, which nobody needs: new weights come before the next generation.
        if self.sleeps:
            self.llm.sleep(level=2)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Take over weights under their Hugging Face names, drop the prefix cache (it was made by
        the old weights)."""
        self._reload(weights_iterator=_detached(weights))

    def load_checkpoint(self, model_folder: Path) -> None:
        """Take over the weights of a Hugging Face folder; ConfigError unless they are what its
        config.json describes, and that is the loaded model."""
        check_model_folder(model_folder)
        # vLLM refuses what does not fit half-way, and can take over nothing afterwards.
        reason = refusal(model_folder, self.started_with)
        if reason:
            raise ConfigError(f"{model_folder}: {reason}")
        self._reload(weights_path=str(model_folder))

    def _reload(self, **source: Any) -> None:
        # The cache comes back after the weights, so that it never lies in memory beside what
        # loading them takes.
        if self.sleeps:
            self.llm.wake_up(tags=["weights"])
        # Inside the engine's processes: with tensor parallelism each holds its part.
        self.llm.collective_rpc("reload_weights", kwargs=source)
        self.llm.apply_model(_repack_tied_head)
        if self.sleeps:
            self.llm.wake_up(tags=["kv_cache"])
        self.llm.reset_prefix_cache()

    def add(self, request: Request, sample: int = 0) -> str:
        """Queue one sample; ``step`` gives it back under the name returned here."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            # 0: the drawn token's alone, without any likelier ones.
            logprobs=0 if request.logprobs else None,
            # Greedy samples need no seed, and a seed per
            # request keeps vLLM from its fastest sampler.
            seed=sample_seed(request.seed, sample) if request.temperature else None,
            stop_token_ids=None if request.stop_token is None else [request.stop_token],
            # Nobody reads a response before it is whole.
            output_kind=RequestOutputKind.FINAL_ONLY,
            # With log-probabilities vLLM makes a text of every token besides, a quarter of a
            # training's generation; the whole response is decoded at once instead.
            detokenize=not request.logprobs,
        )
        return self._submit(request.token_ids, params, request.adapter)

    def step(self) -> list[tuple[str, Generation]]:
        """One step of the engine for all queued samples; those that ended with it, by name."""
        return [
            (output.request_id, self._generation(output.outputs[0])) for output in self._finished()
        ]

    def busy(self) -> bool:
        """Whether a sample is queued or on its way."""
        return bool(self.llm.llm_engine.has_unfinished_requests())

    def give_up(self, names: Sequence[str]) -> None:
        """Forget samples that are on their way."""
        self.llm.llm_engine.abort_request(list(names))

    def _submit(self, token_ids: Sequence[int], params: Any, adapter: Path | None) -> str:
        name = str(self._requests)
        self._requests += 1
        self.llm.llm_engine.add_request(
            name,
            {"prompt_token_ids": list(token_ids)},
            params,
            lora_request=self._adapter(adapter),
        )
        return name

    def _adapter(self, folder: Path | None) -> Any:
        """What vLLM knows an adapter by: a number that stays the folder's own."""
        if folder is None:
            return None
        if folder not in self._adapters:
            from vllm.lora.request import LoRARequest

            number = len(self._adapters) + 1
            self._adapters[folder] = LoRARequest(str(number), number, str(folder))
        return self._adapters[folder]

    def _generation(self, output: Any) -> Generation:
        ids, reason = tuple(output.token_ids), str(output.finish_reason)
        if output.logprobs is None:
            return Generation(ids, (), output.text, reason)
        rows = zip(output.logprobs, ids, strict=True)
        logprobs = tuple(row[token].logprob for row, token in rows)
        # As vLLM does: the token that ended it is no part of the text.
        read = ids[:-1] if reason == "stop" else ids
        text = self.llm.get_tokenizer().decode(read, skip_special_tokens=True)
        return Generation(ids, logprobs, text, reason)

    def _finished(self) -> list[Any]:
        return [output for output in self.llm.llm_engine.step() if output.finished]


def llm_arguments(settings: SamplerSettings, on_gpu: bool) -> dict[str, Any]:
    """The arguments of vLLM's ``LLM`` but for the model."""
    # external_launcher: the ranks of the training exist already, and vLLM joins them. mp: vLLM
    # starts a process per GPU. uni: everything happens in this process.
    if settings.launched:
        executor = "external_launcher"
    elif settings.tensor_parallel > 1:
        executor = "mp"
    else:
        executor = "uni"
    arguments: dict[str, Any] = {
        "seed": settings.seed,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_sequences,
        # A prompt that is not cut into chunks has to fit
        # into one batch: vLLM refuses less than this.
        "max_num_batched_tokens": max(8192, settings.max_model_len),
        # Whole prompts only: vLLM rewinds the generator of a chunked, seeded request, which a CPU
        # generator cannot do.
        "enable_chunked_prefill": False,
        # Processed: of the distribution that tokens are drawn from. Raw ones leave out the
        # temperature, and the ratios of policies in a training would be wrong.
        "logprobs_mode": "processed_logprobs" if settings.logprobs else "raw_logprobs",
        # None is vLLM's own choice. Who asks for log-probabilities is a training, whose weights
        # change between batches; what a batch in flight does then was never seen on a GPU.
        "async_scheduling": False if settings.logprobs else None,
        "distributed_executor_backend": executor,
        "tensor_parallel_size": settings.tensor_parallel,
        "disable_log_stats": True,
    }
    if settings.adapter_rank is not None:
        arguments |= adapter_arguments(settings.adapter_rank)
    # float32 agrees with the trainer to rounding errors, bfloat16 does not. Compiling, which
    # enforce_eager turns off, gains nothing on a CPU.
    if not on_gpu:
        return {**arguments, "dtype": "float32", "enforce_eager": True}
    arguments["dtype"] = "bfloat16"
    arguments["gpu_memory_utilization"] = settings.gpu_memory_fraction
    if settings.sleeps:
        arguments["enable_sleep_mode"] = True  # an allocator of vLLM's own, which only CUDA has
    return arguments


def adapter_arguments(rank: int) -> dict[str, Any]:
    """The arguments of vLLM's ``LLM`` that let it serve adapters up to a rank."""
    from typing import get_args

    from vllm.config.lora import MaxLoRARanks

    # vLLM takes a few ranks only, and has room for the highest; its own default is 16.
    room = [known for known in get_args(MaxLoRARanks) if known >= rank]
    if not room:
        raise ConfigError(
            f"an adapter has rank {rank}, and vLLM serves up to {max(get_args(MaxLoRARanks))}"
        )
    # Model after model is evaluated, so that one adapter is in use at a time.
    return {"enable_lora": True, "max_lora_rank": min(room), "max_loras": 1}


def check_model_folder(folder: Path) -> None:
    """ConfigError unless ``folder`` holds config.json and safetensors."""
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"{folder}: no Hugging Face model folder (needs config.json and *.safetensors)"
        )


def _detached(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in weights:
        # vLLM copies in place, which autograd would otherwise record or refuse.
        yield name, tensor.detach()


def _repack_tied_head(model: Any) -> None:
    """The CPU backend packs a tied lm_head at load time and keeps the old pack on a reload: pack it
    again."""
    head = getattr(model, "lm_head", None)
    config = getattr(model, "config", None)
    if head is not None and getattr(config, "tie_word_embeddings", False):
        head.quant_method.process_weights_after_loading(head)
