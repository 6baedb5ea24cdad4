#!/usr/bin/env bash
# transformers 5.19.0 with torch 2.13.0 and accelerate 1.15.0: EarlyStoppingCallback in a training that is
# ended every few steps and resumed from its newest checkpoint, as a preempted job is. Nothing ever improves.
#
# Guess: how many evaluations in a row were no better is in the checkpoint and comes back with the step, so
# patience 4 ends the training after evaluation 5, however often it was preempted.
#
# Seen: the count is written and not read. With three evaluations between two preemptions the training never
# stops. restore_callback_states_from_checkpoint=True reads it, and stops at 5; but it also puts the saved
# callback in the place of the given one. A new patience of 10 on the command line is then ignored (it stops
# at 5 with the old one), and whoever holds the given object reads a count of 0. A training that had stopped
# goes on for one evaluation more each time that it is resumed.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install --extra-index-url \
    https://download.pytorch.org/whl/cpu torch==2.13.0 transformers==5.19.0 accelerate==1.15.0 numpy 2>/dev/null

cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PROGRAM'
import shutil
import sys

import torch
import transformers
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

transformers.logging.set_verbosity_error()
failed = False


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x, labels=None):
        return {"loss": ((self.linear(x) - labels) ** 2).mean()}


class Preempted(TrainerCallback):
    """Ends the training after a checkpoint."""

    def __init__(self, step):
        self.step = step

    def on_save(self, args, state, control, **_):
        control.should_training_stop |= state.global_step >= self.step


def part(patience, restored, until=100, resume=None):
    """Train to a step; where it ended, and the callback that was given."""
    arguments = TrainingArguments(
        "out", max_steps=40, learning_rate=0.0, lr_scheduler_type="constant", per_device_train_batch_size=1,
        eval_strategy="steps", eval_steps=1, save_steps=1, logging_strategy="no", report_to=[], use_cpu=True,
        disable_tqdm=True, metric_for_best_model="eval_loss", greater_is_better=False,
        restore_callback_states_from_checkpoint=restored,
    )
    given = EarlyStoppingCallback(early_stopping_patience=patience)
    rows = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 64
    trainer = Trainer(Model(), arguments, train_dataset=rows, eval_dataset=rows, callbacks=[given, Preempted(until)])
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    return trainer.state.global_step, given


def check(what, found, expected):
    global failed
    failed = failed or found != expected
    print(f"{what:52}{found}{'' if found == expected else f'   expected: {expected}'}")


check("uninterrupted, patience 4: ends at step", part(4, False)[0], 5)
for restored, expected in ((False, [3, 6, 9, 12]), (True, [3, 5, 6, 7])):
    shutil.rmtree("out")
    ends, resume = [], None
    for turn in range(4):
        end, _ = part(4, restored, 3 * (turn + 1), resume)
        ends, resume = [*ends, end], f"out/checkpoint-{end}"
    check(f"preempted at 3, 6, ..., restored={restored}: ends at", ends, expected)
shutil.rmtree("out")
part(4, False, 3)
end, given = part(10, True, 100, "out/checkpoint-3")
check("resumed with patience 10: ends at, the given count", (end, given.early_stopping_patience_counter), (5, 0))
sys.exit(failed)
PROGRAM
