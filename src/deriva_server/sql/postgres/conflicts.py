"""Why the server refused a write, with the names that clients know."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Model
from deriva_server.sql.dialect import INTERNAL


def explain(model: Model, error: sa.exc.DBAPIError) -> Conflict:
    """The conflict behind an integrity error."""
    diagnosis: Any = getattr(error.orig, "diag", None)
    message = str(getattr(diagnosis, "message_primary", None) or error.orig)
    physical = getattr(diagnosis, "constraint_name", None) or ""
    if physical:
        message = message.replace(f'"{physical}"', f'"{_logical(model, physical)}"')
    detail = getattr(diagnosis, "message_detail", None)
    # Of a missing value the server shows the whole row, which the caller may not be allowed to see.
    if detail and physical:
        message += f"\nDETAIL:  {detail}"
    return Conflict(message)


def _logical(model: Model, physical: str) -> str:
    for table in model.tables():
        for key in table.keys:
            if physical == f"{INTERNAL}key_{key.rid}":
                return key.name
        for fkey in table.foreign_keys:
            if physical == f"{INTERNAL}fkey_{fkey.rid}":
                return fkey.name
    return physical
