"""Workflows under their known import path."""

from deriva_ml.workflow.workflow import Workflow

__all__ = ["Workflow"]
