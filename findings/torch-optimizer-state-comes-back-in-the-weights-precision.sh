#!/usr/bin/env bash
# torch 2.13.0: an optimizer of one's own for weights in bfloat16 that keeps its sums in float32, and a count of
# the steps of each weight in int64, saved and loaded as any checkpoint is.
#
# Guess: load_state_dict puts back what state_dict gave, tensor for tensor; only the device may be another.
#
# Seen: every tensor in the state of a floating-point weight comes back in the precision of that weight, but
# for the key called "step". A sum in float32 loses 16 of its bits, float64 as much, and whole
# numbers are no exception: a count of 257 becomes 256. No word of it. A training that is continued is
# another one then: adding 0.001 a thousand times to a sum that was loaded leaves it where it was. What has
# to keep its precision belongs into param_groups.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install \
    --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0 numpy 2>/dev/null

"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import torch

failed = False


class Sums(torch.optim.Optimizer):
    def __init__(self, weights):
        super().__init__(weights, {"kept": torch.tensor([257])})

    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["sum"] = torch.zeros(1, dtype=torch.float32)
                    state["exact"] = torch.zeros(1, dtype=torch.float64)
                    state["count"] = torch.tensor([256])
                    state["step"] = torch.tensor(256.0)
                for name in ("sum", "exact"):
                    state[name] += weight.grad.to(state[name].dtype)
                for name in ("count", "step"):
                    state[name] += 1


def check(what, found, expected):
    global failed
    failed = failed or found != expected
    print(f"{what:34}{found}{'' if found == expected else f'   expected: {expected}'}")


weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.bfloat16))
saved = Sums([weight])
weight.grad = torch.ones_like(weight)
saved.step()
loaded = Sums([weight])
loaded.load_state_dict(saved.state_dict())
before, after = saved.state[weight], loaded.state[weight]
for name, kind, value in (("sum", torch.float32, 1.0), ("exact", torch.float64, 1.0), ("count", torch.int64, 257)):
    check(f"saved: {name}", (before[name].dtype, before[name].item()), (kind, value))
    check(f"loaded: {name}", (after[name].dtype, after[name].item()), (torch.bfloat16, 256.0 if name == "count" else 1.0))
check("loaded: step", (after["step"].dtype, after["step"].item()), (torch.float32, 257.0))
check("loaded: in param_groups", loaded.param_groups[0]["kept"].item(), 257)
weight.grad = torch.full_like(weight, 0.001)
for _ in range(1000):
    saved.step()
    loaded.step()
check("a thousand steps on: saved", round(before["sum"].item(), 2), 2.0)
check("a thousand steps on: loaded", after["sum"].item(), 1.0)
sys.exit(failed)
PROGRAM
