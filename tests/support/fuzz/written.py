"""What people write, mutated: every such input is taken, or refused in lines that help.

In: a kind of input (``KINDS``) and its bytes, or changes to a sound input of that kind. Out: what is
wrong with how it ended, in words; None: nothing. The tests of descriptions try some thousands, and
``make fuzz`` as many as an hour has.
"""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from engines.contract.config import ConfigError, load_config
from engines.contract.written.mistakes import MOST_SHOWN, Mistakes
from engines.contract.written.nodes import LONGEST, LONGEST_TEXT
from engines.contract.written.reading import read
from engines.evaluation.config import Config as Evaluation
from engines.shared.data.preparation import mapped_files
from engines.shared.suites.suite import load_suite
from orchestrator.description.profile_reader import load_profile, user_messages
from orchestrator.errors import OrchError
from orchestrator.planning.planner import make_plan
from tests.support.fuzz.seeds import BASE, SEEDS

MOST_SECONDS = 2.0
"""CPU seconds until an input is taken or refused."""
ENDLESS = "ended after more than 2 s of CPU"

Change = tuple[int, int, int]
"""A mutation: which one, where, and what with."""


class Endless(BaseException):
    """Not an Exception: nothing that reads may catch it."""


def experiment(content: bytes) -> None:
    """An experiment file, planned."""
    Path("x.yaml").write_bytes(content)
    make_plan("x.yaml")
    if b"small:" in content:
        make_plan("x.yaml", "small")


def included(content: bytes) -> None:
    """A file that an experiment includes."""
    Path("part.yaml").write_bytes(content)
    Path("x.yaml").write_text("include: part.yaml\nexperiment: x\n")
    make_plan("x.yaml")


def overrides(content: bytes) -> None:
    """An argument of ``--set``, as Python takes it from the command line."""
    Path("x.yaml").write_text(BASE)
    make_plan("x.yaml", None, [os.fsdecode(content)])


def profile(content: bytes) -> None:
    """A profile of a cluster."""
    Path("site.yaml").write_bytes(content)
    load_profile("site.yaml")


def messages(content: bytes) -> None:
    """The user's own file of who is told of what."""
    Path("orch").mkdir(exist_ok=True)
    Path("orch/notify.yaml").write_bytes(content)
    user_messages()


def suite(content: bytes) -> None:
    """A suite of benchmarks of one's own."""
    Path("suite.yaml").write_bytes(content)
    load_suite("suite.yaml")


def config(content: bytes) -> None:
    """The config of an engine that is started by hand."""
    Path("config.yaml").write_bytes(content)
    load_config(Path("config.yaml"), Evaluation)


def json_config(content: bytes) -> None:
    """The same as JSON, as ``orch`` writes it."""
    Path("config.json").write_bytes(content)
    load_config(Path("config.json"), Evaluation)


def data(content: bytes) -> None:
    """The files of each task of a data set."""
    Path("tasks.yaml").write_bytes(content)
    mapped_files(Path("tasks.yaml"))


KINDS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        experiment,
        included,
        overrides,
        profile,
        messages,
        suite,
        config,
        json_config,
        data,
    )
}
PLACE = re.compile(
    r"(?:\S*(?:x|part|site|notify|suite|config|tasks)\.(?:yaml|json)(?::\d+)?(?: \(.*?\))?|--set .*?): ",
    re.S,
)


def complaint(kind: str, content: bytes) -> str | None:
    """What is wrong with how an input of a kind ends, in the working folder; None: nothing.

    ``XDG_CONFIG_HOME`` must be the working folder.
    """
    try:
        with limited():
            KINDS[kind](content)
    except Endless:
        return ENDLESS
    except OrchError as error:
        return of_lines(error.lines, content)
    except ConfigError as error:
        return of_lines([str(error)], content)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {last.name} ({last.filename}:{last.lineno}): {error}"[
            :600
        ]
    return None


