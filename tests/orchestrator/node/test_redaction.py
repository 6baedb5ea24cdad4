"""Secrets of every kind are taken out of what is kept and shown, and nothing else is."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.node.redaction import (
    KNOWN,
    PATTERNS,
    compiled,
    is_secret,
    redacted,
    redacted_output,
    without_value,
)
from tests.support.secrets import ABOUT_A_LOGIN, AROUND, DRAWN, LETTERS, SERVICES, VALUES


@given(kind=st.sampled_from(sorted(AROUND)), value=VALUES)
def test_a_value_is_taken_out_wherever_it_stands(kind: str, value: str) -> None:
    text = AROUND[kind].format(value)
    clean = redacted(text, {})
    assert value not in clean
    assert "<secret>" in clean
    assert redacted(clean, {}) == clean, "once is enough"


@pytest.mark.parametrize("key", SERVICES, ids=lambda key: key[:12])
@pytest.mark.parametrize("around", ["{}", 'x = "{}"', "log: {}, end", '["{}"]'])
def test_keys_of_services_are_known_by_themselves(key: str, around: str) -> None:
    text = around.format(key)
    assert redacted(text, {}) == around.format("<secret>")
    assert "aB3aB3" not in redacted(json.dumps(text), {})


@pytest.mark.parametrize(
    "text",
    [
        "EOS_TOKEN = '<|endoftext|>'",
        "KeyError: 'loss'",
        "git+https://github.com/x/y.git@main",
        "git@github.com:x/y.git",
        "ssh://git@host/x",
        "train.py --max-tokens 4096 --tokenizer-path /models/y1 --key train_dataset",
        "tokens=1024, max_new_tokens=512, num_key_value_heads: 8",
        "train/sig=0.25,token_dim=128,key=a",
        "http://localhost:8080/path@v2",
        "invalid password",
        "--token-file /home/me/token1234 --password-file ~/secret.txt",
        "password=None",
        "def f(password: str, api_key: str | None = None)",
        "tcp://10.0.0.1:29500 timed out",
        'export HF_TOKEN="$HF_TOKEN"; export DB_PASSWORD=$(cat /x)',
        "Authorization: <secret>",
        "basic training of a task-scheduler-for-everything",
        "ValueError: token '<pad>' is not in a vocabulary of size 32000",
        "fw_layer_0_attention_q_proj_weight fw_Layer0SelfAttentionOutput",
        "401 Unauthorized: https://huggingface.co/api/models/meta-llama/Llama-3.1-8B-Instruct-GPTQ-Int4",
        "token of Qwen2ForSequenceClassification in /data/models--Qwen--Qwen2.5-7B/snapshots/main",
        "cannot log in: GatedRepoError at transformers/utils/hub.py, request 1f2e3d4c",
        "password of _ZN2at6native29vectorized_elementwise_kernel is none",
        "monkey-patched task-ak-47, SKIPPED, keyboard, key-value pairs, sk_learn, patient.csv",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text, {}) == text
    assert redacted_output(text, {}) == text


@given(around=st.sampled_from(ABOUT_A_LOGIN), value=DRAWN)
def test_keys_of_services_that_are_not_known_are_told_by_what_the_line_is_about(
    around: str, value: str
) -> None:
    clean = redacted_output(f"epoch 3\n{around.format(value)}\nexit", {})
    assert value not in clean
    assert clean.startswith("epoch 3\n")
    assert clean.endswith("\nexit")
    assert redacted_output(clean, {}) == clean


def test_what_a_person_has_called_a_run_is_shown_unless_the_line_is_about_a_login() -> None:
    name = "llama3_8bLr1e4Bs64Wd01Seed3Fold2Warm100"
    assert redacted(f"train.py --name {name} --token-file x", {}).count(name) == 1
    assert redacted_output(f"FileNotFoundError: {name}", {}).count(name) == 1


@given(
    text=st.text(string.ascii_lowercase + " .,", max_size=80),
    value=st.text(LETTERS + "/+=!?", min_size=8, max_size=20).filter(
        lambda text: not text.startswith("/")
    ),
)
def test_values_of_the_environment_are_taken_out(text: str, value: str) -> None:
    clean = redacted(f"{text}{value}{text}", {"WANDB_API_KEY": value, "PATH": text})
    assert value not in clean.replace("<WANDB_API_KEY>", "")
    assert is_secret("WANDB_API_KEY")


PIECES = st.sampled_from(
    [
        *SERVICES,
        *(text.format("aB3aB3aB3aB3aB3aB3aB3x9") for text in AROUND.values()),
        *("key", "token=", "pass", "-", "--", "_", " ", "\n", ": ", "x-", "my", "id_", "'", '"'),
        *("--user me:you", "gl", ":AA", "123456789", "https://", "@", "=>", "aB3" * 8, "none"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_looking_where_a_match_may_begin_finds_what_looking_everywhere_does(text: str) -> None:
    wanted = compiled(KNOWN, ignore_case=False).sub("<secret>", text)
    for pattern in PATTERNS:
        wanted = compiled(pattern).sub(without_value, wanted)
    assert redacted(text, {}) == wanted
