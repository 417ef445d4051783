"""What callers give, told early and in one way what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deriva_ml.errors import DerivaMLValidationError


def function(name: str, given: Any, what: str) -> None:
    """Check that something can be called; None is left to the caller.

    Raises
    ------
    DerivaMLValidationError
        If it cannot.
    """
    if given is not None and not callable(given):
        raise DerivaMLValidationError(f"{name} must be {what}, not {given!r}.")


def mapping(name: str, given: Any, what: str) -> None:
    """Check that something is a mapping; None is left to the caller.

    Raises
    ------
    DerivaMLValidationError
        If it is none.
    """
    if given is not None and not isinstance(given, Mapping):
        raise DerivaMLValidationError(f"{name} must be a mapping of {what}, not {given!r}.")


def text(name: str, given: Any) -> str:
    """Return text, empty for None.

    Raises
    ------
    DerivaMLValidationError
        If it is something else.
    """
    if given is not None and not isinstance(given, str):
        raise DerivaMLValidationError(f"{name} must be text, not {given!r}.")
    return given or ""


def path(name: str, given: Any) -> Path:
    """Return a path that is given as such or as text.

    Raises
    ------
    DerivaMLValidationError
        If it is neither, or empty.
    """
    if not isinstance(given, str | Path) or not str(given).strip():
        raise DerivaMLValidationError(f"{name} must be a path, not {given!r}.")
    return Path(given)
