#!/usr/bin/env bash
# latex2sympy2_extended 1.11.0 with antlr4 4.13.2, the parser of math-verify.
#
# Guess: numbers in brackets side by side are multiplied, as in every textbook: (2)(3) is 6.
#
# Seen: two whole numbers side by side are added, because the grammar reads a mixed number ("3 1/2" is
# three and a half) and takes any number or fraction behind a number, with or without brackets, for its
# fraction: (2)(3) and 2(3) are 5, three factors are added too, and 5(2/3) is 17/3. With a letter, a
# decimal or a minus sign inside the brackets the same spelling is a product. So a right answer written
# as a product of numbers is judged wrong, and the sum is judged right.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    "latex2sympy2_extended[antlr4_13_2]==1.11.0" sympy==1.14.0 2>/dev/null

"$folder/venv/bin/python" - <<'PROGRAM'
import sys

from latex2sympy2_extended import latex2sympy

# Written, guessed, seen.
CASES = [
    ("(2)(3)", "6", "5"),
    ("2(3)", "6", "5"),
    ("(2)(3)(4)", "24", "9"),
    ("5(2/3)", "10/3", "17/3"),
    ("2(0.5)", "1.00000000000000", "1.00000000000000"),
    ("2(-3)", "-6", "-6"),
    ("2(x)", "2*x", "2*x"),
    (r"2\cdot(3)", "6", "6"),
]
print(f"{'written':12} {'guess':18} value")
failed = False
for written, guess, seen in CASES:
    value = str(latex2sympy(written).doit())
    print(f"{written:12} {guess:18} {value}{'' if value == seen else f'   expected: {seen}'}")
    failed = failed or value != seen
sys.exit(failed)
PROGRAM
