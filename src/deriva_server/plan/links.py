"""Which rows of two tables a step of a path relates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deriva_server.errors import BadRequest, Conflict
from deriva_server.grammar.nodes import ColumnLink, QName
from deriva_server.model.check import require_column, require_table
from deriva_server.model.elements import Column, ForeignKey, Model, Table

Pairs = tuple[tuple[Column, Column], ...]


def find_table(model: Model, name: QName) -> Table:
    """The table that a name of one or two parts means.

    Raises
    ------
    Conflict
        If there is none, or a bare name fits tables of several schemas.
    BadRequest
        If the name has more parts.
    """
    if len(name.parts) > 2:
        raise BadRequest(f"A table name has at most two parts: {name}.")
    if len(name.parts) == 2:
        return require_table(model, *name.parts)
    found = model.tables_by_name.get(name.parts[0], ())
    if len(found) != 1:
        problem = "does not exist" if not found else "exists in several schemas; write schema:table"
        raise Conflict(f'Table "{name.parts[0]}" {problem}.')
    return found[0]


def between(left: Table, right: Table) -> tuple[Pairs, ...]:
    """The foreign keys between two tables, either direction, as pairs of left and right columns.

    Raises
    ------
    Conflict
        If there is none, or both are the same table.
    """
    if left.rid == right.rid:
        raise Conflict(f'A link from table "{left.name}" to itself is ambiguous; name the columns.')
    found = tuple(
        [_pairs(left, fkey, right) for fkey in left.foreign_keys if _refers(fkey, right)]
        + [_flip(_pairs(right, fkey, left)) for fkey in right.foreign_keys if _refers(fkey, left)]
    )
    if not found:
        raise Conflict(f'No foreign key links tables "{left.name}" and "{right.name}".')
    return found


def by_columns(
    model: Model, context: int, tables: list[Table], aliases: Mapping[str, int], link: ColumnLink
) -> tuple[int, Table, Pairs]:
    """The other table of a link with named columns.

    Returns
    -------
    instance : int
        Where the link starts.
    table : Table
        Where it leads.
    pairs : tuple of column pairs
        What must be equal.
    """
    first = link.left[0].parts
    if link.right is None and (len(first) == 3 or (len(first) == 2 and first[0] not in aliases)):
        right, names = _model_columns(model, link.left)
        return context, right, _only(_right_candidates(tables[context], right, names), link)
    start, lefts = _left_columns(context, tables, aliases, link.left)
    if link.right is None:
        table, pairs = _other_end(model, tables[start], lefts, link)
        return start, table, pairs
    if len(link.left) != len(link.right):
        raise BadRequest(f"Both sides of the link {link} must name as many columns.")
    first_right = link.right[0].parts
    if len(first_right) == 1 or (len(first_right) == 2 and first_right[0] in aliases):
        raise Conflict(f"The right side of the link {link} must name columns of a table, as table:column.")
    right, names = _model_columns(model, link.right)
    return start, right, tuple(zip(lefts, [require_column(right, name) for name in names], strict=True))


def _left_columns(
    context: int, tables: list[Table], aliases: Mapping[str, int], names: tuple[QName, ...]
) -> tuple[int, list[Column]]:
    starts, columns = set(), []
    for name in names:
        *prefix, column = name.parts
        if len(prefix) > 1 or (prefix and prefix[0] not in aliases):
            raise Conflict(f'"{name}" is not a column of the path.')
        start = aliases[prefix[0]] if prefix else context
        starts.add(start)
        columns.append(require_column(tables[start], column))
    if len(starts) != 1:
        raise Conflict("The left side of a link must name columns of one table instance.")
    return starts.pop(), columns


def _model_columns(model: Model, names: tuple[QName, ...]) -> tuple[Table, list[str]]:
    table = find_table(model, QName(names[0].parts[:-1]))
    columns = []
    for name in names:
        if len(name.parts) > 3:
            raise BadRequest(f"A column name has at most three parts: {name}.")
        if len(name.parts) > 1 and find_table(model, QName(name.parts[:-1])).rid != table.rid:
            raise Conflict("One side of a link must name columns of one table.")
        columns.append(require_column(table, name.parts[-1]).name)
    return table, columns


def _other_end(model: Model, table: Table, columns: list[Column], link: ColumnLink) -> tuple[Table, Pairs]:
    names = {column.name for column in columns}
    found: list[tuple[Table, Pairs]] = []
    for fkey in table.foreign_keys:
        if set(fkey.columns) == names:
            other = find_table(model, QName((fkey.referenced_schema, fkey.referenced_table)))
            found.append((other, _pairs(table, fkey, other)))
    for other, fkey in model.referrers.get(table.qualified, ()):
        if set(fkey.referenced_columns) == names:
            found.append((other, _flip(_pairs(other, fkey, table))))
    if len(found) != 1:
        raise _not_one(link, len(found))
    return found[0]


def _right_candidates(context: Table, right: Table, names: list[str]) -> Iterator[Pairs]:
    for fkey in right.foreign_keys:
        if set(fkey.columns) == set(names) and _refers(fkey, context):
            yield _flip(_pairs(right, fkey, context))
    for fkey in context.foreign_keys:
        if set(fkey.referenced_columns) == set(names) and _refers(fkey, right):
            yield _pairs(context, fkey, right)


def _only(found: Iterator[Pairs], link: ColumnLink) -> Pairs:
    listed = list(found)
    if len(listed) != 1:
        raise _not_one(link, len(listed))
    return listed[0]


def _not_one(link: ColumnLink, count: int) -> Conflict:
    return Conflict(f"The link {link} fits {'no' if not count else 'more than one'} foreign key.")


def _refers(fkey: ForeignKey, table: Table) -> bool:
    return (fkey.referenced_schema, fkey.referenced_table) == table.qualified


def _pairs(table: Table, fkey: ForeignKey, other: Table) -> Pairs:
    return tuple(
        (table.column_by_name[here], other.column_by_name[there])
        for here, there in zip(fkey.columns, fkey.referenced_columns, strict=True)
    )


def _flip(pairs: Pairs) -> Pairs:
    return tuple((there, here) for here, there in pairs)
