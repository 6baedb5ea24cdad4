"""What runs inside the sandbox. The text of this file is sent there; it uses the standard library
only, of any Python from 3.10 on.

Two processes share a sandbox. The *candidate's* runs the response and nothing of ours that matters;
the *judge's* runs the tests. Every name of the candidate's that a test uses is a ``Remote``: a call
goes through a pipe to the candidate's process, and its result comes back as plain data. So no
object of the candidate's ever enters a comparison, no walk through frames finds an expected value,
and ``sys.exit(0)`` ends the wrong process. The judge prints a secret that it reads after the
processes have parted, and imports nothing that the candidate names.
"""

from __future__ import annotations

import ast
import builtins
import collections
import contextlib
import ctypes
import functools
import importlib
import json
import operator
import os
import resource
import select
import signal
import sys
import time
import types

# Each import costs every program, and typing's is one of the longest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Options of prctl and their values.
NOT_DUMPABLE, DUMPABLE = (4, 0), (4, 1)
WALL_FACTOR = 3
WRONG, TIMED_OUT, KILLED, NOT_BEGUN = b"\1", b"\2", b"\3", b"\4"
"""Status bytes of a run. Killed: by a signal that nobody here has sent. Not begun: the machine
gives no process, and the candidate has not run."""
OUT_OF_TIME = "out of time"
NOTHING_TESTED = "nothing tested"
WAS_KILLED = "was killed before its tests"
"""Said of a candidate's process that a signal ended which nobody here has sent."""
REPLY_BYTES = 1 << 25
"""The longest reply of the candidate's process that the judge reads."""
ALIASES = {"np": "numpy"}
"""Names under which tests know a module without importing it."""
PATIENCE = 100
"""Hundredths of a second in which a process that does not answer any more has ended."""


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


class NoAnswerError(BaseException):
    """The candidate's process says what no honest one says. Not an Exception: tests may catch
    those."""


def take_block(descriptor: int = 0, most: int = 0) -> str:
    """A text that ``block`` wrote, of at most ``most`` bytes (0: any number). NoAnswerError if it
    is longer."""
    size = int(take(10, descriptor))
    if most and not 0 <= size <= most:
        raise NoAnswerError(f"a reply of {size} bytes, more than {most}")
    return take(size, descriptor).decode(errors="surrogatepass")


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


