"""How a stored thing is shown and in which orders, in the list and on the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from deriva_ml.cli.text import size

if TYPE_CHECKING:
    from deriva_ml.cli.kept import Item

SORTS: dict[str, Callable[[Any], Any]] = {
    "size": lambda item: -item.size,
    "location": lambda item: (item.location, str(item.place.working_dir), item.kind, item.rid),
    "type": lambda item: (item.kind, item.rid),
    "modified": lambda item: -item.modified.timestamp(),
}
HEADINGS = ("RID", "TYPE", "LOCATION", "SIZE", "MODIFIED", "STATE", "CATALOG")


def cells(item: Item) -> tuple[str, ...]:
    """A thing as a line of the list."""
    where = f"{item.place.workspace.authority}/{item.place.workspace.catalog_id}"
    modified = item.modified.astimezone().strftime("%Y-%m-%d %H:%M")
    state = f"{item.state}, {item.kept_because.partition(';')[0]}" if item.kept_because else item.state
    return (item.rid or "?", item.kind, item.location, size(item.size), modified, state, where)
