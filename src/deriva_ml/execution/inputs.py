"""Inputs of an execution: resolved before it is recorded, linked when it is, materialised when they are needed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from deriva_ml import vocabulary
from deriva_ml.asset import download as downloads
from deriva_ml.asset.files import AssetFilePath
from deriva_ml.asset.register import register
from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.execution import repetition
from deriva_ml.execution.lifecycle import duration_of, duration_text
from deriva_ml.names import (
    DRY_RUN_RID,
    NOT_METADATA,
    AssetRole,
    DatasetVersion,
    ExecAssetType,
    MLTable,
    MLVocab,
)
from deriva_ml.reexport import room
from deriva_ml.specs import AssetSpec, DatasetSpec, ExecutionConfiguration, LocalFile
from deriva_ml.workspace import paths
from deriva_ml.workspace.executions import InputAsset

if TYPE_CHECKING:
    from deriva_ml.asset import asset as assets
    from deriva_ml.asset.asset import Asset
    from deriva_ml.dataset import download as bags
    from deriva_ml.dataset import registry
    from deriva_ml.dataset.bag import DatasetBag
    from deriva_ml.dataset.download import Resolved
    from deriva_ml.session import Session
else:
    assets = room("deriva_ml.asset.asset")
    bags = room("deriva_ml.dataset.download")
    registry = room("deriva_ml.dataset.registry")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Declared:
    """What a configuration names, found in the catalog or on this disk.

    Parameters
    ----------
    datasets : list of Resolved
        With concrete versions.
    assets : list of (AssetSpec, Asset)
    files : list of Path
    """

    datasets: list[Resolved]
    assets: list[tuple[AssetSpec, Asset]]
    files: list[Path]


def find_declared(session: Session, configuration: ExecutionConfiguration) -> Declared:
    """Find everything that a configuration names; nothing is written.

    Raises
    ------
    DerivaMLException
        If a dataset, version, asset or file does not exist or is of another kind.
    """
    specs = {spec.rid: spec for spec in configuration.datasets}
    resolved = [bags.resolve(session, spec) for spec in configuration.datasets]
    by_rid = {found.spec.rid: found for found in resolved}
    for found in resolved:
        if found.spec.version != by_rid[found.spec.rid].spec.version:
            raise DerivaMLValidationError(
                f"Dataset {found.spec.rid} is declared in versions {found.spec.version} and"
                f" {by_rid[found.spec.rid].spec.version}; an execution can read one version of a dataset."
            )
    for found in by_rid.values():
        if found.entry.dataset_version.is_devrelease:
            logger.warning(
                "Dataset %s is declared in its development version %s, which may still change and becomes part of the next "
                "release: the run will be known as a reader of that. Release it first to record what the run read.",
                found.spec.rid,
                found.entry.dataset_version,
            )
    asset_specs = {item.rid: item for item in configuration.assets if isinstance(item, AssetSpec)}
    found_assets = assets.lookup_assets(session, list(asset_specs)) if asset_specs else {}
    for asset in found_assets.values():
        # That it was read could not be told of a file without links to executions.
        session.model.asset_executions(asset._table)
    files = [repetition.local_file(item.path) for item in configuration.assets if isinstance(item, LocalFile)]
    if folders := [str(path) for path in files if path.is_dir()]:
        raise DerivaMLException(
            f"Local input files cannot be folders: {', '.join(folders)}. Give each file in them as LocalFile(path=...)."
        )
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise DerivaMLException(f"Local input files do not exist: {', '.join(missing)}.")
    return Declared(
        [by_rid[rid] for rid in specs], [(asset_specs[rid], found_assets[rid]) for rid in asset_specs], files
    )


def link_datasets(session: Session, execution_rid: str, datasets: Sequence[Resolved]) -> None:
    """Record which dataset versions an execution reads; a dataset that is linked already stays as it is."""
    links = [
        {"Dataset": found.spec.rid, "Execution": execution_rid, "Dataset_Version": found.entry.version_rid}
        for found in datasets
    ]
    table = session.ml_table("Dataset_Execution")
    rows.insert(session.connection, table, links, skip_conflicts=True)
    if links:
        session.workspace.executions.update(execution_rid, has_input=True)


def add_dataset(
    session: Session, execution_rid: str, dataset_rid: str, version: DatasetVersion | str | None
) -> None:
    """Record that an execution reads a dataset, the last release if no version is named."""
    registry.add_input(session, execution_rid, dataset_rid, version)
    session.workspace.executions.update(execution_rid, has_input=True)


def link_assets(session: Session, execution_rid: str, found: Sequence[Asset]) -> None:
    """Record which assets an execution reads, and tag them as inputs."""
    by_table: dict[tuple[str, str], list[str]] = {}
    for asset in found:
        table = asset._table
        by_table.setdefault((table.schema.name, table.name), []).append(asset.asset_rid)
    for name, members in by_table.items():
        table = session.table(name)
        roles, asset_column, execution_column = session.model.asset_executions(table)
        links = [
            {asset_column: rid, execution_column: execution_rid, "Asset_Role": str(AssetRole.input)}
            for rid in members
        ]
        rows.insert(session.connection, roles, links, skip_conflicts=True)
        assets.add_types(session, table, [(rid, ExecAssetType.input_file) for rid in members])
    if by_table:
        session.workspace.executions.update(execution_rid, has_input=True)


@contextmanager
def timed(session: Session, execution_rid: str) -> Iterator[None]:
    """Count the time of a block as download time of an execution; the catalog hears of it at the next move."""
    started = time.monotonic()
    yield
    state = session.workspace.executions.get(execution_rid)
    if state is not None:
        took = duration_of(state.download_duration) + timedelta(seconds=time.monotonic() - started)
        session.workspace.executions.update(execution_rid, download_duration=duration_text(took))


def download_dataset(session: Session, execution_rid: str, spec: DatasetSpec) -> DatasetBag:
    """Download a version of a dataset for an execution; nothing is written to the catalog."""
    with timed(session, execution_rid):
        return bags.download(session, spec)


def download_declared(
    session: Session, execution_rid: str, declared: Sequence[tuple[AssetSpec, Asset]]
) -> list[AssetFilePath]:
    """Bring the files of declared assets to the execution's folder, under table and RID."""
    found = []
    for spec, asset in declared:
        folder = paths.downloaded_dir(
            session.workspace.root, execution_rid, asset.asset_table, asset.asset_rid
        )
        found.append(_fetched(session, asset, folder, use_cache=spec.cache))
    return found


