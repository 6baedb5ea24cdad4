"""The commands that look at a run: `orch status`, `watch`, `logs`, `list`, `why`, `costs`, `page`, `report`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.arguments import AsJson, JobName, OfRun, RunName

if TYPE_CHECKING:
    from orchestrator.run import Run


def follow(run: Run) -> int:
    """Live view until the run is over; exit code 0 if everything completed. Ctrl-C leaves the run alone."""
    from orchestrator.watch import watch_run

    return watch_run(run)


def status(run: RunName = None, watch: Annotated[bool, typer.Option("--watch", help="Live until the run is over.")] = False,
           every: Annotated[bool, typer.Option("--all", help="A line per job in a run of more than a hundred, too.")] = False,
           rescan: Annotated[bool, typer.Option("--rescan", help="Make the state file anew, from job folders and scheduler.")] = False,
           as_json: AsJson = False) -> None:
    """Show every job: state with source and age, why it waits or died, progress, expected end."""
    import time

    from orchestrator.run import find_run
    from orchestrator.status import document, render
    from orchestrator.submit import refresh

    found = find_run(run)
    if watch:
        raise typer.Exit(follow(found))
    records, trouble = refresh(found, rescan)
    if as_json:
        print(json.dumps(document(found, records, trouble), indent=1))
        return
    from rich.console import Console

    console, now = Console(), time.time()
    console.print(render(found, records, trouble, now, console.width, every))


def watch(run: RunName = None) -> None:
    """Watch a run full-screen: jobs, progress, logs; filter, cancel, retry. Without a terminal: a line per change, as launch --watch."""
    from orchestrator.run import find_run

    found = find_run(run)
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise typer.Exit(follow(found))
    from orchestrator.watch_app import watch as live

    live(found)


def logs(job: JobName,
         follow_log: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job ends.")] = False,
         run: OfRun = None) -> None:
    """Print the log of a job's newest attempt."""
    from orchestrator.logs import print_log
    from orchestrator.run import find_run

    print_log(find_run(run), job, follow_log)


def list_runs() -> None:
    """List the runs in ./runs (or ORCH_RUNS), newest last, as they were last seen."""
    from rich.console import Console

    from orchestrator.logs import runs_table
    from orchestrator.run import runs_root

    Console().print(runs_table(runs_root()))


def why(job: JobName, run: OfRun = None) -> None:
    """Explain where a job stands: what it waits for, what its gate saw in which file, why it was skipped or died."""
    from orchestrator.logs import one_job
    from orchestrator.run import find_run
    from orchestrator.submit import refresh
    from orchestrator.why import why as explain

    found = find_run(run)
    records, trouble = refresh(found)
    print("\n".join([*explain(found, one_job(found, job, records), records), *([f"could not ask: {trouble}"] if trouble else [])]))


def costs(run: RunName = None, by: Annotated[list[str] | None, typer.Option("--by", help="Axis to tell apart, such as seed; arm "
          "without it. May be repeated.")] = None, as_json: AsJson = False) -> None:
    """Show GPU- or CPU-hours asked for, used and wasted, what jobs used of what they held, and what to ask for next time."""
    import time

    from rich.console import Console

    from orchestrator.costs_view import document, render, spent
    from orchestrator.run import find_run
    from orchestrator.submit import refresh

    found = find_run(run)
    records, trouble = refresh(found)
    seen = spent(found, records, time.time(), by or ("arm",))
    if as_json:
        print(json.dumps({**document(found, seen), "trouble": trouble}, indent=1))
        return
    Console().print(render(found, seen))


def page(run: RunName = None) -> None:
    """Write the run as one HTML page that needs no network: stages, timeline, curves, costs, causes of death."""
    import time

    from orchestrator.page import write_page
    from orchestrator.run import find_run
    from orchestrator.submit import refresh

    found = find_run(run)
    records, trouble = refresh(found)
    print(write_page(found, records, trouble, time.time()))


def report(run: RunName = None) -> None:
    """Print the report of a run and where its HTML page lies."""
    from orchestrator.logs import print_report
    from orchestrator.run import find_run

    print_report(find_run(run))
