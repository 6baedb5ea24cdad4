"""Hold what a person wrote against a pydantic model; every mistake becomes one line.

What goes in: a model of a file, or of a part of one, and the YAML nodes that were read. What comes
out: the checked model, made of the parts that are right, and for each part that is not a line with
its place, what it should have been and what it is. Called by the readers of experiments, stages and
profiles; ``engine_config`` does the same for an engine's config, in the engine's own words.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from engines.contract.words import near
from engines.contract.written.nodes import Node, shown

Tell = Callable[[Node, str], None]
"""Takes the place of a mistake and what is wrong there."""
Path = tuple[Any, ...]
"""Keys and list indices from the root of a file (or part) to a value."""
ABSENT = object()
"""No key: None is one."""
OF_KEYS = "[key]"
"""What pydantic puts behind a key of a mapping that is itself of the wrong kind."""


# How a message is put together. Of ``resources: {gpus: two}`` in the stage `train`:
#
#   stage 'train':  put before it by the reader of stages
#   resources:      ``CALLED`` of the part that holds the key, here ``ResourcesFile``
#   gpus must       the key, in quotes unless the part says ``QUOTED = False``
#   be a whole number of at least 0    ``Must.text`` of the field, or what its type says
#   , got 'two'     the value, unless ``Must.got`` is False
#
# Where a part is no mapping at all, as in ``when: 4``, ``MUST`` of its model stands in
# place of ``Must.text``. A validator that raises ``WordedError`` words all after ``CALLED`` itself.


class FileModel(BaseModel):
    """Base of every part of a file that people write: unknown keys and wrong types are mistakes,
    values never change."""

    # `strict`: pydantic would take '4' for 4, and 1 for true.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    MUST: ClassVar[str] = ""
    """What must be written where this part belongs: ``be a mapping such as ...``."""
    QUOTED: ClassVar[bool] = True
    """Whether messages put the keys of this part in quotes."""

    CALLED: ClassVar[str] = "{key}"
    """What messages call the part that stands under ``key``; a whole file has no key."""

    @classmethod
    def called(cls, path: Path) -> str:
        """What messages call the part at ``path``."""
        words = [part for part in path if isinstance(part, str)]
        key = words[-1] if words else ""
        return cls.CALLED.format(key=key)


@dataclass(frozen=True)
class Must:
    """Put on a field: the words of "'pack' must ..." where its value is of the wrong kind."""

    text: str
    at_item: bool = False
    """Show the item of a list or mapping that is wrong, not the whole value."""
    got: bool = True
    """Whether showing the value helps."""


class WordedError(ValueError):
    """Raised by a validator that words its message itself: ``{key}`` is the key that the value
    stands under, ``{name}`` the same in quotes, ``{path[1]}`` the second key on the way there,
    ``{value}`` what was written."""

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text)
        self.values = values


@dataclass(frozen=True)
class Spot:
    """Where an error of pydantic lies, in the file and in its model.

    For ``resources: {gpus: two}`` in a stage, which is held against ``StageFile``: ``node`` and
    ``field_node`` are ``two``, ``path`` and ``field_path`` ``("resources", "gpus")``, ``field`` is
    ``ResourcesFile.gpus``, ``heads`` ``((StageFile, ()), (ResourcesFile, ("resources",)))``, and
    ``parts`` is empty, as no model may stand there. For ``resources: 4`` ``path`` is
    ``("resources",)`` and ``parts`` ``(ResourcesFile,)``.
    """

    node: Node
    """The deepest value on the way that is in the file."""
    path: Path
    """Where ``node`` lies below the root."""
    parts: tuple[type[BaseModel], ...]
    """What may stand there, as far as that is models."""
    field: FieldInfo | None
    """The innermost field on the way; None at the root."""
    field_node: Node
    field_path: Path
    heads: tuple[tuple[type[BaseModel], Path], ...]
    """The parts of the file that hold the field, the outermost first."""


M = TypeVar("M", bound=FileModel)


def checked(kind: type[M], node: Node, tell: Tell) -> tuple[M | None, Node]:
    """A file or a part of one, checked; every mistake is told.

    Returns the model and the nodes it was made of: those that are right. The model is None where
    ``node`` is no mapping, or lacks a key that it must have.
    """
    # The first round tells the mistakes; further rounds make the model of what is right. Each takes
    # something out, so they come to an end.
    rest = node
    first = True
    while True:
        try:
            return kind.model_validate(rest.plain()), rest
        except ValidationError as error:
            found = located(kind, rest, error.errors())
        if first:
            for detail, spot in in_order_of_the_file(rest, found):
                tell(*message(kind, detail, spot))
        # What is wrong is taken out and the rest is checked again. What is wrong then, such as a
        # mapping that has become empty, follows from what has been told.
        first = False
        wrong = {spot.path for _, spot in found}
        # The empty path is the part itself: nothing is left to make a model of.
        if () in wrong:
            return None, rest
        rest = without(rest, wrong)


def located(
    kind: type[BaseModel], node: Node, details: Sequence[ErrorDetails]
) -> list[tuple[ErrorDetails, Spot]]:
    """Each error with its place.

    Of ``str | CheckpointSource`` and a mapping with a typo pydantic says that it is no text, and
    that the mapping has an unknown key. Only what lies deepest is kept: that branch was meant.
    """
    found = [(detail, spot_for(kind, node, detail)) for detail in details]
    paths = []
    above: set[Path] = set()
    for detail, spot in found:
        # A key that is missing lies one step below the part that lacks it.
        missing_key = (detail["loc"][-1],) if detail["type"] == "missing" else ()
        path = (*spot.path, *missing_key)
        paths.append(path)
        above.update(path[:length] for length in range(len(path)))
    kept = []
    for (detail, spot), path in zip(found, paths, strict=True):
        if detail["type"] == "extra_forbidden" or path not in above:
            kept.append((detail, spot))
    return kept


def spot_for(kind: type[BaseModel], root: Node, detail: ErrorDetails) -> Spot:
    """The place of one error. A key that is missing or unknown is judged with the part that holds
    it."""
    if detail["type"] not in ("missing", "extra_forbidden"):
        return spot_of(kind, root, detail["loc"])
    *loc, key = detail["loc"]
    holder = spot_of(kind, root, loc)
    if holder.parts:
        # The part that should hold the key belongs to the head of the message, as for any other
        # key.
        holder = replace(holder, heads=(*holder.heads, (holder.parts[0], holder.path)))
    child = child_of(holder.node, key)
    if child is None:
        return holder
    own_key, value = child
    return replace(holder, node=value, path=(*holder.path, own_key))


def spot_of(kind: type[BaseModel], root: Node, loc: Sequence[int | str]) -> Spot:
    """Follow pydantic's ``loc`` through file and model; ``Spot`` has an example.

    Words of ``loc`` that name a branch of a type are not in the file: of ``("model",
    "CheckpointSource", "folder")`` the second one leads nowhere there, and only says which of the
    models that may stand under ``model`` is meant.
    """
    node = root
    path: Path = ()
    parts: tuple[type[BaseModel], ...] = (kind,)
    field, field_node, field_path = None, root, path
    heads: tuple[tuple[type[BaseModel], Path], ...] = ()
    for word in loc:
        holder = next((part for part in parts if word in keys_of(part)), None)
        holder_path = path
        # In the file: a word leads down if there is a key of that name.
        below = child_of(node, word)
        if below is not None:
            key, node = below
            path = (*path, key)
        # In the model: it leads down if one of the parts that may stand here has such a field.
        if holder is not None:
            heads = (*heads, (holder, holder_path))
            field, field_node, field_path = keys_of(holder)[str(word)], node, path
            parts = tuple(models_in(field.annotation))
        else:
            # The name of a branch leaves one model of several; any other word leaves them all.
            parts = tuple(part for part in parts if part.__name__ == word) or parts
    return Spot(node, path, parts, field, field_node, field_path, heads)


def keys_of(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the key that stands in the file."""
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def child_of(node: Node, word: int | str) -> tuple[Any, Node] | None:
    """The key and the value below ``node`` that pydantic calls ``word``: it writes numbers among
    the keys of a mapping as text."""
    if isinstance(node.value, list) and isinstance(word, int) and word < len(node.value):
        return word, node.value[word]
    if not isinstance(node.value, dict):
        return None
    if word in node.value:
        return word, node.value[word]
    key = node.keys_by_text.get(str(word), ABSENT)
    return None if key is ABSENT else (key, node.value[key])


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model in a type, such as the two of ``list[A] | B``."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in typing.get_args(annotation):
        yield from models_in(part)


