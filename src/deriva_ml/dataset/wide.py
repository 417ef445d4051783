"""What a dataset offers of wide tables, wherever it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.dataset.denormalize import Denormalizer
from deriva_ml.dataset.view import DatasetView
from deriva_ml.feature.select import Selector

if TYPE_CHECKING:
    from deriva_ml.names import DatasetVersion
    from deriva_ml.rows.local import LocalReader
    from deriva_ml.rows.reader import Row


class WideView(DatasetView):
    """A dataset that can be seen as wide tables: columns of several tables side by side.

    All of them take ``version=``, a released version; by default a dataset in the catalog is read as it is now. The
    catalog's rows are brought to this disk for it, where they stay in the cache.
    """

    @abstractmethod
    def wide_source(self, version: DatasetVersion | str | None = None) -> tuple[LocalReader, bool]:
        """Reader of the rows of a version on this disk, and whether it has no others; for `Denormalizer`."""

    def get_denormalized_as_dict(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = False,
        selector: Selector[Any] | None = None,
        system_columns: Collection[str] | bool | None = None,
        version: DatasetVersion | str | None = None,
    ) -> Iterator[Row]:
        """Rows of several tables joined into one wide table, streamed; see `Denormalizer.as_dict`."""
        return Denormalizer(self, version=version).as_dict(
            include_tables,
            row_per=row_per,
            via=via,
            ignore_unrelated_anchors=ignore_unrelated_anchors,
            selector=selector,
            system_columns=system_columns,
        )

    def get_denormalized_as_dataframe(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = False,
        selector: Selector[Any] | None = None,
        system_columns: Collection[str] | bool | None = None,
        version: DatasetVersion | str | None = None,
    ) -> Any:
        """Rows of several tables joined into one wide table, as a pandas frame; see `Denormalizer.as_dict`."""
        return Denormalizer(self, version=version).as_dataframe(
            include_tables,
            row_per=row_per,
            via=via,
            ignore_unrelated_anchors=ignore_unrelated_anchors,
            selector=selector,
            system_columns=system_columns,
        )

    def get_denormalized_as_arrow(
        self, include_tables: Sequence[Any], *, version: DatasetVersion | str | None = None, **options: Any
    ) -> Any:
        """Rows of several tables joined into one wide table, as Arrow batches; see `Denormalizer.as_arrow`."""
        return Denormalizer(self, version=version).as_arrow(include_tables, **options)

    def write_denormalized_parquet(
        self,
        path: Path | str,
        include_tables: Sequence[Any],
        *,
        version: DatasetVersion | str | None = None,
        **options: Any,
    ) -> Path:
        """Write several tables joined into one wide table to a Parquet file; see `Denormalizer.to_parquet`."""
        return Denormalizer(self, version=version).to_parquet(path, include_tables, **options)

    def list_denormalized_columns(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        version: DatasetVersion | str | None = None,
    ) -> list[tuple[str, str]]:
        """Labels and types of the columns of a wide table."""
        return Denormalizer(self, version=version).columns(include_tables, row_per=row_per, via=via)

    def describe_denormalized(
        self,
        include_tables: Sequence[Any],
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = False,
        version: DatasetVersion | str | None = None,
    ) -> dict[str, Any]:
        """Say how a wide table would be made, and what is unclear; see `deriva_ml.dataset.describe.describe`."""
        return Denormalizer(self, version=version).describe(
            include_tables, row_per=row_per, via=via, ignore_unrelated_anchors=ignore_unrelated_anchors
        )

    def list_schema_paths(
        self, tables: Sequence[Any] | None = None, *, version: DatasetVersion | str | None = None
    ) -> dict[str, Any]:
        """List how tables are joined; see `deriva_ml.dataset.describe.list_schema_paths`."""
        return Denormalizer(self, version=version).list_paths(tables)

    def cache_denormalized(
        self,
        include_tables: Sequence[Any],
        version: DatasetVersion | str | None = None,
        force: bool = False,
        *,
        row_per: Any = None,
        via: Sequence[Any] | None = None,
        ignore_unrelated_anchors: bool = False,
    ) -> Any:
        """Make a wide table once and keep it in the cache, as a pandas frame; see `Denormalizer.cached`."""
        return Denormalizer(self, version=version).cached(
            include_tables,
            force=force,
            row_per=row_per,
            via=via,
            ignore_unrelated_anchors=ignore_unrelated_anchors,
        )

    denormalize_as_dict = get_denormalized_as_dict
    denormalize_as_dataframe = get_denormalized_as_dataframe
