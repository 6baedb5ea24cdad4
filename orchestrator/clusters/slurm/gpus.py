"""GPUs in what Slurm says of the resources of a node.

In: the text of a node's ``gres``. Out: kinds of GPUs with their counts. Pure. Called by
orchestrator/checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.node.light.standard import whole

ITEM = re.compile(r",(?![^(]*\))")
"""Between two resources; sockets may stand in parentheses with commas of their own."""


def gpus_in(gres: str) -> Iterator[tuple[str | None, int]]:
    """Type and count of each kind of GPU: ``gpu:3090:4(S:0-1)`` are 4 of the type ``3090``,
    ``gpu:4`` are 4 without a type, ``(null)`` is none."""
    for item in ITEM.split(gres.strip()):
        # "gpu:a100:4(S:0-1)" names the sockets; "gpu:a100:no_consume:4" can be had by any number.
        words = item.partition("(")[0].split(":")
        if words[0].strip() != "gpu":
            continue
        named = [word.strip() for word in words[1:] if word not in ("", "no_consume")]
        # The count is the last number: a type may be one too.
        count = whole(named[-1]) if named else None
        if count is not None:
            named.pop()
        yield (":".join(named) or None, 1 if count is None else count)
