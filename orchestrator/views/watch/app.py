"""`orch watch` on a terminal: runs, jobs, progress, the log of the chosen job; filter, cancel,
retry. Keeps nothing on disk.

The scheduler is asked in a thread, at the pace of ``pause_of``; files of the chosen job are looked
at every second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static
from textual.widgets.data_table import RowDoesNotExist

from orchestrator.errors import OrchError
from orchestrator.lifecycle.interventions import cancel
from orchestrator.lifecycle.refresh import refresh
from orchestrator.lifecycle.retry import retry
from orchestrator.node.system import tail
from orchestrator.runs.lookup import open_run
from orchestrator.runs.record import FAILED, Record
from orchestrator.runs.run import Run
from orchestrator.views.watch.follow import pause_of
from orchestrator.views.watch.rows import FILTERS, cells, chosen, heading, log_text
from orchestrator.views.watch.screens import Question, Runs
from orchestrator.views.why import why

LEAST_SECONDS = 5.0
"""Between two looks that a person asks for."""
STATE_WIDTH, TIME_WIDTH = 11, 8
MARGINS = 4 * 2 + 1
"""What stands beside the text of four columns, and the scroll bar."""


class Watch(App[None]):
    """The live view."""

    TITLE = "orch watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: auto; max-height: 3; padding: 0 1; }
    #jobs { height: 1fr; min-height: 4; overflow-x: hidden; scrollbar-size-vertical: 1; }
    #title { height: 1; padding: 0 1; background: $panel; text-style: bold; }
    #log { height: 1fr; min-height: 4; padding: 0 1; overflow-y: hidden; }
    #filter { display: none; height: 3; }
    #filter.open { display: block; }
    .whole #jobs { display: none; }
    ModalScreen { align: center middle; }
    ModalScreen Vertical { width: auto; max-width: 90%; height: auto; max-height: 80%; padding: 1 2; border: round $accent;
        background: $surface; }
    ModalScreen Label { width: auto; max-width: 100%; }
    OptionList { width: 60; max-width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "filter", key_display="/"),
        Binding("s", "states", "states"),
        Binding("l", "whole_log", "log"),
        Binding("w", "why", "why"),
        Binding("c", "cancel_job", "cancel"),
        Binding("t", "retry_job", "retry"),
        Binding("r", "runs", "runs"),
        Binding("u", "update", "update"),
        Binding("q", "quit", "quit"),
        Binding("escape", "clear", "clear filter", show=False),
    ]

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run_shown = run
        self.records: list[Record] = []
        self.trouble = ""
        self.looked = 0.0
        self.states, self.text = "all", ""
        self.explains = False
        self.alone = threading.Lock()  # the run's own lock is one of processes, not of threads
        # Kept here because a query finds nothing of this screen while a question lies over it.
        self.head, self.title_line, self.log_pane = (
            Static(id="head"),
            Static(id="title"),
            Static(id="log"),
        )
        self.table: DataTable[Text] = DataTable(id="jobs", cursor_type="row", zebra_stripes=True)
        self.field = Input(
            placeholder="part of a job's name or of its reason; Enter keeps it, Esc takes it away",
            id="filter",
        )

    def compose(self) -> ComposeResult:
        """Heading, jobs, log, keys."""
        yield from (self.head, self.table, self.title_line, self.log_pane, self.field, Footer())

    def on_mount(self) -> None:
        """Show what the state file says at once, then ask."""
        self.table.add_columns("job", "state", Text("time", justify="right"), "progress, or why")
        self.records = self.run_shown.load()
        self.show()
        self.look()
        self.table.focus()
        self.set_interval(1.0, self.tick)

    def tick(self) -> None:
        """Every second: the log and the age; the scheduler when its time has come."""
        if time.time() - self.looked > pause_of(self.run_shown):
            self.looked = time.time()
            self.look()
        self.show_head()
        self.show_log()

    @work(thread=True, group="look")
    def look(self) -> None:
        """Ask the scheduler, in a thread; nothing if somebody is at it."""
        if not self.alone.acquire(blocking=False):
            return
        run = self.run_shown
        try:
            records, trouble = refresh(run)
        except OrchError as error:
            records, trouble = self.records, "; ".join(error.lines)
        finally:
            self.alone.release()
        self.call_from_thread(self.take, run, records, trouble)

    def take(self, run: Run, records: list[Record], trouble: str) -> None:
        """Show an answer, unless another run was chosen meanwhile."""
        if run is self.run_shown:
            self.records, self.trouble, self.looked = records, trouble, time.time()
            self.show()

    def show(self) -> None:
        """Bring the table in line with the records; the chosen job stays chosen."""
        now, wanted = time.time(), chosen(self.records, self.states, self.text)
        table, room = self.table, max(20, self.size.width - STATE_WIDTH - TIME_WIDTH - MARGINS)
        name_width = min(max((len(one.name) for one in wanted), default=10) + 4, room // 2)
        for column, width in zip(
            table.ordered_columns,
            (name_width, STATE_WIDTH, TIME_WIDTH, room - name_width),
            strict=True,
        ):
            column.auto_width, column.width = False, width
        if [str(key.value) for key in table.rows] != [one.name for one in wanted]:
            before = self.chosen_job
            table.clear()
            for one in wanted:
                table.add_row(*cells(self.run_shown, one, now), key=one.name)
            if before is not None and before.name in {one.name for one in wanted}:
                table.move_cursor(row=table.get_row_index(before.name))
        else:
            for place, one in enumerate(wanted):
                self.renew(place, cells(self.run_shown, one, now))
        self.show_head()
        self.show_log()

    def renew(self, place: int, new: tuple[Text, ...]) -> None:
        """Change the cells of a line that are not what they were."""
        for column, (old, value) in enumerate(zip(self.table.get_row_at(place), new, strict=True)):
            if old != value:
                self.table.update_cell_at((place, column), value)  # type: ignore[arg-type]

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
        age = time.time() - self.looked if self.looked else 0.0
        self.head.update(
            heading(
                self.run_shown,
                self.records,
                self.trouble,
                age,
                self.table.row_count,
                self.states,
                self.text,
            )
        )

    def show_log(self) -> None:
        """The end of the chosen job's log, or where the job stands and why."""
        job, pane = self.chosen_job, self.log_pane
        title = "no job" if job is None else f"{'why' if self.explains else 'log'}: {job.name}"
        self.title_line.update(Text(title))
        if job is None:
            lines = []
        elif self.explains:
            lines = why(self.run_shown, job, self.records)
        else:
            lines = (
                [line.decode(errors="replace") for line in tail(self.run_shown.log(job))]
                if job.attempt
                else []
            )
            lines = lines or [f"{job.state}, no log yet{': ' + job.reason if job.reason else ''}"]
        room = max(pane.size.height, 1)
        pane.update(
            Text("\n".join(lines[:room]))
            if self.explains
            else log_text(lines[-room:], pane.size.width)
        )

    @on(DataTable.RowHighlighted)
    def moved(self) -> None:
        """Another job is chosen."""
        self.show_log()

    def on_resize(self, _event: events.Resize) -> None:
        """The terminal has another size."""
        if self.table.ordered_columns:
            self.call_after_refresh(self.show)

    def action_search(self) -> None:
        """Ask for a part of a name."""
        self.field.add_class("open")
        self.field.focus()

    @on(Input.Changed)
    def narrowed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self.text = event.value
        self.show()

    @on(Input.Submitted)
    def kept(self) -> None:
        """Back to the jobs, with the filter."""
        self.field.remove_class("open")
        self.table.focus()

    def action_clear(self) -> None:
        """Back to the jobs, all of them."""
        self.field.value = ""
        self.states, self.text = "all", ""
        self.kept()
        self.show()

    def action_states(self) -> None:
        """The next group of states."""
        names = list(FILTERS)
        self.states = names[(names.index(self.states) + 1) % len(names)]
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
        if time.time() - self.looked > LEAST_SECONDS:
            self.look()

    def action_cancel_job(self) -> None:
        """End the chosen job, after a question."""
        if (job := self.chosen_job) is not None:
            run, name = self.run_shown, job.name
            self.ask(
                f"Cancel {name}? It is {job.state}.",
                lambda: [f"cancelled {one}" for one in cancel(run, [name])] or [f"{name} was over"],
            )

    def action_retry_job(self) -> None:
        """Submit the chosen job again, after a question."""
        job = self.chosen_job
        if job is None or job.state not in FAILED:
            self.notify(
                "only a job that died can be tried again" if job is not None else "no job is chosen"
            )
            return
        run, name, told = self.run_shown, job.name, list[str]()

        def again() -> list[str]:
            retry(run, [name], told.append)
            return told or [f"{name}: nothing to retry"]

        self.ask(f"Submit {name} again? It is {job.state}.", again)

    def ask(self, question: str, act: Callable[[], list[str]]) -> None:
        """Do it if the answer is yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.act(act)

        self.push_screen(Question(question), answered)

    @work(thread=True, group="act")
    def act(self, act: Callable[[], list[str]]) -> None:
        """Do it in a thread, say what came of it, and look."""
        try:
            with self.alone:
                told, grave = act(), False
        except OrchError as error:
            told, grave = list(error.lines), True
        self.call_from_thread(
            self.notify,
            "\n".join(told[:6]),
            severity="error" if grave else "information",
            markup=False,
        )
        self.call_from_thread(self.look)

    def action_runs(self) -> None:
        """Choose another run."""
        self.push_screen(Runs(), self.change_run)

    def change_run(self, folder: Path | None) -> None:
        """Look at another run."""
        if folder is not None:
            self.run_shown = open_run(folder)
            self.records, self.looked, self.trouble = self.run_shown.load(), 0.0, ""
            self.show()
            self.look()


def watch(run: Run) -> None:
    """Show the run until the person leaves."""
    Watch(run).run()
