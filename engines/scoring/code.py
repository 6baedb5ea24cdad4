"""Programs, judged by tests in the sandbox. The verdict is a secret that only the judge prints, never an exit code.

Inside the sandbox two processes run. The candidate's process runs the response and then the tests, with its output thrown away. When
the tests have passed it answers a challenge of the judge, which then prints the secret. The judge reads the secret after the
candidate's process has split off, so no walk through frames, globals or objects finds it, and ``sys.exit(0)`` ends the wrong process.
What is left to a cheat is to speak the protocol below, in this very file's words.
"""

from __future__ import annotations

import re
import secrets

from engines.data import Problem
from engines.sandbox import run_program
from engines.scoring import Verdict

FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
SECONDS = 10.0
SECRET_BYTES = 32

JUDGE = """
import ctypes, hashlib, os
asked, answer = os.pipe()
challenge, reply = os.pipe()
if os.fork() == 0:
    os.close(asked); os.close(reply)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    def run(ask=os.write, hear=os.read, digest=hashlib.sha256):
        space = {{"__name__": "__main__"}}
        exec(compile({candidate!r}, "candidate", "exec"), space)
        exec(compile({tests!r}, "tests", "exec"), space)
        ask(answer, b"?")
        ask(answer, digest(hear(challenge, 16)).digest())
    run()
    os._exit(0)
os.close(answer); os.close(challenge)
ctypes.CDLL(None).prctl(4, 0)  # not dumpable: the candidate cannot read this process's memory
secret = os.read(0, {size})
first = os.read(asked, 1)
number = os.urandom(16)
if first == b"?":
    os.write(reply, number)
    if os.read(asked, 32) == hashlib.sha256(number).digest():
        os.write(1, secret)
"""


def code_of(text: str) -> str | None:
    """All fenced blocks of a response, or the response itself if it is plain code."""
    blocks = FENCE.findall(text)
    if blocks:
        return "\n\n".join(block.rstrip() for block in blocks)
    return text if re.search(r"^\s*(def|class|import|from)\s", text, re.MULTILINE) else None


def score_code(problem: Problem, text: str) -> Verdict:
    """1.0 if the program passes all tests of the problem."""
    code = code_of(text)
    if code is None:
        return Verdict(0.0, "no_answer", detail="no code in the response")
    secret = secrets.token_hex(SECRET_BYTES // 2).encode()
    program = JUDGE.format(candidate=code, tests=problem.ground_truth["tests"], size=SECRET_BYTES)
    execution = run_program(program, SECONDS, standard_input=secret)
    if execution.timed_out:
        return Verdict(0.0, "ok", code, "time limit")
    return Verdict(float(execution.stdout == secret), "ok", code)
