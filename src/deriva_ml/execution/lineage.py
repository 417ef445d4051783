"""The lineage models under their known import path."""

from deriva_ml.lineage.report import (
    AssetSummary,
    DatasetSummary,
    ExecutionSummary,
    LineageNode,
    LineageResult,
    RootDescriptor,
    WorkflowSummary,
)

__all__ = [
    "AssetSummary",
    "DatasetSummary",
    "ExecutionSummary",
    "LineageNode",
    "LineageResult",
    "RootDescriptor",
    "WorkflowSummary",
]
