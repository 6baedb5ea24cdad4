"""Finding the program in a response: of several blocks the one that is the answer, with what it
needs of the others and of the problem.

In: a response, and what is asked for: names (of tests that call functions), or a script (that reads
its input and prints). Out: the text of one program. Nothing here runs it. Called by ``code.py``.

A response may show the program and then its output, a doctest, tests or an example of its use; give
several versions; or give the program in pieces. The answer is the last block that defines what the
tests ask for, or that reads and prints; of the other blocks, and of the problem's own code, it gets
the definitions that it uses and does not have.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from engines.shared.scoring.fences import blocks
from engines.shared.scoring.syntax import (
    FUNCTIONS,
    LONGEST,
    Source,
    acts,
    bound,
    is_stub,
    is_use,
    parsed,
    reads,
    reads_of,
    source_of,
    used,
)

PYTHON = re.compile(r"(?:python|py)?[\d.]*", re.IGNORECASE)
"""Languages that are Python; none named is one of them."""
MOST_CUTS = 200
"""So many times a text without fences is cut where it stops being Python."""
CODE_LINE = re.compile(r"^[ \t]*(?:def|class|import|from|async def|@\w)[\s\w]", re.MULTILINE)
"""How a line begins that tells plain code from prose."""


def candidates(text: str, depth: int = 2) -> list[Source]:
    """Blocks of a response that may be a program, in order; the response itself if it has no
    fence."""
    found: list[Source] = []
    fences = blocks(text, whole)
    for block in fences:
        if not PYTHON.fullmatch(block.language):
            # A block of Markdown may hold the real ones.
            if "```" in block.content and depth:
                found += candidates(block.content, depth - 1)
            continue
        source = source_of(block.content, block.closed)
        if source is None and not block.closed:
            # Whoever forgets to close a fence goes on in prose.
            source = longest(block.content)
        if source is not None and source.tree.body:
            found.append(source)
    if found:
        return found
    plain = source_of(text)
    # Prose of one word is Python too.
    if plain is None or not (plain.defined() or acts(plain.tree)):
        plain = longest(text)
    return [plain] if plain is not None else []


def whole(language: str, content: str) -> bool:
    """Whether a block ends here: a program where it is Python, any other text at once."""
    return not PYTHON.fullmatch(language) or source_of(content) is not None


def longest(text: str) -> Source | None:
    """The program in a text that begins with code and goes on in prose, or has prose before it."""
    start = CODE_LINE.search(text)
    if start is None:
        return None
    first = start.group()
    # Code in prose may be indented as a whole.
    indentation = first[: len(first) - len(first.lstrip(" \t"))]
    lines = [line.removeprefix(indentation) for line in text[start.start() :].split("\n")]
    for _ in range(MOST_CUTS):
        kept = "\n".join(lines)
        try:
            tree = ast.parse(kept) if len(kept) <= LONGEST else None
        except SyntaxError as error:
            # Where it stops being Python; a string that never ends is reported where it begins.
            lines = lines[: max(0, min(error.lineno or 1, len(lines)) - 1)]
        except (ValueError, RecursionError, MemoryError):
            return None
        else:
            return None if tree is None else Source(kept, tree, closed=False)
    return None


@dataclass(frozen=True)
class Given:
    """Code of the problem itself, which an answer may leave out."""

    sources: tuple[Source, ...]
    tested: frozenset[str]
    """Names that the tests use; empty for scripts."""

    def statement(self, name: str, answer: set[str]) -> ast.stmt | None:
        """What defines a name for an answer that defines others; never what is asked for."""
        # A tested function may be given beside another that the answer has to define.
        if name in self.tested and not self.tested & answer:
            return None
        for source in self.sources:
            for statement in reversed(source.tree.body):
                if name in bound(statement) and not is_stub(statement) and not is_use(statement):
                    return statement
        return None

    def stars(self) -> list[ast.stmt]:
        """Its star imports, which may define anything."""
        statements = (statement for source in self.sources for statement in source.tree.body)
        return [statement for statement in statements if "*" in bound(statement)]


def given_by(texts: Sequence[str], tested: frozenset[str] = frozenset()) -> Given:
    """The code of a problem: of each text what is Python."""
    sources = (source_of(text) for text in texts)
    return Given(tuple(filter(None, sources)), tested)


def completed(main: Source, others: Sequence[Source], given: Given) -> str:
    """A program with the definitions that it uses and does not have: of other blocks, nearest
    first, else of the problem.

    They come before it, so that what it defines itself is never overridden.
    """
    own = main.defined()
    answer = set(own)
    missing = (used(main.text) | given.tested) - own
    before: list[ast.stmt] = []
    for other in others:
        if missing & other.defined():
            part = [statement for statement in other.tree.body if is_part(statement, own)]
            before = part + before
            answer |= other.defined()
            missing = (missing | used(other.text)) - answer
    head = needed(missing, given, answer)
    if not head and not before:
        return main.text
    return joined([*head, *before], main)


def is_part(statement: ast.stmt, own: set[str]) -> bool:
    """Whether a statement of another block may stand before the block that defines ``own``."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return True
    # What uses the program at once, such as result = solve(3), cannot come before it.
    return not is_use(statement) and not reads_of(statement) & own


