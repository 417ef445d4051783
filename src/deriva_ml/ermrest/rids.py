"""From RIDs to the tables that their rows are in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLNotFoundError, DerivaMLRidsNotFound
from deriva_ml.names import is_rid, require_list

if TYPE_CHECKING:
    from deriva_ml.ermrest.connect import Connection
    from deriva_ml.model.graph import CatalogModel, Table, TableName


@dataclass(frozen=True)
class ResolvedRid:
    """Where the row of a RID is.

    Parameters
    ----------
    rid : str
    table : Table
    """

    rid: str
    table: Table
    _connection: Connection = field(repr=False, compare=False)

    @property
    def table_name(self) -> str:
        """Name of the table."""
        return self.table.name

    @property
    def schema_name(self) -> str:
        """Name of the table's schema."""
        return self.table.schema.name

    @cached_property
    def datapath(self) -> Any:
        """deriva-py's path of this one row."""
        table = self._connection.catalog.getPathBuilder().schemas[self.schema_name].tables[self.table_name]
        return table.path.filter(table.column_definitions["RID"] == self.rid)


BatchRidResult = ResolvedRid


def resolve_rid(connection: Connection, model: CatalogModel, rid: str) -> ResolvedRid:
    """Find the table of one RID.

    Parameters
    ----------
    connection : Connection
    model : CatalogModel
    rid : str

    Returns
    -------
    ResolvedRid

    Raises
    ------
    DerivaMLException
        If `rid` is no RID, or no row of this catalog has it.
    """
    plain = plain_rid(rid)
    try:
        found = connection.get(f"/entity_rid/{quote(plain, safe='')}").json()
    except DerivaMLNotFoundError:
        raise DerivaMLRidsNotFound([rid], f"Invalid RID {rid!r}: no row of this catalog has it.") from None
    return located(connection, model, rid, found)


def plain_rid(rid: str) -> str:
    """A RID without its snapshot.

    Raises
    ------
    DerivaMLException
        If it is none.
    """
    if not is_rid(rid):
        raise DerivaMLException(f"Invalid RID {rid!r}; a RID looks like 1-0ABC, and is no name.")
    return rid.partition("@")[0]


def located(connection: Connection, model: CatalogModel, rid: str, found: Mapping[str, Any]) -> ResolvedRid:
    """Where the service says that a row is.

    Raises
    ------
    DerivaMLRidsNotFound
        If it was deleted.
    """
    if found.get("deleted_at"):
        raise DerivaMLRidsNotFound(
            [rid], f"Invalid RID {rid!r}: its row was deleted on {found['deleted_at']}."
        )
    table = model.name_to_table((found["schema_name"], found["table_name"]))
    return ResolvedRid(str(found["RID"]), table, connection)


def resolve_rids(
    connection: Connection,
    model: CatalogModel,
    rids: Iterable[str],
    candidate_tables: Collection[TableName] | None = None,
) -> dict[str, ResolvedRid]:
    """Find the tables of many RIDs, with a few requests per table rather than one per RID.

    Parameters
    ----------
    connection : Connection
    model : CatalogModel
    rids : iterable of str
    candidate_tables : collection of Table or str, optional
        The only tables to look in.

    Returns
    -------
    dict
        RID to `ResolvedRid`, in the order given, each RID once.

    Raises
    ------
    DerivaMLException
        If one of them is no RID.
    DerivaMLRidsNotFound
        If some are in none of the tables; names them all.
    """
    wanted = list(dict.fromkeys(require_list("rids", rids)))
    for rid in wanted:
        if not is_rid(rid):
            raise DerivaMLException(f"Invalid RID {rid!r}; a RID looks like 1-0ABC, and is no name.")
    left = {rid.partition("@")[0]: rid for rid in wanted}
    found: dict[str, ResolvedRid] = {}

    def take_from(table: Table) -> None:
        for plain in rows.present(connection, table, "RID", list(left)):
            found[left.pop(plain)] = ResolvedRid(plain, table, connection)

    if candidate_tables is not None:
        for candidate in candidate_tables:
            if left:
                take_from(model.name_to_table(candidate))
        if left:
            raise DerivaMLRidsNotFound(left.values())
        return {rid: found[rid] for rid in wanted}
    missing: list[str] = []
    while left:
        plain, rid = next(iter(left.items()))
        try:
            table = resolve_rid(connection, model, plain).table
        except DerivaMLRidsNotFound:
            missing.append(left.pop(plain))
            continue
        take_from(table)
        # A row that vanished between the two requests must not be asked for for ever.
        if left.pop(plain, None):
            missing.append(rid)
    if missing:
        raise DerivaMLRidsNotFound(missing)
    return {rid: found[rid] for rid in wanted}
