"""Start what trains: one rank in this process, or an actor of Ray for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from engines.contract.environment import cpu_count
from engines.contract.program import Stop
from engines.ppo.config import Config
from engines.ppo.data.prompts import Prompts
from engines.ppo.ranks.in_process import InProcess, Ranks
from engines.ppo.ranks.ray_session import Actors, ray_session
from engines.ppo.resume import Point
from engines.ppo.watchdogs import Patience
from engines.ppo.worker import Rank

SETUP_SECONDS = 1800.0
"""Longest wait for the model and vLLM to load."""


@contextlib.contextmanager
def ranks_of(
    config: Config, start: Point, prompts: Prompts, gpus: int, stop: Stop
) -> Iterator[Ranks]:
    """The processes that train: actors of a Ray of their own, or this one."""
    cpus = config.cpu_threads or cpu_count()
    shared = (
        config.model_copy(update={"cpu_threads": cpus}),
        str(start.model),
        prompts.probe,
        str(start.state) if start.state is not None else None,
    )
    patience = Patience(SETUP_SECONDS)
    if not config.uses_ray(gpus > 0):
        yield InProcess(Rank(*shared, 0, ""), patience)
        return
    # Every rank asks Ray for a CPU at least; with fewer than that Ray would wait for ever.
    with ray_session(max(cpus, config.ranks), gpus, stop) as temporary:
        actors = Actors(
            Rank,
            [(*shared, index, str(temporary / "store")) for index in range(config.ranks)],
            cpus=max(1, cpus // config.ranks),
            gpus=min(gpus, 1),
            patience=patience,
        )
        actors.call("leave_signals")
        yield actors
