"""LaTeX of an answer without what does not change its meaning: fonts, spacing, sizes of brackets,
spellings of the same sign, separators of thousands.

In: the text of a box or of a gold answer. Out: ``tidy`` gives the plainest spelling, with words in
``\\text{...}``; ``for_parser`` gives one expression of it as latex2sympy reads it without mistakes.
``forms`` and ``values`` call them.
"""

from __future__ import annotations

import re
import unicodedata

from engines.shared.scoring.mathematics.dressing import announced, undressed
from engines.shared.scoring.mathematics.spellings import COMMANDS, FUNCTIONS, NAMES, SIGNS
from engines.shared.scoring.numerals import NUMBERS

OPENERS = ("\\{", "\\langle", "(", "[", "{")
CLOSERS = ("\\}", "\\rangle", ")", "]", "}")
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)

SIZES = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![a-zA-Z])\.?"
    r"|\\(?:display|text|script)style(?![a-zA-Z])|\\(?:no)?limits(?![a-zA-Z])"
)
HALF_SET = re.compile(r"\\left\s*\\\{(.*)\\right\s*\.", re.DOTALL)
SPACES = re.compile(
    r"(?<!\\)\\[,;:> ]|~|\\(?:q?quad|enspace|thinspace|space)(?![a-zA-Z])"
    r"|\\[hv]space\*?\{[^{}]*\}"
)
FONTS = re.compile(
    r"\\(?P<name>text|textbf|textit|textrm|textsf|texttt|textnormal|textup|emph|mbox|hbox|mathrm"
    r"|mathbf|mathit|mathsf|mathtt|mathnormal|boldsymbol|bm|operatorname\*?)"
    r"\s*\{"
)
BOXES = ("mbox", "hbox", "emph")
WORDS = re.compile(r"(?:[^\W\d_]|[\s.,;:'\u2019\"!?()/^-])*")
MATHEMATICAL_WORDS = re.compile(r"(?:[^\W\d_]|[\s.()])*")
THOUSANDS = re.compile(
    r"(?<![\d.,'])[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+|(?:'\d{3})+)(?![\d,']| \d)"
)
SCIENTIFIC = re.compile(r"(?<![\w.\\])(\d+(?:\.\d*)?|\.\d+)[eE]([+-]?\d{1,6})(?![\w.])")
REPEATING = re.compile(
    r"(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s*(?:\{\s*(\d+)\s*\}|(\d))|(?<=\.)\((\d+)\))"
)
DOTTED = re.compile(r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?")
GOING_ON = re.compile(r"(\d*\.\d*?)(?:(\d+?)\2{2,}|(\d{3,}?)\3)\s*(?:\\ldots|\.{3})")
ROOT = re.compile(r"([\u221a\u221b\u221c])\s*(\d+(?:\.\d+)?|[a-zA-Z]|(?=[({]))")
ROOTS = {"\u221a": "\\sqrt", "\u221b": "\\sqrt[3]", "\u221c": "\\sqrt[4]"}
SHARE = re.compile("[\u00bc-\u00be\u2150-\u215e]")
FROM_OUTSIDE = re.compile(r"([\[\]])([^\[\](){}]*[,;][^\[\](){}]*)([\[\]])")
"""An interval as in "]0,1[", where a bracket that opens outwards leaves its end out."""
CHOSEN_FROM = re.compile(r"(?:\{\s*\})?_\s*\{?(\w+)\}?\s*([CP])\s*_\s*\{?(\w+)\}?")
POWER_OF_LOG = re.compile(r"\\(ln|log)\s*\^\s*(\d|\{[^{}]*\})\s*(\([^()]*\)|\{[^{}]*\}|\\?\w+)")
LETTER_RUN = re.compile(r"\\(?:text|begin|end)\s*\{[^{}]*\}|\\[a-zA-Z]+|[A-Za-z]{2,}")
VARIABLES = re.compile(r"[a-d]{1,4}|[w-z]{1,4}|[b-df-hj-np-z]{1,3}|[a-df-hj-np-z]{1,2}")
"""Letters that are multiplied where they stand together; the vowels of words are not among them."""
LONGEST_PRODUCT = 4
CIS = re.compile(
    r"(?:\\text\s*\{\s*cis\s*\}|\\?(?<![a-zA-Z])cis(?![a-zA-Z]))\s*"
    r"(\([^()]*\)|(?:\\frac\s*\{[^{}]*\}\s*\{[^{}]*\}|[^-+,])+)"
)
MIXED = re.compile(r"(?<![\d.^_])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])")


def tidy(text: str) -> str:
    """An answer in its plainest spelling; equal results mean equal answers."""
    text = undressed(text)
    if not text.isascii():
        text = in_ascii(text)
    text = undelimited(text.replace("\n", " ").replace("\t", " "))
    # "\\left\\{1,2\\right." shows one brace of a set; in front of lines it belongs to a system.
    half = HALF_SET.fullmatch(text.strip())
    if half and "\\begin" not in text:
        text = f"\\{{{half[1]}\\}}"
    text = SIZES.sub("", text)
    # "{,}" holds digits together in TeX: a comma of thousands, or a decimal comma.
    text = re.sub(r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d)", ".", text)
    # "10,\!080" and "1\,234"
    text = re.sub(r"(?<=\d)\s*,?\s*\\!\s*(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)\\[,;:](?=\d{3}(?!\d))", "", text.replace("\\!", ""))
    text = SPACES.sub(" ", text)
    for pattern, spelling in COMMANDS:
        text = pattern.sub(spelling, text)
    text = plain_fonts(text)
    text = re.sub(r"\s+", " ", text).strip()
    text = without_stop(text)
    text = announced(without_group(text))
    if text.startswith("]") or text.endswith("["):
        text = FROM_OUTSIDE.sub(turned, text)
    if "cis" in text:
        text = CIS.sub(r"e^{i\\cdot (\1)}", text)
    text = SCIENTIFIC.sub(r"\1\\cdot 10^{\2}", text)
    text = GOING_ON.sub(lambda match: f"{match[1]}\\overline{{{match[2] or match[3]}}}", text)
    text = DOTTED.sub(r"\\overline{\1\2\3}", text)
    return grouped(REPEATING.sub(repeating, text))


def in_ascii(text: str) -> str:
    """A text with commands for the signs that Unicode has for them."""
    text = ROOT.sub(
        lambda match: f"{ROOTS[match[1]]}{{{match[2]}}}" if match[2] else "\\sqrt", text
    )
    text = SHARE.sub(lambda match: share(match[0]), text)
    for sign, spelling in SIGNS.items():
        text = text.replace(sign, spelling)
    return text


def share(sign: str) -> str:
    """One character that is a fraction."""
    over, _, under = unicodedata.normalize("NFKC", sign).partition("\u2044")
    return f"\\frac{{{over}}}{{{under}}}"


def turned(match: re.Match[str]) -> str:
    """An interval with round brackets for square ones that open outwards."""
    opening = "(" if match[1] == "]" else "["
    end = ")" if match[3] == "[" else "]"
    return f"{opening}{match[2]}{end}"


def undelimited(text: str) -> str:
    """A text without the signs that begin and end mathematics; a dollar that is alone is money."""
    text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text)
    dollars = re.findall(r"(?<!\\)\$", text)
    money = "\\$" if len(dollars) % 2 else " "
    return re.sub(r"(?<!\\)\$", lambda _: money, text)


