"""The connection's configuration under its known import path."""

from deriva_ml.connection import DerivaMLConfig

__all__ = ["DerivaMLConfig"]
