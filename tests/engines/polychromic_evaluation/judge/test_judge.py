"""The judge against a real endpoint on this machine: budget, orders, ties, what stops it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from engines.contract.config import ConfigError
from engines.contract.files import read_lines
from engines.contract.program import Interrupted, Stop
from engines.polychromic_evaluation.config import JudgeSettings
from engines.polychromic_evaluation.judge.comparing import Judge, baselines, decided
from engines.polychromic_evaluation.judge.ledger import Call, Ledger
from engines.polychromic_evaluation.models import Model
from engines.polychromic_evaluation.samples import Answered, Told

KEY = "sk-a-secret-of-this-test"
ROOT = Path(__file__).parents[4]


class Endpoint(ThreadingHTTPServer):
    """Answers by a function of (number of the call, text) -> (status, words)."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.calls = []
        self.charged = 0
        self.counting = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.counting:
            number = len(server.calls)
            server.calls.append((self.path, dict(self.headers), body))
        status, words = server.answer(number, body["messages"][1]["content"])
        if status == 200:
            # A token a word, as a real one would be charged.
            tokens = sum(len(one["content"].split()) for one in body["messages"])
            usage = {"prompt_tokens": tokens, "completion_tokens": 1}
            value = {"choices": [{"message": {"content": words}}], "usage": usage}
            with server.counting:
                server.charged += tokens + 1
        else:
            value = {"error": {"message": words}}
        sent = json.dumps(value).encode()
        self.send_response(status)
        if status == 307:
            self.send_header("Location", f"{server.url}/elsewhere")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("no_proxy", "*")
    started = []

    def start(answer):
        server = Endpoint(answer)
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def settings(url, **changed):
    values = {
        "url": url,
        "model": "judge-1",
        "api_key_variable": "JUDGE_KEY",
        "price_per_million_input_tokens": 1e6,
        "price_per_million_output_tokens": 1e6,
        "budget": 1e9,
        "at_once": 1,
        **changed,
    }
    return JudgeSettings.model_validate(values)


def model(name, **axes):
    return Model(name, name, {**axes, "model": "trained"}, Path("nowhere"), "", None)


BASELINE = model("zero", weight=0, seed=0)
TREATED = model("two", weight=2, seed=0)
BASE = Model("base", None, {"model": "base"}, Path("nowhere"), "", None)
MODELS = [BASE, BASELINE, TREATED]


def said(texts):
    return [
        Answered(f"p{i}", f"text {i}", ("ref",), (Told(text, 3, True, None),) * 2, None, 1.0, 1)
        for i, text in enumerate(texts)
    ]


def replies(count, good=0):
    """The treated model's reply is the good one at the first ``good`` prompts."""
    treated = [f"{'good' if i < good else 'plain'} reply {i}" for i in range(count)]
    return {
        "base": said([f"base {i}" for i in range(count)]),
        "zero": said([f"usual answer {i}" for i in range(count)]),
        "two": said(treated),
    }


def fair(_number, text):
    """Prefers the good reply, wherever it stands; a tie where there is none."""
    first, second = text.split("Reply B:")
    if "good reply" in first:
        return 200, "A"
    return 200, "B." if "good reply" in second else "tie"


def compare(config, out, count=6, good=2, models=MODELS):
    return Judge(config, out).compare(models, replies(count, good), Stop())


