"""Register callers and their groups in the catalog, so that rows and people can refer to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from deriva_server.catalogs.catalog import Catalog, Reading, Writing
from deriva_server.identity import Client
from deriva_server.model import check
from deriva_server.model.elements import SYSTEM_COLUMNS, Model, Table
from deriva_server.model.values import compact
from deriva_server.names import stored_time
from deriva_server.sql import clients

_Row = tuple[Table, dict[str, str | None]]
_JSON = "Client_Object"


def register(catalog: Catalog, client: Client) -> None:
    """See that ``public:ERMrest_Client`` and ``public:ERMrest_Group`` tell of the caller as it is now.

    Commits by itself, once per client, process and change of the client.
    """
    if client.id is None or catalog.known_clients.get(client.id) == client:
        return
    with catalog.read(client, admit_all=True) as reading:
        known = all(_is_stored(reading, *row) for row in _rows(reading.model, client))
    if not known:
        with catalog.write(client, admit_all=True) as writing:
            for table, values in _rows(writing.model, client):
                if not _is_stored(writing, table, values):
                    _put(writing, table, values)
    catalog.known_clients[client.id] = client


def _rows(model: Model, client: Client) -> Iterator[_Row]:
    """The rows that the caller should have, as far as the catalog has tables that can hold them."""
    own = {
        "ID": client.id,
        "Display_Name": client.display_name,
        "Full_Name": client.full_name,
        "Email": client.email,
        _JSON: compact(client.document(), ordered=True),
    }
    yield from _fitting(model, "ERMrest_Client", own)
    for group in client.groups:
        if group.display_name is not None:
            yield from _fitting(model, "ERMrest_Group", {"ID": group.id, "Display_Name": group.display_name})


def _fitting(model: Model, name: str, values: Mapping[str, str | None]) -> Iterator[_Row]:
    """The row for a table of schema ``public``, unless its owners made it one that cannot hold it."""
    public = model.schemas.get("public")
    table = public.tables.get(name) if public else None
    if table is None or check.find_key(table, ("ID",)) is None:
        return
    fitting = {
        column.name: values[column.name]
        for column in table.columns
        if column.name in values and column.type.name == ("jsonb" if column.name == _JSON else "text")
    }
    required = {column.name for column in table.columns if not column.nullok} - {*SYSTEM_COLUMNS}
    if "ID" in fitting and not any(fitting.get(column) is None for column in required):
        yield table, fitting


def _is_stored(reading: Reading, table: Table, values: Mapping[str, str | None]) -> bool:
    telling = next(name for name in (_JSON, "Display_Name", "ID") if values.get(name) is not None)
    stored = clients.stored_value(reading.connection, table, telling, values["ID"] or "")
    if stored is None or telling != _JSON:
        return stored == values[telling]
    return bool(json.loads(stored) == json.loads(values[_JSON] or ""))


def _put(writing: Writing, table: Table, values: Mapping[str, str | None]) -> None:
    now, client = stored_time(writing.now), writing.client
    system = {
        "RID": writing.rids()[0],
        "RCT": now,
        "RMT": now,
        "RCB": client.id,
        "RMB": client.id,
    }
    clients.put_row(writing.connection, table, {**system, **values})
    writing.data_changed(table)
