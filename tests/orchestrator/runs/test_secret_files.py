"""What a copy of a folder takes and leaves out, by the names and contents of files."""

import json
import os
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.runs.provenance.code_copies import measured, said_of, take_folder
from orchestrator.runs.provenance.secret_files import Secrecy, is_secret_name, secrecy
from tests.support.cli import SMALL, describe, orch, the_run
from tests.support.secrets import AROUND, LETTERS, SERVICES, VALUES

WORD = "Zq8vT3nL0pXw7RkB5mYd9aa"


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.local", "conf/prod.env", ".netrc", "home/.npmrc", ".pypirc", ".envrc"),
        *("kaggle.json", ".kaggle/anything", "secrets.yaml", "conf/my-secrets.toml", "Secrets.JSON"),
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519_sk", "keys/id_ed25519-cluster", "deploy_rsa"),
        *("ssh_host_ecdsa_key", ".ssh/config", "putty.ppk", "tls.key", "tls.pem", "me.p12"),
        *("credentials", ".aws/config", ".azure/x.json", "gcloud/credentials.db", ".git-credentials"),
        *("client_secret_17.apps.json", "my-service-account.json", "application_default_credentials.json"),
        *(".docker/config.json", ".kube/config", "password.txt", "vault.kdbx", "main.tfstate"),
        *("krb5cc_1000", "me.keytab", "kubeconfig", "lab-kubeconfig.yaml", "pgpass.conf", "curlrc"),
        *("netrc", "git-credentials", "npmrc", "cookies.txt", "cookies.sqlite"),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("secrets.py", "token.py", "credentials.py", "tokens.txt", "special_tokens_map.json"),
        *(".env.example", "env.yaml", "environment.yml", "id_rsa.pub", "keys.sh", "rsa.py"),
        *("conf/logger/wandb.yaml", "huggingface/config.json", "docker/config.json", "passwords.py"),
    ],
)  # fmt: skip
def test_names_of_what_jobs_need(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["token.txt", "hf_token", "wandb_key", "my-api-key.txt", "hf.txt"])
def test_one_long_word_is_a_token_where_the_name_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f"{WORD}\n")
    assert secrecy(tmp_path / name) is Secrecy.IS
    (tmp_path / name).write_text("two words of no interest")
    assert secrecy(tmp_path / name) is Secrecy.NONE
    (tmp_path / "commit.txt").write_text(f"{WORD}\n")
    assert secrecy(tmp_path / "commit.txt") is Secrecy.NONE


@pytest.mark.parametrize(
    "text",
    [
        "machine api.wandb.ai\n  login user\n  password {}\n",
        "users:\n- name: a\n  user:\n    token: {}\n",
        "users:\n- name: a\n  user:\n    client-key-data: {0}{0}\n",
        '{{"type": "service_account", "private_key_id": "{}", "client_id": "7"}}',
        "db.host:5432:mydb:user:{}\n",
        "# mine\n*:*:*:user:{}\n",
        '{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{}"}}}}}}',
        "[global]\nextra-index-url = https://user:{}@pypi.site.edu/simple\n",
        "[default]\napi_key = {}\nbase_url = https://api.wandb.ai\n",
        "//registry.site.edu/:_authToken={}\n",
        'user = "me:{}"\n',
        "<settings><servers><server><password>{}</password></server></servers></settings>",
        "# Netscape HTTP Cookie File\n.site.edu\tTRUE\t/\tTRUE\t1900000000\tsession\t{}\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{}\n",
        "tskey-auth-{}\n",
        "machine: x\nusername: me\napi-key: {}\n",
    ],
)
def test_logins_of_programs_are_known_under_any_name(text: str, tmp_path: Path) -> None:
    for name in ("notes", "backup.old", "settings.local"):
        file = tmp_path / name
        file.write_text(text.format(WORD))
        assert secrecy(file) is not Secrecy.NONE


@pytest.mark.parametrize(
    "text",
    [
        "user: nobody\nhost: site.edu\n",
        "<password></password>",
        "<password>${env.PASSWORD}</password>",
        "a:1:b:c:d\nand a sentence\n",
        "train.py:12: loss is nan\n",
        "cookies are baked for 12 minutes\n",
    ],
)
def test_what_looks_like_a_login_and_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text(text)
    assert secrecy(tmp_path / "notes") is Secrecy.NONE


