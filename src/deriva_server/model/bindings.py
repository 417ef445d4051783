"""Dynamic access rules (ACL bindings): are they well-formed, and what becomes of them when names change?

A binding walks from its table along foreign keys to a column, possibly with filters on the way. Every name on that
walk is resolved to the RID of its element, so that a binding follows renames and falls away with what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model import changes
from deriva_server.model.elements import EMPTY, Column, ForeignKey, Json, Model, Table
from deriva_server.operators import OPERATORS, written

_FIELDS = frozenset(("types", "projection", "projection_type", "scope_acl", "comment"))
_TYPES: Mapping[str, frozenset[str]] = {
    "table": frozenset(("owner", "update", "delete", "select")),
    "column": frozenset(("owner", "update", "delete", "select")),
    "foreign_key": frozenset(("owner", "insert", "update")),
}

_STEPS: Mapping[str, frozenset[str]] = {
    "outbound": frozenset(("outbound", "alias", "context")),
    "inbound": frozenset(("inbound", "alias", "context")),
    "filter": frozenset(("filter", "operator", "operand", "negate")),
    "and": frozenset(("and", "negate")),
    "or": frozenset(("or", "negate")),
}
"""Fields of a step by the one that makes it what it is."""

_OPERATORS = frozenset(written(name) for name in (*OPERATORS, "null"))

NameOf = Callable[[str], str]
"""The present name of an element by RID; raises KeyError when it is gone."""


def check_binding(model: Model, table: Table, binding: Json, kind: str) -> None:
    """Whether a binding is legal on an element.

    Parameters
    ----------
    model : Model
        Where its names are looked up.
    table : Table
        Where the walk starts: for a foreign key the referenced table.
    binding : JSON
        The document, or false to switch off an inherited one.
    kind : {"table", "column", "foreign_key"}
        What the binding is on.

    Raises
    ------
    BadRequest
        If it is malformed.
    Conflict
        If it names what does not exist, or compares what cannot hold roles.
    """
    if binding is False:
        return
    if not isinstance(binding, Mapping):
        raise BadRequest("An ACL binding must be a JSON object or false.")
    unknown = binding.keys() - _FIELDS
    if unknown:
        raise BadRequest(f'An ACL binding has no field "{sorted(unknown)[0]}".')
    types = binding.get("types")
    if not isinstance(types, list) or not types or not set(map(str, types)) <= _TYPES[kind]:
        raise BadRequest(
            f"types of an ACL binding must be a non-empty list of {', '.join(sorted(_TYPES[kind]))}."
        )
    scope = binding.get("scope_acl", ["*"])
    if not isinstance(scope, list) or not scope or not all(isinstance(role, str) for role in scope):
        raise BadRequest("scope_acl of an ACL binding must be a non-empty list of strings.")
    if not isinstance(binding.get("comment", ""), str):
        raise BadRequest("comment of an ACL binding must be a string.")
    projection_type = binding.get("projection_type", "nonnull")
    if projection_type not in ("acl", "nonnull"):
        raise BadRequest('projection_type of an ACL binding must be "acl" or "nonnull".')
    column = Walk(model, table).column(binding.get("projection"))
    if projection_type == "acl" and column.type.scalar != "text":
        raise Conflict(f'Column "{column.name}" is not text, so it cannot hold roles.')


def follow(old: Model, new: Model) -> Model:
    """Let every binding follow the names that changed from `old` to `new`; drop those that lost what they need."""
    names = _names(new)
    before = {table.rid: table for table in old.tables()}
    for table in list(new.tables()):
        was = before.get(table.rid)
        if was is None or not _has_bindings(was):
            continue
        followed = _followed_table(old, was, table, names)
        if followed is not table:
            new = changes.put_table(new, followed, table)
    return new


def _names(model: Model) -> dict[str, str]:
    names: dict[str, str] = {}
    for table in model.tables():
        names |= {column.rid: column.name for column in table.columns}
        names |= {fkey.rid: fkey.name for fkey in table.foreign_keys}
        names |= {f"schema of {fkey.rid}": table.schema for fkey in table.foreign_keys}
    return names


def _has_bindings(table: Table) -> bool:
    return (
        bool(table.acl_bindings)
        or any(column.acl_bindings for column in table.columns)
        or any(fkey.acl_bindings for fkey in table.foreign_keys)
    )


def _followed_table(old: Model, was: Table, table: Table, names: Mapping[str, str]) -> Table:
    def moved(bindings: Mapping[str, Json], before: Mapping[str, Json], start: Table) -> Mapping[str, Json]:
        if not bindings or bindings != before:
            return bindings
        kept = {name: _followed(old, start, binding, names) for name, binding in bindings.items()}
        kept = {name: binding for name, binding in kept.items() if binding is not None}
        return bindings if kept == bindings else kept

    own = moved(table.acl_bindings, was.acl_bindings, was)
    columns_before = {column.rid: column.acl_bindings for column in was.columns}
    columns = tuple(
        replace(column, acl_bindings=moved(column.acl_bindings, columns_before.get(column.rid, EMPTY), was))
        if column.acl_bindings
        else column
        for column in table.columns
    )
    fkeys_before = {fkey.rid: fkey for fkey in was.foreign_keys}
    fkeys = tuple(
        replace(fkey, acl_bindings=moved(fkey.acl_bindings, found.acl_bindings, _target(old, found)))
        if fkey.acl_bindings and (found := fkeys_before.get(fkey.rid)) is not None
        else fkey
        for fkey in table.foreign_keys
    )
    if own is table.acl_bindings and columns == table.columns and fkeys == table.foreign_keys:
        return table
    return replace(table, acl_bindings=own, columns=columns, foreign_keys=fkeys)


def _followed(old: Model, start: Table, binding: Json, names: Mapping[str, str]) -> Json | None:
    """The binding with present names, None when it lost an element it needs."""
    if not isinstance(binding, Mapping):
        return binding
    walk = Walk(old, start, names.__getitem__)
    try:
        walk.column(binding.get("projection"))
    except (KeyError, BadRequest, Conflict):
        return None
    return {**binding, "projection": walk.written}


def _kind(step: Mapping[str, Json]) -> str:
    kind = next((word for word in _STEPS if word in step), None)
    if kind is None:
        raise BadRequest(f"A step of an ACL binding must be one of {', '.join(_STEPS)}.")
    unknown = step.keys() - _STEPS[kind]
    if unknown:
        raise BadRequest(f'A step "{kind}" of an ACL binding has no field "{sorted(unknown)[0]}".')
    return kind


def _target(model: Model, fkey: ForeignKey) -> Table:
    return model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]


class Walk:
    """Resolves the projection of one binding.

    Parameters
    ----------
    model : Model
        Where names are looked up.
    table : Table
        Where the walk starts.
    name_of : callable, optional
        Gives the names with which the walk is written down again.

    Attributes
    ----------
    written : JSON
        The projection under the names of `name_of`, once walked.
    """

    def __init__(self, model: Model, table: Table, name_of: NameOf | None = None) -> None:
        self.model = model
        self.base = self.table = table
        self.aliases: dict[str, Table] = {}
        self.name_of = name_of
        self.written: Json = None

    def column(self, projection: Json) -> Column:
        """The column that a projection ends at."""
        if isinstance(projection, str):
            column = self._column(self.table, projection)
            self.written = self._written(column, projection)
            return column
        if not isinstance(projection, list) or not projection or not isinstance(projection[-1], str):
            raise BadRequest("The projection of an ACL binding must be a column, or a list that ends in one.")
        written = [self._step(step) for step in projection[:-1]]
        column = self._column(self.table, projection[-1])
        self.written = [*written, self._written(column, projection[-1])]
        return column

    def _written(self, column: Column, name: str) -> str:
        return name if self.name_of is None else self.name_of(column.rid)

    def _column(self, table: Table, name: str) -> Column:
        found = table.column_by_name.get(name)
        if found is None:
            raise Conflict(f'Column "{name}" does not exist in table "{table.schema}:{table.name}".')
        return found

    def _step(self, step: Json) -> Json:
        if not isinstance(step, Mapping):
            raise BadRequest("Steps of an ACL binding must be JSON objects.")
        kind = _kind(step)
        if kind not in ("outbound", "inbound"):
            return self._filter(step)
        if "context" in step:
            self.table = self._context(step["context"])
        return self._link(step, kind)

    def _context(self, alias: Json) -> Table:
        if alias is None:
            return self.base
        if alias not in self.aliases:
            raise BadRequest(f'Alias "{alias}" is not bound.')
        return self.aliases[str(alias)]

    def _link(self, step: Mapping[str, Json], direction: str) -> Json:
        name = step[direction]
        if not isinstance(name, list) or len(name) != 2 or not all(isinstance(part, str) for part in name):
            raise BadRequest(f"{direction} of an ACL binding must be a [schema, constraint] pair.")
        owner, fkey = self._foreign_key(name[0], name[1], direction)
        self.table = owner if direction == "inbound" else _target(self.model, fkey)
        alias = step.get("alias")
        if alias is not None:
            if not isinstance(alias, str) or alias in self.aliases:
                raise BadRequest("An alias in an ACL binding must be a string, bound once.")
            self.aliases[alias] = self.table
        if self.name_of is None:
            return step
        return {**step, direction: [self.name_of(f"schema of {fkey.rid}"), self.name_of(fkey.rid)]}

    def _foreign_key(self, schema: str, name: str, direction: str) -> tuple[Table, ForeignKey]:
        tables = self.model.schemas[schema].tables.values() if schema in self.model.schemas else ()
        for table in tables:
            for fkey in table.foreign_keys:
                if fkey.name != name:
                    continue
                near = table if direction == "outbound" else _target(self.model, fkey)
                if near.rid == self.table.rid:
                    return table, fkey
        raise Conflict(
            f'No {direction} foreign key "{schema}:{name}" on table "{self.table.schema}:{self.table.name}".'
        )

    def _filter(self, step: Mapping[str, Json]) -> Json:
        kind = _kind(step)
        if not isinstance(step.get("negate", False), bool):
            raise BadRequest("negate of an ACL binding must be true or false.")
        if kind in ("and", "or"):
            if not isinstance(step[kind], list) or not step[kind]:
                raise BadRequest(f'"{kind}" of an ACL binding must be a non-empty list of filters.')
            return {**step, kind: [self._member(member) for member in step[kind]]}
        if kind != "filter":
            raise BadRequest("Only filters can be combined in an ACL binding.")
        operator = step.get("operator", "=")
        if not isinstance(operator, str) or operator not in _OPERATORS:
            raise BadRequest(f"operator of an ACL binding must be one of {', '.join(sorted(_OPERATORS))}.")
        place = step["filter"]
        if isinstance(place, str):
            return {**step, "filter": self._written(self._column(self.table, place), place)}
        if not isinstance(place, list) or len(place) != 2 or not isinstance(place[1], str):
            raise BadRequest("filter of an ACL binding must be a column or an [alias, column] pair.")
        column = self._column(self._context(place[0]), place[1])
        return {**step, "filter": [place[0], self._written(column, place[1])]}

    def _member(self, member: Json) -> Json:
        if not isinstance(member, Mapping):
            raise BadRequest("Filters of an ACL binding must be JSON objects.")
        return self._filter(member)
