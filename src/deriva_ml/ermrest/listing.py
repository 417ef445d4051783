"""Which catalogs a service has, as its registry tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Connection, Host, Site
from deriva_ml.ermrest.failures import translated
from deriva_ml.ermrest.library import datetime_to_snaptime, snaptime_to_datetime
from deriva_ml.errors import (
    DerivaMLAuthenticationError,
    DerivaMLDataError,
    DerivaMLNotFoundError,
    DerivaMLValidationError,
)

_REGISTRY = "0"


@dataclass(frozen=True)
class CatalogEntry:
    """One catalog of a service.

    Parameters
    ----------
    id : str
    name : str
        As shown to people; empty when it has none.
    owner : tuple of str
        Roles that own it.
    created : datetime
    changed : datetime or None
        Last change of rows or model, None when the catalog cannot be read.
    aliases : tuple of str
        Other ids that lead to it.
    """

    id: str
    name: str
    owner: tuple[str, ...]
    created: datetime
    changed: datetime | None
    aliases: tuple[str, ...]


def list_catalogs(hostname: Host) -> list[CatalogEntry]:
    """The catalogs of a service that are not deleted, in the order of their creation.

    Parameters
    ----------
    hostname : str or path
        A folder, a network name, or ``http://host:port``.

    Raises
    ------
    DerivaMLConnectionError
        If the service cannot be reached.
    DerivaMLDataError
        If it does not tell which catalogs it has.
    """
    site = Site(read_address(hostname))
    try:
        rows = Connection(site, _REGISTRY).get("/entity/ermrest:registry@sort(RCT,RID)").json()
    except DerivaMLNotFoundError as error:
        raise DerivaMLDataError(f"{hostname} does not tell which catalogs it has: {error}") from error
    present = [row for row in rows if row["deleted_on"] is None]
    aliases = [row for row in present if not row["is_catalog"]]
    return [_entry(site, row, aliases) for row in present if row["is_catalog"] and row["id"] != _REGISTRY]


def _entry(site: Site, row: dict[str, Any], aliases: list[dict[str, Any]]) -> CatalogEntry:
    return CatalogEntry(
        str(row["id"]),
        row["name"] or "",
        tuple(row["owner"] or ()),
        datetime.fromisoformat(row["RCT"]),
        _last_change(site, str(row["id"])),
        tuple(str(alias["id"]) for alias in aliases if alias["alias_target"] == row["id"]),
    )


def _last_change(site: Site, id: str) -> datetime | None:
    try:
        return time_of(Connection(site, id).snaptime())
    except (DerivaMLAuthenticationError, DerivaMLNotFoundError):
        # Not ours to read, or deleted since the list was made.
        return None


def time_of(snapshot: str) -> datetime:
    """When a snapshot was taken.

    Raises
    ------
    DerivaMLValidationError
        If that is no id of a snapshot.
    """
    try:
        found: datetime = snaptime_to_datetime(snapshot)
    except (ValueError, TypeError, AttributeError) as error:
        raise DerivaMLValidationError(f"{snapshot!r} is no snapshot; it looks like 2ZX-8K1T-0Q4G.") from error
    return found


def snapshot_at(time: datetime) -> str:
    """Snapshot id of a catalog as it was at a time."""
    return str(datetime_to_snaptime(time))


def delete_alias(connection: Connection) -> None:
    """Delete the alias that a connection was made with; the catalog behind it stays.

    Raises
    ------
    DerivaMLException
        If it is not an alias, or not ours to delete.
    """
    server = connection.site.server()
    with translated(f"Deleting the alias {connection.catalog_id!r} on {connection.host}"):
        server.connect_ermrest_alias(connection.catalog_id).delete_ermrest_alias(really=True)