def fork(out: int, refused: bytes) -> int:
    """``os.fork`` for a candidate's process. Where the machine gives no process, this one says
    ``refused`` and ends.

    Before the candidate begins, this process's memory and descriptors are out of the reach of its
    /proc, and so are this one's tests of the signal of which Python makes an exception. The
    candidate gets signals as any program does, and hides nothing from who looks what it takes.
    """
    set_option = ctypes.CDLL(None).prctl
    # For the moment of the fork: the candidate's process inherits it.
    set_option(*DUMPABLE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hear, say = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        put(out, refused + str(error).encode())
        os._exit(0)
    if child == 0:
        os.close(say)
        if not os.read(hear, 1):
            os._exit(1)
        os.close(hear)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return 0
    set_option(*NOT_DUMPABLE)
    os.close(hear)
    os.write(say, b"!")
    os.close(say)
    return child


SEQUENCES: tuple[tuple[str, type[Any]], ...] = (
    ("l", list),
    ("t", tuple),
    ("s", set),
    ("z", frozenset),
    ("q", collections.deque),
    # These views are equal to sets, and to one another by their content.
    ("k", type({}.keys())),
    ("e", type({}.items())),
)
STANDARD = (
    # A datetime is a date too.
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("fractions", "Fraction"),
    ("decimal", "Decimal"),
    ("collections", "OrderedDict"),
    ("collections", "Counter"),
)
"""Classes of the standard library that are made anew from plain values on the other side: module
and name. No other class gets across."""
NUMBERS = "biufc"
"""numpy's kinds of numbers: truth values, integers with and without sign, floats, complex."""


def apart(kind: tuple[str, str], value: Any) -> list[Any]:
    """The arguments that make an equal value of a class in STANDARD."""
    name = kind[1]
    if name in ("datetime", "time"):
        timezone = sys.modules["datetime"].timezone
        offset = value.utcoffset()
        zone = None if offset is None else timezone(offset)
        clock = [value.hour, value.minute, value.second, value.microsecond, zone]
        return clock if name == "time" else [value.year, value.month, value.day, *clock]
    if name == "date":
        return [value.year, value.month, value.day]
    if name == "timedelta":
        return [value.days, value.seconds, value.microseconds]
    if name == "timezone":
        return [value.utcoffset(None)]
    if name == "Fraction":
        return [value.numerator, value.denominator]
    return [str(value)] if name == "Decimal" else [dict(value)]


class Codec:
    """Values to JSON and back. What is not plain data, nor of a class in STANDARD or numpy's,
    becomes a number in ``objects``, and a stand-in on the other side."""

    def __init__(self, stand_in: Callable[[int], Any]) -> None:
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        """Place in ``objects`` by identity: one object has one stand-in, so that ``is`` holds."""
        self.stand_in = functools.cache(stand_in)

    def encode(self, value: Any) -> list[Any]:
        """Tag and content. Subclasses lose what makes them special: their values are what is
        compared, never their methods."""
        encoded = self.scalar(value) or self.container(value) or self.of_library(value)
        if encoded is not None:
            return encoded
        number = getattr(value, "_number_of_remote", None) if type(value) is Remote else None
        if number is not None:
            return ["yours", number]
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return ["mine", self.numbers[id(value)]]

    def scalar(self, value: Any) -> list[Any] | None:
        """A value without parts; None if it is none."""
        if value is None or isinstance(value, (bool, bytes)):
            return ["p", ascii(value)]
        if isinstance(value, int):
            return ["i", hex(value)]
        if isinstance(value, str):
            return ["u", str(value)]
        if isinstance(value, float):
            return ["f", repr(float(value))]
        if isinstance(value, complex):
            return ["c", [repr(float(value.real)), repr(float(value.imag))]]
        if isinstance(value, bytearray):
            return ["y", ascii(bytes(value))]
        # A class, such as int, or ...: the other side has its own.
        if isinstance(value, type) or value is Ellipsis or value is NotImplemented:
            name = getattr(value, "__name__", repr(value))
            return ["b", name] if getattr(builtins, str(name), None) is value else None
        return None

    def container(self, value: Any) -> list[Any] | None:
        """A collection with its items; None if it is none."""
        for tag, kind in SEQUENCES:
            if isinstance(value, kind):
                return [tag, [self.encode(item) for item in value]]
        if isinstance(value, range):
            return ["r", [value.start, value.stop, value.step]]
        # These two are equal by rules of their own, and in STANDARD.
        if isinstance(value, dict) and not isinstance(
            value, (collections.OrderedDict, collections.Counter)
        ):
            return ["d", [[self.encode(key), self.encode(item)] for key, item in value.items()]]
        return None

    def of_library(self, value: Any) -> list[Any] | None:
        """A value of a known class of the standard library, or a number or array of numpy's; None
        if it is neither."""
        for place, (module, name) in enumerate(STANDARD):
            # Of a module that this process has not loaded it has no value either.
            kind = getattr(sys.modules.get(module), name, None)
            if isinstance(kind, type) and isinstance(value, kind):
                parts = apart((module, name), value)
                return ["o", [place, [self.encode(part) for part in parts]]]
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(value, (numpy.generic, numpy.ndarray)):
            return None
        if value.dtype.kind not in NUMBERS or value.dtype.itemsize > 16:
            return None
        flat = [self.encode(item) for item in value.ravel().tolist()]
        shape = list(value.shape) if isinstance(value, numpy.ndarray) else None
        return ["n", [value.dtype.str, shape, flat]]

    def decode(self, tagged: list[Any]) -> Any:
        """The value. ValueError, KeyError or TypeError if it is none."""
        tag, content = tagged
        if tag in PARTLESS:
            return PARTLESS[tag](content)
        if tag == "d":
            return {self.decode(key): self.decode(item) for key, item in content}
        if tag == "yours":
            return self.objects[content]
        if tag == "mine":
            return self.stand_in(content)
        if tag == "o":
            module, name = STANDARD[content[0]]
            kind = getattr(importlib.import_module(module), name)
            return kind(*map(self.decode, content[1]))
        if tag == "n":
            return of_numpy(content[0], content[1], [self.decode(item) for item in content[2]])
        items = list(map(self.decode, content))
        if tag in ("k", "e"):
            return dict.fromkeys(items).keys() if tag == "k" else dict(items).items()
        return COLLECTIONS[tag](items)


def named_builtin(name: str) -> Any:
    """A class among the builtins, or one of its two singletons."""
    value = getattr(builtins, name)
    if isinstance(value, type) or value is Ellipsis or value is NotImplemented:
        return value
    raise ValueError(name)


COLLECTIONS: dict[str, Callable[[Any], Any]] = {
    "l": list,
    "t": tuple,
    "s": set,
    "z": frozenset,
    "q": collections.deque,
}
PARTLESS: dict[str, Callable[[Any], Any]] = {
    "p": ast.literal_eval,
    "u": str,
    "i": lambda content: int(content, 16),
    "f": float,
    "c": lambda content: complex(*map(float, content)),
    "y": lambda content: bytearray(ast.literal_eval(content)),
    "b": named_builtin,
    "r": lambda content: range(*content),
}


def of_numpy(dtype: str, shape: list[int] | None, flat: list[Any]) -> Any:
    """A number or an array of numpy's."""
    numpy: Any = importlib.import_module("numpy")
    kind = numpy.dtype(dtype)
    if kind.kind not in NUMBERS:
        raise ValueError(dtype)
    return kind.type(flat[0]) if shape is None else numpy.array(flat, kind).reshape(shape)


class Remote:
    """An object of the candidate's, seen from the judge. Equal to itself only, whatever the
    candidate defines: else one ``__eq__`` would pass ``assert f(1) == f(2)``."""

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
        iterator = self._ask("iter", self._number_of_remote)
        if not isinstance(iterator, Remote):  # a copy of it, as of a list's
            return iter(iterator)
        return iterator if iterator is self else iter(self._ask("list", self._number_of_remote))

    def __next__(self) -> Any:
        return self._ask("next", self._number_of_remote)

    def __len__(self) -> int:
        return int(self._ask("len", self._number_of_remote))

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", self._number_of_remote, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("setitem", self._number_of_remote, key, value)

    def __delitem__(self, key: Any) -> None:
        self._ask("delitem", self._number_of_remote, key)

    def __enter__(self) -> Any:
        return self._ask("enter", self._number_of_remote)

    def __exit__(self, *_: Any) -> None:
        self._ask("exit", self._number_of_remote)

    def __str__(self) -> str:
        return str(self._ask("str", self._number_of_remote))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, arguments, named: function(*arguments, **named),
    "get": getattr,
    "set": setattr,
    "list": list,
    "len": len,
    "item": lambda container, key: container[key],
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "iter": iter,
    "next": next,
    "str": str,
    "enter": lambda manager: manager.__enter__(),
    "exit": lambda manager: manager.__exit__(None, None, None),
}


