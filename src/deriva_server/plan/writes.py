"""What a request to change rows means: which table, which columns come from the client, which from the server."""

from __future__ import annotations

from collections.abc import Iterable

from deriva_server.errors import BadRequest, Conflict
from deriva_server.grammar import nodes
from deriva_server.grammar.nodes import DataPath
from deriva_server.model.check import require_column
from deriva_server.model.elements import SYSTEM_COLUMNS, Column, Model, Table
from deriva_server.plan.bind import bind_path
from deriva_server.plan.links import find_table
from deriva_server.plan.relation import Joined
from deriva_server.values import Frozen

_TEMPLATE_NAMES = frozenset(("ID", "URI", "id", "uri"))
_TEMPLATE_TYPES = frozenset(("ermrest_uri", "ermrest_curie"))


class Field(Frozen, frozen=True):
    """A field of the input: its name there, and the column it is for."""

    name: str
    column: Column


class Insert(Frozen, frozen=True):
    """New rows.

    Parameters
    ----------
    table : Table
        Where.
    given : tuple of Field
        Columns whose values the client sends.
    defaulted : tuple of Field
        Columns that the server fills.
    skip : bool
        Drop rows that violate a key instead of failing.
    """

    table: Table
    given: tuple[Field, ...]
    defaulted: tuple[Field, ...]
    skip: bool = False

    @property
    def distinguishing(self) -> tuple[int, ...]:
        """Indexes of the given fields that belong to a key: no two input rows may agree on all of them."""
        keyed = {name for key in self.table.keys for name in key.columns}
        return tuple(at for at, field in enumerate(self.given) if field.column.name in keyed)

    @property
    def templated(self) -> tuple[str, ...]:
        """Columns in which the first ``{RID}`` is replaced by the row's RID."""
        return tuple(
            column.name
            for column in self.table.columns
            if column.name in _TEMPLATE_NAMES and column.type.name in _TEMPLATE_TYPES
        )


class Update(Frozen, frozen=True):
    """Changed rows: every row whose key columns equal those of an input row gets its target values."""

    table: Table
    keys: tuple[Field, ...]
    targets: tuple[Field, ...]


class Upsert(Frozen, frozen=True):
    """Rows to update where the key columns match, and to insert otherwise."""

    update: Update
    insert: Insert


class Clear(Frozen, frozen=True):
    """Columns to set to NULL in the rows of a path."""

    joined: Joined
    columns: tuple[Column, ...]


def plan_insert(
    model: Model,
    request: DataPath,
    defaults: Iterable[str] = (),
    nondefaults: Iterable[str] = (),
    onconflict: str | None = None,
) -> Insert:
    """Plan ``POST /entity/S:T``.

    Parameters
    ----------
    model : Model
        What the caller can see.
    request : DataPath
        The parsed URL.
    defaults, nondefaults : iterables of str
        Column names of the options; the latter win.
    onconflict : str or None
        ``abort`` or ``skip``.

    Raises
    ------
    BadRequest
        If the path is more than one table, or an option has an unknown value.
    Conflict
        If a column does not exist, or none is left for the client.
    """
    table = _single_table(model, request)
    if onconflict not in (None, "abort", "skip"):
        raise BadRequest(f"onconflict must be abort or skip, not {onconflict!r}.")
    kept = {require_column(table, name).name for name in nondefaults}
    filled = ({require_column(table, name).name for name in defaults} | set(SYSTEM_COLUMNS)) - kept
    fields = [Field(column.name, column) for column in table.columns]
    given = tuple(field for field in fields if field.name not in filled)
    if not given:
        raise Conflict(f'No column of table "{table.name}" is left to be given by the client.')
    defaulted = tuple(field for field in fields if field.name in filled)
    return Insert(table, given, defaulted, onconflict == "skip")


def plan_update(model: Model, request: DataPath) -> Update:
    """Plan ``PUT /attributegroup/S:T/keys;targets``.

    Raises
    ------
    BadRequest
        If the path is more than one table, there is no target, or an expression is no plain column.
    Conflict
        If a column does not exist.
    """
    table = _single_table(model, request)
    keys = tuple(_field(table, item, request.path) for item in request.columns)
    targets = tuple(_field(table, item, request.path) for item in request.leaves)
    if not targets:
        raise BadRequest("An update needs at least one target column after the semicolon.")
    names = [field.name for field in keys + targets]
    if len(set(names)) != len(names):
        raise BadRequest("Two fields of an update have the same name; rename one, as in old:=ID;new:=ID.")
    storages = [field.column.name for field in targets]
    if len(set(storages)) != len(storages):
        raise BadRequest("A column is the target of two fields.")
    return Update(table, keys, targets)


def plan_upsert(model: Model, request: DataPath) -> Upsert:
    """Plan ``PUT /entity/S:T``.

    Raises
    ------
    BadRequest
        If the path is more than one table.
    Conflict
        If the table has no key that clients manage.
    """
    insert = plan_insert(model, request)
    table = insert.table
    keyed = {
        name for key in table.keys if not set(key.columns) <= set(SYSTEM_COLUMNS) for name in key.columns
    } - set(SYSTEM_COLUMNS)
    if not keyed:
        raise Conflict("Entity PUT requires at least one client-managed key for input correlation.")
    keys = tuple(field for field in insert.given if field.name in keyed)
    targets = tuple(field for field in insert.given if field.name not in keyed)
    return Upsert(Update(table, keys, targets), insert)


def plan_clear(model: Model, request: DataPath) -> Clear:
    """Plan ``DELETE /attribute/<path>/columns``.

    Raises
    ------
    BadRequest
        If an output is no plain column.
    Conflict
        If a column belongs to another table of the path, or may not be null.
    """
    joined = bind_path(model, request.path)
    table = joined.table
    keyed = {name for key in table.keys for name in key.columns}
    columns = []
    for item in request.columns:
        if not isinstance(item.expression, nodes.QName) or item.alias is not None:
            raise BadRequest(f"{item} is not a plain column.")
        *prefix, name = item.expression.parts
        if prefix and not _is_context(request.path, prefix, joined):
            raise Conflict(f'"{item}" is not a column of the table whose rows are changed.')
        column = require_column(table, name)
        if not column.nullok or column.name in keyed:
            raise Conflict(f'Column "{name}" is part of a key or must not be null.')
        columns.append(column)
    return Clear(joined, tuple(columns))


def _is_context(path: nodes.Path, prefix: list[str], joined: Joined) -> bool:
    """Whether a prefix is an alias of the instance that the path ends at."""
    instance = 0
    bound = dict.fromkeys(path.aliases, 0)
    for step in path.steps:
        if isinstance(step, (nodes.TableLink, nodes.ColumnLink)):
            instance += 1
            if step.alias is not None:
                bound[step.alias] = instance
    return len(prefix) == 1 and bound.get(prefix[0]) == joined.context


def _single_table(model: Model, request: DataPath) -> Table:
    if request.path.steps:
        raise BadRequest("Rows can only be written to a single table without filters and links.")
    table = find_table(model, request.path.table)
    if table.kind != "table":
        raise Conflict(f'"{table.name}" is a view; its rows cannot be written.')
    return table


def _field(table: Table, item: nodes.Item, path: nodes.Path) -> Field:
    if not isinstance(item.expression, nodes.QName):
        raise BadRequest(f"{item} is not a plain column.")
    *prefix, name = item.expression.parts
    if prefix and not (len(prefix) == 1 and prefix[0] in path.aliases):
        raise BadRequest(f'"{item.expression}" does not name a column of table "{table.name}".')
    return Field(item.alias or name, require_column(table, name))
