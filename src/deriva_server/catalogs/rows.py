"""Run read and write plans on one catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from operator import itemgetter

from deriva_server.access.acls import Rights
from deriva_server.access.rights import RowAccess
from deriva_server.catalogs.catalog import Reading, Writing
from deriva_server.catalogs.twins import Twins
from deriva_server.errors import Conflict, NotFound
from deriva_server.grammar.nodes import DataPath
from deriva_server.identity import Client
from deriva_server.model.elements import Column, Model, Same, Table
from deriva_server.model.types import is_serial
from deriva_server.model.values import Stored, stored_from_json
from deriva_server.names import decode_id, stored_time
from deriva_server.plan.bind import bind, bind_path
from deriva_server.plan.relation import Format, Joined
from deriva_server.plan.writes import Clear, Field, Insert, Update, Upsert, plan_clear
from deriva_server.sql import rows as statements
from deriva_server.sql.compile import Read, compile_read, compile_rids
from deriva_server.sql.dialect import Expressions
from deriva_server.sql.join import SourceOf

_LAST_FOLLOWED = 1 << 62
Row = tuple[Stored, ...]
"""Values of one input row, in the order of the fields of a plan."""


def access(reading: Reading) -> RowAccess:
    """What the caller may do with rows."""
    return RowAccess(reading.rights, is_past=reading.as_of is not None)


def read(
    reading: Reading, request: DataPath, form: Format, limit: int | None = None, *, keep: bool = False
) -> tuple[tuple[str, ...], Iterator[list[str]]]:
    """Run a read.

    Parameters
    ----------
    keep : bool
        Remember what the request means for the next like it.

    Returns
    -------
    names : tuple of str
        Names of the outputs.
    pieces : iterator of lists of str
        One text per row, some rows at a time, while the reading lasts.

    Raises
    ------
    BadRequest, Conflict, Forbidden, Unauthorized
        As the request deserves.
    """
    x = reading.connection.dialect.expressions
    if reading.as_of is not None:
        allowed = access(reading)
        names, found = _compiled(x, allowed, request, form, limit, partial(source, reading))
    else:
        plan = _kept_read if keep else _live_read
        names, found = plan(x, Same(reading.model), reading.client, request, form, limit)
    pieces = statements.texts(
        reading.connection, found.statement, found.assemble, whole=found.is_short, parts=found.parts
    )
    return names, pieces


def _compiled(
    x: Expressions, allowed: RowAccess, request: DataPath, form: Format, limit: int | None, of: SourceOf
) -> tuple[tuple[str, ...], Read]:
    query = bind(allowed.model, request, limit)
    allowed.check_read(query)
    found = compile_read(x, query, of, form, allowed.summary(query))
    return tuple(output.name for output in query.outputs), found


def _live_read(
    x: Expressions, model: Same[Model], client: Client, request: DataPath, form: Format, limit: int | None
) -> tuple[tuple[str, ...], Read]:
    allowed = RowAccess(Rights(model.value, client))
    return _compiled(x, allowed, request, form, limit, partial(live_source, x, model.value))


_kept_read = lru_cache(maxsize=256)(_live_read)


def insert(
    writing: Writing, plan: Insert, batches: Iterable[Sequence[Row]], form: Format
) -> Iterator[list[str]]:
    """Insert rows; the texts of the rows inserted, in input order.

    Parameters
    ----------
    batches : iterable of sequences of rows
        Some rows at a time, so that no more of them is held.

    Yields
    ------
    list of str
        Some texts at a time, after everything is inserted.

    Raises
    ------
    BadRequest
        If two input rows agree on all key columns.
    Conflict
        If a key, a reference or a missing value forbids it.
    Forbidden, Unauthorized
        If the caller lacks a right.
    """
    allowed = access(writing)
    allowed.check_insert(plan, ())
    table = _whole(writing.model, plan.table)
    twins = Twins(plan.distinguishing)
    inserted = statements.Inserted(writing.connection, plan.table, stored_time(writing.now))
    with twins.preferred():
        for rows in _at_once(batches, whole=_refers_to_itself(table)):
            allowed.check_insert(plan, _references(plan.table, plan.given, rows))
            twins.add(rows)
            inserted.add(_insert(writing, plan, rows, allowed))
    yield from inserted.texts(form)


def update(
    writing: Writing, plan: Update, batches: Iterable[Sequence[Row]]
) -> Iterator[tuple[Sequence[Row], list[int]]]:
    """Update rows.

    Yields
    ------
    rows : sequence of rows
        Some input rows.
    changed : list of int
        Their indexes, once for each row that they changed.

    Raises
    ------
    BadRequest
        If two input rows have the same key values.
    Conflict
        If a key, a reference or a missing value forbids it.
    Forbidden, Unauthorized
        If the caller lacks a right.
    """
    allowed = access(writing)
    allowed.check_update(plan, ())
    twins = Twins(range(len(plan.keys)), nulls_agree=True)
    # Rows are sought by the key values from before the request.
    moves_keys = not {field.column.name for field in plan.keys}.isdisjoint(
        field.column.name for field in plan.targets
    )
    with twins.preferred():
        for rows in _at_once(batches, whole=moves_keys or _refers_to_itself(plan.table)):
            shifted = [row[len(plan.keys) :] for row in rows]
            allowed.check_update(plan, _references(plan.table, plan.targets, shifted))
            twins.add(rows)
            yield rows, [index for index, _ in _update(writing, plan, rows)]


def upsert(
    writing: Writing, plan: Upsert, batches: Iterable[Sequence[Row]], form: Format
) -> Iterator[list[str]]:
    """Update the rows that exist and insert the others; rows hold the fields of the insert plan.

    Yields
    ------
    list of str
        Some texts at a time, of the updated rows, then of the inserted ones.
    """
    allowed = access(writing)
    allowed.check_update(plan.update, ())
    table = _whole(writing.model, plan.insert.table)
    at = {field.name: index for index, field in enumerate(plan.insert.given)}
    change = _picker([at[field.name] for field in plan.update.keys + plan.update.targets])
    twins = Twins([at[field.name] for field in plan.update.keys], nulls_agree=True)
    inserted = statements.Inserted(writing.connection, plan.insert.table, stored_time(writing.now))
    updated: list[str] = []
    with twins.preferred():
        for rows in _at_once(batches, whole=_refers_to_itself(table)):
            references = _references(plan.insert.table, plan.insert.given, rows)
            allowed.check_update(plan.update, references)
            twins.add(rows)
            changed = _update(writing, plan.update, [*map(change, rows)])
            known = {index for index, _ in changed}
            fresh = [row for index, row in enumerate(rows) if index not in known]
            if fresh:
                allowed.check_insert(plan.insert, references)
                inserted.add(_insert(writing, plan.insert, fresh, allowed))
            updated.append("\n".join(dict.fromkeys(rid for _, rid in changed)))
    columns = plan.insert.table.columns
    for rids in filter(None, updated):
        yield statements.by_rids(writing.connection, plan.insert.table, columns, rids.split("\n"), form)
    yield from inserted.texts(form)


def _at_once(batches: Iterable[Sequence[Row]], *, whole: bool) -> Iterable[Sequence[Row]]:
    """The batches, or all of them as one where rows must be seen together."""
    return [[row for rows in batches for row in rows]] if whole else batches


def _picker(indexes: Sequence[int]) -> Callable[[Row], Row]:
    """Picks some values of a row."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda row: tuple(row[at] for at in indexes)


