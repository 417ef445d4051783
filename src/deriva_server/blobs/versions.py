"""Versions of objects as values, and how requests refer to them (pure)."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence

from deriva_server.sql.objects import Version
from deriva_server.values import Frozen

State = str | Sequence[str] | None
"""What a request would change: the tag of the current version, the paths in a namespace, None where there is neither."""

Guard = Callable[[State], None]
"""Refuses a request by what it would change."""


def no_guard(state: State) -> None:
    """No precondition."""


class Content(Frozen, frozen=True):
    """One version, with the object that it finally belongs to."""

    path: str
    version: Version

    @property
    def location(self) -> str:
        """Path of the version below the service."""
        return f"{self.path}:{self.version.version}"

    @property
    def tag(self) -> str:
        """Quoted entity tag."""
        return f'"{self.version.version}"'


def new_id() -> str:
    """A random id of 26 letters and digits, for versions and uploads."""
    return base64.b32encode(os.urandom(16)).decode("ascii").rstrip("=")


def tag_of(version: Version | None) -> str | None:
    """Quoted entity tag of a version."""
    return None if version is None else f'"{version.version}"'