def in_order_of_the_file(
    root: Node, found: list[tuple[ErrorDetails, Spot]]
) -> list[tuple[ErrorDetails, Spot]]:
    """Mistakes as a reader meets them; pydantic puts unknown keys behind all others."""
    # By identity: the same value may stand in the file many times.
    order = {id(node): place for place, node in enumerate(root.walk())}

    def place(mistake: tuple[ErrorDetails, Spot]) -> int:
        _, spot = mistake
        return order[id(spot.node)]

    return sorted(found, key=place)


def without(node: Node, wrong: set[Path], path: Path = ()) -> Node:
    """``node`` without the values at the paths ``wrong``."""
    if isinstance(node.value, dict):
        values = {}
        for key, value in node.value.items():
            if (*path, key) not in wrong:
                values[key] = without(value, wrong, (*path, key))
        return Node(values, node.where)
    if isinstance(node.value, list):
        items = []
        for place, item in enumerate(node.value):
            if (*path, place) not in wrong:
                items.append(without(item, wrong, (*path, place)))
        return Node(items, node.where)
    return node


def message(kind: type[FileModel], detail: ErrorDetails, spot: Spot) -> tuple[Node, str]:
    """Where one mistake is told, and the line."""
    head = head_of(kind, spot)
    if detail["type"] == "extra_forbidden":
        key = spot.path[-1]
        known = {name for part in spot.parts for name in keys_of(part)}
        value = shown(spot.node.glimpse())
        return spot.node, f"{head}unknown key '{key}' (value {value}){near(key, known)}"
    if detail["type"] == "missing":
        key = str(detail["loc"][-1])
        field = next(keys_of(part)[key] for part in spot.parts if key in keys_of(part))
        return spot.node, f"{head}'{key}' is missing; it must {must_of(field).text}"
    if detail["type"] in ("value_error", "assertion_error"):
        return spot.node, head + own_words(detail["ctx"]["error"], spot)
    if detail["type"] == "invalid_key" or detail["loc"][-1:] == (OF_KEYS,):
        return spot.node, f"{head}key {shown(spot.path[-1])} must be text; put it in quotes"
    if detail["type"] in ("model_type", "model_attributes_type"):
        return spot.node, not_a_mapping(kind, head, spot)
    return wrong_value(head, spot)


