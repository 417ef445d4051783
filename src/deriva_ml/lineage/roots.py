"""What a lineage can be asked of: the four kinds of rows, who made them and who read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from deriva_ml.ermrest.rows import path_of
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLException,
    DerivaMLNotFoundError,
    DerivaMLRidsNotFound,
    DerivaMLValidationError,
)
from deriva_ml.lineage import values
from deriva_ml.lineage.edges import Edges, moment_of, time_of
from deriva_ml.lineage.links import Question, Step
from deriva_ml.lineage.questions import CONTAINER, EXECUTION, READ, Plan, Questions
from deriva_ml.names import MLTable, rid_of

if TYPE_CHECKING:
    from deriva_ml.ermrest.rids import ResolvedRid
    from deriva_ml.lineage.sources import Source
    from deriva_ml.model.graph import FeatureTable, Table
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session

Kind = Literal["Dataset", "Asset", "Feature", "Execution"]

_MAKER = "maker"
"""Place of the executions that made what was asked for, from which no walk goes on."""


@dataclass(frozen=True)
class Root:
    """What a lineage is asked of.

    Parameters
    ----------
    rid : str
    kind : str
    table : Table
    description : str, optional
    producer : str, optional
        Of a feature value.
    """

    rid: str
    kind: Kind
    table: Table
    description: str | None = None
    producer: str | None = None


def split(session: Session, rid: Any) -> tuple[Session, str, str | None]:
    """The session to ask, the plain RID, and the version of a dataset, from ``RID``, ``RID@snapshot`` or ``RID@version``.

    Raises
    ------
    DerivaMLNotFoundError
        If the catalog has no such snapshot.
    """
    if values.is_record(rid):
        rid = values.rid_of(session, rid)
    rid = rid_of(rid)
    plain, _, at = rid.partition("@") if isinstance(rid, str) else (rid, "", "")
    if "." in at:
        return session, plain, at
    if not at or at == session.connection.snapshot:
        return session, plain, None
    then = session.at(at)
    try:
        _ = then.model
    except DerivaMLCatalogNotFound as error:
        raise DerivaMLNotFoundError(
            f"{at!r} in {rid} is neither a version of a dataset, as in {plain}@1.2.0, nor a snapshot of catalog "
            f"{session.connection.catalog_id}, as in {plain}@{session.connection.snaptime()} for what is there now."
        ) from error
    return then, plain, None


# --- tables ----------------------------------------------------------------------------------------------------------


def kind_of(questions: Questions, table: Table) -> Kind | None:
    """What kind of thing the rows of a table are; None for one without lineage."""
    model = questions.model
    if table is model.ml_table(MLTable.execution):
        return "Execution"
    if table is model.ml_table(MLTable.dataset):
        return "Dataset"
    if any(assets.table is table for assets in questions.assets):
        return "Asset"
    return "Feature" if {"Feature_Name", "Execution"} <= set(table.columns.elements) else None


def _tables(questions: Questions) -> list[tuple[Table, Kind]]:
    known = ((table, kind_of(questions, table)) for table in questions.model.tables())
    return [(table, kind) for table, kind in known if kind is not None]


def _place(table: Table) -> str:
    return f"root {path_of(table)}"


def _start(table: Table, kind: Kind) -> str:
    return EXECUTION if kind == "Execution" else _place(table)


def places(questions: Questions) -> dict[str, str]:
    """Where a walk from a row of a table starts."""
    return {f"{table.schema.name}:{table.name}": _start(table, kind) for table, kind in _tables(questions)}


def _own(questions: Questions, table: Table, kind: Kind) -> Question:
    """What is asked about a row itself."""
    outputs = ["rid:=RID"]
    if "Description" in table.columns.elements and kind != "Feature":
        outputs.append("description:=Description")
    if kind == "Feature":
        feature = _feature(questions, table)
        if feature is not None:
            return values.question(feature, any(each.table is feature.target for each in questions.assets))
        outputs += ["producer:=Execution", "name:=Feature_Name"]
    return Question(path_of(table), "RID", ",".join(outputs))


def _feature(questions: Questions, table: Table) -> FeatureTable | None:
    return next((each for each in questions.features if each.table is table), None)


def plan_up(questions: Questions) -> Plan:
    """A walk to where something came from."""
    if "up" not in questions.plans:
        steps = [*questions.to_facts, *questions.up, *steps_up(questions)]
        questions.plans["up"] = Plan(steps, [*questions.facts, *looks(questions)])
    return questions.plans["up"]


def plan_down(questions: Questions) -> Plan:
    """A walk to what came of something."""
    if "down" not in questions.plans:
        steps = [*questions.to_facts, *questions.down, *steps_down(questions)]
        questions.plans["down"] = Plan(steps, [*questions.facts, *looks(questions), *looks_down(questions)])
    return questions.plans["down"]


def looks(questions: Questions) -> list[tuple[str, Question]]:
    """What to read of the row that a walk starts from."""
    return [
        (_place(table), _own(questions, table, kind))
        for table, kind in _tables(questions)
        if kind != "Execution"
    ]


def read(questions: Questions, source: Source, place: ResolvedRid, rid: str) -> Root:
    """The row that a lineage is asked of.

    Raises
    ------
    DerivaMLException
        If it has none.
    """
    table, kind = place.table, kind_of(questions, place.table)
    if kind is None:
        raise DerivaMLException(
            f"{rid} is a row of {table.name}; lineage is known of datasets, assets, feature values and executions."
        )
    if kind == "Execution":
        return Root(place.rid, kind, table)
    rows = source.ask(_own(questions, table, kind), [place.rid])
    if not rows:
        raise DerivaMLRidsNotFound([rid], f"Invalid RID {rid!r}: its row is gone.")
    (row,) = rows
    if kind != "Feature":
        return Root(place.rid, kind, table, row.get("description"))
    feature = _feature(questions, table)
    text = row["name"] if feature is None else values.text(feature, row)
    return Root(place.rid, kind, table, text, row["producer"])


# --- who made it -----------------------------------------------------------------------------------------------------


def steps_up(questions: Questions) -> list[Step]:
    """From rows to the executions that made them, and perhaps some more."""
    return [
        *_steps_to_facts(questions),
        *(
            Step(_place(table), EXECUTION, made)
            for table, kind in _tables(questions)
            if (made := _made(questions, table, kind)) is not None
        ),
    ]


def _steps_to_facts(questions: Questions) -> list[Step]:
    dataset = questions.model.ml_table(MLTable.dataset)
    pairs = [(dataset, READ), *((assets.table, assets.place) for assets in questions.assets)]
    return [
        Step(_place(table), place, Question(path_of(table), "RID", "here:=RID,there:=RID"))
        for table, place in pairs
    ]


def _made(questions: Questions, table: Table, kind: Kind) -> Question | None:
    """From rows to the executions that made them."""
    if kind == "Feature":
        return Question(path_of(table), "RID", "here:=RID,there:=Execution")
    if kind == "Dataset":
        versions = questions.ml(MLTable.dataset_version)
        return Question(versions, "Dataset", "here:=Dataset,there:=Execution", "attributegroup")
    return questions.links(table).maker_pairs if kind == "Asset" else None


def maker(root: Root, edges: Edges, version: str | None) -> str | None:
    """The execution that made what was asked for.

    Raises
    ------
    DerivaMLException
        If a dataset has no such version.
    """
    if version is not None and root.kind != "Dataset":
        raise DerivaMLValidationError(
            f"{root.rid}@{version} names a version, which only datasets have; {root.rid} is an {root.table.name}."
        )
    if root.kind == "Execution":
        return root.rid
    if root.kind == "Feature":
        return root.producer
    if root.kind == "Dataset":
        found = _version(root, edges, version)
        return found["producer"] if found else None
    return next(iter(edges.asset_producers(root.table, [root.rid]).get(root.rid, ())), None)


def producers(root: Root, edges: Edges, version: str | None) -> tuple[str | None, list[str]]:
    """The execution that made what was asked for, and of a dataset also those that made its members."""
    made = maker(root, edges, version)
    if root.kind != "Dataset":
        return made, []
    found = _version(root, edges, version)
    until = moment_of(found["snapshot"]) if found and version else None
    members = edges.member_producers([(root.rid, until)]).get((root.rid, until), [])
    return made or next(iter(members), None), members


def _version(root: Root, edges: Edges, version: str | None) -> Row | None:
    if version is None:
        return edges.current_versions([root.rid]).get(root.rid)
    known = {row["version"]: row for row in edges.versions([root.rid])}
    if version not in known:
        raise DerivaMLNotFoundError(
            f"Dataset {root.rid} has no version {version}; there are: {', '.join(sorted(known)) or 'none'}."
        )
    return known[version]


# --- who read it -----------------------------------------------------------------------------------------------------


def steps_down(questions: Questions) -> list[Step]:
    """From rows to the executions that read them, and perhaps some more."""
    dataset = questions.model.ml_table(MLTable.dataset)
    own = Question(path_of(dataset), "RID", "here:=RID,there:=RID")
    steps = [*_steps_to_facts(questions), Step(_place(dataset), CONTAINER, own)]
    steps += [Step(_place(assets.table), EXECUTION, assets.reader_pairs, True) for assets in questions.assets]
    for table, kind in _tables(questions):
        made = _made(questions, table, kind)
        if made is not None:
            steps.append(Step(_place(table), _MAKER, made))
        steps += [
            Step(_place(table), CONTAINER, question.to_datasets)
            for question in _memberships(questions, table)
        ]
    return steps


def looks_down(questions: Questions) -> list[tuple[str, Question]]:
    """What else to read on the way to those who read something."""
    return [
        (_MAKER, questions.summaries),
        (CONTAINER, questions.containers),
        (CONTAINER, questions.readers),
        *((EXECUTION, step.question) for step in questions.down if step.origin == EXECUTION),
        *((_place(assets.table), assets.reader_pairs) for assets in questions.assets),
        *(
            (_place(table), question)
            for table, _ in _tables(questions)
            for question in _memberships(questions, table)
        ),
    ]


def _memberships(questions: Questions, table: Table) -> list[Question]:
    """Which datasets have rows, or the rows that feature values are about, as members."""
    if any(assets.table is table for assets in questions.assets):
        return [each.memberships for each in questions.members if each.element.table is table]
    feature = _feature(questions, table)
    if feature is None:
        return []
    return [each.of_values(feature) for each in questions.members if each.element.table is feature.target]


def readers(root: Root, edges: Edges, version: str | None) -> list[str]:
    """Executions that read something that is no execution; those that made it are left out."""
    questions = edges.questions
    if root.kind == "Dataset":
        found = _readers_of_dataset(root.rid, edges, version)
    else:
        found = _readers_of_member(root, edges)
        if root.kind == "Asset":
            pairs = edges.ask(questions.links(root.table).reader_pairs, [root.rid])
            found |= {row["there"] for row in pairs}
    return sorted(found - {maker(root, edges, version)})


def _readers_of_dataset(rid: str, edges: Edges, version: str | None) -> set[str]:
    around = edges.containers([rid])
    candidates = edges.readers(around)
    edges.inputs(candidates)
    return {
        read.execution
        for candidate in candidates
        for read in edges.reads.get(candidate, ())
        if read.dataset in around and read.producer != read.execution
        if version is None or (read.dataset == rid and read.version == version)
    }


def _readers_of_member(root: Root, edges: Edges) -> set[str]:
    """Executions that read a version of a dataset in which something was by then."""
    since: dict[str, datetime] = {}
    for question in _memberships(edges.questions, root.table):
        for row in edges.ask(question, [root.rid]):
            moment = max(time_of(row[name]) for name in ("since", "given") if row.get(name))
            since[row["dataset"]] = min(moment, since.get(row["dataset"], moment))
    around = edges.containers(since)
    candidates = edges.readers(around)
    edges.inputs(candidates)
    return {
        read.execution
        for candidate in candidates
        for read in edges.reads.get(candidate, ())
        for inner in around.get(read.dataset, ())
        if read.until is None or since[inner] <= read.until
    }
