"""Whether the weights in a model's folder are those that its config.json describes.

In: a Hugging Face folder, or the shapes of two. Out: in words what does not fit. Only config.json
and the headers of the weights are read, and transformers builds the described model without memory
(on the device ``meta``). ``evaluation`` asks before it starts, and the sampler before vLLM sees a
checkpoint: an engine that has refused weights once is broken for all that come after.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.formats.frameworks import other_format
from engines.contract.formats.safetensors_header import Shape, Shapes
from engines.contract.formats.weights import index_of, is_weights, shapes_of

IRRELEVANT = ("transformers_version", "_name_or_path", "use_cache", "dtype", "torch_dtype")
"""Keys of config.json that do not change what vLLM builds (it casts to its own dtype)."""


@dataclass(frozen=True)
class Described:
    """The model that a config.json describes."""

    shapes: Shapes
    """Every tensor that may be saved of it."""
    needed: frozenset[str]
    """Those that must be: a head that is tied to the embedding may be left out."""


@dataclass(frozen=True)
class Saved:
    """What lies in a model's folder."""

    folder: Path
    config: dict[str, Any]
    shapes: Shapes

    @property
    def architecture(self) -> str:
        """The same text for every model that one engine can serve."""
        return json.dumps(self.config, sort_keys=True)


def refusals(folders: Mapping[str, Path]) -> dict[str, str]:
    """Of models by name those that one engine must not be given, each with the reason in words:
    weights that are not whole, that are not what their config.json describes, or another model than
    most are."""
    refused: dict[str, str] = {}
    saved: dict[str, Saved] = {}
    for name, folder in folders.items():
        found = read_folder(folder)
        if isinstance(found, str):
            refused[name] = found
        else:
            saved[name] = found
    return refused | misfits(saved)


def refusal(folder: Path, loaded: Saved | str) -> str:
    """Why an engine that was started with the model ``loaded`` must not be given the weights in
    ``folder``, in words; "" if it may."""
    found = read_folder(folder)
    if isinstance(found, str):
        return found
    name = str(folder)
    if isinstance(loaded, str):
        return misfits({name: found}).get(name, "")
    # Of two kinds the first is the usual one.
    return misfits({"the loaded model": loaded, name: found}).get(name, "")


def misfits(saved: Mapping[str, Saved]) -> dict[str, str]:
    """The same of models that are whole."""
    by_architecture: dict[str, list[str]] = {}
    for name, one in saved.items():
        by_architecture.setdefault(one.architecture, []).append(name)
    refused: dict[str, str] = {}
    # Each is judged by its own config.json first.
    for names in by_architecture.values():
        refused |= unfit({name: saved[name] for name in names})
    left = {name: one for name, one in saved.items() if name not in refused}
    return refused | of_other_architecture(left)


def read_folder(folder: Path) -> Saved | str:
    """What lies in a model's folder; in words why no engine can be started with it."""
    try:
        config = model_config(folder)
    except FileNotFoundError:
        # An adapter has none; its folder says more than what it lacks.
        return (folder.is_dir() and other_format(folder)) or "there is no config.json"
    # Not JSON, not UTF-8, no table.
    except (ValueError, AttributeError, RecursionError):
        return "config.json is no table in JSON"
    shapes = stray_files(folder) or shapes_of(folder)
    return shapes if isinstance(shapes, str) else Saved(folder, config, shapes)


def unfit(saved: Mapping[str, Saved]) -> dict[str, str]:
    """Of models with one config.json those whose weights are not what it describes."""
    # Any of them tells; the folder of the model that an engine was started with may be gone.
    *_, newest = saved.values()
    model = described(newest.folder)
    by_config = {name: misfit(one.shapes, model) if model else None for name, one in saved.items()}
    if None not in by_config.values():
        return {name: reason for name, reason in by_config.items() if reason}
    # Where the config cannot judge, the weights are held against those that most of them have.
    example = most_common([(name, json.dumps(one.shapes)) for name, one in saved.items()])
    found = {}
    for name, one in saved.items():
        reason = by_config[name]
        if reason is None:
            reason = difference(one.shapes, saved[example].shapes, example)
        if reason:
            found[name] = reason
    return found


