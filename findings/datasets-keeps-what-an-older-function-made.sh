#!/usr/bin/env bash
# datasets 5.2.0 with pyarrow 26.0.1 and dill 0.4.1: a table that is mapped by a function of a module of one's
# own, and mapped again in a new process after that function was mended.
#
# Guess: what map has written is found again by the code that made it. It is so for a function of the script
# itself: change a line of it, and the rows are made anew.
#
# Seen: a function that is imported counts by its name. After the mending map and filter give the old rows back,
# without a word, for the function, for an object with __call__ and for a filter whose limit is a constant of
# that module. So a job that is sent again after a fix in preprocess.py trains on what the fault had made.
# A new_fingerprint, load_from_cache_file=False or another cache folder mends it.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    datasets==5.2.0 pyarrow==26.0.1 dill==0.4.1 2>/dev/null

cd "$folder"
for number in 1 2 3 4; do echo "{\"x\": $number}"; done >rows.jsonl
module() {
    cat >preprocess.py <<PROGRAM
LIMIT = $2
def add(row): return {"y": row["x"] + $1}
class Add:
    def __call__(self, row): return {"y": row["x"] + $1}
def keep(row): return row["x"] > LIMIT
PROGRAM
}
script() {
    cat >main.py <<PROGRAM
import datasets, preprocess
datasets.disable_progress_bars()
def own(row): return {"y": row["x"] + $1}
rows = datasets.load_dataset("json", data_files="rows.jsonl", split="train", cache_dir="cache")
for name, function in (("script's own function", own), ("imported function", preprocess.add), ("imported object", preprocess.Add())):
    print(f"{name}: {rows.map(function)['y'][:]}")
print(f"imported filter: {rows.filter(preprocess.keep)['x'][:]}")
PROGRAM
}
module 1 1
script 1
HF_HOME="$folder/hf" venv/bin/python main.py 2>/dev/null >before
module 100 3
script 100
HF_HOME="$folder/hf" venv/bin/python main.py 2>/dev/null >after
rm -r cache
HF_HOME="$folder/hf" venv/bin/python main.py 2>/dev/null >anew
cat >expected <<LINES
script's own function: [101, 102, 103, 104]
imported function: [2, 3, 4, 5]
imported object: [2, 3, 4, 5]
imported filter: [2, 3, 4]
LINES
echo "after the mending:"
cat after
echo "with an empty cache:"
cat anew
diff expected after
grep --quiet 'imported function: \[101, 102, 103, 104\]' anew
grep --quiet 'imported filter: \[4\]' anew
