"""Find and read cluster profiles, and the user's own choice of messages.

What goes in: the name of a profile or a file. What comes out: a ``Profile``, or a CheckError with
one line per mistake. Called by the commands that launch or check.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import shutil
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, create_model

from engines.contract.files import there
from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes, TooMany
from engines.contract.written.nodes import Node
from engines.contract.written.reading import read_file
from orchestrator.description.checking import FileModel, Must, WordedError, checked
from orchestrator.description.keys import NotifyFile
from orchestrator.description.profile import Profile
from orchestrator.description.stage_keys.options import (
    OWN,
    BudgetFile,
    filled_words,
    named_variables,
    names_with_commas,
    one_word,
    well_formed,
    words_alone,
)
from orchestrator.description.stage_keys.sbatch_names import option_name
from orchestrator.description.stage_keys.track import Track, in_one_form
from orchestrator.errors import CheckError
from orchestrator.folders import config_folder, for_people
from orchestrator.node.slurm.environment import IN_ITS_PLACE


def own_options(value: Any) -> Any:
    """Options of sbatch that a profile may set."""
    for option in words_alone(value) if isinstance(value, dict) else ():
        name = option_name(str(option))
        if name in SAID_BY_KEY:
            raise WordedError(
                "sbatch must be without '{option}'; say it by {place}",
                option=option,
                place=SAID_BY_KEY[name],
            )
        if name in OWN:
            raise WordedError(
                "sbatch must be without '{option}', which orch sets itself, got {value}",
                option=option,
            )
    return well_formed(value)


SAID_BY_KEY = {
    "partition": "the profile's key 'partition'",
    "account": "the profile's key 'account'",
    "qos": "the profile's key 'qos'",
    "clusters": "the profile's key 'cluster'",
    "time": "resources.minutes of a stage",
    "nodes": "resources.nodes of a stage",
    "ntasks": "resources.nodes of a stage: one task a node",
    "ntasks-per-node": "resources.nodes of a stage: one task a node",
}
"""What a profile or a stage says elsewhere, and orch goes by."""


def one_cluster(value: Any) -> Any:
    """The name of one cluster: ids of several would be taken for one another."""
    if str(one_word(value)).lower() == "all":
        raise WordedError("{name} must be one name, got {value}")
    return one_word(value)


NAMES = ("partition", "account", "qos", "cluster", "gpu_type")
"""Keys whose values are names that Slurm gave."""

# Zero is a value: `gpus_per_node: 0` says that no job may ask for a GPU.
COUNT = (Field(ge=0), Must("be a whole number"))
RULES: dict[str, tuple[Any, ...]] = {
    "cpus_per_node": COUNT,
    "memory_gb_per_node": COUNT,
    "gpus_per_node": COUNT,
    "max_minutes": COUNT,
    "max_jobs": COUNT,
    "throttle": COUNT,
    "calls_per_minute": (Field(ge=1),),
    "price_per_gpu_hour": (Field(ge=0, allow_inf_nan=False), Must("be a number, 0 or more")),
    "setup": (Must("be a list of shell lines"),),
    "partition": (BeforeValidator(names_with_commas), Must("be text")),
    "account": (BeforeValidator(one_word), Must("be text")),
    "qos": (BeforeValidator(one_word), Must("be text")),
    "cluster": (BeforeValidator(one_cluster), Must("be text")),
    "gpu_type": (BeforeValidator(one_word), Must("be text (put a number in quotes)")),
    "wrap": (BeforeValidator(filled_words), Must("be a list: a program and its arguments")),
    "environment": (
        BeforeValidator(named_variables),
        Must("be a mapping NAME: text (quote numbers)"),
    ),
    "partitions": (Must("be a mapping such as {gpu: a100_normal_q, cpu: normal_q}"),),
    "sbatch": (BeforeValidator(own_options), Must("be a mapping option: value")),
}
"""What a value must be beyond its type in ``Profile``."""


class ProfilePart(FileModel):
    """Base of the model of a profile's file."""

    QUOTED = False
    CALLED = "profile"


def profile_file() -> type[ProfilePart]:
    """The model of a profile's file: the fields of ``Profile`` but its name, which is the file's
    own."""
    # Profile is a dataclass, and the model is made of it here: every look at a run reads a profile
    # from plan.json, and should not have to load pydantic for that.
    types = typing.get_type_hints(Profile)
    types["notify"] = NotifyFile
    types["budget"] = BudgetFile
    types["track"] = Track
    keys: dict[str, Any] = {}
    for item in fields(Profile):
        if item.name == "name":
            continue
        if item.default is not MISSING:
            default: Any = item.default
        elif item.default_factory is not MISSING:
            default = Field(default_factory=item.default_factory)
        else:
            default = ...  # it has to be given
        kind = types[item.name]
        for rule in RULES.get(item.name, ()):
            kind = Annotated[kind, rule]
        keys[item.name] = (kind, default)
    return create_model("ProfileFile", __base__=ProfilePart, __doc__="A cluster profile.", **keys)


