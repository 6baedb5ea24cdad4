"""What the states of a model say about places (probes), and how alike the states of two models
are: functions of arrays, which know no model."""
