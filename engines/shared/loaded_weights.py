"""Whether an engine holds the weights that a checkpoint is said to have.

In: a checkpoint's name, folder and manifest, and the engine after it has loaded it. Out: nothing,
or one line that says what is wrong. Called by the engines that evaluate, once per checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from engines.contract.checkpoints import Manifest, fingerprint
from engines.contract.config import ConfigError
from engines.shared.inference import VllmSampler


def check_weights(name: str, folder: Path, manifest: Manifest | None) -> None:
    """ConfigError unless the weight files are those of the manifest."""
    # A plain Hugging Face folder has no manifest to be compared with.
    if manifest is None:
        return
    found = fingerprint(folder, manifest.format)
    if found != manifest.fingerprint:
        raise ConfigError(
            f"checkpoint '{name}': weights in {folder} have fingerprint "
            f"{found[:12]}, its manifest says "
            f"{manifest.fingerprint[:12]}; the files were changed or damaged, make it again"
        )


def check_probe(
    sampler: VllmSampler,
    name: str,
    manifest: Manifest | None,
    tolerance: float,
    adapter: Path | None = None,
) -> None:
    """ConfigError unless the loaded weights give the trainer's log-probabilities."""
    # A swap may fail without an error, and the engine would go on with the weights that it had.
    probe = manifest.probe if manifest else None
    if probe is None:
        return
    found, expected = sampler.prompt_logprobs(probe["token_ids"], adapter), probe["logprobs"]
    if len(found) != len(expected):
        raise ConfigError(
            f"checkpoint '{name}': its probe has {len(expected)} log-probabilities, "
            f"{len(found)} were expected"
        )
    worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    if not worst <= tolerance:  # so that a difference that is not a number fails as well
        raise ConfigError(
            f"checkpoint '{name}': after loading, a probe log-probability is off by "
            f"{worst:.4f} nats (tolerance "
            f"{tolerance}); the engine does not hold this checkpoint's weights"
        )
