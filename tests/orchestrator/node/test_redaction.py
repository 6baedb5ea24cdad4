"""Secrets of every kind are taken out of what is kept and shown, and nothing else is."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.node.redaction import is_secret, redacted

LETTERS = string.ascii_letters + string.digits
VALUES = st.text(LETTERS, min_size=20, max_size=40).filter(
    lambda text: any(map(str.isdigit, text)) and any(map(str.isalpha, text))
)
"""Of no known service: told by what stands around them alone."""
AROUND = {
    "url": "fatal: unable to access 'https://oauth2:{}@git.example.org/x.git': 403",
    "url without a user": "redis://:{}@cache:6379/0",
    "token as the user": "pip install git+https://{}@github.com/x/y.git@main",
    "dsn": "could not connect: postgresql://me:{}@db.example.org:5432/runs",
    "header": "> Authorization: Bearer {}",
    "header of a request": "{{'authorization': 'Basic {}', 'accept': '*/*'}}",
    "other header": "X-Api-Key: {}",
    "cookie": "Cookie: session={}; theme=dark",
    "bearer": "sent Bearer {} to the server",
    "flag": "train.py --api-key {} --epochs 3",
    "flag with =": "train.py --Password={} --epochs 3",
    "words": '["login", "--token", "{}"]',
    "curl": "curl -u me:{} https://x",
    "variable": "export MY_SERVICE_TOKEN={}",
    "any case": "Client_Secret: {}",
    "json": '{{"apiKey": "{}", "n": 3}}',
    "python": "{{'access_token': '{}'}}",
    "query": "GET /x?page=2&access_token={}&size=3",
    "sas": "AccountKey={};EndpointSuffix=core",
}
SERVICES = [
    "hf_" + "aB3" * 10,
    "sk-proj-" + "aB3_" * 8,
    "sk-ant-api03-" + "aB3-" * 8,
    "gsk_" + "aB3" * 10,
    "ghp_" + "aB3" * 12,
    "github_pat_" + "aB3_" * 12,
    "glpat-" + "aB3-" * 6,
    "pypi-AgEI" + "aB3_" * 10,
    "npm_" + "aB3" * 12,
    "dckr_pat_" + "aB3-" * 8,
    "dapi" + "0a1b" * 8,
    "AKIA" + "AB12" * 4,
    "AIza" + "aB3_" * 9,
    "xoxb-" + "123456789-aB3" * 2,
    "sk_live_" + "aB3" * 8,
    "SG." + "aB3" * 7 + "." + "aB3" * 14,
    "123456789:AA" + "aB3_" * 9,
    "hvs." + "aB3" * 9,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJ4In0" + ".aB3" * 1,
    "https://hooks.slack.com/services/T000/B000/aB3aB3",
    "https://discord.com/api/webhooks/123/aB3-aB3",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
]


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
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text, {}) == text


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
