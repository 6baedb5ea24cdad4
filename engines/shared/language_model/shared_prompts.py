"""A prompt once for all of its answers.

In: sequences of token ids, many of which begin with the same prompt, and the positions whose states
are wanted. Out: a ``Layout`` that gives the same states. A prompt lies in one causal sequence with
its longest answer behind it, its trunk, so that a prompt with one answer costs nothing extra. Its
other answers are branches: they see the prompt and themselves, and their positions go on from the
prompt's. What stands behind the last wanted position of a sequence is left out: no wanted state
sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engines.shared.language_model.layout import Block, Branches, Layout, blocks_of

QUERIES = 32
"""A row of a rectangle takes short answers to a prompt until it has so many tokens: together they
read the prompt's keys once, apart each would need a copy of them."""
PROMPT_SHARE = 0.25
"""Where prompts are long, until it has so many for each token of the prompt: the copies of a prompt
are about four times as long as its answers at most, and little of the work is between answers that
do not see each other."""
BRANCH_PADDING = 1.35
"""Largest work of a rectangle, as a multiple of that without padding."""
FEW_PAIRS = 20_000
"""Pairs of query and key that are computed in less time than one more call takes."""

Table = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Answer:
    """What is computed of a sequence behind its prompt."""

    sequence: int
    """Its number."""
    start: int
    """Where it is found in the given tokens."""
    tokens: int


@dataclass(frozen=True)
class Prompt:
    """A prompt and its different answers, the longest first."""

    sequence: int
    """The number of the first one that begins with it."""
    length: int
    answers: list[Answer]

    @property
    def trunk(self) -> int:
        """Tokens of it and its first answer."""
        return self.length + self.answers[0].tokens


@dataclass(frozen=True)
class Bundle:
    """Answers to one prompt that are a row of a rectangle."""

    prompt: Prompt
    answers: list[Answer]
    tokens: int
    """Of all answers."""


def can_share(model: Any, device: torch.device, longest: int) -> bool:
    """Whether a prompt's states may serve all of its answers, on ``device`` and in sequences of up
    to ``longest`` tokens: the one place that decides it.

    Not on a GPU, whose fast kernels take no mask; not with dropout, which would be the same for all
    answers; not where a token sees others by more than attention to all that are before it.
    """
    window = getattr(model.config, "sliding_window", None)
    kinds = set(getattr(model.config, "layer_types", None) or ())
    return (
        device.type == "cpu"
        and (window is None or window >= longest)
        and kinds <= {"full_attention", "sliding_attention"}
        and not any(
            isinstance(module, torch.nn.Dropout) and module.p > 0 and module.training
            for module in model.modules()
        )
    )


def shared(input_ids: torch.Tensor, lengths: Sequence[int], positions: torch.Tensor) -> Layout:
    """Each prompt once. A sequence's prompt ends with its first wanted position; equal prompts are
    one, and so are equal answers to one."""
    ids, wanted = input_ids.numpy(), positions.numpy()
    ends = np.cumsum(lengths, dtype=np.int64)
    owners = np.searchsorted(ends, wanted, side="right")
    # Of each sequence; the last comes before the first where nothing is wanted.
    first, last = np.full(len(ends), len(ids)), np.full(len(ends), -1)
    np.minimum.at(first, owners, wanted)
    np.maximum.at(last, owners, wanted)
    prompts, leaders, twins = told_apart(ids, ends - lengths, first + 1, last + 1)
    rectangles = list(rectangles_of([bundle for one in prompts for bundle in bundles_of(one)]))
    pieces = Pieces(len(ends))
    for one in prompts:
        pieces.add_trunk(one)
    branches = [branches_of(bundles, pieces) for bundles in rectangles]
    source, places = pieces.tables()
    rows = np.where(
        wanted == first[owners],
        pieces.prompt_ends[leaders[owners]] - 1,
        pieces.begins[twins[owners]] + wanted - first[owners] - 1,
    )
    return Layout(
        torch.from_numpy(ids[source]),
        torch.from_numpy(places),
        torch.from_numpy(rows),
        [*blocks_of([one.trunk for one in prompts], input_ids.device), *branches],
    )


def told_apart(
    ids: Table, starts: Table, middles: Table, ends: Table
) -> tuple[list[Prompt], Table, Table]:
    """The different prompts, longest trunk first, from where each sequence starts, where its prompt
    ends and where what is wanted of it ends. For each sequence the first one with the same prompt,
    and the first one with the same answer too."""
    found: dict[bytes, tuple[int, dict[bytes, Answer]]] = {}
    leaders, twins = np.zeros_like(starts), np.zeros_like(starts)
    for sequence, (start, middle, end) in enumerate(
        zip(starts.tolist(), middles.tolist(), ends.tolist(), strict=True)
    ):
        if end < middle:
            continue
        leaders[sequence], answers = found.setdefault(ids[start:middle].tobytes(), (sequence, {}))
        answer = Answer(sequence, middle, end - middle)
        twins[sequence] = answers.setdefault(ids[middle:end].tobytes(), answer).sequence
    prompts = [
        Prompt(
            leader,
            int(middles[leader] - starts[leader]),
            sorted(answers.values(), key=lambda one: one.tokens, reverse=True),
        )
        for leader, answers in found.values()
    ]
    return sorted(prompts, key=lambda one: one.trunk, reverse=True), leaders, twins


