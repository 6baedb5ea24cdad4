#!/usr/bin/env bash
# polars 2.1.0, beside duckdb 2.0.1 and pandas 3.1.1: the best of the accuracies 0.5, NaN (a run that diverged)
# and 0.9.
#
# Guess: a library has one answer to which row is best, by whichever of its functions it is asked: NaN is
# the largest, as for sorting, or it is left out.
#
# Seen: polars has both. max, arg_max and cum_max leave NaN out and say 0.9; top_k and a descending sort put
# NaN first, and so does a filter (NaN > 0.8 is true). So a table of the best run by max and the one by top_k
# name different runs. The mean is NaN and the median 0.9, which counts NaN as the largest value. duckdb says NaN by all its
# doors, max among them. pandas leaves it out in all of them.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    polars==2.1.0 duckdb==2.0.1 pandas==3.1.1 2>/dev/null

"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import duckdb
import pandas
import polars

nan, failed = float("nan"), False
values = [0.5, nan, 0.9]
table, value = polars.DataFrame({"accuracy": values}), polars.col("accuracy")
series = pandas.Series(values)
duckdb.sql("create table runs (accuracy double)")
duckdb.sql("insert into runs values (0.5), ('nan'), (0.9)")


def asked(query):
    return duckdb.sql(f"select {query} from runs").fetchall()[0][0]


found = [
    ("polars", "max", table.select(value.max()).item(), 0.9),
    ("", "the value at arg_max", values[table.select(value.arg_max()).item()], 0.9),
    ("", "the last of cum_max", table.select(value.cum_max().last()).item(), 0.9),
    ("", "top_k(1)", table.select(value.top_k(1)).item(), nan),
    ("", "top_k(1) of the rows", table.top_k(1, by="accuracy").item(), nan),
    ("", "first of a descending sort", table.select(value.sort(descending=True).first()).item(), nan),
    ("", "rows above 0.8", table.filter(value > 0.8).height, 2),
    ("", "median", table.select(value.median()).item(), 0.9),
    ("duckdb", "max", asked("max(accuracy)"), nan),
    ("", "max of a row of its own", asked("arg_max(accuracy, accuracy)"), nan),
    ("", "first of a descending sort", duckdb.sql("from runs order by accuracy desc limit 1").fetchall()[0][0], nan),
    ("", "rows above 0.8", asked("count(*) filter (accuracy > 0.8)"), 2),
    ("pandas", "max", series.max(), 0.9),
    ("", "the value at idxmax", values[series.idxmax()], 0.9),
    ("", "nlargest(1)", series.nlargest(1).item(), 0.9),
    ("", "rows above 0.8", int((series > 0.8).sum()), 1),
]
for library, way, value, expected in found:
    wrong = value != expected and not (value != value and expected != expected)
    failed = failed or wrong
    print(f"{library:8}{way:28}{value}{f'   expected: {expected}' if wrong else ''}")
sys.exit(failed)
PROGRAM
