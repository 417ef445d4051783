"""An embeddable catalog (ERMrest protocol) and object store (Hatrac protocol) over SQLite and files."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deriva_server.embed import LocalServer

__all__ = ["LocalServer", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "LocalServer":
        from deriva_server.embed import LocalServer

        return LocalServer
    if name == "__version__":
        return importlib.metadata.version("deriva-ml")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
