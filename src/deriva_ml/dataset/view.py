"""Everything that can be read from a dataset, once, over a reader: live, at a version, or in a downloaded bag."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.dataset import version as labels
from deriva_ml.errors import DerivaMLDatasetNotFound, DerivaMLException, DerivaMLValidationError
from deriva_ml.feature.feature import find_features, lookup_feature
from deriva_ml.feature.record import Feature, FeatureRecord
from deriva_ml.feature.select import Selector
from deriva_ml.feature.values import feature_values
from deriva_ml.model.elements import dataset_element
from deriva_ml.names import RID, DatasetVersion, MLTable, MLVocab, require_number
from deriva_ml.records import DatasetHistory
from deriva_ml.rows.reader import Reader, Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import Element, Table


def lookup_row(reader: Reader, rid: str, *, deleted: bool = True) -> Row:
    """Return the row of a dataset.

    Raises
    ------
    DerivaMLDatasetNotFound
        If there is none, or it is deleted and `deleted` is False.
    """
    rows = list(reader.rows(reader.model.ml_table(MLTable.dataset), where={"RID": [rid]}))
    if not rows:
        raise DerivaMLDatasetNotFound(rid)
    if rows[0]["Deleted"] and not deleted:
        raise DerivaMLDatasetNotFound(rid, f"Dataset {rid} is deleted; pass deleted=True to see it.")
    return rows[0]


def history(reader: Reader, rids: Collection[str]) -> list[DatasetHistory]:
    """Versions of some datasets, ascending."""
    rows = reader.rows(reader.model.ml_table(MLTable.dataset_version), where={"Dataset": list(rids)})
    entries = [
        DatasetHistory(
            dataset_version=DatasetVersion(row["Version"]),
            dataset_rid=row["Dataset"],
            version_rid=row["RID"],
            execution_rid=row["Execution"],
            description=row["Description"] or "",
            minid=row["Minid"],
            spec_hash=row["Minid_Spec_Hash"],
            snapshot=row["Snapshot"],
        )
        for row in rows
    ]
    return sorted(entries, key=lambda entry: entry.dataset_version)


def types_of(reader: Reader, rids: Collection[str]) -> dict[str, list[str]]:
    """Dataset types of some datasets, sorted."""
    model = reader.model
    table, dataset_column, type_column = model.find_association(
        model.ml_table(MLTable.dataset), model.ml_table(MLVocab.dataset_type)
    )
    found: dict[str, list[str]] = {rid: [] for rid in rids}
    for row in reader.rows(table, where={dataset_column: list(rids)}):
        found[row[dataset_column]].append(row[type_column])
    return {rid: sorted(types) for rid, types in found.items()}


def children(reader: Reader, rids: Iterable[str], *, recurse: bool = False) -> list[RID]:
    """RIDs of datasets nested in others, nearest first."""
    return _related(reader, rids, downward=True, recurse=recurse)


def parents(reader: Reader, rids: Iterable[str], *, recurse: bool = False) -> list[RID]:
    """RIDs of datasets that contain others, nearest first."""
    return _related(reader, rids, downward=False, recurse=recurse)


def _related(reader: Reader, rids: Iterable[str], *, downward: bool, recurse: bool) -> list[RID]:
    nesting = dataset_element(reader.model, reader.model.ml_table(MLTable.dataset))
    here, there = nesting.dataset_column, nesting.element_column
    if not downward:
        here, there = there, here
    level, found = list(rids), dict[str, None]()
    seen = set(level)
    while level:
        rows = reader.rows(nesting.association, where={here: level})
        # Order of nesting is the order in which rows were made: RIDs tell nothing, creation times do.
        related = [row[there] for row in sorted(rows, key=lambda row: (row["RCT"], row["RID"]))]
        found.update(dict.fromkeys(related))
        level = [rid for rid in dict.fromkeys(related) if rid not in seen] if recurse else []
        seen.update(level)
    return list(found)


def nesting(reader: Reader, rids: Collection[str]) -> list[tuple[RID, RID]]:
    """Pairs of a dataset and one of some datasets that is nested in it."""
    pair = dataset_element(reader.model, reader.model.ml_table(MLTable.dataset))
    columns = [pair.dataset_column, pair.element_column]
    found = reader.rows(pair.association, where={pair.element_column: rids}, columns=columns)
    return [(row[pair.dataset_column], row[pair.element_column]) for row in found]


def member_keys(reader: Reader, rids: Collection[str]) -> dict[str, list[Any]]:
    """Keys of the members of some datasets, by element table, without repetition.

    A key is the RID of the member, for every element table that is no vocabulary.
    """
    return {element.table.name: keys_of(reader, element, rids) for element in reader.model.dataset_elements()}


def keys_of(reader: Reader, element: Element, rids: Collection[str]) -> list[Any]:
    """Keys of the members of some datasets in one element table, without repetition."""
    rows = reader.rows(
        element.association,
        where={element.dataset_column: list(rids)},
        columns=["RID", element.element_column],
    )
    return list(dict.fromkeys(row[element.element_column] for row in rows))


def members(reader: Reader, rids: Collection[str], limit: int | None = None) -> dict[str, list[Row]]:
    """Rows of the members of some datasets, by element table, in RID order and without repetition."""
    keys = member_keys(reader, rids)
    found: dict[str, list[Row]] = {}
    for element in reader.model.dataset_elements():
        wanted = keys[element.table.name]
        if limit is not None:
            wanted = sorted(wanted)[:limit]
        rows = reader.rows(element.table, where={element.element_key: wanted}) if wanted else iter(())
        found[element.table.name] = sorted(rows, key=lambda row: str(row["RID"]))
    return found


def workflow_executions(reader: Reader, workflow: Any) -> list[RID]:
    """RIDs of the executions of a workflow, sorted.

    Parameters
    ----------
    reader : Reader
    workflow : str or Workflow
        Its RID, a workflow type, or, where it is neither, its name.

    Raises
    ------
    DerivaMLException
        If there are none.
    """
    asked = getattr(workflow, "workflow_rid", workflow)
    if not isinstance(asked, str):
        raise DerivaMLValidationError(
            f"{workflow!r} is no workflow; give its RID, its name or a workflow type."
        )
    model = reader.model
    table = model.ml_table(MLTable.workflow)
    vocabulary = model.ml_table(MLVocab.workflow_type)
    types, workflow_column, type_column = model.find_association(table, vocabulary)
    terms = reader.rows(vocabulary, columns=["Name", "Synonyms"])
    named = [row["Name"] for row in terms if asked == row["Name"] or asked in (row["Synonyms"] or ())]
    of_type = (row[workflow_column] for row in reader.rows(types, where={type_column: named}) if named)
    found = _executions(reader, {asked, *of_type})
    if not found:
        found = _executions(
            reader, {row["RID"] for row in reader.rows(table, where={"Name": [asked]}, columns=["RID"])}
        )
    if not found:
        raise DerivaMLException(
            f"No execution of a workflow {asked!r} is known here; give the RID or name of a workflow that was run, or "
            "a workflow type."
        )
    return found


def _executions(reader: Reader, workflows: Collection[str]) -> list[RID]:
    table = reader.model.ml_table(MLTable.execution)
    rows = reader.rows(table, where={"Workflow": workflows}, columns=["RID"]) if workflows else ()
    return sorted(row["RID"] for row in rows)


class DatasetView(ABC):
    """What can be read from a dataset, wherever it is; `Dataset` and `DatasetBag` build on it.

    Parameters
    ----------
    dataset_rid : str
    """

    def __init__(self, dataset_rid: str) -> None:
        self.dataset_rid = dataset_rid

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DatasetView)
            and type(other) is type(self)
            and other.dataset_rid == self.dataset_rid
        )

    def __hash__(self) -> int:
        return hash(self.dataset_rid)

    @abstractmethod
    def _reader(self, version: DatasetVersion | str | None = None) -> Reader:
        """Where this dataset is read from; at a released version if one is given."""

    @abstractmethod
    def _reached(
        self, feature: Feature, reader: Reader, version: DatasetVersion | str | None
    ) -> Collection[str] | None:
        """RIDs of the rows of a feature's target that belong to this dataset; None for all that the reader has."""

    @property
    def dataset_types(self) -> list[str]:
        """Terms of the vocabulary Dataset_Type, sorted."""
        return types_of(self._reader(), [self.dataset_rid])[self.dataset_rid]

    @property
    def execution_rid(self) -> RID | None:
        """Execution that made the current version."""
        entries = self.dataset_history()
        return entries[-1].execution_rid if entries else None

    @property
    def current_version(self) -> DatasetVersion:
        """Greatest version label.

        Raises
        ------
        DerivaMLDatasetNotFound
            If the dataset has no version, because its creation was interrupted.
        """
        entries = self.dataset_history()
        if not entries:
            raise labels.without_version(self.dataset_rid)
        return entries[-1].dataset_version

    @property
    def source_directory(self) -> str | None:
        """Folder that this dataset mirrors, relative to the root of its ingest; None for other datasets."""
        reader = self._reader()
        table = reader.model.ml_table("Directory_Dataset")
        return next((row["Path"] for row in reader.rows(table, where={"Dataset": [self.dataset_rid]})), None)

    @property
    def is_directory(self) -> bool:
        """Whether this dataset mirrors a folder."""
        return self.source_directory is not None

    @property
    def is_source_root(self) -> bool:
        """Whether this dataset mirrors a folder, and none of those that contain it does."""
        reader = self._reader()
        table = reader.model.ml_table("Directory_Dataset")
        above = parents(reader, [self.dataset_rid])
        return self.is_directory and not (above and any(reader.rows(table, where={"Dataset": above})))

    def dataset_history(self) -> list[DatasetHistory]:
        """Versions of this dataset, ascending."""
        return history(self._reader(), [self.dataset_rid])

    def list_dataset_members(
        self, recurse: bool = False, limit: int | None = None, *, version: DatasetVersion | str | None = None
    ) -> dict[str, list[Row]]:
        """List the members, by table.

        Parameters
        ----------
        recurse : bool
            Whether members of nested datasets are listed too; each member appears once.
        limit : int, optional
            Most rows per table, 0 or more.
        version : DatasetVersion or str, optional
            A released version; by default what is there now.

        Returns
        -------
        dict
            Table name to rows, for every element type, be it empty.
        """
        most = None if limit is None else require_number("limit", limit, least=0)
        reader = self._reader(version)
        return members(reader, self._scope(reader, recurse), most)

    def list_members(self, table: Any, *, recurse: bool = False) -> list[RID]:
        """RIDs of the members in one table, sorted; none in a table whose rows cannot be members."""
        reader = self._reader()
        wanted = reader.model.name_to_table(table)
        elements = [element for element in reader.model.dataset_elements() if element.table is wanted]
        rids = self._scope(reader, recurse)
        return sorted(rid for element in elements for rid in keys_of(reader, element, rids))

    def _scope(self, reader: Reader, recurse: bool) -> list[RID]:
        own = [self.dataset_rid]
        return [*own, *children(reader, own, recurse=True)] if recurse else own

    def list_dataset_children_rids(
        self, recurse: bool = False, *, version: DatasetVersion | str | None = None
    ) -> list[RID]:
        """RIDs of nested datasets, nearest first."""
        return children(self._reader(version), [self.dataset_rid], recurse=recurse)

    def list_dataset_element_types(self) -> Sequence[Table]:
        """Tables whose rows can be members."""
        return [element.table for element in self._reader().model.dataset_elements()]

    def find_features(self, table: Any = None) -> list[Feature]:
        """Features of a table, or all features."""
        return find_features(self._reader().model, table)

    def lookup_feature(self, table: Any, feature_name: str) -> Feature:
        """Return one feature.

        Raises
        ------
        DerivaMLTableNotFound, DerivaMLFeatureNotFound
            If there is no such table, or no such feature on it.
        """
        return lookup_feature(self._reader().model, table, feature_name)

    def feature_values(
        self,
        table: Any,
        feature_name: str,
        selector: Selector[Any] | None = None,
        materialize_limit: int | None = None,
        execution_rids: Collection[str] | None = None,
        *,
        version: DatasetVersion | str | None = None,
    ) -> Iterator[FeatureRecord]:
        """Read the values of a feature for what belongs to this dataset.

        Parameters
        ----------
        table : str or Table
            The labelled table.
        feature_name : str
        selector : callable, optional
            Chooses one of the records of each row, see `deriva_ml.feature.select`.
        materialize_limit : int, optional
            Largest number of records to read.
        execution_rids : collection of str, optional
            Only records written by these executions.
        version : DatasetVersion or str, optional
            A released version; by default what is there now.

        Yields
        ------
        FeatureRecord

        Raises
        ------
        DerivaMLFeatureNotFound
            If the table has no such feature.
        DerivaMLMaterializeLimitExceeded
            If there are more records than `materialize_limit`.
        """
        reader = self._reader(version)
        feature = lookup_feature(reader.model, table, feature_name)
        targets = self._reached(feature, reader, version)
        return feature_values(reader, feature, selector, materialize_limit, execution_rids, targets=targets)

    def list_workflow_executions(self, workflow: str) -> list[RID]:
        """RIDs of the executions of a workflow, given by its RID, a workflow type, or its name.

        Raises
        ------
        DerivaMLException
            If there are none.
        """
        return workflow_executions(self._reader(), workflow)
