"""`orch watch` on a terminal: runs, jobs, progress, the log of the chosen job; filter, cancel,
retry.

In: a run, and keys. Out: the screen; nothing is kept on disk. The scheduler is asked in a thread,
at the pace of ``pause_of``; the files of the chosen job are read every second. Called by the
command `orch watch`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static
from textual.widgets.data_table import RowDoesNotExist

from orchestrator.errors import OrchError
from orchestrator.lifecycle.interventions import cancel
from orchestrator.lifecycle.refresh import look
from orchestrator.lifecycle.retry import retry_from_here
from orchestrator.runs.lookup import open_run
from orchestrator.runs.record import FAILED, Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.metrics import heading as metric_words
from orchestrator.views.overview.metrics import newest_metrics, shown_metrics
from orchestrator.views.overview.summary import WHOLE_JOBS
from orchestrator.views.pace import last_progress
from orchestrator.views.watch.below import log_lines, why_text
from orchestrator.views.watch.ending import pause_of
from orchestrator.views.watch.rows import (
    STATES,
    Filter,
    Jobs,
    by_metric,
    chosen,
    heading,
    log_text,
    table_of,
)
from orchestrator.views.watch.screens import Question, Runs
from orchestrator.views.watch.sparks import spark_lines
from orchestrator.views.watch.stage_line import stage_line

LEAST_SECONDS = 5.0
"""Between two polls that a person asks for."""
MARGIN = 3
"""What stands beside the columns of the table, and the scroll bar."""
LEAST_ROOM = 40
"""Columns that a table is laid out for on the narrowest screen."""
NOTICE_LINES = 6
"""Of what came of an action, at the edge of the screen."""


class Watch(App[None]):
    """The live view."""

    TITLE = "orch watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: auto; max-height: 5; padding: 0 1; }
    #jobs { height: 1fr; min-height: 4; overflow-x: hidden; scrollbar-size-vertical: 1; }
    #title { height: 1; padding: 0 1; background: $panel; text-style: bold; }
    #sparks { height: auto; max-height: 3; padding: 0 1; }
    #log { height: 1fr; min-height: 4; padding: 0 1; overflow-y: hidden; }
    #filter { display: none; height: 3; }
    #filter.open { display: block; }
    .whole #jobs { display: none; }
    ModalScreen { align: center middle; }
    ModalScreen Vertical { width: auto; max-width: 90%; height: auto; max-height: 80%; padding: 1 2;
        border: round $accent; background: $surface; }
    ModalScreen Label { width: auto; max-width: 100%; }
    OptionList { width: 60; max-width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "filter", key_display="/"),
        Binding("s", "states", "states"),
        Binding("m", "sort", "metric"),
        Binding("l", "whole_log", "log"),
        Binding("w", "why", "why"),
        Binding("c", "cancel_job", "cancel"),
        Binding("t", "retry_job", "retry"),
        Binding("r", "runs", "runs"),
        Binding("u", "update", "update", show=False),
        Binding("q", "quit", "quit"),
        Binding("escape", "clear", "clear filter", show=False),
    ]

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run_shown = run
        self.records: list[Record] = []
        self.trouble = ""
        self.polled = 0.0
        self.filter = Filter()
        self.metrics: dict[str, dict[str, float]] = {}
        """The newest values of the jobs that are shown."""
        self.sorting: tuple[str, bool] | None = None
        """By which metric, and whether the greatest comes first; None: in the plan's order."""
        self.drawn = Jobs((), {}, "")
        self.explains = False
        """Whether `orch why` stands in place of the log."""
        # The run's own lock is one of processes, not of threads.
        self.one_at_a_time = threading.Lock()
        # Kept here because a query finds nothing of this screen while a question lies over it.
        self.head = Static(id="head")
        self.title_line = Static(id="title")
        self.sparks = Static(id="sparks")
        self.log_pane = Static(id="log")
        self.table: DataTable[Text] = DataTable(id="jobs", cursor_type="row", zebra_stripes=True)
        self.field = Input(
            placeholder="part of a job's name or of its reason; Enter keeps it, Esc takes it away",
            id="filter",
        )

    def compose(self) -> ComposeResult:
        """Heading, jobs, log, keys."""
        panes = (self.title_line, self.sparks, self.log_pane)
        yield from (self.head, self.table, *panes, self.field, Footer())

    def on_mount(self) -> None:
        """Show what the state file says at once, then ask."""
        self.records = self.run_shown.load()
        self.show()
        self.poll()
        self.table.focus()
        self.set_interval(1.0, self.tick)

    def tick(self) -> None:
        """Every second: the log and the age; the scheduler when its time has come."""
        if time.time() - self.polled > pause_of(self.run_shown):
            # Before the answer is there, so that the next tick does not ask a second time.
            self.polled = time.time()
            self.poll()
        self.show_head()
        self.show_log()

    @work(thread=True, group="poll")
    def poll(self, seconds: float | None = None) -> None:
        """Ask the scheduler, in a thread, unless another thread is at it or a process was."""
        if not self.one_at_a_time.acquire(blocking=False):
            return
        # The person may choose another run while this thread waits for the answer.
        run = self.run_shown
        try:
            records, trouble = look(run, pause_of(run) if seconds is None else seconds)
        except OrchError as error:
            records, trouble = self.records, "; ".join(error.lines)
        finally:
            self.one_at_a_time.release()
        # textual's widgets may be changed from the thread of the app only.
        self.call_from_thread(self.show_answer, run, records, trouble)

    def show_answer(self, run: Run, records: list[Record], trouble: str) -> None:
        """Show what the scheduler has said, unless another run was chosen meanwhile."""
        if run is self.run_shown:
            self.records, self.trouble, self.polled = records, trouble, time.time()
            self.show()

    def show(self) -> None:
        """Bring the table in line with the records; the chosen job stays chosen."""
        now = self.run_shown.now()
        wanted = chosen(self.records, self.filter)
        if len(wanted) <= WHOLE_JOBS:
            self.metrics = newest_metrics(self.run_shown, wanted)
        if self.sorting is not None:
            wanted = by_metric(wanted, self.metrics, *self.sorting)
        room = max(LEAST_ROOM, self.size.width - MARGIN)
        by = self.sorting[0] if self.sorting else ""
        made = table_of(self.run_shown, wanted, now, self.metrics, room, by)
        # The same jobs in the same order: changing their cells keeps the cursor and the scroll
        # position.
        same_rows = [str(key.value) for key in self.table.rows] == list(made.rows)
        if same_rows and made.heads == self.drawn.heads:
            for number, cells in enumerate(made.rows.values()):
                self.renew(number, cells)
        else:
            self.fill(made)
        self.drawn = made
        self.show_head()
        self.show_log()

    def fill(self, made: Jobs) -> None:
        """Fill the table with other jobs or columns than it has."""
        before = self.chosen_job
        self.table.clear(columns=True)
        self.table.header_height = max((name.count("\n") for name, *_ in made.heads), default=0) + 1
        for name, width, is_right in made.heads:
            self.table.add_column(Text(name, justify="right" if is_right else "left"), width=width)
        for name, cells in made.rows.items():
            self.table.add_row(*cells, key=name)
        if before is not None and before.name in made.rows:
            self.table.move_cursor(row=self.table.get_row_index(before.name))

    def renew(self, number: int, new: tuple[Text, ...]) -> None:
        """Change the cells of a line that are not what they were."""
        old = self.table.get_row_at(number)
        for column, (before, now) in enumerate(zip(old, new, strict=True)):
            if before != now:
                self.table.update_cell_at((number, column), now)  # type: ignore[arg-type]

    @property
    def chosen_job(self) -> Record | None:
        """The job under the cursor."""
        try:
            key = self.table.ordered_rows[self.table.cursor_row].key.value
        except (IndexError, RowDoesNotExist):
            return None
        return next((one for one in self.records if one.name == key), None)

    def show_head(self) -> None:
        """The heading, with the age of the answer."""
        age = time.time() - self.polled if self.polled else 0.0
        shown = self.table.row_count
        lines = [heading(self.run_shown, self.records, self.trouble, age, shown, self.filter)]
        stages = stage_line(self.run_shown, self.records, self.size.width - MARGIN)
        lines += [] if stages is None else [stages]
        told = [self.drawn.notes] if self.drawn.notes else []
        if self.sorting is not None:
            name, falls = self.sorting
            told.append(f"by {metric_words(name)}, the {'greatest' if falls else 'least'} first")
        lines += [Text("; ".join(told), style="dim")] if told else []
        self.head.update(Text("\n").join(lines))

    def show_log(self) -> None:
        """The end of the chosen job's log, or where the job stands and why."""
        job, pane = self.chosen_job, self.log_pane
        if job is None:
            self.title_line.update(Text("no job"))
            pane.update(Text(""))
            self.sparks.update(Text(""))
            return
        progress = last_progress(self.run_shown.out_folder(job)) if job.attempt else []
        named = self.run_shown.plan.named_metrics(job.stage)
        sparks = spark_lines(progress, self.size.width - MARGIN, named)
        self.sparks.update(Text("\n").join(sparks))
        self.sparks.display = bool(progress)
        room = max(pane.size.height, 1)
        if self.explains:
            self.title_line.update(Text(f"why: {job.name}"))
            width = pane.size.width
            pane.update(why_text(self.run_shown, job, self.records, width, room))
        else:
            self.title_line.update(Text(f"log: {job.name}"))
            pane.update(log_text(log_lines(self.run_shown, job)[-room:], pane.size.width))

    @on(DataTable.RowHighlighted)
    def moved(self) -> None:
        """Another job is chosen."""
        self.show_log()

    def on_resize(self, _event: events.Resize) -> None:
        """The terminal has another size."""
        # Only after the refresh do the widgets have their new size.
        if self.table.ordered_columns:
            self.call_after_refresh(self.show)

    def action_search(self) -> None:
        """Ask for a part of a name."""
        self.field.add_class("open")
        self.field.focus()

    @on(Input.Changed)
    def narrowed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self.filter = replace(self.filter, text=event.value)
        self.show()

    @on(Input.Submitted)
    def filter_entered(self) -> None:
        """Back to the jobs, with the filter."""
        self.field.remove_class("open")
        self.table.focus()

    def action_clear(self) -> None:
        """Back to the jobs, all of them."""
        self.field.value = ""
        self.filter = Filter()
        self.filter_entered()
        self.show()

    def action_states(self) -> None:
        """The next group of states."""
        names = list(STATES)
        following = names[(names.index(self.filter.states) + 1) % len(names)]
        self.filter = replace(self.filter, states=following)
        self.show()

    def action_sort(self) -> None:
        """In the order of the next metric: the least first, then the greatest, then the next."""
        orders: list[tuple[str, bool] | None] = [None]
        for name in shown_metrics(self.metrics):
            orders += [(name, False), (name, True)]
        place = orders.index(self.sorting) if self.sorting in orders else 0
        self.sorting = orders[(place + 1) % len(orders)]
        if len(orders) == 1:
            self.notify("no job has a metric yet")
        self.show()

    def action_whole_log(self) -> None:
        """The log alone, or with the jobs."""
        self.explains = False
        self.screen.toggle_class("whole")
        self.call_after_refresh(self.show_log)

    def action_why(self) -> None:
        """Where the job stands and why, in place of its log, and back."""
        self.explains = not self.explains
        self.show_log()

    def action_update(self) -> None:
        """Ask the scheduler now, if it was not asked just now."""
        if time.time() - self.polled > LEAST_SECONDS:
            self.poll(0.0)

    def action_cancel_job(self) -> None:
        """End the chosen job, after a question."""
        job = self.chosen_job
        if job is None:
            return
        # Kept here: another job or run may be chosen by the time of the answer.
        run, name = self.run_shown, job.name

        def end() -> list[str]:
            ended = [f"cancelled {one}" for one in cancel(run, [name])]
            return ended or [f"{name} was over"]

        self.ask(f"Cancel {name}? It is {job.state}.", end)

    def action_retry_job(self) -> None:
        """Submit the chosen job again, after a question."""
        job = self.chosen_job
        if job is None:
            self.notify("no job is chosen")
            return
        if job.state not in FAILED:
            self.notify("only a job that died can be tried again")
            return
        run, name = self.run_shown, job.name

        def again() -> list[str]:
            lines: list[str] = []
            retry_from_here(run, [name], lines.append)
            return lines or [f"{name}: nothing to retry"]

        self.ask(f"Submit {name} again? It is {job.state}.", again)

    def ask(self, question: str, act: Callable[[], list[str]]) -> None:
        """Do it if the answer is yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.act(act)

        self.push_screen(Question(question), answered)

    @work(thread=True, group="act")
    def act(self, act: Callable[[], list[str]]) -> None:
        """Do it in a thread, say what came of it, and ask the scheduler."""
        severity: Literal["information", "error"] = "information"
        try:
            # Unlike a poll, which can be left out, this waits until the other thread is done.
            with self.one_at_a_time:
                lines = act()
        except OrchError as error:
            lines, severity = list(error.lines), "error"
        notice = "\n".join(lines[:NOTICE_LINES])
        # Messages may hold brackets, which textual would take for markup.
        self.call_from_thread(self.notify, notice, severity=severity, markup=False)
        self.call_from_thread(self.poll)

    def action_runs(self) -> None:
        """Choose another run."""
        self.push_screen(Runs(), self.change_run)

    def change_run(self, folder: Path | None) -> None:
        """Show another run."""
        if folder is not None:
            self.run_shown = open_run(folder)
            self.records, self.polled, self.trouble = self.run_shown.load(), 0.0, ""
            self.show()
            self.poll()


def watch(run: Run) -> None:
    """Show the run until the person leaves."""
    Watch(run).run()
