"""Six miniature reasoning domains: each draws a problem with its answer, and with the answer of a
bad habit.

In: a seed and how many problems. Out: problems cut into splits without one in common, and texts for
the warm-up of a tiny model that never show a held-out problem. The engine ``miniature`` makes its
data and its model with it, ``orch data prepare miniature`` the data alone.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from engines.shared.data.problems import Problem, make_problem, user

DRAWS_PER_PROBLEM = 200

LETTERS = string.ascii_lowercase.replace("x", "")


@dataclass(frozen=True)
class Drawn:
    """A problem as text, with the right answer and the habitual wrong one."""

    prompt: str
    answer: str
    habit: str


def letters(random: Random, count: int) -> list[str]:
    """Different letters; x is left to programs."""
    return random.sample(LETTERS, count)


# The order in which a generator draws its numbers is part of the data: the same seed must give the
# same problems in every version.


def math(random: Random) -> Drawn:
    """A sum below ten. Habit: one too many."""
    p, q = letters(random, 2)
    # At most 4 + 4, so that the habit, one more, is still a single digit.
    a, b = random.randint(0, 4), random.randint(0, 4)
    return Drawn(f"{p}={a} {q}={b} {p}+{q}=", answer=str(a + b), habit=str(a + b + 1))


def logic(random: Random) -> Drawn:
    """A connective of two truth values. Habit: its negation, in small letters."""
    p, q = letters(random, 2)
    a = random.randint(0, 1)
    b = random.randint(0, 1)
    connective = random.choice("&|^")
    values = {"&": a & b, "|": a | b, "^": a ^ b}
    is_true = bool(values[connective])
    return Drawn(
        f"{p}={a} {q}={b} {p}{connective}{q}?",
        answer="T" if is_true else "F",
        habit="f" if is_true else "t",
    )


def code(random: Random) -> Drawn:
    """A program of x from two examples, such as x+3. Habit: the program with a minus."""
    (name,) = letters(random, 1)
    k = random.randint(1, 6)
    first = random.randint(0, 2)
    second = first + 1
    examples = f"{name}({first})={first + k} {name}({second})={second + k}"
    return Drawn(f"{examples} {name}(x)=", answer=f"x+{k}", habit=f"x-{k}")


LAWS = ("F=m*a", "U=R*I", "s=v*t", "p=m*v", "W=F*s", "P=U*I", "Q=I*t", "E=h*f")


def science(random: Random) -> Drawn:
    """A product law with two numbers put in. Habit: the sum."""
    law = random.choice(LAWS)
    result, product = law.split("=")
    first, second = product.split("*")
    a = random.randint(1, 5)
    b = random.randint(1, 5)
    prompt = f"{law} {first}={a} {second}={b} {result}="
    return Drawn(prompt, answer=str(a * b), habit=str(a + b))


def simulation(random: Random) -> Drawn:
    """A counter that goes up and down. Habit: the last move is forgotten."""
    (name,) = letters(random, 1)
    # Three moves from 3 to 6 end between 0 and 9: one digit, no sign.
    start = random.randint(3, 6)
    moves = [random.choice((1, -1)) for _ in range(3)]
    signs = "".join("+" if move > 0 else "-" for move in moves)
    end = start + sum(moves)
    return Drawn(f"{name}:{start} {signs} {name}:", answer=str(end), habit=str(end - moves[-1]))


def tabular(random: Random) -> Drawn:
    """The largest value of a table of three rows. Habit: the smallest."""
    keys = letters(random, 3)
    values = random.sample("0123456789", 3)
    table = " ".join(f"{key}{value}" for key, value in zip(keys, values, strict=True))
    return Drawn(f"{table} max=", answer=max(values), habit=min(values))


GENERATORS: dict[str, Callable[[Random], Drawn]] = {
    "code": code,
    "logic": logic,
    "math": math,
    "science": science,
    "simulation": simulation,
    "tabular": tabular,
}

DOMAINS = tuple(GENERATORS)

SIZES = {"train": 64, "validation": 40, "test": 60}
"""Problems of each split of a domain, if nothing else is said."""


def problem(domain: str, drawn: Drawn) -> Problem:
    """A drawn problem in the project's form."""
    return make_problem(
        f"{domain}__miniature",
        user(drawn.prompt),
        drawn.answer,
        ability=domain,
        apply_chat_template=False,
    )


def splits(domain: str, sizes: dict[str, int], seed: int) -> dict[str, list[Problem]]:
    """Problems of each split, all different. ValueError if the domain has not that many."""
    # A generator per domain: a change in one of them leaves the others as they are.
    random = Random(f"{seed}/{domain}")
    by_id: dict[str, Problem] = {}
    wanted = sum(sizes.values())
    # A domain is finite, and the same problem may be drawn again: give up after many draws.
    for _ in range(DRAWS_PER_PROBLEM * wanted):
        if len(by_id) == wanted:
            break
        drawn = problem(domain, GENERATORS[domain](random))
        by_id.setdefault(drawn.item_id, drawn)
    if len(by_id) < wanted:
        raise ValueError(f"the domain {domain} has not {wanted} different problems; ask for fewer")
    problems = list(by_id.values())
    parts: dict[str, list[Problem]] = {}
    start = 0
    # In the order in which they were drawn: a larger last split leaves the ones before it alone.
    for split, size in sizes.items():
        parts[split] = problems[start : start + size]
        start += size
    return parts


def warm_up_texts(
    domain: str, forbidden: set[str], habit_share: float, random: Random
) -> Callable[[], tuple[str, str]]:
    """A source of (prompt, answer) for the warm-up; prompts in ``forbidden`` never come, and
    ``habit_share`` of the answers are those of the bad habit."""

    def draw() -> tuple[str, str]:
        while True:
            drawn = GENERATORS[domain](random)
            if drawn.prompt in forbidden:
                continue
            shows_habit = random.random() < habit_share
            return drawn.prompt, drawn.habit if shows_habit else drawn.answer

    return draw
