"""JSON schemas of what ``--json`` prints, made of the types in json_kinds.py.

In: the name of a document. Out: its schema as text. A key that is not in a schema may come with a
later version of the product, so none is forbidden. Called by `orch schema`.
"""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import msgspec

from orchestrator.api.json_documents import VERSIONS
from orchestrator.cli.json_kinds import KINDS
from orchestrator.description.schema import field_docstrings

DRAFT = "https://json-schema.org/draft/2020-12/schema"
"""The draft that msgspec writes."""


def document_schema(name: str) -> dict[str, Any]:
    """The schema of one document."""
    kind = KINDS[name]
    made = msgspec.json.schema(kind)
    defined: dict[str, Any] = made["$defs"]
    for part in parts_of(kind, {}).values():
        for key, text in field_docstrings(part).items():
            if text and key in defined[part.__name__]["properties"]:
                describe(defined[part.__name__]["properties"], key, text.replace("``", "`"))
    top = defined[kind.__name__]
    head = {"schema": {"const": f"orch/{name}"}, "version": {"const": VERSIONS[name]}}
    top["properties"] = {**head, **top["properties"]}
    top["required"] = [*head, *top["required"]]
    return {"$schema": DRAFT, "title": f"orch/{name}", **made}


def describe(properties: dict[str, Any], key: str, text: str) -> None:
    """Give a key its sentence, in front of what it may be."""
    properties[key] = {"description": text, **properties[key]}


def parts_of(kind: Any, found: dict[str, type]) -> dict[str, type]:
    """A class with fields, and all such classes that it is made of, by name."""
    if not isinstance(kind, type) or not hasattr(kind, "__annotations__"):
        for argument in getattr(kind, "__args__", ()):
            parts_of(argument, found)
    elif kind.__name__ not in found:
        found[kind.__name__] = kind
        for field in get_type_hints(kind).values():
            parts_of(field, found)
    return found


def document_schema_text(name: str) -> str:
    """The same as text."""
    return json.dumps(document_schema(name), indent=1) + "\n"
