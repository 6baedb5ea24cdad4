"""Samples that one arm got right and the other did not: how many, and some of them to read.

In: the scores files of both arms, and what the models wrote. Out: ``Flips``. Called by report.py;
what stands in the way is named in the inputs' ``missing``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.analysis.config import Config
from engines.analysis.load import Inputs, json_lines

SHOWN = 10
"""Examples per direction."""
DIRECTIONS = {
    (False, True): "gained",
    (True, False): "lost",
    (True, True): "both right",
    (False, False): "neither",
}
"""(right in the baseline, right in the treatment) -> what became of the sample."""
Key = tuple[str, str, int]
"""(task, item_id, sample)."""


@dataclass(frozen=True)
class Answer:
    """One arm's answer: its text, and what the scorer made of it."""

    text: str | None
    """None: it is not on disk."""
    value: float
    status: str
    extracted: str
    tokens: int


@dataclass(frozen=True)
class Flip:
    """One sample that only one arm got right."""

    seed: str
    task: str
    item_id: str
    prompt: str | None
    """The start of the prompt; None: the evaluation did not keep it."""
    baseline: Answer
    treatment: Answer


@dataclass
class Flips:
    """Counts per domain, and examples of both directions."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """domain -> gained, lost, both right, both wrong (or partly right)."""
    gained: list[Flip] = field(default_factory=list)
    lost: list[Flip] = field(default_factory=list)

    def total(self, name: str) -> int:
        """A count over all domains."""
        return sum(count[name] for count in self.counts.values())


@dataclass(frozen=True)
class SamplePair:
    """One sample that both arms have a score of: its line in both scores files."""

    seed: str
    key: Key
    baseline: dict[str, Any]
    treatment: dict[str, Any]

    @property
    def direction(self) -> str:
        """Gained, lost, both right, or neither."""
        return DIRECTIONS[self.baseline["value"] == 1.0, self.treatment["value"] == 1.0]


def find_flips(inputs: Inputs, config: Config) -> Flips:
    """Pair the samples of the arms by seed, problem and number."""
    baseline = inputs.evaluations.get(config.compare.baseline, {})
    treatment = inputs.evaluations.get(config.compare.treatment, {})
    flips = Flips()
    candidates: dict[str, list[SamplePair]] = {"gained": [], "lost": []}
    for seed in sorted(baseline.keys() & treatment.keys()):
        for pair in sample_pairs(seed, baseline[seed], treatment[seed]):
            domain = pair.baseline["domain"]
            count = flips.counts.setdefault(domain, dict.fromkeys(DIRECTIONS.values(), 0))
            count[pair.direction] += 1
            # Only samples that changed are kept in memory; the others are counted.
            if pair.direction in candidates:
                candidates[pair.direction].append(pair)
    if baseline and treatment and not flips.counts:
        inputs.missing.append("flipped examples: the arms share no seed with scored samples")
    for direction, examples in (("gained", flips.gained), ("lost", flips.lost)):
        pairs = candidates[direction]
        # By lot: candidates are sorted by task, and the first ten would all be of one.
        drawn = random.Random(f"{config.seed} {direction}").sample(pairs, min(SHOWN, len(pairs)))
        for pair in drawn:
            places = (baseline[pair.seed], treatment[pair.seed])
            examples.append(read_flip(pair, places, inputs))
    without_prompt = sum(flip.prompt is None for flip in [*flips.gained, *flips.lost])
    if without_prompt:
        inputs.missing.append(
            f"prompts of {without_prompt} flipped examples: the evaluation, of an older version, "
            "kept no problems.jsonl"
        )
    return flips


def sample_pairs(
    seed: str, baseline: tuple[Path, str], treatment: tuple[Path, str]
) -> Iterator[SamplePair]:
    """The samples of one seed that both arms have a score of; each place is an evaluation's output
    folder and its checkpoint."""
    left = scored_samples(*baseline)
    right = scored_samples(*treatment)
    common = left.keys() & right.keys()
    for key in sorted(common):
        yield SamplePair(seed, key, left[key], right[key])


def scored_samples(out: Path, checkpoint: str) -> dict[Key, dict[str, Any]]:
    """The lines of a scores file that have a value."""
    lines = json_lines(out / "scores" / f"{checkpoint}.jsonl")
    return {key_of(line, line["task"]): line for line in lines if line["value"] is not None}


def key_of(line: dict[str, Any], task: str) -> Key:
    """What tells a sample apart within an evaluation."""
    return task, line["item_id"], line["sample"]


def read_flip(
    pair: SamplePair, places: tuple[tuple[Path, str], tuple[Path, str]], inputs: Inputs
) -> Flip:
    """The prompt and both texts of one sample."""
    task, item_id, _ = pair.key
    baseline = read_answer(pair.key, pair.baseline, *places[0], inputs)
    treatment = read_answer(pair.key, pair.treatment, *places[1], inputs)
    path = places[0][0] / "problems.jsonl"
    prompt = None
    if path.is_file():
        inputs.sources.add("flips", path)
        for line in json_lines(path):
            if (line["task"], line["item_id"]) == (task, item_id):
                prompt = line["prompt"]
                break
    return Flip(pair.seed, task, item_id, prompt, baseline, treatment)


def read_answer(
    key: Key, scored: dict[str, Any], out: Path, checkpoint: str, inputs: Inputs
) -> Answer:
    """One arm's answer: ``scored`` is its line in the scores file."""
    path = out / "generations" / checkpoint / f"{key[0]}.jsonl"
    text = None
    if path.is_file():
        inputs.sources.add("flips", path)
        for line in json_lines(path):
            if key_of(line, key[0]) == key:
                text = str(line["text"])
                break
    extracted = str(scored["extracted"] or "")
    return Answer(text, scored["value"], scored["status"], extracted, scored["tokens"])
