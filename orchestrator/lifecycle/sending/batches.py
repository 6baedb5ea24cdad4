"""The batches of one pass on their way to the scheduler: sent, looked up where the answer is
unclear, put back where they cannot go now.

In: batches whose intents are on disk. Out: their records with the ids that the scheduler gave, each
noted in the run's journal as soon as it is known. Called by act.py.

Batches that do not wait for one another are sent by a few threads. That changes nothing of what
makes a submission exactly-once: every intent was on disk before the first was sent, each id is
noted by the thread that got it, and a token without an id is looked up. The journal is written at
once and forced to disk once a group: what a loss of power takes of it is looked up as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from engines.contract.counting.counts import counter
from orchestrator.clusters.base import Cluster
from orchestrator.clusters.batch import Batch
from orchestrator.errors import AmbiguousSubmit, LostParent, NoRoom, SubmitError
from orchestrator.lifecycle.batching import waits_for
from orchestrator.lifecycle.dependencies.forgotten import asked_again, can_follow, put_back
from orchestrator.lifecycle.observe import Observation, as_in_doubt, is_intent, resolve
from orchestrator.lifecycle.sending.at_once import few_at_a_time
from orchestrator.runs.record import JobId, JobState, Record
from orchestrator.runs.run import Run

Answer = list[Record] | SubmitError | None
"""The records of a batch that was taken, why it was not, or None: it was not sent."""


class Sending:
    """What became of the batches so far.

    Args:
        current: the records before anything was to be submitted.
        intents: all records by name, those of the batches as intents; kept up to date here.
    """

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        current: Mapping[str, Record],
        intents: dict[str, Record],
        tell: Callable[[str], None],
    ) -> None:
        self.run = run
        self.cluster = cluster
        self.current = current
        self.intents = intents
        self.tell = tell
        self.settled: set[int] = set()
        self.unclear: set[int] = set()
        self.troubled: list[tuple[Batch, SubmitError]] = []
        self.later: list[Batch] = []
        waiting = sum(intent is not current[name] for name, intent in intents.items())
        self.count = counter("submitting jobs", waiting)

    def submit(self, group: Sequence[Batch]) -> None:
        """Submit batches that do not wait for one another. SubmitError, NoRoom: of one that is
        not taken; those that were are noted."""
        left = list(group)
        while left:
            ready = [batch for batch in left if self.can_go(batch)]
            self.troubled, self.later = [], []
            few_at_a_time(ready, self.send, self.cluster.submissions_at_once, self.take)
            self.run.flush_journal()
            for batch, error in self.troubled:
                self.note(batch, self.after_trouble(batch, error))
            left = self.later

    def take(self, batch: Batch, answer: Answer) -> None:
        """Note what was taken; keep what was not for later."""
        if answer is None:
            self.later.append(batch)
        elif isinstance(answer, SubmitError):
            self.troubled.append((batch, answer))
            if isinstance(answer, AmbiguousSubmit):
                self.unclear.add(id(batch))
        else:
            self.note(batch, answer)

    def can_go(self, batch: Batch) -> bool:
        """Whether a batch can follow its parents; one that cannot is put back."""
        if can_follow(batch, self.intents):
            return True
        self.note(batch, put_back(batch, self.current, self.intents))
        return False

    def send(self, batch: Batch) -> list[Record]:
        """Submit one batch after its active parents; its records with their ids, which are in the
        journal then."""
        records = [self.intents[record.name] for record in batch.records]
        ids = batch.ids(self.cluster.submit(batch, waits_for(batch, self.intents)))
        queued = [as_queued(record, own) for record, own in zip(records, ids, strict=True)]
        self.run.journal(queued)
        return queued

    def note(self, batch: Batch, records: Sequence[Record]) -> None:
        """Take over what has become of a batch, and say it."""
        self.intents.update((record.name, record) for record in records)
        self.settled.add(id(batch))
        self.count(len(records))
        self.tell(submission_line(batch, records))

    def after_trouble(self, batch: Batch, error: SubmitError) -> Sequence[Record]:
        """The records of a batch that was not simply taken. Raises what cannot be mended.

        Parents that the scheduler has forgotten are asked for, and those that have ended well are
        no longer waited for.
        """
        if not isinstance(error, LostParent):
            return self.looked_up(batch, error)
        parents = asked_again(self.run, self.cluster, self.intents, batch)
        self.intents.update((parent.name, parent) for parent in parents)
        if can_follow(batch, self.intents):
            try:
                return self.send(batch)
            except LostParent:
                # By what can be asked its parents are still active; whoever looks next knows more.
                pass
            except AmbiguousSubmit as unclear:
                self.unclear.add(id(batch))
                return self.looked_up(batch, unclear)
        return put_back(batch, self.current, self.intents)

    def looked_up(self, batch: Batch, error: SubmitError) -> list[Record]:
        """The records of a batch after an unclear answer, by what the scheduler knows of its token.
        Raises any other error."""
        if not isinstance(error, AmbiguousSubmit):
            raise error
        # Three outcomes: the scheduler cannot be asked, and the error stands; it knows the token,
        # and the job is adopted; or it does not, and the batch is submitted once more under this
        # token, so that a late first arrival would find the attempts claimed.
        unclear = [as_in_doubt(self.intents[record.name]) for record in batch.records]
        records, _ = resolve(self.run, unclear, self.cluster, Observation(now=time.time()))
        if any(record.state is JobState.UNKNOWN and is_intent(record) for record in records):
            raise error
        if any(record.job_id is not None for record in records):
            self.run.journal([record for record in records if record.job_id])
            return records
        self.unclear.discard(id(batch))
        try:
            return self.send(batch)
        except NoRoom as refused:
            # The first try might still arrive, under its token; as NoRoom it would lose the token.
            raise SubmitError(*refused.lines) from refused
        except AmbiguousSubmit:
            self.unclear.add(id(batch))
            raise

    def undo(
        self, batches: Sequence[Batch], back: Callable[[Record, Record], Record]
    ) -> list[Record]:
        """All records after an error: those of batches that were not taken as ``back`` makes them,
        from the record before and the intent. What may have been taken keeps its token, and is
        looked up."""
        for batch in batches:
            if id(batch) in self.settled:
                continue
            for record in batch.records:
                intent = self.intents[record.name]
                if id(batch) in self.unclear:
                    self.intents[record.name] = as_in_doubt(intent)
                else:
                    self.intents[record.name] = back(self.current[record.name], intent)
        return list(self.intents.values())


def submission_line(batch: Batch, submitted: Sequence[Record]) -> str:
    """One line on what was submitted, and as what; or that it was not."""
    if submitted[0].job_id is None:
        return f"not submitted yet: {batch.title}; orch status says what it waits for"
    job_id = JobId.parse(str(submitted[0].job_id)).head
    array = f", an array of {len(batch.indexes)}" if batch.indexes else ""
    return f"submitted {batch.title} as {job_id}{array}"


def as_queued(record: Record, job_id: str) -> Record:
    """A record that the scheduler has just taken."""
    return replace(
        record,
        job_id=job_id,
        state=JobState.PENDING,
        source="orch",
        seen=time.time(),
        reason="",
        doubt=None,
        due=False,
    )
