"""What an evaluation costs: our generation against a bare ``LLM.generate``, and one job against one
process per task and checkpoint.

``python -m tests.benchmarks.bench_evaluation [--processes N]``: N of the processes of the second
comparison are run (3 without it, 36 are all). Everything is made on the spot: a tiny model, six
small tasks. Both sides of a comparison run in turns, and processor seconds (the process and its
threads) stand beside wall seconds: on a shared machine only the first say something.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKPOINTS, PROBLEMS, ROUNDS = 6, 24, 15
LIMITS = {"max_prompt_tokens": 80, "max_response_tokens": 12}
PROMPTS, RESPONSE_TOKENS = 320, 32


def make(folder: Path, out: Path, name: str, size: dict[str, int], seed: int) -> None:
    """One checkpoint with fresh weights."""
    import torch

    from engines.contract.checkpoints import Description, save
    from engines.miniature.config import Config
    from engines.miniature.tokenizer import make_tokenizer
    from engines.shared.tiny_models.model import make_model

    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    model = make_model(Config.model_validate(size), tokenizer)

    def write(place: Path) -> None:
        model.save_pretrained(place / "model")
        tokenizer.save_pretrained(place / "model")

    save(folder / out, Description(name=name, step=seed, epoch=seed, metrics={}), write)


def make_everything(folder: Path) -> None:
    """``data/``, six checkpoints of a tiny model in ``train/`` and one of a larger one in
    ``larger/``."""
    from engines.miniature.__main__ import write_data
    from engines.shared.data.miniature import DOMAINS, splits

    write_data(
        folder / "data", {domain: splits(domain, {"test": PROBLEMS}, 0) for domain in DOMAINS}
    )
    for seed in range(1, CHECKPOINTS + 1):
        make(folder, Path("train"), f"epoch-{seed}", {}, seed)
    make(folder, Path("larger"), "epoch-1", {"hidden_size": 256, "layers": 4, "heads": 4}, 1)


def prompts() -> list[tuple[int, ...]]:
    """Token ids, all different, of 40 tokens."""
    return [
        (
            2 + number % 250,
            2 + number // 250,
            *(2 + (number * 7 + place * place) % 250 for place in range(38)),
        )
        for number in range(PROMPTS)
    ]


def bare(folder: Path) -> Callable[[str, int], int]:
    """Rounds of vLLM alone, with its own settings but for what a small CPU needs; they return
    response tokens."""
    from engines.shared.inference import set_environment

    set_environment(1)
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=str(folder / "larger/checkpoints/epoch-1/model"),
        dtype="float32",
        enforce_eager=True,
        max_model_len=len(prompts()[0]) + RESPONSE_TOKENS,
        disable_log_stats=True,
    )

    def one_round(kind: str, _: int) -> int:
        llm.reset_prefix_cache()
        each = [
            SamplingParams(
                temperature=0.0 if kind == "greedy" else 1.0,
                top_p=1.0 if kind == "greedy" else 0.7,
                max_tokens=RESPONSE_TOKENS,
            )
        ] * PROMPTS
        made = llm.generate(
            [{"prompt_token_ids": list(ids)} for ids in prompts()], each, use_tqdm=False
        )
        return sum(len(output.outputs[0].token_ids) for output in made)

    return one_round


def ours(folder: Path) -> Callable[[str, int], int]:
    """Rounds of the evaluation's generation: queue, seeds per sample, files, progress; they return
    response tokens.

    The round ``swap`` is what comes once per checkpoint: its weights into the running engine.
    """
    from engines.contract.program import Stop
    from engines.contract.progress import Progress
    from engines.evaluation.config import Config
    from engines.evaluation.coordinator import Coordinator
    from engines.evaluation.generation import Worker, context_length
    from engines.evaluation.inputs import Inputs, Model
    from engines.shared.data.problems import make_problem, user
    from engines.shared.suites.items import Item
    from engines.shared.suites.suite import PLAIN, changed

    size = {"max_prompt_tokens": len(prompts()[0]), "max_response_tokens": RESPONSE_TOKENS}
    kinds = {"sampled": {"temperature": 1.0, "top_p": 0.7}, "greedy": {"temperature": 0.0}}
    items = {
        kind: [
            Item(
                "math",
                make_problem("math__x", user(str(ids)), "0"),
                ids,
                "math",
                changed(PLAIN, {**size, **settings}),
            )
            for ids in prompts()
        ]
        for kind, settings in kinds.items()
    }
    model = Model("m", folder / "larger/checkpoints/epoch-1/model", None)
    config = Config.model_validate({"models": "m", "data": "d"})

    def coordinator_of(kind: str, number: int) -> Coordinator:
        out = folder / f"ours-{kind}-{number}"
        out.mkdir()
        return Coordinator(Inputs(config, out, [model], items[kind]), Stop(), Progress(out))

    first = coordinator_of("greedy", -1)
    sampler = Worker(config, [model], context_length(first.inputs), first).load(model)

    def one_round(kind: str, number: int) -> int:
        if kind == "swap":
            sampler.load_checkpoint(model.folder)
            return 1
        sampler.llm.reset_prefix_cache()
        coordinator = coordinator_of(kind, number)
        worker = Worker(config, [model], 0, coordinator)
        worker.sampler = sampler
        worker.send(sampler, coordinator.take(worker.capacity))
        worker.generate(sampler, 0)
        coordinator.close()
        return coordinator.tokens

    return one_round


def child(name: str, folder: Path) -> None:
    """Start an engine, then run the round that each line of standard input names and print what it
    took."""
    one_round = {"bare": bare, "ours": ours}[name](folder)
    one_round("sampled", 0)  # imports and allocation
    print(json.dumps("ready"), file=sys.__stdout__, flush=True)
    for number, line in enumerate(sys.stdin, 1):
        wall, processor = time.perf_counter(), time.process_time()
        tokens = one_round(line.strip(), number)
        print(
            json.dumps([tokens, time.perf_counter() - wall, time.process_time() - processor]),
            file=sys.__stdout__,
            flush=True,
        )


def start(name: str, folder: Path) -> subprocess.Popen[str]:
    """A child that is ready."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", name, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) and line != '"ready"\n':
        pass  # what libraries print
    return process


