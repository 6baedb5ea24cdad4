"""Random finite-state machines, their token sequences, and the small sequence models that learn
them in context.

Shared by the engines that train such models and that look into them. Light on purpose: sizes and
names only, no torch, no numpy.

Tokens, the same for every size, so that a model trained on small machines can go on with larger
ones: states 0-7, actions 8-17, end 18, query 19, padding 20.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engines.contract.config import EngineConfig

MAX_STATES = 8
MAX_ACTIONS = 10
FIRST_ACTION = MAX_STATES
END = MAX_STATES + MAX_ACTIONS
QUERY = END + 1
PADDING = END + 2
VOCABULARY = END + 3


class Machines(EngineConfig):
    """What the machines are and how a sequence shows one. A walk of base length b has uniformly
    int(0.8 b) to int(1.2 b) transitions."""

    states: int = Field(ge=2, le=MAX_STATES)
    """States of a machine."""
    actions: int = Field(ge=1, le=MAX_ACTIONS)
    """Actions of a machine; every action is possible in every state."""
    demonstration_length: int = Field(ge=2)
    """Base length of a demonstration, transitions."""
    query_length: int = Field(ge=2)
    """Base length of the query, transitions."""
    demonstrations: int = Field(default=3, ge=1)
    """Demonstrations in front of the query, each a walk from another state."""
    absorbing: bool = False
    """Whether one random state of every machine leads only to itself."""

    @model_validator(mode="after")
    def _fits(self) -> Machines:
        if self.demonstrations > self.states:
            raise ValueError(
                f"demonstrations ({self.demonstrations}) start from different states; "
                f"there are {self.states}"
            )
        return self

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return (
            self.demonstrations * (2 * longest_walk(self.demonstration_length) + 2)
            + 2 * longest_walk(self.query_length)
            + 3
        )


def shortest_walk(base: int) -> int:
    """Fewest transitions of a walk of base length ``base``."""
    return 8 * base // 10


def longest_walk(base: int) -> int:
    """Most transitions of a walk of base length ``base``."""
    return 12 * base // 10


MachineName = Literal["3s3a", "5s5a", "5s8a", "8s8a", "absorbing"]
MACHINES: dict[str, Machines] = {
    "3s3a": Machines(states=3, actions=3, demonstration_length=19, query_length=19),
    "5s5a": Machines(states=5, actions=5, demonstration_length=80, query_length=80),
    "5s8a": Machines(states=5, actions=8, demonstration_length=70, query_length=147),
    "8s8a": Machines(states=8, actions=8, demonstration_length=80, query_length=266),
    "absorbing": Machines(
        states=5, actions=5, demonstration_length=60, query_length=80, absorbing=True
    ),
}
"""Named settings: states x actions; ``absorbing`` is 5s5a with an absorbing state."""


class Architecture(EngineConfig):
    """A sequence model."""

    kind: Literal["lstm", "rnn", "transformer"]
    """``rnn`` is the vanilla (Elman) network with tanh."""
    width: int = Field(ge=4)
    """Size of embedding and hidden state."""
    layers: int = Field(default=2, ge=1)
    """Depth."""
    heads: int = Field(default=4, ge=1)
    """Attention heads; only the transformer has them."""
    feed_forward: int = Field(default=64, ge=1)
    """Width of the transformer's feed-forward layer."""

    @model_validator(mode="after")
    def _fits(self) -> Architecture:
        if self.kind == "transformer" and self.width % (2 * self.heads):
            raise ValueError(
                f"width ({self.width}) must be heads ({self.heads}) times an even number"
            )
        return self

    def outputs(self, states: int) -> int:
        """Rows of the head: the transformer always has one per state of the vocabulary, the
        recurrent models one per state in use."""
        return MAX_STATES if self.kind == "transformer" else states


ArchitectureName = Literal[
    "lstm-large",
    "lstm-small",
    "rnn-large",
    "rnn-small",
    "rnn-deep",
    "rnn-matched",
    "transformer-small",
]
ARCHITECTURES: dict[str, Architecture] = {
    "lstm-large": Architecture(kind="lstm", width=256),
    "lstm-small": Architecture(kind="lstm", width=64),
    "rnn-large": Architecture(kind="rnn", width=256),
    "rnn-small": Architecture(kind="rnn", width=64),
    "rnn-deep": Architecture(kind="rnn", width=256, layers=8),
    "rnn-matched": Architecture(kind="rnn", width=127),
    "transformer-small": Architecture(kind="transformer", width=64),
}
"""Named models. ``rnn-deep`` has the parameters of ``lstm-large``, ``rnn-matched`` those of
``lstm-small`` (within 0.3 %)."""


class DataSet(EngineConfig):
    """Which sequences there are: all that decides them, and nothing else."""

    machines: Machines
    """What the machines are."""
    seed: int = Field(default=42, ge=0)
    """Decides machines and walks."""
    train: int = Field(default=6000, ge=1)
    """Machines to train on; one query walk each, demonstrations drawn anew every epoch."""
    validation: int = Field(default=2000, ge=2)
    """Machines to choose the best checkpoint with."""
    test: int = Field(default=2000, ge=2)
    """Machines to report on."""

    @model_validator(mode="after")
    def _fits(self) -> DataSet:
        size = self.machines
        # Entries of the table that are free: S^(S A) machines; with an absorbing state, S choices
        # of it and S^((S - 1) A) tables for the others.
        free = (size.states - 1) * size.actions if size.absorbing else size.states * size.actions
        wanted, there = (
            self.train + self.validation + self.test,
            size.states**free * (size.states if size.absorbing else 1),
        )
        # Drawing random machines until all differ takes ever more rounds near the end.
        if wanted > 9 * there // 10:
            raise ValueError(
                f"{wanted} different machines asked for; there are {there}, and at most "
                "nine tenths of them are taken"
            )
        return self
