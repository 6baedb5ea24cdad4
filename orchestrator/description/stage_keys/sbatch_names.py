"""The names of sbatch's options, in whatever spelling somebody wrote them.

In: a key or a value of ``sbatch:``. Out: the long name that sbatch knows, and the value as one word
of a script. Called by ``Profile`` and by the readers of profiles and stages, so that no option is
ever there twice. Light: a look at a run reads its profile.
"""

from __future__ import annotations

from collections.abc import Mapping

Value = str | int | float | bool | list[str | int] | None
"""What may stand behind an option in a file."""

SHORT = {
    "A": "account",
    "a": "array",
    "B": "extra-node-info",
    "b": "begin",
    "C": "constraint",
    "c": "cpus-per-task",
    "D": "chdir",
    "d": "dependency",
    "e": "error",
    "F": "nodefile",
    "G": "gpus",
    "H": "hold",
    "h": "help",
    "i": "input",
    "J": "job-name",
    "k": "no-kill",
    "L": "licenses",
    "M": "clusters",
    "m": "distribution",
    "N": "nodes",
    "n": "ntasks",
    "O": "overcommit",
    "o": "output",
    "p": "partition",
    "q": "qos",
    "Q": "quiet",
    "S": "core-spec",
    "s": "oversubscribe",
    "t": "time",
    "V": "version",
    "v": "verbose",
    "W": "wait",
    "w": "nodelist",
    "x": "exclude",
}
"""sbatch's options of one letter, which alone are told apart by case."""
_LONG = """
    account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment
    constraint container container-id contiguous core-spec cores-per-socket cpu-freq
    cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude
    exclusive export export-file extra extra-node-info get-user-env gid gpu-bind gpu-freq gpus
    gpus-per-node gpus-per-socket gpus-per-task gres gres-flags help hint hold ignore-pbs input
    job-name kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu
    mem-per-gpu mincpus network nice no-kill no-requeue nodefile nodelist nodes ntasks
    ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket oom-kill-step open-mode
    output overcommit oversubscribe parsable partition power prefer priority profile propagate
    qos quiet reboot requeue reservation segment signal sockets-per-node spread-job stepmgr
    switches test-only thread-spec threads-per-core time time-min tmp tres-bind tres-per-task
    uid usage use-min-nodes verbose version wait wait-all-nodes wckey wrap
"""
LONG = frozenset(_LONG.split())
"""Its options by their long names, of 22.05 to 26.05. Plugins of a site may add others."""


def option_name(text: str) -> str:
    """The long name of an option: without the dashes in front of it, `_` as `-`, a letter alone
    and an unambiguous beginning as what they stand for. Others stay as they are."""
    bare = text.strip().lstrip("-")
    if bare in SHORT:
        return SHORT[bare]
    name = bare.replace("_", "-").lower()
    if name in LONG:
        return name
    # sbatch takes `--cpus-per-t`.
    meant = [known for known in LONG if name and known.startswith(name)]
    return meant[0] if len(meant) == 1 else name


def by_name(options: Mapping[str, Value]) -> dict[str, str | int | float | bool]:
    """Options by the names that sbatch knows; a list becomes one word with commas, and an empty
    one, as what has no value, is as good as not there."""
    found: dict[str, str | int | float | bool] = {}
    for text, value in options.items():
        if isinstance(value, list):
            if not value:
                continue
            found[option_name(text)] = ",".join(map(str, value))
        elif value is not None:
            found[option_name(text)] = value
    return found


def said_twice(options: Mapping[str, Value]) -> str | None:
    """Two spellings of one option, in words; None: there are none."""
    seen: dict[str, str] = {}
    for text in map(str, options):
        name = option_name(text)
        if name in seen:
            return f"'{seen[name]}' and '{text}'"
        seen[name] = text
    return None


def broken_value(options: Mapping[str, Value]) -> str | None:
    """An option whose value would be more than one word of a script; None: there is none."""
    for text, value in by_name(options).items():
        if isinstance(value, str) and not value.isprintable():
            return text
    return None
