"""Processes that generate side by side: each sees its GPUs, takes from one store, stops when told,
and may die."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from engines.contract.config import ConfigError
from engines.contract.files import read_lines
from engines.evaluation.sample_store import Sample
from engines.evaluation.workers import (
    RemoteCoordinator,
    ask_to_stop,
    generate_in_processes,
    gpu_groups,
    serve,
)
from tests.support.evaluation import coordinator_of, item, keys, samples_of, texts


def hand_in(connection):
    """What a generating process does, without an engine: waits for the word to stop before it hands
    in the rest."""
    pipe = RemoteCoordinator(connection)
    pipe.engine_started()
    chunk = pipe.take(3)
    for sample in samples_of(chunk)[:2]:
        pipe.add(sample)
    while not pipe.stop_requested():
        time.sleep(0.01)
    pipe.add(samples_of(chunk)[2])
    assert not pipe.take(3).requests


def test_a_process_is_told_to_stop_hands_in_what_it_has_and_gets_no_more(tmp_path):
    coordinator = coordinator_of(tmp_path, [item(str(number)) for number in range(9)])
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hand_in, args=(theirs,))
    process.start()
    theirs.close()
    live = {ours: process}
    while live:
        serve(coordinator, ours, live)
        if coordinator.done == 2 and not coordinator.stop.requested:
            coordinator.stop.requested = True
            ask_to_stop(ours)
    assert (process.exitcode, coordinator.done) == (0, 3)
    coordinator.close()
    assert len(texts(tmp_path)) == 3


SEEN = os.environ.get("CUDA_VISIBLE_DEVICES")
"""As it is when a process imports this file."""


def make_slowly(connection, config, models, length):
    """A process of a group without an engine: says which GPUs it sees; after the word to stop it
    hands in no more than it has begun."""
    place, count = Path(os.environ["GATHER_AT"]), int(os.environ["GATHER"])
    (place / str(os.getpid())).touch()
    while len(list(place.iterdir())) < count:  # none is done before the last has started
        time.sleep(0.01)
    pipe = RemoteCoordinator(connection)
    pipe.engine_started()
    while not pipe.stop_requested() and (chunk := pipe.take(2)).requests:
        for index, number, _ in chunk.requests:
            time.sleep(0.02)
            pipe.add(Sample(chunk.model, index, number, str(SEEN), 1, "stop"))
            if pipe.stop_requested():
                break


def test_processes_of_one_queue_each_see_their_gpus_stop_when_told_and_others_go_on_without_doubles(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,8,9")
    (tmp_path / "gathered").mkdir()
    monkeypatch.setenv("GATHER_AT", str(tmp_path / "gathered"))
    monkeypatch.setenv("GATHER", "3")
    items = [item(str(number), rows=4, temperature=1.0) for number in range(25)]
    coordinator = coordinator_of(tmp_path, items, models=("m", "n"))
    add = coordinator.add

    def add_and_stop(sample):
        add(sample)
        coordinator.stop.requested = coordinator.done >= 60

    coordinator.add = add_and_stop
    generate_in_processes(coordinator, gpu_groups(2), make_slowly)
    coordinator.close()
    assert 60 <= coordinator.done < 120
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,6,7,8,9"
    again = coordinator_of(tmp_path, items, models=("m", "n"))
    assert again.done == coordinator.done
    monkeypatch.setenv("GATHER", "5")
    generate_in_processes(again, gpu_groups(3), make_slowly)
    again.close()
    assert set(keys(tmp_path).values()) == {1}
    assert (again.done, sum(keys(tmp_path).values())) == (200, 200)
    groups = {
        line["text"]
        for path in (tmp_path / "generations").glob("*/*.jsonl")
        for line in read_lines(path)
    }
    assert groups == {"4,5", "6,7", "8,9", "4,5,6", "7,8,9"}


def crash(connection):
    """A generating process that dies."""
    RemoteCoordinator(connection).engine_started()
    os._exit(7)


def test_a_process_that_dies_is_an_error_with_its_exit_code(tmp_path):
    coordinator = coordinator_of(tmp_path, [item("a")])
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=crash, args=(theirs,))
    process.start()
    theirs.close()
    live = {ours: process}
    serve(coordinator, ours, live)  # that it is ready
    with pytest.raises(RuntimeError, match="a generating process died \\(exit code 7\\)"):
        serve(coordinator, ours, live)
    assert live == {}


def test_the_gpus_of_the_job_are_divided_into_groups(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,6,7")
    assert gpu_groups(1) == ["2", "3", "6", "7"]
    assert gpu_groups(2) == ["2,3", "6,7"]
    assert gpu_groups(4) == [None]
    with pytest.raises(ConfigError, match="gpus_per_model: 3 does not divide the 4 GPUs"):
        gpu_groups(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_groups(2) == [None]
