"""Small sequence models learn finite-state machines in context: every sequence shows a new machine,
its query asks for next states.

Light on purpose: the login node checks a config with it. ``python -m engines.fsm CONFIG --out
FOLDER`` makes the data, trains one model or several at once, keeps the best and the last
checkpoint, and judges both on machines that were never trained on, beside the score of the exact
in-context predictor on the same sequences. The code for a GPU has not been run on one by the
tests.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, EngineConfig
from engines.shared.automata.description import (
    ARCHITECTURES,
    MACHINES,
    Architecture,
    ArchitectureName,
    DataSet,
    MachineName,
    Machines,
)

WARM = ("engines.fsm.training",)
"""What a process may import once and then fork for each job of a pack: this starts no thread,
touches no GPU and draws no random number."""


class Member(NamedTuple):
    """What tells one of the models of a run apart."""

    seed: int
    learning_rate: float


TUNED: dict[str, Any] = {
    "learning_rate": 3e-3,
    "warmup_steps": 100,
    "decay": "linear",
    "dropout": 0.0,
    "embedding_scale": 1.0,
    "loss": "all",
}
"""Settings under which small models learn far sooner than under the published ones."""

NARROW = 64
NARROW_RATE = 1e-2
"""Learning rate of an LSTM or vanilla RNN of at most ``NARROW`` width."""
SHALLOW = 2
DEEP_RNN_RATE = 1e-3
"""Learning rate of a vanilla RNN of more than ``SHALLOW`` layers."""


def tuned_for(kind: object, width: object, layers: object) -> dict[str, Any]:
    """The tuned settings of a model. What they were chosen by is in docs/decisions.md."""
    if kind == "rnn" and isinstance(layers, int) and layers > SHALLOW:
        return TUNED | {"learning_rate": DEEP_RNN_RATE}
    if kind != "transformer" and isinstance(width, int) and width <= NARROW:
        return TUNED | {"learning_rate": NARROW_RATE}
    return TUNED


class Config(EngineConfig):
    """What is trained on what. The defaults of the optimiser are the published ones; they are not
    the best ones."""

    DOES: ClassVar[str] = "trained"

    recipe: Literal["published", "tuned"] = "published"
    """Where the optimiser's keys come from that are not given. ``published`` takes the defaults
    below. ``tuned`` takes 100 steps of warm-up, linear decay, no dropout, an embedding scale of 1
    and the loss of all transitions. Its learning rate is 3e-3 (1e-2 for recurrent models of width
    64 or less, 1e-3 for a vanilla RNN of more than two layers)."""

    architecture: ArchitectureName | Architecture = "lstm-small"
    """The model: a name, or its sizes."""
    machines: MachineName | Machines = "5s5a"
    """What the machines are: a name, or all sizes."""
    data_seed: int = Field(default=42, ge=0)
    """Decides machines and walks; independent of ``seed``, so that all models see the same data
    set."""
    train_sequences: int = Field(default=6000, ge=1)
    """Machines to train on; every epoch draws other demonstrations of them."""
    validation_sequences: int = Field(default=2000, ge=2)
    """Machines that decide which checkpoint is best."""
    test_sequences: int = Field(default=2000, ge=2)
    """Machines that results are reported on."""
    cache: str | None = Field(default=None, json_schema_extra=DECIDES_NO_RESULT)
    """Folder for data sets, each named by the hash of all its parameters; null: ``data`` in the
    output folder."""
    initial: CheckpointSource | None = Field(default=None, json_schema_extra=IS_PATH)
    """Checkpoint to start from, of the same architecture, perhaps trained on smaller machines;
    null: fresh weights. All weights have to match in shape but the head, whose rows are copied
    for the states that both have and stay fresh for new ones."""
    seed: int = Field(default=0, ge=0)
    """Decides weights, order of the sequences and dropout."""
    seeds: list[int] | None = Field(default=None, min_length=1)
    """Train one model per seed in this one job, in place of ``seed``; each ends as it would alone,
    up to rounding."""
    epochs: int = Field(default=32, ge=1)
    """Passes over the training machines."""
    batch_size: int = Field(default=8, ge=1)
    """Sequences per step and model."""
    learning_rate: float | list[float] = 1e-3
    """AdamW's learning rate; a list trains one model per seed and rate."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps of linear warm-up."""
    decay: Literal["none", "linear"] = "none"
    """Whether the learning rate falls to zero at the last step."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's decoupled weight decay."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Largest norm of each model's gradient."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations dropped after the embedding and after every layer."""
    embedding_scale: float = Field(default=0.02, gt=0)
    """Standard deviation of the fresh embedding; 1 learns far faster than the published 0.02."""
    loss: Literal["query", "all"] = "query"
    """Which next states count in training: those of the query, or those of every transition.
    Accuracy always counts the query's."""
    backend: Literal["auto", "fused", "stacked"] = "auto"
    """Recurrent models: ``fused`` runs torch's kernels model by model, ``stacked`` all models in
    one product per time step. ``auto`` stacks more than ten models on a GPU, and several vanilla
    RNNs on a CPU. The transformer is always stacked."""
    save_state_every_steps: int = Field(default=200, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Steps between saves of a state to continue from after a crash; there is one after every epoch
    as well."""
    keep_checkpoints: int = Field(default=2, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Checkpoints to keep; the best and the last one always stay."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes the GPU if there is one."""
    cuda_graphs: Literal["auto", "off"] = Field(default="auto", json_schema_extra=DECIDES_NO_RESULT)
    """``auto`` records a step on a GPU once and replays it, with every batch padded to the longest
    sequence that there can be; ``off`` launches it kernel by kernel. A step that cannot be recorded
    goes on without, and the log says why. Never run on a GPU so far."""
    cpu_threads: int = Field(default=1, ge=1)
    """Threads on the CPU. Small models gain little from a second one; give seeds their own jobs
    instead."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("recipe") != "tuned":
            return values
        # Before validation, so the architecture is still as written: a name, a mapping of its
        # sizes, or (from Python) the object. What is none of these is refused later, by its own
        # type.
        given = values.get("architecture", cls.model_fields["architecture"].default)
        sizes = ARCHITECTURES.get(given, given) if isinstance(given, str) else given
        plain = (
            sizes.model_dump()
            if isinstance(sizes, Architecture)
            else sizes
            if isinstance(sizes, dict)
            else {}
        )
        return (
            # What the config gives itself wins over the recipe.
            tuned_for(plain.get("kind"), plain.get("width"), plain.get("layers", SHALLOW)) | values
        )

    @model_validator(mode="after")
    def _fits(self) -> Config:
        # A config that was written out has the default of both.
        if self.seeds is not None and self.seed:
            raise ValueError(f"seed={self.seed} and seeds={self.seeds}: keep one of the two")
        if len(set(self.members)) < len(self.members):
            raise ValueError("seeds and learning_rate name the same model twice")
        if any(member.seed < 0 or not member.learning_rate > 0 for member in self.members):
            raise ValueError("seeds must not be negative, learning rates must be positive")
        self.data_set  # noqa: B018 - its own check: are there so many different machines
        return self

    @property
    def members(self) -> list[Member]:
        """The models of this run."""
        rates = self.learning_rate if isinstance(self.learning_rate, list) else [self.learning_rate]
        # In the order of the leading axis of every stacked tensor.
        return [Member(seed, rate) for seed in self.seeds or [self.seed] for rate in rates]

    @property
    def model(self) -> Architecture:
        """The architecture's sizes."""
        return (
            ARCHITECTURES[self.architecture]
            if isinstance(self.architecture, str)
            else self.architecture
        )

    @property
    def settings(self) -> str:
        """The optimiser in words: ``tuned``, or ``tuned but warmup_steps 20`` where the config
        departs from its recipe."""
        usual = (
            {key: type(self).model_fields[key].default for key in TUNED}
            if self.recipe == "published"
            else (tuned_for(self.model.kind, self.model.width, self.model.layers))
        )
        other = [
            f"{key} {getattr(self, key)}"
            for key, value in usual.items()
            if getattr(self, key) != value
        ]
        return f"{self.recipe} but {', '.join(other)}" if other else self.recipe

    @property
    def data_set(self) -> DataSet:
        """All that decides the data."""
        machines = MACHINES[self.machines] if isinstance(self.machines, str) else self.machines
        return DataSet(
            machines=machines,
            seed=self.data_seed,
            train=self.train_sequences,
            validation=self.validation_sequences,
            test=self.test_sequences,
        )
