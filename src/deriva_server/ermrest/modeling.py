"""Change the model: create, alter and delete schemas, tables, columns, keys and foreign keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from deriva_server.access.acls import Rights
from deriva_server.catalogs.catalog import Writing
from deriva_server.catalogs.registry import denied
from deriva_server.ermrest import find
from deriva_server.ermrest.call import NOTHING, Call, json_body
from deriva_server.errors import BadRequest, Conflict, MethodNotAllowed, NotFound
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
from deriva_server.model import bindings, changes, check, parse
from deriva_server.model.bulk import Bulk, check_table_bindings
from deriva_server.model.document import Documents
from deriva_server.model.elements import Column, ForeignKey, Model, Schema, Table
from deriva_server.model.parse import NewRid


def change_model(call: Call, route: ModelRoute) -> Response:
    """Carry out a POST, PUT or DELETE on a model resource.

    Raises
    ------
    MethodNotAllowed
        If the resource does not support the method.
    """
    action = _ACTIONS.get((type(route), call.request.method))
    if action is None or (isinstance(route, ForeignKeyRoute) and not route.is_full):
        raise MethodNotAllowed(f"{call.request.method} on this resource")
    body = None if call.request.method == "DELETE" else json_body(call.request)
    with call.change() as writing:
        document, status = action(_Change(call, writing), route, body)
    return call.changed(writing, document, status)


class _Change:
    """One change of the model inside its transaction."""

    def __init__(self, call: Call, writing: Writing) -> None:
        self.call = call
        self.writing = writing

    @property
    def model(self) -> Model:
        return self.writing.model

    @property
    def new_rid(self) -> NewRid:
        return lambda: self.writing.rids()[0]

    @property
    def documents(self) -> Documents:
        return self.call.documents(self.writing)

    def own(self, element: Schema | Table | None) -> None:
        self.call.require_owner(self.writing, element)

    def apply(self, model: Model, *, renames: bool = False) -> None:
        """Make `model` the catalog's; `renames` when names changed or went away."""
        self.writing.change_model(bindings.follow(self.model, model) if renames else model)

    def owned(self, model: Model, element: Schema | Table) -> Schema | Table:
        """A new element with the ownership its creator needs; refuses those who may not create it."""
        rights, client = Rights(model, self.writing.client), self.writing.client
        if isinstance(element, Schema):
            allowed, inherits = rights.catalog("create"), rights.catalog("owner")
        else:
            parent = model.schemas.get(element.schema)
            if parent is None or not rights.schema(parent, "enumerate"):
                raise Conflict(f'Schema "{element.schema}" does not exist.')
            allowed, inherits = rights.schema(parent, "create"), rights.schema(parent, "owner")
        if not allowed:
            raise denied(client, f'create "{element.name}"')
        if inherits or client.id is None:
            return element
        return replace(element, acls={"owner": [client.id], **element.acls})

    def keep_ownership(self, model: Model, element: Schema | Table) -> None:
        """Refuse a change of access lists that takes the element from the caller."""
        self.call.require_kept_ownership(model, element)


Answer = tuple[Any, int]


def _post_model(change: _Change, _route: SchemasRoute, body: Any) -> Answer:
    bulk = Bulk(change.model, change.new_rid, change.owned)
    change.apply(bulk.add(body))
    model, documents = change.model, change.documents
    created = [
        documents.schema(model.schemas[item.name])
        if isinstance(item, Schema)
        else documents.table(model.schemas[item.schema].tables[item.name])
        for item in bulk.created
    ]
    if isinstance(body, Mapping):
        return {"schemas": {document["schema_name"]: document for document in created}}, 201
    return created, 201


def _post_schema(change: _Change, route: SchemaRoute, _body: Any) -> Answer:
    bulk = Bulk(change.model, change.new_rid, change.owned)
    bulk.add_schema({"schema_name": route.schema})
    change.apply(bulk.finish())
    return NOTHING, 201


def _put_schema(change: _Change, route: SchemaRoute, body: Any) -> Answer:
    schema = find.find_schema(change.writing, route.schema)
    if schema is None:
        parse.an_object(body, "schema")
        answer, _ = _post_model(change, SchemasRoute(), body)
        return answer, 200
    change.own(schema)
    body = parse.an_object(body, "schema")
    name = _new_name(body, "schema_name")
    model = changes.alter_schema(change.model, schema, name, parse.details(body, "schema"))
    now = model.schemas[name or schema.name]
    if "acls" in body:
        change.keep_ownership(model, now)
    change.apply(model, renames=name is not None)
    return change.documents.schema(change.model.schemas[now.name], with_tables=False), 200


