"""The documents without which nothing can be started, and whether they have their form: what
msgspec does elsewhere, by the standard library alone.

In: the path of such a document. Out: the document; Damaged where it is another one, with one line
that says which file it is, and what to do. Called by attempt.py and by the program itself.

A form is a type, a list of the form of its items, a mapping of the form of each key (``*``: of
every value), a tuple of forms of which one must fit, None, or a function that says whether it fits.
A key that may be missing has None among its forms.
"""

from __future__ import annotations

from orchestrator.node.cost import ASKED, is_count
from orchestrator.node.system import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Damaged(Exception):
    """A file without which nothing can be started; one line says which, and what to do."""


def fits(value: Any, form: Any) -> bool:
    """Whether a value has this form."""
    if isinstance(form, tuple):
        return any(fits(value, one) for one in form)
    if isinstance(form, list):
        return isinstance(value, list) and all(fits(one, form[0]) for one in value)
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return False
        every = [fits(one, form["*"]) for one in value.values()] if "*" in form else []
        return all(every) and all(fits(value.get(key), form[key]) for key in form.keys() - {"*"})
    if isinstance(form, type):
        return isinstance(value, form)
    return value is None if form is None else bool(form(value))


def is_command(value: Any) -> bool:
    """Whether these are the words of a command."""
    return fits(value, [str]) and value != []


def is_member(value: Any) -> bool:
    """Whether this is a job's folder, the number of the attempt and its token."""
    if not isinstance(value, list) or [type(one) for one in value] != [str, int, str]:
        return False
    return is_count(value[1]) and value[1] > 0


def is_pack(value: Any) -> bool:
    """Whether these are jobs in one allocation, how many run at a time, and what they import."""
    form = {"pack": [is_member], "warm": [str], "at_once": (is_count, None)}
    return fits(value, form) and value.get("at_once") != 0


def is_element(value: Any) -> bool:
    """Whether this is what an array's folder says of one of its elements."""
    return is_pack(value) or (isinstance(value, list) and is_member([*value, ""]))


PATHS = {"*": str}
READS = {"from": [dict], "better": dict}
JOB = {
    "name": str,
    "identity": (str, None),
    "stage": (str, None),
    "engine": (str, None),
    "command": (is_command, None),
    "cwd": str,
    "needs": PATHS,
    "beside": (PATHS, None),
    "axes": (dict, None),
    "chosen": ({"axes": (dict, None)}, None),
    "resources": (dict.fromkeys(ASKED, is_count), None),
    "checkpoints": ({"folder": str, "checkpoints": (str, [int])}, None),
    "followed": (str, None),
    "reads": (READS, None),
    "lost_at_most": (is_count, None),
}


def read_job(path: str) -> dict[str, Any]:
    """What ``job.json`` says of a job."""
    job = read_whole(path)
    wrong = [key for key, form in JOB.items() if not fits(job.get(key), form)]
    if job.get("command") is None and job.get("engine") is None:
        wrong.append("command")
    if wrong:
        raise damaged(path, wrong[0])
    return job


def read_element(path: str, index: str) -> Any:
    """What ``members.json`` says of an element, or of the only pack there is (empty index)."""
    element = read_whole(path).get(index)
    if not is_element(element):
        raise damaged(path, index)
    return element


def read_whole(path: str) -> dict[str, Any]:
    """A JSON document of orch's."""
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else f"damaged ({error})"
        raise Damaged(f"{path}: {what}; orch retry writes it anew") from error
    if not isinstance(document, dict):
        raise damaged(path, "it is no mapping")
    return document


def damaged(path: str, what: str) -> Damaged:
    """The error, with the key that is not as it should be."""
    return Damaged(f"{path}: damaged ({what!r}); orch retry writes it anew")
