"""What engines log of their progress to trackers: W&B, MLflow, TensorBoard, trackio."""
