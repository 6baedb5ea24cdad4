"""``import orch`` where the product is installed and no job runs: a script that reports to orch
runs in the same environment by hand.

The wheel holds this file as the module ``orch``. A job has the real one on its path, before
anything that is installed. Calls nothing; imported by scripts of users.
"""

from orchestrator.node.importable.orch import *  # noqa: F403 - all that a script may use
