"""The node's part in the reuse of results: what makes a result one that another run may take."""
