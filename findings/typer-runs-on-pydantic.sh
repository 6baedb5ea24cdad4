#!/usr/bin/env bash
# typer 0.29.2 on Python 3.11 or newer.
#
# Guess: typer is click with type hints. A command line that only takes text loads typer and click, and
# nothing that validates data; what `--help` loads is what a command loads.
#
# Seen: click is no dependency any more (typer carries its own copy), and pydantic is one. `import typer`
# and the help of the whole program do not load pydantic. Running any command does, even one without a
# parameter, and so does the help of a single command: typer makes a pydantic adapter for each value, also
# for text that stays text. For a program that is started thousands of times, by a shell's completion or by
# queued jobs, that import is the larger part of its start.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install typer==0.29.2 2>/dev/null

cat >"$folder/program.py" <<'PROGRAM'
import sys

import typer

after_import = "pydantic" in sys.modules
app = typer.Typer(rich_markup_mode=None)


@app.command()
def nothing() -> None:
    """Takes no parameter."""


@app.command()
def text(name: str = "") -> None:
    """Takes text."""


try:
    app(sys.argv[1:])
except SystemExit:
    pass
print("loaded", after_import, "pydantic" in sys.modules, file=sys.stderr)
PROGRAM

failed=0
expect() { # expect "WORDS" "loaded AFTER-IMPORT AT-THE-END"
    # shellcheck disable=SC2086  # the words are meant to be split
    seen=$("$folder/venv/bin/python" "$folder/program.py" $1 2>&1 >/dev/null | grep '^loaded')
    printf '%-18s %s\n' "$1" "$seen"
    [ "$seen" = "$2" ] || { echo "  expected: $2"; failed=1; }
}
echo "arguments          is pydantic loaded after 'import typer', and at the end?"
expect "--help" "loaded False False"
expect "nothing" "loaded False True"
expect "text --name a" "loaded False True"
expect "text --help" "loaded False True"
if "$folder/venv/bin/python" -c 'import click' 2>/dev/null; then
    echo "click came with typer"
    failed=1
else
    echo "click is not installed"
fi
exit $failed
