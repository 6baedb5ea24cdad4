#!/usr/bin/env bash
# transformers 5.19.0 and trl 1.16.0 with torch 2.13.0: two small Llamas and five texts, one of 40 tokens to predict and
# four of 2. The one has learned the long text, the other the short ones.
#
# Guess: what an evaluation says of a model depends on the model and the texts. Its batch size changes the time that
# it takes, and nothing else: eval_loss is the mean over tokens, as the loss in training is.
#
# Seen: eval_loss, of transformers' Trainer and of TRL's SFTTrainer alike, is a mean over tokens inside of a batch, and
# a mean over rows of these means. With one batch it is the loss per token; with one row a batch each text counts
# as much as any other.
# eval_mean_token_accuracy of TRL's SFTTrainer is a mean over batches, however small the last one is: of one model
# 0.83 in one batch, 0.2 with a row a batch, 0.43 with four rows and one left. By both numbers the better one of the
# two models with a row a batch is the worse one with five. So which of two checkpoints is the best one depends on
# the batch size.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-compile --extra-index-url \
    https://download.pytorch.org/whl/cpu torch==2.13.0 transformers==5.19.0 trl==1.16.0 accelerate==1.15.0 \
    datasets==5.2.0 numpy 2>/dev/null

cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/hf" "$folder/venv/bin/python" - <<'PROGRAM'
import sys

import datasets
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

transformers.logging.set_verbosity_error()
datasets.disable_progress_bars()
failed = False
LONG, SHORT = [[3] * 41], [[4, 5, 6], [5, 6, 4], [6, 4, 5], [4, 5, 6]]
words = Tokenizer(models.WordLevel({f"w{n}": n for n in range(8)}, unk_token="w0"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", eos_token="w1", pad_token="w2")
texts = datasets.Dataset.from_list([{"input_ids": ids} for ids in [*LONG, *SHORT]])


def learned(rows):
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=8, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=1, pad_token_id=2,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    ids = torch.tensor(rows)
    for _ in range(150):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return model


def evaluated(model, rows):
    """Loss and accuracy that the trainer says, with so many rows a batch."""
    arguments = SFTConfig(
        "out", per_device_eval_batch_size=rows, report_to=[], use_cpu=True, bf16=False, disable_tqdm=True,
        eos_token="w1",
    )
    trainer = SFTTrainer(model, arguments, train_dataset=texts, eval_dataset=texts, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    found = trainer.evaluate()
    return found["eval_loss"], found["eval_mean_token_accuracy"]


def padded(rows):
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [2] * (length - len(row["input_ids"])) for row in rows])
    there = ids != 2
    return {"input_ids": ids, "attention_mask": there.long(), "labels": ids.masked_fill(~there, -100)}


def loss_of_the_plain_trainer(model, rows):
    arguments = TrainingArguments(
        "out", per_device_eval_batch_size=rows, report_to=[], use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(model, arguments, data_collator=padded, eval_dataset=list(texts))
    trainer.remove_callback(PrinterCallback)
    return trainer.evaluate()["eval_loss"]


def by_row(model):
    """Of each text the loss summed, the right tokens, and all tokens."""
    sums = []
    with torch.no_grad():
        for ids in (torch.tensor([ids]) for ids in [*LONG, *SHORT]):
            found = model(input_ids=ids, labels=ids)
            right = (found.logits[0, :-1].argmax(-1) == ids[0, 1:]).sum().item()
            sums.append((found.loss.item() * (ids.shape[1] - 1), right, ids.shape[1] - 1))
    return sums


def mean(values):
    return sum(values) / len(values)


def check(what, found, expected):
    global failed
    failed = failed or found != expected
    print(f"{what:52}{found}{'' if found == expected else f'   expected: {expected}'}")


pair = {"long": learned(LONG), "short": learned(SHORT)}
said = {}
for name, model in pair.items():
    sums = by_row(model)
    for rows, accuracy in ((5, {"long": 0.83, "short": 0.17}), (4, {"long": 0.43, "short": 0.57}), (1, {"long": 0.2, "short": 0.8})):
        # The long text and the first short ones are the first batch.
        batches = [sums[start : start + rows] for start in range(0, 5, rows)]
        tokens = [sum(row[2] for row in batch) for batch in batches]
        losses = [sum(row[0] for row in batch) / count for batch, count in zip(batches, tokens)]
        rates = [sum(row[1] for row in batch) / count for batch, count in zip(batches, tokens)]
        weighted = sum(loss * len(batch) for loss, batch in zip(losses, batches)) / 5
        loss, rate = said[name, rows] = evaluated(model, rows)
        check(f"learned the {name} texts, {rows} rows a batch: accuracy", round(rate, 2), round(mean(rates), 2))
        check("  loss", round(loss, 3), round(weighted, 3))
        check("  loss of the plain Trainer", round(loss_of_the_plain_trainer(model, rows), 3), round(weighted, 3))
        check("  accuracy as stated", round(rate, 2), accuracy[name])
check("accuracy by tokens, learned the long one", round(sum(r[1] for r in by_row(pair["long"])) / 48, 2), 0.83)
for rows, better in ((5, "long"), (1, "short")):
    check(f"lower loss, {rows} rows a batch", min(pair, key=lambda name: said[name, rows][0]), better)
    check(f"higher accuracy, {rows} rows a batch", max(pair, key=lambda name: said[name, rows][1]), better)
sys.exit(failed)
PROGRAM
