"""Multiple choice: one letter, A to J (GPQA, SuperGPQA).

In: a problem whose right answer is a letter, and a response without its thinking. Out: a verdict.
    ``gold_of`` also serves the check of a data file's right answers.
"""

from __future__ import annotations

import re
import unicodedata

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import text_of
from engines.shared.scoring.text import TYPED, boxes, last_boxed, without_latex
from engines.shared.scoring.verdict import Verdict

OPTIONS = "ABCDEFGHIJ"
NAMED = (
    r"(?i:(?:(?:the|my)\s)?(?:(?:final|correct|right|best)\s){0,2}"
    r"(?:answer|option|choice|letter)\b)"
)
SAYS = (
    r"(?i:(?:\shere|\sto\s(?:the|this)\s(?:question|problem))?"
    r"\s{1,9}(?:is|would\sbe|must\sbe|should\sbe)(?:\s(?:therefore|thus|hence|clearly))?\b)?"
    r"(?:\s{0,9}(?:[:=>]|-+>|-(?=\s)))?\s{0,9}"
)
# "C", "c", "(C)", "[C]", "C.", "C: Apple", "(C) Apple", "C - Apple", "C (Apple)", "Option C"; not
# "Carbon", "A and C" or "C(x)".
LETTER = re.compile(
    rf"(?:{NAMED}{SAYS}){{0,3}}"
    r"(?:[(\[{<]*([A-Ja-j])(?:[)\]}>]+|$)(?P<more>[.:]?\s.*|[.:])?"
    r"|([A-J])(?P<rest>\s?[.:](?:\s.*)?|\s-+\s[A-Za-z]{2}.*|\s?\([A-Za-z]{2}.*))",
    re.DOTALL,
)
# "Answer: C", "the answer is (C)", "correct option: C", "I choose C"; a small letter in parentheses
# or at the end of a line only; not "answer: A-level" or "answer: A's".
MARK = re.compile(
    rf"(?:\b(?i:answer|(?:correct|right|best|final)\s(?:option|choice|letter))\b{SAYS}"
    r"|\b(?:I|[Ww]e)(?i:(?:'ll|'d|\swill|\swould)?\s(?:choose|chose|pick|select|go\swith))\s)"
    rf"(?:{NAMED}:?\s{{0,9}})?"
    r"[(\[\"'<]*(?:([A-J])(?![\w'-])|(?<=[(\[])([a-j])(?=[)\]])|([a-j])(?=[).]*[ \t]*(?:\n|$)))"
)
# "Answer: A vector has ..." names no letter; "The answer is A because ..." does.
ARTICLE = re.compile(r"\s+(?!(?:because|since|as|for|due|given|which|is|with|and|or)\b)[a-z]")
JOINED = r"(?:[,/&+;|=<\u2192-]|\.{2,}|\b(?:and|or|nor|vs|plus|as well as)\b)"
STATES = (
    r"\s+(?:is|are|was|isn't|would|can|cannot|can't|could|does|doesn't|has|fails|contradicts)\b"
)
ADDS = r"\s+(?:also|too|equally|possible|plausible|correct|right|(?:the\s)?(?:answer|best))\b"
# What makes a second letter of what follows the first: "A or B", "(A), possibly (C)", "A B C".
SECOND = re.compile(
    rf"[)\]>.:?]*[ \t]*\(?(?P<joint>(?:{JOINED}\s*)+)"
    r"(?:(?:possibly|maybe|perhaps|probably|also|even|either)\s+)*"
    rf"(?:{NAMED}\s+)?[(\[]*(?P<other>[A-J])(?![\w'-])"
    rf"(?P<states>(?={STATES}))?(?P<adds>(?={STATES}{ADDS}))?"
    r"(?P<word>\s+(?!and\b|or\b|nor\b)[a-z])?"
    r"|[)\]>.:?]*(?:[ \t]+|\s*\n\s*)[(\[\"']*(?P<last>[A-J])[)\]>.:?\"']*"
    r"(?=[ \t]*(?:\n|$)|[ \t]+[(\[]*[A-J]\b)"
)
MARKED_SECOND = re.compile(r"\b(?:and|or)\s+[(\[]?([A-J])[)\].:](?=\s)|[\s,;][(\[]?([A-J])\)(?=\s)")
# A line that is a letter and nothing else, or says of one that it is right.
LONE = re.compile(
    r"(?i:(?:so|thus|hence|therefore),?\s)?(?:(?i:option|choice|letter)[\s:=]{1,3})?[(\[]?([A-J])[)\].!]*"
    r"(?i:\sis\s(?:the\s)?(?:correct|right|best)(?:\s(?:answer|option|choice|one))?)?[.!]*"
)
BETWEEN_BOXES = re.compile(rf"[\s$*.)]*{JOINED}[\s$*(]*")
LINE_END = re.compile(r"(?<!<)\n")
ENDS = ("</s>", "<|im_end|>", "<|endoftext|>")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the letter in the last box is the right one, or without a letter in a box the last one
    that is named as the answer.

    ``C``, ``(C)``, ``C. Apple``, ``Option C`` are C, in any type; so are ``Answer: C``, ``I choose
        C`` and a last line that is ``**C**``. Two letters are no answer. ValueError if the right
        answer is no letter.
    """
    gold = gold_of(problem)
    letter = chosen(text)
    if letter is None:
        return Verdict(
            0.0, "no_answer", last_boxed(text), "no single letter in a box or after 'Answer:'"
        )
    return Verdict(float(letter == gold), "ok", letter)


def gold_of(problem: Problem) -> str:
    """The right letter, A to J. ValueError if the right answer is none."""
    gold = text_of(problem.ground_truth).upper()
    if len(gold) != 1 or gold not in OPTIONS:
        raise ValueError(
            f"the right answer of a multiple choice must be one letter of A to J, "
            f"not {problem.ground_truth!r}"
        )
    return gold


def chosen(text: str) -> str | None:
    """The letter in the last box; where that holds something else, such as mathematics, the one
    that is named as the answer behind it, or before it with a colon. None if there is none or more
    than one."""
    content = undressed(last_boxed(text) or "")
    letter = single(content)
    filled = boxes(text)
    if letter is None and several(content):
        return None
    if letter is None:
        start, end = (filled[-1].start, filled[-1].end) if filled else (0, 0)
        behind = named(text[end:])
        return (named(text[:start], colon=True) if behind is None else behind) or None
    # "\boxed{A} or \boxed{B}" is no answer; "\boxed{A}. No, \boxed{B}" is B.
    if len(filled) > 1:
        between = text[filled[-2].end : filled[-1].start]
        other = filled[-2].content(text)
        if BETWEEN_BOXES.fullmatch(between) and single(undressed(other)) != letter:
            return None
    return letter


def undressed(text: str) -> str:
    """A text without LaTeX's type, markdown's stars and the braces around it; white space is one
    blank or one line break."""
    # NFKC: letters and colons of full width are those of a keyboard.
    typed = unicodedata.normalize("NFKC", text.translate(TYPED))
    plain = re.sub(r"[*_`]+", "", without_latex(typed)).strip()
    plain = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", plain))
    while plain.startswith("{") and plain.endswith("}"):
        plain = plain[1:-1].strip()
    return plain.strip("\"' \n").removesuffix(".").strip()


def several(content: str) -> bool:
    """Whether a box holds nothing but letters of choices, two or more."""
    words = re.findall(r"\w+", content)
    letters = [word for word in words if word in tuple(OPTIONS)]
    return len(letters) > 1 and set(words) <= {*OPTIONS, "and", "or"}


def single(content: str) -> str | None:
    """The letter that a box holds; None if it holds none or several."""
    match = LETTER.fullmatch(content)
    if match is None:
        return None
    letter = (match[1] or match[3]).upper()
    after = match["more"] or match["rest"] or ""
    marked = (other[1] or other[2] for other in MARKED_SECOND.finditer(after))
    if second(after) not in (None, letter) or any(other != letter for other in marked):
        return None
    return letter


def second(after: str) -> str | None:
    """The other letter that a text right behind a letter adds to it."""
    match = SECOND.match(after)
    if match is None:
        return None
    letter = match["other"] or match["last"]
    # "C, I think", "C, A being wrong" and "C; B is wrong" go on with a sentence, "C or A is right"
    # and "C, B is also possible" do not.
    goes_on = match["states"] is not None or (letter in "AI" and match["word"])
    by_comma = re.fullmatch(r"[,;.\s<-]*", match["joint"] or "or") is not None
    sentence = goes_on and by_comma and match["adds"] is None
    return None if sentence else letter


def named(text: str, colon: bool = False) -> str | None:
    """The letter that the last "Answer: C" names, else the one that the last line is; with
    ``colon`` only the former. None if there is none, "" if there are several."""
    plain = undressed(text)
    for match in reversed(list(MARK.finditer(plain))):
        letter = match[1] or match[2] or match[3]
        after = plain[match.end() :]
        # "The answer is A if ..." in the middle of a text is no statement yet.
        if (letter in "AI" and ARTICLE.match(after)) or (colon and ":" not in match[0]):
            continue
        letter = letter.upper()
        return letter if second(after) in (None, letter) else ""
    if colon:
        return None
    lines = [LONE.fullmatch(line.strip()) for line in plain.split("\n")]
    letters = {match[1] for match in lines if match}
    if not lines[-1]:
        return None
    return letters.pop() if len(letters) == 1 else ""


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the alphabetically first letter of A to J anywhere in the box.

    Where GURU draws one of ten letters by chance, the value is the expectation, 0.1. GPQA's sources
    with ``no_box`` are read by ``Answer: X``.
    """
    truth = str(problem.ground_truth)
    # That variant has four choices, hence A to D.
    if problem.data_source.startswith("stem__gpqa") and "no_box" in problem.data_source:
        match = re.search(r"(?i)Answer[ \t]*:[ \t]*\$?([A-D])\$?", text)
        return (
            Verdict(float(match[1] == truth), "ok", match[1])
            if match
            else Verdict(0.0, "no_answer", detail="no 'Answer: X'")
        )
    # In the order of the alphabet, as GURU does it: "C. Apple" is read as A.
    answer = guru_answer(text)
    letter = next((option for option in OPTIONS if option in answer), None)
    if letter is None:
        return Verdict(
            1 / len(OPTIONS) if truth in tuple(OPTIONS) else 0.0,
            "no_answer",
            detail="GURU guesses one of ten letters; this is the expectation",
        )
    return Verdict(float(letter == truth), "ok", letter)


def guru_answer(text: str) -> str:
    """The last box of at most two levels of braces, else a line behind ``Final Answer:`` or ``The
    answer is:``, in what the assistant said; empty if there is none."""
    if "<|im_start|>user" in text:
        text = "".join(text.partition("<|im_start|>assistant")[1:]) or text
    else:
        text = text.rpartition("Assistant:")[2]
    for end in ENDS:
        text = text.partition(end)[0]
    inner = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
    boxes = re.findall(rf"\\boxed\{{({inner})\}}", text)
    if boxes and boxes[-1]:
        return str(boxes[-1])
    for words in ("Final Answer:", "The answer is:"):
        if lines := lines_behind(words, text):
            return lines[-1]
    return ""


def lines_behind(words: str, text: str) -> list[str]:
    """What follows some words to the end of a line. Two "<" in a row are never part of it, and a
    "<" before the end of a line joins the next one."""
    found = []
    for piece in text.split("<<"):
        position = 0
        while (start := piece.find(words, position)) >= 0:
            inside = start + len(words)
            end = LINE_END.search(piece, inside)
            if end is None:
                break
            found.append(piece[inside : end.start()])
            position = end.end()
    return found
