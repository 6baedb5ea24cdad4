"""Fine-tuning of a language model on replies, with a gradient that asks for different ones."""
