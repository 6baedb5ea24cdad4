"""Manifests beside the checkpoints of a framework, so that they are found like an engine's.

In: whole checkpoints (``trainer``, ``lightning``). Out: ``checkpoints/<name>/{manifest.json,
model}`` in the command's folder; ``model`` is a link to where the framework has put it, or to a
folder with a link to its one file. Called by ``output``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil

from orchestrator.node.reads.lightning.checkpoints import ENDING
from orchestrator.node.reads.trainer import STATE, weights_in, written
from orchestrator.node.system import write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST, MODEL = "manifest.json", "model"
LINKS = ".files"
"""Folder of the links to checkpoints that are one file."""


def keep_manifests(files: str, found: list[dict[str, Any]]) -> None:
    """Have a manifest for each of these checkpoints, and none for those that were removed."""
    folder = os.path.join(files, "checkpoints")
    drop_removed(folder)
    for one in found:
        final = os.path.join(folder, one["name"])
        # A script that writes checkpoints of its own keeps those.
        if os.path.isdir(final) and not os.path.islink(os.path.join(final, MODEL)):
            continue
        model = one["folder"] if "folder" in one else folder_with(folder, one["name"], one["file"])
        before = known(final, model)
        # Hashed once: as often as the framework has written it.
        fingerprint = before.get("fingerprint") or fingerprint_of(model)
        manifest = {key: value for key, value in one.items() if key not in ("folder", "file")}
        manifest |= {"format": format_of(model), "fingerprint": fingerprint, "complete": True}
        if manifest != before:
            write(folder, one["name"], model, manifest)


def folder_with(folder: str, name: str, file: str) -> str:
    """A folder that holds nothing but a link to this file."""
    made = os.path.join(folder, LINKS, name)
    link = os.path.join(made, os.path.basename(file))
    if not os.path.islink(link) or os.path.realpath(link) != os.path.realpath(file):
        shutil.rmtree(made, ignore_errors=True)
        os.makedirs(made)
        inside = is_below(file, os.path.dirname(folder))
        os.symlink(os.path.relpath(file, made) if inside else file, link)
    return made


def is_below(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, links followed."""
    return os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)


def drop_removed(folder: str) -> None:
    """Remove manifests whose checkpoint is not there: a Trainer keeps only so many."""
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        link = os.path.join(folder, name, MODEL)
        if os.path.islink(link) and not weights_in(link):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            shutil.rmtree(os.path.join(folder, LINKS, name), ignore_errors=True)


def known(final: str, model: str) -> dict[str, Any]:
    """The manifest that is there; empty if there is none, or the framework has written the
    checkpoint again since."""
    path = os.path.join(final, MANIFEST)
    same = os.path.realpath(os.path.join(final, MODEL)) == os.path.realpath(model)
    # The last that is written of a Trainer's; of one that is a file the file itself.
    files = [STATE, *(name for name in weights_in(model) if name.endswith(ENDING))]
    if not same or written(path) < max(written(os.path.join(model, name)) for name in files):
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
    inside = is_below(model, os.path.dirname(folder))
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