def test_both_orders_and_ties_give_the_share_of_wins(endpoint, tmp_path):
    server = endpoint(fair)
    verdicts = compare(settings(server.url), tmp_path)
    assert set(verdicts.models) == {"two"}
    judged = verdicts.models["two"]
    assert judged.win_rate.tolist() == [1, 1, 0.5, 0.5, 0.5, 0.5]
    # Each good reply was read first once and second once.
    assert (judged.for_first, judged.for_second, judged.ties) == (2, 2, 8)
    assert verdicts.ended is None
    assert verdicts.spent == server.charged <= verdicts.most
    path, headers, body = server.calls[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("judge-1", 0, 8)


def test_a_judge_that_always_takes_the_first_prefers_nobody_and_is_seen(endpoint, tmp_path):
    verdicts = compare(settings(endpoint(lambda *_: (200, "A")).url), tmp_path)
    judged = verdicts.models["two"]
    assert judged.win_rate.tolist() == [0.5] * 6
    assert (judged.for_first, judged.for_second) == (12, 0)


def test_equal_texts_are_a_tie_and_nobody_is_asked(endpoint, tmp_path):
    server = endpoint(fair)
    same = replies(3)
    same["two"] = same["zero"]
    verdicts = Judge(settings(server.url), tmp_path).compare(MODELS, same, Stop())
    assert verdicts.models["two"].win_rate.tolist() == [0.5] * 3
    assert server.calls == []


def test_answers_that_are_kept_are_not_asked_again(endpoint, tmp_path):
    server = endpoint(fair)
    first = compare(settings(server.url), tmp_path)
    again = compare(settings(server.url), tmp_path)
    assert len(server.calls) == 12
    assert again.spent == first.spent
    assert np.array_equal(again.models["two"].win_rate, first.models["two"].win_rate)


def test_all_calls_must_fit_into_the_budget_before_the_first(endpoint, tmp_path):
    server = endpoint(fair)
    most = compare(settings(server.url), tmp_path / "a").most
    server.calls.clear()
    verdicts = compare(settings(server.url, budget=most * 0.99), tmp_path / "b")
    assert server.calls == []
    assert "nobody was asked: all 12 calls" in verdicts.ended
    assert np.isnan(verdicts.models["two"].win_rate).all()
    assert compare(settings(server.url, budget=most), tmp_path / "c").ended is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, f"Incorrect API key provided: {KEY}"),
        (402, "pay first"),
        (403, "forbidden"),
        (429, "You exceeded your current quota"),
        (404, "no such model"),
        (307, "elsewhere"),
    ],
)
def test_some_refusals_end_everything_at_once_and_what_is_there_stays(
    endpoint, tmp_path, status, words
):
    def answer(number, text):
        return (status, words) if number >= 4 else fair(number, text)

    server = endpoint(answer)
    verdicts = compare(settings(server.url), tmp_path)
    assert len(server.calls) == 5
    assert f"answered {status}" in verdicts.ended
    assert KEY not in verdicts.ended
    judged = verdicts.models["two"].win_rate
    assert judged[:2].tolist() == [1, 1]
    assert np.isnan(judged[2:]).all()
    # A call that was refused has cost nothing.
    assert verdicts.spent == server.charged


def test_a_busy_endpoint_is_asked_again(endpoint, tmp_path):
    def answer(number, text):
        return (429, "slow down") if number == 0 else fair(number, text)

    server = endpoint(answer)
    verdicts = compare(settings(server.url), tmp_path, count=1, good=1)
    assert len(server.calls) == 3
    assert verdicts.models["two"].win_rate.tolist() == [1]
    assert verdicts.spent == server.charged


def test_an_endpoint_that_is_broken_ends_it_and_may_have_charged(endpoint, tmp_path):
    server = endpoint(lambda *_: (500, "oops"))
    verdicts = compare(settings(server.url), tmp_path, count=1)
    assert len(server.calls) == 3
    assert "answered 500" in verdicts.ended
    assert 0 < verdicts.spent <= verdicts.most * 3


def test_an_answer_that_cannot_be_read_is_counted_and_no_value(endpoint, tmp_path):
    verdicts = compare(settings(endpoint(lambda *_: (200, "both, A and B")).url), tmp_path, count=2)
    judged = verdicts.models["two"]
    assert judged.unread == 4
    assert np.isnan(judged.win_rate).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", "first"),
        ("Reply B is better", "second"),
        ("**Tie**", "tie"),
        ("a tie", "tie"),
        ("A or B", None),
        ("", None),
        ("Apples", None),
    ],
)
def test_decisions(text, expected):
    assert decided(text) == expected


