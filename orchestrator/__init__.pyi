from orchestrator.api.launching import launch as launch
from orchestrator.api.loaded import LoadedRun as LoadedRun
from orchestrator.api.loaded import list_runs as list_runs
from orchestrator.api.loaded import load_run as load_run
from orchestrator.api.table import Table as Table
from orchestrator.errors import OrchError as OrchError

__all__ = ["LoadedRun", "OrchError", "Table", "launch", "list_runs", "load_run"]
