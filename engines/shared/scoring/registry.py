"""Scorers: a problem and a response in, a verdict out. Pure, deterministic, and never 0.0 for
"could not".

Each kind of answer is a module with three functions. ``strict`` says what is right; ``guru`` gives
the value that the published GURU scorer gives, its defects included, for comparison with published
numbers, but runs nothing outside the sandbox and draws nothing by chance. ``strict`` sees a
response without its thinking; ``guru`` sees all of it, as the published ones do. ``gold_of`` gives
the right answer in the form that the module compares, or ValueError where no answer could be right;
readers of data ask it of every row (``check_gold``).

``score`` judges in this process; a ``ScoringPool`` judges in processes that can be killed: an
expression that hangs costs its own time limit and nothing else.
"""

from __future__ import annotations

import importlib
import reprlib
from collections.abc import Callable
from typing import Any, Literal

from engines.contract.config import ConfigError
from engines.contract.words import near
from engines.shared.data.problems import Problem
from engines.shared.sandbox.bubblewrap import SandboxError
from engines.shared.scoring.golds import something
from engines.shared.scoring.verdict import Verdict

Version = Literal["strict", "guru"]
VERSIONS: tuple[Version, ...] = ("strict", "guru")
Scorer = Callable[[Problem, str], Verdict]

IN_PROCESS = frozenset({"miniature", "choice", "word"})
"""Kinds that need no process of their own: they take microseconds and run nothing."""
OURS = frozenset({"miniature"})
"""Kinds that GURU does not have; its version of them is ours."""
IN_SANDBOX = frozenset({"code", "crux"})
"""Kinds that run programs. The sandbox has limits of its own, and theirs hold."""

KINDS = (
    ("math__", "mathematics"),
    ("codegen__", "code"),
    ("stem__gpqa", "choice"),
    ("stem__supergpqa", "choice"),
    ("simulation__arcagi", "grid"),
    ("simulation__barc", "grid"),
    ("logic__zebra_puzzle", "zebra"),
    ("logic__ordering_puzzle", "ordering"),
    ("logic__graph", "word"),
    ("simulation__codeio", "json_answer"),
    ("simulation__cruxeval", "crux"),
    ("table__", "table"),
    ("ood__ifeval", "instructions"),
    ("ood__livebench", "livebench"),
    # GURU's own generators leave the domain out.
    ("zebra_puzzle", "zebra"),
    ("ordering_puzzle", "ordering"),
    ("graph_logical", "word"),
)
"""Scorer by the beginning of a data source: the first prefix that fits wins."""


def kind_of(data_source: str) -> str:
    """Which scorer judges a data source. ConfigError names the known ones."""
    kind = known_kind(data_source)
    if kind is None:
        raise ConfigError(
            f"no scorer for the data source '{data_source}'; name one for its task (reward: "
            "file.py:function, or scorer in a suite), or write a source that we have one for: the "
            "miniature domains and " + ", ".join(f"{prefix}*" for prefix, _ in KINDS)
        )
    return kind


def known_kind(data_source: str) -> str | None:
    """Which scorer judges a data source; None if none of ours does."""
    if data_source.endswith("__miniature"):
        return "miniature"
    for prefix, kind in KINDS:
        if data_source.startswith(prefix):
            return kind
    return None


def check_gold(problem: Problem) -> None:
    """ValueError, in words for the user, if no answer to a problem could be judged right: a ground
    truth that is None, "" or NaN, a letter that is no choice, no rows, no tests.

    Of what none of our scorers judges only the first is asked: that there is something. Imports
    neither torch nor sympy, because ``orch`` reads data too.
    """
    something(problem.ground_truth)
    kind = problem.scorer or known_kind(problem.data_source)
    if kind is None or is_own(kind):
        return
    gold_of = module_of(kind).gold_of
    try:
        gold_of(problem)
    except ValueError:
        raise
    # Ground truths come in every shape; what trips over one must not end the program.
    except Exception as error:
        truth = reprlib.repr(problem.ground_truth)
        raise ValueError(
            f"the right answer {truth} has not the shape that its scorer ({kind}) reads "
            f"({type(error).__name__}: {error})"
        ) from error


def is_own(name: str) -> bool:
    """Whether a scorer's name means a user's function; ours have no colon."""
    return ":" in name


def check_kind(name: str) -> None:
    """ConfigError unless a scorer of ours has this name."""
    kinds = {"miniature", *(kind for _, kind in KINDS)}
    if name not in kinds:
        raise ConfigError(
            f"we have no scorer '{name}'{near(name, kinds)}; a function of your own is written "
            "file.py:function"
        )


def judged_by(problem: Problem) -> str:
    """Which scorer judges a problem: the one that its task names, else that of its data source."""
    return problem.scorer or kind_of(problem.data_source)


def answer_text(text: str) -> str | None:
    """The part of a response after its thinking: after the last ``</think>``; None if the thinking
    never ends."""
    before, closed, after = text.rpartition("</think>")
    # The answer cannot be in a thought that was cut off at the longest response.
    if "<think>" in after:
        return None
    return after if closed else before + after


def score(problem: Problem, text: str, version: Version = "strict") -> Verdict:
    """Judge one response in this process. Where it could not be judged, the value is None and the
    status says why.

    Raises ConfigError for a data source without a scorer, and nothing else.
    """
    kind = judged_by(problem)
    judge = scorer(kind, version)
    # The published scorers take the thinking off themselves, each in its own way, or not at all.
    published = version == "guru" and kind not in OURS
    try:
        # Before the response is looked at: without a right answer "no answer" is no 0.0 either.
        check_gold(problem)
        answer = text if published else answer_text(text)
        if answer is None:
            return Verdict(0.0, "no_answer", detail="the thinking never ends")
        return judge(problem, answer)
    except SandboxError as error:
        return Verdict(None, "sandbox_error", detail=str(error))
    except ValueError as error:  # the problem's own data cannot be used
        return Verdict(None, "error", detail=str(error)[:300])
    # A fault of ours or of a parser, which is no judgement of the response.
    except Exception as error:
        return Verdict(None, "error", detail=f"{type(error).__name__}: {error}"[:300])


def scorer(kind: str, version: Version = "strict") -> Scorer:
    """The function behind a kind; imported when it is needed."""
    found: Scorer = getattr(module_of(kind), version)
    return found


def module_of(kind: str) -> Any:
    """The module of a kind, imported when it is needed."""
    return importlib.import_module(f"engines.shared.scoring.{kind}")
