"""Workflows: register the code that runs once per checksum, look registered ones up, change their description."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from deriva_ml import markup, vocabulary
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.ordering import Sort, ordered
from deriva_ml.ermrest.patience import repeated_when_lost
from deriva_ml.errors import DerivaMLException, DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.names import MLTable, MLVocab
from deriva_ml.rows.reader import Row
from deriva_ml.specs import WorkflowSpec
from deriva_ml.workflow import capture
from deriva_ml.workflow.git import repository_root

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_TYPES = "Workflow_Workflow_Type"


class Workflow(WorkflowSpec):
    """The code that runs.

    Without `url`, `checksum` and `workflow_rid` the calling script or notebook is identified by git. Uncommitted
    changes, or code outside a repository with an origin, are warned about; ``DERIVA_ML_STRICT=true`` makes them an
    error, ``DERIVA_ML_ALLOW_DIRTY=true`` (or `allow_dirty`) accepts them silently.

    A workflow that comes from a catalog is live: assigning `description` or `workflow_type` writes to the catalog.

    Raises
    ------
    DerivaMLWorkflowError
        If strictness is asked for and the code cannot be identified (`DerivaMLDirtyWorkflowError` for uncommitted
        changes).

    Examples
    --------
    >>> workflow = ml.create_workflow("Training", "Training", "Fine-tune")  # doctest: +SKIP
    """

    _session: Session | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Identify the code unless that is given."""
        super().model_post_init(context)
        if self.workflow_rid is None and self.url is None and self.checksum is None:
            code = capture.capture(self.allow_dirty)
            for name in ("url", "checksum", "is_notebook", "git_root"):
                self.__dict__[name] = getattr(code, name)
            self.__dict__["version"] = self.version or code.version
            self.__pydantic_fields_set__.update(("url", "checksum", "version", "is_notebook", "git_root"))

    def __setattr__(self, name: str, value: Any) -> None:
        if self._live_session is None or name not in {"description", "workflow_type"}:
            super().__setattr__(name, value)
        elif name == "description":
            _write_description(self._live_session, self._registered_rid, value)
            super().__setattr__(name, value)
        else:
            self._replace_types([value] if isinstance(value, str) else list(value))

    def _repr_html_(self) -> str:
        facts = {
            "Workflow": self.workflow_rid,
            "Types": ", ".join(self.workflow_type),
            "Description": self.description,
            "URL": self.url,
            "Version": self.version,
            "Checksum": self.checksum,
        }
        return markup.facts(facts, self.name or "")

    @property
    def _live_session(self) -> Session | None:
        private = self.__dict__.get("__pydantic_private__") or self.__pydantic_private__
        return private.get("_session") if private else None

    @property
    def _registered_rid(self) -> str:
        if self.workflow_rid is None:
            raise DerivaMLException("This workflow is not registered; pass it to ml.add_workflow() first.")
        return self.workflow_rid

    def _bound(self) -> Session:
        if self._live_session is None:
            raise DerivaMLException(
                "This workflow is not bound to a catalog; take it from ml.lookup_workflow() to change it there."
            )
        return self._live_session

    @property
    def workflow_types(self) -> list[str]:
        """Names of its types; of a live workflow as the catalog has them now."""
        if self._live_session is not None:
            self.__dict__["workflow_type"] = _types_of(self._live_session, [self._registered_rid])[
                self._registered_rid
            ]
        return list(self.workflow_type)

    def add_workflow_type(self, workflow_type: str) -> None:
        """Add a type in the catalog.

        Raises
        ------
        DerivaMLInvalidTerm
            If the vocabulary Workflow_Type has no such term.
        DerivaMLException
            If this workflow does not come from a catalog, or from a snapshot of one.
        """
        self.add_workflow_types([workflow_type])

    def add_workflow_types(self, workflow_types: Iterable[str]) -> None:
        """Add types in the catalog; those it has already are left alone."""
        session = self._bound()
        names = valid_types(session, workflow_types)
        _insert_types(session, self._registered_rid, names)
        self.__dict__["workflow_type"] = list(dict.fromkeys([*self.workflow_type, *names]))

    def remove_workflow_type(self, workflow_type: str) -> None:
        """Remove a type in the catalog; one that it does not have is ignored."""
        session = self._bound()
        [name] = valid_types(session, [workflow_type])
        where = {"Workflow": [self._registered_rid], "Workflow_Type": [name]}
        rows.delete(session.connection, (session.ml_schema, _TYPES), where)
        self.__dict__["workflow_type"] = [item for item in self.workflow_type if item != name]

    def _replace_types(self, workflow_types: Sequence[str]) -> None:
        names = valid_types(self._bound(), workflow_types)
        for name in set(self.workflow_types) - set(names):
            self.remove_workflow_type(name)
        self.add_workflow_types(names)

    @staticmethod
    def get_url_and_checksum(executable_path: Path | str, allow_dirty: bool = False) -> tuple[str, str]:
        """URL and checksum of a file of code; see `deriva_ml.workflow.capture.identify`."""
        return capture.identify(Path(executable_path), allow_dirty=allow_dirty)

    @staticmethod
    def get_dynamic_version(root: str | os.PathLike[str] | None = None) -> str | None:
        """Version of the code in a repository, from its tags."""
        return capture.dynamic_version(Path(root) if root is not None else None)


