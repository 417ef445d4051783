"""Whole annotations of tables and columns, staged."""

from __future__ import annotations

from typing import Any

from deriva_ml.chaise.stage import column_of, stage, stage_checked
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.annotations import Display
from deriva_ml.model.graph import TableName
from deriva_ml.session import Session

Annotation = dict[str, Any]


def set_display_annotation(
    session: Session,
    table: TableName,
    annotation: Display | Annotation | None,
    column_name: str | None = None,
) -> Annotation | None:
    """Stage how a table, or a column of it, is called.

    Parameters
    ----------
    session : Session
    table : Table or str
    annotation : Display or dict, optional
        None takes it away.
    column_name : str, optional
        The table itself if not given.

    Returns
    -------
    dict or None
        What is staged.

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLValidationError
        If there is no such table or column, or Chaise would not understand the annotation. Nothing is staged then.
    """
    found = session.table(table)
    place = found if column_name is None else column_of(found, column_name)
    return stage_checked(session, found, place, tags.DISPLAY, annotation)


def set_visible_columns(session: Session, table: TableName, annotation: Any) -> Annotation | None:
    """Stage which columns pages show.

    Parameters
    ----------
    session : Session
    table : Table or str
    annotation : VisibleColumns or dict, optional
        Context to list of columns; None takes it away, so that Chaise chooses.

    Returns
    -------
    dict or None
        What is staged.

    Raises
    ------
    DerivaMLTableNotFound, DerivaMLValidationError
        If the table, a context, or a column or foreign key that is named does not exist. Nothing is staged then.

    Examples
    --------
    >>> ml.set_visible_columns("Image", {"compact": ["Filename", "RID"]})  # doctest: +SKIP
    """
    found = session.table(table)
    return stage_checked(session, found, found, tags.VISIBLE_COLUMNS, annotation)


def set_visible_foreign_keys(session: Session, table: TableName, annotation: Any) -> Annotation | None:
    """Stage which tables that refer to a row its page shows.

    Parameters and errors are those of `set_visible_columns`; the annotation is a `VisibleForeignKeys` or dict.
    """
    found = session.table(table)
    return stage_checked(session, found, found, tags.VISIBLE_FOREIGN_KEYS, annotation)


def set_table_display(session: Session, table: TableName, annotation: Any) -> Annotation | None:
    """Stage how rows of a table are named, sorted and shown.

    Parameters and errors are those of `set_visible_columns`; the annotation is a `TableDisplay` or dict.
    """
    found = session.table(table)
    return stage_checked(session, found, found, tags.TABLE_DISPLAY, annotation)


def set_column_display(
    session: Session, table: TableName, column_name: str, annotation: Any
) -> Annotation | None:
    """Stage how values of a column are shown.

    Parameters and errors are those of `set_display_annotation`; the annotation is a `ColumnDisplay` or dict.
    """
    found = session.table(table)
    return stage_checked(session, found, column_of(found, column_name), tags.COLUMN_DISPLAY, annotation)


def set_strict_preallocated_rid(session: Session, table: TableName, strict: bool = True) -> bool:
    """Stage whether rows must be inserted into a table under RIDs that were leased before.

    The library then leases one for each row that it inserts there without, such as terms and members.

    Parameters
    ----------
    session : Session
    table : Table or str
    strict : bool

    Returns
    -------
    bool
        `strict`.

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    DerivaMLValidationError
        If `strict` is neither True nor False.
    """
    found = session.table(table)
    if not isinstance(strict, bool):
        raise DerivaMLValidationError(f"strict must be True or False, not {strict!r}.")
    stage(session, found, tags.STRICT_PREALLOCATED_RID, True if strict else None)
    return strict