class Pieces:
    """Runs of tokens, in the order in which they are laid."""

    def __init__(self, sequences: int) -> None:
        self.laid: list[tuple[int, int, int]] = []
        """Where each is found, its tokens, and the position of the first in its sequence."""
        self.tokens = 0
        self.prompt_ends = np.zeros(sequences, np.int64)
        """The place behind the prompt, by the prompt's sequence."""
        self.begins = np.zeros(sequences, np.int64)
        """The place of an answer, by its sequence."""

    def add_trunk(self, prompt: Prompt) -> None:
        """A prompt with its first answer behind it."""
        answer = prompt.answers[0]
        self.laid.append((answer.start - prompt.length, prompt.trunk, 0))
        end = self.tokens + prompt.length
        self.prompt_ends[prompt.sequence] = self.begins[answer.sequence] = end
        self.tokens += prompt.trunk

    def add_answer(self, answer: Answer, prompt: Prompt) -> None:
        """A branch."""
        self.laid.append((answer.start, answer.tokens, prompt.length))
        self.begins[answer.sequence] = self.tokens
        self.tokens += answer.tokens

    def tables(self) -> tuple[Table, Table]:
        """For each token where it is found, and its position in its sequence."""
        starts, sizes, places = np.array(self.laid).T
        inside = np.arange(self.tokens) - np.repeat(sizes.cumsum() - sizes, sizes)
        return np.repeat(starts, sizes) + inside, np.repeat(places, sizes) + inside


def bundles_of(prompt: Prompt) -> Iterator[Bundle]:
    """The answers that are branches; short ones together."""
    enough = max(QUERIES, PROMPT_SHARE * prompt.length)
    part: list[Answer] = []
    tokens = 0
    for answer in prompt.answers[1:]:
        if not answer.tokens:
            # Only the state of the prompt's last token is wanted.
            continue
        part.append(answer)
        tokens += answer.tokens
        if tokens >= enough:
            yield Bundle(prompt, part, tokens)
            part, tokens = [], 0
    if part:
        yield Bundle(prompt, part, tokens)


def rectangles_of(bundles: Sequence[Bundle]) -> Iterator[list[Bundle]]:
    """Bundles of about one size together."""
    part: list[Bundle] = []
    longest, widest, pairs = 0, 0, 0
    for bundle in sorted(bundles, key=lambda one: (one.tokens, one.prompt.length), reverse=True):
        longest, widest = max(longest, bundle.prompt.length), max(widest, bundle.tokens)
        pairs += bundle.tokens * (bundle.prompt.length + bundle.tokens)
        room = (len(part) + 1) * widest * (longest + widest)
        if part and room > max(FEW_PAIRS, BRANCH_PADDING * pairs):
            yield part
            part = []
            longest, widest = bundle.prompt.length, bundle.tokens
            pairs = widest * (longest + widest)
        part.append(bundle)
    if part:
        yield part


def branches_of(bundles: Sequence[Bundle], pieces: Pieces) -> Branches:
    """Lay ``bundles`` behind what is there."""
    sizes = np.array([bundle.tokens for bundle in bundles])
    lengths = np.array([bundle.prompt.length for bundle in bundles])
    begins = pieces.tokens + sizes.cumsum() - sizes
    longest, widest = int(lengths.max()), int(sizes.max())
    # Whose each query is; padding is the last answer's, behind it, where no token looks.
    owners = np.empty((len(bundles), widest), np.int64)
    for row, bundle in zip(owners, bundles, strict=True):
        counts = [answer.tokens for answer in bundle.answers]
        counts[-1] += widest - bundle.tokens
        row[:] = np.repeat(np.arange(len(counts)), counts)
        for answer in bundle.answers:
            pieces.add_answer(answer, bundle.prompt)
    own = (owners[:, :, None] == owners[:, None]) & np.tri(widest, dtype=bool)
    before = np.arange(longest) < lengths[:, None]
    mask = np.concatenate(
        [np.broadcast_to(before[:, None], (len(bundles), widest, longest)), own], axis=2
    )
    if len(bundles) > 1 and bool((mask == mask[:1]).all()):
        mask = mask[:1]
    starts = np.array([pieces.prompt_ends[bundle.prompt.sequence] for bundle in bundles]) - lengths
    keys = np.concatenate(
        [
            starts[:, None] + np.minimum(np.arange(longest), lengths[:, None] - 1),
            begins[:, None] + np.minimum(np.arange(widest), sizes[:, None] - 1),
        ],
        axis=1,
    )
    device = torch.device("cpu")
    return Branches(
        Block.of(sizes.tolist(), device), torch.from_numpy(keys), torch.from_numpy(mask)[:, None]
    )
