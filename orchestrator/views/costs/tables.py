"""`orch costs`: hours and use as tables for people and as one document for programs.

In: a run and its records; ``spent`` reads the rest. Out: rows of cells, which the terminal and the
page show, and plain values. Called by the command `orch costs` and by the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.lifecycle.bounds import budget
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.costs.hours import Cost, costs, read_wasted, total
from orchestrator.views.costs.starts import Start, read_starts
from orchestrator.views.costs.usage import Used, ask_sacct, used, with_accounting
from orchestrator.views.tables.columns import Column, Kind
from orchestrator.views.tables.drawing import Screen, drawn_lines, sentence

SMALL_HOURS = 5.0
"""A run that asks for less is told of in minutes, as on the live page (costsPart)."""
COST_HEAD = ["stage", "jobs", "starts", "asked", "used", "wasted"]
USE_HEAD = ["stage", "CPUs busy", "memory, GB", "GPUs busy", "minutes"]


@dataclass(frozen=True)
class Spent:
    """Everything that `orch costs` and a run's page show."""

    parts: list[Cost]
    sum: Cost
    used: list[Used]
    starts: list[Start]
    money: str = ""
    """The GPU-hours in money; empty where the price is not known, or there are none."""
    budget: str = ""
    """How the run's budget stands; empty where it has none."""


def spent(run: Run, records: Sequence[Record], now: float, by: Sequence[str] = ("arm",)) -> Spent:
    """Read what the run has cost; on Slurm with one question to accounting."""
    if not records:
        raise RunError(f"{run.name} has no job yet")
    starts = read_starts(run, records, now)
    if run.profile.kind == "slurm" and run.origin is None:
        # Accounting measures all processes of a job; the node only those that it started.
        measured = ask_sacct(run, starts)
        starts = with_accounting(starts, measured)
    wasted = read_wasted(run, records, starts)
    parts = costs(run, records, starts, wasted, by)
    whole = total(parts)
    stands = budget.taken(run, records)
    told = "" if stands is None else f"budget: {stands}"
    return Spent(parts, whole, used(run, starts), starts, money_text(run.profile, whole), told)


def money_text(profile: Profile, whole: Cost) -> str:
    """What the GPU-hours of a run cost: asked for, used and wasted."""
    if not profile.money(0) or not (whole.gpu_hours_asked or whole.gpu_hours_used):
        return ""
    at_least = "≥ " if whole.unknown else ""
    return (
        f"money: asked for {profile.money(whole.gpu_hours_asked)}, used "
        f"{at_least}{profile.money(whole.gpu_hours_used)}, wasted "
        f"{at_least}{profile.money(whole.gpu_hours_wasted)}, at {profile.money(1)} for a GPU-hour; "
        "what a rented machine costs while it idles is not in it"
    )


def cost_rows(found: Spent) -> tuple[str, list[list[str]]]:
    """The unit, and a row of COST_HEAD per group, the sum last. GPU-hours where any job asks for
    GPUs, else CPU-hours; of a small run minutes, as its hours would be 0.00."""
    kind = "gpu" if found.sum.gpu_hours_asked or found.sum.gpu_hours_used else "cpu"
    is_small = getattr(found.sum, f"{kind}_hours_asked") < SMALL_HOURS
    body = []
    for part in found.parts:
        words = [part.stage]
        for axis, value in part.axes.items():
            words.append(f"{axis}={value}")
        body.append(cost_row(part, ", ".join(words), kind, is_small))
    body.append(cost_row(found.sum, "all", kind, is_small))
    return f"{kind.upper()}-{'minutes' if is_small else 'hours'}", body