def create(
    session: Session, name: str, workflow_type: str | Iterable[str], description: str = ""
) -> Workflow:
    """Describe the code that calls; it is registered when an execution is created with it.

    Parameters
    ----------
    session : Session
    name : str
    workflow_type : str or iterable of str
        Terms of the vocabulary Workflow_Type.
    description : str
        Markdown.

    Raises
    ------
    DerivaMLInvalidTerm
        If a type is unknown.
    DerivaMLValidationError
        If the name is no text or empty, or the types are none.
    """
    if not isinstance(name, str) or not name.strip():
        raise DerivaMLValidationError(f"{name!r} cannot be the name of a workflow; give some text.")
    given = [workflow_type] if isinstance(workflow_type, str) else workflow_type
    names = list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(item, str) for item in names):
        raise DerivaMLValidationError(
            f"workflow_type of {name!r} cannot be {workflow_type!r}; give a term of Workflow_Type, or a list of them."
        )
    types = valid_types(session, names)
    return Workflow(name=name, workflow_type=types, description=description)


def add(session: Session, workflow: WorkflowSpec) -> str:
    """Register a workflow, or find it: same checksum or same URL is the same workflow.

    Code that is in no file, as that of an interactive session, is told apart by its name.

    Parameters
    ----------
    session : Session
    workflow : WorkflowSpec
        Its `workflow_rid` is set, unless it has the one that another catalog gave it.

    Returns
    -------
    str
        RID of the workflow in this catalog.

    Raises
    ------
    DerivaMLInvalidTerm
        If a type is unknown.
    DerivaMLNotFoundError
        If it is no more than a RID, which no workflow of this catalog has.
    """
    rid = _given_rid(session, workflow)
    if rid is None:
        types = valid_types(session, workflow.workflow_type)
        found = _same_code(session, workflow)
        if found and found[0]["Name"] != workflow.name:
            logger.warning(
                "The code of workflow %r is registered as %r (%s) already, and its runs are known as that: a workflow is a "
                "file of code, not a name. Keep code of another name in a file of its own.",
                workflow.name,
                found[0]["Name"],
                found[0]["RID"],
            )
        rid = str(found[0]["RID"]) if found else _insert(session, workflow, types)
        if workflow.workflow_rid is None or workflow._catalog is None:
            workflow.__dict__["workflow_rid"] = rid
            workflow._catalog = _place(session)
    return rid


def find_rid(session: Session, workflow: WorkflowSpec) -> str | None:
    """RID of a workflow in this catalog, None where it is not registered; nothing is written.

    Raises
    ------
    DerivaMLNotFoundError
        If it is no more than a RID, which no workflow of this catalog has.
    """
    rid = _given_rid(session, workflow)
    if rid is None and (found := _same_code(session, workflow)):
        rid = str(found[0]["RID"])
    return rid


def known_as(session: Session, workflow: WorkflowSpec, rid: str | None) -> WorkflowSpec:
    """The workflow with the RID that this catalog has for it: itself, or a copy where it has that of another."""
    if workflow.workflow_rid == rid and not is_of_another(session, workflow):
        return workflow
    copy = workflow.model_copy(update={"workflow_rid": rid})
    copy._catalog = _place(session)
    if isinstance(copy, Workflow):
        copy._session = None
    return copy


def is_of_another(session: Session, workflow: WorkflowSpec) -> bool:
    """Whether another catalog gave a workflow its RID."""
    return workflow._catalog not in (None, _place(session))


def _place(session: Session) -> tuple[str, str]:
    return session.connection.authority, str(session.connection.catalog_id)


def _given_rid(session: Session, workflow: WorkflowSpec) -> str | None:
    """The RID that a workflow has, where it is of this catalog; what users and files give may be of another."""
    rid = workflow.workflow_rid
    if rid is None or workflow._catalog == _place(session):
        return rid
    if is_of_another(session, workflow):
        return None
    if workflow.url is None and workflow.checksum is None:
        return lookup(session, rid).workflow_rid
    column = "URL" if workflow.checksum is None else "Checksum"
    where = {"RID": [rid], column: [getattr(workflow, column.lower())]}
    return rid if rows.count(session.connection, session.ml_table(MLTable.workflow), where) else None


def _insert(session: Session, workflow: WorkflowSpec, types: Sequence[str]) -> str:
    row = {
        "Name": workflow.name,
        "Description": workflow.description,
        "URL": workflow.url,
        "Checksum": workflow.checksum,
        "Version": workflow.version,
    }
    table = (session.ml_schema, MLTable.workflow)
    inserted = repeated_when_lost(
        session.connection.authority, lambda: rows.insert(session.connection, table, [row])
    )
    rid = str(inserted[0]["RID"])
    # Many jobs of a sweep may register the same code at once, and a lost answer leaves a row behind, and the table has
    # no key against it: the oldest row stays, the others are taken back before anything refers to them.
    known = _same_code(session, workflow)
    if known and known[0]["RID"] != rid:
        rows.delete(session.connection, table, {"RID": [rid]})
        rid = str(known[0]["RID"])
    # The oldest row may be the one whose answer was lost, which nobody has given its types.
    _insert_types(session, rid, types)
    return rid


