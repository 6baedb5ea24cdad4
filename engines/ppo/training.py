"""The training loop: epochs, validations, checkpoints, early stopping, continuation. No torch here;
the rank has it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress, read_progress
from engines.contract.results import Row, write_results
from engines.ppo.config import Config
from engines.ppo.data.prompts import Prompts, read_prompts
from engines.ppo.data.task_sampler import Group, TaskSampler
from engines.ppo.early_stopping import Validation, should_stop
from engines.ppo.estimates import UTILISATION, checkpoints_gb, look_at, refuse, work
from engines.ppo.evaluate_here import EvaluateHere, evaluate_here
from engines.ppo.memory import Machine, memory_plan, table
from engines.ppo.model_size import model_size
from engines.ppo.ranks.in_process import Ranks
from engines.ppo.ranks.start import ranks_of
from engines.ppo.resume import Point, find_start, save_checkpoint, save_continuation
from engines.ppo.tracking import reward, reward_metrics, status_metrics, validation_rows
from engines.ppo.watchdogs import (
    Patience,
    check_judged,
    check_memory,
    check_probabilities,
    check_rewards,
    check_sandbox,
    memory,
)
from engines.shared.data.problems import Problem
from engines.shared.inference import Generation, Request, sample_seed
from engines.shared.scoring.pool import ScoringPool
from engines.shared.scoring.verdict import Verdict


def train(config: Config, out: Path, stop: Stop) -> None:
    """Train from the newest state below ``out``, or from the beginning, and write the results."""
    started = time.monotonic()
    # What is cheap comes first: a mistake in the config, the data or the resources is told before
    # Ray and vLLM have taken minutes to start.
    start = find_start(config, out)
    prompts = read_prompts(config, start.model)
    run = Training(config, out, stop, prompts, start)
    run.here = evaluate_here(config, out, start.model, stop)
    run.announce()
    gpus = visible_gpus() if config.device != "cpu" else 0
    if gpus and gpus < config.ranks:
        raise ConfigError(
            f"ranks: {config.ranks} processes need a GPU each, and there are {gpus}; ask for more"
        )
    run.check_budget(look_at(out, config.ranks if gpus else 0))
    with ExitStack() as stack:
        run.pool = stack.enter_context(scoring_pool(config))
        run.ranks = stack.enter_context(ranks_of(config, start, prompts, gpus, stop))
        facts = run.ranks.call("start")
        if run.here is not None:
            run.here.sampler = facts
        run.ranks.patience = Patience(config.step_timeout_minutes * 60)
        ready = f"ready after {time.monotonic() - started:.1f} s: {facts}"
        print(ready, *facts["remarks"], sep="\n", flush=True)
        run.loop()
        facts["peak_memory_gib"] = round(run.ranks.call("peak_memory_gib"), 2)
    write_results(out, "ppo", config, run.rows(), time.monotonic() - started, facts | run.facts())


def scoring_pool(config: Config) -> ScoringPool:
    """The processes that judge the answers."""
    return ScoringPool(
        config.scoring_workers,
        config.scoring_seconds,
        scorers=config.planned_scorers,
        any_number=True,
    )


def visible_gpus() -> int:
    """GPUs that this job may use: CUDA_VISIBLE_DEVICES, else the device files."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return len([name for name in listed.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


