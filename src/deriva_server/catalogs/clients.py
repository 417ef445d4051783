"""Register callers in the catalog, so that rows can refer to whoever made them."""

from __future__ import annotations

import json

from deriva_server.catalogs.catalog import Catalog, Writing
from deriva_server.identity import Client
from deriva_server.model.elements import Model, Table
from deriva_server.model.values import compact
from deriva_server.names import stored_time
from deriva_server.sql import clients

_NEEDED = frozenset(("RID", "RCT", "RMT", "RCB", "RMB", "ID", "Client_Object"))


def register(catalog: Catalog, client: Client) -> None:
    """See that the caller has an up-to-date row in ``public:ERMrest_Client``.

    Commits by itself, once per client, process and change of the client.
    """
    if client.id is None or catalog.known_clients.get(client.id) == client:
        return
    with catalog.read(client, admit_all=True) as reading:
        table = client_table(reading.model)
        stored = None if table is None else clients.stored_client(reading.connection, table, client.id)
        known = table is None or (stored is not None and json.loads(stored) == client.document())
    if not known:
        with catalog.write(client, admit_all=True) as writing:
            put(writing)
    catalog.known_clients[client.id] = client


def put(writing: Writing) -> None:
    """Write the row of the caller."""
    table, client = client_table(writing.model), writing.client
    if table is None:
        return
    now = stored_time(writing.now)
    clients.put_client(
        writing.connection,
        table,
        {
            "RID": writing.rids()[0],
            "RCT": now,
            "RMT": now,
            "RCB": client.id,
            "RMB": client.id,
            "ID": client.id,
            "Display_Name": client.display_name,
            "Full_Name": client.full_name,
            "Email": client.email,
            "Client_Object": _client_object(client),
        },
    )
    writing.data_changed(table)


def client_table(model: Model) -> Table | None:
    """The table of clients, where the catalog still has it."""
    public = model.schemas.get("public")
    table = public.tables.get("ERMrest_Client") if public else None
    return table if table is not None and table.column_by_name.keys() >= _NEEDED else None


def _client_object(client: Client) -> str:
    return compact(client.document(), ordered=True)
