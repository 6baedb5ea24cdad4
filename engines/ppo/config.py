"""Reinforcement learning of a causal language model on several tasks: GRPO advantages, PPO's
clipped loss, optional PCGrad.

Light on purpose: the login node checks a config with it. ``python -m engines.ppo CONFIG --out
FOLDER`` runs it. One process per GPU (``ranks``), or on the CPU (float32, what the tests run). The
CUDA path (float32 master weights, bfloat16 passes, vLLM in bfloat16, gradient snapshots in bfloat16
in host memory) is written out but has not been run on a GPU.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.contract.words import near
from engines.shared.scoring.own import OwnScorer
from engines.shared.scoring.rewards import with_sources
from engines.shared.suites.config import TasksConfig

KEEP_STATES = 2
"""Newest checkpoints that keep their optimizer state (twice the size of the model)."""


class MultiTask(EngineConfig):
    """How the gradients of the tasks become one."""

    method: Literal[
        "off",
        "sum",
        "equal",
        "pcgrad",
        "upgrad",
        "mgda",
        "cagrad",
        "imtl_g",
        "aligned_mtl",
        "dualproj",
    ] = "sum"
    """``off`` adds them and measures nothing; ``sum`` adds them, with conflicts measured (the
    baseline arm); ``equal`` gives every task the same weight however many tokens it has; ``pcgrad``
    removes conflicting parts first; the others are TorchJD's of that name."""
    group: Literal["global", "layer", "module"] = "global"
    """Resolve conflicts over all parameters at once, per layer, or per attention and feed-forward
    block."""


class LowRank(EngineConfig):
    """Low-rank adapters (LoRA) on the linear layers; the model itself is frozen."""

    rank: int = Field(default=32, ge=1)
    """Rank of each adapter."""
    alpha: float = Field(default=64.0, gt=0)
    """The adapters' output is multiplied by this / rank."""


class CriticSettings(EngineConfig):
    """A critic: a second model of the same size, with one number for a head, trained beside the
    policy."""

    learning_rate: float = Field(default=1e-5, gt=0)
    """Learning rate of its AdamW, constant."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount per token."""
    lam: float = Field(default=1.0, ge=0, le=1)
    """Decay of the advantage estimates: 1 takes the whole return, 0 only the next value."""


class EarlyStopping(EngineConfig):
    """Stop when validation no longer improves."""

    min_epochs: int = Field(default=10, ge=0)
    """Never stop before this epoch."""
    patience: int = Field(default=3, ge=1)
    """Stop after this many validations (not epochs) in a row without improvement."""
    min_delta: float = Field(default=0.001, ge=0)
    """An improvement is more than this above the best mean reward so far."""


def under_its_name(values: Any) -> Any:
    """A config in which an earlier version called ``reward`` ``scorers``."""
    if not isinstance(values, dict) or "scorers" not in values:
        return values
    if values.get("reward") is not None:
        raise ValueError("scorers is called reward now, and both are given; leave scorers out")
    others = {key: value for key, value in values.items() if key != "scorers"}
    # Nobody named is what an empty mapping meant.
    return {**others, "reward": values["scorers"] or None}


def with_evaluation(kind: type[EngineConfig], values: Any) -> Any:
    """A config whose ``evaluate_here`` names all that the training says as well."""
    if not isinstance(values, dict) or not isinstance(values.get("evaluate_here"), dict | bool):
        return values
    own = values["evaluate_here"]
    if own is False:
        return {**values, "evaluate_here": None}
    own = {} if own is True else own
    keys = {"data": "test_data", "reward": "reward"}
    # A suite has limits of its own.
    if not own.get("suite"):
        keys |= {key: key for key in ("max_prompt_tokens", "max_response_tokens")}
    for key, ours in keys.items():
        value = values.get(ours, kind.model_fields[ours].default)
        if key not in own and value is not None:
            own = {**own, key: value}
    if "data" not in own:
        raise ValueError("evaluate_here: name test_data, or evaluate_here: {data: ...}")
    return {**values, "evaluate_here": own}


