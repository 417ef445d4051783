"""Membership and types of datasets: adding and taking away."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deriva_ml import vocabulary
from deriva_ml.dataset.release import changing, require_changeable
from deriva_ml.dataset.view import children, lookup_row, types_of
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.rids import resolve_rids
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLCycleError,
    DerivaMLDatasetNotFound,
    DerivaMLValidationError,
)
from deriva_ml.model.elements import dataset_element
from deriva_ml.names import MLTable, MLVocab, is_rid, one_or_more, require_list, rid_of

if TYPE_CHECKING:
    from deriva_ml.model.graph import Element
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

Members = Iterable[str] | Mapping[str, Iterable[str]]
"""RIDs, or table name to RIDs."""

ByElement = list[tuple["Element", list[str]]]
"""Element types, and RIDs of their rows."""

_CHUNK = 10_000
_NAMED = 5


def add(
    session: Session,
    dataset_rid: str,
    members: Members,
    *,
    validate: bool = True,
    description: str = "",
    execution_rid: str | None = None,
) -> None:
    """Make rows members of a dataset; its version becomes a dev version, or advances to the next one.

    Parameters
    ----------
    session : Session
    dataset_rid : str
    members : iterable of str, or mapping of table to iterable of str
        RIDs, or datasets and assets. With a mapping their tables need not be looked up.
    validate : bool
        Whether to check that none of them is a member already; without the check those are left as they are.
    description : str
        What is noted with the dev version.
    execution_rid : str, optional
        What makes the change.

    Raises
    ------
    DerivaMLValidationError
        If a row is a member already, or of a table whose rows cannot be members.
    DerivaMLRidsNotFound
        If an RID does not exist.
    DerivaMLCycleError
        If the dataset would contain itself.
    DerivaMLDatasetNotFound
        If it would contain one that is deleted.
    """
    require_changeable(session, dataset_rid)
    by_element = _by_element(session, members)
    if not by_element:
        return
    started = _Started(session, dataset_rid, "add", by_element)
    for element, rids in by_element:
        if isinstance(members, Mapping):
            _check_rows(session, element, rids)
        if validate and not started.before:
            _check_new(session, dataset_rid, element, rids)
        if element.table is session.ml_table(MLTable.dataset):
            _check_alive(session, element, rids)
            _check_acyclic(session, dataset_rid, rids)
    with started.noted(), changing(session, dataset_rid, description, execution_rid):
        for element, rids in by_element:
            insert_memberships(session, element, [(dataset_rid, rid) for rid in rids])


class _Started:
    """Remembers on this disk that a change of members is being written.

    An interruption leaves it written in part, or wholly; the same call then writes the rest, instead of refusing what
    it wrote before.
    """

    def __init__(self, session: Session, dataset_rid: str, verb: str, by_element: ByElement) -> None:
        self._store = session.workspace.changes
        asked = [verb, sorted((element.association.name, sorted(rids)) for element, rids in by_element)]
        self._key = dataset_rid, hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        self.before = self._store.is_begun(*self._key)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Write in the block."""
        self._store.begin(*self._key)
        yield
        self._store.end(*self._key)


def insert_memberships(session: Session, element: Element, pairs: Collection[tuple[str, str]]) -> None:
    """Write pairs of a dataset and a member; those that are there stay."""
    new = [{element.dataset_column: dataset, element.element_column: rid} for dataset, rid in pairs]
    try:
        rows.insert(session.connection, element.association, new, skip_conflicts=True, chunk=_CHUNK)
    except DerivaMLConflictError as error:
        raise DerivaMLValidationError(
            f"Not all of the {len(new)} RIDs given for {element.table.name} are rows of it: {error}"
        ) from error


def remove(
    session: Session,
    dataset_rid: str,
    members: Members,
    *,
    description: str = "",
    execution_rid: str | None = None,
) -> None:
    """Take members out of a dataset; the rows themselves stay.

    Parameters
    ----------
    session, dataset_rid, members, description, execution_rid
        As for `add`. What is no member is named in a warning and left alone.

    Raises
    ------
    DerivaMLValidationError
        If none of them is a member, or a table is given whose rows cannot be members.
    DerivaMLRidsNotFound
        If an RID does not exist.
    """
    require_changeable(session, dataset_rid)
    by_element = _by_element(session, members)
    started = _Started(session, dataset_rid, "remove", by_element)
    present = [(element, _members_among(session, dataset_rid, element, rids)) for element, rids in by_element]
    given = [rid for _, rids in by_element for rid in rids]
    found = {rid for _, rids in present for rid in rids}
    missing = [rid for rid in given if rid not in found]
    if missing and not started.before:
        if not found:
            raise DerivaMLValidationError(
                f"Not in dataset {dataset_rid}: {_listed(missing)}. Nothing was removed."
            )
        logger.warning("Not in dataset %s, so not removed: %s.", dataset_rid, _listed(missing))
    if not given:
        return
    with started.noted(), changing(session, dataset_rid, description, execution_rid):
        for element, rids in present:
            where = {element.dataset_column: [dataset_rid], element.element_column: rids}
            rows.delete(session.connection, element.association, where)