def plain_fonts(text: str) -> str:
    """A text with mathematics in no font, and words in ``\\text``."""
    done, rest = "", text
    while match := FONTS.search(rest):
        end = closing(rest, match.end() - 1)
        if end < 0:
            break
        content = plain_fonts(rest[match.end() : end])
        done += rest[: match.start()] + plain_font(match["name"], content)
        rest = rest[end + 1 :]
    return done + rest


def plain_font(name: str, content: str) -> str:
    """What stands in a font of its own: as mathematics if it is some, else as ``\\text``."""
    bare = content.strip()
    formula = not name.startswith("text") or bare in ("pi", "ln", "sin", "cos", "log")
    if bare in FUNCTIONS and formula and bare != "min":  # minutes
        return f"\\{FUNCTIONS[bare]} "
    allowed = WORDS if name.startswith("text") or name in BOXES else MATHEMATICAL_WORDS
    has_letters = re.search(r"[^\W\d_]", bare) is not None
    # An upright letter is that letter, "\mathrm{e}"; "\text{-5}" and "\mathbf{x+1}" are no words.
    if len(bare) == 1 or not has_letters or not allowed.fullmatch(bare):
        return f" {bare} "
    return f"\\text{{{content}}}"


def without_stop(text: str) -> str:
    """A text without the full stop, comma or colon that ends its sentence."""
    while text[-1:] in (".", ",", ";", ":") and not text.endswith(("..", "\\,", "\\;", "\\:")):
        text = text[:-1].rstrip()
    return text


