"""Which options a project's configurations have."""

from __future__ import annotations


def listing() -> str:
    return ""
