"""The local store of executions under its known import path."""

from deriva_ml.names import ExecutionStatus
from deriva_ml.workspace.executions import EXECUTIONS_TABLE, ExecutionStateStore

__all__ = ["EXECUTIONS_TABLE", "ExecutionStateStore", "ExecutionStatus"]