def without_group(text: str) -> str:
    """A text without a pair of TeX's braces around all of it."""
    while text.startswith("{") and closing(text, 0) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def grouped(text: str) -> str:
    """Numbers without the commas or spaces between their thousands; "(1,200)" stays a pair."""
    pieces, end = [], 0
    for match in THOUSANDS.finditer(text):
        before = text[: match.start()]
        opened = sum(len(re.findall(sign, before)) for sign in (r"\(", r"\[", r"\\\{"))
        closed = sum(len(re.findall(sign, before)) for sign in (r"\)", r"\]", r"\\\}"))
        number = match[0] if opened > closed else re.sub("[, ']", "", match[0])
        pieces += [text[end : match.start()], number]
        end = match.end()
    return "".join(pieces) + text[end:]


def repeating(match: re.Match[str]) -> str:
    """A decimal that repeats, as a fraction: "1.\\overline{3}" is 4/3."""
    whole, fixed, period = match[1] or "0", match[2], match[3] or match[4] or match[5]
    shift = 10 ** len(fixed)
    nines = 10 ** len(period) - 1
    numerator = (int(whole) * shift + int(fixed or "0")) * nines + int(period)
    return f"\\frac{{{numerator}}}{{{shift * nines}}}"


def closing(text: str, start: int) -> int:
    """The index of the last character of the bracket that closes the one at ``start``; -1 if there
    is none. An interval may be closed by another kind of bracket than it is opened by."""
    depth = 0
    for match in TOKEN.finditer(text, start):
        if match[0] in OPENERS:
            depth += 1
        elif match[0] in CLOSERS:
            depth -= 1
            if depth == 0:
                return match.end() - 1
    return -1


