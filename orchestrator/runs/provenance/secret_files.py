"""Which files hold secrets: by their name, or by what is in them.

In: a path. Out: whether its name says that it is a secret, and what its content says. Called by
code_copies.py, which leaves such files out of what a run keeps, and by launches.py for the changes
that it notes.

A program that merely has a key in it is no file of secrets: without it the jobs could not run.
"""

from __future__ import annotations

import codecs
import re
from enum import Enum
from pathlib import Path, PurePosixPath

from orchestrator.node.redaction import compiled, has_known, redacted, secret_values

SCANNED_BYTES = 1_000_000
"""So much of a file is looked at: keys stand in small files, and data sets are large."""
CLOSELY_BYTES = 64_000
"""A file of at most this size is searched for passwords behind any name too."""
SHORTEST_TOKEN, LONGEST_TOKEN = 16, 4096
"""Letters of a file that is a token."""
SHARE = 0.5
"""So much of a text is secret, or it is a text that has a secret in it."""

NAMES = (
    # Logins of programs that fetch and send: curl, git, npm, pip, twine, R, databases, mail.
    *(
        ".netrc",
        "_netrc",
        ".envrc",
        ".git-credentials",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".pypirc",
    ),
    *(".pgpass", ".my.cnf", ".mylogin.cnf", ".htpasswd", ".wgetrc", ".curlrc", ".msmtprc"),
    *(".dockercfg", ".dockerconfigjson", ".renviron", ".s3cfg", ".boto", "rclone.conf"),
    *("kaggle.json", ".vault-token", ".vault_pass", ".terraformrc", "terraform.tfvars"),
    # Of clouds.
    *("application_default_credentials.json", "accesstokens.json", "msal_token_cache.json"),
    *("azureprofile.json", "adc.json", "credentials.db", "access_tokens.db"),
)
"""Files that hold secrets, in small letters."""
FOLDERS = {
    ".ssh": "",
    ".gnupg": "",
    ".aws": "",
    ".azure": "",
    ".gcloud": "",
    ".kube": "",
    ".docker": "config.json",
    "gcloud": "credentials.db",
    ".huggingface": "token",
    "huggingface": "token",
    ".kaggle": "",
    ".oci": "",
    ".modal": "",
}
"""Folders that programs keep secrets in; with a name, this file of them alone."""
ENDS = (
    *(".pem", ".key", ".env", ".ppk", ".p12", ".pfx", ".pkcs12", ".jks", ".keystore", ".kdbx"),
    *(
        ".kdb",
        ".ovpn",
        ".asc.key",
        ".token",
        ".secret",
        ".secrets",
        ".tfstate",
        ".jceks",
        ".agekey",
        ".keytab",
    ),
)
WORDS = (
    # .env, .env.local, production.env.local
    r".*\.env(\.[\w-]+)*"
    # id_rsa, id_ecdsa_sk, id_ed25519-cluster, ssh_host_rsa_key; not id_rsa.pub
    r"|id_(rsa|dsa|ecdsa|ed25519|xmss)(_sk)?([_.-].*)?|ssh_host_\w+_key|.*_(rsa|ecdsa|ed25519)"
    # secrets.yaml, my-secrets.toml, client_secret_123.json, credentials, service-account-x.json
    r"|(.*[._-])?(secrets?|credentials?|creds)(\.(ya?ml|json|toml|ini|cfg|conf|txt|csv|env|enc))?"
    r"|client_?secrets?.*\.json|(.*[._-])?service[_-]?account.*\.json|.*-firebase-adminsdk-.*\.json"
    r"|(.*[._-])?(passwords?|passwd|passphrases?)(\.(txt|ya?ml|json|toml|ini|cfg|conf|csv))?"
    # Of Kerberos and Kubernetes; what browsers and curl keep to stay logged in.
    r"|krb5cc(_.*)?|(.*[._-])?kubeconfig(\.ya?ml)?|cookies?\.(txt|sqlite)|pgpass\.conf"
)
"""Forms of names, in small letters."""
TOKENS = (
    r"(.*[._-])?((auth|access|api|secret|bot|session)?[_-]?(token|keys?)|wandb|hf|openai|anthropic)"
    r"(\.txt)?"
)
"""Names of what is a secret if it is one long word: ``token.txt``, ``hf_token``, ``wandb_key``."""
HARMLESS = re.compile(r".*[._-](pub|example|sample|template|dist|tmpl|schema)(\.\w+)?")
"""Names of public keys, and of forms to fill in."""
PROGRAMS = (
    *(".py", ".pyx", ".pyi", ".ipynb", ".sh", ".bash", ".zsh", ".slurm", ".sbatch", ".r", ".rmd"),
    *(".jl", ".m", ".lua", ".pl", ".js", ".ts", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".cuh"),
    *(".rs", ".go", ".java", ".scala", ".f90"),
)
"""Ends of programs, which may have a key in them."""
SECRET = re.compile(
    r"-----? ?BEGIN [A-Z0-9 ]*PRIVATE KEY|^PuTTY-User-Key-File|^openssh-key-v1"
    # Cookies for curl and wget; keys of Kubernetes; logins of Maven; of curl; of PostgreSQL alone.
    r"|\A# (?:Netscape )?HTTP Cookie File|^\s{0,20}client-key-data:\s{1,9}[\w+/=]{40}"
    r"|<(?:password|passphrase|privateKey)>[^<>${}]{4,512}</"
    r"|^-{0,2}(?:proxy-)?user\s{0,9}[=:\s]\s{0,9}\"?[^:\s\"]{1,99}:[^\s\"$]{4,512}\"?$"
    r"|\A(?:(?:#.*)?\n)*[^:\s#]+:(?:\d+|\*):[^:\s]+:[^:\s]+:\S+\s*\Z",
    re.MULTILINE,
)
"""What no other file than one of secrets has in it."""
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a text begins that a shell of Windows has written."""


class Secrecy(Enum):
    """What a file's content says."""

    NONE = "none"
    HAS = "has a secret in it"
    IS = "is a secret"


