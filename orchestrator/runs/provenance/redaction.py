"""Texts without secrets, for whoever keeps or shows what a person or a job wrote.

In: a text, and the environment. Out: the text with ``<NAME>`` or ``<secret>`` in their place. The
patterns lie in orchestrator/node/redaction.py, as the program on a node needs them too.
"""

from __future__ import annotations

from orchestrator.node.redaction import is_secret as is_secret
from orchestrator.node.redaction import redacted as redacted
from orchestrator.node.redaction import redacted_output as redacted_output
from orchestrator.node.redaction import secret_values as secret_values
