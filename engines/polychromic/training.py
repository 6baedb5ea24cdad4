"""The training loop: nothing random in it hangs on more than seed and step."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress, read_progress
from engines.contract.results import write_results
from engines.polychromic import watch
from engines.polychromic.batches import Encoded, encode
from engines.polychromic.config import Config
from engines.polychromic.model import Model, choose_device, find_base, load_model
from engines.polychromic.results import facts, result_rows
from engines.polychromic.resume import find_start, publish, save_state
from engines.polychromic.sampling import Sampler
from engines.polychromic.step import Setting, Stepper
from engines.polychromic.validation import evaluate, probe, should_stop
from engines.shared.replies.checker import checker_of
from engines.shared.replies.description import Manifest, Split
from engines.shared.replies.rows import read_manifest, read_split
from engines.shared.training.memory import keep_freed


def prepare(config: Config) -> tuple[Setting, Encoded, Manifest]:
    """The model, the rows and what is known before the first step; and the validation rows."""
    torch.set_num_threads(config.cpu_threads)
    device = choose_device(config)
    if device.type == "cpu":
        keep_freed()
    manifest = read_manifest(config.data)
    model = load_model(config, find_base(config), device)
    train = read_encoded(config, model, manifest, "train")
    validation = read_encoded(config, model, manifest, "validation")
    sampler = None
    if config.diversity.sampled or config.unique_valid_prompts is not None:
        checker = checker_of(manifest, config.data)
        sampler = Sampler(model, config.diversity, checker, config.seed)
    _, steps = config.steps_of(len(train.replies))
    return Setting(config, model, train, sampler, steps), validation, manifest


def read_encoded(config: Config, model: Model, manifest: Manifest, split: Split) -> Encoded:
    """The rows of a split as token ids."""
    rows = read_split(config.data, split)
    return encode(rows, model.tokenizer, manifest.template, config.max_tokens, split)


class Loop:
    """A training as it goes."""

    def __init__(self, setting: Setting, validation: Encoded, out: Path, stop: Stop) -> None:
        self.setting, self.validation, self.out, self.stop = setting, validation, out, stop
        self.stepper = Stepper(setting)
        self.point = find_start(setting.config, out, self.stepper)
        # Without a state even the line of step 0 is written anew.
        began = bool(self.point.evaluations)
        self.progress = Progress(out, keep_until=self.point.step if began else -1)
        self.history = [line["metrics"] for line in read_progress(out) if line["phase"] == "train"]
        self.state_at = self.point.step

    @property
    def epoch(self) -> int:
        """Whole passes over the rows."""
        an_epoch, _ = self.setting.config.steps_of(len(self.setting.train.replies))
        return self.point.step // an_epoch

    def run(self) -> None:
        """To the last step or early stopping; Interrupted if asked to stop."""
        config, point, steps = self.setting.config, self.point, self.setting.steps
        self.warn(watch.of_config(config))
        if not point.evaluations:
            self.evaluate()
        while point.step < steps and not point.ended:
            self.save_if_due()
            metrics = self.stepper.take(point.step)
            point.step += 1
            self.report(metrics, "train")
            self.history.append(metrics)
            self.warn(watch.of_steps(config, self.history))
            if point.step % config.evaluate_every_steps == 0 or point.step == steps:
                self.end_of_stretch()

    def save_if_due(self) -> None:
        """Save a state where it is time for one, or if asked to stop."""
        point, config = self.point, self.setting.config
        if self.stop.requested or point.step - self.state_at >= config.save_state_every_steps:
            self.save()
        if self.stop.requested:
            raise Interrupted(
                f"at step {point.step} of {self.setting.steps}; start it again to continue"
            )

    def save(self) -> None:
        """Save a state to continue from."""
        save_state(self.setting.config, self.out, self.point, self.stepper)
        self.state_at = self.point.step

    def end_of_stretch(self) -> None:
        """Evaluate, leave a checkpoint, decide whether to go on."""
        config, point = self.setting.config, self.point
        self.evaluate()
        model = self.setting.model
        known = probe(model, self.validation.sequences[0])
        publish(config, self.out, point, self.epoch, model, known)
        if should_stop(config.early_stopping, point.evaluations):
            print(f"early stopping after step {point.step}: {config.early_stopping}", flush=True)
            point.ended = True
        self.save()

    def evaluate(self) -> None:
        """Look at the validation rows."""
        setting = self.setting
        began = time.monotonic()
        found, metrics = evaluate(
            setting.config, setting.model, setting.sampler, self.validation, self.point.step
        )
        self.point.evaluations.append(found)
        self.report({**metrics, "seconds_evaluate": time.monotonic() - began}, "validate")

    def report(self, metrics: dict[str, float], phase: str) -> None:
        """One line of progress; evaluations are printed too."""
        step, steps = self.point.step, self.setting.steps
        self.progress.write(step, steps, metrics, phase)
        if phase == "validate":
            text = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
            print(f"step {step}/{steps}: {text}", flush=True)

    def warn(self, flags: dict[str, str]) -> None:
        """Print the flags that are new, and keep them."""
        for name, words in flags.items():
            if name not in self.point.warnings:
                self.point.warnings[name] = f"{name} (step {self.point.step}): {words}"
                print(f"warning: {self.point.warnings[name]}", flush=True)


def train(config: Config, out: Path, stop: Stop) -> None:
    """Train to the end, or until asked to stop; then write the results."""
    started = time.monotonic()
    setting, validation, manifest = prepare(config)
    loop = Loop(setting, validation, out, stop)
    loop.run()
    rows = result_rows(setting, out, len(validation.replies))
    known = facts(setting, loop.point, manifest, validation)
    write_results(out, "polychromic", config, rows, time.monotonic() - started, known)
