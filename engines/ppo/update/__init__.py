"""One update of the policy: log-probabilities, losses, the tasks' gradients combined, the
optimizer's step."""
