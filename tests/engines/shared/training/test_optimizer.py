"""The stacked optimiser against torch's own."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.training.optimizer import Flat, Pace


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 100),
    decay=st.sampled_from([0.0, 0.1]),
    clip=st.sampled_from([0.01, 1.0, 100.0]),
    matrices_alone=st.booleans(),
)
def test_a_step_is_torchs_adamw_with_each_models_own_clipping(
    seed: int, decay: float, clip: float, matrices_alone: bool
) -> None:
    random = torch.Generator().manual_seed(seed)
    parameters = {
        "a": torch.randn(2, 3, 4, generator=random),
        "b": torch.randn(2, 5, generator=random),
    }
    flat = Flat.of(
        {name: tensor.clone() for name, tensor in parameters.items()},
        torch.device("cpu"),
        matrices_alone,
    )
    rates = [0.01, 0.3]
    models = [
        [tensor[s].clone().requires_grad_() for tensor in parameters.values()] for s in range(2)
    ]
    theirs = [
        torch.optim.AdamW(
            [
                {"params": one[:1], "weight_decay": decay},
                {"params": one[1:], "weight_decay": 0.0 if matrices_alone else decay},
            ],
            lr=rate / 2,
        )
        for one, rate in zip(models, rates, strict=True)
    ]
    pace = Pace.of(2, torch.device("cpu"))
    for number in range(1, 5):
        pace.set(torch.tensor(rates)[:, None], 0.5, number)
        gradients = [torch.randn(2, 3, 4, generator=random), torch.randn(2, 5, generator=random)]
        flat.step(torch.cat([g.flatten(1) for g in gradients], dim=1), pace, clip, decay)
        for s in range(2):
            for parameter, gradient in zip(models[s], gradients, strict=True):
                parameter.grad = gradient[s].clone()
            torch.nn.utils.clip_grad_norm_(models[s], clip)
            theirs[s].step()
    for s in range(2):
        for ours, expected in zip(flat.named().values(), models[s], strict=True):
            # Both get the same gradients: four steps of up to 0.15, each a handful of roundings.
            torch.testing.assert_close(ours[s], expected, atol=1e-5, rtol=1e-5)