class Training:
    """One run of the loop. ``point`` is where it stands: everything that a continuation must
    know."""

    ranks: Ranks
    pool: ScoringPool
    here: EvaluateHere | None = None

    def __init__(
        self, config: Config, out: Path, stop: Stop, prompts: Prompts, start: Point
    ) -> None:
        self.config, self.out, self.stop, self.prompts, self.point = (
            config,
            out,
            stop,
            prompts,
            start,
        )
        self.sampler: TaskSampler[Problem] = TaskSampler(
            prompts.train, config.prompts_per_task, config.seed
        )
        self.steps_per_epoch = config.steps_per_epoch or self.sampler.steps_per_epoch
        self.total_steps = config.epochs * self.steps_per_epoch
        # Without a saved state even the line of step 0 (validation before training) is written
        # anew.
        self.progress = Progress(out, keep_until=start.step if start.state is not None else -1)

    def announce(self) -> None:
        """Say how big the run is before it starts."""
        config = self.config
        samples = len(self.prompts.train) * config.prompts_per_task * config.samples_per_prompt
        sizes = ", ".join(
            f"{task} {len(problems)}" for task, problems in self.prompts.train.items()
        )
        print(
            f"training problems: {sizes}; left out as longer than "
            f"{config.max_prompt_tokens} tokens: {self.prompts.left_out}\n"
            f"a pass over them takes {self.sampler.steps_per_epoch} steps, an epoch is "
            f"{self.steps_per_epoch}; {config.epochs} epochs = "
            f"{self.total_steps} steps "
            f"of {samples} samples, at most {samples * config.max_response_tokens:,} "
            "response tokens per step and "
            f"{samples * config.max_response_tokens * self.total_steps:,} in all\n"
            f"gradients: {config.mtl.method}; starting at step {self.point.step}",
            flush=True,
        )

    def check_budget(self, machine: Machine) -> None:
        """Print what the run will take; ConfigError with the setting to change for what cannot
        fit."""
        config, train, size = self.config, self.prompts.train, model_size(self.point.model)
        if size is None:
            print("memory plan: not known for this kind of model", flush=True)
            return
        needed_disk = checkpoints_gb(config, size) * 1e9
        lengths = [
            len(self.prompts.token_ids[problem.item_id])
            for problems in train.values()
            for problem in problems
        ]
        costs = work(
            config, size, machine, self.total_steps - self.point.step, len(train), fmean(lengths)
        )
        hours = (
            f"{costs.hours:,.1f} hours of updates at {UTILISATION:.0%} of the peak of "
            f"{machine.gpu_name}, generation not included"
            if costs.hours is not None
            else "hours not estimated for this device"
        )
        print(
            f"{table(memory_plan(config, size, len(train), machine), machine, needed_disk)}\n"
            f"to do: at most {costs.tokens:,.0f} tokens through the trainer, "
            f"{costs.flop:.2g} FLOP; {hours}",
            flush=True,
        )
        refuse(config, size, len(train), machine, needed_disk)

    def loop(self) -> None:
        """Train until the last epoch, early stopping, or a request to stop (then: save and raise
        Interrupted)."""
        # A continued run has this validation in its state.
        if not self.point.validations:
            self.validate(epoch=0, counted=True)
        while self.point.step < self.total_steps and not self.point.ended:
            self.train_step()
            epoch, rest = divmod(self.point.step, self.steps_per_epoch)
            if rest == 0:
                self.end_epoch(epoch)
            elif (
                self.config.save_state_every_steps
                and self.point.step % self.config.save_state_every_steps == 0
            ):
                save_continuation(self.config, self.out, self.point, self.ranks, self.prompts)
            # After the last step there is nothing to continue: the results are written.
            if self.stop.requested and self.point.step < self.total_steps and not self.point.ended:
                save_continuation(self.config, self.out, self.point, self.ranks, self.prompts)
                raise Interrupted(
                    f"after step {self.point.step} of {self.total_steps}; start it again "
                    "to continue from there"
                )

    def train_step(self) -> None:
        """Sample, score, update."""
        begin, step = time.monotonic(), self.point.step
        batch = self.sampler.batch(step)
        requests = self.rollout_requests(batch, step)
        generations = self.generate(requests)
        generated = time.monotonic()
        verdicts = self.score(batch, generations)
        scored = time.monotonic()
        groups = iter(
            [
                Group(request.token_ids, tuple(samples), tuple(map(reward, found)))
                for request, samples, found in zip(requests, generations, verdicts, strict=True)
            ]
        )
        # Every rank gets every count-th group of each task, so all have as many of each.
        tasks = {task: [next(groups) for _ in problems] for task, problems in batch.items()}
        count = len(self.ranks)
        shares = [
            ({task: found[k::count] for task, found in tasks.items()}, step) for k in range(count)
        ]
        # The metrics are sums over all ranks, the same in each.
        metrics = self.ranks.each("update", shares)[0]
        self.point = self.point.stepped()
        metrics |= reward_metrics(tasks) | status_metrics(batch, verdicts)
        metrics |= {
            "seconds_generate": generated - begin,
            "seconds_score": scored - generated,
            "seconds_step": time.monotonic() - begin,
        }
        # Reported before it is checked: the last line of progress.jsonl shows the step that failed.
        self.report(metrics, "train")
        check_probabilities(metrics, step)
        check_memory(memory(), step)

    def rollout_requests(self, batch: dict[str, list[Problem]], step: int) -> list[Request]:
        """A request for every problem of a step, task by task; its seed depends on the step, the
        task and the place in it alone, so a continued run draws the same samples."""
        config = self.config
        requests = []
        for task, problems in batch.items():
            for place, problem in enumerate(problems):
                seed = sample_seed(config.seed, "rollout", step, task, place)
                requests.append(
                    self.request(problem, config.samples_per_prompt, config.temperature, seed)
                )
        return requests

    def generate(self, requests: list[Request], work: str = "generate") -> list[list[Generation]]:
        """Samples of every request; each rank's sampler takes every n-th one. ``work`` tells how
        long it usually takes."""
        count = len(self.ranks)
        answers = self.ranks.each("generate", [(requests[k::count],) for k in range(count)], work)
        # Request i went to rank i % count, as its number i // count.
        return [answers[place % count][place // count] for place in range(len(requests))]

    def request(self, problem: Problem, samples: int, temperature: float, seed: int) -> Request:
        """The request for one problem's samples."""
        return Request(
            self.prompts.token_ids[problem.item_id],
            samples,
            seed,
            temperature,
            self.config.max_response_tokens,
        )

    def score(
        self, tasks: dict[str, list[Problem]], generations: list[list[Generation]]
    ) -> list[list[Verdict]]:
        """Verdict on every sample, per problem, in the order of ``tasks``; failures of the scorers
        are counted per task.

        RuntimeError if the sandbox does not work here.
        """
        listed = [(task, problem) for task, problems in tasks.items() for problem in problems]
        pairs = [
            (problem, sample.text)
            for (_, problem), samples in zip(listed, generations, strict=True)
            for sample in samples
        ]
        verdicts = iter(self.pool.score_many(pairs))
        found = [[next(verdicts) for _ in samples] for samples in generations]
        for (task, _), own in zip(listed, found, strict=True):
            check_sandbox(own)
            self.point.count_failures(task, own)
        return found

    def end_epoch(self, epoch: int) -> None:
        """Validate and save when it is time; decide whether to go on."""
        config = self.config
        check_rewards(
            read_progress(self.out),
            self.steps_per_epoch,
            config.prompts_per_task * config.samples_per_prompt,
        )
        # A checkpoint is ranked by a validation of its own weights. One that is made only for that
        # does not count for early stopping: patience must not depend on how often checkpoints are
        # saved.
        scheduled = epoch % config.validate_every_epochs == 0
        last = epoch == config.epochs
        due = last or epoch % config.checkpoint_every_epochs == 0
        if scheduled or due:
            self.validate(epoch, counted=scheduled)
        if scheduled and should_stop(config.early_stopping, self.point.validations):
            print(f"early stopping after epoch {epoch}: {config.early_stopping}", flush=True)
            self.point = self.point.finished()
        if due or self.point.ended:
            saved = save_checkpoint(config, self.out, self.point, epoch, self.ranks, self.prompts)
            if self.here is not None:
                self.here.make(saved, self.generate)

    def validate(self, epoch: int, counted: bool) -> None:
        """Mean reward of greedy answers to the validation problems, per task."""
        flat = [problem for problems in self.prompts.validation.values() for problem in problems]
        # Temperature 0: the seed decides nothing.
        generations = self.generate(
            [self.request(problem, 1, 0.0, 0) for problem in flat], "validation"
        )
        found = self.score(self.prompts.validation, generations)
        if epoch == 0:
            check_judged(self.prompts.validation, found)
        verdicts = iter(found)
        tasks = {
            task: fmean(reward(next(verdicts)[0]) for _ in problems)
            for task, problems in self.prompts.validation.items()
        }
        validation = Validation(epoch, self.point.step, fmean(tasks.values()), tasks, counted)
        self.point.validations.append(validation)
        self.report(
            {"validation_reward_mean": validation.mean}
            | {f"validation_reward/{task}": value for task, value in tasks.items()},
            "validate",
        )

    def report(self, metrics: dict[str, float], phase: str) -> None:
        """One line of progress, and one line to read."""
        step = self.point.step
        metrics = {"epoch": step / self.steps_per_epoch, **metrics}
        self.progress.write(step, self.total_steps, metrics, phase)
        shown = (
            "validation_reward_mean",
            "train_reward_mean",
            "loss",
            "conflict_rate",
            "response_tokens",
            "seconds_step",
        )
        text = ", ".join(f"{name} {metrics[name]:.3f}" for name in shown if name in metrics)
        print(f"step {step}/{self.total_steps} {phase}: {text}", flush=True)

    def rows(self) -> list[Row]:
        """The results: validation before, after and at its best, and how often gradients were in
        conflict."""
        validations = self.point.validations
        # Of equals the earliest.
        best = max(validations, key=lambda validation: (validation.mean, -validation.step))
        rows = [
            row
            for moment, validation in (
                ("before", validations[0]),
                ("after", validations[-1]),
                ("best", best),
            )
            for row in validation_rows(moment, validation, self.prompts)
        ]
        # From the file rather than from this process: steps before a restart count as well.
        rates = [
            line["metrics"]["conflict_rate"]
            for line in read_progress(self.out)
            if line["phase"] == "train" and "conflict_rate" in line["metrics"]
        ]
        if rates:
            spread = stdev(rates) / len(rates) ** 0.5 if len(rates) > 1 else None
            return [
                *rows,
                Row(metric="conflict_rate", value=fmean(rates), n=len(rates), spread=spread),
            ]
        return [
            *rows,
            Row(metric="conflict_rate", value=None, n=0, error="no step had a finite gradient"),
        ]

    def facts(self) -> dict[str, Any]:
        """What the report says beside the rows."""
        return {
            "steps": self.point.step,
            "steps_per_epoch": self.steps_per_epoch,
            "stopped_early": self.point.ended,
            "problems": {task: len(problems) for task, problems in self.prompts.train.items()},
            "prompts_left_out": self.prompts.left_out,
            "test_data": self.prompts.test_data,
            "scoring_failures": self.point.failures,
        }
