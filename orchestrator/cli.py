"""`orch`: parse, call one function, print what it returns. Heavy imports happen inside the commands, so that `--help` is fast."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import CheckError, OrchError

if TYPE_CHECKING:
    from orchestrator.plan import Plan
    from orchestrator.profile import Profile
    from orchestrator.run import Run

app = typer.Typer(
    help="Describe a machine-learning experiment once and run it whole, on Slurm or on this machine.", no_args_is_help=True,
    pretty_exceptions_enable=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})

data_app = typer.Typer(help="Prepare the data that training and evaluation read.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Experiment = Annotated[str, typer.Argument(help="Name of an experiment in ./jobs or a shipped one, or the path of a .yaml file.")]
Preset = Annotated[str | None, typer.Option(help="A preset of the experiment file, such as smoke.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override a key: train.config.epochs=5. May be repeated.")]
ClusterName = Annotated[str | None, typer.Option("--cluster", help="Cluster profile: a name, a .yaml file, or local.")]
RunName = Annotated[str | None, typer.Argument(help="experiment, experiment/run, or a run's folder; the newest run without it.")]
Jobs = Annotated[list[str] | None, typer.Option("--job", help="Only this job or stage, and what depends on it. May be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def planned(experiment: str, preset: str | None, overrides: list[str] | None) -> Plan:
    """The plan of an experiment given by name or path."""
    from orchestrator.description import find_experiment
    from orchestrator.plan import make_plan

    return make_plan(find_experiment(experiment), preset, overrides or [])


def problems(plan: Plan, profile: Profile) -> list[str]:
    """Everything that check finds."""
    from orchestrator.check import check as check_plan
    from orchestrator.run import runs_root

    return check_plan(plan, profile, runs=runs_root())


@app.command()
def plan(experiment: Experiment, preset: Preset = None, overrides: Set = None, as_json: AsJson = False) -> None:
    """Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for. Submits nothing."""
    made = planned(experiment, preset, overrides)
    if as_json:
        keys = ("name", "stage", "axes", "after", "resources")
        print(json.dumps([{key: job[key] for key in keys} for job in made.to_json()["jobs"]], indent=1))
        return
    from rich.console import Console

    from orchestrator.plan_view import render_plan

    Console().print(render_plan(made))


@app.command()
def check(experiment: Experiment, preset: Preset = None, overrides: Set = None, cluster: ClusterName = None) -> None:
    """Check what a launch needs: partition, account, GPU type, time limit, paths, variables, batch arithmetic, disk."""
    from orchestrator.profile import load_profile

    made, profile = planned(experiment, preset, overrides), load_profile(cluster)
    found = problems(made, profile)
    if found:
        raise CheckError(*found)
    print(f"{made.experiment}: {len(made.jobs)} jobs, nothing missing on '{profile.name}'")


@app.command()
def launch(experiment: Experiment, preset: Preset = None, overrides: Set = None, cluster: ClusterName = None,
           dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the exact scripts and submit nothing.")] = False,
           watch: Annotated[bool | None, typer.Option("--watch/--no-watch", help="Follow the run; the default on a terminal.")] = None,
           as_json: AsJson = False) -> None:
    """Submit an experiment whole. Launched again, it submits only what is neither done nor active."""
    from orchestrator.profile import load_profile
    from orchestrator.run import create_run, runs_root
    from orchestrator.submit import submit_eligible

    made, profile = planned(experiment, preset, overrides), load_profile(cluster)
    if dry_run:
        print_scripts(made, profile)
        return
    found = problems(made, profile)
    if found:
        raise CheckError(*found, "nothing was submitted")
    run = create_run(made, profile, runs_root())
    quiet = as_json or (watch is not False and sys.stdout.isatty())
    records = submit_eligible(run, (lambda _: None) if quiet else print)
    if as_json:
        from orchestrator.status import document

        print(json.dumps(document(run, records, ""), indent=1))
        return
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    print(f"{run.name}: {submitted} jobs submitted, {done} of {len(records)} done before; look at it: orch status {run.name}")
    if watch or (watch is None and sys.stdout.isatty()):
        raise typer.Exit(follow(run))


def print_scripts(made: Plan, profile: Profile) -> None:
    """The script of every job as a launch would submit it, with the ids of earlier jobs as names."""
    import tempfile
    from dataclasses import replace

    from orchestrator.run import create_run, runs_root
    from orchestrator.submit import cluster_of

    with tempfile.TemporaryDirectory() as folder:
        run = create_run(made, profile, Path(folder))
        shown = runs_root() / run.name
        for record in run.load():
            job = run.by_name[record.name]
            intended = replace(record, attempt=1, token=run.token(job, 1))
            text = cluster_of(run).script(job, intended, [f"<id of {parent}>" for parent in job.after])
            print(f"# ---- {job.name}\n{text.replace(str(run.folder), str(shown))}")


def follow(run: Run) -> int:
    """Live view until the run is over; exit code 0 if everything completed. Ctrl-C leaves the run alone."""
    from orchestrator.watch import watch_run

    return watch_run(run)


@app.command()
def status(run: RunName = None, watch: Annotated[bool, typer.Option("--watch", help="Live until the run is over.")] = False,
           as_json: AsJson = False) -> None:
    """Show every job: state with source and age, why it waits or died, progress, expected end."""
    import time

    from orchestrator.run import find_run
    from orchestrator.status import document, render, status_rows
    from orchestrator.submit import refresh

    found = find_run(run)
    if watch:
        raise typer.Exit(follow(found))
    records, trouble = refresh(found)
    if as_json:
        print(json.dumps(document(found, records, trouble), indent=1))
        return
    from rich.console import Console

    console, now = Console(), time.time()
    console.print(render(found, status_rows(found, records, now), trouble, now, console.width))


@app.command()
def logs(job: Annotated[str, typer.Argument(help="A job's name, or a part of it that only one job has.")],
         follow_log: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job ends.")] = False,
         run: Annotated[str | None, typer.Option("--run", help="The run; the newest without it.")] = None) -> None:
    """Print the log of a job's newest attempt."""
    from orchestrator.logs import print_log
    from orchestrator.run import find_run

    print_log(find_run(run), job, follow_log)