def _fetched(session: Session, asset: Asset, folder: Path, *, use_cache: bool) -> AssetFilePath:
    row = asset.get_metadata()
    path = downloads.download(session, row, folder, use_cache=use_cache)
    metadata = {name: value for name, value in row.items() if name not in NOT_METADATA}
    types = [*asset.asset_types, str(ExecAssetType.input_file)]
    return AssetFilePath(path, asset.asset_table, Path(path), metadata, dict.fromkeys(types), asset.asset_rid)


def download_asset(
    session: Session,
    execution_rid: str,
    asset_rid: str,
    dest_dir: Path,
    *,
    update_catalog: bool = True,
    use_cache: bool = False,
) -> AssetFilePath:
    """Download one asset and record that the execution reads it; see `Execution.download_asset`."""
    asset = assets.lookup_asset(session, asset_rid)
    if update_catalog:
        session.model.asset_executions(asset._table)
    types = asset.asset_types
    with timed(session, execution_rid):
        path = _fetched(session, asset, dest_dir, use_cache=use_cache)
    if not update_catalog:
        path.asset_types = types
        return path
    link_assets(session, execution_rid, [asset])
    remember(session, execution_rid, [path], declared=False)
    return path


def remember(session: Session, execution_rid: str, found: Sequence[AssetFilePath], *, declared: bool) -> None:
    """Note on this machine which files were downloaded for an execution."""
    session.workspace.executions.add_inputs(
        execution_rid,
        (
            InputAsset(
                path=str(path),
                asset_rid=path.asset_rid or "",
                asset_table=path.asset_table,
                declared=declared,
                asset_types=json.dumps(path.asset_types),
                metadata=json.dumps(path.metadata, default=str),
            )
            for path in found
        ),
    )


def remembered(session: Session, execution_rid: str) -> AssetPaths:
    """Declared files of an execution, as an earlier process downloaded them."""
    return AssetPaths.of(
        AssetFilePath(
            item.path,
            item.asset_table,
            Path(item.path),
            json.loads(item.metadata),
            json.loads(item.asset_types),
            item.asset_rid,
        )
        for item in session.workspace.executions.inputs(execution_rid)
        if item.declared
    )


