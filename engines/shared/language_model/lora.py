"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) in a causal language model, by PEFT;
the rest of the model is frozen.

In: a transformers model. Out: the same object with PEFT's layers in it, so that it is still what
packed passes, FSDP2 and ``generate`` know; and PEFT's adapter folder (``adapter_config.json``,
``adapter_model.safetensors``), which PEFT, vLLM and others load. Called by ``ppo`` and by
fine-tunings.

PEFT loads an adapter onto any base without complaint, and tensors that are missing are a warning.
Here both are errors: the file keeps the fingerprint of the base that it was trained on.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engines.contract.config import ConfigError
from engines.shared.inference import sample_seed
from engines.shared.language_model.settings import LoraSettings

if TYPE_CHECKING:
    from peft import LoraConfig

# PEFT takes a second to import, and most models here have no adapter: functions that put one in
# import it.

NAME = "default"
"""What PEFT calls the one adapter that a model has here; it is part of the parameters' names."""
WEIGHTS = "adapter_model.safetensors"
BASE = "base_fingerprint"
"""Key in the metadata of that file."""
PREFIX = "base_model.model."
"""Begins the names of tensors in that file: PEFT writes them from two wrappers around a model."""

Gather = Callable[[torch.Tensor], torch.Tensor]


def adapt(model: Any, settings: LoraSettings, seed: int) -> None:
    """Freeze ``model`` and put adapters into it, in place; they compute nothing at first.

    The start is PEFT's (uniform by Kaiming for A, 0 for B), drawn from ``seed`` and the layer's
    name: the same in all processes, and no random number of torch's own is consumed. ConfigError
    for names that are not in the model.
    """
    from peft import LoraConfig

    check_modules_to_save(model, settings)
    layers, outside = linear_layers(model, settings)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=sorted({last_part(name) for name in layers}),
        exclude_modules=outside or None,
        modules_to_save=settings.modules_to_save or None,
    )
    inject(model, config)
    for name, layer in lora_layers(model):
        generator = torch.Generator().manual_seed(sample_seed(seed, "lora", name))
        down = layer.lora_A[NAME].weight
        fresh = torch.empty(down.shape, dtype=torch.float32)
        torch.nn.init.kaiming_uniform_(fresh, a=math.sqrt(5), generator=generator)
        with torch.no_grad():
            down.copy_(fresh)


def inject(model: Any, config: LoraConfig) -> None:
    """Put PEFT's layers into ``model``; what is trained is float32."""
    from peft import inject_adapter_in_model

    # PEFT draws the start of its layers from torch's own generator.
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, model, NAME)
    # Its new layers are in training mode, with dropout, in a model that is evaluated too.
    model.train(model.training)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def linear_layers(model: Any, settings: LoraSettings) -> tuple[list[str], list[str]]:
    """Names of the linear layers that get adapters, and of those with the same last part that do
    not."""
    linear = [name for name, module in model.named_modules() if is_linear(module)]
    # Inside the decoder layers only: the head stays out, as it may be tied to the embedding, and
    # then the merged head would change the embedding too.
    inside = [name for name in linear if ".layers." in f".{name}"]
    if not inside:
        raise ConfigError("lora: the model has no linear layer in a decoder layer; leave lora out")
    wanted = settings.target_modules
    known = {last_part(name) for name in inside}
    unknown = sorted(set(wanted or ()) - known)
    if unknown:
        raise ConfigError(
            f"lora: target_modules: the decoder layers have no linear layer {unknown[0]!r}; "
            f"there are {', '.join(sorted(known))}"
        )
    chosen = [name for name in inside if wanted is None or last_part(name) in wanted]
    ends = {last_part(name) for name in chosen}
    outside = [name for name in linear if last_part(name) in ends and name not in chosen]
    return chosen, outside


def is_linear(module: Any) -> bool:
    """Whether PEFT can put an adapter on it: a linear layer, quantized ones included."""
    return isinstance(module, torch.nn.Linear)


def check_modules_to_save(model: Any, settings: LoraSettings) -> None:
    """ConfigError for modules that are not there, or that are tied to others."""
    names = {last_part(name) for name, _ in model.named_modules()}
    for name in settings.modules_to_save:
        if name not in names:
            raise ConfigError(f"lora: modules_to_save: the model has no module {name!r}")
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and head.weight is embedding.weight
    ends = {last_part(name) for name, part in model.named_modules() if part in (embedding, head)}
    # PEFT would train a copy of one and leave the other: two weights where the format has one.
    if tied and ends & set(settings.modules_to_save):
        raise ConfigError(
            f"lora: modules_to_save: {' and '.join(sorted(ends))} share one weight in this model; "
            "leave them out, or train the whole model (lora: null)"
        )


def last_part(name: str) -> str:
    """``q_proj`` of ``model.layers.0.self_attn.q_proj``."""
    return name.rpartition(".")[2]


def lora_layers(model: Any) -> list[tuple[str, Any]]:
    """The layers with an adapter, by the names that they had without."""
    if "peft" not in sys.modules:
        # Who makes such layers has not been imported, so there are none.
        return []
    from peft.tuners.lora import LoraLayer

    return [
        (name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)
    ]