def needed(missing: set[str], given: Given, answer: set[str]) -> list[ast.stmt]:
    """Statements of the problem's code that define what is missing, and what they need in turn."""
    found: list[ast.stmt] = []
    looked_for: set[str] = set()
    unknown = False
    while todo := missing - looked_for - answer:
        name = min(todo)
        looked_for.add(name)
        statement = given.statement(name, answer)
        if statement is None:
            unknown = True
        elif statement not in found:
            found.append(statement)
            missing = missing | reads_of(statement)
    # In the order in which the problem has them.
    order = [statement for source in given.sources for statement in source.tree.body]
    stars = given.stars() if unknown else []
    return [*stars, *(statement for statement in order if statement in found)]


def joined(before: Sequence[ast.stmt], main: Source) -> str:
    """The statements, then the program; imports from the future first, as Python asks for."""
    lines = main.text.split("\n")
    future = []
    for statement in main.tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            future.append(ast.unparse(statement))
            for number in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
                lines[number] = ""
    rest = [
        ast.unparse(statement)
        for statement in before
        if not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")
    ]
    return "\n".join([*future, *rest, *lines])


def function_program(text: str, given: Given) -> str | None:
    """The program that defines what the tests ask for; None if there is no code."""
    found = candidates(text)
    with_heads = [source for source in found if defines(source, given.tested, stubs=True)]
    with_bodies = [source for source in found if defines(source, given.tested, stubs=False)]
    # The last of several versions, unless it may have been cut off.
    closed = [source for source in with_bodies if source.closed]
    for wanted in (closed, with_bodies):
        if wanted:
            return completed_last(wanted[-1], found, given)
    if (body := completion(text, given)) is not None:
        return body
    if with_heads:
        return completed_last(with_heads[-1], found, given)
    # Nothing defines it by a statement: it may be made otherwise, or the answer is wrong.
    return last_of(found, given)


def last_of(found: Sequence[Source], given: Given) -> str | None:
    """The last block that defines or does something, else the last one; None if there is none."""
    if not found:
        return None
    programs = [source for source in found if source.defined() or acts(source.tree)]
    return completed_last((programs or found)[-1], found, given)


def completed_last(main: Source, found: Sequence[Source], given: Given) -> str:
    """A block with what it needs of the blocks before it, nearest first, then of those after it."""
    place = next(number for number, source in enumerate(found) if source is main)
    others = [*reversed(found[:place]), *found[place + 1 :]]
    return completed(main, others, given)


def defines(source: Source, tested: frozenset[str], stubs: bool) -> bool:
    """Whether a block defines something that the tests use, and more than its head."""
    for statement in source.tree.body:
        # A block of tests may import the answer from a file that is not there.
        if isinstance(statement, ast.ImportFrom) and not is_known(statement.module):
            continue
        # total = total([1, 2]) uses it.
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)) and tested & reads_of(statement):
            continue
        if tested & set(bound(statement)) and (stubs or not is_stub(statement)):
            return True
    return False


def is_known(module: str | None) -> bool:
    """Whether a program may import from a module."""
    package = (module or "").partition(".")[0]
    return package in sys.stdlib_module_names or package == "numpy"


def completion(text: str, given: Given) -> str | None:
    """The problem's function with a body that is all the response gives; None if it is none."""
    for source in given.sources:
        last = source.tree.body[-1] if source.tree.body else None
        if not (isinstance(last, FUNCTIONS) and is_stub(last) and last.name in given.tested):
            continue
        fences = [block.content for block in blocks(text)]
        for body in reversed(fences or [text]):
            flat = textwrap.dedent(body).strip("\n")
            # A first line without the indentation that the others have goes on from the prompt.
            spellings = (textwrap.indent(flat, "    "), f"    {body.strip()}")
            for spelled in spellings:
                program = f"{source.text.rstrip()}\n{spelled}\n"
                if body.strip() and (tree := parsed(program)) is not None and finished(tree, last):
                    return program
    return None


def finished(tree: ast.Module, stub: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the last definition of a function has a body that gives something back."""
    for statement in reversed(tree.body):
        if isinstance(statement, FUNCTIONS) and statement.name == stub.name:
            return any(isinstance(node, (ast.Return, ast.Yield)) for node in ast.walk(statement))
    return False


def script_program(text: str, given: Given, needs_input: bool) -> str | None:
    """The program that reads its input and prints; None if there is no code."""
    found = candidates(text)
    acting = []
    # Those that may have been cut off come first: the last one is taken.
    for main in sorted(found, key=lambda source: source.closed):
        program = completed_last(main, found, given)
        tree = parsed(program)
        if acts(main.tree) and tree is not None:
            acting.append((program, reads(tree)))
    if needs_input:
        for program, reading in reversed(acting):
            if reading:
                return program
    if acting:
        return acting[-1][0]
    return last_of(found, given)
