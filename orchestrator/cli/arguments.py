"""Arguments and options that several commands share, with their help and their completion."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion

Experiment = Annotated[
    str,
    typer.Argument(
        help="Name of an experiment in ./jobs or a shipped one, or the path of a .yaml file.",
        autocompletion=completion.experiments,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="A preset of the experiment file, such as smoke.", autocompletion=completion.presets
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a key, train.config.epochs=5, or a variable, vars.lr=1e-4. May be repeated.",
    ),
]
ClusterName = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Cluster profile: a name, a .yaml file, or local.",
        autocompletion=completion.clusters,
    ),
]
RunName = Annotated[
    str | None,
    typer.Argument(
        help="experiment, experiment/run, or a run's folder; the newest run without it.",
        autocompletion=completion.runs,
    ),
]
RecordedRun = Annotated[
    str, typer.Argument(help="experiment (its newest run), experiment/run, or a run's folder.")
]
Jobs = Annotated[
    list[str] | None,
    typer.Option(
        "--job",
        help="Only this job or stage, and what depends on it. May be repeated.",
        autocompletion=completion.jobs,
    ),
]
TakenRun = Annotated[
    str,
    typer.Argument(
        help="experiment (its newest run), experiment/run, or a run's folder.",
        autocompletion=completion.runs,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be taken and how large it is; take nothing."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Wide = Annotated[
    bool,
    typer.Option("--wide", help="Leave no column out and cut nothing, however long the lines."),
]
JobsOfRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN[:JOB]",
        help="experiment, experiment/run, or a run's folder; the newest run without it; :JOB is a "
        "job or stage.",
        autocompletion=completion.targets,
    ),
]
JobsOfRecordedRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN[:JOB]",
        help="experiment (its newest run), experiment/run, or a run's folder; :JOB is a job or "
        "stage.",
        autocompletion=completion.targets,
    ),
]
RepeatedJobs = Annotated[
    list[str] | None,
    typer.Option(
        "--job",
        help="Only this job or stage, with what the jobs before it have left. May be repeated.",
        autocompletion=completion.jobs,
    ),
]
OnlyJobs = Annotated[
    list[str] | None,
    typer.Option(
        "--job",
        help="Only this job or stage. May be repeated.",
        autocompletion=completion.jobs,
    ),
]
JobOfRun = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN:]JOB",
        help="A job's name, or a part of it that only one job has; of the newest run without RUN.",
        autocompletion=completion.jobs_and_targets,
    ),
]
OneJob = Annotated[
    str | None,
    typer.Option(
        "--job", help="The job; the argument is the run then.", autocompletion=completion.jobs
    ),
]
OfRun = Annotated[
    str | None,
    typer.Option("--run", help="The run, as before RUN:JOB.", autocompletion=completion.runs),
]
