"""The rows of a downloaded bag, as a catalog that can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import arguments
from deriva_ml.bag import layout, seal, state
from deriva_ml.bag.build import read_model, rebuild
from deriva_ml.dataset.sealed import Sealed
from deriva_ml.dataset.view import workflow_executions
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.feature.feature import find_features, lookup_feature
from deriva_ml.feature.record import Feature, FeatureRecord
from deriva_ml.feature.select import Selector
from deriva_ml.feature.values import feature_values
from deriva_ml.names import ML_SCHEMA, RID
from deriva_ml.rows import frames
from deriva_ml.rows.local import LocalReader
from deriva_ml.vocabulary import VocabularyTerm, term_of, terms_of

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table, TableName
    from deriva_ml.rows.reader import Row

Fetch = Callable[[Path, int], None]
"""Brings the missing files of a bag, given its root and how many at a time."""


class BagRows(Sealed):
    """Rows, model and files of a bag.

    Parameters
    ----------
    path : Path
        Root of the bag.
    fetch : callable, optional
        Brings files that are not here yet.

    Raises
    ------
    DerivaMLDataError
        If there is no bag at `path`.
    DerivaMLChecksumError
        If the bag is damaged.
    """

    def __init__(self, path: Path | str, fetch: Fetch | None = None) -> None:
        self.path = arguments.path("The root of a bag", path)
        self.fetch = fetch
        if not seal.is_sealed(self.path):
            raise DerivaMLDataError(
                f"{self.path} is not a bag; its root holds bagit.txt and {seal.TAG_MANIFEST}."
            )
        self.guard = state.Guard(self.path, partial(_make_database, self.path))
        # What the maker of the bag noted: anchors, version, snapshot.
        self.provenance = _provenance(self.path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of dataset {self.root_rid} at {self.path}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.fetch)

    @cached_property
    def model(self) -> CatalogModel:
        """Model of the catalog when the version was made."""
        return _model(self.path)

    @cached_property
    def reader(self) -> LocalReader:
        """Reader of the rows; the SQLite file is made again if it is gone."""
        self.guard.ready()
        found = LocalReader(self.guard.database, self.model, self.path, self.guard)
        found.excluded = frozenset(self.provenance.get("policy", {}).get("exclude_tables", ()))
        return found

    @property
    def root_rid(self) -> RID:
        """The dataset that the bag was made for."""
        anchors = self.provenance.get("anchors") or []
        return str(anchors[0]["rid"]) if anchors else self.path.name.removeprefix("Dataset_")

    def list_tables(self) -> list[str]:
        """Names of the tables that the bag has rows of, or could have."""
        return sorted(table.name for table in self.model.tables() if self.reader.has(table))

    def get_table_as_dict(self, table: TableName) -> Iterator[Row]:
        """Rows of a table of the bag.

        Raises
        ------
        DerivaMLTableNotFound
            If there is no such table, or it was left out of the bag.
        """
        return self.reader.rows(self.reader.require(self.model.name_to_table(table)))

    def get_table_as_dataframe(self, table: TableName) -> Any:
        """Rows of a table of the bag, as a pandas frame.

        Raises
        ------
        DerivaMLDependencyError
            If pandas is not installed.
        """
        found = self.model.name_to_table(table)
        return frames.frame(self.get_table_as_dict(found), [column.name for column in found.columns])

    def list_vocabulary_terms(self, table: TableName) -> list[VocabularyTerm]:
        """Terms of a vocabulary, as they were when the version was made.

        Raises
        ------
        DerivaMLTableTypeError
            If the table is no vocabulary.
        """
        return terms_of(self.reader, self.model.require_vocabulary(table))

    def lookup_term(self, table: TableName, term_name: str) -> VocabularyTerm:
        """The term of a name or synonym.

        Raises
        ------
        DerivaMLInvalidTerm
            If there is none.
        DerivaMLTableTypeError
            If the table is no vocabulary.
        """
        return term_of(self.reader, self.model.require_vocabulary(table), term_name)

    def list_dataset_element_types(self) -> Sequence[Table]:
        """Tables whose rows can be members of datasets."""
        return [element.table for element in self.model.dataset_elements()]

    def find_features(self, table: TableName | None = None) -> list[Feature]:
        """Features of a table, or of all tables."""
        return find_features(self.model, table)

    def lookup_feature(self, table: TableName, feature_name: str) -> Feature:
        """Return one feature; errors as of `deriva_ml.feature.feature.lookup_feature`."""
        return lookup_feature(self.model, table, feature_name)

    def feature_record_class(self, table: TableName, feature_name: str) -> type[FeatureRecord]:
        """Class of the records of a feature."""
        return self.lookup_feature(table, feature_name).feature_record_class()

    def feature_values(
        self,
        table: TableName,
        feature_name: str,
        selector: Selector[Any] | None = None,
        materialize_limit: int | None = None,
        execution_rids: Collection[str] | None = None,
    ) -> Iterator[FeatureRecord]:
        """All values of a feature in the bag; see `deriva_ml.feature.values.feature_values`."""
        feature = self.lookup_feature(table, feature_name)
        self.reader.require(feature.feature_table)
        return feature_values(self.reader, feature, selector, materialize_limit, execution_rids)

    def list_workflow_executions(self, workflow: Any) -> list[RID]:
        """RIDs of the executions of a workflow; see `deriva_ml.dataset.view.workflow_executions`."""
        return workflow_executions(self.reader, workflow)


def _provenance(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / layout.PROVENANCE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _model(folder: Path) -> CatalogModel:
    return read_model(folder, _provenance(folder).get("extra", {}).get("ml_schema", ML_SCHEMA))


def _make_database(folder: Path, target: Path) -> None:
    rebuild(folder, target, _model(folder))
