"""States: the right tokens, the right layers, as transformers has them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.geography_maps.states import beginnings, id_digits, places_of, take_states
from engines.shared.geography.cities.world import make_world
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import initial
from engines.shared.geography.vocabulary import BEGIN, decode
from tests.support.city_questions import save_model


@pytest.mark.parametrize(
    ("task", "text", "places"),
    [
        ("distance", "dist(c_0865,", [11, 12]),
        ("trianglearea", "triarea(c_0865,", [14, 15]),
        ("angle", "angle(c_0865,", [12, 13]),
        ("compass", "compass(c_0865,", [14, 15]),
        ("inside", "inside(c_0865;", [13, 14]),
        ("perimeter", "perimeter(c_0865,", [16, 17]),
        ("crossing", "cross(c_0865,", [12, 13]),
    ],
)
def test_the_beginning_of_a_question_and_the_two_tokens_that_are_looked_at(
    task: str, text: str, places: list[int]
) -> None:
    tokens = beginnings(task, np.array([865, 4321], np.int32)).tolist()
    assert tokens[0][0] == BEGIN
    assert decode(tokens[0][1:]) == text
    assert decode(tokens[1][1:]) == text.replace("0865", "4321")
    assert places_of(task) == places
    assert decode(tokens[0][places[0] : places[1] + 1]) == text[-2:]


def test_states_are_those_of_transformers_but_the_last_layer_is_raw(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    shape = Shape(width=16, layers=3, heads=2, feed_forward=24)
    parameters, world = initial(shape, [1], 0.3), make_world(6, 2, 0)
    parameters["norm"] *= 1.7
    saved = save_model(tmp_path, shape, parameters)
    theirs = AutoModelForCausalLM.from_pretrained(saved.model, dtype=torch.float32)
    tokens = torch.from_numpy(beginnings("angle", world.ids))
    with torch.no_grad():
        hidden = theirs(tokens, output_hidden_states=True).hidden_states
        places = places_of("angle")
        ours = torch.from_numpy(take_states(parameters, shape, world, "angle", [0, 1, 2, 3]))
        assert tuple(ours.shape) == (8, 2, 4, 16)
        for layer in range(3):
            torch.testing.assert_close(
                ours[:, :, layer], hidden[layer][:, places], atol=1e-4, rtol=1e-4
            )
        # hidden_states[-1] lies behind the final norm.
        normed = theirs.model.norm(ours[:, :, 3])
        torch.testing.assert_close(normed, hidden[3][:, places], atol=1e-4, rtol=1e-4)
        assert (ours[:, :, 3] - hidden[3][:, places]).abs().max() > 0.1
    one = torch.from_numpy(take_states(parameters, shape, world, "angle", [2]))
    torch.testing.assert_close(one[:, :, 0], ours[:, :, 2])


def test_the_digits_of_an_id_are_one_column_each() -> None:
    columns = id_digits(np.array([865], np.int32))[0]
    assert np.flatnonzero(columns).tolist() == [0, 18, 26, 35]
