"""The figures of the report on diversity-aware fine-tuning."""