@contextmanager
def limited() -> Iterator[None]:
    """Endless after some seconds of CPU, which do not hang on what else the machine does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def of_lines(lines: tuple[str, ...] | list[str], content: bytes) -> str | None:
    """What is wrong with the lines that a person is told."""
    text = os.fsdecode(content)
    if not lines or len(lines) > MOST_SHOWN + 1:
        return f"{len(lines)} lines"
    for line in lines:
        if not line.isprintable():
            return f"more than a line: {line[:300]!r}"
        if not PLACE.match(line):
            return f"no place: {line[:300]!r}"
        if len(line) > (MOST_SHOWN + 1) * (LONGEST_TEXT + LONGEST + 100):
            return f"{len(line)} characters: {line[:300]!r}"
        for start in range(0, len(line) - LONGEST, 50):
            if line[start : start + LONGEST + 1] in text:
                return f"more than {LONGEST} characters of the input: {line[:300]!r}"
    return None


def mutated(content: bytes, changes: list[Change]) -> bytes:
    """An input with changes, one after the other."""
    for which, place, what in changes:
        content = MUTATIONS[which % len(MUTATIONS)](content, place, what)
    return content


def cut(content: bytes, place: int, what: int) -> bytes:
    """Without some of its bytes."""
    start = place % (len(content) + 1)
    return content[:start] + content[start + 1 + what % 40 :]


def ended(content: bytes, place: int, what: int) -> bytes:
    """Without its end."""
    return content[: place % (len(content) + 1)]


def put_in(content: bytes, place: int, what: int) -> bytes:
    """With a word in it."""
    start = place % (len(content) + 1)
    return content[:start] + WORDS[what % len(WORDS)] + content[start:]


def value_put(content: bytes, place: int, what: int) -> bytes:
    """With another value behind a key."""
    spots = list(re.finditer(rb":[ ]+([^\n,}\]]*)", content))
    if not spots:
        return put_in(content, place, what)
    spot = spots[place % len(spots)]
    return content[: spot.start(1)] + WORDS[what % len(WORDS)] + content[spot.end(1) :]


KEY = re.compile(rb"(?<![\w-])([\w-]{1,60}):[ \n]")


def key_put(content: bytes, place: int, what: int) -> bytes:
    """With another key before a value."""
    spots = list(KEY.finditer(content))
    if not spots:
        return put_in(content, place, what)
    spot = spots[place % len(spots)]
    return content[: spot.start(1)] + WORDS[what % len(WORDS)] + content[spot.end(1) :]


def key_moved(content: bytes, place: int, what: int) -> bytes:
    """With a key of the file where another one stands."""
    keys: list[bytes] = KEY.findall(content)
    spots = list(KEY.finditer(content))
    if not spots:
        return content
    spot = spots[place % len(spots)]
    return content[: spot.start(1)] + keys[what % len(keys)] + content[spot.end(1) :]


def line_moved(content: bytes, place: int, what: int) -> bytes:
    """With one of its lines a second time elsewhere, at another depth."""
    lines = content.split(b"\n")
    line = b" " * (what % 7) + lines[place % len(lines)].lstrip()
    lines.insert((place // 7 + what) % (len(lines) + 1), line)
    return b"\n".join(lines)


def bit(content: bytes, place: int, what: int) -> bytes:
    """With one bit the other way."""
    if not content:
        return content
    start = place % len(content)
    return content[:start] + bytes([content[start] ^ (1 << what % 8)]) + content[start + 1 :]


MUTATIONS = (
    cut, ended, put_in, put_in, value_put, value_put, value_put, key_put, key_moved, line_moved, bit,
)  # fmt: skip
WORDS: tuple[bytes, ...] = (
    *(word.encode() for word in (
        "", "~", "null", "true", "0", "-1", "5", "1.5", "1e-4", "1e999", ".nan", "-.inf", "0x1f",
        "a", "a b", "''", '""', "[]", "{}", "[a]", "{a: b}", "[[a]]", "{5: 5}", "{null: 5}", "[null]",
        "{of: m}", "{of: train}", "{of: train, path: p}", "{of: train, path: /a/../b}",
        "{of: [a], path: {}}", "{metric: [a]}", "{1: {a: 1}, true: {b: 2}}", "[1, 1.0, true, '1']",
        "!!int a", "!!int [a]", "!!bool 5", "!!null x", "!!float 1,5", "!!str [a]", "!!set {a, b}",
        "!odd x", "!odd [x]", "!!binary aGk=", "!!python/name:os.system ", "!<tag:x> y", "! 5",
        "&a ", "*a", "&a [*a]", "&b {x: *b}", "<<: ", "|\n", ">-\n", "? ", "- ", ": ", ", ", "#",
        "'", '"', "[", "]", "{", "}", "\t", "\n", "\r", "\n---\n", "\n...\n", "%YAML 1.3\n",
        "`", "@", "%", "\u2028", "\u0085", "\ufeff", "\u202e", "\u00e9", "\U0001f600", "\x00", "\x07", "\x1b[31m",
        '"\\ud800"', '"\\ud83d\\ude00"', '"\\0"', '"\\x1b[2J"', '"a\\nb"', "${v}", "${w}", "${none}",
        "$${v}", "{seed}", "{none}", "{", "2 of 3", "0 of 0", "every:0", "every:2", "best",
        "~nobody-here/x.yaml", "/dev/zero", "/dev/stdin", ".", "..", "x.yaml", "part.yaml", "suite.yaml",
        "/" + "d/" * 3000, "include: x.yaml\n", "vars: {v: '${w}', w: '${v}'}\n",
        "vars: {v: [1, 2]}\n", "[0.5, 0.1]", "[1, 8]", "[-1e308, 1e308]", "[1e-320, 1e308]",
        "{uniform: [0, 1]}", "{n: 3, axes: {lr: {uniform: [0, 1]}}}", "18446744073709551615",
        "-9223372036854775809", "{ordered: [a, b, c]}", "[[a, b], [b, a]]", "trainer",
    )),
    b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xfe\xff\x00a", b"9" * 5000, b"1" * 399, b"0x" + b"f" * 300,
    b"x" * 3000, b"word " * 3000, b"y" * 200_000, b"[" * 3000, b"{a: " * 3000, b"- " * 3000,
    b"[" * 60 + b"]" * 60, b"[" + b",".join(b"%d" % i for i in range(1000)) + b"]",
    b"{" + b",".join(b"k%d: 1" % i for i in range(1000)) + b"}",
    b"{" + b",".join(b"%d: {}" % i for i in range(1000)) + b"}",
    b"[" + b",".join(b"zz%d" % i for i in range(2000)) + b"]",
    b"[" + b"{}," * 2000 + b"]",
    b"[&a [x,x,x,x,x,x,x,x], &b [*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b],"
    b" &d [*c,*c,*c,*c,*c,*c,*c,*c], &e [*d,*d,*d,*d,*d,*d,*d,*d], &f [*e,*e,*e,*e,*e,*e,*e,*e]]",
    b"".join(b" " * depth + b"a:\n" for depth in range(80)),
)  # fmt: skip


def sound(kind: str, which: int) -> bytes:
    """A sound input of a kind."""
    seeds = SEEDS[kind]
    return seeds[which % len(seeds)].encode()


def plain(text: str) -> Any:
    """The values of a text, None where it is not YAML."""
    root = read(text, "", Mistakes())
    return None if root is None else root.plain()


VALUES = [plain(word.decode("utf-8", "replace")) for word in WORDS]
"""Of the words that are YAML by themselves; None of the others."""
KEYS = sorted(
    {
        word
        for seeds in SEEDS.values()
        for seed in seeds
        for word in re.findall(r"[\w-]+(?=:)", seed)
    }
)
"""Keys that mean something somewhere, and a few that are none."""
ODD_KEYS = [None, True, 0, 5, 1.5, "", "a b", "of", "{seed}", "${v}", "x" * 150, "\u00e9", "<<"]


def reshaped(kind: str, which: int, changes: list[Change]) -> bytes:
    """A sound input as other values: what is YAML all the same."""
    head, equals, text = "", "", sound(kind, which).decode()
    if kind == "overrides":
        head, equals, text = text.partition("=")
    holder = {"all": plain(text)}
    for change in changes:
        spots = spots_below(holder)[1:]
        if spots:
            reshape(spots, change)
    return os.fsencode(head + equals + flow(holder["all"]))


def flow(value: Any) -> str:
    """A value as YAML, one of its parts a line."""
    if isinstance(value, dict):
        return "{" + ",\n".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(flow, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def reshape(spots: list[tuple[Any, Any]], change: Change) -> None:
    """Changes one of the values of a tree, or its key."""
    which, place, what = change
    container, key = spots[place % len(spots)]
    kind = which % 6
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        keys = [*KEYS, *ODD_KEYS]
        container[keys[what % len(keys)]] = container.pop(key)
    elif kind == 2:
        other, its_key = spots[what % len(spots)]
        container[key] = copy.deepcopy(other[its_key])
    elif kind == 3 and isinstance(container, dict):
        other, its_key = spots[what % len(spots)]
        container[KEYS[what % len(KEYS)]] = copy.deepcopy(other[its_key])
    else:
        container[key] = copy.deepcopy(VALUES[what % len(VALUES)])


def spots_below(holder: Any) -> list[tuple[Any, Any]]:
    """Every value below a mapping or list, as what holds it and its key or index."""
    found = []
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    for key in keys:
        found.append((holder, key))
        if isinstance(holder[key], dict | list):
            found += spots_below(holder[key])
    return found
