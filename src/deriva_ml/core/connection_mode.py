"""The connection mode under its known import path."""

from deriva_ml.names import ConnectionMode

__all__ = ["ConnectionMode"]
