"""Every error that a user can cause.

OrchError                 one line (or one per mistake), exit code 2, never a traceback
├── DescriptionError      the experiment file is wrong
├── CheckError            the cluster, a path or a variable is not as the experiment needs it
├── SubmitError           the scheduler refused, or could not be asked
├── DataError             raw data cannot be prepared, or not into that folder
└── RunError              no such run or job, or the state file cannot be used
"""

from __future__ import annotations


class OrchError(Exception):
    """A mistake with a remedy. ``lines`` are what the user reads: what, where, the value, what to
    do next."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class DescriptionError(OrchError):
    """The experiment file is wrong."""


class CheckError(OrchError):
    """The cluster, a path or a variable is not as the experiment needs it."""


class SubmitError(OrchError):
    """The scheduler refused, or could not be asked."""


class DataError(OrchError):
    """Raw data cannot be prepared, or not into that folder."""


class RunError(OrchError):
    """No such run or job, or its state cannot be used."""


class AmbiguousSubmit(SubmitError):
    """The scheduler's answer leaves open whether the job was submitted."""


class LostParent(SubmitError):
    """The scheduler does not know, or has forgotten, a job that this one was to wait for."""


class NoRoom(SubmitError):
    """The scheduler takes no more jobs of this user at the moment."""

    def __init__(self, text: str, jobs: int, name: str, sure: bool) -> None:
        super().__init__(text)
        self.jobs = jobs
        """How many jobs it refused at once."""
        self.name = name
        """What the scheduler calls the limit."""
        self.sure = sure
        """Whether it named a limit on the number of jobs; else it may mean another rule."""
