"""The work of the engine: states, probes with controls, the causal check, the picture.

In: the config. Out: ``representations.safetensors`` (``states``, float32 (cities, positions,
layers, width)), ``cities.csv``, ``map.svg`` and ``map.png``, then ``results.json``.

Rows, by their axes: ``probe_*`` with ``layer``, ``network`` (trained or untrained), ``control``
(none or shuffled), ``region`` (world: real cities that were not fitted; atlantis) and, for R2,
``coordinate``; those of the ids' digits with ``control: id_digits`` and neither layer nor network.
The rows with ``coordinate`` or ``region`` alone are those of the best layer of the trained network
(causal rows: the best before the last), which is chosen within the fitted cities. ``causal_*`` with
``layer``, ``coordinate``, ``direction``; at the last layer there are none, as nothing behind it
looks at other tokens.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engines.contract import checkpoints
from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.geography_maps.causal import Asked, Model, ask, causal_rows, directions
from engines.geography_maps.cities import ATLANTIS, FIT, LEFT_OUT, TEST, parts_of, write_cities
from engines.geography_maps.config import Config
from engines.geography_maps.figure import Drawn, draw
from engines.geography_maps.probes import (
    COORDINATES,
    Array,
    Cities,
    as_features,
    centre_rows,
    fitted,
    probe_rows,
    shuffled,
)
from engines.geography_maps.states import POSITIONS, id_digits, places_of, take_states
from engines.shared.geography.cities.streams import stream
from engines.shared.geography.cities.world import World
from engines.shared.geography.description import Shape
from engines.shared.geography.network.device import chosen_device
from engines.shared.geography.network.model import Parameters, initial
from engines.shared.geography.network.weights import read_model
from engines.shared.geography.questions.origin import check_origin
from engines.shared.geography.questions.store import Questions, read_set, read_world
from engines.shared.geography.representations.probe import Probe

STATES_FILE = "representations.safetensors"


@dataclass(frozen=True)
class Taken:
    """The states of both networks, and what is fitted to those of the trained one."""

    layers: list[int]
    states: dict[str, Array]
    """Network -> (cities, positions, layers, width)."""
    probes: list[Probe]
    """One per layer."""
    steps: list[Array | None]
    """Per layer the directions of its probe, as the causal check takes them."""

    @property
    def best(self) -> int:
        """Place of the layer whose probes read best among the fitted cities themselves, each left
        out in turn: no judging city has a say."""
        return int(np.argmax([probe.left_out_r2.mean() for probe in self.probes]))


def make_maps(config: Config, out: Path, stop: Stop) -> None:
    """Everything, from the start: it takes seconds to a minute, so nothing is kept of a stop."""
    started = time.monotonic()
    torch.set_num_threads(config.cpu_threads)
    chosen = checkpoints.named(Path(config.model.folder), config.model.checkpoint)
    check_origin(chosen.model, Path(config.data))
    world = read_world(Path(config.data))
    shape, parameters = read_model(chosen.model)
    device = chosen_device(config.device)
    parameters = {name: tensor.to(device) for name, tensor in parameters.items()}
    cities = Cities(np.stack([world.x, world.y], axis=1), parts_of(world, config))
    steps = Steps(out, stop)
    taken = take(config, world, shape, parameters, cities)
    steps.done("states")
    rows = controlled(config, world, taken, cities)
    steps.done("probes")
    rows += causal(config, world, Model(parameters, shape), taken, cities)
    steps.done("causal check")
    predicted = readings(taken, cities)
    write_files(config, out, world, taken, cities, predicted)
    rows = headlines(rows, taken) + rows
    draw(Drawn(world, cities.parts, predicted, title(config, taken, rows)), out)
    steps.done("picture")
    write_results(
        out,
        "geography_maps",
        config,
        rows,
        time.monotonic() - started,
        facts(chosen, world, taken, cities) | {"move": lengths(config, taken)},
    )


class Steps:
    """The parts of the work, as lines of progress."""

    TOTAL = 4

    def __init__(self, out: Path, stop: Stop) -> None:
        self.progress, self.stop, self.number = Progress(out), stop, 0

    def done(self, name: str) -> None:
        """One part is done. Interrupted if a stop was requested."""
        self.number += 1
        self.progress.write(self.number, self.TOTAL, {}, name)
        if self.stop.requested:
            raise Interrupted("the map is not drawn; start it again")


def take(
    config: Config, world: World, shape: Shape, parameters: Parameters, cities: Cities
) -> Taken:
    """Run both networks over the cities and fit the trained one's probes."""
    layers = list(range(shape.layers + 1)) if config.layers == "all" else list(config.layers)
    if layers[-1] > shape.layers:
        raise ConfigError(
            f"layers: {layers[-1]} asked for, the model has 0 (the embedding) to {shape.layers}"
        )
    device = parameters["embedding"].device
    fresh = initial(shape, [config.seed], config.initial_deviation)
    networks = {
        "trained": parameters,
        "untrained": {name: tensor.to(device) for name, tensor in fresh.items()},
    }
    states = {
        name: take_states(one, shape, world, config.task, layers) for name, one in networks.items()
    }
    if not np.isfinite(states["trained"]).all():
        raise ConfigError(f"{config.model.folder}: has states that are not finite numbers")
    trained = states["trained"]
    probes, steps = [], []
    for place in range(len(layers)):
        features = as_features(trained, place)
        probes.append(fitted(features, cities))
        steps.append(directions(probes[-1], features[cities.of(FIT)].astype(np.float64)))
    return Taken(layers, states, probes, steps)