def _delete_schema(change: _Change, route: SchemaRoute, _body: Any) -> Answer:
    schema = find.schema_itself(change.writing, route.schema)
    change.own(schema)
    change.apply(changes.drop_schema(change.model, schema), renames=True)
    return NOTHING, 204


def _new_name(body: Mapping[str, Any], field: str) -> str | None:
    return parse.identifier(body[field], field) if body.get(field) is not None else None


def _post_table(change: _Change, route: TablesRoute, body: Any) -> Answer:
    find.schema_on_the_way(change.writing, route.schema)
    bulk = Bulk(change.model, change.new_rid, change.owned)
    bulk.add_table(body, route.schema)
    change.apply(bulk.finish())
    return change.documents.table(change.model.schemas[route.schema].tables[bulk.created[0].name]), 201


def _put_table(change: _Change, route: TableRoute, body: Any) -> Answer:
    table = find.find_table(change.writing, route.schema, route.table)
    if table is None:
        given = parse.an_object(body, "table")
        if given.get("table_name", route.table) != route.table:
            raise NotFound(f"table {route.schema}:{route.table}")
        answer, _ = _post_table(change, TablesRoute(route.schema), {**given, "table_name": route.table})
        return answer, 200
    change.own(table)
    body = parse.an_object(body, "table")
    name, schema = _new_name(body, "table_name"), _new_name(body, "schema_name")
    if schema is not None and schema != table.schema:
        target = find.schema_on_the_way(change.writing, schema)
        if not change.writing.rights.schema(target, "create"):
            raise denied(change.writing.client, f'create tables in schema "{schema}"')
    model = changes.alter_table(change.model, table, name, schema, parse.details(body, "table"))
    now = model.schemas[schema or table.schema].tables[name or table.name]
    check_table_bindings(model, now) if "acl_bindings" in body else None
    if "acls" in body:
        change.keep_ownership(model, now)
    change.apply(model, renames=name is not None or schema is not None)
    return change.documents.table(change.model.schemas[now.schema].tables[now.name]), 200


def _delete_table(change: _Change, route: TableRoute, _body: Any) -> Answer:
    table = find.table_itself(change.writing, route.schema, route.table)
    change.own(table)
    change.apply(changes.drop_table(change.model, table), renames=True)
    return NOTHING, 204


def _owned_table(change: _Change, schema: str, name: str) -> Table:
    table = find.table_on_the_way(change.writing, schema, name)
    change.own(table)
    return table


def _post_column(change: _Change, route: ColumnsRoute, body: Any) -> Answer:
    table = _owned_table(change, route.schema, route.table)
    column = parse.column(body, change.new_rid)
    model = changes.add_column(change.model, table, column)
    _check_column_bindings(model, table, column)
    change.apply(model)
    return _column_document(change, table, column.rid), 201


def _check_column_bindings(model: Model, table: Table, column: Column) -> None:
    for binding in column.acl_bindings.values():
        bindings.check_binding(model, model.schemas[table.schema].tables[table.name], binding, "column")


def _column_document(change: _Change, table: Table, rid: str) -> Any:
    now = change.model.schemas[table.schema].tables[table.name]
    return change.documents.column(now, next(column for column in now.columns if column.rid == rid))


def _put_column(change: _Change, route: ColumnRoute, body: Any) -> Answer:
    table = _owned_table(change, route.schema, route.table)
    column = find.find_column(change.writing, table, route.column)
    body = parse.an_object(body, "column")
    if column is None:
        if body.get("name", route.column) != route.column:
            raise NotFound(f"column {route.column} in table {route.schema}:{route.table}")
        answer, _ = _post_column(
            change, ColumnsRoute(route.schema, route.table), {**body, "name": route.column}
        )
        return answer, 200
    new = changes.altered_column(column, body)
    model = changes.alter_column(change.model, table, column, new)
    if "acl_bindings" in body:
        _check_column_bindings(model, table, new)
    change.apply(model, renames=new.name != column.name)
    return _column_document(change, table, column.rid), 200


def _delete_column(change: _Change, route: ColumnRoute, _body: Any) -> Answer:
    table, column = find.column_itself(change.writing, route)
    change.own(table)
    change.apply(changes.drop_column(change.model, table, column), renames=True)
    return NOTHING, 204


def _post_key(change: _Change, route: KeysRoute, body: Any) -> Answer:
    table = _owned_table(change, route.schema, route.table)
    model, key = changes.add_key(change.model, table, body, change.new_rid)
    change.apply(model)
    return [change.documents.key(table, key)], 201