@contextlib.contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Compute with the frozen model alone."""
    from peft.tuners.lora import LoraLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    parts = [
        module
        for module in model.modules()
        if isinstance(module, LoraLayer | AuxiliaryTrainingWrapper)
    ]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for module in parts:
        module.enable_adapters(False)
    try:
        yield
    finally:
        for module in parts:
            module.enable_adapters(True)
        # PEFT makes all of an adapter trainable when it is on again, one that was only read too.
        for module in parts:
            for parameter in module.parameters():
                parameter.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def adapters_merged(model: Any) -> Iterator[None]:
    """Compute faster without gradient: with W + (alpha / rank) B A in the place of W where W is
    float32 and on the CPU; afterwards bit for bit as before.

    Elsewhere nothing changes: a sum in bfloat16 is not the model that is trained, and a quantized W
    cannot take it.
    """
    before = []
    for _, layer in lora_layers(model):
        weight = layer.base_layer.weight
        if type(weight) is torch.nn.Parameter and weight.dtype is torch.float32 and weight.is_cpu:
            before.append((layer, weight.data))
            weight.data = merged(layer, torch.Tensor.detach)
            # PEFT's own mark; its merge() adds in place, and its unmerge() leaves the rounding.
            layer.merged_adapters.append(NAME)
    try:
        yield
    finally:
        for layer, data in before:
            layer.merged_adapters.clear()
            layer.base_layer.weight.data = data


def merged_state(
    model: Any, whole: Gather = torch.Tensor.detach, parts: Gather = torch.Tensor.detach
) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights of a plain model that computes the same, under their Hugging Face names, tied ones
    once; W + (alpha / rank) B A is added up in float32.

    ``whole`` gathers a weight that is cut over processes, ``parts`` W, A and B of an adapted layer;
    they are called in the same order in all of them. Weights without an adapter come as ``whole``
    returns them.
    """
    adapted = dict(lora_layers(model))
    for name, parameter in model.named_parameters():
        owner, _, kind = name.rpartition(".")
        layer = adapted.get(owner.removesuffix(".base_layer"))
        if layer is not None and owner.endswith(".base_layer") and kind == "weight":
            yield f"{owner.removesuffix('.base_layer')}.weight", merged(layer, parts)
        else:
            plain = plain_name(name)
            if plain is not None:
                yield plain, whole(parameter)


def plain_name(name: str) -> str | None:
    """The Hugging Face name of a parameter that is used as it is; None for parts of an adapter and
    for what a module that is trained whole has replaced."""
    if ".lora_" in name or ".original_module." in name:
        return None
    return name.replace(f".modules_to_save.{NAME}", "").replace(".base_layer.", ".")


def merged(layer: Any, whole: Gather) -> torch.Tensor:
    """The weight of a plain linear layer that computes what the adapted one does, in float32."""
    weight = whole(layer.base_layer.weight)
    down, up = whole(layer.lora_A[NAME].weight), whole(layer.lora_B[NAME].weight)
    return weight.float() + layer.scaling[NAME] * (up.float() @ down.float())


def file_names(model: Any) -> dict[str, torch.nn.Parameter]:
    """What an adapter's file holds of ``model``, by PEFT's names: A and B of each layer, and the
    modules that are trained whole."""
    return {
        PREFIX + name.replace(f".modules_to_save.{NAME}", "").replace(f".{NAME}", ""): parameter
        for name, parameter in model.named_parameters()
        if ".lora_" in name or f".modules_to_save.{NAME}." in name
    }


def write_adapter(model: Any, folder: Path, base_fingerprint: str) -> None:
    """Write PEFT's adapter folder; ``base_fingerprint`` is that of the model trained on
    (``engines.contract.checkpoints.fingerprint``)."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: parameter.detach().cpu().contiguous() for name, parameter in file_names(model).items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt", BASE: base_fingerprint})
    model.peft_config[NAME].save_pretrained(str(folder))


def read_adapter(
    model: Any, folder: Path, base_fingerprint: str, *, trainable: bool = False
) -> None:
    """Put the adapter in ``folder`` into a plain ``model`` whose weights have
    ``base_fingerprint``, in place.

    ``trainable``: its parameters can be trained further; PEFT's own loader leaves them frozen
    unless told otherwise. ConfigError for another base, and for tensors that are missing, too many
    or of another shape.
    """
    from peft import LoraConfig
    from safetensors import safe_open

    path = folder / WEIGHTS
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; {folder} is no adapter")
    with safe_open(path, framework="pt") as file:
        trained_on = (file.metadata() or {}).get(BASE)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if trained_on is None:
        raise ConfigError(
            f"{path}: does not say which base it was trained on ({BASE} in the file's metadata); "
            "another program wrote it, and it would fit any model of these shapes"
        )
    if trained_on != base_fingerprint:
        raise ConfigError(
            f"{path}: was trained on another base: its fingerprint is {trained_on}, that of this "
            f"model is {base_fingerprint}; give the model that the adapter was trained on"
        )
    inject(model, LoraConfig.from_pretrained(str(folder)))
    wanted = file_names(model)
    check_tensors(path, wanted, tensors)
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])
    model.requires_grad_(False)
    for parameter in wanted.values():
        parameter.requires_grad_(trainable)


def check_tensors(
    path: Path, wanted: dict[str, torch.nn.Parameter], found: dict[str, torch.Tensor]
) -> None:
    """ConfigError unless the file holds exactly the tensors that its description asks for."""
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    for what, names in (("are missing", missing), ("are not of this adapter", unexpected)):
        if names:
            raise ConfigError(
                f"{path}: {len(names)} tensors {what}, such as {names[0]}: damaged, or of another "
                "model"
            )
    for name, parameter in wanted.items():
        if parameter.shape != found[name].shape:
            raise ConfigError(
                f"{path}: {name} has shape {tuple(found[name].shape)}, and its place in the model "
                f"{tuple(parameter.shape)}"
            )
