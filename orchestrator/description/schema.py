"""JSON schemas of experiment files and profiles, for editors: completion, help and warnings.

What goes in: the models that the readers check files against, and the ``Config`` of every installed
engine. What comes out: one schema for each kind of file. They are shipped as files beside what they
describe (``PATHS``, written by scripts/reference.py), and `orch schema` prints them.

A schema says less than the readers do: what depends on several stages is theirs. Stages are judged
as they stand without a preset.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from engines.contract.config import DECIDES_NO_RESULT, IS_PATH
from orchestrator.description.catalogue import config_class, known_engines
from orchestrator.description.checking import keys_of, models_in
from orchestrator.description.keys import ExperimentFile, StageFile
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import ProfileFile

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest draft that editors know well."""
PATHS = {
    "experiment": "jobs/experiment.schema.json",
    "profile": "slurm_templates/profile.schema.json",
}
"""Where each schema lies below the folder that the packages are in."""

WRITTEN_AS: dict[type, type] = {ProfileFile: Profile}
"""Models that are made of another class, which has the sentences of their keys."""

Schema = dict[str, Any]


def schema_text(what: str) -> str:
    """The schema of an ``experiment`` file or of a ``profile``, as its file holds it."""
    schema = experiment_schema() if what == "experiment" else profile_schema()
    text = json.dumps(schema, indent=1) + "\n"
    # Docstrings quote code as reST does; editors show descriptions as Markdown.
    return text.replace("``", "`")


def experiment_schema() -> Schema:
    """The schema of an experiment file, with the config of every installed engine."""
    schema = schema_of_model(ExperimentFile)
    defined: Schema = schema["$defs"]
    # pydantic writes the schema of a stage out in place, as the stages are checked one by one.
    stages = schema["properties"]["stages"]
    stage = defined["StageFile"] = stages["additionalProperties"]
    stages["additionalProperties"] = {"$ref": "#/$defs/StageFile"}
    describe(stage, StageFile)
    engines = known_engines()
    stage["properties"]["engine"]["anyOf"] = [{"enum": engines}, OWN_ENGINE]
    # What the readers check by plain functions has to be said again in the words of a schema.
    stage["oneOf"] = [{"required": ["engine"]}, {"required": ["command"]}]
    stage["allOf"] = [config_of(engine) for engine in engines]
    # Placeholders that any value of an engine's config may be in an experiment file.
    defined["Reference"] = REFERENCE
    defined["OfAxis"] = OF_AXIS
    # A variable may be any value but the name of a stage, preset or file.
    defined["Variable"] = VARIABLE
    kinds = ("Reference", "OfAxis", "Variable")
    defined["FromElsewhere"] = {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds]}
    for model in nested_models(StageFile):
        part = stage if model is StageFile else defined[model.__name__]
        for key, value in part["properties"].items():
            part["properties"][key] = opened(value, "Variable")
    for engine in engines:
        defined |= engine_schemas(engine)
    defined["StageChanges"] = stage_changes(stage)
    # `null` takes a stage out.
    changes = {"anyOf": [{"$ref": "#/$defs/StageChanges"}, {"type": "null"}]}
    preset = defined["PresetFile"]["properties"]["stages"]
    preset |= {"type": ["object", "null"], "additionalProperties": changes}
    return {"$schema": DRAFT, "title": "Experiment of orch", **schema}


def profile_schema() -> Schema:
    """The schema of a cluster profile."""
    schema = schema_of_model(ProfileFile)
    for key in list(schema["properties"]):
        # The reader takes a key with nothing behind it as absent, so editors should not warn of it.
        if key not in schema["required"]:
            schema["properties"][key] = or_null(schema["properties"][key])
    return {"$schema": DRAFT, "title": "Cluster profile of orch", **schema}


REFERENCE: Schema = {
    "description": "What a job of another stage leaves: a path in its folder, or a checkpoint.",
    "type": "object",
    "properties": {
        "of": {"type": "string"},
        "path": {"type": "string"},
        "checkpoint": {"type": "string"},
    },
    "oneOf": [{"required": ["of", "path"]}, {"required": ["of", "checkpoint"]}],
    "additionalProperties": False,
}
OWN_ENGINE: Schema = {
    "description": "An engine of your own: path/file.py:function.",
    "pattern": r"\.py:[A-Za-z_]\w*$",
}
OF_AXIS: Schema = {
    "description": "The job's value on an axis.",
    "type": "string",
    "pattern": r"^\{\w+\}$",
}

VARIABLE: Schema = {
    "description": "A variable of the file, or a text with some in it.",
    "type": "string",
    "pattern": r"\$\{[A-Za-z][A-Za-z0-9_-]*\}",
}


def schema_of_model(kind: type[BaseModel]) -> Schema:
    """The schema of a model and of those in it, with the sentence of each key."""
    schema: Schema = without_titles(kind.model_json_schema())
    describe(schema, kind)
    models = {model.__name__: model for model in nested_models(kind)}
    for name, part in schema.get("$defs", {}).items():
        describe(part, models[name])
    return schema


