"""Membership and types of datasets: adding and taking away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from deriva_ml import vocabulary
from deriva_ml.dataset.release import advance
from deriva_ml.dataset.view import children, lookup_row, types_of
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.rids import resolve_rids
from deriva_ml.errors import DerivaMLConflictError, DerivaMLCycleError, DerivaMLValidationError
from deriva_ml.names import MLTable, MLVocab, is_rid

if TYPE_CHECKING:
    from deriva_ml.model.graph import Element
    from deriva_ml.session import Session

Members = Iterable[str] | Mapping[str, Iterable[str]]
"""RIDs, or table name to RIDs."""

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
        RIDs. With a mapping their tables need not be looked up.
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
    """
    by_element = _by_element(session, members)
    if not any(rids for _, rids in by_element):
        return
    for element, rids in by_element:
        if isinstance(members, Mapping):
            _check_rows(session, element, rids)
        if validate:
            _check_new(session, dataset_rid, element, rids)
        if element.table is session.ml_table(MLTable.dataset):
            _check_acyclic(session, dataset_rid, rids)
    advance(session, dataset_rid, description, execution_rid)
    for element, rids in by_element:
        insert_members(session, dataset_rid, element, rids)


def insert_members(session: Session, dataset_rid: str, element: Element, rids: Collection[str]) -> None:
    """Write membership rows; those that are there stay."""
    new = [{element.dataset_column: dataset_rid, element.element_column: rid} for rid in rids]
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
    """Take members out of a dataset; the rows themselves stay. Parameters and errors as for `add`."""
    by_element = [(element, rids) for element, rids in _by_element(session, members) if rids]
    if not by_element:
        return
    advance(session, dataset_rid, description, execution_rid)
    for element, rids in by_element:
        where = {element.dataset_column: [dataset_rid], element.element_column: rids}
        rows.delete(session.connection, element.association, where)


def _by_element(session: Session, members: Members) -> list[tuple[Element, list[str]]]:
    if isinstance(members, Mapping):
        return [(session.model.dataset_element(name), _rids(rids)) for name, rids in members.items()]
    members = _rids(members)
    by_table: dict[tuple[str, str], list[str]] = {}
    for rid, place in resolve_rids(session.connection, session.model, members).items():
        by_table.setdefault((place.schema_name, place.table_name), []).append(rid)
    return [(session.model.dataset_element(name), rids) for name, rids in by_table.items()]


def _rids(given: Any) -> list[str]:
    if isinstance(given, str):
        raise DerivaMLValidationError(f"Members must be a list of RIDs or a mapping, not the text {given!r}.")
    rids = list(given) if isinstance(given, Iterable) else [given]
    for rid in rids:
        if not is_rid(rid):
            raise DerivaMLValidationError(
                f"Members must be a list of RIDs, or a mapping of table to such a list; {rid!r} is no RID."
            )
    return list(dict.fromkeys(rid.partition("@")[0] for rid in rids))


def _check_rows(session: Session, element: Element, rids: Collection[str]) -> None:
    """RIDs given for a table must be those of its rows."""
    where = {"RID": rids} if len(rids) <= rows.CHUNK else {}
    present = {row["RID"] for row in session.reader.rows(element.table, where=where, columns=["RID"])}
    missing = [rid for rid in rids if rid not in present]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DerivaMLValidationError(
            f"Not rows of {element.table.name}: {', '.join(missing[:_NAMED])}{more}. Nothing was added."
        )


def _check_new(session: Session, dataset_rid: str, element: Element, rids: Collection[str]) -> None:
    where = {element.dataset_column: [dataset_rid]}
    if len(rids) <= rows.CHUNK:
        where[element.element_column] = list(rids)
    wanted = set(rids)
    present = session.reader.rows(element.association, where=where, columns=["RID", element.element_column])
    known = sorted(row[element.element_column] for row in present if row[element.element_column] in wanted)
    if known:
        more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        raise DerivaMLValidationError(
            f"Already in dataset {dataset_rid}: {', '.join(known[:_NAMED])}{more} ({element.table.name})."
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
    wanted = {_type_name(session, name) for name in add_types}
    unwanted = {_type_name(session, name) for name in remove_types}
    lookup_row(session.reader, dataset_rid)
    present = set(types_of(session.reader, [dataset_rid])[dataset_rid])
    new, gone = sorted(wanted - present), sorted(unwanted & present)
    if not new and not gone:
        return False
    note = ", ".join([f"+{name}" for name in new] + [f"-{name}" for name in gone])
    advance(session, dataset_rid, f"Types changed: {note}", execution_rid)
    insert_types(session, dataset_rid, new)
    if gone:
        table, dataset_column, type_column = _type_table(session)
        rows.delete(session.connection, table, {dataset_column: [dataset_rid], type_column: gone})
    return True


def insert_types(session: Session, dataset_rid: str, types: Iterable[str]) -> None:
    """Write type rows of a dataset; those that are there stay."""
    table, dataset_column, type_column = _type_table(session)
    new = [{dataset_column: dataset_rid, type_column: name} for name in types]
    rows.insert(session.connection, table, new, skip_conflicts=True)


def _type_table(session: Session) -> tuple[Any, str, str]:
    return session.model.find_association(
        session.ml_table(MLTable.dataset), session.ml_table(MLVocab.dataset_type)
    )


def _type_name(session: Session, name: Any) -> str:
    return str(vocabulary.lookup_term(session, MLVocab.dataset_type, str(getattr(name, "name", name))).name)


def type_names(session: Session, names: str | Iterable[str] | None) -> list[str]:
    """Terms of Dataset_Type for names or synonyms, without repetition.

    Raises
    ------
    DerivaMLInvalidTerm
        If a name is no term.
    """
    given = [names] if isinstance(names, str) else list(names or ())
    return list(dict.fromkeys(_type_name(session, name) for name in given))
