#!/usr/bin/env bash
# transformers 5.19.0 with tokenizers 0.23.3, without torch.
#
# Guess: a folder whose tokenizer_config.json names its tokenizer class is read by AutoTokenizer with that class,
# whatever model lies beside it; config.json matters only where no class is named.
#
# Seen: one saved character-level tokenizer, whose tokenizer_config.json names the general class, gives `<unk>` for
# a character without a token, as its tokenizer.json says: alone, and beside a config.json of the type llama, gpt2
# or bert. Beside a config.json of the type qwen2 AutoTokenizer takes Qwen2's class instead, without a word, and the
# character is not unknown any more: it is gone, and the sequence is one token shorter. Who trains a small Qwen2
# with an alphabet of its own finds sequences whose length does not fit the text.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    transformers==5.19.0 tokenizers==0.23.3 2>/dev/null

cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM' 2>/dev/null
import json
import pathlib
import sys

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

alphabet = ["<unk>", "<eos>", *"abc"]
tokenizer = Tokenizer(
    models.WordLevel({token: number for number, token in enumerate(alphabet)}, unk_token="<unk>")
)
tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
saved = pathlib.Path("saved")
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>"
).save_pretrained(saved)

failed = False
for kind in (None, "llama", "gpt2", "bert", "qwen2"):
    if kind is not None:
        (saved / "config.json").write_text(json.dumps({"model_type": kind}))
    loaded = AutoTokenizer.from_pretrained(saved)
    tokens = loaded.tokenize("ab?c")
    expected = ["a", "b", "c"] if kind == "qwen2" else ["a", "b", "<unk>", "c"]
    failed = failed or tokens != expected
    print(f"beside {kind or 'no model':10} {type(loaded).__name__:18} {' '.join(tokens)}")
sys.exit(failed)
PROGRAM
