"""``python -m engines.probe CONFIG --out FOLDER``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from engines.contract.config import ConfigError
from engines.contract.program import Stop, leave, program
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.probe.config import Config

if TYPE_CHECKING:
    from engines.probe.features import Features
    from engines.shared.automata.description import DataSet


def run(config: Config, out: Path, stop: Stop) -> None:
    """Probe every checkpoint, then the untrained network; quick enough to start over after a
    stop."""
    started = time.monotonic()
    import torch

    from engines.contract import checkpoints
    from engines.probe.features import features
    from engines.probe.fit import probe
    from engines.shared.automata.data import fixed_order, load
    from engines.shared.automata.models import Model, initial
    from engines.shared.automata.weights import read_description, read_weights

    torch.set_num_threads(config.cpu_threads)
    chosen = checkpoints.selected_by(config.models)
    architecture, which = read_description(chosen[0].model)
    check_size(config, which)
    data = load(which, Path(config.cache) if config.cache else out / "data")
    networks = {
        one.manifest.name: {name: tensor[None] for name, tensor in read_weights(one.model).items()}
        for one in chosen
    }
    networks["untrained"] = initial(architecture, which.machines.states, [config.seed], 1.0)
    model, progress, rows = Model(architecture, stacked=False), Progress(out), list[Row]()
    unfinished = 0
    for number, (name, weights) in enumerate(networks.items(), start=1):
        # Fitted on the validation machines: the network was trained on those of the training split.
        parts: list[Features] = [
            features(
                model, weights, samples, fixed_order(samples, which, split)[: config.sequences]
            )
            for split, samples in (("validation", data.validation), ("test", data.test))
        ]
        more, open_fits = probe(config, which, name, parts[0], parts[1], stop)
        rows, unfinished = rows + more, unfinished + open_fits
        progress.write(number, len(networks), {"done": float(number)}, phase="probe")
    write_results(
        out, "probe", config, rows, time.monotonic() - started, facts(config, which, unfinished)
    )


def check_size(config: Config, which: DataSet) -> None:
    """ConfigError if more sequences are asked for than the data set has."""
    if config.sequences > min(which.validation, which.test):
        raise ConfigError(
            f"sequences: {config.sequences} asked for, the data set has "
            f"{which.validation} to fit on and {which.test} to judge on; lower it"
        )


def facts(config: Config, which: DataSet, unfinished: int) -> dict[str, object]:
    """What a report says beside the rows."""
    return {
        "data": which.model_dump(),
        "fits_that_reached_the_iteration_limit": unfinished,
        "iterations": config.iterations,
    }


if __name__ == "__main__":
    leave(program("probe", Config, run))
