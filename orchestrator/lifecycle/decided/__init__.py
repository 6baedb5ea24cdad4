"""Jobs that wait for a decision: of a gate, or which job is the best one."""
