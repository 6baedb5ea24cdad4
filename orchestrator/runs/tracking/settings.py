"""``track.json`` of a run: what nodes make the identity of their jobs for trackers of.

In: a run's plan and profile. Out: one small file in the run's folder, written anew at every launch,
because neither trackers nor variables are part of what a job is. Called by ``runs/create``; read by
``orchestrator/node/tracking``.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.description.profile import Profile, Tracking
from orchestrator.node.system import write_json
from orchestrator.node.tracking.variables import LOCAL, SETTINGS, WHO
from orchestrator.planning.plan import Plan
from orchestrator.runs.plan_file import PlanFile

NONE: Tracking = {"to": [], "online": False, "project": ""}


def wanted(plan: Plan, profile: Profile) -> Tracking:
    """Where engines log to: the experiment's word, whole, else the profile's."""
    return {**NONE, **(plan.track or profile.track)}


def write_settings(folder: Path, held: PlanFile) -> None:
    """Write the file."""
    plan, profile = held.plan, Profile(**held.profile)
    track = wanted(plan, profile)
    options = {job.stage: job.options for job in plan.jobs}
    write_json(
        folder / SETTINGS,
        {
            "to": track["to"],
            "online": track["online"],
            "project": track["project"] or plan.experiment,
            "group": f"{plan.experiment}/{folder.name}",
            "tags": [plan.preset] if plan.preset else [],
            # A folder that is removed and made again is another run, and has another one.
            "uid": held.uid,
            # What a person has said of a variable stays; the value is not written here.
            "said": {
                stage: said(profile.with_options(own).environment) for stage, own in options.items()
            },
        },
    )


def said(environment: dict[str, str]) -> list[str]:
    """The variables of trackers that the profile or a stage sets itself."""
    return sorted(name for name in environment if name in WHO or name in LOCAL)