def register_files(session: Session, execution_rid: str, files: Sequence[Path]) -> list[AssetFilePath]:
    """Record local files that an execution reads: by address and checksum, their bytes stay where they are."""
    if not files:
        return []
    table = session.ml_table(MLTable.file)
    types = vocabulary.require_terms(session, MLVocab.asset_type, [MLTable.file])
    new = {
        f"tag:{session.connection.authority},{_day(path)}:{path.as_uri()}": {
            "Filename": path.name,
            "Length": path.stat().st_size,
            "MD5": md5_of(path),
        }
        for path in files
    }
    known = register(session, new)
    assets.add_types(session, table, [(known[url]["RID"], name) for url in new for name in types])
    found = [assets.Asset(session, table, known[url], types) for url in new]
    link_assets(session, execution_rid, found)
    return local_files(files, [asset.asset_rid for asset in found])


def local_files(files: Sequence[Path], rids: Sequence[str | None]) -> list[AssetFilePath]:
    """Local files that an execution reads, with the RIDs of their rows where there are such."""
    table, tags = str(MLTable.file), [str(MLTable.file), str(ExecAssetType.input_file)]
    return [AssetFilePath(path, table, path, {}, tags, rid) for path, rid in zip(files, rids, strict=True)]


def _day(path: Path) -> str:
    """Day of the last change: with it the same content has the same address whenever it is registered."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()


class InputDataset(DatasetSpec):
    """A declared dataset: its specification, which behaves as the downloaded bag where a bag is meant.

    The bag is downloaded when something of it is first used.

    Examples
    --------
    >>> for dataset in exe.datasets:  # doctest: +SKIP
    ...     print(dataset.rid, dataset.version, len(dataset.list_dataset_members()["Image"]))
    """

    _session: Any = None
    _execution_rid: str = DRY_RUN_RID
    _bag: DatasetBag | None = None

    @classmethod
    def of(cls, session: Session, spec: DatasetSpec, execution_rid: str) -> InputDataset:
        """The input of an execution that a specification with a concrete version names."""
        made = cls.model_validate({name: getattr(spec, name) for name in type(spec).model_fields})
        made._session, made._execution_rid = session, execution_rid
        return made

    @property
    def bag(self) -> DatasetBag:
        """The downloaded bag."""
        if self._bag is None:
            if self._session is None:
                raise DerivaMLException(
                    f"Dataset {self.rid} is not bound to a catalog, so it cannot be downloaded."
                )
            self._bag = download_dataset(self._session, self._execution_rid, self)
        return self._bag

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasetSpec) and self.model_dump() == other.model_dump()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from checkers
        return getattr(self.bag, name)


class AssetPaths(dict[str, list[AssetFilePath]]):
    """Files of the declared assets of an execution, by asset table."""

    @classmethod
    def of(cls, found: Iterable[AssetFilePath]) -> Self:
        """Group files."""
        grouped = cls()
        for path in found:
            grouped.setdefault(path.asset_table, []).append(path)
        return grouped

    def __missing__(self, table: str) -> NoReturn:
        raise KeyError(
            f"{table!r} is not an asset table with files of this execution; it declares assets of: {', '.join(self) or 'none'}"
        )


class InputDatasets(Sequence[InputDataset]):
    """The declared datasets of an execution; by place or by RID."""

    def __init__(self, datasets: Sequence[InputDataset] = ()) -> None:
        self._datasets = list(datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def __iter__(self) -> Iterator[InputDataset]:
        return iter(self._datasets)

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, str):
            return self._datasets[place]
        for dataset in self._datasets:
            if dataset.rid == place:
                return dataset
        known = ", ".join(self.keys()) or "none"
        raise KeyError(f"{place!r} is not a dataset of this execution; it declares: {known}")

    def __contains__(self, item: object) -> bool:
        return item in self.keys() if isinstance(item, str) else item in self._datasets

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def find(self, rid: str) -> InputDataset | None:
        """The dataset of a RID, None when it is not declared."""
        return next((dataset for dataset in self._datasets if dataset.rid == rid), None)

    def keys(self) -> list[str]:
        """RIDs."""
        return [dataset.rid for dataset in self._datasets]

    def values(self) -> list[InputDataset]:
        """Datasets."""
        return list(self._datasets)

    def items(self) -> list[tuple[str, InputDataset]]:
        """RIDs with datasets."""
        return list(zip(self.keys(), self._datasets, strict=True))

    def __repr__(self) -> str:
        return f"[{', '.join(f'{dataset.rid}@{dataset.version}' for dataset in self._datasets)}]"