ProfileFile = profile_file()


def user_file() -> Path:
    """The user's own profile, which is taken when none is named."""
    return config_folder() / "cluster.yaml"


def known_profiles() -> dict[str, Path]:
    """Profiles by name: those in ``~/.config/orch`` hide shipped ones of the same name."""
    shipped = Path(str(importlib.resources.files("slurm_templates")))
    files = [*sorted(shipped.glob("*.yaml")), *sorted(config_folder().glob("*.yaml"))]
    # The user's own files come last, so they win in the mapping.
    return {path.stem: path for path in files}


def load_profile(name: str | None = None) -> Profile:
    """The profile called ``name`` (or in that file); without a name the user's own, or ``local``
    where there is no sbatch.

    CheckError has one line per mistake in the file.
    """
    name = name or os.environ.get("ORCH_CLUSTER") or default_name()
    path = there(name) or Path(name)
    # A folder or file called `local` here must not hide the profile of that name.
    if not (path.suffix in (".yaml", ".yml") and there(name) and path.is_file()):
        known = known_profiles()
        if name not in known:
            raise CheckError(
                f"no cluster profile '{name}'{near(name, known)} (a file ending in .yaml, one in "
                f"{for_people(config_folder())}, or a shipped one)"
            )
        path = known[name]
    mistakes = Mistakes()
    values: dict[str, Any] = {}
    with contextlib.suppress(TooMany):
        root = read_file(path, mistakes)
        values = profile_values(root, mistakes) if root else {}
    if mistakes.lines:
        raise CheckError(*mistakes.in_file_order())
    # Taken in now: the profile is kept with the run, so that jobs on a node need not find the
    # user's file.
    if "notify" not in values:
        values["notify"] = user_messages()
    if "track" in values:
        values["track"] = in_one_form(values["track"])
    return Profile(name=path.stem, **{**chosen_by_user(values), **values})


def chosen_by_user(values: Mapping[str, Any]) -> dict[str, str]:
    """What the user's own variables of sbatch say where the profile is silent. Kept with the run:
    later looks come from other shells, and from nodes."""
    if values.get("kind") != "slurm":
        return {}
    found = {key: os.environ.get(name, "") for name, key in IN_ITS_PLACE.items()}
    if values.get("partitions"):
        # They say where jobs go; what is not listed there goes to Slurm's own default.
        found.pop("partition")
    return {key: said for key, said in found.items() if said and not values.get(key)}


def default_name() -> str:
    """Which profile to take when none is named."""
    if user_file().is_file():
        return str(user_file())
    if shutil.which("sbatch") is None:
        return "local"
    # With sbatch this is the login node of a cluster. The profile `local` would run the jobs right
    # here, so it has to be asked for.
    raise CheckError(
        "this machine has sbatch but there is no profile of the cluster: write one with "
        f"`orch profile init` ({for_people(user_file())}), or name one: --cluster local"
    )


def profile_values(root: Node, mistakes: Mistakes) -> dict[str, Any]:
    """The values of a profile file, checked; a key without a value is as good as not there."""
    if isinstance(root.value, dict):
        known = ProfileFile.model_fields
        # A key with nothing behind it (`account:`) is dropped. An unknown key stays, so that it is
        # told.
        given = {
            key: node
            for key, node in root.value.items()
            if node.value is not None or key not in known
        }
        root = Node(given, root.where)
    checked(ProfileFile, root, lambda place, text: mistakes.add(place.where, text))
    return {} if mistakes.lines else said_names(root.plain())


def said_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in which names of Slurm stand alone, and empty ones are as good as not there."""
    named = {key: values[key].strip() for key in NAMES if key in values}
    kept = {key: value for key, value in values.items() if key not in NAMES}
    return {**kept, **{key: name for key, name in named.items() if name}}


def user_messages() -> dict[str, Any]:
    """Who is told of what, for experiments and profiles without `notify`: the user's own file.
    Empty: there is none. CheckError if it is wrong."""
    path = config_folder() / "notify.yaml"
    if not path.is_file():
        return {}
    mistakes = Mistakes()
    root = None
    with contextlib.suppress(TooMany):
        root = read_file(path, mistakes)
        if root is not None:
            checked(NotifyFile, root, lambda place, text: mistakes.add(place.where, text))
    if root is None or mistakes.lines:
        raise CheckError(*mistakes.in_file_order())
    return dict(root.plain())