def _by_element(session: Session, members: Members) -> ByElement:
    if isinstance(members, Mapping):
        given = [(dataset_element(session.model, name), _rids(rids)) for name, rids in members.items()]
        return [(element, rids) for element, rids in given if rids]
    members = _rids(members)
    by_table: dict[tuple[str, str], list[str]] = {}
    for rid, place in resolve_rids(session.connection, session.model, members).items():
        by_table.setdefault((place.schema_name, place.table_name), []).append(rid)
    return [(dataset_element(session.model, name), rids) for name, rids in by_table.items()]


def _rids(given: Any) -> list[str]:
    given = [given] if hasattr(given, "dataset_rid") else require_list("members", given, of="RIDs")
    rids = [getattr(one, "dataset_rid", rid_of(one)) for one in given]
    for rid in rids:
        if not is_rid(rid):
            raise DerivaMLValidationError(
                f"members must be a list of RIDs, or a mapping of table to such a list; {rid!r} is no RID."
            )
    return list(dict.fromkeys(rid.partition("@")[0] for rid in rids))


def _check_rows(session: Session, element: Element, rids: Collection[str]) -> None:
    """RIDs given for a table must be those of its rows."""
    present = rows.present(session.connection, element.table, "RID", rids)
    if missing := [rid for rid in rids if rid not in present]:
        raise DerivaMLValidationError(
            f"Not rows of {element.table.name}: {_listed(missing)}. Nothing was added."
        )


def _check_new(session: Session, dataset_rid: str, element: Element, rids: Collection[str]) -> None:
    if known := sorted(_members_among(session, dataset_rid, element, rids)):
        raise DerivaMLValidationError(
            f"Already in dataset {dataset_rid}: {_listed(known)} ({element.table.name}). Nothing was added; pass "
            "validate=False to add only the others."
        )


def _members_among(session: Session, dataset_rid: str, element: Element, rids: Collection[str]) -> set[str]:
    where = {element.dataset_column: [dataset_rid]}
    return rows.present(session.connection, element.association, element.element_column, rids, where)


def _listed(rids: list[str]) -> str:
    more = f" and {len(rids) - _NAMED} more" if len(rids) > _NAMED else ""
    return f"{', '.join(rids[:_NAMED])}{more}"


def _check_alive(session: Session, element: Element, nested: Collection[str]) -> None:
    gone = sorted(rows.present(session.connection, element.table, "RID", nested, {"Deleted": [True]}))
    if gone:
        raise DerivaMLDatasetNotFound(
            gone[0],
            f"Deleted, so it cannot be nested in another dataset: {_listed(gone)}. Nothing was added.",
        )


def _check_acyclic(session: Session, dataset_rid: str, nested: Collection[str]) -> None:
    if dataset_rid in nested:
        raise DerivaMLCycleError([dataset_rid, dataset_rid])
    below = children(session.reader, nested, recurse=True)
    if dataset_rid in below:
        start = next(rid for rid in nested if dataset_rid in children(session.reader, [rid], recurse=True))
        raise DerivaMLCycleError([dataset_rid, start, dataset_rid])


def set_types(
    session: Session,
    dataset_rid: str,
    *,
    add_types: Iterable[str] = (),
    remove_types: Iterable[str] = (),
    execution_rid: str | None = None,
) -> bool:
    """Add and take away types of a dataset; the version advances when something changes.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    DerivaMLInvalidTerm
        If a name is no term of Dataset_Type.
    """
    require_changeable(session, dataset_rid)
    wanted = {_type_name(session, name) for name in add_types}
    unwanted = {_type_name(session, name) for name in remove_types}
    lookup_row(session.reader, dataset_rid)
    present = set(types_of(session.reader, [dataset_rid])[dataset_rid])
    new, gone = sorted(wanted - present), sorted(unwanted & present)
    if not new and not gone:
        return False
    note = ", ".join([f"+{name}" for name in new] + [f"-{name}" for name in gone])
    with changing(session, dataset_rid, f"Types changed: {note}", execution_rid):
        insert_types(session, [(dataset_rid, name) for name in new])
        if gone:
            table, dataset_column, type_column = type_table(session)
            rows.delete(session.connection, table, {dataset_column: [dataset_rid], type_column: gone})
    return True


def insert_types(session: Session, pairs: Iterable[tuple[str, str]]) -> None:
    """Write pairs of a dataset and a type; those that are there stay."""
    table, dataset_column, type_column = type_table(session)
    new = [{dataset_column: rid, type_column: name} for rid, name in pairs]
    rows.insert(session.connection, table, new, skip_conflicts=True)


def type_table(session: Session) -> tuple[Any, str, str]:
    """Table that says which types datasets have, with its columns of datasets and of types."""
    return session.model.find_association(
        session.ml_table(MLTable.dataset), session.ml_table(MLVocab.dataset_type)
    )


def _type_name(session: Session, name: Any) -> str:
    text = getattr(name, "name", name)
    if not isinstance(text, str):
        raise DerivaMLValidationError(
            f"The type of a dataset cannot be {name!r}; give a term of Dataset_Type by its name."
        )
    return str(vocabulary.lookup_term(session, MLVocab.dataset_type, text).name)


def type_names(session: Session, names: str | Iterable[str] | None) -> list[str]:
    """Terms of Dataset_Type for names or synonyms, without repetition.

    Raises
    ------
    DerivaMLInvalidTerm
        If a name is no term.
    """
    given = one_or_more("dataset_types", names)
    return list(dict.fromkeys(_type_name(session, name) for name in given))
