"""Multinomial logistic regression by a bound on the curvature (Böhning 1992): no step size, the
loss falls in every iteration."""

from __future__ import annotations

import torch

SMALL = 1e-5
"""A gradient whose largest entry is below this ends the fit."""


class Probe:
    """A linear read-out of ``classes`` classes from features (M, d), which are standardised as the
    fitted ones were."""

    def __init__(
        self,
        features: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        penalty: float,
        iterations: int,
    ) -> None:
        self.mean, self.scale = features.mean(0), features.std(0).clamp_min(1e-6)
        x = self._prepared(features)
        wanted = torch.nn.functional.one_hot(labels, classes).float()
        ridge = penalty * torch.ones(x.shape[1])
        ridge[-1] = 0.0  # the intercept
        # The Hessian is at most half of x'x for every class: a Newton step with this bound never
        # overshoots.
        factor = torch.linalg.cholesky(0.5 * x.T @ x / len(x) + torch.diag(ridge + 1e-7))
        self.weights = torch.zeros(x.shape[1], classes)
        self.converged = False
        for _ in range(iterations):
            gradient = (
                x.T @ (wanted - (x @ self.weights).softmax(1)) / len(x)
                - ridge[:, None] * self.weights
            )
            if gradient.abs().max() < SMALL:
                self.converged = True
                return
            # The bound does not depend on the weights: factored once, solved in every iteration.
            self.weights += torch.cholesky_solve(gradient, factor)

    def _prepared(self, features: torch.Tensor) -> torch.Tensor:
        standard = (features - self.mean) / self.scale
        return torch.cat([standard, torch.ones(len(standard), 1)], dim=1)

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """The most probable class of each row."""
        return (self._prepared(features) @ self.weights).argmax(1)