@app.command("list")
def list_runs() -> None:
    """List the runs in ./runs (or ORCH_RUNS), newest last, as they were last seen."""
    from rich.console import Console

    from orchestrator.logs import runs_table
    from orchestrator.run import runs_root

    Console().print(runs_table(runs_root()))


@app.command()
def cancel(run: RunName = None, job: Jobs = None) -> None:
    """End active jobs. What is done stays done; orch retry starts them again."""
    from orchestrator.run import find_run
    from orchestrator.submit import cancel as end

    found = find_run(run)
    names = end(found, job)
    print("\n".join(f"cancelled {name}" for name in names) or f"{found.name}: nothing is active")


@app.command()
def retry(run: RunName = None, job: Jobs = None) -> None:
    """Submit failed jobs again, and what waited for them. Training continues from its newest checkpoint."""
    from orchestrator.run import find_run
    from orchestrator.submit import retry as again

    found = find_run(run)
    told: list[str] = []
    again(found, job, told.append)
    print("\n".join(told) or f"{found.name}: nothing to retry")


@app.command()
def report(run: RunName = None) -> None:
    """Print the report of a run and where its HTML page lies."""
    from orchestrator.logs import print_report
    from orchestrator.run import find_run

    print_report(find_run(run))


@app.command()
def evolve(
        run: RunName = None,
        checkpoints: Annotated[str, typer.Option(help="all, best, last, every:N, or epochs: 5,10. The model that a training began with "
                                                 "is a point of every curve.")] = "all",
        folder: Annotated[list[Path] | None, typer.Option(help="Follow the checkpoints below a folder: an output folder, Hugging Face "
                                                          "folders, verl's global_step_N. May be repeated.")] = None,
        job: Annotated[list[str] | None, typer.Option("--job", help="Only this training job or stage of the run. May be repeated.")] = None,
        per_job: Annotated[int | None, typer.Option(min=1, help="Checkpoints per evaluation job; one job per training without it.")] = None,
        base: Annotated[Path | None, typer.Option(help="Folder with config.json and tokenizer, for folders of weights alone.")] = None,
        config: Annotated[Path | None, typer.Option(help="YAML file with the config of engine evaluation; without it the run's own.")
        ] = None,
        overrides: Annotated[list[str] | None, typer.Option("--set", help="Override a key: evaluate.config.limit=50, "
                                                            "evaluate.resources.gpus=1, report.config.axis=arm. May be repeated.")] = None,
        cluster: ClusterName = None,
        watch: Annotated[bool, typer.Option("--watch", help="Live until the evolution is over.")] = False) -> None:
    """Score every checkpoint of a run's trainings once, also while they still run, and report how they evolved.

    Called again it adds what is new. The evolution is a run of its own: status, logs, retry, cancel and report work on it.
    """
    from orchestrator.evolve import Request, source_of
    from orchestrator.evolve import evolve as begin
    from orchestrator.profile import load_profile
    from orchestrator.run import find_run

    source = source_of(find_run(run)) if run is not None or not folder else None
    request = Request(source=source, folders=tuple(path.resolve() for path in folder or ()), checkpoints=checkpoints, per_job=per_job,
                      jobs=tuple(job or ()), base=base.absolute() if base else None, config_file=config.absolute() if config else None,
                      overrides=tuple(overrides or ()), profile=load_profile(cluster) if cluster else None)
    made, records = begin(request, print)
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    print(f"{made.name}: {submitted} jobs submitted, {done} of {len(records)} done before; look at it: orch status {made.name}")
    if watch:
        raise typer.Exit(follow(made))