class Config(EngineConfig):
    """What a training run is. Every random choice hangs on ``seed``."""

    DOES: ClassVar[str] = "trained"

    model: str | CheckpointSource = Field(json_schema_extra=IS_PATH)
    """Hugging Face folder to start from, or a checkpoint of another job."""
    data: str | dict[str, str | list[str]] = Field(json_schema_extra=IS_PATH)
    """Training problems: a folder with ``<task>.train.parquet`` or ``.jsonl`` (a question and its
    answer on each line), or one file or several per task."""
    validation_data: str | dict[str, str | list[str]] = Field(json_schema_extra=IS_PATH)
    """Validation problems: a folder with ``<task>.validation.parquet`` or ``.jsonl``, or one file
    or several per task (the same tasks)."""
    test_data: str | dict[str, str | list[str]] | None = Field(
        default=None, json_schema_extra=IS_PATH
    )
    """What the evaluation uses; none of it may be trained on. A folder with
    ``<task>.test.parquet``, ``<task>.test.jsonl`` or benchmark files, or one file or several per
    task."""
    evaluate_here: TasksConfig | None = Field(default=None, json_schema_extra=DECIDES_NO_RESULT)
    """Draw the samples of the evaluation at each checkpoint, by the sampler that has its weights:
    the evaluation of the checkpoints reuses them and starts no engine for them. ``true``, or
    keys of an evaluation: what they leave out is ``test_data``, ``reward`` and the limits of the
    tokens of this training. A sample is reused where the evaluation asks for the same."""
    allow_test_data: bool = False
    """Train on problems of ``test_data`` all the same; results and report then say how many."""
    reward: str | dict[str, str] | None = None
    """Who judges the answers, for all tasks or task -> who: ``rewards.py:score``, a function of
    your own in a file below the working folder (see the how-to), or one of ours, such as
    ``mathematics``. Other tasks are judged by the scorer of each row's data source."""
    planned_scorers: dict[str, OwnScorer] = Field(default_factory=dict)
    """The files of ``reward`` as they were; the planner fills it in, so that an edit changes
    nothing that was launched before."""
    lora: LowRank | None = None
    """Train adapters of low rank instead of the whole model; samplers and checkpoints get them
    merged into it. null: train it whole."""
    mtl: MultiTask = MultiTask()
    """How the gradients of the tasks become one."""
    seed: int = Field(default=0, ge=0)
    """Decides the order of the problems, the samples, and PCGrad's projection orders."""
    epochs: int = Field(default=30, ge=1)
    """Epochs of ``steps_per_epoch`` steps."""
    steps_per_epoch: int | None = Field(default=None, ge=1)
    """Steps that count as an epoch; null: until the task with the most problems has been seen
    once."""
    prompts_per_task: int = Field(default=8, ge=1)
    """Problems of every task per step."""
    samples_per_prompt: int = Field(default=8, ge=2)
    """Answers sampled per problem; their rewards are compared with each other."""
    validation_limit: int | None = Field(default=None, ge=1)
    """Use only the first so many validation problems of every task."""
    learning_rate: float = Field(default=1e-6, gt=0)
    """Peak learning rate of AdamW, constant after the warm-up."""
    weight_decay: float = Field(default=0.1, ge=0)
    """AdamW's decoupled weight decay."""
    warmup_steps: int = Field(default=10, ge=0)
    """Steps of linear warm-up."""
    estimator: Literal["grpo", "dr_grpo", "rloo", "gae"] = "grpo"
    """How rewards become advantages: standard scores of the group, differences from its mean, or
    from the mean of the others; ``gae`` estimates them with a critic."""
    critic: CriticSettings | None = None
    """How the critic of ``gae`` learns; null: its defaults, or no critic with the other
    estimators."""
    kl_coefficient: float = Field(default=0.0, ge=0)
    """Weight of the divergence (k3) from the model that training began with; above 0 that model is
    kept in memory as well."""
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    """The probability ratio is clipped below at 1 - this."""
    clip_high: float = Field(default=0.2, gt=0)
    """The probability ratio is clipped above at 1 + this."""
    clip_c: float = Field(default=10.0, gt=1)
    """Bound of the loss for negative advantages (dual clip)."""
    truncated_importance_cap: float = Field(default=2.0, ge=1)
    """Largest weight that corrects for the difference between trainer and sampler."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    max_skipped_steps: int = Field(default=5, ge=0)
    """More steps than this with a gradient that is not finite end the run."""
    max_prompt_tokens: int = Field(default=2048, ge=1)
    """Problems with a longer prompt are left out, and counted."""
    max_response_tokens: int = Field(default=2048, ge=1)
    """Longest answer."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of the rollouts; validation is greedy."""
    micro_batch_tokens: int = Field(default=16384, ge=1)
    """Tokens per forward and backward pass; a prompt that runs once for all of its answers counts
    once. Changes memory and speed, not the gradient."""
    gradient_checkpointing: bool | None = None
    """Compute activations a second time instead of keeping them; null: on a GPU."""
    validate_every_epochs: int = Field(default=3, ge=1)
    """Epochs between validations; there is one before training, one at every checkpoint and one at
    the end as well."""
    checkpoint_every_epochs: int = Field(default=5, ge=1)
    """Epochs between checkpoints; there is one at the end as well."""
    keep_checkpoints: int = Field(default=10, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Checkpoints to keep; the best one always stays. Only the newest two keep their optimizer
    state."""
    save_state_every_steps: int | None = Field(
        default=50, ge=1, json_schema_extra=DECIDES_NO_RESULT
    )
    """Steps between saves of a state to continue from after a crash; null: only at checkpoints."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """When to stop before ``epochs``; null: never."""
    probe_every_steps: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Steps between comparisons of trainer and sampler on a fixed prompt after new weights."""
    logprob_tolerance: float = Field(default=1e-4, gt=0)
    """Largest difference of log-probabilities between trainer and sampler in float32 that is
    rounding: of any token of the probe, of the rollouts on average; in bfloat16 0.5 is used."""
    sampler: Literal["auto", "vllm", "transformers"] = "auto"
    """Who draws the samples: ``vllm``, a second engine that gets the weights after every update, or
    ``transformers``, the trained model itself. ``auto``: vLLM on a GPU, with several ranks and with
    ``offload``, else the model itself."""
    ray: bool | None = Field(default=None, json_schema_extra=DECIDES_NO_RESULT)
    """Whether the ranks are actors of a Ray of this job alone; null: on a GPU, with several ranks
    and with ``offload``. A single rank on a CPU needs none."""
    gpu_memory_fraction: float = Field(default=0.4, gt=0, lt=1, json_schema_extra=DECIDES_NO_RESULT)
    """vLLM's share of the GPU."""
    sampler_sleeps: bool = Field(default=False, json_schema_extra=DECIDES_NO_RESULT)
    """vLLM gives its GPU memory back during the update (its sleep level 2), and gets cache and
    weights anew afterwards."""
    kv_cache_gb: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Keys and values of samples on the CPU, GiB: vLLM's cache, or what is drawn together."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes the GPU if there is one."""
    ranks: int = Field(default=1, ge=1)
    """Processes that train together, one GPU each; the parameters are cut over them (FSDP2), each
    has a sampler of its own."""
    offload: bool = False
    """Keep weights, gradients and AdamW's moments in host memory between uses: a 7B model then fits
    beside its sampler."""
    cpu_threads: int | None = Field(default=None, ge=1)
    """Threads of trainer and sampler, over all ranks; null: all cores of the job. Repeating a run
    bit for bit needs the same number."""
    scoring_workers: int = Field(default=2, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Processes that score answers."""
    scoring_seconds: float = Field(default=10.0, gt=0)
    """Time limit for scoring one answer."""
    step_timeout_minutes: float = Field(default=120.0, gt=0, json_schema_extra=DECIDES_NO_RESULT)
    """Longest wait for one call to the trainer; a hang ends the run with an error. Once the usual
    time of a call is known, ten times that is enough (but ten minutes at least)."""

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest prompt with the longest response."""
        return self.max_prompt_tokens + self.max_response_tokens

    @property
    def in_parts(self) -> bool:
        """Whether the weights are cut over processes, or lie in host memory between uses."""
        return self.ranks > 1 or self.offload

    def samples_with_vllm(self, on_gpu: bool) -> bool:
        """Whether vLLM draws the samples, and not the trained model itself."""
        if self.sampler == "auto":
            return on_gpu or self.in_parts
        return self.sampler == "vllm"

    def uses_ray(self, on_gpu: bool) -> bool:
        """Whether the ranks are actors of Ray."""
        return on_gpu or self.in_parts if self.ray is None else self.ray

    @model_validator(mode="before")
    @classmethod
    def _tracked_by_the_experiment(cls, values: Any) -> Any:
        """Earlier versions chose a tracker here."""
        for key in ("wandb", "wandb_project"):
            if isinstance(values, dict) and key in values:
                raise ValueError(
                    f"{key} is no key of ppo any more: trackers are chosen for all stages, with "
                    "'track: [wandb]' at the top of the experiment; take it out"
                )
        return values

    @model_validator(mode="before")
    @classmethod
    def _evaluated_as_trained(cls, values: Any) -> Any:
        """Completes ``evaluate_here`` from the keys of the training."""
        return with_evaluation(cls, values)

    @model_validator(mode="before")
    @classmethod
    def _reward_as_it_is(cls, values: Any) -> Any:
        """Takes in the files of the users' own functions, unless that was done."""
        return with_sources(under_its_name(values))

    @model_validator(mode="after")
    def _reward_of_tasks(self) -> Config:
        """A scorer for a task that the data do not have is told before anything is submitted."""
        # Which tasks a folder has is known only where it lies.
        named = self.reward if isinstance(self.reward, dict) else {}
        for task in named:
            if isinstance(self.data, dict) and task not in self.data:
                raise ValueError(f"reward: there is no task '{task}'{near(task, self.data)}")
        return self

    def scorer_of(self, task: str) -> str | None:
        """Who judges a task; None: the scorer of each row's data source."""
        return self.reward.get(task) if isinstance(self.reward, dict) else self.reward

    @model_validator(mode="after")
    def _whole_for_who_samples(self) -> Config:
        if self.in_parts and (self.sampler == "transformers" or self.ray is False):
            raise ValueError(
                "with ranks above 1 or offload no process has the whole model, so that vLLM draws "
                "the samples and Ray holds the ranks; leave out 'sampler: transformers' and "
                "'ray: false'"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Config:
        # A sequence is never cut: a longer one would take more memory than the plan has counted.
        longest = self.max_prompt_tokens + self.max_response_tokens
        if self.micro_batch_tokens < longest:
            raise ValueError(
                f"micro_batch_tokens ({self.micro_batch_tokens}) must hold one sequence "
                "of max_prompt_tokens + "
                f"max_response_tokens = {longest}; raise it or shorten the sequences"
            )
        if self.critic is not None and self.estimator != "gae":
            raise ValueError(
                f"critic: only estimator gae has one, and estimator is {self.estimator}; "
                "leave critic out"
            )
        # Each rank trains on every ranks-th prompt of a task; all of them must get the same number.
        if self.prompts_per_task % self.ranks:
            raise ValueError(
                f"prompts_per_task ({self.prompts_per_task}) must be a multiple of ranks "
                f"({self.ranks})"
            )
        for name, value in (
            ("data", self.data),
            ("validation_data", self.validation_data),
            ("test_data", self.test_data),
        ):
            if isinstance(value, dict) and not (value and all(value.values())):
                raise ValueError(
                    f"{name} names no task, or a task without files; give a folder or "
                    f"{{task: file}}"
                )
        if (
            # Folders are not compared here: which tasks a folder has is known only where it lies.
            isinstance(self.data, dict)
            and isinstance(self.validation_data, dict)
            and set(self.data) != set(self.validation_data)
        ):
            raise ValueError(
                f"data has tasks {sorted(self.data)}, validation_data "
                f"{sorted(self.validation_data)}: name the same"
            )
        return self