def of_other_architecture(saved: Mapping[str, Saved]) -> dict[str, str]:
    """Of models those that are others than most are: an engine serves one kind."""
    if not saved:
        return {}
    example = most_common([(name, one.architecture) for name, one in saved.items()])
    usual = saved[example].config
    found = {}
    for name, one in saved.items():
        keys = [key for key in sorted(one.config | usual) if one.config.get(key) != usual.get(key)]
        if keys:
            found[name] = (
                f"its config.json is not that of '{example}' ({', '.join(keys)}): it needs an "
                "engine of its own"
            )
    return found


def most_common(kinds: Sequence[tuple[str, str]]) -> str:
    """The first name of the kind that most names have; of kinds with as many, the first."""
    ((usual, _),) = Counter(kind for _, kind in kinds).most_common(1)
    return next(name for name, kind in kinds if kind == usual)


def described(folder: Path) -> Described | None:
    """The model that the config.json in ``folder`` describes; None if transformers cannot tell: an
    architecture of its own code, or quantised weights, which are packed into other shapes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if "quantization_config" in model_config(folder):
        return None
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    # Whatever the code of an architecture raises: vLLM may know the model all the same.
    except Exception:
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # Tied parameters come once here, under the name of the first.
    return Described(shapes, frozenset(name for name, _ in model.named_parameters()))


def model_config(folder: Path) -> dict[str, Any]:
    """What config.json says about the architecture; library versions and file names do not
    count."""
    values = json.loads((folder / "config.json").read_text())
    return {key: value for key, value in values.items() if key not in IRRELEVANT}


def stray_files(folder: Path) -> str:
    """In words that vLLM would read more than the model's weights from ``folder``; "" if not."""
    # With an index it reads what that names, else every safetensors file.
    if index_of(folder) is None:
        for path in sorted(folder.glob("*.safetensors")):
            if not is_weights(path.name):
                return f"{path.name} is no file of weights, but vLLM reads it as one: move it away"
    return ""


def misfit(found: Shapes, model: Described) -> str | None:
    """What of the weights does not fit the model, in words; "" if they fit; None if their names are
    not those of transformers, which can judge nothing then."""
    kinds = {without_numbers(name) for name in model.shapes}
    if any(without_numbers(name) not in kinds for name in found):
        return None
    wrong = other_shapes(found, model.shapes)
    if wrong:
        return f"{wrong} its config.json says"
    for name in sorted(found):
        # Its kind is known and its number is not: more layers than are described.
        if name not in model.shapes:
            return f"the weights hold {name}, which its config.json has no place for"
    missing = sorted(model.needed - found.keys())
    if missing:
        return f"the weights lack {several(missing)}, which its config.json asks for"
    return ""


def difference(found: Shapes, other: Shapes, name: str) -> str:
    """What tells the weights from those of another model, ``name``, in words; "" if they have the
    same shapes."""
    wrong = other_shapes(found, other)
    if wrong:
        return f"{wrong} in '{name}'"
    lacking, surplus = sorted(other.keys() - found.keys()), sorted(found.keys() - other.keys())
    if lacking:
        return f"the weights lack {several(lacking)}, which '{name}' has"
    if surplus:
        return f"the weights hold {several(surplus)}, which '{name}' lacks"
    return ""


def other_shapes(found: Shapes, expected: Mapping[str, Shape]) -> str:
    """The first tensor whose shape is not the expected one, in words; "" if there is none."""
    for name in sorted(found.keys() & expected.keys()):
        if found[name] != expected[name]:
            return f"{name} has the shape {list(found[name])}, not {list(expected[name])} as"
    return ""


def without_numbers(name: str) -> str:
    """The name of a tensor without the numbers of layers and experts."""
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1#", name)


def several(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    first, *more = names
    return f"{first} and {len(more)} more tensors" if more else first
