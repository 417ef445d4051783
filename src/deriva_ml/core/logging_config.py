"""Logging set-up under its known import path."""

from deriva_ml.logs import configure_logging, get_logger, is_hydra_initialized

__all__ = ["configure_logging", "get_logger", "is_hydra_initialized"]