def _refers_to_itself(table: Table) -> bool:
    return any((f.referenced_schema, f.referenced_table) == table.qualified for f in table.foreign_keys)


def delete(writing: Writing, request: DataPath) -> int:
    """Delete the rows of the table that a path ends at; returns how many.

    Raises
    ------
    NotFound
        If the path selects none.
    Conflict
        If other rows refer to them.
    Forbidden, Unauthorized
        If the caller lacks a right.
    """
    allowed = access(writing)
    joined = bind_path(allowed.model, request.path)
    allowed.check_path(joined)
    allowed.check_delete(joined.table)
    rids = _selected(writing, joined)
    if not rids:
        raise NotFound("entities matching request path")
    writing.data_changed(joined.table)
    return statements.delete(writing.connection, writing.model, joined.table, rids)


def clear(writing: Writing, request: DataPath) -> int:
    """Set columns of the selected rows to NULL; returns how many rows; errors as in `delete`."""
    allowed = access(writing)
    plan: Clear = plan_clear(allowed.model, request)
    allowed.check_path(plan.joined)
    allowed.check_clear(plan.joined.table, plan.columns)
    rids = _selected(writing, plan.joined)
    if not rids:
        raise NotFound("entities matching request path")
    table = plan.joined.table
    writing.data_changed(table)
    nothing = (None,) * len(plan.columns)
    statements.update(
        writing.connection,
        writing.model,
        table,
        plan.columns,
        [(rid, nothing) for rid in rids],
        _moment(writing),
    )
    return len(rids)


def _selected(writing: Writing, joined: Joined) -> list[str]:
    """RIDs of the rows of the table that a path ends at."""
    x = writing.connection.dialect.expressions
    return statements.column(writing.connection, compile_rids(x, joined, partial(source, writing)))


def source(reading: Reading, table: Table) -> statements.Source:
    """The rows of a table, hidden columns included."""
    return reading.source(_whole(reading.model, table))


def live_source(x: Expressions, model: Model, table: Table) -> statements.Source:
    """The present rows of a table, hidden columns included."""
    return x.source(_whole(model, table))


def _whole(model: Model, table: Table) -> Table:
    return model.schemas[table.schema].tables[table.name]


