"""Capture of the environment of a run under its known import path."""

from deriva_ml.workflow.environment import gpus, packages, snapshot, snapshot_text, without_secrets

__all__ = ["gpus", "packages", "snapshot", "snapshot_text", "without_secrets"]
