"""Questions about cities on a plane, the small language models that learn to answer them, and the
maps that such models form: what the engines of this field share."""
