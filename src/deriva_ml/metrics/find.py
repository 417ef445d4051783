"""``ml.find_metrics()``: what the files of metrics of many executions say, in one table."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, get_args

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.metrics import FEATURE
from deriva_ml.errors import DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.execution.queries import conditions, require_workflow
from deriva_ml.metrics.listing import bring_up_to_date
from deriva_ml.metrics.reading import Problems, read_missing
from deriva_ml.metrics.table import FIXED, table_of
from deriva_ml.names import ExecutionStatus, MLTable, did_you_mean, one_or_more, require_number
from deriva_ml.rows.frames import frame_of_columns
from deriva_ml.specs import DatasetSpec, WorkflowSpec
from deriva_ml.workspace.metrics import MetricsFile, MetricsStore, Selection

if TYPE_CHECKING:
    from deriva_ml.session import Session

Values = Literal["last", "min", "max", "all"]

_COLUMNS = ("RID", "Workflow", "Status", "Description")
_FEW = 1000
"""Executions that are asked for by their RIDs; more are found faster among all."""


@dataclass(frozen=True)
class _Wish:
    """What is shown of the selected files, and in which order."""

    values: Values
    metrics: Sequence[str] | None
    sort: str | None
    descending: bool
    limit: int | None

    @property
    def column(self) -> str:
        """Which value of a metric stands for its file."""
        return "last" if self.values == "all" else self.values


def find_metrics(
    session: Session,
    executions: Any = None,
    *,
    workflow: WorkflowSpec | str | None = None,
    workflow_type: str | None = None,
    status: ExecutionStatus | str | None = None,
    dataset: DatasetSpec | str | None = None,
    file_name: str | None = None,
    metrics: str | Collection[str] | None = None,
    values: Values = "last",
    sort: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> Any:
    """Compare executions by the metrics that they wrote to files (``exe.metrics_file()``).

    The files are the record; every value says which one it came from. JSON lines are read, other JSON, CSV with a
    header, and YAML; names in nested objects are joined by dots. Files are read once and remembered.

    Parameters
    ----------
    session : Session
    executions : RID, Execution, ExecutionRecord or a collection of these, optional
        Only their files; those of all executions by default.
    workflow, workflow_type, status, dataset
        Only executions that match, as of ``ml.find_executions()``.
    file_name : str, optional
        Only files of this name; ``*`` and ``?`` stand for any characters.
    metrics : str or collection of str, optional
        Only these columns; ``*`` and ``?`` stand for any characters.
    values : str
        ``last``: of each metric the last value in the file; ``min`` or ``max``: its best; ``all``: a row for every
        record, for curves.
    sort : str, optional
        Metric by which files are ordered (with ``all`` by its last value); files without a number for it come last.
        By default the oldest file comes first.
    descending : bool
        Whether the highest comes first.
    limit : int, optional
        At most so many files.

    Returns
    -------
    pandas.DataFrame
        A row for each file (with ``all``, for each record): ``execution_rid``, ``workflow``, ``status``,
        ``description``, ``asset_rid`` and ``file``, with ``all`` the number of the ``record``, then a column for each
        metric; one that bears the name of another column is called ``metrics.<name>``. ``attrs["problems"]`` lists
        what could not be read: broken lines, files that are gone or not for you.

    Raises
    ------
    DerivaMLNotFoundError
        If an execution, the workflow or the dataset does not exist, or no file has that name, or a metric of that name.
    DerivaMLValidationError
        If `values` is another word, or `limit` is negative.
    DerivaMLDependencyError
        If pandas is not installed.

    Examples
    --------
    >>> ml.find_metrics(workflow_type="Training", sort="val_loss", limit=10)  # doctest: +SKIP
    """
    names = None if metrics is None else one_or_more("metrics", metrics)
    wish = _checked(_Wish(values, names, sort, descending, limit))
    session.require_online("find metrics")
    where = conditions(session, workflow, workflow_type, status, (dataset, "any"))
    selection = Selection(session.connection.snapshot or "", _chosen(session, executions, where), file_name)
    store, problems = _read(session, selection, curves=values == "all")
    shown = _ordered(store, selection, wish)
    if not shown:
        if isinstance(workflow, str):
            require_workflow(session, workflow)
        _check_name(store, selection)
    facts = _executions(session, {file.execution_rid for file in shown})
    columns = table_of(store, shown, facts, wish.column, all_records=values == "all")
    frame = frame_of_columns(_wanted(columns, store, selection, wish.metrics))
    frame.attrs["problems"] = _problems(shown, problems)
    return frame


def _checked(wish: _Wish) -> _Wish:
    if wish.values not in get_args(Values):
        known = ", ".join(map(repr, get_args(Values)))
        raise DerivaMLValidationError(f"values is one of {known}, not {wish.values!r}.")
    if wish.limit is not None:
        require_number("limit", wish.limit, least=0)
    return wish


# Which executions ----------------------------------------------------------------------------------------------------


def _chosen(session: Session, executions: Any, where: Mapping[str, Collection[Any]]) -> set[str] | None:
    """RIDs of the executions that were asked for, None for all of them."""
    if executions is None:
        if not where:
            return None
        return set(_rows(session, where, ["RID"])) if all(where.values()) else set()
    wanted = _rids(executions)
    found = _rows(session, {"RID": wanted}, _COLUMNS)
    missing = [rid for rid in wanted if rid not in found]
    if missing:
        some = ", ".join(map(repr, missing[:5])) + (
            f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        )
        raise DerivaMLNotFoundError(
            f"There is no execution {some} in {session.connection.name}; see ml.find_executions()."
        )
    accepted = {column: set(values) for column, values in where.items()}
    return {
        rid for rid, row in found.items() if all(row[column] in values for column, values in accepted.items())
    }


def _rids(executions: Any) -> list[str]:
    single = isinstance(executions, str) or hasattr(executions, "execution_rid")
    given: Iterable[Any] = [executions] if single else executions
    return list(dict.fromkeys(str(getattr(each, "execution_rid", each)) for each in given))


def _rows(
    session: Session, where: Mapping[str, Collection[Any]] | None, columns: Sequence[str]
) -> dict[str, dict[str, Any]]:
    table = session.ml_table(MLTable.execution)
    return {row["RID"]: row for row in rows.read(session.connection, table, where=where, columns=columns)}


def _executions(session: Session, rids: Collection[str]) -> dict[str, dict[str, Any]]:
    """What is shown of executions, by their RIDs; workflows by name."""
    found = _rows(session, {"RID": rids} if len(rids) <= _FEW else None, _COLUMNS)
    facts = {rid: found.get(rid, {}) for rid in rids}
    workflows = {row.get("Workflow") for row in facts.values()} - {None}
    table = session.ml_table(MLTable.workflow)
    named = rows.read(session.connection, table, where={"RID": workflows}, columns=["RID", "Name"])
    names = {row["RID"]: row["Name"] for row in named}
    for row in facts.values():
        row["Workflow"] = names.get(row.get("Workflow"))
    return facts


# Which files, and which of their values ------------------------------------------------------------------------------


def _read(session: Session, selection: Selection, *, curves: bool) -> tuple[MetricsStore, Problems]:
    """What the selected files come to."""
    document = session.connection.document()
    store = session.workspace.metrics
    bring_up_to_date(session, store, str(document["snaptime"]))
    indexed = bool((document.get("features") or {}).get(FEATURE))
    missing = store.unread(selection, curves=curves)
    return store, read_missing(session, store, missing, indexed=indexed, curves=curves)


def _ordered(store: MetricsStore, selection: Selection, wish: _Wish) -> list[MetricsFile]:
    if wish.sort is None:
        return store.files(selection)[: wish.limit]
    ranked = store.ranked(selection, wish.sort, wish.column, descending=wish.descending, limit=wish.limit)
    if wish.limit is not None and len(ranked) >= wish.limit:
        return ranked
    files = store.files(selection)
    if files and not ranked:
        _check_known(wish.sort, store.names(selection))
    first = {(file.asset_rid, file.execution_rid) for file in ranked}
    rest = [file for file in files if (file.asset_rid, file.execution_rid) not in first]
    return [*ranked, *rest][: wish.limit]


def _check_name(store: MetricsStore, selection: Selection) -> None:
    """Refuse a name that no file has."""
    if selection.name is None or store.files(selection):
        return
    names = sorted({file.name for file in store.files(replace(selection, name=None))})
    if names:
        hint = did_you_mean(selection.name, names) or f" There are: {', '.join(names[:10])}."
        raise DerivaMLNotFoundError(f"None of these files of metrics is called {selection.name!r}.{hint}")


def _check_known(wanted: str, names: Sequence[str]) -> None:
    """Refuse a metric that no file has."""
    if any(fnmatchcase(name, wanted) for name in names):
        return
    known = f" There are: {', '.join(names[:10])}." if names else " There is no other that can be read."
    hint = did_you_mean(wanted, names) or known
    raise DerivaMLNotFoundError(f"None of the selected files has a metric {wanted!r}.{hint}")


def _wanted(
    columns: Mapping[str, Sequence[Any]],
    store: MetricsStore,
    selection: Selection,
    patterns: Sequence[str] | None,
) -> dict[str, Sequence[Any]]:
    """The columns whose names match, with those that say where values come from."""
    if patterns is None:
        return dict(columns)
    found = {}
    for name, column in columns.items():
        if name in FIXED or any(fnmatchcase(name.removeprefix("metrics."), pattern) for pattern in patterns):
            found[name] = column
    if columns["asset_rid"]:
        names = store.names(selection)
        for pattern in patterns:
            _check_known(pattern, names)
    return found


def _problems(shown: Iterable[MetricsFile], unreadable: Problems) -> list[dict[str, str]]:
    """What to tell of the files that are shown."""
    found = []
    for file in shown:
        if file.problems is None and file.content is not None:
            continue
        known = json.loads(file.problems) if file.problems else []
        if file.content is None:
            known = [unreadable.get(file.place, "it cannot be read")]
        about = {"execution_rid": file.execution_rid, "asset_rid": file.asset_rid, "file": file.name}
        found += [{**about, "problem": problem} for problem in known]
    return found
