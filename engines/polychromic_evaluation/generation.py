"""Every model answers every prompt, with one start of vLLM.

In: models and prompts, and what earlier starts have kept. Out: all replies, on disk. A model's
prompts go into the engine a few at a time, and each is kept as soon as its samples, its greedy
reply and the likelihood of its references are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.models import Model, Models, merged_weights
from engines.polychromic_evaluation.prompts import Prompt, Prompts
from engines.polychromic_evaluation.samples import (
    Answered,
    Told,
    add_answered,
    finish,
    finished_file,
    read_answered,
)
from engines.shared.inference import (
    Generation,
    Request,
    SamplerSettings,
    VllmSampler,
    sample_seed,
)
from engines.shared.loaded_weights import check_probe
from engines.shared.replies.checker import Checker

GPU_MEMORY_FRACTION = 0.9
"""Nothing else uses the GPU during an evaluation."""
ROUNDS = 2
"""Prompts that are answered together, in samples over those that vLLM works on at a time: between
two rounds it runs empty, and a kill costs one of them."""


class Answering:
    """The engine, and which model it holds."""

    def __init__(self, config: Config, models: Models, prompts: Prompts, checker: Checker) -> None:
        import torch

        self.config, self.models, self.prompts, self.checker = config, models, prompts, checker
        # On a CPU vLLM (0.32) is slow with adapters, and raises for a batch of a Llama's prompts.
        self.adapter_rank = models.adapter_rank if torch.cuda.is_available() else None
        self.sampler: VllmSampler | None = None

    def answer_all(self, out: Path, stop: Stop) -> dict[str, list[Answered]]:
        """What every model says, from earlier starts or new, by the model's name. Interrupted if a
        stop was requested."""
        total = len(self.models.all) * len(self.prompts)
        progress = Progress(out)
        found = {}
        done = 0
        for model in self.models.all:
            kept = read_answered(out, model)
            if not finished_file(out, model).is_file():
                self.answer_rest(out, model, kept, stop, (progress, done, total))
                found[model.name] = finish(out, model, self.prompts.all)
            else:
                found[model.name] = kept
            done += len(self.prompts)
            progress.write(done, total, {}, phase="samples")
        return found

    def answer_rest(
        self,
        out: Path,
        model: Model,
        kept: Sequence[Answered],
        stop: Stop,
        counted: tuple[Progress, int, int],
    ) -> None:
        """Answer the prompts that are not among ``kept``; ``counted`` is where progress is told,
        the prompts before this model, and all of them."""
        known = {answered.id for answered in kept}
        missing = [prompt for prompt in self.prompts.all if prompt.id not in known]
        progress, before, total = counted
        before += len(self.prompts) - len(missing)
        if missing and stop.requested:
            raise Interrupted("what was answered is kept; start it again")
        sampler = self.load(model)
        at_once = max(1, ROUNDS * sampler.max_sequences // self.config.samples)
        for start in range(0, len(missing), at_once):
            if stop.requested:
                raise Interrupted("what was answered is kept; start it again")
            some = missing[start : start + at_once]
            for answered in self.answer(sampler, model, some):
                add_answered(out, model, answered)
            progress.write(before + start + len(some), total, {}, phase="samples")

    def adapter(self, model: Model) -> Path | None:
        """What vLLM is to serve beside the base."""
        return model.folder if model.is_adapter and self.adapter_rank is not None else None

    def load(self, model: Model) -> VllmSampler:
        """The engine, able to speak for this model."""
        if self.sampler is None:
            self.sampler = VllmSampler(
                self.models.base.folder,
                SamplerSettings(
                    seed=self.config.seed,
                    max_model_len=self.prompts.longest,
                    kv_cache_gb=self.config.kv_cache_gb,
                    gpu_memory_fraction=GPU_MEMORY_FRACTION,
                    max_sequences=None,
                    threads=self.config.cpu_threads,
                    tensor_parallel=self.config.gpus_per_model,
                    logprobs=False,
                    adapter_rank=self.adapter_rank,
                ),
            )
        # With adapters beside it the base stays what it is. The base comes first otherwise too,
        # but a restart may begin with any model.
        if self.adapter_rank is None:
            self.swap(self.sampler, model)
        adapter = self.adapter(model)
        check_probe(self.sampler, model.name, model.manifest, self.config.probe_tolerance, adapter)
        return self.sampler

    def swap(self, sampler: VllmSampler, model: Model) -> None:
        """Give the engine this model's weights."""
        if model.is_adapter:
            sampler.load_weights(merged_weights(self.models.base, model))
        else:
            sampler.load_checkpoint(model.folder)

    def answer(
        self, sampler: VllmSampler, model: Model, prompts: Sequence[Prompt]
    ) -> list[Answered]:
        """Samples, a greedy reply and the references' likelihood for some prompts."""
        adapter = self.adapter(model)
        requests = []
        for prompt in prompts:
            # The same for all models: they are compared at equal luck.
            seed = sample_seed(self.config.seed, prompt.id)
            requests.append(self.request(prompt, adapter, self.config.samples, seed))
        requests += [self.request(prompt, adapter, 1, None) for prompt in prompts]
        found = sampler.generate(requests)
        nats = self.reference_nats(sampler, prompts, adapter)
        return [
            Answered(
                prompt.id,
                prompt.row.prompt,
                prompt.references,
                tuple(self.told(prompt, one) for one in samples),
                self.told(prompt, greedy[0]),
                own_nats,
                sum(map(len, prompt.reference_ids)),
            )
            for prompt, samples, greedy, own_nats in zip(
                prompts, found[: len(prompts)], found[len(prompts) :], nats, strict=True
            )
        ]

    def request(
        self, prompt: Prompt, adapter: Path | None, samples: int, seed: int | None
    ) -> Request:
        """Samples as the config says; greedy without a seed."""
        return Request(
            token_ids=prompt.token_ids,
            samples=samples,
            seed=seed or 0,
            temperature=0.0 if seed is None else self.config.temperature,
            max_tokens=self.config.max_new_tokens,
            top_p=1.0 if seed is None else self.config.top_p,
            logprobs=False,
            adapter=adapter,
            stop_token=self.prompts.end_token,
        )

    def told(self, prompt: Prompt, made: Generation) -> Told:
        """A reply with the checker's verdict."""
        complete = made.finish_reason == "stop"
        reason = self.checker.check(prompt.row, made.text, complete)
        return Told(made.text, len(made.token_ids), complete, reason)

    def reference_nats(
        self, sampler: VllmSampler, prompts: Sequence[Prompt], adapter: Path | None
    ) -> list[float]:
        """Negative log-likelihood of all references of each prompt."""
        texts = [
            (place, [*prompt.token_ids, *ids])
            for place, prompt in enumerate(prompts)
            for ids in prompt.reference_ids
        ]
        logprobs = sampler.prompts_logprobs([ids for _, ids in texts], adapter)
        nats = [0.0] * len(prompts)
        for (place, _), values in zip(texts, logprobs, strict=True):
            # The first value is that of the second token.
            nats[place] -= sum(values[len(prompts[place].token_ids) - 1 :])
        return nats