def head_of(kind: type[FileModel], spot: Spot) -> str:
    """What stands before a message: the parts of the file that it lies in."""
    head = ""
    for part, path in spot.heads or ((kind, ()),):
        name = part.called(path) if is_part(part) else ""
        if name:
            head += f"{name}: "
    return head


def is_part(kind: type[BaseModel]) -> typing.TypeGuard[type[FileModel]]:
    """Whether a model is one of a file that people write."""
    return issubclass(kind, FileModel)


def own_words(error: Exception, spot: Spot) -> str:
    """The message of a validator that words it itself."""
    if not isinstance(error, WordedError):
        return str(error)
    key = ""
    for part in spot.path:
        if not isinstance(part, int):  # a place in a list is no key
            key = part
    value = shown(spot.node.glimpse())
    name = f"'{key}'" if key else "the file"
    return str(error).format(key=key, name=name, path=spot.path, value=value, **error.values)


def not_a_mapping(kind: type[FileModel], head: str, spot: Spot) -> str:
    """A part of the file that should have been a mapping."""
    part = next((part for part in spot.parts if is_part(part)), kind)
    name = part.called(spot.path) if spot.path else ""
    if name.isidentifier():
        name = f"'{name}'"  # a key; a name of several words says itself what it is
    subject = f"{name} must" if name else "must"
    return f"{head}{subject} {part_must(part)}, got {shown(spot.node.glimpse())}"


def part_must(part: type[FileModel]) -> str:
    """The words of "must ..." for a part of a file."""
    return part.MUST or f"be a mapping with the keys {', '.join(keys_of(part))}"


def wrong_value(head: str, spot: Spot) -> tuple[Node, str]:
    """A value of the wrong kind."""
    assert spot.field is not None  # the whole file is a model: its errors are told elsewhere
    must = must_of(spot.field)
    holder = spot.heads[-1][0]
    name = str(spot.field_path[-1])
    quoted = f"'{name}'" if is_part(holder) and holder.QUOTED else name
    node = spot.node if must.at_item else spot.field_node
    got = f", got {shown(node.glimpse())}" if must.got else ""
    return node, f"{head}{quoted} must {must.text}{got}"


def must_of(field: FieldInfo) -> Must:
    """What a field must be: the words put on it, or those that its type says."""
    own = next((item for item in field.metadata if isinstance(item, Must)), None)
    if own is not None:
        return own
    # Of `int | None` the None is the default, which nobody is asked to write.
    kinds = [kind for kind in branches(field.annotation) if kind is not types.NoneType]
    kind = kinds[0]
    if typing.get_origin(kind) is Literal:
        *words, last = typing.get_args(kind)
        return Must(f"be {', '.join(words)} or {last}")
    if kind is int:
        least = [item.ge for item in field.metadata if hasattr(item, "ge")]
        most = [item.le for item in field.metadata if hasattr(item, "le")]
        if least and most:
            return Must(f"be a whole number from {least[0]} to {most[0]}")
        return Must(f"be a whole number of at least {least[0]}" if least else "be a whole number")
    if isinstance(kind, type) and issubclass(kind, FileModel):
        return Must(part_must(kind))
    plain = {bool: "be true or false", float: "be a number", str: "be text"}
    return Must(plain.get(kind, "be a mapping"))


def branches(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the type alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)