def _moment(writing: Writing) -> tuple[str, str | None]:
    return stored_time(writing.now), writing.client.id


def _references(table: Table, fields: Sequence[Field], rows: Sequence[Row]) -> list[str]:
    """Names of the foreign keys that some row gives a value for."""
    given = {field.column.name: at for at, field in enumerate(fields)}
    named = {name for fkey in table.foreign_keys for name in fkey.columns}
    used = {name for name in named & given.keys() if any(row[given[name]] is not None for row in rows)}
    return [fkey.name for fkey in table.foreign_keys if not used.isdisjoint(fkey.columns)]


def _insert(writing: Writing, plan: Insert, rows: Sequence[Row], allowed: RowAccess) -> list[str]:
    """Insert and return the RIDs in input order, those of dropped rows included."""
    if not rows:
        return []
    table = _whole(writing.model, plan.table)
    given: dict[str, Sequence[Stored]] = dict(
        zip((field.column.name for field in plan.given), zip(*rows, strict=True), strict=True)
    )
    columns: dict[str, Sequence[Stored]] = {
        column.name: given[column.name] if column.name in given else _filled(writing, column, len(rows))
        for column in table.columns
    }
    rids = _rids(writing, plan, given.get("RID"), len(rows), allowed)
    moment, client = _moment(writing)
    columns["RID"] = rids
    for name, value in (("RCT", moment), ("RMT", moment), ("RCB", client), ("RMB", client)):
        own = given.get(name)
        columns[name] = [value] * len(rows) if own is None else [value if v is None else v for v in own]
    for name in plan.templated:
        columns[name] = [
            value.replace("{RID}", rid, 1) if isinstance(value, str) else value
            for value, rid in zip(columns[name], rids, strict=True)
        ]
    for column in table.columns:
        if not column.nullok and None in columns[column.name]:
            raise statements.null_conflict(table, column.name)
    complete = list(zip(*(columns[column.name] for column in table.columns), strict=True))
    writing.data_changed(table)
    statements.insert(writing.connection, writing.model, table, complete, skip=plan.skip)
    return rids


def _filled(writing: Writing, column: Column, count: int) -> Sequence[Stored]:
    if is_serial(column.type):
        return list(writing.serials(column.rid, count))
    value = None if column.default is None else stored_from_json(column.type, column.default)
    return [value] * count


def _rids(
    writing: Writing, plan: Insert, given: Sequence[Stored] | None, count: int, allowed: RowAccess
) -> list[str]:
    """RIDs of new rows; leases on explicit ones are used up."""
    if given is None:
        return writing.rids(count)
    wanted = [_explicit(rid) for rid in given]
    explicit = [rid for rid in wanted if rid is not None]
    fresh = iter(writing.rids(count - len(explicit)))
    rids = [next(fresh) if rid is None else rid for rid in wanted]
    leased = _use_leases(writing, plan.table, explicit)
    if leased < len(set(explicit)) and not allowed.is_owner:
        raise allowed.denied("give RIDs that you do not hold a lease on")
    numbers = [decode_id(rid) for rid in explicit]
    # A number near the end of the range would leave none for the rows to come.
    writing.reserve_beyond(max((number for number in numbers if number < _LAST_FOLLOWED), default=0))
    return rids


def _explicit(rid: Stored) -> str | None:
    """A RID given by a client, kept as it is spelled."""
    if rid is None:
        return None
    try:
        decode_id(str(rid))
    except ValueError as error:
        raise Conflict(f'invalid input syntax for type ermrest_rid: "{rid}"') from error
    return str(rid)


def _use_leases(writing: Writing, table: Table, rids: Sequence[str]) -> int:
    schema = writing.model.schemas.get("public")
    leases = schema.tables.get("ERMrest_RID_Lease") if schema is not None else None
    if leases is None or leases.rid == table.rid or not rids:
        return 0
    used = statements.use_leases(writing.connection, leases, writing.client.id, rids)
    if used:
        writing.data_changed(leases)
    return used


def _update(writing: Writing, plan: Update, rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Update and return index of input row and RID of each changed row."""
    if not rows:
        return []
    width = len(plan.keys)
    key_columns = [field.column for field in plan.keys]
    keys = [row[:width] for row in rows]
    found = statements.matching(writing.connection, plan.table, key_columns, keys)
    if not found:
        return []
    targets = [(at, field) for at, field in enumerate(plan.targets, width) if field.column.name != "RCT"]
    values_of = _picker([at for at, _ in targets])
    for at, field in targets:
        if not field.column.nullok and any(rows[index][at] is None for index, _ in found):
            raise statements.null_conflict(plan.table, field.column.name)
    writing.data_changed(plan.table)
    statements.update(
        writing.connection,
        writing.model,
        plan.table,
        [field.column for _, field in targets],
        [(rid, values_of(rows[index])) for index, rid in found],
        _moment(writing),
    )
    return found
