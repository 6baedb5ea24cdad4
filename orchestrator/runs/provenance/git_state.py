"""What git says of a folder: commit, branch, what has changed, without secrets.

In: a folder of a person's. Out: values for ``launch.json``, and a patch. Called by launches.py. Git
is asked with no lock, no program of the person's settings and no password; without git, or outside
of a repository, there is nothing to say.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from orchestrator.runs.provenance.redaction import redacted
from orchestrator.runs.provenance.secret_files import is_secret_name

PATCH_BYTES = 1_000_000
"""More of uncommitted changes is cut off, and said to be."""
GIT_SECONDS = 30.0
"""Longest wait for one call of git."""
UNTRACKED = 200
"""So many untracked files are listed."""


def git(folder: Path, *arguments: str) -> bytes | None:
    """What git says; None if there is no git, or no repository, or no answer."""
    if shutil.which("git") is None:
        return None
    try:
        done = subprocess.run(
            # Else `git status` may take the index's lock, and a person's own git command fails.
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            timeout=GIT_SECONDS,
            # git must not wait for a password.
            stdin=subprocess.DEVNULL,
        )
    # The folder may be gone, or no more processes may be started.
    except (subprocess.TimeoutExpired, OSError):
        return None
    return done.stdout if done.returncode == 0 else None


def git_state(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Commit, branch, changed and untracked files of the repository that ``folder`` lies in, and
    the changes as a patch; None and "" outside of one."""
    status = git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
    if status is None:
        return None, ""
    entries = os.fsdecode(status).split("\0")
    # "# branch.oid 1a2b...", "1 .M N... path" for a changed file, "? path" for an untracked one.
    heads = [entry[2:] for entry in entries if entry.startswith("# ") and " " in entry[2:]]
    branch = dict(head.split(" ", 1) for head in heads)
    untracked = [entry[2:] for entry in entries if entry.startswith("? ")]
    commit = None if branch["branch.oid"] == "(initial)" else branch["branch.oid"]
    patch = ""
    # Untracked files are named, not copied: they may be data sets.
    if commit and any(entry[:2] in ("1 ", "2 ", "u ") for entry in entries):
        # A person's git settings may run programs of theirs for a diff, or colour it.
        options = ("--no-ext-diff", "--no-textconv", "--no-color")
        patch = git_text(folder, "diff", "HEAD", *options)
    remote = git_text(folder, "config", "--get", "remote.origin.url").strip()
    return {
        "commit": commit,
        "branch": branch.get("branch.head"),
        # Without the user and the password that an address may hold.
        "remote": redacted(remote).replace("://<secret>@", "://") or None,
        "changed": re.findall(r"^diff --git a/.* b/(.*)$", patch, re.MULTILINE),
        "binary": re.findall(r"^Binary files .*? and b/(.*) differ$", patch, re.MULTILINE),
        "untracked": untracked[:UNTRACKED],
        "untracked_more": max(0, len(untracked) - UNTRACKED),
        "patch_cut": len(patch.encode()) > PATCH_BYTES,
    }, redacted(cut(without_secret_files(patch)))


def git_text(folder: Path, *arguments: str) -> str:
    """What git says as text; empty if it says nothing."""
    return (git(folder, *arguments) or b"").decode(errors="replace")


def without_secret_files(patch: str) -> str:
    """A patch with the names alone of files that are secrets: what stands in them need not look
    like one."""
    parts = re.split(r"^(?=diff --git )", patch, flags=re.MULTILINE)
    kept = []
    for part in parts:
        head, _, _ = part.partition("\n")
        # A name with odd characters stands in quotes.
        name = head.rpartition(" b/" if " b/" in head else ' "b/')[2].rstrip('"')
        is_secret = head.startswith("diff ") and is_secret_name(name)
        kept.append(f"{head}\n(left out: by its name it holds secrets)\n" if is_secret else part)
    return "".join(kept)


def cut(patch: str) -> str:
    """A patch of at most PATCH_BYTES, ending with a whole file."""
    if len(patch.encode()) <= PATCH_BYTES:
        return patch
    # Cut between files, so that `git apply` takes what is left.
    head = patch.encode()[:PATCH_BYTES].decode(errors="ignore")
    return head[: head.rfind("\ndiff --git ") + 1]