def ask(process: subprocess.Popen[str], kind: str) -> list[float]:
    """One round of a child: tokens, wall seconds, processor seconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(kind, file=process.stdin, flush=True)
    while not (line := process.stdout.readline()).startswith("["):
        if not line:
            raise RuntimeError(f"a child ended with exit code {process.wait()}")
    found: list[float] = json.loads(line)
    return found


WHO_DOES_WHAT = [
    ("bare", "greedy"),
    ("ours", "greedy"),
    ("bare", "sampled"),
    ("ours", "sampled"),
    ("ours", "swap"),
]
RATIOS = [
    ("ours, greedy / bare, greedy", 1, 0),
    ("ours, sampled with seeds / bare, sampled without", 3, 2),
]
"""A bare engine with seeds cannot be compared on a CPU: vLLM 0.32 ends when it cuts the prompt of a
sample that has one."""


def of_median(found: list[float]) -> tuple[float, float]:
    """A 95 % interval of the median by order statistics: as many of ``found`` lie below it as heads
    come in as many tosses."""
    n, tail, place = len(found), 0.0, 0
    while (tail := tail + math.comb(n, place) / 2**n) <= 0.025:
        place += 1
    ordered = sorted(found)
    return ordered[max(place - 1, 0)], ordered[min(n - place, n - 1)]


def generation(folder: Path) -> None:
    """Tokens per second of both, greedy and sampled, in turns, and the ratios of rounds that came
    together."""
    children = {name: start(name, folder) for name in ("bare", "ours")}
    rounds: list[list[list[float]]] = [[] for _ in WHO_DOES_WHAT]
    for number in range(ROUNDS):
        for place in sorted(range(len(WHO_DOES_WHAT)), reverse=bool(number % 2)):
            name, kind = WHO_DOES_WHAT[place]
            rounds[place].append(ask(children[name], kind))
    for process in children.values():
        process.communicate()
    print(
        f"generation: {PROMPTS} prompts of {len(prompts()[0])} tokens, up to "
        f"{RESPONSE_TOKENS} response tokens, {ROUNDS} rounds in turns"
    )
    for (name, kind), each in zip(WHO_DOES_WHAT[:-1], rounds, strict=False):
        print(
            f"  {name}, {kind}: {statistics.median(t / w for t, w, _ in each):8.0f} "
            "tokens per second, "
            f"{statistics.median(t / p for t, _, p in each):8.0f} per processor second (medians)"
        )
    for words, above, below in RATIOS:
        for clock, place in (("wall", 1), ("processor", 2)):
            found = [
                (o[0] / o[place]) / (b[0] / b[place])
                for o, b in zip(rounds[above], rounds[below], strict=True)
            ]
            low, high = of_median(found)
            print(
                f"  {words}, by {clock} time: median {statistics.median(found):.3f} "
                f"[{low:.3f}, {high:.3f}], "
                f"all {min(found):.3f} to {max(found):.3f}",
                flush=True,
            )
    print(
        "  new weights into the engine: "
        f"{statistics.median(p for _, _, p in rounds[-1]):.3f} processor seconds, once "
        "per checkpoint"
    )


def evaluate(
    folder: Path, name: str, config: dict[str, Any]
) -> tuple[float, float, dict[str, Any]]:
    """Wall and processor seconds of one evaluation as a program, and its facts."""
    (folder / f"{name}.json").write_text(json.dumps({**LIMITS, "temperature": 0.0, **config}))
    wall, before = time.perf_counter(), os.times()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "engines.evaluation",
            str(folder / f"{name}.json"),
            "--out",
            str(folder / name),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = os.times()
    seconds = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return (
        time.perf_counter() - wall,
        seconds,
        json.loads((folder / name / "results.json").read_text())["facts"],
    )


def jobs(folder: Path, processes: int) -> None:
    """All checkpoints and tasks in one job, against one process for each pair of them."""
    wall, processor, facts = evaluate(
        folder,
        "one",
        {
            "models": {"folder": str(folder / "train"), "checkpoints": "all"},
            "data": str(folder / "data"),
        },
    )
    tasks = list(facts["tasks"])
    pairs = [(number, task) for number in range(1, CHECKPOINTS + 1) for task in tasks]
    samples = CHECKPOINTS * sum(fact["samples"] for fact in facts["tasks"].values())
    print(f"{CHECKPOINTS} checkpoints x {len(tasks)} tasks, {samples} greedy samples")
    print(
        f"  one job: {facts['engine_starts']} engine start, {wall:.1f} s, {processor:.1f} "
        "processor seconds"
    )
    chosen = pairs[:: max(1, len(pairs) // processes)][:processes]
    each = [
        evaluate(
            folder,
            f"part-{number}-{task}",
            {
                "models": str(folder / f"train/checkpoints/epoch-{number}/model"),
                "data": str(folder / "data"),
                "tasks": [task],
            },
        )
        for number, task in chosen
    ]
    walls, seconds = (
        statistics.mean(part[0] for part in each),
        statistics.mean(part[1] for part in each),
    )
    print(
        f"  one process per pair: {len(each)} of {len(pairs)} measured, {walls:.1f} s and "
        f"{seconds:.1f} processor seconds each (means)"
    )
    word = "measured" if len(each) == len(pairs) else "at these means"
    walls, seconds = walls * len(pairs), seconds * len(pairs)
    print(
        f"  all {len(pairs)} ({word}): {len(pairs)} engine starts, {walls:.0f} s, "
        f"{seconds:.0f} processor seconds; "
        f"{walls / wall:.1f} times the one job's wall time, {seconds / processor:.1f} "
        "times its processor time"
    )


def main() -> None:
    """Both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--only", choices=["jobs", "generation"], help="one of the two comparisons")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_everything(Path(folder))
        if arguments.only != "generation":
            jobs(Path(folder), arguments.processes)
        if arguments.only != "jobs":
            generation(Path(folder))


if __name__ == "__main__":
    main()
