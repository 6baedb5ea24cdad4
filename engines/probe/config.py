"""Linear probes: what the states of a frozen sequence model say about a finite-state machine, by
layer and position.

Light on purpose. ``python -m engines.probe CONFIG --out FOLDER`` computes each layer's states once,
fits multinomial logistic probes on the validation machines of the data set that the model was
trained on, and judges them on its test machines. Beside each probe stand the same probe on an
untrained network, and a control task (Hewitt & Liang 2019): labels that a random function of state
and action gives, another function for every sequence, so that no context tells them. Selectivity is
accuracy minus that of the control.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from engines.contract.checkpoints import CheckpointsSource
from engines.contract.config import IS_PATH, EngineConfig

Target = Literal["next_state", "current_state", "seen"]
TARGETS: tuple[Target, ...] = ("next_state", "current_state", "seen")
WARM = ("engines.shared.automata.weights", "engines.probe.features", "engines.probe.fit")
"""What a process may import once and then fork for each job of a pack: this starts no thread,
touches no GPU and draws no random number."""


class Config(EngineConfig):
    """What is probed with what."""

    DOES: ClassVar[str] = "probed"

    models: CheckpointsSource = Field(json_schema_extra=IS_PATH)
    """Checkpoints of one job of the engine ``fsm``."""
    targets: list[Target] = Field(default=list(TARGETS), min_length=1)
    """``next_state`` is what the model was trained on; ``current_state``; ``seen``: did this state
    and action occur before."""
    sequences: int = Field(default=200, ge=2)
    """Sequences to fit on and to judge on, each; all their transitions count."""
    penalty: float = Field(default=1e-4, ge=0)
    """Ridge penalty of the probe, on features of unit variance."""
    iterations: int = Field(default=200, ge=1)
    """Most iterations of a fit."""
    seed: int = Field(default=0, ge=0)
    """Decides the control's labels and the untrained network."""
    cache: str | None = None
    """Folder for data sets, as in the engine ``fsm``; null: ``data`` in the output folder."""
    cpu_threads: int = Field(default=1, ge=1)
    """Threads on the CPU."""
