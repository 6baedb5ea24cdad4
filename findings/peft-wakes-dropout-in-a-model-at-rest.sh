#!/usr/bin/env bash
# peft 0.21.2 with torch 2.13.0 and transformers 5.19.0.
#
# Guess: adapters take the mode of the model that they are put on. A model in evaluation mode stays in it,
# since putting an adapter on it changes nothing at first, and model.training says which mode it is in.
#
# Seen: it depends on the door. inject_adapter_in_model and add_adapter leave the new adapter's dropout in
# training mode while every module that was there, and model.training, say evaluation: two passes over one
# input differ, without a word. get_peft_model does the same to the layers and says training at the top.
# PeftModel.from_pretrained and load_adapter do put the new dropout into evaluation mode. Whoever samples or
# scores right after adding an adapter, and asks model.training first, gets noise; model.eval() mends it.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0 transformers==5.19.0 peft==0.21.2 numpy 2>/dev/null

"$folder/venv/bin/python" - <<'PROGRAM'
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, values):
        return self.linear(values)


def fresh():
    return Layer().eval()


config = LoraConfig(r=4, target_modules=["linear"], lora_dropout=0.5, init_lora_weights=False)
saved = get_peft_model(fresh(), config)
found = {}
with tempfile.TemporaryDirectory() as folder:
    saved.save_pretrained(folder)
    found["inject_adapter_in_model"] = inject_adapter_in_model(config, fresh())
    found["get_peft_model"] = get_peft_model(fresh(), config)
    found["from_pretrained"] = PeftModel.from_pretrained(fresh(), folder)
    loaded = PeftModel.from_pretrained(fresh(), folder)
    loaded.load_adapter(folder, "new")
    loaded.set_adapter("new")
    found["load_adapter"] = loaded
    added = PeftModel.from_pretrained(fresh(), folder).eval()
    added.add_adapter("new", config)
    added.set_adapter("new")
    found["add_adapter"] = added

# Door: what model.training says, whether some dropout is on, whether two passes agree.
EXPECTED = {
    "inject_adapter_in_model": (False, True, False),
    "get_peft_model": (True, True, False),
    "from_pretrained": (False, False, True),
    "load_adapter": (False, False, True),
    "add_adapter": (False, True, False),
}
print(f"{'door':26}model.training  dropout on  passes agree")
failed = False
for door, model in found.items():
    on = any(one.training for one in model.modules() if isinstance(one, torch.nn.Dropout))
    values = torch.ones(4, 8)
    torch.manual_seed(0)
    seen = (model.training, on, torch.equal(model(values), model(values)))
    wrong = seen != EXPECTED[door]
    print(f"{door:26}{seen[0]!s:16}{seen[1]!s:12}{seen[2]}{'   expected: ' + str(EXPECTED[door]) if wrong else ''}")
    failed = failed or wrong
sys.exit(failed)
PROGRAM
