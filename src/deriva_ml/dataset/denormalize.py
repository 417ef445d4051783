"""A dataset as one wide table: columns of several tables side by side, one row per row of one of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml.dataset.export import reach
from deriva_ml.dataset.view import DatasetView, children, member_keys
from deriva_ml.errors import DerivaMLDenormalizeUnrelatedAnchor, DerivaMLValidationError
from deriva_ml.feature.record import EXECUTION, Feature
from deriva_ml.feature.select import Selector
from deriva_ml.feature.values import feature_values
from deriva_ml.rows import frames
from deriva_ml.rows.wide import wide_rows
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
        The current one by default.

    Examples
    --------
    >>> Denormalizer(bag).as_dataframe(["Image", "Subject"])  # doctest: +SKIP
    """

    def __init__(self, dataset: WideSource, *, version: DatasetVersion | str | None = None) -> None:
        self.rid = dataset.dataset_rid
        self.reader, self._is_whole = dataset.wide_source(version)
        self.model = self.reader.model
        self.planner = Planner(self.model)

    @cached_property
    def anchors(self) -> dict[TableName, list[str]]:
        """RIDs of the members, nested ones included, by table; without datasets."""
        found = member_keys(self.reader, [self.rid, *children(self.reader, [self.rid], recurse=True)])
        return {
            (element.table.schema.name, element.table.name): found[element.table.name]
            for element in self.model.dataset_elements()
            if found[element.table.name] and element.table.name != "Dataset"
        }

    @cached_property
    def _scope(self) -> dict[TableName, set[str]] | None:
        return None if self._is_whole else reach(self.reader, self.rid)

    def plan(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = True,
    ) -> Plan:
        """Plan a wide table; see `Planner.plan`.

        Raises
        ------
        DerivaMLDenormalizeUnrelatedAnchor
            If members of some table have nothing to do with the included ones, unless that is to be ignored.
        """
        found = self.planner.plan(include_tables, row_per=row_per, via=via)
        if not ignore_unrelated_anchors:
            joined = {(table.schema.name, table.name) for table in found.joined}
            strangers = [
                name for name in self.anchors if name not in joined and not self._is_related(name, found)
            ]
            if strangers:
                raise DerivaMLDenormalizeUnrelatedAnchor(
                    [name for _, name in strangers], [table.name for table in found.tables]
                )
        return found

    def _is_related(self, name: TableName, plan: Plan) -> bool:
        anchor = self.model.name_to_table(name)
        return any(
            self.planner.paths(anchor, table) or self.planner.paths(table, anchor)
            for table in plan.tables
            if not self.model.is_vocabulary(table)
        )

    def as_dict(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = False,
        selector: Selector[Any] | None = None,
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
        plan = self.plan(
            include_tables, row_per=row_per, via=via, ignore_unrelated_anchors=ignore_unrelated_anchors
        )
        scope = self._scope
        if selector is not None:
            picked = self._selected(plan, selector)
            within = scope or picked
            scope = {**within, **{name: rids & within.get(name, set()) for name, rids in picked.items()}}
        return wide_rows(self.reader, plan, anchors=self.anchors, scope=scope)

    def as_dataframe(self, include_tables: Sequence[Any], **options: Any) -> Any:
        """Rows of a wide table as a pandas frame; parameters and errors as for `as_dict`.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        plan = self.plan(include_tables, row_per=options.get("row_per"), via=options.get("via"))
        return frames.frame(
            self.as_dict(include_tables, **options), [column.label for column in plan.columns]
        )

    def columns(
        self, include_tables: Sequence[Any], *, row_per: Any = None, via: Sequence[Any] | None = None
    ) -> list[tuple[str, str]]:
        """Labels and types of the columns of a wide table."""
        plan = self.plan(include_tables, row_per=row_per, via=via)
        return [(column.label, column.column.type.typename) for column in plan.columns]

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
        picked = {rids[tuple(record.to_row()[key] for key in keys)] for record in chosen}
        return {(table.schema.name, table.name): picked}

    def _feature_of(self, table: Table) -> FeatureTable | None:
        return next((found for found in self.model.find_features() if found.table is table), None)


class WideView(DatasetView):
    """A dataset that can be seen as wide tables."""

    def get_denormalized_as_dict(self, include_tables: Sequence[Any], **options: Any) -> Iterator[Row]:
        """Rows of several tables joined into one wide table, streamed; see `Denormalizer.as_dict`."""
        return self._wide(options).as_dict(include_tables, **options)

    def get_denormalized_as_dataframe(self, include_tables: Sequence[Any], **options: Any) -> Any:
        """Rows of several tables joined into one wide table, as a pandas frame; see `Denormalizer.as_dict`."""
        return self._wide(options).as_dataframe(include_tables, **options)

    def list_denormalized_columns(
        self, include_tables: Sequence[Any], **options: Any
    ) -> list[tuple[str, str]]:
        """Labels and types of the columns of a wide table."""
        return self._wide(options).columns(include_tables, **options)

    denormalize_as_dict = get_denormalized_as_dict
    denormalize_as_dataframe = get_denormalized_as_dataframe

    def _wide(self, options: dict[str, Any]) -> Denormalizer:
        return Denormalizer(self, version=options.pop("version", None))

    @abstractmethod
    def wide_source(self, version: DatasetVersion | str | None = None) -> tuple[LocalReader, bool]:
        """Reader of the rows of a version on this disk, and whether it has no others; for `Denormalizer`."""


def label_of(plan: Plan, table: Table, column: str) -> str | None:
    """Label of a column of a table in a wide table, None if it is not shown."""
    return next(
        (each.label for each in plan.columns if each.table is table and each.column.name == column), None
    )
