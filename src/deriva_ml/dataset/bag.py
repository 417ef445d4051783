"""A downloaded version of a dataset: rows and files on this disk, read without the catalog."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import arguments, markup
from deriva_ml.bag import seal
from deriva_ml.dataset.arrange import TYPE_FOLDERS, Arrangement, arrange
from deriva_ml.dataset.bag_rows import BagRows
from deriva_ml.dataset.export import reach
from deriva_ml.dataset.samples import Targets, selectors_of
from deriva_ml.dataset.sealed import Sealed
from deriva_ml.dataset.training import TrainingView
from deriva_ml.dataset.view import children, lookup_row, parents
from deriva_ml.errors import (
    DerivaMLDatasetNotFound,
    DerivaMLException,
    DerivaMLRidsNotFound,
    DerivaMLValidationError,
)
from deriva_ml.feature.record import Feature
from deriva_ml.model.ways import name_of
from deriva_ml.names import RID, DatasetVersion, MLTable, require_number
from deriva_ml.records import DatasetHistory
from deriva_ml.rows.local import LocalReader
from deriva_ml.rows.reader import Reader, Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table


logger = logging.getLogger(__name__)


class BagCatalog(BagRows):
    """A downloaded bag as a read-only catalog: its datasets, rows, terms, features and files.

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
    DerivaMLReadOnlyError
        When something is called that changes a catalog, or needs one.
    """

    def lookup_dataset(self, dataset: Any, deleted: bool = False) -> DatasetBag:
        """Return a dataset of the bag, given by RID or `DatasetSpec`.

        Raises
        ------
        DerivaMLDatasetNotFound
            If it is not in the bag.
        """
        return DatasetBag(self, dataset)

    def find_datasets(self) -> list[DatasetBag]:
        """All datasets of the bag, the one that it was made for first."""
        table = self.model.ml_table(MLTable.dataset)
        rids = sorted(row["RID"] for row in self.reader.rows(table, columns=["RID"]))
        return [DatasetBag(self, rid) for rid in sorted(rids, key=lambda rid: rid != self.root_rid)]


class DatasetBag(Sealed, TrainingView):
    """A dataset in a downloaded bag; read-only, and usable without a network.

    Parameters
    ----------
    catalog : BagCatalog or Path
        The bag, or its root folder.
    dataset_rid : str, optional
        By default the dataset that the bag was made for.

    Attributes
    ----------
    path : Path
        Root of the bag. Asset files lie in ``data/assets/<table>/<RID>``, metadata files of executions in
        ``data/assets/Execution_Metadata/<execution RID>``.

    Raises
    ------
    DerivaMLDatasetNotFound
        If the dataset is not in the bag.
    """

    def __init__(self, catalog: BagCatalog | Path | str, dataset_rid: str | None = None) -> None:
        self.catalog = catalog if isinstance(catalog, BagCatalog) else BagCatalog(catalog)
        rid = self.catalog.root_rid if dataset_rid is None else getattr(dataset_rid, "rid", dataset_rid)
        super().__init__(str(rid))
        if not self._row:
            raise DerivaMLDatasetNotFound(
                self.dataset_rid, f"Dataset {self.dataset_rid} is not in the bag {self.catalog.path}."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return DatasetBag, (self.catalog, self.dataset_rid)

    def __repr__(self) -> str:
        return f"<DatasetBag {self.dataset_rid} version {self.current_version} at {self.path}>"

    def _repr_html_(self) -> str:
        facts = {
            "Types": ", ".join(self.dataset_types),
            "Description": self.description,
            "Members": ", ".join(
                f"{len(found):,} {name}" for name, found in self.list_dataset_members().items() if found
            ),
            "Folder": self.path,
        }
        return markup.facts(facts, f"Dataset {self.dataset_rid} version {self.current_version}")

    @property
    def _row(self) -> Row:
        try:
            return lookup_row(self.reader, self.dataset_rid)
        except DerivaMLDatasetNotFound:
            return {}

    def _reader(self, version: DatasetVersion | str | None = None) -> Reader:
        if version is not None and DatasetVersion.coerce(version) != self.current_version:
            raise DerivaMLException(
                f"This bag holds version {self.current_version} of dataset {self.dataset_rid}, not {version}."
            )
        return self.reader

    def list_dataset_members(
        self, recurse: bool = False, limit: int | None = None, *, version: DatasetVersion | str | None = None
    ) -> dict[str, list[Row]]:
        """List the members, by table; see `DatasetView.list_dataset_members`.

        Of a table that was left out of the bag there are none; that is logged.
        """
        found = super().list_dataset_members(recurse, limit, version=version)
        for name in sorted(self.reader.excluded & set(found)):
            logger.warning(
                "Members in %s are not listed: the table was left out of bag %s (exclude_tables).",
                name,
                self.path,
            )
        return found

    def _reached(
        self, feature: Feature, reader: Reader, version: DatasetVersion | str | None
    ) -> Collection[str] | None:
        self.reader.require(feature.feature_table)
        if self.dataset_rid == self.catalog.root_rid:
            return None
        return self.reach().get(name_of(feature.target_table), set())

    def reach(self) -> dict[tuple[str, str], set[str]]:
        """RIDs of all rows that belong to this dataset, by schema and table."""
        return reach(self.reader, self.dataset_rid)

    def wide_source(self, version: DatasetVersion | str | None = None) -> tuple[LocalReader, bool]:
        """Reader of the rows of this bag, and whether it has no others; for `Denormalizer`."""
        self._reader(version)
        return self.reader, self.dataset_rid == self.catalog.root_rid

    @property
    def path(self) -> Path:
        """Root of the bag."""
        return self.catalog.path

    @property
    def model(self) -> CatalogModel:
        """Model of the catalog when the version was made."""
        return self.catalog.model

    @property
    def reader(self) -> LocalReader:
        """Rows and files of the bag."""
        return self.catalog.reader

    @property
    def engine(self) -> Any:
        """Read-only `sqlite3` connection to the rows; tables are named ``schema:Table``."""
        return self.reader.connection

    @property
    def metadata(self) -> dict[str, Any]:
        """What the maker of the bag noted."""
        return self.catalog.provenance

    @property
    def description(self) -> str:
        """What the dataset is, in Markdown."""
        return self._row["Description"] or ""

    @property
    def current_version(self) -> DatasetVersion:
        """The version that was downloaded; of a nested dataset the one it had then."""
        label = self.catalog.provenance.get("extra", {}).get("version")
        if label and self.dataset_rid == self.catalog.root_rid:
            # A bag of what is there now says so behind the version.
            return DatasetVersion(label.partition("+")[0])
        return super().current_version

    def list_tables(self) -> list[str]:
        """Names of the tables in the bag."""
        return self.catalog.list_tables()

    def get_table_as_dict(self, table: Any) -> Iterator[Row]:
        """All rows of a table in the bag.

        Raises
        ------
        DerivaMLTableNotFound
            If there is no such table.
        """
        return self.catalog.get_table_as_dict(table)

    def get_table_as_dataframe(self, table: Any) -> Any:
        """All rows of a table in the bag, as a pandas frame.

        Raises
        ------
        DerivaMLDependencyError
            If pandas is not installed.
        """
        return self.catalog.get_table_as_dataframe(table)

    def file(self, table: Any, row: Row | str) -> Path | None:
        """Path of the bytes of an asset, None where they were not downloaded.

        Parameters
        ----------
        table : str or Table
        row : dict or str
            A row of the table, or its RID.

        Raises
        ------
        DerivaMLRidsNotFound
            If this bag has no row of the table with that RID.
        """
        found = self.model.name_to_table(table)
        rid = row.get("RID") if isinstance(row, Mapping) else row
        if not isinstance(rid, str):
            raise DerivaMLValidationError(f"{row!r} is no row of {found.name}; give one, or its RID.")
        path = self.reader.file(found, {"RID": rid})
        if path is None and not self.reader.count(found, where={"RID": [rid]}):
            raise DerivaMLRidsNotFound([rid], f"{self!r} has no row of {found.name} with RID {rid}.")
        return path

    def list_dataset_children(self, recurse: bool = False, **_ignored: Any) -> list[DatasetBag]:
        """Nested datasets, nearest first."""
        rids = children(self.reader, [self.dataset_rid], recurse=recurse)
        return [DatasetBag(self.catalog, rid) for rid in rids]

    def list_dataset_parents(self, recurse: bool = False, **_ignored: Any) -> list[DatasetBag]:
        """Datasets of this bag that contain this one, nearest first."""
        rids = parents(self.reader, [self.dataset_rid], recurse=recurse)
        return [DatasetBag(self.catalog, rid) for rid in rids]

    def list_dataset_element_types(self, **_ignored: Any) -> Sequence[Table]:
        """Tables whose rows can be members."""
        return super().list_dataset_element_types()

    def dataset_history(self, **_ignored: Any) -> list[DatasetHistory]:
        """Versions of this dataset up to the one that was downloaded, ascending."""
        return super().dataset_history()

    def list_executions(self, **_ignored: Any) -> list[RID]:
        """RIDs of the executions that had read this dataset when the version was made."""
        table = self.model.ml_table("Dataset_Execution")
        rows = self.reader.rows(table, where={"Dataset": [self.dataset_rid]})
        return sorted(row["Execution"] for row in rows)

    def materialize(self, *, fetch_concurrency: int = 8) -> DatasetBag:
        """Bring the asset files that are not here yet.

        Parameters
        ----------
        fetch_concurrency : int
            How many at a time.

        Returns
        -------
        DatasetBag
            This one.

        Raises
        ------
        DerivaMLException
            If the bag was opened without a catalog to fetch from, or removed since.
        """
        workers = require_number("fetch_concurrency", fetch_concurrency, least=1)
        seal.require_here(self.path)
        if seal.missing(self.path):
            if self.catalog.fetch is None:
                raise DerivaMLException(
                    f"Bag {self.path} was opened without its catalog; use ml.download_dataset_bag() to fetch files."
                )
            self.catalog.fetch(self.path, workers)
            self.catalog.guard.refresh()
        return self

    def restructure_assets(
        self,
        output_dir: Path | str,
        *,
        asset_table: Any = None,
        targets: Targets = None,
        target_transform: Callable[[Any], str] | None = None,
        missing: str = "unknown",
        use_symlinks: bool = True,
        type_selector: Callable[[list[str]], str] | None = None,
        type_to_dir_map: Mapping[str, str] | None = None,
        enforce_vocabulary: bool = True,
        file_transformer: Callable[[Path, Path], Path] | None = None,
    ) -> dict[Path, Path]:
        """Lay the asset files in folders: ``<output_dir>/<dataset type>/<label>/<file name>``.

        Parameters
        ----------
        output_dir : Path
        asset_table : str, optional
            The first asset table among the members by default.
        targets : list of str, or dict, optional
            Features or columns of the asset table, one level of folders each; a dict gives selectors for features
            with several values per asset.
        target_transform : callable, optional
            Turns a feature record (or column value) into the name of a folder.
        missing : {"unknown", "skip", "error"}
            What becomes of assets without a value.
        use_symlinks : bool
            Whether files are linked; where links are not possible they are copied.
        type_selector : callable, optional
            Chooses among the types of a dataset; the first that has a folder by default.
        type_to_dir_map : dict, optional
            Dataset type to folder; Training, Testing and Unknown in lower case by default.
        enforce_vocabulary : bool
            Whether features without a term are refused.
        file_transformer : callable, optional
            Writes a changed copy; gets source and target, returns the path that it wrote.

        Returns
        -------
        dict
            Path in the bag to path where the file was placed.

        Raises
        ------
        DerivaMLException
            If there is no asset table, or a target does not fit.
        """
        given = selectors_of(targets)
        arguments.mapping("type_to_dir_map", type_to_dir_map, "dataset types to folders")
        for name, asked in {
            "target_transform": target_transform,
            "type_selector": type_selector,
            "file_transformer": file_transformer,
        }.items():
            arguments.function(name, asked, "a function")
        how = Arrangement(
            targets=tuple(given),
            selectors={name: selector for name, selector in given.items() if selector is not None},
            target_transform=target_transform,
            missing=missing,
            use_symlinks=use_symlinks,
            type_selector=type_selector,
            type_to_dir_map=TYPE_FOLDERS if type_to_dir_map is None else type_to_dir_map,
            enforce_vocabulary=enforce_vocabulary,
            file_transformer=file_transformer,
        )
        return arrange(
            self, arguments.path("output_dir", output_dir), self.lookup_asset_table(asset_table), how
        )

    def lookup_asset_table(self, table: Any = None) -> Table:
        """Return an asset table of the bag; without a name the first one among the members.

        Raises
        ------
        DerivaMLException
            If no member is an asset.
        """
        if table is not None:
            return self.model.require_asset(table)
        for name, keys in self.list_dataset_members(recurse=True).items():
            found = self.model.name_to_table(name)
            if keys and self.model.is_asset(found):
                return found
        raise DerivaMLException(
            f"Dataset {self.dataset_rid} has no members in an asset table; name asset_table=."
        )
