"""A dataset version as a bag: which rows and files belong to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from deriva_ml.asset.files import file_name_of
from deriva_ml.bag import layout
from deriva_ml.bag.build import asset_files, bag_file
from deriva_ml.bag.database import BagDatabase, BagFile
from deriva_ml.bag.walk import Walk, reached
from deriva_ml.dataset.view import children
from deriva_ml.model.ways import TableName, dataset_policy, name_of
from deriva_ml.names import AssetRole, MLAsset, MLTable, MLVocab
from deriva_ml.rows.reader import Reader, Row

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table


def reach(reader: Reader, dataset_rid: str) -> dict[TableName, set[str]]:
    """RIDs of all rows that belong to a dataset, by schema and table."""
    rids = [dataset_rid, *children(reader, [dataset_rid], recurse=True)]
    return reached(reader, dataset_policy(reader.model), rids)


class DatasetWalk:
    """What a dataset bag holds beyond the walk, and which files; made for one export.

    Parameters
    ----------
    reader : Reader
        At the snapshot of the version.
    exclude_tables : collection of str, optional
    """

    def __init__(self, reader: Reader, exclude_tables: Collection[str] | None = None) -> None:
        self.reader = reader
        self.model = reader.model
        self.excluded = frozenset(exclude_tables or ())
        self.policy = dataset_policy(self.model, exclude_tables)
        self._metadata_links: list[Row] = []
        self._producers: set[str] = set()

    def extend(self, walk: Walk) -> None:
        """Take the types of workflows, and the metadata files that the producing executions wrote."""
        self._take_workflow_types(walk)
        metadata = self.model.ml_table(MLAsset.execution_metadata)
        if metadata.name in self.excluded or not self._producers:
            return
        links, asset_column, execution_column = self.model.asset_executions(metadata)
        self._metadata_links = walk.add(
            links, {execution_column: sorted(self._producers), "Asset_Role": [AssetRole.output.value]}
        )
        keys = sorted({row[asset_column] for row in self._metadata_links})
        walk.add(metadata, {"RID": keys})
        types, asset_column, _ = self.model.asset_types(metadata)
        walk.add(types, {asset_column: keys})

    def _take_workflow_types(self, walk: Walk) -> None:
        workflow = self.model.ml_table(MLTable.workflow)
        table, column, _ = self.model.find_association(workflow, self.model.ml_table(MLVocab.workflow_type))
        walk.close()
        workflows = walk.taken(workflow)
        if workflows:
            walk.add(table, {column: sorted(workflows)})

    def note(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        """Remember, of rows that pass, the executions that made something in this dataset."""
        producing = self._producing_column(table)
        for row in rows:
            if producing and row[producing] and row.get("Asset_Role") != AssetRole.input.value:
                self._producers.add(row[producing])
            yield row

    def _producing_column(self, table: Table) -> str | None:
        if table.name == "Dataset_Execution" and table.schema.name == self.model.ml_schema:
            return None
        execution = self.model.ml_table(MLTable.execution)
        for key in table.foreign_keys:
            if key.pk_table is execution:
                return str(next(iter(key.foreign_key_columns)).name)
        return None

    def list_files(self, database: BagDatabase) -> Iterator[BagFile]:
        """List the files of the rows that were taken."""
        metadata = self.model.ml_table(MLAsset.execution_metadata)
        for table in self.model.find_assets():
            if name_of(table) not in database.tables:
                continue
            if table is metadata:
                yield from self._metadata_files(database, table)
            else:
                files = asset_files(database, table, file_name_of)
                yield from (file for file in files if is_stored(file.url))

    def _metadata_files(self, database: BagDatabase, table: Table) -> Iterator[BagFile]:
        """Files about an execution lie in the folder of that execution, whoever else wrote the same bytes."""
        _links, asset_column, execution_column = self.model.asset_executions(table)
        executions: dict[str, list[str]] = {}
        for link in self._metadata_links:
            executions.setdefault(link[asset_column], []).append(link[execution_column])
        for row in database.rows(table):
            for rid in executions.get(row["RID"], [row["RID"]]):
                path = layout.asset_file(table.name, rid, file_name_of(row))
                if is_stored(row["URL"]):
                    yield bag_file(table, row, path, row["URL"])


def is_stored(url: str) -> bool:
    """Whether a URL names bytes that can be fetched; files registered in place are known by a ``tag:`` URL only."""
    return not url.startswith("tag:")
