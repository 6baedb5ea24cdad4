"""Take secrets out of a text before it is written down: values of variables whose names say that
they are secret, and texts that look like keys.

In: a text, and the environment. Out: the text with ``<NAME>`` or ``<secret>`` in their place.
Called wherever something is kept or shown that a person or a job wrote: launches, logs, messages,
pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from orchestrator.description.profile import SHORTEST, is_secret

KNOWN = re.compile(
    # Hugging Face, OpenAI; GitHub, GitLab; AWS, Slack; private keys of ssh and TLS.
    r"hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"
    r"|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}|https://hooks\.slack\.com/services/[\w/]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)
"""How keys of common services begin."""
# A key is long and has both letters and digits; a path or a sentence has not.
RANDOM = r"(?=[^\s'\"]*\d)(?=[^\s'\"]*[A-Za-z])[\w./+=-]{16,}"
ASSIGNED = re.compile(
    rf"(\b[A-Z0-9_]*(?:TOKEN|KEY)[A-Z0-9_]*['\"]?\s*[:=]\s*['\"]?){RANDOM}"
    r"|(\b[A-Z0-9_]*(?:SECRET|PASSWORD|PASSWD|PASSPHRASE)[A-Z0-9_]*['\"]?\s*[:=]\s*['\"]?)"
    r"[^\s'\"$(]{8,}"
)
"""``HF_TOKEN = "..."``, as it stands in a script or a .env file; ``EOS_TOKEN = "<|end|>"`` is
none."""


def secret_values(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Values of secret variables -> name, longest first. The path of a file with a secret is
    none."""
    found = {}
    for name, value in (os.environ if environment is None else environment).items():
        is_path = value.startswith("/")
        if len(value) >= SHORTEST and not is_path and is_secret(name):
            found[value] = name
    # The longest first: one value may be a part of another.
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """``text`` without secrets; what stands in their place says whose value it was."""
    # Values first: their names say more than `<secret>`.
    for value, name in secret_values(environment).items():
        text = text.replace(value, f"<{name}>")
    text = KNOWN.sub("<secret>", text)
    return ASSIGNED.sub(lambda match: f"{match[1] or match[2]}<secret>", text)