def serve(code: str, hear: int, say: int) -> None:
    """The candidate's process: run the response, then do what the judge asks for, until the pipe
    closes."""
    name, imports = take_block(hear), take_block(hear)
    # A module of its own: what asks for the module of a class, such as dataclasses, finds it.
    module = types.ModuleType(name)
    sys.modules[name] = module
    space: dict[str, Any] = module.__dict__
    codec = Codec(lambda number: callback(codec, number, hear, say))
    exec(compile(imports, "imports", "exec"), space)  # noqa: S102  # this is the sandbox
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
    # Whatever the candidate raises is what the judge is told, exits of its own too.
    except BaseException as error:
        return ["raised", ordinary_kind(type(error)), str(error)[:200]]


def ordinary_kind(kind: type[BaseException]) -> str:
    """The name of the builtin exception that one is, or is derived from: what tests can catch."""
    for base in kind.__mro__:
        # A UnicodeError cannot be made of a text.
        is_builtin = getattr(builtins, base.__name__, None) is base
        if is_builtin and not issubclass(base, UnicodeError):
            return base.__name__
    return "Exception"


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
        self.used = False
        """Whether the tests have used anything of the candidate's."""

    def ask(self, operation: str, number: int, *arguments: Any) -> Any:
        """Have something done to an object of the candidate's; changed lists, dictionaries and sets
        are changed here too."""
        self.used = True
        request = [operation, ["yours", number], *map(self.codec.encode, arguments)]
        try:
            reply = self.exchange(request)
        except FLOW as error:
            # Of a function of the test's, but called when the candidate likes.
            raise RuntimeError(f"a callback raised {type(error).__name__}") from error
        if reply[0] == "raised":
            raise raised(str(reply[1]), reply[2], operation == "next")
        _, value, after = reply
        if after is not None:
            for argument, changed in zip(arguments[0], after, strict=False):
                update(argument, self.codec.decode(changed))
        return self.codec.decode(value)

    def exchange(self, request: list[Any]) -> Any:
        """Send a request and answer callbacks until its reply is there."""
        put(self.say, block(json.dumps(request)))
        while True:
            reply = json.loads(take_block(self.hear, REPLY_BYTES))
            if reply[0] != "callback":
                return reply
            arguments = self.codec.decode(reply[2])
            put(
                self.say,
                block(json.dumps(self.codec.encode(self.codec.objects[reply[1]](*arguments)))),
            )

    def value_of(self, name: str) -> Any:
        """A global of the candidate's; a module of the standard library, or numpy, is the judge's
        own."""
        reply = self.exchange(["global", name])
        if reply[0] == "module":
            return own_module(str(reply[1]))
        value = self.codec.decode(reply[1])
        # A plain value is asked for once, by being there; a function has to be called.
        self.used = self.used or not isinstance(value, Remote)
        return value