def cost_row(part: Cost, name: str, kind: str, is_small: bool) -> list[str]:
    """The cells of one group: hours or minutes of ``gpu`` or ``cpu``."""
    asked, used, wasted = (
        getattr(part, f"{kind}_hours_{word}") for word in ("asked", "used", "wasted")
    )
    # Starts whose end is unknown count as no time, so the sums are a lower bound.
    at_least = "≥ " if part.unknown else ""
    texts = [f"{hours * 60:.1f}" if is_small else f"{hours:.2f}" for hours in (asked, used, wasted)]
    counts = [name, str(part.jobs), str(part.starts)]
    return [*counts, texts[0], f"{at_least}{texts[1]}", f"{at_least}{texts[2]}"]


def use_rows(found: Spent) -> list[list[str]]:
    """A row of USE_HEAD per stage: the most that was used, of what was asked for."""
    return [use_row(one) for one in found.used]


def use_row(one: Used) -> list[str]:
    """The cells of one stage; ``-``: nobody measured it, and nothing where there was no GPU."""
    cpus = memory = minutes = "-"
    if one.cpus_busy is not None:
        cpus = f"{one.cpus_busy:.1f} of {one.cpus}"
    if one.memory_peak_gb is not None:
        # Processes that ran beside the largest one are not in this number.
        at_least = "≥ " if one.memory_of != "job" else ""
        memory = f"{at_least}{one.memory_peak_gb:.1f} of {one.memory_gb}"
    gpus = "-" if one.gpus else ""
    if one.gpus and one.gpu_percent is not None:
        gpus = f"{one.gpu_percent:.0f} % of {one.gpus}"
    if one.longest_minutes:
        minutes = f"{one.longest_minutes:.0f} of {one.minutes}"
    return [one.stage, cpus, memory, gpus, minutes]


def advice_lines(found: Spent) -> list[str]:
    """What to ask for next time."""
    return [line for one in found.used for line in one.advice]


def notes(found: Spent) -> list[str]:
    """What a reader must know to read the tables rightly."""
    lines = ["wasted: time of starts that left no results, since the last moment that was saved"]
    if found.money:
        lines.insert(0, found.money)
    if found.budget:
        lines.insert(0, found.budget)
    if found.sum.unknown:
        lines.append(
            f"≥: {found.sum.unknown} starts left no exit record; the true figures are higher"
        )
    if any(one.memory_of != "job" and one.memory_peak_gb is not None for one in found.used):
        lines.append("memory with ≥ is that of the largest process alone")
    return lines


def render(run: Run, found: Spent, screen: Screen) -> list[Text]:
    """Both tables and the advice."""
    unit, body = cost_rows(found)
    lines = [Text.assemble((run.name, "bold"), f": {unit}")]
    lines += drawn_lines(columns(COST_HEAD, body, last_bold=True), screen)
    if found.used:
        lines += [Text(), Text("used at most, of what was asked for", style="bold")]
        lines += drawn_lines(columns(USE_HEAD, use_rows(found)), screen)
    for line in advice_lines(found):
        lines += sentence(f"advice: {line}", screen, style="yellow")
    for line in notes(found):
        lines += sentence(line, screen, style="dim")
    return lines


def columns(
    head: Sequence[str], body: Sequence[Sequence[str]], last_bold: bool = False
) -> list[Column]:
    """The first column is a name, the others are numbers."""
    styles = ("",) * (len(body) - 1) + ("bold" if last_bold else "",)
    made = []
    for number, (name, *cells) in enumerate(zip(head, *body, strict=True)):
        kind = Kind.NUMBER if number else Kind.KEY
        made.append(Column(name=name, kind=kind, cells=tuple(cells), styles=styles))
    return made


def start_values(start: Start) -> dict[str, Any]:
    """A start with how long it ran, however that is known."""
    values = {**asdict(start), "seconds": start.seconds}
    del values["lasted"]
    return values


def document(run: Run, found: Spent) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "run": run.name,
        "groups": [asdict(part) for part in found.parts],
        "all": asdict(found.sum),
        "used": [asdict(one) for one in found.used],
        "price_per_gpu_hour": run.profile.price_per_gpu_hour,
        "currency": run.profile.currency,
        "budget_gpu_hours": budget.of(run),
        "starts": [start_values(start) for start in found.starts],
    }
