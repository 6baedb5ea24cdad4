"""What a training takes, asked before data and model are there."""

import pytest

from engines.polychromic.config import Config
from engines.polychromic.estimates import disk_gb, estimate, size_of

PLAIN = {"model": "Qwen/Qwen3-8B", "data": "nowhere", "epochs": 2, "max_tokens": 500}


def config(**changes: object) -> Config:
    return Config.model_validate({**PLAIN, **changes})


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Qwen/Qwen3-8B", 8e9),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5e9),
        ("models/smollm2-135m", 135e6),
        ("meta-llama/Llama-3.2-1B", 1e9),
        ("org/model-v2", None),
        ("org/3beta", None),
        ("mistralai/Mixtral-8x7B", 7e9),
    ],
)
def test_a_model_that_is_not_here_is_as_large_as_its_name_says(name, size) -> None:
    assert size_of(config(model=name)) == size


def test_what_is_not_known_is_not_told() -> None:
    assert estimate(config(model="org/model-v2"), 1, 600) is None
    assert disk_gb(config()) is None


def test_hours_are_for_a_thousand_rows_where_the_rows_are_still_to_be_made() -> None:
    # 2 epochs of 63 batches of 16; 4 FLOP a parameter and token, as the base is frozen.
    told = estimate(config(), 1, 600)
    flop = 4 * 8e9 * 126 * 16 * 500
    hours = flop / (312e12 * 0.35) / 3600
    assert told == (
        f"for each 1,000 rows at most 126 steps, 1,008,000 tokens through the trainer, {flop:.2g} "
        f"FLOP, {hours:,.1f} hours of an A100 at 35% of its peak; evaluations come on top"
    )


def test_samples_cost_twice_and_single_tokens_read_every_weight() -> None:
    told = estimate(config(diversity={"weight": 1.0, "max_new_tokens": 100}), 1, 30)
    assert told is not None
    # 126 steps of 8 prompts, 8 samples each, as long as they may be.
    assert f"({126 * 64 * 600:,} for samples)" in told
    drawn = 126 * 100 * 8e9 * 2 / 2.0e12 / 3600
    assert f"at least {drawn:,.1f} for drawing samples" in told
    flop = 4 * 8e9 * (126 * 8000 + 126 * 64 * 600) + 2 * 8e9 * 126 * 64 * 600
    hours = flop / (312e12 * 0.35) / 3600 + drawn
    assert f"it is started {-(-hours // 0.5):.0f} times or more" in told


def test_a_number_of_steps_is_the_same_for_any_rows() -> None:
    told = estimate(config(epochs=None, steps=10), 0, 60)
    assert told is not None
    assert told.startswith("at most 10 steps, 80,000 tokens")
    assert "A100" not in told
