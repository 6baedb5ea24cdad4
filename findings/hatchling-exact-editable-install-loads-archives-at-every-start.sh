#!/usr/bin/env bash
# hatchling 1.33.0 with editables 0.6, on Python 3.11 to 3.13.
#
# Guess: an editable install adds a line to a path file, or a finder of a few lines. It costs a start of
# Python next to nothing, and whether the packages are named exactly makes no difference to that.
#
# Seen: without dev-mode-exact it is a path, and nothing more is loaded. With it, each start of Python in
# the environment loads a finder that asks importlib for its abstract classes and its utilities: on 3.11, 3.12 and 3.13
# tempfile, shutil, bz2, lzma, typing and re come along before the first line of any program, though no
# package of the install is imported. That is a start for each command, for the Python of each job and for
# each worker process of an engine.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

look='import sys; print(*[one for one in ("bz2", "lzma", "re", "shutil", "tempfile", "typing") if one in sys.modules])'
version=$(python3 -c 'import sys; print(sys.version_info.minor)')

install() { # install FOLDER "LINE OF TOML"
    mkdir -p "$folder/$1/small"
    touch "$folder/$1/small/__init__.py"
    cat >"$folder/$1/pyproject.toml" <<PROJECT
[build-system]
requires = ["hatchling==1.33.0"]
build-backend = "hatchling.build"
[project]
name = "small"
version = "1"
[tool.hatch.build]
$2
PROJECT
    python3 -m venv "$folder/$1/venv"
    pip="$folder/$1/venv/bin/python -m pip --quiet --disable-pip-version-check"
    $pip install hatchling==1.33.0 editables==0.6 2>/dev/null
    # What a new environment has loaded is not hatchling's doing.
    "$folder/$1/venv/bin/python" -c "$look" >"$folder/$1/before"
    $pip install --no-build-isolation --editable "$folder/$1" 2>/dev/null
    "$folder/$1/venv/bin/python" -c "$look" >"$folder/$1/after"
    (cd / && "$folder/$1/venv/bin/python" -c 'import small')
}

failed=0
install path ""
install exact "dev-mode-exact = true"
echo "Python 3.$version, loaded at the start of an empty program:"
for one in path exact; do
    echo "  $one: before '$(cat "$folder/$one/before")', after '$(cat "$folder/$one/after")'"
done
[ "$(cat "$folder/path/after")" = "$(cat "$folder/path/before")" ] || { echo "a path loads something"; failed=1; }
[ "$(cat "$folder/exact/after")" != "$(cat "$folder/exact/before")" ] || { echo "exact loads nothing"; failed=1; }
if [ "$version" -le 13 ]; then
    [ "$(cat "$folder/exact/after")" = "bz2 lzma re shutil tempfile typing" ] || { echo "exact loads something else"; failed=1; }
fi
exit $failed
