"""A dataset as one wide table: columns of several tables side by side, one row per row of one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from deriva_ml import arguments
from deriva_ml.dataset import describe, wide_cache
from deriva_ml.dataset.anchored import copy_reach
from deriva_ml.dataset.export import reach
from deriva_ml.dataset.view import children, member_keys
from deriva_ml.errors import DerivaMLDenormalizeUnrelatedAnchor, DerivaMLValidationError
from deriva_ml.feature.record import EXECUTION, Feature, FeatureRecord
from deriva_ml.feature.select import Selector
from deriva_ml.feature.values import feature_values
from deriva_ml.rows import arrow, frames
from deriva_ml.rows.wide import WideQuery
from deriva_ml.rows.wide_plan import Plan, Planner

if TYPE_CHECKING:
    from deriva_ml.model.graph import FeatureTable, Table
    from deriva_ml.names import DatasetVersion
    from deriva_ml.rows.local import LocalReader
    from deriva_ml.rows.reader import Row

TableName = tuple[str, str]


class WideSource(Protocol):
    """A dataset whose rows can be brought to this disk, or are there already."""

    dataset_rid: str

    def wide_source(self, version: DatasetVersion | str | None = None) -> tuple[LocalReader, bool]:
        """Reader of the rows of a version, and whether it has no others."""
        ...


class Denormalizer:
    """Wide tables of one dataset.

    Parameters
    ----------
    dataset : Dataset or DatasetBag
    version : DatasetVersion or str, optional
        A released version of a dataset in the catalog; by default what is there now.

    Examples
    --------
    >>> Denormalizer(bag).as_dataframe(["Image", "Subject"])  # doctest: +SKIP
    """

    def __init__(self, dataset: WideSource, *, version: DatasetVersion | str | None = None) -> None:
        if not hasattr(dataset, "wide_source"):
            raise DerivaMLValidationError(
                f"Wide tables are made of a Dataset or DatasetBag, not of {dataset!r}; get one with "
                "ml.lookup_dataset(rid), or name rows with Denormalizer.from_rids(rids, ml=ml)."
            )
        reader, is_whole = dataset.wide_source(version)
        rid = dataset.dataset_rid
        found = member_keys(reader, [rid, *children(reader, [rid], recurse=True)])
        elements = {element.table.name: element.table for element in reader.model.dataset_elements()}
        anchors = {
            (table.schema.name, name): found[name]
            for name, table in elements.items()
            if found[name] and name != "Dataset"
        }
        self._open(reader, anchors, rid if not is_whole else None, type(dataset).__name__)
        self._of = f"{self.source} {rid}" + (f" {version}" if version is not None else "")

    @classmethod
    def from_rids(
        cls,
        anchors: Sequence[str] | Mapping[str, Sequence[str]],
        *,
        ml: Any,
        dataset_rid: str | None = None,
    ) -> Self:
        """Make wide tables of some rows of a catalog, as if they were the members of a dataset.

        Parameters
        ----------
        anchors : sequence of str, or mapping of table name to sequence of str
            RIDs.
        ml : DerivaML
        dataset_rid : str, optional
            Accepted for callers that pass it: a dataset that the rows come from.

        Raises
        ------
        DerivaMLException
            If there is no row with one of the RIDs.
        """
        reader, found = copy_reach(ml, anchors)
        made = cls.__new__(cls)
        made._open(reader, found, None, "rows")
        return made

    def _open(
        self, reader: LocalReader, anchors: dict[TableName, list[str]], rid: str | None, source: str
    ) -> None:
        self.reader, self.anchors, self.source = reader, anchors, source
        self._part = rid
        self._of = ""
        self.model = reader.model
        self.planner = Planner(self.model)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(rids):,} {name}" for (_, name), rids in sorted(self.anchors.items()))
        return f"<Denormalizer of {self._of or 'rows'}: {counts or 'nothing'}>"

    @cached_property
    def scope(self) -> dict[TableName, set[str]] | None:
        """RIDs of the rows that belong to the dataset, by table; None for all that the reader has."""
        return None if self._part is None else reach(self.reader, self._part)

    def plan(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = True,
        system_columns: Collection[str] | bool | None = None,
    ) -> Plan:
        """Plan a wide table; see `Planner.plan`.

        Raises
        ------
        DerivaMLDenormalizeUnrelatedAnchor
            If members of some table have nothing to do with the included ones, unless that is to be ignored.
        """
        found = self.planner.plan(include_tables, row_per=row_per, via=via, system_columns=system_columns)
        for table in found.joined:
            self.reader.require(table)
        strangers = [] if ignore_unrelated_anchors else self.unrelated(found.tables, found.joined)
        if strangers:
            raise DerivaMLDenormalizeUnrelatedAnchor(strangers, [table.name for table in found.tables])
        return found

    def unrelated(self, tables: Sequence[Table], joined: Sequence[Table]) -> list[str]:
        """Names of tables with members that have nothing to do with some others."""
        names = {(table.schema.name, table.name) for table in joined}
        return [name for schema, name in self.anchors if not self._is_related((schema, name), names, tables)]

    def _is_related(self, name: TableName, joined: Collection[TableName], tables: Sequence[Table]) -> bool:
        anchor = self.model.name_to_table(name)
        return name in joined or any(
            self.planner.paths(anchor, table) or self.planner.paths(table, anchor)
            for table in tables
            if not self.model.is_vocabulary(table)
        )

    def query(
        self, include_tables: Sequence[Any], *, selector: Selector[Any] | None = None, **options: Any
    ) -> WideQuery:
        """Prepare a wide table without reading it; parameters and errors as for `as_dict`."""
        arguments.function("selector", selector, "a function that chooses one of a list of feature records")
        plan = self.plan(include_tables, **{"ignore_unrelated_anchors": False, **options})
        scope = self.scope
        if selector is not None:
            picked = self._selected(plan, selector)
            within = scope or picked
            scope = {**within, **{name: rids & within.get(name, set()) for name, rids in picked.items()}}
        return WideQuery(self.reader, plan, self.anchors, scope)

    def as_dict(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = False,
        selector: Selector[Any] | None = None,
        system_columns: Collection[str] | bool | None = None,
    ) -> Iterator[Row]:
        """Rows of a wide table, streamed.

        Parameters
        ----------
        include_tables : sequence of str
            Tables or features whose columns are wanted.
        row_per : str, optional
            The table that gives the rows; by default the one that refers to all others.
        via : sequence of str, optional
            Tables that joins shall lead through.
        ignore_unrelated_anchors : bool
            Whether members that have nothing to do with the included tables are left out silently.
        selector : callable, optional
            Chooses one of the feature records of each row; needs exactly one feature among the tables.
        system_columns : collection of str or bool, optional
            Which of RCT, RMT, RCB and RMB are shown; none by default, True for all.

        Yields
        ------
        dict
            ``Table.Column`` to value.

        Raises
        ------
        DerivaMLTableNotFound
            If there is no such table.
        DerivaMLDenormalizeError
            If it is not clear how the tables are joined.
        """
        return self.query(
            include_tables,
            row_per=row_per,
            via=via,
            ignore_unrelated_anchors=ignore_unrelated_anchors,
            selector=selector,
            system_columns=system_columns,
        ).rows()

    def as_dataframe(self, include_tables: Sequence[Any], **options: Any) -> Any:
        """Rows of a wide table as a pandas frame; parameters and errors as for `as_dict`.

        Raises
        ------
        DerivaMLDependencyError
            If pandas is not installed.
        """
        found = self.query(include_tables, **options)
        return frames.frame(found.rows(), [column.label for column in found.plan.columns])

    def as_arrow(self, include_tables: Sequence[Any], **options: Any) -> Any:
        """Rows of a wide table as Arrow batches, streamed; parameters and errors as for `as_dict`.

        Returns
        -------
        pyarrow.RecordBatchReader
            ``.read_all()`` makes a table of it.

        Raises
        ------
        DerivaMLDependencyError
            If pyarrow is not installed.
        """
        return arrow.batches(self.query(include_tables, **options))

    def to_parquet(self, path: Path | str, include_tables: Sequence[Any], **options: Any) -> Path:
        """Write a wide table to a Parquet file, never all in memory; parameters and errors as for `as_dict`.

        Raises
        ------
        DerivaMLDependencyError
            If pyarrow is not installed.
        """
        return arrow.write_parquet(self.query(include_tables, **options), arguments.path("path", path))

    def columns(
        self, include_tables: Sequence[Any], *, row_per: Any = None, via: Sequence[Any] | None = None
    ) -> list[tuple[str, str]]:
        """Labels and types of the columns of a wide table."""
        plan = self.plan(include_tables, row_per=row_per, via=via)
        return [(column.label, column.column.type.typename) for column in plan.columns]

    def describe(self, include_tables: Sequence[Any], **options: Any) -> dict[str, Any]:
        """Say how a wide table would be made, and what is unclear; see `deriva_ml.dataset.describe.describe`."""
        return describe.describe(self, include_tables, **options)

    def list_paths(self, tables: Sequence[Any] | None = None) -> dict[str, Any]:
        """List how tables are joined; see `deriva_ml.dataset.describe.list_schema_paths`."""
        return describe.list_schema_paths(self, tables)

    def cached(self, include_tables: Sequence[Any], *, force: bool = False, **options: Any) -> Any:
        """Rows of a wide table as a pandas frame, kept on this disk beside the rows it was made of.

        Parameters
        ----------
        include_tables : sequence of str
        force : bool
            Whether it is made again though it is there.
        **options
            As for `as_dict`, but for a selector.

        Raises
        ------
        DerivaMLDependencyError
            If pandas is not installed.
        """
        return wide_cache.cached(self.query(include_tables, **options), force=force)

    def feature_records(
        self, feature: Any, *, selector: Selector[Any] | None = None
    ) -> Iterator[FeatureRecord]:
        """Records of a feature, of the rows that belong to the dataset.

        Parameters
        ----------
        feature : str or Feature
            Its name, or the name of its table.
        selector : callable, optional
            Chooses one of the records of each row.

        Raises
        ------
        DerivaMLTableNotFound
            If there is no such feature.
        """
        found = self._feature_of(self.planner.resolve(getattr(feature, "feature_name", feature)))
        if found is None:
            raise DerivaMLValidationError(f"{feature!r} is a table, but no feature.")
        target = (found.target.schema.name, found.target.name)
        targets = None if self.scope is None else self.scope.get(target, set())
        return feature_values(self.reader, Feature(self.model, found), selector, targets=targets)

    def _selected(self, plan: Plan, selector: Selector[Any]) -> dict[TableName, set[str]]:
        """RIDs of the feature rows that a selector chooses."""
        features = [found for table in plan.tables if (found := self._feature_of(table)) is not None]
        if len(features) != 1:
            raise DerivaMLValidationError(
                f"A selector needs exactly one feature in include_tables, not {len(features)}."
            )
        feature = Feature(self.model, features[0])
        table, reader = feature.feature_table, self.reader
        keys = (feature.target_column, EXECUTION, *feature.qualifier_columns)
        rids = {
            tuple(row[key] for key in keys): row["RID"] for row in reader.rows(table, columns=["RID", *keys])
        }
        chosen = feature_values(reader, feature, selector)
        asked = {tuple(record.to_row().get(key) for key in keys) for record in chosen}
        if not asked <= set(rids):
            raise DerivaMLValidationError("The selector gave a record that is none of those that it got.")
        picked = {rids[key] for key in asked}
        return {(table.schema.name, table.name): picked}

    def _feature_of(self, table: Table) -> FeatureTable | None:
        return next((found for found in self.model.find_features() if found.table is table), None)


def label_of(plan: Plan, table: Table, column: str) -> str | None:
    """Label of a column of a table in a wide table, None if it is not shown."""
    return next(
        (each.label for each in plan.columns if each.table is table and each.column.name == column), None
    )
