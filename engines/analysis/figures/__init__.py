"""The figures of the report: differences, curves over training, cosines between gradients."""
