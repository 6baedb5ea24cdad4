#!/usr/bin/env bash
# datasets 5.2.0 with pyarrow 26.0.1.
#
# Guess: a JSON lines file whose column holds texts and numbers loads, and each value comes back as the file
# has it: the text "007" is a text, the number 3 a number. (That such a column becomes one of JSON is known.)
#
# Seen: texts that spell JSON themselves lose their quotes on the way in, while all others keep them. "007"
# is read as the number 7, "1.50" as 1.5, "true" as True, "null" as nothing, "[1, 2]" as a list; the
# parquet file that is written holds them unquoted too, so that nobody later can tell the text "3" from the
# number 3. For a column of right answers that is a zip code or a version number turned into another answer.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install datasets==5.2.0 pyarrow==26.0.1 2>/dev/null

HF_HOME="$folder/home" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$folder/venv/bin/python" - "$folder" <<'PROGRAM'
import json
import sys
from pathlib import Path

import pyarrow.parquet
from datasets import disable_progress_bars, load_dataset

disable_progress_bars()
folder = Path(sys.argv[1])
# In the file, as it is read, as the parquet file holds it.
CASES = [
    ("C", "C", '"C"'),
    (3, 3, "3"),
    ("007", 7, "007"),
    ("1.50", 1.5, "1.50"),
    ("true", True, "true"),
    ("null", None, "null"),
    ("[1, 2]", [1, 2], "[1, 2]"),
]
lines = [json.dumps({"answer": value}) for value, _, _ in CASES]
(folder / "rows.jsonl").write_text("\n".join(lines))
data = load_dataset("json", data_files=str(folder / "rows.jsonl"), split="train")
data.to_parquet(str(folder / "rows.parquet"))
column = pyarrow.parquet.read_table(folder / "rows.parquet").column("answer").combine_chunks()
stored = column.storage.to_pylist()
failed = str(column.type) != "extension<arrow.json>"
print(f"column of {column.type}\n{'in the file':14} {'read':12} in parquet")
for (written, read, kept), row, text in zip(CASES, data, stored, strict=True):
    value = row["answer"]
    wrong = (value, type(value), text) != (read, type(read), kept)
    print(f"{written!r:14} {value!r:12} {text}{f'   expected: {read!r}, {kept}' if wrong else ''}")
    failed = failed or wrong
sys.exit(failed)
PROGRAM
