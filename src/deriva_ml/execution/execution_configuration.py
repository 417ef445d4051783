"""Execution configurations under their known import path."""

from deriva_ml.specs import AssetSpec, ExecutionConfiguration, LocalFile

__all__ = ["AssetSpec", "ExecutionConfiguration", "LocalFile"]
