"""Read or generate rows, split them, and write the folder that everybody else reads.

In: the config. Out: ``splits/<split>.jsonl``; with generated rows ``source.jsonl``, which they are
read from like anybody's, and the checkpoint ``base``; ``manifest.json``; results that count.
``__main__`` calls it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from engines.contract.checkpoints import complete
from engines.contract.config import ConfigError, same_config
from engines.contract.environment import cpu_count
from engines.contract.files import write_json, write_text
from engines.contract.program import Stop
from engines.contract.results import Row, write_results
from engines.polychromic_data.config import Config, Generate
from engines.polychromic_data.splitting import Parts, split_rows
from engines.shared.replies.checker import said
from engines.shared.replies.description import (
    SPLITS,
    CheckerSettings,
    Fields,
    Manifest,
    RepliesChecker,
    Split,
)
from engines.shared.replies.grammar import draw_prompt, draw_reply
from engines.shared.replies.rows import (
    MANIFEST,
    Reply,
    as_jsonl,
    read_manifest,
    read_rows,
    read_split,
    split_file,
)

SOURCE = "source.jsonl"
GENERATED_FIELDS = Fields(topic="topic")
DRAWS_PER_ROW = 200


def make(config: Config, out: Path, stop: Stop) -> None:
    """Everything that is not there yet. ConfigError if the folder holds other data, or for rows
    that cannot be used; Interrupted while the base model learns."""
    started = time.monotonic()
    if (out / MANIFEST).is_file():
        manifest = read_manifest(out)
        same_config(config, manifest.config, out)
    else:
        manifest = make_splits(config, out)
    rows, facts = count_rows(manifest), told(manifest)
    if config.generate is not None:
        if not complete(out):
            make_base_model(config, config.generate, out, stop)
        rows.append(base_row(config.generate, out))
    write_results(out, "polychromic_data", config, rows, time.monotonic() - started, facts)


def make_splits(config: Config, out: Path) -> Manifest:
    """Write the splits, and the manifest last."""
    path, fields = Path(config.source or ""), config.fields
    if config.generate is not None:
        path, fields = out / SOURCE, GENERATED_FIELDS
        write_text(path, generated(config.generate.rows, config.seed))
    try:
        parts = split_rows(read_rows(path, fields), config.shares.by_split(), config.seed)
    except ValueError as error:
        # A ConfigError, which is one, names the file already.
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: {error}") from error
    (out / "splits").mkdir(exist_ok=True)
    sha256 = {}
    for split in SPLITS:
        content = as_jsonl(parts.rows[split])
        write_text(out / split_file(split), content.decode())
        sha256[split_file(split)] = hashlib.sha256(content).hexdigest()
    manifest = describe(config, parts, sha256)
    write_json(out / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def generated(rows: int, seed: int) -> str:
    """A JSONL file of narrow replies, one to each text."""
    random = Random(f"{seed}/rows")
    lines: dict[str, str] = {}
    # The grammar is finite, and the same text may be drawn again: give up after many draws.
    for _ in range(DRAWS_PER_ROW * rows):
        if len(lines) == rows:
            break
        prompt = draw_prompt(random)
        reply = draw_reply(random, prompt.topic, narrow=True)
        row = {
            "tweet_id": f"{len(lines):05}",
            "tweet": prompt.text,
            "reply": reply,
            "reply_likes": int(random.expovariate(1 / 40)),
            "reply_author": f"author {random.randrange(rows)}",
            "tweet_likes": random.randint(100, 2000),
            "topic": prompt.topic,
        }
        lines.setdefault(prompt.text, json.dumps(row))
    if len(lines) < rows:
        raise ConfigError(f"generate.rows: the grammar has not {rows} different texts")
    return "".join(line + "\n" for line in lines.values())


def describe(config: Config, parts: Parts, sha256: dict[str, str]) -> Manifest:
    """What the folder says of itself."""
    prompts: dict[Split, int] = {
        split: len({row.prompt for row in rows}) for split, rows in parts.rows.items()
    }
    return Manifest(
        counts={split: len(rows) for split, rows in parts.rows.items()},
        prompts=prompts,
        sha256=sha256,
        fields=config.fields if config.generate is None else None,
        quartile_bounds=parts.quartile_bounds,
        quartiles={split: of_quartiles(rows) for split, rows in parts.rows.items()},
        near_copies={
            "same_rows_dropped": parts.same_rows_dropped,
            "same_texts_on_one_side": parts.same_texts,
            "near_texts_on_one_side": parts.near_texts,
        },
        template=config.template,
        checker=with_limit(config.checks, parts.rows["train"]),
        seed=config.seed,
        config=config.model_dump(mode="json"),
    )


def of_quartiles(rows: Sequence[Reply]) -> dict[str, int]:
    """Rows of each quartile."""
    counts = Counter("none" if row.quartile is None else str(row.quartile) for row in rows)
    return dict(sorted(counts.items()))


def with_limit(checker: CheckerSettings, train: Sequence[Reply]) -> CheckerSettings:
    """The checker with the least cosine between text and reply, from the training rows, if it asks
    for one."""
    if not isinstance(checker, RepliesChecker) or checker.on_topic is None:
        return checker
    if checker.on_topic.least_cosine is not None:
        return checker
    import numpy as np

    from engines.shared.diversity.embeddings import embedder

    embed = embedder(checker.on_topic.embedder)
    # A reply without a word has no place in the embedder's space.
    rows = [row for row in train if said(row.reply) and said(row.prompt)]
    if not rows:
        raise ConfigError("checker.on_topic: no training row has a word in both its texts")
    cosines = np.sum(
        embed([row.prompt for row in rows]) * embed([row.reply for row in rows]), axis=1
    )
    least = float(np.percentile(cosines, checker.on_topic.percentile))
    found = {"least_cosine": least, "measured_with": embed.name}
    return checker.model_copy(update={"on_topic": checker.on_topic.model_copy(update=found)})


def make_base_model(config: Config, sizes: Generate, out: Path, stop: Stop) -> None:
    """The checkpoint ``base``, which has not seen the held-out texts."""
    import torch

    from engines.polychromic_data.base_model import make_base

    torch.set_num_threads(config.cpu_threads or cpu_count())
    held_out = {row.prompt for row in read_split(out, "validation") + read_split(out, "test")}
    make_base(config, sizes, out, held_out, stop)


def base_row(sizes: Generate, out: Path) -> Row:
    """The last loss of the base model."""
    loss = complete(out)[0].manifest.metrics["loss"]
    return Row(metric="loss", value=loss, n=sizes.base_batch, axes={"moment": "base"})


def count_rows(manifest: Manifest) -> list[Row]:
    """How many rows and prompts each split has."""
    rows = []
    for split in SPLITS:
        axes: dict[str, Any] = {"split": split}
        count = manifest.counts[split]
        rows.append(Row(metric="rows", value=count, n=count, axes=axes))
        rows.append(Row(metric="prompts", value=manifest.prompts[split], n=count, axes=axes))
    return rows


def told(manifest: Manifest) -> dict[str, Any]:
    """What is said beside the results."""
    return {
        "near_copies": manifest.near_copies,
        "quartile_bounds": manifest.quartile_bounds,
        "quartiles": manifest.quartiles,
        "checker": manifest.checker.model_dump(mode="json"),
        "template": manifest.template.model_dump(mode="json"),
        "files": [MANIFEST, *manifest.sha256],
    }
