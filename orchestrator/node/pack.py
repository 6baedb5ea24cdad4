"""Run several jobs in one allocation: a process per member, each with its own claim, log, signals
and exit record; all at a time, or so many at a time.

In: the entries of ``members.json`` and the modules to import before. Out: what each member leaves,
and the exit code of the allocation. Called by ``orchestrator/node/__main__.py``, which imports it
only for a pack.

Members whose engine allows it start warm: this process imports once what takes seconds, and each
engine is a fork of it, a twentieth of a second. A member that dies does not take its neighbours;
the allocation is requeued as long as one of them goes on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import traceback

from orchestrator.node.light.forms import Damaged, fits
from orchestrator.node.start import Started, popen
from orchestrator.node.system import (
    CANCEL,
    CONTINUES,
    die_with_parent,
    ended_by_itself,
    read_json,
    requeue,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from orchestrator.node.attempt import Attempt

Entry = tuple[str, int, str]
"""Job folder, attempt, token."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
ENDED = {"results": bool, "state": str, "requeued": bool, "signals": [str]}
"""What the exit record of a member must say; one that is damaged does not end it."""
KILL_SECONDS = 30
"""From SIGTERM to SIGKILL of such a member, as Slurm's KillWait."""
HELD_BACK = {*FORWARDED, signal.SIGUSR1, signal.SIGALRM}


class Forked(Started):
    """A program that runs in a fork of this process, with what it imports already there."""

    def __init__(self, command: list[str], cwd: str, environment: dict[str, str]) -> None:
        # A signal that came before the child has reset its handlers would be taken by a copy of
        # ours, and be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                code = module_as_program(command, cwd, environment)
            finally:
                # Not sys.exit: exit functions and finally clauses above are this process's own.
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def module_as_program(command: list[str], cwd: str, environment: dict[str, str]) -> int:
    """Run ``python -P -u -m MODULE ARGUMENTS`` in this process, which is a fresh fork, as that
    command would; returns its exit code."""
    import runpy

    os.setsid()
    die_with_parent()
    for number in HELD_BACK:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    os.environ.update(environment)
    if "tempfile" in sys.modules:
        import tempfile

        tempfile.tempdir = None  # it remembers where the process that imported it was to write
    module = command.index("-m") + 1
    sys.argv = command[module:]
    code: object = 0
    try:
        os.chdir(cwd)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        runpy.run_module(command[module], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    # The top of a program, which may raise anything: printed into the member's log, as Python
    # itself does.
    except BaseException:
        traceback.print_exc()
        code = 1
    # sys.exit("text") prints the text and ends with 1.
    if isinstance(code, str):
        print(code, file=sys.stderr)
    return finished(code)


def finished(code: object) -> int:
    """End a program as python does: wait for its threads, run its exit functions, flush. Returns
    the exit code."""
    import atexit
    import threading

    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # The kernel keeps eight bits: sys.exit(-1) is 255.
    return code & 0xFF if isinstance(code, int) else int(code is not None)


def warmed(modules: list[str]) -> bool:
    """Import the modules, and see that a fork of this process is safe; False, and why, if it is
    not."""
    try:
        for name in modules:
            importlib.import_module(name)
    # An engine's import may raise anything. It is said here, and in the log of each member, which
    # meets it again.
    except Exception as error:
        print(f"orch: not started warm: {type(error).__name__}: {error}", flush=True)
        return False
    # A fork has only the thread that forks. OpenBLAS ends its own ones for that, so a first fork
    # shows which others there are.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        print(
            f"orch: not started warm: {', '.join(modules)} left {threads - 1} threads running",
            flush=True,
        )
        return False
    gc.collect()
    # A collection would touch the objects of the imports, and copy in each fork the pages that all
    # share.
    gc.freeze()
    return True


def share_of_cpus(place: int, count: int) -> set[int] | None:
    """The processors of member ``place`` of ``count``, where Slurm has confined the allocation, so
    that its program sees what it would see alone; None: no share of its own."""
    allowed = sorted(os.sched_getaffinity(0))
    # Where Slurm binds no CPUs, all of the node's can be seen, and a share of these would take CPUs
    # of other jobs.
    confined = "SLURM_JOB_ID" in os.environ and len(allowed) != os.cpu_count()
    if not confined or len(allowed) < count:
        return None
    size = len(allowed) // count
    return set(allowed[place * size : (place + 1) * size])


