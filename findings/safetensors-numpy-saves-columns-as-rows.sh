#!/usr/bin/env bash
# safetensors 0.8.0, beside 0.7.0, with numpy 2.3.5 and pandas 3.1.1: arrays that are not laid out row by row in
# memory, as a transpose, a column, every second row, or the values of a table of two columns are.
#
# Guess: save_file writes the array that it was given, as 0.7.0 does, or raises an error.
#
# Seen: 0.8.0 writes the memory as it lies from the array's first number on, under the shape of the array, without a
# word. A column of a matrix comes back as numbers of both columns, every second row as the first rows, and the two
# columns of a data frame (df.to_numpy()) come back mixed. save does the same as save_file. Type and shape are
# right. numpy.ascontiguousarray before saving mends it.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install "$@" 2>/dev/null; }

cat >"$folder/save.py" <<'PROGRAM'
import sys

import numpy
import pandas
from safetensors.numpy import load, load_file, save, save_file

as_it_lies = sys.argv[2] == "as-it-lies"
failed = False
matrix = numpy.arange(6.0).reshape(3, 2)
table = pandas.DataFrame({"length": [1.0, 2.0, 3.0], "width": [40.0, 50.0, 60.0]})
# Array, and what 0.8.0 reads back.
CASES = {
    "a matrix": (matrix, matrix.tolist()),
    "its transpose": (matrix.T, [[0, 1, 2], [3, 4, 5]]),
    "its second column": (matrix[:, 1], [1, 2, 3]),
    "its rows 0 and 2": (matrix[::2], [[0, 1], [2, 3]]),
    "a data frame": (table.to_numpy(), [[1, 2], [3, 40], [50, 60]]),
    "made contiguous": (numpy.ascontiguousarray(matrix.T), matrix.T.tolist()),
}
for name, (array, lies) in CASES.items():
    save_file({"x": array}, sys.argv[1])
    found = load_file(sys.argv[1])["x"]
    expected = lies if as_it_lies else array.tolist()
    same = load(save({"x": array}))["x"].tolist() == found.tolist()
    wrong = found.tolist() != expected or found.shape != array.shape or found.dtype != array.dtype or not same
    failed = failed or wrong
    print(f"  {name:18}{array.tolist()} read as {found.tolist()}{f'   expected: {expected}' if wrong else ''}")
sys.exit(failed)
PROGRAM

pip numpy==2.3.5 pandas==3.1.1 safetensors==0.7.0
echo "safetensors 0.7.0"
"$folder/venv/bin/python" "$folder/save.py" "$folder/x.safetensors" as-given
pip safetensors==0.8.0
echo "safetensors 0.8.0"
"$folder/venv/bin/python" "$folder/save.py" "$folder/x.safetensors" as-it-lies
