"""Sound inputs of every kind that people write, between them with every key."""

from __future__ import annotations

from tests.support.paths import ROOT

BASE = """\
experiment: x
about: seeds of a command
vars: {v: 1, w: "a ${v}"}
stages:
  train:
    command: python a.py --seed {seed} --lr {lr} --v ${v}
    matrix: {seed: [0, 1], lr: [1e-3, 1e-4]}
    resources: {gpus: 0, cpus: 2, memory_gb: 4, minutes: 10}
presets:
  small: {about: one, vars: {v: 2}, stages: {train: {matrix: {lr: [0.1]}}}}
"""

EVERYTHING = """\
experiment: everything
about: every key once
vars:
  v: 3
  w: [1, 2]
  path: "runs/${v}"
snapshot: true
notify: {on: [end, fail], command: [echo, "{text}"]}
retry: {host memory: 1, node: 2}
budget: {gpu_hours: 20}
track: [wandb]
stages:
  train:
    command: [python, train.py, --seed, "{seed}", --arm, "{arm}", "${path}"]
    matrix:
      seed: "${w}"
      arm: [a, b]
    exclude: [{seed: 1, arm: b}]
    replace: {where: {seed: 2}, by: {seed: 4}, reason: learned nothing}
    metrics: {val_loss: {better: lower, unit: nats, about: loss, low: 0}}
    reads: [trainer, {kind: jsonl, path: "logs/{seed}-{arm}.jsonl", step: it}]
    resources: {nodes: 1, gpus: 1, cpus: 2, memory_gb: 8, minutes: 30}
    partition: gpu
    account: team
    qos: normal
    constraint: a100
    sbatch: {reservation: course, exclusive: true, licenses: [a, b]}
    environment: {MODE: fast}
    setup: [module load cuda]
    wrap: [apptainer, exec, image.sif]
    pack: 2
    at_once: 1
    canary: true
  drawn:
    command: echo {seed} {lr} {size} {depth}
    zip: {size: [1, 2], depth: [3, 4]}
    random: {n: 3, seed: 0, axes: {lr: {log_uniform: [1e-4, 1e-1]}}}
    matrix: {seed: [0]}
  searched:
    command: echo {lr} {seed} {k} {c}
    metrics: {acc: {better: higher}}
    search:
      metric: acc
      rounds: 2
      n: 3
      axes: {lr: {uniform: [0, 1]}, k: {integers: [1, 8]}, c: {choice: [a, b]}}
    matrix: {seed: [0, 1]}
  test:
    command: python test.py {checkpoint} {seed}
    for_each: train
    checkpoints: last
    when: {metric: val_loss, of: train, at_most: 2.5, for: 1 of 1, where: {seed: "{seed}"}}
  best:
    command: python test.py {seed}
    for_each: {of: train, best: val_loss, per: [seed], where: {}}
    unless: [{metric: val_loss, of: train, at_least: 9}]
  both:
    command: echo {first} {second}
    pairs: {ordered: [a, b, c]}
    after: [test, best]
presets:
  small:
    about: fewer
    vars: {w: [2]}
    budget: {gpu_hours: 1}
    stages: {train: {exclude: null, resources: {minutes: 5}}, more: {command: ls}}
"""

ENGINES = """\
experiment: engines
stages:
  make: {engine: miniature, config: {}}
  train:
    engine: ppo
    after: make
    matrix: {seed: [0, 1], arm: {plain: {}, project: {mtl: {method: pcgrad}}}}
    config:
      model: {of: make, path: model}
      data: {a: {of: make, path: data/a.parquet}}
      validation_data: {a: {of: make, path: data/b.parquet}}
      learning_rate: 1e-4
  evaluate:
    engine: evaluation
    for_each: train
    after: make
    checkpoints: all
    config: {data: {a: {of: make, path: data/c.parquet}}, temperature: 0.5, seed: "{seed}"}
  report: {engine: analysis, after: [train, evaluate], config: {compare: {axis: arm, baseline: plain, treatment: project}}}
"""

SITE = """\
kind: slurm
partition: normal
partitions: {gpu: a100, cpu: normal}
account: team
qos: normal
cluster: c1
gpu_type: a100
memory_per: node
cpus_per_node: 64
memory_gb_per_node: 500
gpus_per_node: 8
max_minutes: 2880
max_jobs: 1000
throttle: 50
calls_per_minute: 20
price_per_gpu_hour: 1.5
setup: [module load cuda]
wrap: [apptainer, exec, --nv, image.sif]
environment: {HF_HOME: /data/hf, TOKEN: $TOKEN}
sbatch: {nice: 100, exclusive: true}
notify: {on: [end], mail: a@b.c}
budget: {gpu_hours: 100}
track: {to: [mlflow], online: true, project: p}
"""

SUITE = """\
about: mine
include: guru-online
folder: online_eval
defaults: {samples_per_prompt: 2, temperature: 0.6, top_p: 0.9}
tasks:
  sums: {file: math__sums_, rows: 9, max_response_tokens: 64, metric: score, group: maths}
  aime: {samples_per_prompt: 8, expected_tokens: 900}
"""

CONFIG = """\
models: {folder: out, checkpoints: last}
data: {a: a.parquet}
max_prompt_tokens: 128
max_response_tokens: 64
temperature: 1e-1
seed: 3
scoring: strict
"""

SEEDS: dict[str, list[str]] = {
    "experiment": [
        BASE,
        EVERYTHING,
        EVERYTHING,
        ENGINES,
        (ROOT / "jobs" / "hello-command.yaml").read_text(),
    ],
    "included": [BASE, EVERYTHING],
    "overrides": [
        "train.matrix={seed: [0, 1], lr: [1]}",
        "train.resources.minutes=20",
        "vars.v=12",
        "budget.gpu_hours=2.5",
        "train.command=echo {seed}",
        "train.environment={A: b}",
    ],
    "profile": [SITE, *(path.read_text() for path in sorted(ROOT.glob("slurm_templates/*.yaml")))],
    "messages": [
        "on: [end, fail]\ncommand: [notify-send, '{text}']\nwebhook_env: HOOK\nmail: a@b.c\n"
    ],
    "suite": [
        SUITE,
        SUITE.replace("include: guru-online\n", "").replace("  aime: {", "  other: {file: x, "),
    ],
    "config": [CONFIG],
    "json_config": ['{"models": {"folder": "out", "checkpoints": "last"}, "data": {"a": "b"}}'],
    "data": ["sums: [guru/math__one.parquet, guru/math__two.parquet]\ngrids: guru/grids.parquet\n"],
}
"""By kind; the first ones are mutated most."""
