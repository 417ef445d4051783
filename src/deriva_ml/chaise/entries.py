"""One entry more or less of what is visible in a context, or another order of them, staged."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from deriva_ml.chaise.stage import label, stage
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.annotations import name_of, plain, require_context
from deriva_ml.model.graph import Table, TableName
from deriva_ml.model.shown import check_entry
from deriva_ml.session import Session

Shown = Any
"""An entry of a list: a column name, ``(schema, constraint)``, a `PseudoColumn` or `Facet`, or its dict."""


def add_visible_column(
    session: Session, table: TableName, context: str, column: Shown, position: int | None = None
) -> list[Any]:
    """Stage one more column of a context.

    A context without a list of its own begins with what it shows now: the list of the context that it falls back on.

    Parameters
    ----------
    session : Session
    table : Table or str
    context : str
        ``filter`` is that of facets.
    column : str, (schema, constraint), PseudoColumn, Facet or dict
    position : int, optional
        Index of the new entry, negative from the end; at the end if not given.

    Returns
    -------
    list
        What the context shows, as staged.

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLValidationError
        If the table, the context or what is named does not exist, the column is there already, or the position is
        not in the list. Nothing is staged then.
    """
    return _add(session, table, tags.VISIBLE_COLUMNS, context, column, position)


def remove_visible_column(session: Session, table: TableName, context: str, column: Shown) -> list[Any]:
    """Stage one column less in a context; `column` as for `add_visible_column`, or its index.

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLValidationError
        If there is no such table, or the context does not show the column. Nothing is staged then.
    """
    return _remove(session, table, tags.VISIBLE_COLUMNS, context, column)


def reorder_visible_columns(
    session: Session, table: TableName, context: str, new_order: Sequence[Shown]
) -> list[Any]:
    """Stage another order of the columns of a context.

    Parameters
    ----------
    session : Session
    table : Table or str
    context : str
    new_order : sequence
        All entries as for `add_visible_column`, or all their indexes, in the new order.

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLValidationError
        If there is no such table, or an entry is missing, named twice, or not there. Nothing is staged then.
    """
    return _reorder(session, table, tags.VISIBLE_COLUMNS, context, new_order)


def add_visible_foreign_key(
    session: Session, table: TableName, context: str, foreign_key: Shown, position: int | None = None
) -> list[Any]:
    """Stage one more table that a row's page shows; as `add_visible_column`, for a foreign key to the table."""
    return _add(session, table, tags.VISIBLE_FOREIGN_KEYS, context, foreign_key, position)


def remove_visible_foreign_key(
    session: Session, table: TableName, context: str, foreign_key: Shown
) -> list[Any]:
    """Stage one table less on a row's page; as `remove_visible_column`."""
    return _remove(session, table, tags.VISIBLE_FOREIGN_KEYS, context, foreign_key)


def reorder_visible_foreign_keys(
    session: Session, table: TableName, context: str, new_order: Sequence[Shown]
) -> list[Any]:
    """Stage another order of the tables on a row's page; as `reorder_visible_columns`."""
    return _reorder(session, table, tags.VISIBLE_FOREIGN_KEYS, context, new_order)


def _add(
    session: Session, table: TableName, tag: str, context: str, entry: Shown, position: int | None
) -> list[Any]:
    found, context = session.table(table), require_context(tag, context)
    shown, new = _shown(found, tag, context), plain(entry)
    if new in shown:
        raise DerivaMLValidationError(
            f"{new!r} is in context {context!r} of {name_of(tag)} of {label(found)} already; change its place by reordering."
        )
    check_entry(found, tag, context, new)
    place = len(shown) if position is None else _index(position, len(shown) + 1, "position")
    return _set_list(session, found, tag, context, [*shown[:place], new, *shown[place:]])


def _remove(session: Session, table: TableName, tag: str, context: str, entry: Shown) -> list[Any]:
    found, context = session.table(table), require_context(tag, context)
    shown = _shown(found, tag, context)
    gone = _find(found, tag, context, shown, entry)
    return _set_list(session, found, tag, context, shown[:gone] + shown[gone + 1 :])


def _reorder(
    session: Session, table: TableName, tag: str, context: str, new_order: Sequence[Shown]
) -> list[Any]:
    found, context = session.table(table), require_context(tag, context)
    shown = _shown(found, tag, context)
    if not isinstance(new_order, list | tuple):
        raise DerivaMLValidationError(
            f"The new order must be a list of all {len(shown)} entries, not {new_order!r}."
        )
    places = [_find(found, tag, context, shown, entry) for entry in new_order]
    twice = next((shown[place] for place in places if places.count(place) > 1), None)
    left = [entry for place, entry in enumerate(shown) if place not in places]
    if twice is not None or left:
        wrong = f"has {twice!r} twice" if twice is not None else f"lacks {', '.join(map(repr, left))}"
        raise DerivaMLValidationError(
            f"The new order of context {context!r} of {name_of(tag)} of {label(found)} {wrong}; "
            "name each entry once, and remove what shall not be shown."
        )
    return _set_list(session, found, tag, context, [shown[place] for place in places])


def _shown(table: Table, tag: str, context: str) -> list[Any]:
    """What a context of a table shows now: its own list, or that of the context it falls back on."""
    annotation = table.annotations.get(tag) or {}
    asked, seen = context, set()
    while asked not in seen:
        seen.add(asked)
        value = annotation.get(asked)
        if isinstance(value, str):
            asked = value
        elif isinstance(value, list | Mapping):
            return copy.deepcopy(list(value.get("and", []) if isinstance(value, Mapping) else value))
        elif asked not in ("*", "filter"):
            asked = asked.rpartition("/")[0] or "*"
    raise DerivaMLValidationError(
        f"Chaise chooses what context {context!r} of {label(table)} shows: {name_of(tag)} has "
        f"{'no list' if not annotation else 'lists of ' + ', '.join(map(repr, annotation)) + ' only'}. "
        f"Give it a whole list first, with ml.set_{name_of(tag).replace('-', '_')}()."
    )


def _find(table: Table, tag: str, context: str, shown: list[Any], entry: Shown) -> int:
    """Place of an entry, which is given itself or by its index."""
    if isinstance(entry, int) and not isinstance(entry, bool):
        return _index(entry, len(shown), "index")
    wanted = plain(entry)
    if wanted not in shown:
        raise DerivaMLValidationError(
            f"Context {context!r} of {name_of(tag)} of {label(table)} does not show {wanted!r}; "
            f"it shows {', '.join(map(repr, shown)) or 'nothing'}."
        )
    return shown.index(wanted)


def _index(given: Any, size: int, name: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not -size <= given < size:
        reach = f"from 0 to {size - 1}, or from the end by {-size} to -1" if size else "in an empty list"
        raise DerivaMLValidationError(f"There is no {name} {given!r}: give a whole number {reach}.")
    return given % size


def _set_list(session: Session, table: Table, tag: str, context: str, shown: list[Any]) -> list[Any]:
    value = {"and": shown} if context == "filter" else shown
    # What else the annotation has is as it was: a context of newer pages, or a column that is gone since, is no hindrance.
    former = copy.deepcopy(table.annotations.get(tag) or {})
    stage(session, table, tag, {**former, context: value})
    return copy.deepcopy(shown)