def _put_key(change: _Change, route: KeyRoute, body: Any) -> Answer:
    table, key = find.find_key(change.writing, route)
    change.own(table)
    body = parse.an_object(body, "key")
    if key is None:
        if "unique_columns" in body and set(parse.key_columns(body)) != set(route.columns):
            raise BadRequest("The columns of a key in the document differ from those in the URL.")
        answer, _ = _post_key(
            change, KeysRoute(route.schema, route.table), {"unique_columns": list(route.columns), **body}
        )
        return answer[0], 200
    model, new = changes.alter_key(change.model, table, key, body)
    change.apply(model)
    return change.documents.key(table, new), 200


def _delete_key(change: _Change, route: KeyRoute, _body: Any) -> Answer:
    table, key = find.key_itself(change.writing, route)
    change.own(table)
    change.apply(changes.drop_key(change.model, table, key))
    return NOTHING, 204


def _post_foreign_key(change: _Change, route: ForeignKeysRoute, body: Any) -> Answer:
    table = _owned_table(change, route.schema, route.table)
    request = parse.foreign_key(body, table.qualified)
    model, fkey = changes.add_foreign_key(change.model, request, change.new_rid)
    _check_reference_bindings(model, fkey)
    change.apply(model)
    return [change.documents.foreign_key(table, fkey)], 201


def _check_reference_bindings(model: Model, fkey: ForeignKey) -> None:
    target = model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
    for binding in fkey.acl_bindings.values():
        bindings.check_binding(model, target, binding, "foreign_key")


def _put_foreign_key(change: _Change, route: ForeignKeyRoute, body: Any) -> Answer:
    table, fkey = find.foreign_key_itself(change.writing, route)
    change.own(table)
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    body = parse.an_object(body, "foreign key")
    _require_same_mapping(table, fkey, body)
    fields = parse.details(body, "foreign_key")
    fields |= {name: parse.action(body[name]) for name in ("on_update", "on_delete") if name in body}
    name = parse.constraint_name(body.get("names"))
    if name is not None:
        fields["name"] = name
    new = replace(fkey, **fields)
    model = changes.put_foreign_key(change.model, table, new)
    if "acl_bindings" in body:
        _check_reference_bindings(model, new)
    change.apply(model, renames=new.name != fkey.name)
    return change.documents.foreign_key(change.model.schemas[table.schema].tables[table.name], new), 200


def _require_same_mapping(table: Table, fkey: ForeignKey, body: Mapping[str, Any]) -> None:
    if "foreign_key_columns" not in body and "referenced_columns" not in body:
        return
    own = [{"column_name": name} for name in fkey.columns]
    other = [
        {"schema_name": fkey.referenced_schema, "table_name": fkey.referenced_table, "column_name": name}
        for name in fkey.referenced_columns
    ]
    given = {"foreign_key_columns": own, "referenced_columns": other, **body}
    request = parse.foreign_key({**given, "names": None}, table.qualified)
    if not check.is_same_mapping(fkey, request):
        raise BadRequest("The columns of a foreign key cannot change.")


def _delete_foreign_key(change: _Change, route: ForeignKeyRoute, _body: Any) -> Answer:
    table, fkey = find.foreign_key_itself(change.writing, route)
    change.own(table)
    change.apply(changes.drop_foreign_key(change.model, table, fkey), renames=True)
    return NOTHING, 204


_ACTIONS: dict[tuple[type, str], Callable[[_Change, Any, Any], Answer]] = {
    (SchemasRoute, "POST"): _post_model,
    (SchemaRoute, "POST"): _post_schema,
    (SchemaRoute, "PUT"): _put_schema,
    (SchemaRoute, "DELETE"): _delete_schema,
    (TablesRoute, "POST"): _post_table,
    (TableRoute, "PUT"): _put_table,
    (TableRoute, "DELETE"): _delete_table,
    (ColumnsRoute, "POST"): _post_column,
    (ColumnRoute, "PUT"): _put_column,
    (ColumnRoute, "DELETE"): _delete_column,
    (KeysRoute, "POST"): _post_key,
    (KeyRoute, "PUT"): _put_key,
    (KeyRoute, "DELETE"): _delete_key,
    (ForeignKeysRoute, "POST"): _post_foreign_key,
    (ForeignKeyRoute, "PUT"): _put_foreign_key,
    (ForeignKeyRoute, "DELETE"): _delete_foreign_key,
}
