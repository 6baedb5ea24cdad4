#!/usr/bin/env bash
# torch 2.13.0, in one process: model, AdamW and the step saved by torch.distributed.checkpoint after five steps, and
# loaded into new ones, as a job does that continues.
#
# Guess: load puts into the given state dictionaries what the checkpoint has for them, and complains of what does not
# fit. With optimizer.state_dict() given, the moments come back as the weights do.
#
# Seen: what is loaded is what the given dictionary has already, and a new optimizer has no moments yet. The weights
# and the step come back, the state of the optimizer stays empty, load_state_dict takes that, and nothing is said.
# The next steps begin with new moments: the training is another one. It is so for the optimizer itself in
# place of its dictionary. After one step with a learning rate of 0, or by get_state_dict at saving and loading, all comes back
# and the steps are those of the training that was not stopped. The other way, one weight too many in the
# dictionary, is an error.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-compile \
    --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0 numpy 2>/dev/null

cd "$folder"
venv/bin/python -W ignore - <<'PROGRAM'
import sys

import torch
import torch.distributed.checkpoint as checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

failed = False


def check(what, found, expected):
    global failed
    failed = failed or found != expected
    print(f"{what:58}{found}{'' if found == expected else f'   expected: {expected}'}")


def new(seed):
    torch.manual_seed(seed)
    model = torch.nn.Linear(2, 1)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def steps(model, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad()
        ((model(torch.ones(1, 2)) - 3) ** 2).sum().backward()
        optimizer.step()


def by_dictionaries(model, optimizer):
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": torch.tensor(0)}


def loaded(given):
    checkpoint.load(given, checkpoint_id="plain")
    return given


def same(model):
    return torch.equal(model.weight, goes_on.weight)


model, optimizer = new(0)
steps(model, optimizer, 5)
saved = by_dictionaries(model, optimizer)
saved["step"] += 5
checkpoint.save(saved, checkpoint_id="plain")
of_model, of_optimizer = get_state_dict(model, optimizer)
checkpoint.save({"model": of_model, "optimizer": of_optimizer}, checkpoint_id="named")
at_save = model.weight.detach().clone()
goes_on = model
steps(goes_on, optimizer, 3)

for name in ("dictionaries", "objects", "after a step with rate 0", "get_state_dict"):
    model, optimizer = new(1)
    if name == "objects":
        loaded({"model": model, "optimizer": optimizer})
    elif name == "get_state_dict":
        of_model, of_optimizer = get_state_dict(model, optimizer)
        checkpoint.load({"model": of_model, "optimizer": of_optimizer}, checkpoint_id="named")
        set_state_dict(model, optimizer, model_state_dict=of_model, optim_state_dict=of_optimizer)
    else:
        if name != "dictionaries":
            optimizer.param_groups[0]["lr"] = 0.0
            steps(model, optimizer, 1)
        given = loaded(by_dictionaries(model, optimizer))
        model.load_state_dict(given["model"])
        optimizer.load_state_dict(given["optimizer"])
        check(f"{name}: the step", given["step"].item(), 5)
    whole = name in ("after a step with rate 0", "get_state_dict")
    check(f"{name}: the weights are back", torch.equal(model.weight, at_save), True)
    check("  weights with moments", sum("exp_avg" in state for state in optimizer.state.values()), 2 if whole else 0)
    steps(model, optimizer, 3)
    check("  three steps on, as without a stop", same(model), whole)

wide = torch.nn.Linear(2, 1)
wide.register_buffer("more", torch.zeros(1))
try:
    loaded({"model": wide.state_dict()})
    found = "nothing"
except checkpoint.api.CheckpointException:
    found = "an error"
check("a weight that the checkpoint has not", found, "an error")
sys.exit(failed)
PROGRAM
