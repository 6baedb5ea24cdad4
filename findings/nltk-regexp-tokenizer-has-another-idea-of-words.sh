#!/usr/bin/env bash
# nltk 3.10.4 with the package regex that it brings.
#
# Guess: RegexpTokenizer(r"\w+"), with which IFEval counts words, finds what re.findall(r"\w+") finds: the
# class is named after regular expressions, and for years it has compiled them with Python's re.
#
# Seen: it compiles them with the package regex, whose \w takes combining marks and joiners as parts of
# a word (as Unicode's annex 18 has it), where re ends the word at them. Two words of Hindi are two with
# the one and five with the other; a letter with a combining accent divides its word in re alone. English,
# and accents written as one character, are the same. So word counts, and every score that rests on them,
# depend on the version of NLTK for languages with vowel signs.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install nltk==3.10.4 2>/dev/null

"$folder/venv/bin/python" - <<'PROGRAM'
import re
import sys

from nltk.tokenize import RegexpTokenizer

# Text, words by nltk, words by re.
CASES = [
    ("\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e", 2, 5),
    ("\u0645\u06cc\u200c\u0631\u0648\u0645", 1, 2),
    ("e\u0301te\u0301", 1, 2),
    ("\u00e9t\u00e9 na\u00efve", 2, 2),
    ("two words", 2, 2),
]
print("text          nltk  re")
failed = False
for text, by_nltk, by_re in CASES:
    seen = (len(RegexpTokenizer(r"\w+").tokenize(text)), len(re.findall(r"\w+", text)))
    wrong = seen != (by_nltk, by_re)
    print(f"{ascii(text)[:40]:42} {seen[0]:4} {seen[1]:3}{'   expected: ' + str((by_nltk, by_re)) if wrong else ''}")
    failed = failed or wrong
sys.exit(failed)
PROGRAM
