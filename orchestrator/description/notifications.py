"""Read who is to be told of what: `notify` in an experiment file or a profile, or the user's own
file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.description.yaml_lines import Mistakes, Node, read_file, shown
from orchestrator.errors import CheckError

USER_FILE = Path("~/.config/orch/notify.yaml")


def mistake(value: Any) -> str | None:
    """What `notify` should have been, or None if it is right."""
    if not isinstance(value, dict) or not value:
        return f"a mapping with the keys {', '.join(KEYS)}"
    if unknown := sorted(set(map(str, value)) - KEYS.keys()):
        return f"a mapping with the keys {', '.join(KEYS)} (not {', '.join(unknown)})"
    events, command = value.get("on", []), value.get("command", ["true"])
    if not isinstance(events, list) or not all(one in EVENTS for one in events):
        return f"a mapping whose 'on' is a list of {', '.join(EVENTS)}"
    if (
        not isinstance(command, list)
        or not command
        or not all(isinstance(one, str) for one in command)
    ):
        return "a mapping whose 'command' is a list of words"
    if not all(isinstance(value.get(key, ""), str) for key in ("webhook_env", "mail")):
        return "a mapping whose 'webhook_env' and 'mail' are text"
    return (
        None if value.keys() - {"on"} else "a mapping that says how: command, webhook_env or mail"
    )


def read_notify(node: Node, what: str, mistakes: Mistakes) -> dict[str, Any]:
    """The value of ``notify``; empty if it is wrong, which is told at the line of the key that
    is."""
    value = node.plain()
    wrong = mistake(value)
    if wrong is None:
        return dict(value)
    keys = node.value.items() if isinstance(node.value, dict) else ()
    bad = next(
        (
            below.where
            for key, below in keys
            if mistake({"mail": "", key: below.plain()}) is not None
        ),
        node.where,
    )
    mistakes.add(bad, f"{what} must be {wrong}, got {shown(value)}")
    return {}


def user_file() -> dict[str, Any]:
    """What the user's own file says, for experiments and profiles without `notify`; empty: there is
    none. CheckError if it is wrong."""
    path = USER_FILE.expanduser()
    if not path.is_file():
        return {}
    mistakes = Mistakes()
    root = read_file(path, mistakes)
    found = {} if root is None else read_notify(root, "the file", mistakes)
    if mistakes.lines:
        raise CheckError(*mistakes.lines)
    return found


KEYS = {
    "on": "Of which events, a list of `end`, `fail` and `decision`; all of them without it.",
    "command": "A program with its arguments, a list: `{event}`, `{run}`, `{text}` and `{folder}` "
    "are filled in. No shell.",
    "webhook_env": "Name of the environment variable that holds the URL of a webhook (Slack, "
    "Mattermost); the URL is written nowhere.",
    "mail": "Address that gets a mail, through `mail` or `sendmail` where there is one.",
}
"""Every key of `notify` in an experiment file or a profile, and of ~/.config/orch/notify.yaml."""


EVENTS = ("end", "fail", "decision")
