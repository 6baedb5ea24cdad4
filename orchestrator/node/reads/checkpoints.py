"""Manifests beside the checkpoints of a framework, so that they are found like an engine's.

In: whole checkpoints (``trainer``). Out: ``checkpoints/<name>/{manifest.json, model}`` in the
command's folder; ``model`` is a link to where the framework has put it. Called by ``output``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil

from orchestrator.node.reads.trainer import STATE, weights_in, written
from orchestrator.node.system import write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST, MODEL = "manifest.json", "model"


def keep_manifests(files: str, found: list[dict[str, Any]]) -> None:
    """Have a manifest for each of these checkpoints, and none for those that were removed."""
    folder = os.path.join(files, "checkpoints")
    drop_removed(folder)
    for one in found:
        final = os.path.join(folder, one["name"])
        # A script that writes checkpoints of its own keeps those.
        if os.path.isdir(final) and not os.path.islink(os.path.join(final, MODEL)):
            continue
        before = known(final, one["folder"])
        # Hashed once: as often as the framework has written it.
        fingerprint = before.get("fingerprint") or fingerprint_of(one["folder"])
        manifest = {key: value for key, value in one.items() if key != "folder"}
        manifest |= {
            "format": format_of(one["folder"]),
            "fingerprint": fingerprint,
            "complete": True,
        }
        if manifest != before:
            write(folder, one["name"], one["folder"], manifest)


def drop_removed(folder: str) -> None:
    """Remove manifests whose checkpoint is not there: a Trainer keeps only so many."""
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        link = os.path.join(folder, name, MODEL)
        if os.path.islink(link) and not weights_in(os.path.join(folder, name, MODEL)):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def known(final: str, model: str) -> dict[str, Any]:
    """The manifest that is there; empty if there is none, or the framework has written the
    checkpoint again since."""
    path = os.path.join(final, MANIFEST)
    same = os.path.realpath(os.path.join(final, MODEL)) == os.path.realpath(model)
    if not same or written(path) < written(os.path.join(model, STATE)):
        return {}
    with contextlib.suppress(OSError, ValueError):
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        return found
    return {}


def write(folder: str, name: str, model: str, manifest: dict[str, Any]) -> None:
    """Put a checkpoint in place by rename, as whole as the others are."""
    hidden, final = os.path.join(folder, f".{name}.tmp"), os.path.join(folder, name)
    shutil.rmtree(hidden, ignore_errors=True)
    os.makedirs(hidden)
    inside = os.path.realpath(model).startswith(os.path.realpath(os.path.dirname(folder)) + os.sep)
    # A run that is moved takes along what lies in it.
    target = os.path.relpath(model, final) if inside else os.path.abspath(model)
    os.symlink(target, os.path.join(hidden, MODEL))
    write_json(os.path.join(hidden, MANIFEST), manifest)
    shutil.rmtree(final, ignore_errors=True)
    os.rename(hidden, final)


def format_of(model: str) -> str:
    """What the files are, as far as their names say."""
    names = os.listdir(model)
    if "adapter_config.json" in names:
        return "adapter"
    has_weights = any(name.endswith(".safetensors") for name in names)
    return "huggingface" if has_weights and "config.json" in names else "files"


def fingerprint_of(model: str) -> str:
    """sha256 over names and bytes of the files of weights."""
    digest = hashlib.sha256()
    for name in weights_in(model):
        digest.update(name.encode())
        with open(os.path.join(model, name), "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
