"""Which problems a step uses hangs on seed and step alone; no task is favoured and no problem
forgotten."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.ppo.data.task_sampler import TaskSampler
from engines.shared.inference import sample_seed

Problems = dict[str, list[str]]

SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1)
PROMPTS = st.integers(1, 9)
SEEDS = st.integers(0, 2**40)


def problems_of(sizes: dict[str, int]) -> Problems:
    return {task: [f"{task}{number}" for number in range(size)] for task, size in sizes.items()}


def taken(sampler: TaskSampler[str], task: str, steps: int) -> list[str]:
    return [problem for step in range(steps) for problem in sampler.batch(step)[task]]


@settings(max_examples=60, deadline=None)
@given(SIZES, PROMPTS, SEEDS)
def test_every_pass_over_a_task_has_every_problem_exactly_once(
    sizes: dict[str, int], prompts: int, seed: int
) -> None:
    problems = problems_of(sizes)
    sampler = TaskSampler(problems, prompts, seed)
    for task, own in problems.items():
        seen = taken(sampler, task, -(-3 * len(own) // prompts))
        for start in (0, len(own), 2 * len(own)):
            assert Counter(seen[start : start + len(own)]) == Counter(own)


@settings(max_examples=60, deadline=None)
@given(SIZES, PROMPTS, SEEDS, st.lists(st.integers(0, 60), max_size=12), st.integers(0, 60))
def test_a_step_is_the_same_whatever_was_asked_before_and_in_a_fresh_process(
    sizes: dict[str, int], prompts: int, seed: int, history: list[int], step: int
) -> None:
    problems = problems_of(sizes)
    sampler = TaskSampler(problems, prompts, seed)
    for other in history:
        sampler.batch(other)
    expected = TaskSampler(problems, prompts, seed).batch(step)
    assert sampler.batch(step) == expected
    assert list(sampler.batch(step)) == sorted(sizes)
    assert all(len(batch) == prompts for batch in expected.values())


@settings(max_examples=60, deadline=None)
@given(SIZES, PROMPTS, SEEDS, st.integers(0, 40), st.permutations(list("abcdef")))
def test_a_tasks_order_does_not_hang_on_the_other_tasks(
    sizes: dict[str, int], prompts: int, seed: int, step: int, order: list[str]
) -> None:
    problems = problems_of(sizes)
    names = [task for task in order if task in problems]
    whole = TaskSampler({task: problems[task] for task in names}, prompts, seed).batch(step)
    assert list(whole) == sorted(names)
    for task in names:
        assert TaskSampler({task: problems[task]}, prompts, seed).batch(step)[task] == whole[task]


@settings(max_examples=60, deadline=None)
@given(SIZES, PROMPTS, SEEDS, st.integers(0, 40))
def test_a_batch_is_what_a_plainly_written_loop_takes(
    sizes: dict[str, int], prompts: int, seed: int, step: int
) -> None:
    problems = problems_of(sizes)
    for task, own in problems.items():
        stream: list[str] = []
        number = 0
        while len(stream) < (step + 1) * prompts:
            order = list(range(len(own)))
            random.Random(sample_seed(seed, "order", task, number)).shuffle(order)
            stream += [own[place] for place in order]
            number += 1
        assert (
            TaskSampler(problems, prompts, seed).batch(step)[task]
            == stream[step * prompts : (step + 1) * prompts]
        )


def test_seeds_tasks_and_passes_have_orders_of_their_own() -> None:
    same = [str(number) for number in range(30)]
    orders = {
        tuple(taken(TaskSampler({"a": same, "b": same}, 30, seed), task, 2)[start : start + 30])
        for seed in (0, 1)
        for task in "ab"
        for start in (0, 30)
    }
    assert len(orders) == 8


def test_first_problems_of_a_pass_are_spread_evenly() -> None:
    sampler = TaskSampler({"a": list("0123456789")}, 10, 5)
    first = Counter(sampler.batch(step)["a"][0] for step in range(2000))
    assert set(first) == set("0123456789")
    # 200 expected each; chi-square of 9 degrees of freedom stays below 33.7 with probability
    # 0.9999. The seed is fixed.
    assert sum((count - 200) ** 2 / 200 for count in first.values()) < 33.7
