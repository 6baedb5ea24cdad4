"""Take secrets out of a text before it is written down or shown.

In: a text, and the environment. Out: the text with ``<NAME>`` or ``<secret>`` in their place.
Called wherever something is kept or shown that a person or a job wrote: by the program on the node
(exit records, results), and through orchestrator/runs/provenance/redaction.py for launches, states,
messages and pages. A log is what its job has written, and stays as it is.

What counts as a secret: values of variables whose names say so; keys of common services, by how
they begin; user and password of an address; the value of a header that logs somebody in; what
stands behind a name such as ``password`` or ``--api-key``, in any case. All patterns are linear: a
log line may have a megabyte.
"""

from __future__ import annotations

import functools
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SHORTEST = 8
"""A value of fewer letters is in too many texts by chance."""
# HF_TOKEN, OPENAI_API_KEY, WANDB_APIKEY, GITHUB_PAT, DATABASE_URL; but not TOKENIZERS_PARALLELISM
# or PATH.
NAMED_SO = (
    r"(?:^|_)(?:[A-Z0-9]*TOKENS?|[A-Z0-9]*KEYS?|[A-Z0-9]*SECRETS?|[A-Z0-9]*PASSWORDS?"
    r"|PASSWD|PWD_?HASH|PASSPHRASE|CREDENTIALS?|WEBHOOK|PAT|DSN|PGPASS|AUTHORIZATION|COOKIE)(?:_|$)"
)
"""Names of variables whose values are secrets."""

BEGINS = r"(?<![A-Za-z0-9])"
# A key is long and has both letters and digits; a path or a sentence has not.
MIXED = r"(?=[A-Za-z._~+/=-]{0,60}\d)(?=[0-9._~+/=-]{0,60}[A-Za-z])"
KNOWN = (
    # Hugging Face, OpenAI and Anthropic, Groq, Replicate, xAI, Perplexity, Weights & Biases.
    rf"{BEGINS}(?:hf_[A-Za-z0-9]{{20,}}|sk-[A-Za-z0-9_-]{{20,}}|gsk_[A-Za-z0-9]{{20,}}"
    r"|r8_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|wandb_v\d_[\w-]{20,}"
    # NVIDIA, Together, Cerebras, Tavily, Jina; Grafana, Notion, Linear, Doppler, Shopify, Brevo.
    r"|nvapi-[\w-]{20,}|tgp_v1_[\w-]{20,}|csk-[A-Za-z0-9]{20,}|tvly-[\w-]{20,}|jina_\w{20,}"
    r"|gl(?:c|sa)_[\w=]{20,}|ntn_\w{20,}|lin_api_\w{20,}|dp\.(?:pt|st|ct)\.[\w.]{20,}"
    r"|shp[a-z]{2}_[0-9a-f]{20,}|xkeysib-[\w-]{20,}"
    # GitHub, GitLab, PyPI, npm, Docker, Databricks, DigitalOcean.
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl[a-z]{2,4}-[\w.-]{20,}|pypi-[\w-]{20,}"
    r"|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}|dapi[0-9a-f]{32}|do[opr]_v1_[0-9a-f]{40,}"
    # AWS, Google, Slack, Stripe, SendGrid, Telegram, Vault, age; a JSON web token.
    r"|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"
    r"|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|\d{8,10}:AA[\w-]{30,}|hv[sbr]\.[\w-]{20,}"
    # Tailscale, Pinecone, LangSmith.
    r"|tskey-[a-z]+-[\w-]{20,}|pcsk_\w{20,}|lsv2_[ps][tk]_\w{20,}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{20,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    # Addresses that are secrets themselves: whoever has one may write there.
    r"|https://hooks\.slack\.com/services/[\w/]+|https://[\w.]*discord(?:app)?\.com/api/webhooks/[\w/-]+"
    r"|https://[\w.-]+\.webhook\.office\.com/[\w@/-]+"
    # Private keys of ssh and TLS, also where line breaks are written as \n.
    r"|-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*"
    r"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)?"
)
"""How keys of common services look."""
BEGINNINGS = {
    **dict.fromkeys(
        (
            *("hf_", "sk-", "gsk_", "r8_", "xai-", "pplx-", "wandb_v", "ghp_", "gho_", "ghu_"),
            *("ghs_", "ghr_", "github_pat_", "gl", "pypi-", "npm_", "dckr_pat_", "dapi", "AKIA"),
            *("ASIA", "AIza", "ya29.", "GOCSPX-", "xox", "xapp-", "SG.", "hvs.", "hvb.", "hvr."),
            *("AGE-SECRET-KEY-1", "eyJ", "https://", "-----BEGIN ", "nvapi-", "csk-", "tvly-"),
            *("jina_", "ntn_", "lin_api_", "dp.pt.", "dp.st.", "dp.ct.", "shp", "xkeysib-"),
            *("tskey-", "pcsk_", "lsv2_"),
        ),
        (0,),
    ),
    "_v1_": (3,),
    "k_live_": (1,),
    "k_test_": (1,),
    ":AA": (10, 9, 8),
}
"""What a text has that holds one of them, and how many letters of the key stand before it. They are
looked for first: most texts have none, and to try the pattern at each letter takes ten times as
long."""
ADDRESS = (
    # user:password@, where the password may hold a slash or an @; not host:port/path@x.
    r"(://)(?:[^\s/:@'\"<>]{0,256}:(?!\d+[/?#\s])[^\s'\"<>@]{0,256}(?:@[^\s'\"<>@]{0,256}){0,4}"
    # token@, but a mere user of ssh is known to everybody.
    r"|(?<!ssh://)(?<!sftp://)(?<!rsync://)[^\s/:@'\"<>]{1,256})(?=@[\w.\[-])"
)
"""``https://oauth2:TOKEN@host``, ``postgresql://me:word@host/db``: what stands before the @."""
HEADER = (
    r"(\b(?:proxy-)?authorization['\"]?\s{0,3}[:=]\s{0,3}['\"]?"
    r"|\b(?:set-)?cookie['\"]?\s{0,3}:\s{0,3}['\"]?"
    r"|\b(?:x-[\w-]{1,40}|api|private)-(?:token|key|auth|secret)['\"]?\s{0,3}[:=]\s{0,3}['\"]?)"
    r"(?![<'\"\s])[^'\"\r\n]{1,4096}"
)
"""Headers that log somebody in, with whatever stands behind them."""
BEARER = rf"(\b(?:bearer|basic)\s+){MIXED}[\w.~+/=-]{{8,}}"
USER = r"(\s(?:-u|--user|--proxy-user)[\s=]['\"]?)[^\s:'\"<>]+:[^\s'\"<>]+"
"""What curl and wget are told."""
NETRC = r"(\b(?:login|machine)\s{1,8}\S{1,256}\s{1,8}password\s{1,8})[^\s<]\S{0,4096}"
"""How curl, git and wandb find a login in ``.netrc``."""