def engine_schemas(engine: str) -> Schema:
    """The config of an engine and its parts, under names of their own.

    A stage need not give all of it, as axes and references fill in the rest, so no key is required;
    and any value may stand for what another job leaves or for the value of an axis.
    """
    schema = schema_of_model(config_class(engine))
    parts = {"Config": schema, **schema.pop("$defs", {})}
    found = {}
    for name, part in parts.items():
        # Two engines may each have a part called `Settings`, hence the engine's name in front.
        part = renamed(part, engine)
        part.pop("required", None)
        for key, value in part.get("properties", {}).items():
            part["properties"][key] = opened(value, "FromElsewhere")
        found[f"{engine}.{name}"] = part
    found[f"{engine}.Config"]["type"] = ["object", "null"]
    return found


def config_of(engine: str) -> Schema:
    """Which config a stage has, if it runs this engine."""
    config = {"anyOf": [{"$ref": f"#/$defs/{engine}.Config"}, {"$ref": "#/$defs/Variable"}]}
    return {
        # A condition on the value of another key: draft 07 has no other way to say it.
        "if": {"properties": {"engine": {"const": engine}}, "required": ["engine"]},
        "then": {"properties": {"config": config}},
    }


def stage_changes(stage: Schema) -> Schema:
    """A stage in a preset: the same keys, any of them, and any part of their values; what comes of
    it is checked when it has been merged."""
    keys = {}
    for key, part in stage["properties"].items():
        keys[key] = {"description": part["description"]}
    return {"type": "object", "properties": keys, "additionalProperties": False}


def opened(value: Schema, other: str) -> Schema:
    """A value, or what the definition ``other`` takes in its place, at any depth."""
    inside = dict(value)
    # The sentence has to lie outside of `anyOf`: editors show that of the key, not of a branch.
    described = {"description": inside.pop("description")} if "description" in inside else {}
    for key in ("items", "additionalProperties"):
        if isinstance(inside.get(key), dict):
            inside[key] = opened(inside[key], other)
    for key in ("anyOf", "oneOf"):
        if key in inside:
            inside[key] = [opened(branch, other) for branch in inside[key]]
    return {**described, "anyOf": [inside, {"$ref": f"#/$defs/{other}"}]}


def or_null(value: Schema) -> Schema:
    """A value that may be left empty."""
    inside = dict(value)
    described = {"description": inside.pop("description")} if "description" in inside else {}
    return {**described, "anyOf": [inside, {"type": "null"}]}


def renamed(value: Any, engine: str) -> Any:
    """A schema whose references to parts name those of an engine."""
    if isinstance(value, dict):
        return {key: renamed(item, engine) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, engine) for item in value]
    if isinstance(value, str) and value.startswith("#/$defs/"):
        # Its own parts alone: `Reference` and `OfAxis` are put in after this.
        return value.replace("#/$defs/", f"#/$defs/{engine}.")
    return value


def without_titles(value: Any, names: bool = False) -> Any:
    """A schema without the titles that pydantic makes of every key, and without the marks that
    engines put on theirs; where ``names`` the keys of ``value`` are names that people chose."""
    if isinstance(value, list):
        return [without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        # A config may have a key that is called `title`: below `properties` these are names, and
        # stay.
        if names or key not in ("title", *DECIDES_NO_RESULT, *IS_PATH):
            found[key] = without_titles(item, not names and key in ("properties", "$defs"))
    return found


def describe(schema: Schema, kind: type[BaseModel]) -> None:
    """Put the sentence of each key into a model's schema, and drop defaults that only mean that the
    key is absent."""
    for key, sentence in sentences(kind).items():
        value = schema["properties"][key]
        if value.get("default") in ("", None):
            value.pop("default", None)
        # In this draft nothing beside a reference counts.
        if "$ref" in value:
            value["allOf"] = [{"$ref": value.pop("$ref")}]
        value["description"] = sentence


def sentences(kind: type[BaseModel]) -> dict[str, str]:
    """Each key of a model with the docstring beneath it."""
    texts: dict[str, str] = {}
    # The subclass last: its sentence replaces one that it inherits.
    for base in reversed(kind.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel):
            texts |= field_docstrings(WRITTEN_AS.get(base, base))
    return {field.alias or name: texts.get(name, "") for name, field in kind.model_fields.items()}


def field_docstrings(kind: type) -> dict[str, str]:
    """The string beneath each annotated field of a class, on one line."""
    # Python drops a string beneath a field when it runs, so it is read from the source.
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = " ".join(str(below.value.value).split())
            found[field.target.id] = text
    return found


def nested_models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all that are part of it, each once."""
    seen: dict[type[BaseModel], None] = {}
    waiting = [kind]
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen[model] = None
            for field in keys_of(model).values():
                waiting += models_in(field.annotation)
    yield from seen
