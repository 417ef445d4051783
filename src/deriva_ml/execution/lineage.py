"""The lineage models under their known import path."""

from deriva_ml.lineage.report import (
    AssetSummary,
    DatasetSummary,
    DescendantNode,
    DescendantsResult,
    ExecutionSummary,
    LineageNode,
    LineageResult,
    RootDescriptor,
    WorkflowSummary,
)

__all__ = [
    "AssetSummary",
    "DatasetSummary",
    "DescendantNode",
    "DescendantsResult",
    "ExecutionSummary",
    "LineageNode",
    "LineageResult",
    "RootDescriptor",
    "WorkflowSummary",
]
