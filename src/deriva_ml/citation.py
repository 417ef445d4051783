"""Addresses of things in a catalog: pages to look at, and citations that stay true."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.ermrest.rows import escaped
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.names import DRY_RUN_RID, SNAPSHOT_PATTERN

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table, TableName
    from deriva_ml.session import Session


def chaise_url(session: Session, table: TableName) -> str:
    """Address of the page that lists a table.

    Parameters
    ----------
    session : Session
    table : Table or str

    Returns
    -------
    str

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    """
    found = session.table(table)
    return _page(session, "recordset", found)


def record_url(session: Session, table: TableName, rid: str) -> str:
    """Address of the page of one row."""
    return f"{_page(session, 'record', session.table(table))}/RID={rid}"


def _page(session: Session, app: str, table: Table) -> str:
    name = f"{escaped(table.schema.name)}:{escaped(table.name)}"
    return session.connection.url(f"/chaise/{app}/#{session.connection.catalog_id}/{name}")


def cite(session: Session, entity: str | Mapping[str, Any], current: bool = False) -> str:
    """Address by which a row can be cited.

    Parameters
    ----------
    session : Session
    entity : str or mapping
        RID, a row that has one, or a citation of this catalog, which is returned as it is.
    current : bool
        Cite the row as it is at any time, rather than as it is now.

    Returns
    -------
    str
        ``https://<host>/id/<catalog>/<RID>@<snapshot>``, without the snapshot when `current`.

    Raises
    ------
    DerivaMLException
        If `entity` has no RID, or there is no such row.

    Examples
    --------
    >>> ml.cite("1-ABC")  # doctest: +SKIP
    'https://data.example.org/id/1/1-ABC@32M-XJ2A-0Q4G'
    """
    rid = entity.get("RID") if isinstance(entity, Mapping) else entity
    if not isinstance(rid, str) or not rid:
        raise DerivaMLException(f"{entity!r} has no RID to cite.")
    if rid == DRY_RUN_RID:
        return f"dry-run (rid={DRY_RUN_RID})"
    connection = session.connection
    start = connection.url(f"/id/{connection.catalog_id}/")
    if rid.startswith(start):
        return rid
    found = resolve_rid(connection, session.model, rid)
    return f"{start}{found.rid}" if current else f"{start}{found.rid}@{connection.snaptime()}"


def command_options(session: Session) -> str:
    """Options with which commands find this catalog, as they are typed here."""
    connection, here = session.connection, Path.cwd()
    folder, shown = connection.site.address.folder, connection.host
    if folder is not None:
        plain = Path(os.path.normpath(folder))
        if plain.is_relative_to(here):
            shown = f"./{plain.relative_to(here)}"
        elif Path(shown).expanduser().absolute() != folder:
            # It counts from another folder than this one.
            shown = str(plain)
    return (
        f"--host {shlex.quote(shown)} --catalog {shlex.quote(str(connection.alias or connection.catalog_id))}"
    )


def sight(session: Session, rid: str) -> str:
    """What to open or to type to see a row: its address on a server, a command for a folder, whose address nobody serves."""
    if session.connection.is_embedded:
        return f"deriva-ml lineage {rid} {command_options(session)}"
    return cite(session, rid, current=True)


def snapshot_named(session: Session, text: Any) -> str:
    """Id of a snapshot of the catalog that is open, given alone or as ``catalog@id``.

    Raises
    ------
    DerivaMLValidationError
        If it has another form, or is one of another catalog.
    """
    catalog, at, snapshot = str(text).rpartition("@")
    if not isinstance(text, str) or (at and not catalog) or not re.match(SNAPSHOT_PATTERN, snapshot, re.I):
        raise DerivaMLValidationError(
            f"{text!r} is no snapshot; it looks like {session.connection.catalog_id}@33F-ABCD-1234, or 33F-ABCD-1234 "
            "alone. The versions of a dataset have theirs: dataset.dataset_history()."
        )
    if at and catalog not in (session.connection.catalog_id, session.connection.alias):
        raise DerivaMLValidationError(
            f"{text!r} is a snapshot of catalog {catalog}, this is {session.connection.name}; open that one with "
            f"DerivaML({session.connection.host!r}, {text!r})."
        )
    return snapshot


def upload_command(session: Session, rid: str) -> str:
    """What to type to commit an execution."""
    return f"deriva-ml upload {command_options(session)} --execution {rid}"