def controlled(config: Config, world: World, taken: Taken, cities: Cities) -> list[Row]:
    """Rows of every probe and of the three controls."""
    rows = centre_rows(cities)
    dealt = shuffled(cities, stream(config.seed, "shuffled"))
    for place, layer in enumerate(taken.layers):
        for network, states in taken.states.items():
            features = as_features(states, place)
            trained = network == "trained"
            probe = taken.probes[place] if trained else fitted(features, cities)
            axes: dict[str, str | int | float | bool] = {"layer": layer, "network": network}
            rows += probe_rows(probe, features, cities, {**axes, "control": "none"})
            if trained:
                control = fitted(features, dealt)
                rows += probe_rows(control, features, dealt, {**axes, "control": "shuffled"})
    digits = id_digits(world.ids)
    rows += probe_rows(fitted(digits, cities), digits, cities, {"control": "id_digits"})
    return rows


def causal(config: Config, world: World, model: Model, taken: Taken, cities: Cities) -> list[Row]:
    """Rows of the causal check at every layer that other tokens look at."""
    if config.causal_questions == 0:
        return []
    questions = causal_questions(config, cities)
    random = stream(config.seed, "causal")
    # Both ways, so that what only shifts all answers one way does not look like following.
    moves = config.shift * random.choice([-1, 1], len(questions))
    asked = Asked(world, questions, places_of(config.task), moves)
    steps = dict(zip(taken.layers, taken.steps, strict=True))
    # Nothing behind the last layer looks at other tokens.
    steps.pop(model.shape.layers, None)
    return causal_rows(model, asked, ask(model, asked), steps, random)


