"""Environment variables, read in one place."""

from __future__ import annotations

import os
from pathlib import Path

_TRUE = {"1", "true", "yes", "on"}


def flag(name: str, default: bool = False) -> bool:
    """Whether an environment variable is switched on (``1``, ``true``, ``yes``, ``on``; any case)."""
    value = os.environ.get(name)
    return default if value is None or not value.strip() else value.strip().lower() in _TRUE


def text(name: str) -> str | None:
    """Value of an environment variable, None when unset or blank."""
    return (os.environ.get(name) or "").strip() or None


def number(name: str, default: float) -> float:
    """Value of an environment variable as a number, `default` when unset or no number."""
    try:
        return float(text(name) or default)
    except ValueError:
        return default


def allow_dirty() -> bool:
    """``DERIVA_ML_ALLOW_DIRTY``: uncommitted changes are accepted without a warning."""
    return flag("DERIVA_ML_ALLOW_DIRTY")


def strict_workflow() -> bool:
    """``DERIVA_ML_STRICT``: uncommitted changes, or code outside any repository, are an error."""
    return flag("DERIVA_ML_STRICT")


def home() -> Path:
    """Folder for working directories that nobody named: ``DERIVA_ML_HOME``, else ``~/.deriva-ml``."""
    return Path(text("DERIVA_ML_HOME") or "~/.deriva-ml").expanduser()


def retry_backoff() -> float:
    """``DERIVA_ML_RETRY_BACKOFF``: seconds that the first repetition of a failed request waits (doubles after that)."""
    return max(0.0, number("DERIVA_ML_RETRY_BACKOFF", 0.2))


def retry_attempts() -> int:
    """``DERIVA_ML_RETRY_ATTEMPTS``: how often a failed request that may be repeated is repeated."""
    return max(0, int(number("DERIVA_ML_RETRY_ATTEMPTS", 3)))


def upload_workers() -> int:
    """``DERIVA_ML_WORKERS``: threads for transfers of files; 0 leaves the choice to the library."""
    return max(0, int(number("DERIVA_ML_WORKERS", 0)))