STRONG = (
    r"pass(?:word|wd|phrase)|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key"
    r"|(?:auth|access|refresh|id|session|client|bot|hub|hf|api|deploy|personal)[_-]?token|credential"
)
WEAK = r"(?<![A-Za-z])(?:token|key|pat|auth|dsn|sig|signature)"
# Between a name and its value: = or :, with or without quotes; behind a flag also a blank, and in a
# list of words a comma.
BETWEEN = r"['\"]?\s{0,3}(?:=>|[:=])\s{0,3}"
AFTER_FLAG = r"['\"]?(?:\s{0,3}[=,]\s{0,3}|\s{1,3})"
QUOTED = r"\"(?![$<])[^\"\r\n]{1,4096}\"|'(?![$<])[^'\r\n]{1,4096}'"
PLAIN = r"[^\s'\"<>,;&(){}\[\]$]"
NOTHING = r"(?!(?:none|null|true|false|str|bytes|int|optional|required|not|is|was|and|or)\b)"
NAMED = (
    rf"((?:{STRONG})[\w-]{{0,40}}{BETWEEN})(?:{QUOTED}|{NOTHING}{PLAIN}{{4,}})"
    rf"|((?:{WEAK})s?{BETWEEN}['\"]?){MIXED}{PLAIN}{{16,}}"
)
"""``HF_TOKEN = "..."``, as it stands in a script, a .env file or a query; ``EOS_TOKEN = "<|end|>"``
is none."""
FLAG_BEGINS = r"(?<![\w-])--?[\w-]{0,40}"
FLAG = (
    rf"({FLAG_BEGINS}(?:{STRONG})[\w-]{{0,40}}{AFTER_FLAG})(?:{QUOTED}|{NOTHING}(?!-){PLAIN}{{4,}})"
    rf"|({FLAG_BEGINS}(?:token|key|pat|auth|dsn){AFTER_FLAG}['\"]?)(?!-){MIXED}{PLAIN}{{8,}}"
)
"""``--api-key VALUE``, also as two words of a list."""
NAMES = ("pass", "pwd", "secret", "key", "token", "credential", "sig", "pat", "auth", "dsn")
LONGEST_BEFORE, LONGEST_FLAG = 9, 60
"""Letters of a name before one of these, as in ``personal_token``, and of a flag."""
VALUE_FOLLOWS = r"[\w-]{0,60}['\"]?\s{0,3}[:=]"
"""How it goes on behind one of these, where a value comes."""


