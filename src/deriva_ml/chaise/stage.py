"""Annotations are checked and staged in the local model, and sent together."""

from __future__ import annotations

import copy
from typing import Any

from deriva_ml.ermrest import annotations as wire
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.model import tags
from deriva_ml.model.annotations import name_of, plain
from deriva_ml.model.graph import Column, Table
from deriva_ml.model.shown import check_shown
from deriva_ml.names import did_you_mean
from deriva_ml.session import Session


def stage_checked(
    session: Session, table: Table, place: Table | Column, tag: str, annotation: Any
) -> dict[str, Any] | None:
    """Check a whole annotation, and stage it."""
    made_for = getattr(annotation, "TAG", tag)
    if made_for != tag:
        raise DerivaMLValidationError(
            f"A {type(annotation).__name__} is written into {name_of(made_for)}, not into {name_of(tag)}."
        )
    value: dict[str, Any] | None = plain(annotation)
    if value is not None:
        check_shown(table, tag, value, label(place))
        wrong = (
            None if tag in (tags.VISIBLE_COLUMNS, tags.VISIBLE_FOREIGN_KEYS) else wire.complaint(tag, value)
        )
        if wrong:
            raise DerivaMLValidationError(
                f"Chaise would not understand this {name_of(tag)} of {label(place)}: {wrong}."
            )
    stage(session, place, tag, value)
    return copy.deepcopy(value)


def stage(session: Session, element: Table | Column, tag: str, value: Any) -> None:
    """Write an annotation into the local model, and remember what was there."""
    former = session.staged_annotations.setdefault(_place(element), {})
    former.setdefault(tag, copy.deepcopy(element.annotations.get(tag)))
    if value is None:
        element.annotations.pop(tag, None)
    else:
        element.annotations[tag] = value
    if element.annotations.get(tag) == former[tag]:
        del former[tag]


def apply_annotations(session: Session) -> dict[str, list[str]]:
    """Send the staged annotations to the catalog, and nothing else: what others annotated meanwhile stays.

    When it is interrupted, calling it again sends the rest. ``ml.refresh_schema()`` discards what is staged instead.

    Returns
    -------
    dict
        ``schema:table`` or ``schema:table:column`` to the tags that were sent; empty when nothing was staged.

    Raises
    ------
    DerivaMLReadOnlyError, DerivaMLOfflineError
        At a snapshot, and offline; all stays staged.

    Examples
    --------
    >>> ml.set_display_annotation("Image", {"name": "Pictures"})  # doctest: +SKIP
    >>> ml.apply_annotations()  # doctest: +SKIP
    {'lab:Image': ['tag:misd.isi.edu,2015:display']}
    """
    session.require_writable("apply annotations")
    sent: dict[str, list[str]] = {}
    for place, former in session.staged_annotations.items():
        element = _element(session, place)
        for tag in list(former) if element is not None else ():
            wire.send(session.connection, element, tag)
            del former[tag]
            sent.setdefault(":".join(place), []).append(tag)
    session.staged_annotations.clear()
    return sent


def _place(element: Table | Column) -> tuple[str, ...]:
    """Names of the schema, the table and the column of an element."""
    table = getattr(element, "table", None)
    return (*_place(table), element.name) if table is not None else (element.schema.name, element.name)  # type: ignore[union-attr]  # what is in no table is one


def _element(session: Session, place: tuple[str, ...]) -> Any:
    """The element of a place, None when it was dropped since."""
    schema, table, *column = place
    try:
        found = session.model.schemas[schema].tables[table]
        return found.columns[column[0]] if column else found
    except KeyError:
        return None


def label(element: Table | Column) -> str:
    return ":".join(_place(element))


def column_of(table: Table, name: str) -> Column:
    known = table.columns.elements
    if name not in known:
        raise DerivaMLValidationError(
            f"Table {label(table)} has no column {name!r}; it has {', '.join(known)}.{did_you_mean(name, known)}"
        )
    return known[name]
