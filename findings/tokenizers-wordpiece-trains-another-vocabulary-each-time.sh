#!/usr/bin/env bash
# tokenizers 0.23.3: the four trainers, the same 300 lines, four processes each.
#
# Guess: a tokenizer is a function of its text and settings, as there is no random number in any of the four
# methods. Two jobs that train it from one file have the same ids, and so has the one that is run again.
#
# Seen: BPE, WordLevel and Unigram do that. WordPiece, which is trained as BPE with a prefix inside of words,
# does not: nearly every process gets other ids and some other words, and the same sentence becomes other
# numbers. One thread makes no difference, and there is no seed. So the tokenizer has to be trained once and kept with
# the model; an evaluation that trains it anew reads noise.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install tokenizers==0.23.3 2>/dev/null

cat > "$folder/train.py" <<'PROGRAM'
import json
import random

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

random.seed(1)
words = ["".join(random.choice("abcdefgh") for _ in range(random.randint(2, 6))) for _ in range(3000)]
texts = [" ".join(words[first : first + 10]) for first in range(0, 3000, 10)]
kinds = {
    "BPE": (models.BPE(), trainers.BpeTrainer(vocab_size=400, show_progress=False)),
    "WordPiece": (models.WordPiece(), trainers.WordPieceTrainer(vocab_size=400, show_progress=False)),
    "WordLevel": (models.WordLevel(), trainers.WordLevelTrainer(vocab_size=400, show_progress=False)),
    "Unigram": (models.Unigram(), trainers.UnigramTrainer(vocab_size=300, show_progress=False)),
}
found = {}
for name, (model, trainer) in kinds.items():
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(texts, trainer)
    vocabulary = tokenizer.get_vocab()
    found[name] = {"ids": json.dumps(sorted(vocabulary.items())), "words": json.dumps(sorted(vocabulary))}
print(json.dumps(found))
PROGRAM
"$folder/venv/bin/python" - "$folder" <<'PROGRAM'
import json
import os
import subprocess
import sys

runs = []
for threads in ("", "", "1", "1"):
    variables = dict(os.environ) | ({"RAYON_NUM_THREADS": threads} if threads else {})
    command = [f"{sys.argv[1]}/venv/bin/python", f"{sys.argv[1]}/train.py"]
    runs.append(json.loads(subprocess.run(command, env=variables, capture_output=True, check=True).stdout))
failed = False
print("trainer     four processes: different id tables   different sets of words")
for name in runs[0]:
    ids, words = (len({run[name][kind] for run in runs}) for kind in ("ids", "words"))
    wrong = (ids > 1) != (name == "WordPiece")
    failed = failed or wrong
    print(f"{name:12}{ids:<38}{words}{'   expected otherwise' if wrong else ''}")
sys.exit(failed)
PROGRAM
