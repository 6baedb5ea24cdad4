"""What runs inside the sandbox. The text of this file is sent there; it uses the standard library
only, of any Python from 3.10 on.

Two processes share a sandbox. The *candidate's* runs the response and nothing of ours that matters;
the *judge's* runs the tests. Every name of the candidate's that a test uses is a ``Remote``: a call
goes through a pipe to the candidate's process, and its result comes back as plain data. So no
object of the candidate's ever enters a comparison, no walk through frames finds an expected value,
and ``sys.exit(0)`` ends the wrong process. The judge prints a secret that it reads after the
processes have parted.
"""

from __future__ import annotations

import ast
import builtins
import collections
import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

NOT_DUMPABLE = 4, 0
WALL_FACTOR = 3
WRONG, TIMED_OUT = b"\1", b"\2"


def take(size: int, descriptor: int = 0) -> bytes:
    """Exactly so many bytes of a descriptor. EOFError if there are fewer."""
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def take_block(descriptor: int = 0) -> str:
    """A text that ``block`` wrote."""
    return take(int(take(10, descriptor)), descriptor).decode(errors="surrogatepass")


def block(text: str) -> bytes:
    """A text after its length in ten digits."""
    data = text.encode(errors="surrogatepass")
    return b"%010d" % len(data) + data