FLOW = (StopIteration, StopAsyncIteration, GeneratorExit, SystemExit, KeyboardInterrupt)
"""Exceptions that tell somebody to stop, and are no errors."""


def raised(name: str, text: object, may_stop: bool) -> BaseException:
    """What a reply says was raised: an error. One that is control flow would end a loop of the
    tests', with ``map`` or ``zip`` in it, before anything is asserted; as inside a generator it
    becomes a RuntimeError. ``may_stop``: an iterator was asked for its next item."""
    kind = getattr(builtins, name, None)
    if may_stop and kind is StopIteration:
        return StopIteration()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, FLOW):
        return kind(text)
    return RuntimeError(f"{name}: {text}")


def own_module(name: str) -> Any:
    """A module by the name that the candidate gives it; None if it is not one that tests use. Only
    whole packages are imported: a module such as ``unittest.__main__`` runs what it finds in the
    candidate's folder."""
    package, *inner = name.split(".")
    if package != "numpy" and (package not in sys.stdlib_module_names or package.startswith("_")):
        return None
    module = importlib.import_module(package)
    for part_of_it in inner:
        module = getattr(module, part_of_it, None)  # type: ignore[assignment]
    return module if isinstance(module, types.ModuleType) else None


def modules_used(tests: ast.Module, names: list[str]) -> list[str]:
    """Those of the names that the tests use as modules only, such as ``math`` in ``math.isclose``:
    they are the judge's own, whatever the candidate calls so."""
    nodes = list(ast.walk(tests))
    uses = collections.Counter(node.id for node in nodes if isinstance(node, ast.Name))
    with_part = collections.Counter(
        node.value.id
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )
    known = {*sys.stdlib_module_names, *ALIASES, *ALIASES.values()}
    return [name for name in names if name in known and 0 < uses[name] == with_part[name]]


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
    hear, say_candidate = os.pipe()
    hear_candidate, say = os.pipe()
    candidate = fork(1, NOT_BEGUN)
    if candidate == 0:
        os.close(hear)
        os.close(say)
        silence()
        serve(code, hear_candidate, say_candidate)
        os._exit(0)
    os.close(say_candidate)
    os.close(hear_candidate)
    secret, text = take_block(), take_block()
    out = os.dup(1)
    # What tests print is no verdict.
    silence()
    judge = Judge(hear, say)
    said = ""
    try:
        run_tests(judge, text)
    # a failed assertion is an outcome, as is all else that tests may raise: the scorer is told
    except BaseException as error:
        # unittest.main() ends like this; exits of the candidate's end the other process.
        well = isinstance(error, SystemExit) and error.code in (None, 0)
        said = "" if well else f"{type(error).__name__}: {error}"[:300]
        # The candidate does not answer any more.
        if isinstance(error, (EOFError, BrokenPipeError)):
            said = how_ended(candidate)
    # Without tests it is the response itself that is run.
    if not said and not judge.used and text:
        said = NOTHING_TESTED
    put(out, (said or secret).encode(errors="replace"))
    os._exit(0)


