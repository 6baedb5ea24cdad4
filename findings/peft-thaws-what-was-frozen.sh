#!/usr/bin/env bash
# peft 0.21.2 with torch 2.13.0 and transformers 5.19.0.
#
# Guess: `with model.disable_adapter():`, by which a trainer asks the model without its adapter (the reference
# of a KL term), leaves everything as it found it. What was frozen before is frozen after.
#
# Seen: on the way out every weight of the active adapter may be trained again. Layers of the adapter that were
# frozen thaw, and an adapter that was loaded for inference (is_trainable=False) asks for gradients from then
# on. An optimizer that was given all parameters trains the frozen layers from then on.
# merge_adapter and unmerge_adapter leave it alone, set_adapter thaws too.
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
from peft import LoraConfig, PeftModel, get_peft_model

failed = False


class Layers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, values):
        return self.second(self.first(values).tanh())


def adapted():
    return get_peft_model(Layers(), LoraConfig(r=2, target_modules=["first", "second"]))


def frozen(model):
    """Which of the two layers' adapters ask for no gradient."""
    wanted = {"first": False, "second": False}
    for name, value in model.named_parameters():
        if "lora_" in name and value.requires_grad:
            wanted["first" if ".first." in name else "second"] = True
    return [name for name, asks in wanted.items() if not asks]


def check(what, found, expected):
    global failed
    failed = failed or found != expected
    print(f"{what:58}{found}{'' if found == expected else f'   expected: {expected}'}")


def freeze_first(model):
    for name, value in model.named_parameters():
        if ".first." in name:
            value.requires_grad_(False)


model = adapted()
freeze_first(model)
check("frozen", frozen(model), ["first"])
model.merge_adapter()
model.unmerge_adapter()
check("after merging and unmerging", frozen(model), ["first"])
with model.disable_adapter():
    check("inside of disable_adapter", frozen(model), ["first", "second"])
check("after disable_adapter", frozen(model), [])

model = adapted()
freeze_first(model)
weights = model.base_model.model.first.lora_B["default"].weight
before = weights.detach().clone()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
moved = []
values = torch.randn(16, 8)
for _ in range(3):
    optimizer.zero_grad()
    with model.disable_adapter(), torch.no_grad():
        reference = model(values)
    (((model(values) - reference) ** 2).mean() + model(values).mean()).backward()
    optimizer.step()
    moved.append(not torch.equal(weights.detach(), before))
check("the frozen layer has moved after step 1, 2, 3", moved, [True, True, True])

with tempfile.TemporaryDirectory() as folder:
    adapted().save_pretrained(folder)
    model = PeftModel.from_pretrained(Layers(), folder, is_trainable=False)
check("loaded for inference", frozen(model), ["first", "second"])
with model.disable_adapter():
    pass
check("  after disable_adapter", frozen(model), [])
sys.exit(failed)
PROGRAM