def put(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def silence() -> None:
    """Standard input, output and error lead nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def part() -> None:
    """Keep this process's memory and descriptors out of the reach of its children's /proc."""
    ctypes.CDLL(None).prctl(*NOT_DUMPABLE)


class Codec:
    """Values to JSON and back. What is not plain data becomes a number in ``objects``, and a
    stand-in on the other side."""

    def __init__(self, stand_in: Callable[[int], Any]) -> None:
        self.objects: list[Any] = []
        self.stand_in = stand_in

    def encode(self, value: Any) -> list[Any]:
        """Tag and content. Subclasses of plain types lose what makes them special; equality of
        mappings does not ask for their class."""
        if value is None or isinstance(value, (bool, bytes, complex)):
            return ["p", ascii(value)]
        if isinstance(value, int):
            return ["i", hex(value)]
        if isinstance(value, str):
            return ["p", ascii(str(value))]
        if isinstance(value, float):
            return ["f", repr(float(value))]
        for tag, kind in (
            ("l", list),
            ("t", tuple),
            ("s", set),
            ("z", frozenset),
            ("q", collections.deque),
        ):
            if isinstance(value, kind):
                return [tag, [self.encode(item) for item in value]]
        if isinstance(value, dict):
            return ["d", [[self.encode(key), self.encode(item)] for key, item in value.items()]]
        if isinstance(value, range):
            return ["r", [value.start, value.stop, value.step]]
        number = getattr(value, "_number_of_remote", None) if type(value) is Remote else None
        if number is not None:
            return ["yours", number]
        self.objects.append(value)
        return ["mine", len(self.objects) - 1]

    def decode(self, tagged: list[Any]) -> Any:
        """The value. ValueError, KeyError or TypeError if it is none."""
        tag, content = tagged
        if tag == "p":
            return ast.literal_eval(content)
        if tag in ("i", "f"):
            return int(content, 16) if tag == "i" else float(content)
        if tag == "d":
            return {self.decode(key): self.decode(item) for key, item in content}
        if tag == "r":
            return range(*content)
        if tag == "yours":
            return self.objects[content]
        if tag == "mine":
            return self.stand_in(content)
        return {"l": list, "t": tuple, "s": set, "z": frozenset, "q": collections.deque}[tag](
            map(self.decode, content)
        )


class Remote:
    """An object of the candidate's, seen from the judge. Equal to itself only."""

    def __init__(self, ask: Callable[..., Any], number: int) -> None:
        self.__dict__.update(_ask=ask, _number_of_remote=number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it over there."""
        return self._ask("call", self._number_of_remote, list(arguments), named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._ask("get", self._number_of_remote, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("set", self._number_of_remote, name, value)

    def __iter__(self) -> Any:
        return iter(self._ask("list", self._number_of_remote))

    def __len__(self) -> int:
        return int(self._ask("len", self._number_of_remote))

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", self._number_of_remote, key)

    def __str__(self) -> str:
        return str(self._ask("str", self._number_of_remote))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, arguments, named: function(*arguments, **named),
    "get": getattr,
    "set": setattr,
    "list": list,
    "len": len,
    "item": lambda container, key: container[key],
    "str": str,
}


def serve(code: str, hear: int, say: int) -> None:
    """The candidate's process: run the response, then do what the judge asks for, until the pipe
    closes."""
    space: dict[str, Any] = {"__name__": "__main__"}
    codec = Codec(lambda number: callback(codec, number, hear, say))
    exec(compile(take_block(hear), "imports", "exec"), space)  # noqa: S102  # this is the sandbox
    exec(compile(code, "candidate", "exec"), space)  # noqa: S102
    put(say, block(json.dumps(sorted(name for name in space if isinstance(name, str)))))
    while True:
        try:
            operation, *arguments = json.loads(take_block(hear))
        except EOFError:
            return
        put(say, block(json.dumps(done(codec, space, operation, arguments))))


def done(codec: Codec, space: dict[str, Any], operation: str, arguments: list[Any]) -> list[Any]:
    """The reply to one request: a value and the arguments if the call changed them, or an
    exception's name and text."""
    try:
        if operation == "global":
            value = space[arguments[0]]
            return (
                ["module", value.__name__]
                if isinstance(value, types.ModuleType)
                else ["value", codec.encode(value), None]
            )
        values = [codec.decode(argument) for argument in arguments]
        result = codec.encode(OPERATIONS[operation](*values))
        after = (
            [codec.encode(argument) for argument in values[1][:]] if operation == "call" else None
        )
        return ["value", result, after if after is not None and after != arguments[1][1] else None]
    except Exception as error:  # whatever the candidate raises is what the judge is told
        return ["raised", type(error).__name__, str(error)[:200]]


def callback(codec: Codec, number: int, hear: int, say: int) -> Callable[..., Any]:
    """A function of the test's that was passed to the candidate."""

    def stand_in(*arguments: Any) -> Any:
        put(say, block(json.dumps(["callback", number, codec.encode(list(arguments))])))
        return codec.decode(json.loads(take_block(hear)))

    return stand_in


class Judge:
    """The judge's side of the pipe."""

    def __init__(self, hear: int, say: int) -> None:
        self.hear, self.say = hear, say
        self.codec = Codec(lambda number: Remote(self.ask, number))

    def ask(self, operation: str, number: int, *arguments: Any) -> Any:
        """Have something done to an object of the candidate's; changed lists, dictionaries and sets
        are changed here too."""
        request = [operation, ["yours", number], *map(self.codec.encode, arguments)]
        reply = self.exchange(request)
        if reply[0] == "raised":
            kind = getattr(builtins, str(reply[1]), None)
            ordinary = (
                isinstance(kind, type)
                and issubclass(kind, Exception)
                and not issubclass(kind, UnicodeError)
            )
            raise (kind if ordinary else RuntimeError)(reply[2])  # type: ignore[misc]
        _, value, after = reply
        if after is not None:
            for argument, changed in zip(arguments[0], after, strict=False):
                update(argument, self.codec.decode(changed))
        return self.codec.decode(value)

    def exchange(self, request: list[Any]) -> Any:
        """Send a request and answer callbacks until its reply is there."""
        put(self.say, block(json.dumps(request)))
        while True:
            reply = json.loads(take_block(self.hear))
            if reply[0] != "callback":
                return reply
            arguments = self.codec.decode(reply[2])
            put(
                self.say,
                block(json.dumps(self.codec.encode(self.codec.objects[reply[1]](*arguments)))),
            )

    def value_of(self, name: str) -> Any:
        """A global of the candidate's; a module of the standard library is the judge's own."""
        reply = self.exchange(["global", name])
        if reply[0] == "module":
            return (
                importlib.import_module(reply[1])
                if reply[1].partition(".")[0] in sys.stdlib_module_names
                else None
            )
        return self.codec.decode(reply[1])


def update(argument: Any, changed: Any) -> None:
    """Give a mutable argument the content that the call left in it."""
    if isinstance(argument, list):
        argument[:] = changed
    elif isinstance(argument, (dict, set)):
        argument.clear()
        argument.update(changed)


def names_used(tests: ast.Module) -> list[str]:
    """Names that the tests use and do not define, builtins only if there are no others."""
    bound = {
        node.id
        for node in ast.walk(tests)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    bound |= {node.arg for node in ast.walk(tests) if isinstance(node, ast.arg)}
    bound |= {
        node.name for node in ast.walk(tests) if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    bound |= {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tests)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    free = sorted({node.id for node in ast.walk(tests) if isinstance(node, ast.Name)} - bound)
    return [name for name in free if not hasattr(builtins, name)] or free


def judge_asserts() -> None:
    """Standard input: the response, the secret, the tests. Prints the secret if the tests pass,
    else why not."""
    code = take_block()
    part()
    hear, say_candidate = os.pipe()
    hear_candidate, say = os.pipe()
    if os.fork() == 0:
        os.close(hear)
        os.close(say)
        silence()
        serve(code, hear_candidate, say_candidate)
        os._exit(0)
    os.close(say_candidate)
    os.close(hear_candidate)
    secret, text = take_block(), take_block()
    judge = Judge(hear, say)
    try:
        tests = ast.parse(text)
        imports = [node for node in tests.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        put(say, block("\n".join(map(ast.unparse, imports))))
        there = set(json.loads(take_block(hear)))
        space = {"__name__": "__main__"}
        space.update({name: judge.value_of(name) for name in names_used(tests) if name in there})
        exec(compile(tests, "tests", "exec"), space)  # noqa: S102  # the benchmark's own tests
    # a failed assertion is an outcome, as is all else that tests may raise: the scorer is told
    except BaseException as error:
        put(1, f"{type(error).__name__}: {error}"[:300].encode(errors="replace"))
    else:
        put(1, secret.encode())
    os._exit(0)


def judge_exit() -> None:
    """Standard input: program, secret. Prints the secret if the program ends as Python programs do
    when all is well."""
    code = take_block()
    part()
    child = os.fork()
    if child == 0:
        silence()
        exec(compile(code, "program", "exec"), {"__name__": "__main__"})  # noqa: S102  # this is the sandbox
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    put(1, take_block().encode() if status == 0 else f"exit status {status}".encode())
    os._exit(0)


def judge_output() -> None:
    """Standard input: program, seconds per run, inputs as JSON. Prints a status byte and the output
    of every run, up to the first bad."""
    code, seconds, inputs = (
        compile(take_block(), "program", "exec"),
        int(take_block()),
        json.loads(take_block()),
    )
    part()
    for text in inputs:
        state, output = one_run(code, seconds, text)
        put(1, state + b"%010d" % len(output) + output)
        if state != b"\0":
            break
    os._exit(0)


def one_run(code: types.CodeType, seconds: int, text: str) -> tuple[bytes, bytes]:
    """Status and output of one run of a program on one input."""
    source, sink = os.memfd_create("input"), os.memfd_create("output")
    put(source, text.encode(errors="surrogatepass"))
    os.lseek(source, 0, os.SEEK_SET)
    child = os.fork()
    if child == 0:
        os.setsid()
        silence()
        os.dup2(source, 0)
        os.dup2(sink, 1)
        seconds = min(seconds, resource.getrlimit(resource.RLIMIT_CPU)[1])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        exec(code, {"__name__": "__main__"})  # noqa: S102  # this is the sandbox
        sys.exit(0)
    handle = os.pidfd_open(child)
    in_time = bool(select.select([handle], [], [], WALL_FACTOR * seconds)[0])
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    size = os.lseek(sink, 0, os.SEEK_END)
    os.lseek(sink, 0, os.SEEK_SET)
    output = take(size, sink)
    for descriptor in (source, sink, handle):
        os.close(descriptor)
    killed_for_time = not in_time or status in (signal.SIGXCPU, signal.SIGKILL)
    return (b"\0" if status == 0 else TIMED_OUT if killed_for_time else WRONG), output


def call() -> None:
    """Standard input: a function's module, the function's name, arguments as an expression. Prints
    the encoded result."""
    code, name, expression = take_block(), take_block(), take_block()
    out = os.dup(1)
    silence()
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "function", "exec"), space)  # noqa: S102  # the benchmark's own function
    function = space[name]
    # The expression sees neither the function nor anything that could change it.
    seen = {
        key: value
        for key, value in space.items()
        if not key.startswith("_")
        and not callable(value)
        and not isinstance(value, types.ModuleType)
    }
    known = {
        kind.__name__: kind
        for kind in (dict, set, list, tuple, frozenset, range, str, int, float, bytes, bool)
    }
    names = {**seen, **known, "__builtins__": {}, "take": lambda *a, **k: (a, k)}
    arguments, named = eval(expression, names)  # noqa: S307  # this runs inside the sandbox
    put(out, json.dumps(Codec(lambda _: None).encode(function(*arguments, **named))).encode())
    os._exit(0)
