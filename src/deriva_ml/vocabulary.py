"""Terms of controlled vocabularies: add, look up by name or synonym, change, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLValidationError,
)
from deriva_ml.model.graph import Table, TableName
from deriva_ml.names import did_you_mean, optional_list
from deriva_ml.reexport import room
from deriva_ml.rows.reader import Reader
from deriva_ml.session import Session

if TYPE_CHECKING:
    from deriva_ml.model import define
    from deriva_ml.schema import display
else:
    define = room("deriva_ml.model.define")
    display = room("deriva_ml.schema.display")


class VocabularyTerm(BaseModel):
    """A term of a vocabulary.

    Parameters
    ----------
    name : str
        Preferred name; what association tables hold.
    synonyms : tuple of str
    description : str
    id, uri : str
        Short and long identifier.
    rid : str
    """

    model_config = ConfigDict(populate_by_name=True, frozen=True, extra="ignore", defer_build=True)

    name: str = Field(validation_alias=AliasChoices("Name", "name"))
    synonyms: tuple[str, ...] = Field(default=(), validation_alias=AliasChoices("Synonyms", "synonyms"))
    description: str = Field(default="", validation_alias=AliasChoices("Description", "description"))
    id: str = Field(default="", validation_alias=AliasChoices("ID", "id"))
    uri: str = Field(default="", validation_alias=AliasChoices("URI", "uri"))
    rid: str = Field(default="", validation_alias=AliasChoices("RID", "rid"))

    @field_validator("synonyms", mode="before")
    @classmethod
    def _no_synonyms(cls, value: Any) -> Any:
        return () if value is None else tuple(value)

    @field_validator("description", mode="before")
    @classmethod
    def _no_description(cls, value: Any) -> Any:
        return value or ""


class VocabularyTermHandle(VocabularyTerm):
    """A term whose description and synonyms can be set, and which can be deleted, in the catalog."""

    model_config = ConfigDict(populate_by_name=True, frozen=False, extra="ignore")

    _session: Session | None = PrivateAttr(default=None)
    _table: Table | None = PrivateAttr(default=None)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        if name not in ("description", "synonyms"):
            raise DerivaMLValidationError(
                f"The {name} of a term cannot be changed; only description and synonyms can."
            )
        session, table = self._bound()
        session.require_writable("change a term")
        wanted = tuple(value) if name == "synonyms" else str(value)
        stored = list(wanted) if name == "synonyms" else wanted
        rows.update_one(session.connection, table, self.rid, **{name.capitalize(): stored})
        clear_cache(session, table)
        self.__dict__[name] = wanted

    def delete(self) -> None:
        """Delete the term from the catalog; see `delete_term`."""
        session, table = self._bound()
        delete_term(session, table, self.name)

    def _bound(self) -> tuple[Session, Table]:
        if self._session is None or self._table is None:
            raise DerivaMLException("This term came from no catalog; look it up with ml.lookup_term().")
        return self._session, self._table


def terms_of(reader: Reader, table: Table) -> list[VocabularyTerm]:
    """All terms of a vocabulary, wherever it is read from."""
    return [VocabularyTerm.model_validate(row) for row in reader.rows(table)]


def term_of(reader: Reader, table: Table, name: Any) -> VocabularyTerm:
    """The term of a name or synonym, wherever it is read from.

    Raises
    ------
    DerivaMLInvalidTerm
        If there is none.
    """
    terms = {term.name: term for term in terms_of(reader, table)}
    found = _named(terms, str(name))
    if found is None:
        known = ", ".join(sorted(terms)[:_SHOWN]) + (", …" if len(terms) > _SHOWN else "")
        raise DerivaMLInvalidTerm(
            table.name,
            str(name),
            f"{name!r} is not a term of vocabulary {table.name!r}; it has: {known or 'none'}.",
        )
    return found


_SHOWN = 20


def _named(terms: Mapping[str, VocabularyTerm], name: str) -> VocabularyTerm | None:
    """A term by name, else by synonym."""
    return terms.get(name) or next((term for term in terms.values() if name in term.synonyms), None)


def _known(session: Session, table: Table) -> dict[str, VocabularyTerm]:
    """Name to term of a vocabulary, read once per session."""
    key = (table.schema.name, table.name)
    if key not in session.terms:
        found = (VocabularyTerm.model_validate(row) for row in rows.read(session.connection, table))
        session.terms[key] = {term.name: term for term in found}
    known: dict[str, VocabularyTerm] = session.terms[key]
    return known


def clear_cache(session: Session, table: TableName | None = None) -> None:
    """Forget the terms that were read, of one vocabulary or of all."""
    if table is None:
        session.terms.clear()
    else:
        found = session.table(table)
        session.terms.pop((found.schema.name, found.name), None)


def _find(session: Session, table: Table, name: str) -> VocabularyTerm | None:
    """A term by name, else by synonym; read again once when it is not known, for others may have added it."""
    for attempt in range(2):
        fresh = (table.schema.name, table.name) not in session.terms
        found = _named(_known(session, table), name)
        if found is not None or fresh or attempt:
            return found
        clear_cache(session, table)
    return None


def _handle(session: Session, table: Table, term: VocabularyTerm) -> VocabularyTermHandle:
    handle = VocabularyTermHandle.model_validate(term.model_dump())
    handle._session, handle._table = session, table
    return handle


def list_terms(session: Session, table: TableName) -> list[VocabularyTerm]:
    """All terms of a vocabulary, as they are in the catalog now.

    Raises
    ------
    DerivaMLTableTypeError
        If the table is no vocabulary.
    """
    found = session.model.require_vocabulary(table)
    clear_cache(session, found)
    return list(_known(session, found).values())


def lookup_term(session: Session, table: TableName, term_name: str) -> VocabularyTermHandle:
    """The term of a name or synonym.

    Raises
    ------
    DerivaMLInvalidTerm
        If there is none.
    DerivaMLTableTypeError
        If the table is no vocabulary.
    """
    found = session.model.require_vocabulary(table)
    term = _find(session, found, str(term_name))
    if term is None:
        raise DerivaMLInvalidTerm(found.name, str(term_name), _unknown(session, found, str(term_name)))
    return _handle(session, found, term)


def _unknown(session: Session, table: Table, name: str) -> str:
    terms = _known(session, table)
    hint = did_you_mean(name, [*terms, *(synonym for term in terms.values() for synonym in term.synonyms)])
    if not hint and terms:
        more = f" and {len(terms) - _SHOWN} more" if len(terms) > _SHOWN else ""
        hint = f" There are: {', '.join(sorted(terms)[:_SHOWN])}{more}."
    return f"{name!r} is not a term of vocabulary {table.name!r}; add it with ml.add_term({table.name!r}, …).{hint}"


def require_terms(session: Session, table: TableName, names: Iterable[str]) -> list[str]:
    """Preferred names of some names or synonyms, in order, each once; one query at most.

    Raises
    ------
    DerivaMLInvalidTerm
        For the first that is no term.
    """
    return list(dict.fromkeys(lookup_term(session, table, name).name for name in names))


def add_term(
    session: Session,
    table: TableName,
    term_name: str,
    description: str,
    synonyms: Sequence[str] | None = None,
    exists_ok: bool = True,
) -> VocabularyTermHandle:
    """Add a term to a vocabulary.

    Parameters
    ----------
    session : Session
    table : str or Table
    term_name, description : str
    synonyms : sequence of str, optional
    exists_ok : bool
        Whether a term of that name may be there already; it is returned as it is.

    Raises
    ------
    DerivaMLTableTypeError
        If the table is no vocabulary.
    DerivaMLInvalidTerm
        If the term exists and `exists_ok` is false.
    """
    found = session.model.require_vocabulary(table)
    session.require_writable("add a term")
    if not isinstance(term_name, str) or not term_name.strip():
        raise DerivaMLValidationError(
            f"{term_name!r} cannot be the name of a term of {found.name!r}; give some text."
        )
    if not isinstance(description, str):
        raise DerivaMLValidationError(f"Term {term_name!r} of {found.name!r} needs a description, as text.")
    known = _known(session, found).get(term_name)
    if known is None:
        row = {"Name": term_name, "Description": description, "Synonyms": optional_list("synonyms", synonyms)}
        made = rows.insert(session.connection, found, [row], skip_conflicts=True)
        clear_cache(session, found)
        if made:
            return _handle(session, found, VocabularyTerm.model_validate(made[0]))
    if not exists_ok:
        raise DerivaMLInvalidTerm(
            found.name, term_name, f"{term_name!r} is already a term of vocabulary {found.name!r}."
        )
    return lookup_term(session, found, term_name)


def add_terms(session: Session, table: TableName, terms: Mapping[str, str]) -> None:
    """Add several terms in one request, name to description; those that exist stay as they are."""
    found = session.model.require_vocabulary(table)
    session.require_writable("add terms")
    body = [{"Name": name, "Description": text, "Synonyms": []} for name, text in terms.items()]
    rows.insert(session.connection, found, body, skip_conflicts=True)
    clear_cache(session, found)


def delete_term(session: Session, table: TableName, term_name: str) -> None:
    """Delete a term that nothing refers to.

    Raises
    ------
    DerivaMLInvalidTerm
        If there is no such term.
    DerivaMLException
        If rows refer to it.
    """
    found = session.model.require_vocabulary(table)
    session.require_writable("delete a term")
    term = lookup_term(session, found, term_name)
    values = {column: getattr(term, field) for column, field in _TERM_KEYS.items()}
    for key in found.referenced_by:
        here, there = next(iter(key.foreign_key_columns)).name, next(iter(key.referenced_columns)).name
        # Associations would let the deletion pass on to their rows.
        used = rows.count(session.connection, key.table, {here: [values[there]]}) if there in values else 0
        if used:
            raise DerivaMLException(
                f"Term {term.name!r} of {found.name} is used by {used} rows of {key.table.name}; delete these first."
            )
    try:
        rows.delete(session.connection, found, {"RID": [term.rid]})
    except DerivaMLConflictError as error:
        raise DerivaMLException(f"Term {term.name!r} of {found.name} is in use: {error}") from error
    clear_cache(session, found)


_TERM_KEYS = {"Name": "name", "ID": "id", "URI": "uri", "RID": "rid"}


def create_vocabulary(
    session: Session,
    vocab_name: str,
    comment: str = "",
    schema: str | None = None,
    update_navbar: bool = True,
) -> Table:
    """Make a vocabulary.

    Parameters
    ----------
    session : Session
    vocab_name : str
    comment : str
    schema : str, optional
        The default schema if not given.
    update_navbar : bool

    Raises
    ------
    DerivaMLException
        If a table of that name exists in the schema, or it is not clear which schema is meant.
    """
    definition = define.VocabularyTableDef(
        name=vocab_name,
        curie_template=f"{session.project_name}:{{RID}}",
        comment=comment or None,
        annotations=display.vocabulary_annotations(),
    )
    return session.create_tables([definition], schema, update_navbar)[0]
