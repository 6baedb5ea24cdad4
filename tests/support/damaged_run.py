"""A run with all kinds of stages, and those that hang on it, for the tests that damage records.

In: an empty folder. Out: five finished runs in it. Tests call ``make_runs``, and ``launches`` for
the folders of the first and of those that were launched after it.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from orchestrator.runs.copies.origin import Origin, write_origin
from orchestrator.runs.plan_file import read_plan
from tests.support.cli import SMALL, describe, orch, until

SCRIPT = """import json, os, orch
axes = json.loads(os.environ['ORCH_AXES'])
n = float(axes.get('n', axes.get('rate', 0)))
for step in (1, 2):
    orch.progress(step, 2, loss=n + 2 - step)
    path = orch.out() / 'w.json'
    path.write_text(json.dumps([n, step]))
    orch.checkpoint(f'step-{step}', path, step, best_by='loss', better='lower', loss=n + 2 - step)
orch.result('loss', n + 0.5, n=3)
"""
JUDGE = """import json, sys, orch
n, step = json.load(open(f'{sys.argv[1]}/w.json'))
orch.result('score', n - step, n=3, spread=0.5)
orch.result('gone', None, n=0, error='no positive example')
"""
LOGS = """import json, os
with open(os.environ['ORCH_OUT'] + '/log.jsonl', 'w') as file:
    for step in (1, 2): print(json.dumps({'step': step, 'loss': 1 / step}), file=file)
"""
TOP = 'budget: {gpu_hours: 100}\nnotify: {on: [end], command: ["true", "{event}"]}\n'
LOSS = "metrics: {loss: {better: lower}}"
STAGES = f"""  data: {{command: "python w.py {{n}}", matrix: {{n: [1, 2]}}, {LOSS}, {SMALL}}}
  packed: {{command: "python w.py {{n}}", matrix: {{n: [3, 4]}}, pack: 2, {LOSS}, {SMALL}}}
  ends: {{command: [python, -c, "raise ValueError('bad rate')"], {SMALL}}}
  gated: {{command: "python w.py 5", when: {{metric: loss, of: data, at_most: 5}}, {SMALL}}}
  never: {{command: "python w.py 6", when: {{metric: loss, of: data, at_most: -1}}, {SMALL}}}
  follow: {{command: "python w.py {{n}}", for_each: {{of: data, best: loss}}, {SMALL}}}
  reader:
    command: python j.py
    reads: {{kind: jsonl, path: $ORCH_OUT/log.jsonl}}
    {LOSS}
    {SMALL}
  judge:
    command: "python e.py {{checkpoint}}"
    for_each: data
    checkpoints: best
    metrics: {{score: {{better: higher}}}}
    {SMALL}
"""
SEARCH = f"""  search:
    command: "python w.py {{rate}}"
    search: {{metric: loss, rounds: 2, n: 1, seed: 1, axes: {{rate: {{log_uniform: [0.001, 1]}}}}}}
    {LOSS}
    {SMALL}
"""
"""With Optuna alone."""


def make_runs(folder: Path) -> None:
    """Five runs: one with all kinds of stages, its evolution, one of its jobs run
    again, one that has taken jobs from the first, and a copy of the first."""
    for name, text in (("w.py", SCRIPT), ("e.py", JUDGE), ("j.py", LOGS)):
        (folder / name).write_text(text)
    file = describe(folder, STAGES + (SEARCH if find_spec("optuna") else ""), TOP)

    def done(*words: str | Path) -> None:
        said = orch(folder, *words)
        assert said.returncode in (0, 1), said.stderr

    done("launch", file, "--cluster", "local", "--watch")
    until(folder, lambda now: now["follow"]["state"] == now["gated"]["state"] == "COMPLETED")
    done("override", "never", "--skip", "--reason", "enough")
    done("retry", "--job", "ends")
    done("wait")
    done("evolve", "--watch")
    done("rerun", "trial", "--job", "data/n=1")
    done("wait", "trial")
    done("launch", file, "--set", "data.matrix={n: [1, 2, 7]}", "--cluster", "local", "--watch")
    # As `orch pull` leaves it.
    first, copy = launches(folder / "runs")[0], folder / "runs" / "pulled" / "copy"
    shutil.copytree(first, copy, symlinks=True)
    uid = read_plan(first).uid
    write_origin(copy, Origin(source="gpu:runs/first", uid=uid, asked=1.0, complete=True))


def launches(runs: Path) -> list[Path]:
    """The folders of the experiment's runs, the first one first."""
    files = sorted(runs.glob("trial/*/plan.json"), key=lambda one: one.stat().st_mtime)
    return [path.parent for path in files]