def test_names_of_bytes_are_copied_and_runs_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git names files by bytes; and it lists the runs where nobody has it ignore them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCH_RUNS", raising=False)
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    odd = os.fsdecode(b"caf\xe9.py")
    for name in (odd, "a\nb.py", "runs/trial/x/plan.json", "runs.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    digest = take_folder(tmp_path, tmp_path / "work")
    copied = {path.name for path in (tmp_path / "work" / digest).rglob("*") if path.is_file()}
    assert copied == {odd, "a\nb.py", "runs.py"}


@pytest.mark.parametrize("key", SERVICES, ids=lambda key: key[:12])
def test_a_key_of_a_service_is_found_in_a_file_of_any_name(key: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text(key)
    assert secrecy(file) is Secrecy.IS
    file.write_text(f"{'what was done today ' * 20}\n{key}\n")
    assert secrecy(file) is (Secrecy.IS if "PRIVATE KEY" in key else Secrecy.HAS)
    program = tmp_path / "train.py"
    program.write_text(f"x = '''{key}'''\n")
    assert secrecy(program) is Secrecy.HAS


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(sorted(AROUND)), value=VALUES)
def test_a_password_of_any_kind_is_found_in_a_small_file(
    kind: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "conf.yaml").write_text(f"a: 1\n{AROUND[kind].format(value)}\n")
    assert secrecy(tmp_path / "conf.yaml") is not Secrecy.NONE


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200) | st.text(string.ascii_lowercase + " \n.", max_size=300))
def test_what_holds_none_is_taken(content: bytes | str, tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    # Of random bytes none begins as keys of services do.
    assert secrecy(file) is Secrecy.NONE


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_the_encodings_of_windows_hide_nothing(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text(f"{WORD}\n", encoding=encoding)
    (tmp_path / "notes.md").write_text(f"password: {WORD}\n", encoding=encoding)
    assert secrecy(tmp_path / "token.txt") is Secrecy.IS
    assert secrecy(tmp_path / "notes.md") is not Secrecy.NONE


@pytest.mark.parametrize(
    "text",
    [
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA\n",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\n",
    ],
)
def test_private_keys_of_every_program(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text(text)
    assert secrecy(tmp_path / "notes") is Secrecy.IS


def repository(folder: Path) -> Path:
    """A repository with every kind of file, some of them tracked."""
    folder.mkdir()
    tracked = {
        "train.py": "print(1)\n",
        "with_key.py": f"key = 'hf_{LETTERS}'\n",
        "conf.yaml": "# what it has\n" * 20 + f"url: https://me:{WORD}@x.org/\n",
        "deploy": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
        "token.txt": WORD,
        ".npmrc": "nothing of note\n",
    }
    untracked = {
        "new.py": "print(2)\n",
        "new_with_key.py": f"key = 'hf_{LETTERS}'\n",
        "notes.md": "what was done " * 20 + f"\npassword: {WORD}\n",
        "data.csv": "a,b\n1,2\n",
        "kaggle.json": "{}",
    }
    for name, text in tracked.items():
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    for name, text in untracked.items():
        (folder / name).write_text(text)
    return folder


def test_what_a_copy_takes_leaves_and_tells(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    found = measured(folder)
    assert sorted(found.secret) == [".npmrc", "deploy", "kaggle.json", "notes.md", "token.txt"]
    assert sorted(found.with_secrets) == ["conf.yaml", "new_with_key.py", "with_key.py"]
    assert found.untracked == ["data.csv", "new.py", "new_with_key.py"]
    digest = take_folder(folder, tmp_path / "work")
    copied = {path.name for path in (tmp_path / "work" / digest).iterdir()}
    assert copied == set(found.taken) == {"train.py", "data.csv", "new.py", *found.with_secrets}
    lines = said_of(found)
    assert json.loads((tmp_path / "work" / f"{digest}.json").read_text())["told"] == lines
    for files, line in zip((found.untracked, found.secret, found.with_secrets), lines, strict=True):
        assert all(file in line for file in files)
        assert WORD not in line


def test_a_launch_and_a_check_tell_it(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    file = describe(folder, f"  a: {{command: python train.py, {SMALL}}}\n", "snapshot: true\n")
    for command in ("check", "launch"):
        done = orch(folder, command, file, "--cluster", "local")
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
        assert said.count("snapshot: leaves 5 files out that look like secrets") == 1
        assert said.count("snapshot: takes 4 files that git does not track") == 1
    kept = {path.name for path in the_run(folder).glob("work/*/*")}
    assert "train.py" in kept
    assert not kept & {".npmrc", "deploy", "kaggle.json", "notes.md", "token.txt"}