def here(text: str, at: int) -> Iterable[int]:  # noqa: ARG001  # as the others
    """Where a match may begin that has a word at ``at``: there."""
    return (at,)


def one_before(text: str, at: int) -> Iterable[int]:  # noqa: ARG001  # as the others
    """One letter before."""
    return (at - 1,) if at else ()


def at_flag(text: str, at: int) -> Iterable[int]:
    """At the beginning of the flag that the word is in."""
    start = run_start(text, at, LONGEST_FLAG)
    return (start,) if text[start] == "-" else ()


def in_name(text: str, at: int) -> Iterable[int]:
    """Anywhere in the name that the word is in, if a value follows."""
    if compiled(VALUE_FOLLOWS).match(text, at) is None:
        return ()
    return range(run_start(text, at, LONGEST_BEFORE), at + 1)


def run_start(text: str, at: int, most: int) -> int:
    """Where the letters, digits, ``_`` and ``-`` begin that lead up to ``at``; at most so many."""
    start = at
    while start and at - start < most and (text[start - 1].isalnum() or text[start - 1] in "_-"):
        start -= 1
    return start


PATTERNS = {
    ADDRESS: (("://",), here),
    HEADER: (("authorization", "cookie", "x-", "api-", "private-"), here),
    BEARER: (("bearer", "basic"), here),
    USER: (("-u", "--user", "--proxy-user"), one_before),
    NETRC: (("login", "machine"), here),
    FLAG: (NAMES, at_flag),
    NAMED: (NAMES, in_name),
}
"""In the order in which they are looked for, each with words of which its matches have one, in
small letters, and where a match may begin that has it."""
PATH = r"(?:/|~|\./|\.\./|[A-Za-z]:\\)"
"""How the path of a file with a secret begins, which is none."""


@functools.cache
def compiled(pattern: str, ignore_case: bool = True) -> re.Pattern[str]:
    """A pattern, compiled when it is needed first: most starts of the program need none."""
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0)


@functools.cache
def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return compiled(NAMED_SO).search(name) is not None


def secret_values(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Values of secret variables -> name, longest first. The path of a file with a secret is
    none."""
    found = {}
    for name, value in (os.environ if environment is None else environment).items():
        is_path = value.startswith("/")
        if len(value) >= SHORTEST and not is_path and is_secret(name):
            found[value] = name
    # The longest first: one value may be a part of another.
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """``text`` without secrets; what stands in their place says whose value it was."""
    # Values first: their names say more than `<secret>`.
    for value, name in secret_values(environment).items():
        text = text.replace(value, f"<{name}>")
    text = replaced(
        compiled(KNOWN, ignore_case=False), text, known_places(text), lambda _: "<secret>"
    )
    for pattern, (words, begins) in PATTERNS.items():
        lower = text.lower()
        # A letter of another language may become two.
        if len(lower) != len(text):
            text = compiled(pattern).sub(without_value, text)
            continue
        places = (start for at in places_of(words, lower) for start in begins(text, at))
        text = replaced(compiled(pattern), text, places, without_value)
    return text


def known_places(text: str) -> list[int]:
    """Where keys of common services may begin."""
    found = []
    for beginning, letters in BEGINNINGS.items():
        for at in places_of((beginning,), text):
            found += [at - count for count in letters if count <= at]
    return sorted(found)


def has_known(text: str) -> bool:
    """Whether a text has a key of a common service."""
    pattern = compiled(KNOWN, ignore_case=False)
    return any(pattern.match(text, start) for start in known_places(text))


def places_of(words: Iterable[str], text: str) -> list[int]:
    """Where a text has any of these, in order."""
    found = []
    for word in words:
        at = text.find(word)
        while at >= 0:
            found.append(at)
            at = text.find(word, at + 1)
    return sorted(found)


def replaced(
    pattern: re.Pattern[str],
    text: str,
    places: Iterable[int],
    by: Callable[[re.Match[str]], str],
) -> str:
    """What ``pattern.sub`` makes of a text, if matches begin at these places alone, in order."""
    parts: list[str] = []
    end = 0
    tried = -1
    for start in places:
        if start < end or start <= tried:
            continue
        tried = start
        match = pattern.match(text, start)
        if match is not None:
            parts += [text[end:start], by(match)]
            end = match.end()
    return "".join([*parts, text[end:]]) if parts else text


def without_value(match: re.Match[str]) -> str:
    """What is left of a match: the name in front of the value, unless the value is a path."""
    name = next((group for group in match.groups() if group is not None), "")
    value = match[0][len(name) :]
    if re.match(rf"['\"]?{PATH}", value):
        return match[0]
    # Quotes around a value stay.
    if len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]:
        return f"{name}{value[0]}<secret>{value[0]}"
    return f"{name}<secret>"