def run_tests(judge: Judge, text: str) -> None:
    """Run the tests against the candidate's process."""
    tests = ast.parse(text)
    imports = [node for node in tests.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    # Under tests a program is imported: what it would do as a script is not done. Without tests it
    # is a script.
    put(judge.say, block("solution" if tests.body else "__main__"))
    put(judge.say, block("\n".join(map(ast.unparse, imports))))
    there = set(json.loads(take_block(judge.hear, REPLY_BYTES)))
    # unittest looks for its tests in the main module.
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    space: dict[str, Any] = main.__dict__
    names = [name for name in names_used(tests) if name in there]
    modules = modules_used(tests, names)
    space.update({name: own_module(ALIASES.get(name, name)) for name in modules})
    space.update({name: judge.value_of(name) for name in names if name not in modules})
    exec(compile(tests, "tests", "exec"), space)  # noqa: S102  # the benchmark's own tests


def killed_for_time(status: int, spent: resource.struct_rusage, seconds: float = 0) -> bool:
    """Whether a process was killed for its CPU time; ``seconds`` if its limit is not our own."""
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    # Half: the kernel's limit counts ticks, which on a busy machine run ahead of what it reports.
    allowed = seconds or resource.getrlimit(resource.RLIMIT_CPU)[0]
    return killed and spent.ru_utime + spent.ru_stime >= 0.5 * allowed


def how_ended(child: int) -> str:
    """Why a process does not answer any more."""
    # It has closed its pipe, and ends at once or soon.
    for _ in range(PATIENCE):
        ended, status, spent = os.wait4(child, os.WNOHANG)
        if ended:
            if killed_for_time(status, spent):
                return OUT_OF_TIME
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                return WAS_KILLED
            return f"ended, or was killed, before its tests (wait status {status})"
        time.sleep(0.01)
    return "stopped answering before its tests"


def judge_exit() -> None:
    """Standard input: program, secret. Prints the secret if the program ends as Python programs do
    when all is well."""
    code = take_block()
    child = fork(1, NOT_BEGUN)
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
    for number, text in enumerate(inputs):
        state, output = one_run(code, seconds, text, number)
        put(1, state + b"%010d" % len(output) + output)
        if state != b"\0":
            break
    os._exit(0)


def scratch(name: str) -> int:
    """An empty file without a name, in the program's own folder."""
    made = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)  # noqa: PTH108  # importing pathlib costs every program
    return made


def one_run(code: types.CodeType, seconds: int, text: str, number: int) -> tuple[bytes, bytes]:
    """Status and output of the run of this number of a program, on one input."""
    source, sink = scratch(f".input-{number}"), scratch(f".output-{number}")
    put(source, text.encode(errors="surrogatepass"))
    os.lseek(source, 0, os.SEEK_SET)
    # A later run may find no process left because of what an earlier one has started.
    refused = (NOT_BEGUN if number == 0 else KILLED) + b"%010d" % 0
    child = fork(1, refused)
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
    _, status, spent = os.wait4(child, 0)
    size = os.lseek(sink, 0, os.SEEK_END)
    os.lseek(sink, 0, os.SEEK_SET)
    output = take(size, sink)
    for descriptor in (source, sink, handle):
        os.close(descriptor)
    if status == 0:
        return b"\0", output
    if not in_time or killed_for_time(status, spent, seconds):
        return TIMED_OUT, output
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return KILLED if killed else WRONG, output


def call() -> None:
    """Standard input: a function's module, the function's name, arguments as an expression. Prints
    the encoded result; that the time is over; or nothing."""
    out = os.dup(1)
    child = fork(out, NOT_BEGUN)
    if child == 0:
        call_inside(out)
        os._exit(0)
    _, status, spent = os.wait4(child, 0)
    if killed_for_time(status, spent):
        put(out, OUT_OF_TIME.encode())
    os._exit(0)


def call_inside(out: int) -> None:
    """The part of ``call`` that runs the function."""
    code, name, expression = take_block(), take_block(), take_block()
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
    kinds = (dict, set, list, tuple, frozenset, range, str, int, float, bytes, bool)
    functions = (abs, chr, len, max, min, ord, round, sorted, sum)
    known = {value.__name__: value for value in (*kinds, *functions)}
    names = {**seen, **known, "__builtins__": {}, "take": lambda *a, **k: (a, k)}
    arguments, named = eval(expression, names)  # noqa: S307  # this runs inside the sandbox
    put(out, json.dumps(Codec(lambda _: None).encode(function(*arguments, **named))).encode())
    os._exit(0)
