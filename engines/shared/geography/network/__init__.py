"""Small Qwen2 decoders as functions of their parameters: the network, its files, and greedy
generation."""