@app.command()
def compare(
        baseline: Annotated[str, typer.Argument(help="RUN[:JOB][@CHECKPOINT], :JOB of the newest run, or an evaluation's output folder. "
                                                "CHECKPOINT: last (without it), best, a name or a step.")],
        treatment: Annotated[str, typer.Argument(help="The other side, as the first; differences are this one minus the first.")],
        specialist: Annotated[list[str] | None, typer.Option(help="An evaluation of a model trained for less; the best of them on each "
                                                             "domain is what the treatment is expected to reach. May be repeated.")] = None,
        metric: Annotated[str, typer.Option(help="accuracy, or score with its partial credit.")] = "accuracy",
        out: Annotated[Path | None, typer.Option(help="Folder for the report; one in comparisons/ beside the runs without it.")] = None,
        fail_if: Annotated[list[str] | None, typer.Option("--fail-if", help="A gate: exit code 3 if this holds, as in 'domain=math "
                                                          "difference<-0.02' or 'accuracy<0.5'. May be repeated.")] = None) -> None:
    """Compare two evaluations problem by problem: differences, tests, flipped examples. Exit code 0, 3 where a gate fails, 2 bad input."""
    from orchestrator.compare import compare as report_on
    from orchestrator.compare import condition, holds

    asked = [condition(text) for text in fail_if or []]
    folder = report_on(baseline, treatment, specialist or [], metric, out.resolve() if out else None)
    print((folder / "report.txt").read_text())
    print(f"HTML report with its figures: {folder / 'report.html'}")
    failed = [told for one in asked if (told := holds(one, folder))]
    for told in failed:
        print(f"gate: {told}", file=sys.stderr)
    if failed:
        raise typer.Exit(3)


@app.command()
def results(run: RunName = None, job: Jobs = None,
            metric: Annotated[list[str] | None, typer.Option(help="Only this metric. May be repeated.")] = None,
            csv: Annotated[Path | None, typer.Option("--csv", help="Write the rows to a CSV file.")] = None,
            parquet: Annotated[Path | None, typer.Option("--parquet", help="Write the rows to a parquet file (needs pyarrow).")] = None,
            as_json: AsJson = False) -> None:
    """Print or export every result of a run as tidy rows: job, axes, metric, value, n, spread; a missing one with its reason."""
    from orchestrator.results import gather, render_results, write_table
    from orchestrator.run import find_run

    found = find_run(run)
    lines, unfinished = gather(found, job, metric)
    for path in filter(None, (csv, parquet)):
        write_table(path, lines, parquet=path == parquet)
        print(f"{len(lines)} rows: {path}", file=sys.stderr)
    if as_json:
        from engines.tidy import records

        print(json.dumps(records(lines), indent=1))
    elif not (csv or parquet):
        from rich.console import Console

        console = Console()
        console.print(render_results(lines, console.width if console.is_terminal else None))
    if unfinished:
        print(f"{found.name}: no results yet of {len(unfinished)} jobs: {', '.join(unfinished[:8])}", file=sys.stderr)


@data_app.command("prepare")
def data_prepare(
        source: Annotated[str, typer.Argument(help="A folder of GURU files, a data set on the Hugging Face hub, a .yaml file "
                                              "{task: file or files}, or: miniature.")],
        out: Annotated[Path, typer.Option("--out", help="Folder to write <task>.train|validation|test.parquet and data.json to.")],
        validation: Annotated[int | None, typer.Option(min=0, help="Validation problems per task: 200, of miniature 40.")] = None,
        test: Annotated[int | None, typer.Option(min=0, help="Test problems per task: 200, of miniature 60.")] = None,
        seed: Annotated[int, typer.Option(min=0, help="Decides which problem goes where.")] = 0) -> None:
    """Split raw problems into files without a problem in common. Done already, it changes nothing."""
    from rich.console import Console

    from orchestrator.data import counts, prepare

    manifest, before = prepare(source, out, validation, test, seed)
    Console().print(counts(manifest))
    print(f"{out}: {len(manifest['files'])} files, {'prepared before, nothing to do' if before else 'listed in data.json'}")


def main() -> None:
    """Run `orch`. A mistake of the user is one line (or one per mistake) and exit code 2."""
    try:
        app()
    except OrchError as error:
        for line in error.lines:
            print(f"orch: {line}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
