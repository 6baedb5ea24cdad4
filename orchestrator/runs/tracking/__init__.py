"""What trackers (W&B, MLflow, TensorBoard, trackio) are told of a run, and what is sent later."""
