"""Which data a model was trained on, noted beside its weights, so that nobody asks it about others.

In: the ``model/`` folder of a checkpoint and a data folder. Out: ``data.json`` in the former, which
other programs that load it pass over; or a ConfigError. The training writes and checks it, the
evaluation and the maps check it.

An id means another city in another world, and a question that one data folder holds out may be a
training question of the next: both would go through in silence, with wrong scores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import write_json
from engines.shared.geography.questions.store import read_manifest

ORIGIN_FILE = "data.json"
HOLD_OUT = ("seed", "test_share", "validation_share")
"""Keys of the config of ``geography_data`` that decide, in a given world, what is held out."""


def origin_of(data: Path) -> dict[str, Any]:
    """The world of a data folder and how its questions are held out; ConfigError if it is none."""
    manifest = read_manifest(data / "world")
    config = manifest.get("config") or {}
    return {"world": manifest["sha256"], "held_out": {key: config.get(key) for key in HOLD_OUT}}


def note_origin(model: Path, data: Path) -> None:
    """Write down that a model has learned from a data folder."""
    write_json(model / ORIGIN_FILE, origin_of(data))


def check_origin(model: Path, data: Path) -> None:
    """ConfigError if a model has learned from another world, or with other questions held out.

    A model that says nothing of its data, such as one that came from elsewhere, is let through.
    """
    path = model / ORIGIN_FILE
    if not path.is_file():
        return
    try:
        then = json.loads(path.read_bytes())
        world, held_out = then["world"], then["held_out"]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path}: cannot be read ({error!r}); copy the folder again") from error
    now = origin_of(data)
    if world != now["world"]:
        raise ConfigError(
            f"{data}: holds another world ({now['world'][:8]}) than the one that {model} has "
            f"learned ({world[:8]}), so its ids mean other cities; give the data folder that the "
            "model was trained on"
        )
    if held_out != now["held_out"]:
        raise ConfigError(
            f"{data}: holds out other questions ({now['held_out']}) than the data that {model} "
            f"was trained on ({held_out}), so it may know the tests; give that data folder"
        )
