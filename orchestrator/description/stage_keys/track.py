"""``track`` of an experiment or a cluster's profile: which trackers engines log their progress to.

In: values as a person wrote them. Out: the same in one form, which plans and profiles keep. The
readers of experiments and profiles take it in; what a job is given of it is made by
``orchestrator/runs/tracking`` and ``orchestrator/node/tracking``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator.description.checking import FileModel, Must, WordedError
from orchestrator.description.profile import Tracking

MUST = (
    "be a list of wandb, mlflow, tensorboard and trackio, or a mapping such as "
    "{to: [wandb], online: true}"
)
Tracker = Literal["wandb", "mlflow", "tensorboard", "trackio"]


def listed_word(value: Any) -> Any:
    """``wandb`` alone stands for ``[wandb]``."""
    if not isinstance(value, str | list | dict):
        raise WordedError("{name} must {must}, got {value}", must=MUST)
    return [value] if isinstance(value, str) else value


class TrackFile(FileModel):
    """``track`` of an experiment or a profile, where it says more than a list."""

    MUST = MUST

    to: Annotated[
        list[Tracker], Must("be a list of wandb, mlflow, tensorboard and trackio", at_item=True)
    ]
    """Where engines log the metrics of their progress: a list of `wandb`, `mlflow`, `tensorboard`
    and `trackio`."""
    online: bool = False
    """`true`: jobs may send over the network while they run. Without it W&B writes offline folders,
    and MLflow and trackio files of the job, unless a variable (`WANDB_MODE`, `MLFLOW_TRACKING_URI`,
    `TRACKIO_SPACE_ID`) that is set where `orch` runs says otherwise."""
    project: Annotated[str, Field(min_length=1), Must("be a name")] = ""
    """What trackers call the project (MLflow: experiment); the experiment's name without it."""


Track = Annotated[
    list[Tracker] | TrackFile,
    BeforeValidator(listed_word, json_schema_input_type=Tracker | list[Tracker] | TrackFile),
    Must(MUST),
]
"""A list of trackers, or a mapping that says more."""


def in_one_form(written: Any) -> Tracking:
    """``[wandb]`` as ``{"to": ["wandb"], "online": False, "project": ""}``; of what was checked."""
    named = listed_word(written)
    values = {"to": named} if isinstance(named, list) else dict(named)
    made = TrackFile.model_validate(values)
    return Tracking(to=list(dict.fromkeys(made.to)), online=made.online, project=made.project)
