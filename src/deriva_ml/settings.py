"""Environment variables, read and set in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deriva_ml.errors import DerivaMLConfigurationError

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


def _bytes(name: str, default: int) -> int:
    return int(min(max(0.0, number(name, default)), 1 << 40))


@contextmanager
def told(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for this block, and for the processes that begin in it."""
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def allow_dirty() -> bool:
    """``DERIVA_ML_ALLOW_DIRTY``: uncommitted changes are accepted without a warning."""
    return flag("DERIVA_ML_ALLOW_DIRTY")


def ignored_changes() -> tuple[str, ...]:
    """Prefixes of paths in a repository whose changes do not count: usual ones, and ``DERIVA_ML_DIRTY_CHECK_IGNORE``."""
    more = (text("DERIVA_ML_DIRTY_CHECK_IGNORE") or "").split(":")
    return ("findings/", "outputs/", ".scratch/", *filter(None, more))


def patch_bytes() -> int:
    """``DERIVA_ML_PATCH_BYTES``: how much of uncommitted changes is kept with an execution; 0 keeps none."""
    return _bytes("DERIVA_ML_PATCH_BYTES", 10 << 20)


def patch_file_bytes() -> int:
    """``DERIVA_ML_PATCH_FILE_BYTES``: up to which size an untracked text file is kept with an execution."""
    return _bytes("DERIVA_ML_PATCH_FILE_BYTES", 1 << 20)


def patch_deny() -> list[str]:
    """``DERIVA_ML_PATCH_DENY``: patterns of more names, separated by spaces, of files that are never kept."""
    return (text("DERIVA_ML_PATCH_DENY") or "").split()


def strict_workflow() -> bool:
    """``DERIVA_ML_STRICT``: uncommitted changes, or code outside any repository, are an error."""
    return flag("DERIVA_ML_STRICT")


def home() -> Path:
    """Folder for working directories that nobody named: ``DERIVA_ML_HOME``, else ``~/.deriva-ml``."""
    place = Path(text("DERIVA_ML_HOME") or "~/.deriva-ml")
    try:
        return place.expanduser()
    except RuntimeError as error:
        raise DerivaMLConfigurationError(
            f"Nobody's home directory is what {place} begins with; set DERIVA_ML_HOME to a folder that you can write to."
        ) from error


def retry_backoff() -> float:
    """``DERIVA_ML_RETRY_BACKOFF``: seconds that the first repetition of a failed request waits (doubles after that)."""
    return max(0.0, number("DERIVA_ML_RETRY_BACKOFF", 0.2))


def retry_attempts() -> int:
    """``DERIVA_ML_RETRY_ATTEMPTS``: how often a failed request that may be repeated is repeated."""
    return max(0, int(number("DERIVA_ML_RETRY_ATTEMPTS", 15)))


def upload_workers() -> int:
    """``DERIVA_ML_WORKERS``: threads for transfers of files; 0 leaves the choice to the library."""
    return max(0, int(number("DERIVA_ML_WORKERS", 0)))