def split(text: str, separator: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The parts of a text between separators that stand in no bracket, and the separators."""
    parts, signs = [""], []
    depth, skip = 0, 0
    for match in TOKEN.finditer(text):
        if match.start() < skip:
            continue
        found = separator.match(text, match.start()) if depth == 0 else None
        if found and found[0]:
            signs.append(found[0].strip())
            parts.append("")
            skip = found.end()
            continue
        depth += (match[0] in OPENERS) - (match[0] in CLOSERS)
        parts[-1] += match[0]
    return [part.strip() for part in parts], signs


def for_parser(text: str) -> str:
    """One expression in the spelling that latex2sympy reads as it is meant."""
    text = CHOSEN_FROM.sub(chosen_from, text)
    text = POWER_OF_LOG.sub(r"(\\\1 \3)^\2", text)
    text = MIXED.sub(r"(\1+\\frac{\2}{\3})", text)
    text = NAMES.sub(lambda match: f"\\{FUNCTIONS[match[0]]} ", text)
    # sqrt(2), and x^(n+1), which would end at the first closing bracket
    text = rebracketed(text, re.compile(r"\\sqrt\s*(?=\()|(?<=[\^_])(?=\()"))
    text = braced(text)
    text = re.sub(r"\\log\s*_\s*(?:\{\s*e\s*\}|e(?![a-zA-Z]))", r"\\ln ", text)
    text = re.sub(r"\\log\s*_\s*([a-zA-Z0-9])", r"\\log_{\1}", text)
    text = re.sub(
        r"(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?", r"(\1\\cdot\\frac{\\pi}{180})", text
    )
    # (2)(3) and 2(3) would be read as mixed numbers, 2 + 3.
    text = re.sub(r"\)\s*(?=\()", r")\\cdot ", text)
    text = re.sub(r"!\s*(?=[(\w])", r"!\\cdot ", text)
    text = re.sub(r"(?<![_^\d.])(\d+(?:\.\d+)?)\s*(?=\()", r"\1\\cdot ", text)
    text = LETTER_RUN.sub(name_or_product, text)
    # The parser drops a prime and takes a capital I for the imaginary unit.
    text = re.sub(r"([A-Za-z])'+", r"\1_{prime}", text)
    return re.sub(r"(?<![\\A-Za-z{_])I(?![A-Za-z])", r"\\text{I}", text)


def chosen_from(match: re.Match[str]) -> str:
    """So many chosen from so many, in order or not: "{}_5C_2"."""
    number, kind, taken = match.groups()
    if kind == "C":
        return f"\\binom{{{number}}}{{{taken}}}"
    return f"\\frac{{({number})!}}{{({number}-{taken})!}}"


def name_or_product(match: re.Match[str]) -> str:
    """Letters side by side: variables that are multiplied, or one name, whose letters have an
    order."""
    run = match[0]
    constants = run.replace("e", "").replace("i", "")
    product = len(run) <= LONGEST_PRODUCT and (constants == "" or is_product(constants))
    return run if run.startswith("\\") or product else f"\\text{{{run}}}"


def is_product(letters: str) -> bool:
    """Whether letters side by side are variables that are multiplied, "xy", and no word."""
    distinct = len(set(letters)) == len(letters)
    one_capital = sum(letter.isupper() for letter in letters) <= 1
    return distinct and one_capital and VARIABLES.fullmatch(letters.lower()) is not None


def rebracketed(text: str, before: re.Pattern[str]) -> str:
    """A text with braces for the round brackets that follow a pattern."""
    while match := before.search(text):
        start = match.end()
        end = closing(text, start)
        if end < 0:
            return text
        text = f"{text[:start].rstrip()}{{{text[start + 1 : end]}}}{text[end + 1 :]}"
    return text


def braced(text: str) -> str:
    """TeX allows ``\\frac12`` and ``\\sqrt3``: the same with all braces."""
    done, rest = "", text
    while match := re.search(r"\\(frac|binom|sqrt)(?![a-zA-Z])\s*", rest):
        done += rest[: match.start()] + f"\\{match[1]}"
        rest = rest[match.end() :]
        if rest.startswith("["):  # the index of a root
            end = closing(rest, 0) + 1
            done, rest = done + rest[:end], rest[end:]
        for _ in range(1 if match[1] == "sqrt" else 2):
            argument, rest = first_argument(rest.lstrip())
            done += f"{{{braced(argument)}}}"
    return done + rest


def first_argument(text: str) -> tuple[str, str]:
    """What a TeX command takes as its argument, and the rest."""
    end = closing(text, 0) if text.startswith("{") else -1
    if end > 0:
        return text[1:end], text[end + 1 :]
    token = TOKEN.match(text)
    return (token[0], text[token.end() :]) if token else ("", "")


def words_of(text: str) -> str:
    """The words of an answer without LaTeX and the case of its letters; a letter alone keeps its
    case."""
    bare = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text)
    bare = re.sub(r"[\s.,;:'\u2019\"!?()]+", " ", bare).strip()
    bare = re.sub(r"^(?:an?|[Tt]he|An|A(?= [a-z]{2})) (?=\w)", "", bare)
    return bare if len(bare) == 1 else bare.casefold()


def base_of(text: str) -> str:
    """The base in "52_8", "52_{(8)}" and "52_{\\text{eight}}" as a number's digits."""
    bare = re.sub(r"\\text|[{}()\s]|in base|base", "", text).casefold()
    return str(NUMBERS.get(bare, bare))
