"""The loggers of this library; never touches the root logger or its handlers."""

from __future__ import annotations

import logging
import sys

from deriva_ml.errors import DerivaMLConfigurationError

ROOT = "deriva_ml"


def get_logger(name: str | None = None) -> logging.Logger:
    """Logger of this library.

    Parameters
    ----------
    name : str, optional
        Part of the library, appended to ``deriva_ml.`` unless it starts so already.

    Returns
    -------
    logging.Logger
    """
    if not name or name == ROOT:
        return logging.getLogger(ROOT)
    return logging.getLogger(name if name.startswith(f"{ROOT}.") else f"{ROOT}.{name}")


def is_hydra_initialized() -> bool:
    """Whether this process runs under Hydra, which then owns the configuration of logging."""
    module = sys.modules.get("hydra.core.hydra_config")
    return module is not None and bool(module.HydraConfig.initialized())


def configure_logging(
    level: int | str = logging.WARNING, deriva_level: int | str = logging.WARNING
) -> logging.Logger:
    """Set how much this library and deriva-py say.

    Messages go to the handlers that the application has set up; where it has none, Python writes warnings and errors
    to stderr.

    Parameters
    ----------
    level : int or str
        Level of the ``deriva_ml`` loggers.
    deriva_level : int or str
        Level of the ``deriva`` and ``bdbag`` loggers.

    Returns
    -------
    logging.Logger
        The logger of this library.

    Raises
    ------
    DerivaMLConfigurationError
        If a level is none.
    """
    logger = get_logger()
    try:
        logger.setLevel(level)
        for name in ("deriva", "bdbag"):
            logging.getLogger(name).setLevel(deriva_level)
    except (ValueError, TypeError):
        raise DerivaMLConfigurationError(
            f"Logging levels {level!r} and {deriva_level!r} must be names such as 'INFO', or numbers."
        ) from None
    return logger
