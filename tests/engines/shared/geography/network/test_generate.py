"""What prompts begin with together is run once, and changes no answer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.geography.description import Shape
from engines.shared.geography.network.generate import common_beginning, complete
from engines.shared.geography.network.model import initial, logits
from engines.shared.geography.vocabulary import END, PADDING

SHAPE = Shape(width=16, layers=2, heads=2, feed_forward=24)


@settings(max_examples=15, deadline=None)
@given(common=st.integers(0, 6), seed=st.integers(0, 50), batch=st.integers(1, 4))
def test_prompts_with_a_common_beginning_are_completed_as_each_alone_without_a_cache(
    common: int, seed: int, batch: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    prompts = torch.randint(4, 98, (batch, 7), generator=random)
    prompts[:, :common] = prompts[0, :common].clone()
    parameters = initial(SHAPE, [seed, seed + 1], 0.5)
    found = complete(parameters, SHAPE, prompts, 4)
    for row in range(batch):
        for model in range(2):
            one = {name: tensor[model : model + 1] for name, tensor in parameters.items()}
            text, written = prompts[row : row + 1], []
            while len(written) < 4 and END not in written:
                token = int(logits(one, SHAPE, text.unsqueeze(0))[0, 0, -1].argmax())
                written.append(token)
                text = torch.cat([text, torch.tensor([[token]])], dim=1)
            assert found[model, row].tolist() == written + [PADDING] * (4 - len(written))


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([[5, 6, 7], [5, 6, 8]], 2),
        ([[5, 6, 7], [5, 9, 7]], 1),
        ([[4, 6, 7], [5, 6, 7]], 0),
        # The last token's logits are wanted, so it is never among them.
        ([[5, 6, 7], [5, 6, 7]], 2),
        ([[5, 6, 7]], 2),
    ],
)
def test_a_common_beginning_ends_where_the_first_prompt_differs(
    prompts: list[list[int]], expected: int
) -> None:
    assert common_beginning(torch.tensor(prompts)) == expected