def causal_questions(config: Config, cities: Cities) -> Questions:
    """Test questions about real cities whose first city has an id of four digits, evenly spaced.
    ConfigError if there is none."""
    whole = read_set(Path(config.data), config.task, "no_atlantis", "test")
    usable = np.flatnonzero(np.isin(cities.parts[whole.cities[:, 0]], [FIT, TEST]))
    if not len(usable):
        raise ConfigError(
            f"{config.data}: no test question of {config.task} begins with a city whose id has "
            "four digits; make the data with more rows, or set causal_questions to 0"
        )
    count = min(config.causal_questions, len(usable))
    return whole[usable[np.arange(count) * len(usable) // count]]


def readings(taken: Taken, cities: Cities) -> Array:
    """Where the best layer's probe reads each city, (n, 2): a fitted city by a fit without it."""
    probe = taken.probes[taken.best]
    read = probe.read(as_features(taken.states["trained"], taken.best))
    read[cities.of(FIT)] = probe.left_out
    return read


def headlines(rows: list[Row], taken: Taken) -> list[Row]:
    """The best layer's values again, with as few axes as tell them apart: what gates and tables
    take."""
    best = {"layer": taken.layers[taken.best], "network": "trained", "control": "none"}
    found = []
    for row in rows:
        if row.metric.startswith("probe_") and best.items() <= row.axes.items():
            # R2 is of the world alone; distances are of a region.
            kept = "coordinate" if row.metric == "probe_r2" else "region"
            found.append(row.model_copy(update={"axes": {kept: row.axes[kept]}}))
    return found + causal_headlines(rows, taken)


def causal_headlines(rows: list[Row], taken: Taken) -> list[Row]:
    """The causal rows of the best of the layers that have any, along the probe's direction."""
    layers = {row.axes["layer"] for row in rows if row.metric == "causal_share"}
    if not layers:
        return []
    quality = {
        layer: probe.left_out_r2.mean()
        for layer, probe in zip(taken.layers, taken.probes, strict=True)
        if layer in layers
    }
    best = {"layer": max(quality, key=lambda layer: quality[layer]), "direction": "probe"}
    return [
        row.model_copy(update={"axes": {"coordinate": row.axes["coordinate"]}})
        for row in rows
        if row.metric.startswith("causal_") and best.items() <= row.axes.items()
    ]


def title(config: Config, taken: Taken, rows: list[Row]) -> str:
    """What the picture shows, in a line."""
    shares = {
        str(row.axes["coordinate"]): row.value
        for row in rows
        if row.metric == "probe_r2" and set(row.axes) == {"coordinate"}
    }
    words = " and ".join(f"{value:.2f} ({axis})" for axis, value in shares.items())
    return (
        f"Cities as a linear probe reads them at layer {taken.layers[taken.best]} of a model asked "
        f"for {config.task}: R² {words} on cities that were not fitted"
    )


def write_files(
    config: Config, out: Path, world: World, taken: Taken, cities: Cities, predicted: Array
) -> None:
    """States and cities, each file whole or not at all."""
    from safetensors.numpy import save_file

    temporary = out / f".{STATES_FILE}.tmp"
    described = {
        "task": config.task,
        "layers": json.dumps(taken.layers),
        "positions": json.dumps(POSITIONS),
        "attribution": world.attribution,
    }
    # safetensors 0.8.0 writes an array as it lies in memory, also one that is not row by row.
    save_file(
        {"states": np.ascontiguousarray(taken.states["trained"])}, temporary, metadata=described
    )
    temporary.replace(out / STATES_FILE)
    write_cities(out / "cities.csv", world, cities.parts, predicted)


def facts(
    chosen: checkpoints.Checkpoint, world: World, taken: Taken, cities: Cities
) -> dict[str, object]:
    """What a report says beside the rows."""
    return {
        "checkpoint": chosen.manifest.name,
        "step": chosen.manifest.step,
        "fingerprint": chosen.manifest.fingerprint,
        "layers": taken.layers,
        "best_layer": taken.layers[taken.best],
        "positions": list(POSITIONS),
        # Their ids begin with a zero.
        "left_out": len(cities.of(LEFT_OUT)),
        "fitted": len(cities.of(FIT)),
        "judged": len(cities.of(TEST)),
        "atlantis": len(cities.of(ATLANTIS)),
        "penalties": {
            str(layer): probe.penalties.tolist()
            for layer, probe in zip(taken.layers, taken.probes, strict=True)
        },
        "map": "map.svg",
        "attribution": world.attribution,
    }


def lengths(config: Config, taken: Taken) -> dict[str, dict[str, float]]:
    """How far the causal check moves a state, by layer and coordinate, in units of the states' own
    standard deviation: far above 1 an answer breaks rather than follows."""
    found: dict[str, dict[str, float]] = {}
    for place, (layer, steps) in enumerate(zip(taken.layers, taken.steps, strict=True)):
        if steps is None:
            continue
        spread = np.sqrt(as_features(taken.states["trained"], place).var(axis=0).sum())
        found[str(layer)] = {
            name: float(config.shift * np.linalg.norm(step) / spread)
            for name, step in zip(COORDINATES, steps, strict=True)
        }
    return found
