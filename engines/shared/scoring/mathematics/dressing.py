"""What stands around an answer and says nothing of it: environments, colours, sizes of type,
quotes, Markdown's stars, "therefore", a tick, "The answer is".

In: an answer as it stands in the box. Out: the same without. ``latex.tidy`` calls ``undressed``
before it reads anything and ``announced`` once fonts are plain.
"""

from __future__ import annotations

import re

ENVIRONMENT = re.compile(
    r"\\(?:begin|end)\s*\{(?:align(?:ed|at)?|equation|gather(?:ed)?|split|multline|math"
    r"|displaymath)\*?\}"
)
EQUATIONS = re.compile(r"\\begin\{cases\}([^&]*)\\end\{cases\}", re.DOTALL)
GOING_ON = re.compile(r"\\\\(?:\[[^\]]*\])?\s*(?==)")
NEW_LINE = re.compile(r"\\\\(?:\[[^\]]*\])?")
COLOUR = re.compile(r"\\(?:text)?color(?:box)?\s*(?:\[[^\]]*\])?\s*\{[^{}]*\}")
LOOK = re.compile(
    r"\\(?:bf|rm|it|sf|tt|bfseries|itshape|tiny|scriptsize|footnotesize|small|normalsize|large"
    r"|Large|LARGE|huge|Huge|underline|ensuremath|nonumber|notag|strut)(?![a-zA-Z])"
    r"|\\(?:tag|label)\s*\{[^{}]*\}"
)
QUOTED = re.compile(r"(?:\*+|`+|[\"\u201c])(.*?)(?:\*+|`+|[\"\u201d])", re.DOTALL)
BEFORE = re.compile(
    r"\s*(?:(?:\\(?:therefore|implies|(?:Long)?[Rr]ightarrow|quad)(?![a-zA-Z])|\u2234|\u21d2|=>)\s*)+"
)
BEHIND = re.compile(
    r"(?:\s|\\q?quad(?![a-zA-Z])|\\(?:checkmark|blacksquare|square|Box|qed)(?![a-zA-Z])|\u2713)+$"
)
SAID = re.compile(
    r"\\text\s*\{([A-Za-z',\s]*?)\s*(?:\b(?:is|are|equals)(?: equal to)?\s*:?|:)\s*\}"
)
TOLD = re.compile(
    r"\s*((?:[A-Za-z']+ )*?[A-Za-z']+)\s*(?:\s(?:is|are|equals)(?: equal to)?\s*:?|(?<=[a-z]{2}):)"
    r"\s(?=\s*[-+$\\.]*\d|\s*\\)(.*)"
)
"""The same in one text, where fonts are plain: "The answer is 42", "Answer: 42"."""
DOUBTFUL = re.compile(
    r"\b(?:not|no|nor|none|never|neither|either|or|and|may|maybe|might|could|possibly|perhaps|probably|if"
    r"|unless|than|think|guess|wrong|incorrect)\b|n't",
    re.IGNORECASE,
)


def undressed(text: str) -> str:
    """An answer without what only shapes its looks."""
    text = text.strip()
    if quoted := QUOTED.fullmatch(text):
        text = quoted[1].strip()
    if "\\" in text or "&" in text:
        text = in_one_line(text)
        text = LOOK.sub(" ", COLOUR.sub(" ", text))
        text = BEHIND.sub("", text)
    begin = BEFORE.match(text)
    return text[begin.end() :] if begin else text


def in_one_line(text: str) -> str:
    """Lines that are set below each other as one: equations between commas, or one that goes on."""
    flat = EQUATIONS.sub(r"\\begin{split}\1\\end{split}", text)
    flat = ENVIRONMENT.sub(" ", flat)
    if "\\begin" in flat:  # a matrix, with lines of its own
        return re.sub(r"&\s*=", "=", flat) if flat != text else text
    flat = re.sub(r"(?<!\\)&", " ", flat)
    if flat == text:
        return text
    lines = NEW_LINE.split(GOING_ON.sub(" ", flat))
    return ", ".join(line.strip().rstrip(",") for line in lines if line.strip())


def announced(text: str) -> str:
    """An answer whose sentence is an equation: "The answer is 42" says that the answer = 42."""
    if "is" not in text and "are" not in text and "equals" not in text and ":" not in text:
        return text
    said = SAID.sub(equated, text, count=1)
    if said != text:
        return said
    told = TOLD.fullmatch(text)
    if told is None or DOUBTFUL.search(told[1]):
        return text
    return f"{name(told[1])}= {told[2]}"


def equated(match: re.Match[str]) -> str:
    """An equals sign for words that end in "is" or a colon."""
    if DOUBTFUL.search(match[1]):
        return match[0]
    return f"{name(match[1])}= "


def name(words: str) -> str:
    """Words as the name of what follows; a letter is one by itself."""
    bare = words.strip()
    return f" {bare} " if len(bare) < 2 else f"\\text{{{bare}}} "
