#!/usr/bin/env bash
# duckdb 2.0.1 and polars 2.1.0 on a training log of 25,000 lines of JSON. For the first 22,000 the reward is
# the whole number 0; after that it is 0.25, and an evaluation's loss comes along.
#
# Guess: a reader that takes the columns' types from the first lines widens them when later ones do not fit,
# or stops with the line. Nothing changes a number on the way.
#
# Seen: duckdb takes the first 20,480 lines for its sample and decides on whole numbers. Each 0.25 after it
# becomes 0 and each 0.75 becomes 1, without a word: the mean reward of the run is 0. So it is with the same
# values in a CSV file. The column that began after the sample is not there at all. polars looks at 100 lines: there the number is an error, and the column is left out without a word, so that a loss
# that is logged every 500 steps does not exist. With the whole file as sample (sample_size=-1,
# infer_schema_length=None) both read what is written.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install duckdb==2.0.1 polars==2.1.0 2>/dev/null

cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import json
import sys
from pathlib import Path

import duckdb
import polars

failed = False


def check(what: str, found: object, expected: object) -> None:
    global failed
    wrong = found != expected
    failed = failed or wrong
    print(f"{what:62}{found}{f'   expected: {expected}' if wrong else ''}")


def said(action) -> str:
    """The first words of what it raises."""
    try:
        action()
    except Exception as error:
        return str(error).split(":")[0].split("(")[0].strip()
    return "nothing"


def log(value: float) -> list[dict[str, float]]:
    rows = [{"step": step, "reward": 0 if step <= 22_000 else value} for step in range(1, 25_001)]
    for row in rows[22_000:]:
        row["eval_loss"] = 1.5
    return rows


for value, rounded in ((0.25, 0), (0.75, 3000)):
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log(value)))
    first = duckdb.sql("select sum(reward) from read_json('log.jsonl')").fetchall()[0][0]
    whole = duckdb.sql("select sum(reward) from read_json('log.jsonl', sample_size=-1)").fetchall()[0][0]
    check(f"duckdb, 3,000 rewards of {value}: their sum", first, rounded)
    check("  with the whole file as sample", whole, 3000 * value)
check("duckdb, columns", duckdb.sql("from read_json('log.jsonl')").columns, ["step", "reward"])
Path("log.csv").write_text("step,reward\n" + "".join(f"{r['step']},{r['reward']}\n" for r in log(0.75)))
check("  the same as CSV", duckdb.sql("select sum(reward) from read_csv('log.csv')").fetchall()[0][0], 3000)
check("polars, the number", said(lambda: polars.read_ndjson("log.jsonl")), "cannot parse '0.75'")
late = [{"step": s, "loss": 1.0} | ({"eval_loss": 1.5} if s % 500 == 0 else {}) for s in range(1, 2001)]
Path("late.jsonl").write_text("".join(json.dumps(row) + "\n" for row in late))
check("polars, columns of a log with a loss every 500 steps", polars.read_ndjson("late.jsonl").columns, ["step", "loss"])
check(
    "  with the whole file as sample",
    polars.read_ndjson("late.jsonl", infer_schema_length=None).columns,
    ["step", "loss", "eval_loss"],
)
sys.exit(failed)
PROGRAM
