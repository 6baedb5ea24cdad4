"""Trees of what a person wrote, put together: a preset over a file, one value at a path.

What goes in: trees of ``Node``. What comes out: new ones, in which every value keeps the place it
came from. Called by the readers of descriptions and by the planner. How files are read is
``engines.contract.written``.
"""

from __future__ import annotations

from engines.contract.written.nodes import Node


def merge(base: Node, over: Node, null_removes: bool) -> Node:
    """``over`` on top of ``base``: mappings merge, scalars and lists replace, a reference ``{of:
    ..}`` is replaced whole.

    With ``null_removes`` a null takes the key out if it is there, but for engines' configs, where
    null is a value of its own.
    """
    # `{of: a, path: p}` over `{of: b, checkpoint: last}`: merged it would have three keys and mean
    # nothing.
    mappings = isinstance(base.value, dict) and isinstance(over.value, dict)
    if not mappings or "of" in base.value or "of" in over.value:
        return over
    values = dict(base.value)
    for key, node in over.value.items():
        if key not in values:
            values[key] = node
        elif node.value is None and null_removes:
            del values[key]
        else:
            # Below `config` a null is a value that an engine reads, at whatever depth.
            values[key] = merge(values[key], node, null_removes and key != "config")
    return Node(values, base.where)


def put(root: Node, path: tuple[str, ...], value: Node) -> Node:
    """``root`` with ``value`` at ``path``; mappings on the way are made. Raises KeyError naming
    what is not a mapping."""
    if not path:
        return value
    if root.value is not None and not isinstance(root.value, dict):
        raise KeyError(path[0])
    values = dict(root.value or {})
    # A mapping that is made here has the place of the value, as nobody wrote it down.
    below = values.get(path[0], Node({}, value.where))
    values[path[0]] = put(below, path[1:], value)
    return Node(values, root.where)