def _same_code(session: Session, workflow: WorkflowSpec) -> list[Row]:
    """Rows of the same code, oldest first; of code that is in no file, those of the same name."""
    identity = workflow.checksum or workflow.url
    if identity not in (None, capture.REPL_CHECKSUM) or workflow.url is not None:
        return _find_rows(session, identity)
    named = _find_rows(session, workflow.name, ("Name",))
    return [row for row in named if row["URL"] is None and row["Checksum"] == workflow.checksum]


def _find_rows(
    session: Session, wanted: str | None, columns: Sequence[str] = ("Checksum", "URL")
) -> list[Row]:
    """Rows with a value in the first of some columns that has it in any, oldest first."""
    table = (session.ml_schema, MLTable.workflow)
    found: dict[str, Row] = {}
    for column in columns if wanted else ():
        for row in rows.read(session.connection, table, where={column: [wanted]}):
            found[row["RID"]] = row
        if found:
            break
    return sorted(found.values(), key=lambda row: (row["RCT"], row["RID"]))


def lookup(session: Session, workflow_rid: str) -> Workflow:
    """The workflow of a RID.

    Raises
    ------
    DerivaMLNotFoundError
        If there is none.
    """
    found = lookup_many(session, [workflow_rid])
    if workflow_rid not in found:
        raise DerivaMLNotFoundError(
            f"There is no workflow {workflow_rid!r} in this catalog; see ml.find_workflows()."
        )
    return found[workflow_rid]


def lookup_many(session: Session, workflow_rids: Iterable[str]) -> dict[str, Workflow]:
    """Workflows by RID, those that exist."""
    wanted = sorted(set(workflow_rids))
    if not wanted:
        return {}
    table = (session.ml_schema, MLTable.workflow)
    return _live(session, list(rows.read(session.connection, table, where={"RID": wanted})))


def lookup_by_url(session: Session, url_or_checksum: str) -> Workflow:
    """The workflow of a URL or checksum, the oldest if there are several.

    Raises
    ------
    DerivaMLNotFoundError
        If there is none.
    """
    found = _find_rows(session, url_or_checksum)
    if not found:
        raise DerivaMLNotFoundError(
            f"No workflow of this catalog has URL or checksum {url_or_checksum!r}; make one with "
            "ml.create_workflow(name, workflow_type), or see ml.find_workflows()."
        )
    return next(iter(_live(session, found[:1]).values()))


def find(session: Session, sort: Sort = None) -> list[Workflow]:
    """All workflows.

    Parameters
    ----------
    session : Session
    sort : optional
        True for the newest first; a function that gives columns of a path, ``lambda path: path.RCT.desc``.
    """
    table = (session.ml_schema, str(MLTable.workflow))
    found = list(rows.read(session.connection, table))
    return list(_live(session, ordered(session.connection, table, found, sort)).values())


def _live(session: Session, found: Sequence[Row]) -> dict[str, Workflow]:
    types = _types_of(session, [row["RID"] for row in found])
    made = {}
    for row in found:
        workflow = Workflow(
            name=row["Name"],
            description=row["Description"],
            url=row["URL"],
            checksum=row["Checksum"],
            version=row["Version"],
            workflow_rid=row["RID"],
            workflow_type=types[row["RID"]],
        )
        workflow._session, workflow._catalog = session, _place(session)
        made[row["RID"]] = workflow
    return made


def _types_of(session: Session, workflow_rids: Sequence[str]) -> dict[str, list[str]]:
    types: dict[str, list[str]] = {rid: [] for rid in workflow_rids}
    if types:
        table = (session.ml_schema, _TYPES)
        for row in rows.read(session.connection, table, where={"Workflow": workflow_rids}):
            types[row["Workflow"]].append(row["Workflow_Type"])
    return types


def valid_types(session: Session, names: Iterable[str]) -> list[str]:
    """Names of terms of the vocabulary Workflow_Type.

    Raises
    ------
    DerivaMLInvalidTerm
        If one is unknown.
    """
    return [
        vocabulary.lookup_term(session, MLVocab.workflow_type, name).name for name in dict.fromkeys(names)
    ]


def _insert_types(session: Session, workflow_rid: str, names: Iterable[str]) -> None:
    new = [{"Workflow": workflow_rid, "Workflow_Type": name} for name in names]
    if new:
        # With its keys known, the insert is completed when its answer is lost.
        rows.insert(session.connection, session.ml_table(_TYPES), new, skip_conflicts=True)


def _write_description(session: Session, workflow_rid: str, description: str | None) -> None:
    row = {"RID": workflow_rid, "Description": description}
    rows.update(session.connection, (session.ml_schema, MLTable.workflow), [row], columns=["Description"])


def git_root_of(workflow: WorkflowSpec) -> Path | None:
    """Repository of the code: as captured, else that of the working directory."""
    return workflow.git_root or repository_root(Path.cwd())
