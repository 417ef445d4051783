"""Static access lists and their inheritance: may a caller do something to an element?

A decision is True, False, or None where it depends on the row (a dynamic binding may grant it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deriva_server.identity import Client
from deriva_server.model.elements import Column, ForeignKey, Key, Model, Schema, Table

Decision = bool | None

SUFFICING: Mapping[str, tuple[str, ...]] = {
    "owner": ("owner",),
    "create": ("create", "owner"),
    "write": ("write", "owner"),
    "insert": ("insert", "owner", "write"),
    "update": ("update", "owner", "write"),
    "delete": ("delete", "owner", "write"),
    "select": ("select", "owner", "write", "update", "delete"),
    "enumerate": ("enumerate", "owner", "create", "write", "insert", "update", "delete", "select"),
}
"""Lists of which any one suffices for a right."""

_FOR_ANONYMOUS = frozenset(("enumerate", "select"))
_DYNAMIC = frozenset(("owner", "update", "delete", "select", "insert"))
_NEVER: Mapping[str, frozenset[str]] = {
    "insert": frozenset(("RMT", "RMB")),
    "update": frozenset(("RID", "RCB", "RMT", "RMB")),
}


class Rights:
    """The decisions for one caller on one model; remembers them, so make one per request.

    Parameters
    ----------
    model : Model
        The model at the moment of the request.
    client : Client
        The caller.
    """

    def __init__(self, model: Model, client: Client) -> None:
        self.model = model
        self.roles = client.roles
        self.is_anonymous = client.is_anonymous
        self._known: dict[tuple[str, str], Decision] = {}

    def catalog(self, right: str) -> Decision:
        """Decide about the catalog."""
        return not self._closed(right) and self._listed(self.model.acls, right)

    def schema(self, schema: Schema, right: str) -> Decision:
        """Decide about a schema."""
        place = (schema.rid, right)
        if place not in self._known:
            self._known[place] = not self._closed(right) and (
                self._listed(schema.acls, right)
                or bool(self.catalog("owner"))
                or (right not in schema.acls and bool(self.catalog(right)))
            )
        return self._known[place]

    def table(self, table: Table, right: str) -> Decision:
        """Decide about a table; needs its schema to be enumerable."""
        place = (table.rid, right)
        if place not in self._known:
            self._known[place] = self._decide_table(table, right)
        return self._known[place]

    def _decide_table(self, table: Table, right: str) -> Decision:
        schema = self.model.schemas[table.schema]
        if self._closed(right) or not self.schema(schema, "enumerate"):
            return False
        if (
            self._listed(table.acls, right)
            or self.schema(schema, "owner")
            or (right not in table.acls and self.schema(schema, right))
        ):
            return True
        return None if self._bound(table.acl_bindings, right) and right != "insert" else False

    def column(self, table: Table, column: Column, right: str) -> Decision:
        """Decide about a column; it has no list for deleting, which the table decides."""
        whole = self.table(table, right)
        if whole is False or column.name in _NEVER.get(right, ()):
            return False
        if right == "delete" or not (column.acls or column.acl_bindings):
            return whole
        place = (column.rid, right)
        if place not in self._known:
            self._known[place] = self._decide_column(table, column, right, whole)
        return self._known[place]

    def _decide_column(self, table: Table, column: Column, right: str, whole: Decision) -> Decision:
        if (
            self._listed(column.acls, right)
            or self.table(table, "owner")
            or (right not in column.acls and whole is True)
        ):
            return whole
        bindings = {**table.acl_bindings, **column.acl_bindings}
        return None if self._bound(bindings, right) and right != "insert" else False

    def shows_key(self, table: Table, key: Key) -> bool:
        """Whether a key exists for the caller."""
        return all(self._usable(table, name) for name in key.columns)

    def shows_foreign_key(self, table: Table, fkey: ForeignKey) -> bool:
        """Whether a foreign key exists for the caller: both ends and itself must."""
        target = self.model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
        return (
            bool(self.table(target, "enumerate"))
            and all(self._usable(table, name) for name in fkey.columns)
            and all(self._usable(target, name) for name in fkey.referenced_columns)
            and bool(self.foreign_key(table, fkey, "enumerate"))
        )

    def _usable(self, table: Table, name: str) -> bool:
        column = table.column_by_name[name]
        return (
            bool(self.column(table, column, "enumerate"))
            and self.column(table, column, "select") is not False
        )

    def foreign_key(self, table: Table, fkey: ForeignKey, right: str) -> Decision:
        """Decide about a foreign key: for insert and update, whether rows may refer through it."""
        if right in ("insert", "update") and right not in fkey.acls:
            return True
        if (
            self._listed(fkey.acls, right)
            or self.table(table, "owner")
            or (right not in fkey.acls and self.table(table, right))
        ):
            return True
        return None if self._bound(fkey.acl_bindings, right) else False

    def foreign_key_right(self, table: Table, fkey: ForeignKey, right: str) -> Decision:
        """As `foreign_key`, but no more than the rights on its columns."""
        decisions = [self.foreign_key(table, fkey, right)]
        decisions += [self.column(table, table.column_by_name[name], right) for name in fkey.columns]
        if False in decisions:
            return False
        return None if None in decisions else True

    def owns(self, element: Schema | Table | None) -> bool:
        """Whether the caller owns an element; None stands for the catalog."""
        if element is None:
            return bool(self.catalog("owner"))
        return bool(
            self.schema(element, "owner") if isinstance(element, Schema) else self.table(element, "owner")
        )

    def _closed(self, right: str) -> bool:
        return self.is_anonymous and right not in _FOR_ANONYMOUS

    def _listed(self, acls: Mapping[str, list[str]], right: str) -> bool:
        return any(not self.roles.isdisjoint(acls.get(name) or ()) for name in SUFFICING[right])

    def _bound(self, bindings: Mapping[str, Any], right: str) -> bool:
        """Whether a binding in scope of the caller may grant the right on some rows."""
        if right not in _DYNAMIC or not bindings:
            return False
        return any(
            isinstance(binding, Mapping)
            and not self.roles.isdisjoint(binding.get("scope_acl") or ("*",))
            and not set(SUFFICING[right]).isdisjoint(binding["types"])
            for binding in bindings.values()
        )