def test_the_key_is_needed_and_written_nowhere(endpoint, tmp_path, monkeypatch):
    server = endpoint(lambda number, text: (401, KEY) if number == 5 else fair(number, text))
    compare(settings(server.url), tmp_path)
    for path in tmp_path.rglob("*"):
        assert KEY not in path.read_text()
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(ConfigError, match="JUDGE_KEY is not set"):
        Judge(settings(server.url), tmp_path)
    for url in ("https://me:key@host/v1", "ftp://host/v1", "https://host/v1?key=1"):
        with pytest.raises(ValueError, match="must begin with"):
            settings(url)


def test_arms_without_exactly_one_baseline_are_refused():
    asked = settings("http://host/v1")
    assert baselines(MODELS, asked) == {"two": BASELINE}
    other_seed = model("other", weight=2, seed=1)
    with pytest.raises(ConfigError, match="names 0 trainings of the seed of other"):
        baselines([*MODELS, other_seed], asked)
    with pytest.raises(ConfigError, match="names 2 trainings"):
        baselines([*MODELS, model("zero-again", weight=0, seed=0)], asked)


def test_a_request_to_stop_keeps_what_was_answered(endpoint, tmp_path):
    stop = Stop()

    def answer(number, text):
        stop.requested = number >= 3
        return fair(number, text)

    server = endpoint(answer)
    with pytest.raises(Interrupted):
        Judge(settings(server.url), tmp_path).compare(MODELS, replies(6, 2), stop)
    assert len(server.calls) == 4
    assert compare(settings(server.url), tmp_path).models["two"].win_rate.tolist()[:2] == [1, 1]
    assert len(server.calls) == 12


ASKER = """
import sys, json
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
import test_judge as t
t.compare(t.settings(sys.argv[2], budget=float(sys.argv[3]), at_once=4), Path(sys.argv[4]), 40)
"""


def test_what_is_spent_stays_within_the_budget_however_often_it_is_killed(endpoint, tmp_path):
    def slow(number, text):
        time.sleep(0.02)
        return fair(number, text)

    server = endpoint(slow)
    asked = settings(server.url)
    client = Judge(asked, tmp_path / "unused").client
    one = client.most("x" * 90)
    budget = 80 * one * 1.2
    paths = json.dumps([str(Path(__file__).parent), str(ROOT)])
    command = [sys.executable, "-c", ASKER, paths, server.url, str(budget), str(tmp_path)]
    for _ in range(3):
        before = len(server.calls)
        process = subprocess.Popen(command, env={**os.environ, "no_proxy": "*"})
        deadline = time.monotonic() + 60
        while len(server.calls) < before + 9 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(server.calls) >= 27
    ledger = Ledger(tmp_path / "judge.jsonl", budget)
    # Some calls were on their way: they count with all that they may have cost.
    assert ledger.open_costs
    verdicts = compare(settings(server.url, budget=budget, at_once=4), tmp_path, 40)
    assert server.charged <= verdicts.spent <= budget
    events = Counter(line["event"] for line in read_lines(tmp_path / "judge.jsonl"))
    assert events["intent"] >= len(server.calls)


def test_the_rest_of_a_budget_is_used_and_not_more(endpoint, tmp_path):
    server = endpoint(fair)
    asked = settings(server.url)
    client = Judge(asked, tmp_path / "unused").client
    ledger = Ledger(tmp_path / "judge.jsonl", 1e9)
    most = compare(asked, tmp_path / "all").most
    server.calls.clear()
    server.charged = 0
    # An earlier start has lost a call, of which it is not known what it has cost.
    call = client.most("x" * 90)
    ledger.intend(Call("two", "p9", False, "", "lost"), most - 1.5 * call)
    verdicts = compare(settings(server.url, budget=most), tmp_path)
    assert "of the budget of" in verdicts.ended
    assert 0 < len(server.calls) < 12
    assert server.charged + most - 1.5 * call == pytest.approx(verdicts.spent)
    assert verdicts.spent <= most