def is_secret_name(name: str) -> bool:
    """Whether a file holds secrets by its path, whatever is in it."""
    path = PurePosixPath(name.lower())
    base = path.name
    if HARMLESS.fullmatch(base):
        return False
    # Without its dot too: as a file is handed on.
    is_named = base in NAMES or f".{base.lstrip('._')}" in NAMES
    if is_named or base.endswith(ENDS) or compiled(WORDS, False).fullmatch(base):
        return path.suffix not in PROGRAMS
    above = path.parts[:-1]
    return any(folder in FOLDERS and FOLDERS[folder] in ("", base) for folder in above)


def secrecy(path: Path) -> Secrecy:
    """What the content of a file says; a link, and what is no text, says nothing."""
    if path.is_symlink():
        return Secrecy.NONE
    with path.open("rb") as file:
        content = file.read(SCANNED_BYTES)
    runs = is_program(path, content)
    is_wide = content.startswith(UTF_16)
    if b"\0" in content and not is_wide:
        return Secrecy.NONE
    text = content.decode("utf-16" if is_wide else "utf-8", errors="replace")
    is_word = SHORTEST_TOKEN <= len(text) <= LONGEST_TOKEN and len(text.split()) == 1
    if is_word and compiled(TOKENS, False).fullmatch(path.name.lower()):
        return Secrecy.IS
    if not runs and SECRET.search(text):
        return Secrecy.IS
    if not holds_secret(text, closely=not runs and len(content) <= CLOSELY_BYTES):
        return Secrecy.NONE
    return Secrecy.IS if not runs and share(text) >= SHARE else Secrecy.HAS


def is_program(path: Path, content: bytes = b"") -> bool:
    """Whether a file is a program, by its name or first line."""
    return path.suffix.lower() in PROGRAMS or content.startswith(b"#!")


def holds_secret(text: str, closely: bool) -> bool:
    """Whether a text has a key of a service or the value of a secret variable in it; ``closely``:
    or what stands behind the name of a secret, which in a program is mostly an expression."""
    if any(value in text for value in secret_values()):
        return True
    if has_known(text):
        return True
    return closely and redacted(text, {}) != text


def share(text: str) -> float:
    """How much of a text is secret, by letters."""
    left = re.sub(r"<[A-Z_]+>|<secret>", "", redacted(text))
    whole = len("".join(text.split()))
    return 1 - len("".join(left.split())) / whole if whole else 0.0