class Pack:
    """The members of one allocation and their processes."""

    def __init__(self, attempts: list[Attempt], at_once: int) -> None:
        self.attempts = attempts
        self.at_once = at_once
        self.waiting: list[Attempt] = []
        self.free = list(range(at_once))
        """Places, each with its share of the processors, that no member has."""
        self.running: dict[int, Attempt] = {}
        self.places: dict[int, int] = {}
        self.signals: list[int] = []
        self.ending: set[int] = set()
        for number in FORWARDED:
            signal.signal(number, self.forward)
        signal.signal(signal.SIGUSR1, self.look_for_cancels)
        signal.signal(signal.SIGALRM, self.kill_cancelled)

    def forward(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on to every member, also to those that start later."""
        self.signals.append(number)
        for pid in self.running:
            send(pid, number)

    def look_for_cancels(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End the members that alone are to end."""
        for pid, attempt in self.running.items():
            if pid not in self.ending and os.path.exists(os.path.join(attempt.path, CANCEL)):
                self.ending.add(pid)
                send(pid, signal.SIGTERM)
                signal.alarm(KILL_SECONDS)

    def kill_cancelled(self, _number: int, _frame: FrameType | None) -> None:
        """A member that was told to end and has not."""
        for pid in self.ending & self.running.keys():
            send(pid, signal.SIGKILL)

    def start(self) -> None:
        """Start the members that have not ended by themselves before a requeue, as many as may run
        at a time."""
        self.waiting = [attempt for attempt in self.attempts if not has_ended(attempt)]
        self.start_next()

    def start_next(self) -> None:
        """Start members in the free places. Once the pack was told to stop, only those that would
        start with it: they see the signal themselves."""
        late = bool(self.running or self.places) and bool(self.signals)
        while self.waiting and self.free and not late:
            attempt, place = self.waiting.pop(0), self.free.pop(0)
            # A signal between the fork and the entry in `running` would not reach this member.
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            pid = os.fork()
            if pid == 0:
                os._exit(as_member(attempt, share_of_cpus(place, self.at_once)))
            self.running[pid] = attempt
            self.places[pid] = place
            for number in self.signals:
                send(pid, number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        self.look_for_cancels()

    def wait(self) -> None:
        """Wait for all members; one whose process was killed is given its exit record here."""
        while self.running:
            pid, status = os.waitpid(-1, 0)
            attempt = self.running.pop(pid)
            self.free.append(self.places[pid])
            code = os.waitstatus_to_exitcode(status)
            # The kernel's memory killer, for example, leaves a member no time to write its record.
            killed = code < 0
            died = code > 0 and not os.path.exists(os.path.join(attempt.path, "exit.json"))
            if killed or died:
                attempt.restart = claims_before(attempt)
                attempt.can_measure = False  # what it has used went with it
                reason = f"its process was ended by signal {-code}, sent from outside"
                attempt.write_exit_record(code, requeued=False, reason=reason if killed else "")
            self.start_next()


def send(pid: int, number: int) -> None:
    """Signal a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def claims_before(attempt: Attempt) -> int:
    """How often the attempt had been started before, by its claim."""
    # One that is damaged counts as none.
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        return int(read_json(os.path.join(attempt.path, "claim.json"))["restart"])
    return 0


def has_ended(attempt: Attempt) -> bool:
    """Whether a member has nothing left to do: its exit record says that it ended by itself, or
    that it was cancelled."""
    try:
        left = read_json(os.path.join(attempt.path, "exit.json"))
        if not fits(left, ENDED):
            return False
        return ended_by_itself(left["results"], left["state"], left["requeued"], left["signals"])
    # One that is damaged counts as none.
    except (FileNotFoundError, ValueError):
        return False


def as_member(attempt: Attempt, cpus: set[int] | None) -> int:
    """In a fork of the pack: become the node process of one member; returns its exit code."""
    code = 1
    try:
        die_with_parent()
        for number in (signal.SIGUSR1, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        # The others are held back until the member has its own handlers.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGUSR1, signal.SIGALRM))
        log = os.open(attempt.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for stream in (1, 2):
            os.dup2(log, stream)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)
        code, _ = attempt.work()
    except Damaged as error:
        print(f"orch-error: {error}", flush=True)
    # The top of a fork, which must not return into the pack: printed into the member's log; its
    # exit record follows.
    except BaseException:
        traceback.print_exc()
    return code


def run_pack(entries: list[Entry], warm: list[str], at_once: int) -> int:
    """Run the members of a pack to their ends, so many at a time. Exit code 0: each has an exit
    record, which says how it ended; 1: asked to stop.

    That one of them failed is not the allocation's failure: what waits for it may need another
    member, and looks itself.
    """
    from orchestrator.node.attempt import Attempt

    if "ORCH_WRAP" in os.environ:
        warm = []  # the engine belongs into the container, which a fork of this process is not in
    if warm and "--warm" not in sys.argv:
        # This interpreter runs with -I -S and sees no installed packages, which the imports need.
        options = ["-P", "-u", "-X", "utf8"]
        python = [sys.executable, *options, sys.argv[0], sys.argv[1], "--warm"]
        os.execv(python[0], python)  # noqa: S606  # there is nothing here for a shell
    at_once = min(at_once, len(entries))
    pack = Pack([], at_once)
    start = Forked if warm and warmed(warm) else popen
    pack.attempts = [Attempt(*entry, start=start, neighbours=at_once - 1) for entry in entries]
    pack.start()
    pack.wait()
    again = [attempt for attempt in pack.attempts if wants_requeue(attempt)]
    if all(number == signal.SIGUSR2 for number in pack.signals):
        again += pack.waiting  # their turn did not come before the time limit
    trouble = requeue(again[0].job_id) if again else ""
    if trouble:
        print(f"orch-error: could not be requeued: {trouble}", flush=True)
    for attempt in again if trouble else []:
        attempt.restart = claims_before(attempt)
        attempt.can_measure = False
        # Its own record said so as well; this one takes its place.
        attempt.signals = ["SIGUSR2"]
        attempt.write_exit_record(
            CONTINUES, requeued=False, reason=f"could not be requeued: {trouble}"
        )
    # SIGUSR2 warns of the time limit and asks nobody to stop for good.
    return int(any(number != signal.SIGUSR2 for number in pack.signals))


def wants_requeue(attempt: Attempt) -> bool:
    """Whether a member has saved its state and asks to be started again."""
    try:
        return bool(read_json(os.path.join(attempt.path, "exit.json"))["requeued"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
