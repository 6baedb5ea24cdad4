"""From waiting to ended: observe a run, decide, act."""
