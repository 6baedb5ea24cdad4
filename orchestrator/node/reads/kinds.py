"""The kinds of ``reads``, and one source of them.

In: an entry of job.json's ``reads``. Out: what it has found, again and again while the command
runs. Called by ``output``.
"""

from __future__ import annotations

import os

from orchestrator.node.reads.files import Place
from orchestrator.node.reads.lightning.checkpoints import add_checkpoints
from orchestrator.node.reads.lm_eval import read_lm_eval
from orchestrator.node.reads.series import Found
from orchestrator.node.reads.tables import read_csv, read_json, read_jsonl, read_lightning
from orchestrator.node.reads.tensorboard import EventFiles
from orchestrator.node.reads.trainer import read_trainer
from orchestrator.node.reads.wandb import read_wandb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WRITES = {
    "jsonl": "no such file",
    "csv": "no such file",
    "tensorboard": "no events.out.tfevents.*",
    "trainer": "no whole trainer_state.json; a Trainer writes it with its checkpoints "
    "(save_strategy), and nothing of its metrics before; nor all_results.json, which save_metrics "
    "writes",
    "lightning": "no metrics.csv of CSVLogger, and no whole .ckpt",
    "json": "no such file",
    "lm_eval": "no results_*.json; lm-eval writes it at its end",
    "wandb": "no run-*.wandb; WANDB_MODE=offline makes W&B write one",
}
"""What is said where nothing was found."""


class Source:
    """One entry of ``reads``."""

    def __init__(self, entry: dict[str, Any], better: dict[str, str], job: dict[str, Any]) -> None:
        """``job``: where the command runs (``cwd``), its ``files`` and when it ``began``."""
        path = entry["path"].replace("$ORCH_OUT", job["files"], 1)
        self.kind: str = entry["kind"]
        self.shown = f"reads {self.kind} {entry['path']}"
        self.step: str = entry.get("step", "")
        self.better = better
        self.place = Place(os.path.join(job["cwd"], path), job["began"])
        self.events = EventFiles(self.place)

    def read(self, final: bool) -> Found:
        """What is there by now. ``final``: nothing more will come, so what is not whole never will
        be, and what is not there is told."""
        self.place.older = 0
        try:
            found = self.look(final)
        # Whatever it is: a framework of another version must not cost the job anything.
        except Exception as error:
            found = Found()
            found.problems.append(f"cannot be read: {type(error).__name__}: {error}")
        empty = not (found.points or found.rows or found.checkpoints or found.problems)
        if empty and self.place.older:
            found.problems.append(
                f"{self.place.older} files are there, and all were written before this job began"
            )
        elif empty:
            found.problems.append(WRITES[self.kind])
        found.problems = [f"{self.shown}: {one}" for one in found.problems] if final else []
        return found

    def look(self, final: bool) -> Found:
        """What the reader of the kind finds."""
        if self.kind == "trainer":
            return read_trainer(self.place, self.better)
        if self.kind == "tensorboard":
            return self.events.read(final)
        if self.kind == "lm_eval":
            return read_lm_eval(self.place, final)
        if self.kind == "json":
            return read_json(self.place, final)
        if self.kind == "lightning":
            found = read_lightning(self.place, self.step, final)
            add_checkpoints(found, self.place, self.better)
            return found
        reader = {"jsonl": read_jsonl, "csv": read_csv}
        return reader.get(self.kind, read_wandb)(self.place, self.step, final)
