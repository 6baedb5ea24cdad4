"""The screens that `orch watch` lays over its view: a question, and the list of runs.

In: the text of the question; the runs on disk. Out: yes or no; the folder of the chosen run.
Called by app.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList

from orchestrator.runs.lookup import all_runs, runs_root


class Question(ModalScreen[bool]):
    """Yes or no before something is done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        """The question and its keys."""
        with Vertical():
            yield Label(self.text)
            yield Label("y: yes    n: no")

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class Runs(ModalScreen[Path | None]):
    """Which run to show."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "back")]

    def compose(self) -> ComposeResult:
        """The runs, newest first."""
        self.folders = all_runs(runs_root())[::-1]
        with Vertical():
            yield Label("Runs, newest first. Enter: open it, Esc: back")
            yield OptionList(*[f"{folder.parent.name}/{folder.name}" for folder in self.folders])

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        """Close with the run."""
        self.dismiss(self.folders[event.option_index])

    def action_leave(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
