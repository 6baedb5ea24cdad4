"""What differs between the nodes of a job."""

from __future__ import annotations

from pathlib import Path

from orchestrator.node.several.one_node import OneNode


def test_one_node_alone_has_the_id_of_a_trackers_run(tmp_path: Path) -> None:
    given = {"WANDB_RUN_ID": "a", "MLFLOW_RUN_ID": "b", "WANDB_RUN_GROUP": "c", "WANDB_NAME": "d"}
    first, second = (OneNode(str(tmp_path), rank, 2).own(given) for rank in (0, 1))
    assert first == given
    assert second == {"WANDB_RUN_GROUP": "c", "WANDB_NAME": "d"}
