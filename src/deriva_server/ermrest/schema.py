"""Read the model: ``/schema`` and the elements below."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from deriva_server.catalogs.catalog import Reading
from deriva_server.ermrest import find
from deriva_server.ermrest.call import Call, json_reply, json_text
from deriva_server.grammar.routes import (
    ColumnRoute,
    ColumnsRoute,
    ForeignKeyRoute,
    ForeignKeysRoute,
    KeyRoute,
    KeysRoute,
    ModelRoute,
    SchemaRoute,
    SchemasRoute,
    TableRoute,
    TablesRoute,
)
from deriva_server.http.message import Response
from deriva_server.names import encode_id

_KEPT = 8


class ModelReader:
    """Answers reads of model elements; keeps the last whole-model documents, which clients ask for most."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[str, str, int | None], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, call: Call, route: ModelRoute) -> Response:
        """The document of the element, or of all of a kind."""
        with call.read() as reading:
            answer = call.fresh(reading.model_version)
            if answer is not None:
                return answer
            headers = call.validators(reading.model_version)
            if isinstance(route, SchemasRoute):
                headers["Content-Type"] = "application/json"
                return Response(200, headers, self._model_text(call, reading))
            return json_reply(_READERS[type(route)](call, reading, route), 200, headers)

    def _model_text(self, call: Call, reading: Reading) -> bytes:
        key = (reading.catalog.id, call.tag(reading.model_version), reading.as_of)
        with self._lock:
            text = self._texts.get(key)
            if text is not None:
                self._texts.move_to_end(key)
                return text
        document = call.documents(reading).model(reading.model, encode_id(reading.model_snaptime))
        if call.resolved.entry.alias_target is not None:
            document["alias_target"] = call.resolved.entry.alias_target
        text = json_text(document)
        with self._lock:
            self._texts[key] = text
            while len(self._texts) > _KEPT:
                self._texts.popitem(last=False)
        return text


def _schema(call: Call, reading: Reading, route: SchemaRoute) -> Any:
    return call.documents(reading).schema(find.schema_itself(reading, route.schema))


def _tables(call: Call, reading: Reading, route: TablesRoute) -> Any:
    documents = call.documents(reading)
    schema = find.schema_on_the_way(reading, route.schema)
    return [documents.table(table) for table in documents.tables(schema)]


def _table(call: Call, reading: Reading, route: TableRoute) -> Any:
    return call.documents(reading).table(find.table_itself(reading, route.schema, route.table))


def _columns(call: Call, reading: Reading, route: ColumnsRoute) -> Any:
    documents = call.documents(reading)
    table = find.table_on_the_way(reading, route.schema, route.table)
    return [documents.column(table, column) for column in documents.columns(table)]


def _column(call: Call, reading: Reading, route: ColumnRoute) -> Any:
    return call.documents(reading).column(*find.column_itself(reading, route))


def _keys(call: Call, reading: Reading, route: KeysRoute) -> Any:
    documents = call.documents(reading)
    table = find.table_on_the_way(reading, route.schema, route.table)
    return [documents.key(table, key) for key in table.keys if reading.rights.shows_key(table, key)]


def _key(call: Call, reading: Reading, route: KeyRoute) -> Any:
    return call.documents(reading).key(*find.key_itself(reading, route))


def _foreign_keys(call: Call, reading: Reading, route: ForeignKeysRoute) -> Any:
    documents = call.documents(reading)
    table = find.table_on_the_way(reading, route.schema, route.table)
    by_columns: dict[frozenset[str], list[Any]] = {}
    for fkey in documents.foreign_keys(table):
        by_columns.setdefault(frozenset(fkey.columns), []).append(documents.foreign_key(table, fkey))
    return list(by_columns.values())


def _foreign_key(call: Call, reading: Reading, route: ForeignKeyRoute) -> Any:
    documents = call.documents(reading)
    table, found = find.foreign_keys(reading, route)
    return [documents.foreign_key(table, fkey) for fkey in found]


_READERS: dict[type, Callable[[Call, Reading, Any], Any]] = {
    SchemaRoute: _schema,
    TablesRoute: _tables,
    TableRoute: _table,
    ColumnsRoute: _columns,
    ColumnRoute: _column,
    KeysRoute: _keys,
    KeyRoute: _key,
    ForeignKeysRoute: _foreign_keys,
    ForeignKeyRoute: _foreign_key,
}
