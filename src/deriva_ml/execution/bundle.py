"""The outputs that wait for their commit, as a sealed bag: the record from which a commit can be begun again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.bag import layout, seal
from deriva_ml.bag.write import FetchEntry, json_tables, read_json_rows, write_document, write_json_rows
from deriva_ml.checksums import mark_of
from deriva_ml.ermrest import objects
from deriva_ml.ermrest.leases import lease
from deriva_ml.errors import DerivaMLDataError
from deriva_ml.execution.hashing import Hashed, hash_files
from deriva_ml.execution.outputs import ASSET_MARK
from deriva_ml.execution.pending import PendingFile, check_outputs, find_pending
from deriva_ml.names import AssetRole, ExecAssetType
from deriva_ml.records import UploadCallback
from deriva_ml.rows.reader import Row
from deriva_ml.workspace import paths
from deriva_ml.workspace.features import StagedRecord
from deriva_ml.workspace.manifest import AssetEntry, AssetManifest

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.session import Session

TableName = tuple[str, str]

_NOTE = "metadata/deriva-ml-commit.json"


@dataclass(frozen=True)
class Bundle:
    """A sealed bag of outputs.

    Parameters
    ----------
    folder : Path
    rids : dict
        RID leased for each file, by its key.
    records : list of StagedRecord
        Feature rows in the bag.
    read_as : dict
        Mark of each file as it was read, by its key.
    resumed : bool
        Whether a former commit may have sent some of it already.
    held : dict
        Bytes that the store has taken in already, by place in the bag.
    """

    folder: Path
    rids: dict[str, str]
    records: list[StagedRecord]
    read_as: dict[str, str]
    resumed: bool
    held: dict[str, objects.Taken] = field(default_factory=dict)


def assemble(
    session: Session,
    execution_rid: str,
    manifest: AssetManifest,
    pending: Mapping[str, AssetEntry],
    records: list[StagedRecord],
    taken: ExitStack,
    progress: UploadCallback | None = None,
) -> Bundle:
    """Check what waits, and make the bag of it; the bag of an interrupted commit is used when nothing has changed.

    Parameters
    ----------
    session : Session
    execution_rid : str
    manifest : AssetManifest
        Receives the leased RIDs.
    pending : mapping
        Files by key.
    records : list of StagedRecord
    taken : ExitStack
        At whose end the bytes are given up that the store has taken in for nothing.
    progress : callable, optional

    Raises
    ------
    DerivaMLUploadError
        If files are missing or cannot be read; names them all.
    DerivaMLValidationError
        If required metadata is missing, or refers to nothing; names all.
    """
    folder = paths.upload_dir(session.workspace.root, execution_rid)
    files, unreadable = find_pending(session, execution_rid, pending)
    read_as = {file.key: mark_of(file.length, file.mtime_ns) for file in files}
    former = _Former.of(folder)
    if not unreadable and former.signature == _signature(files, records):
        known = {file.key: file.entry.rid or "" for file in files}
        return Bundle(folder, known, records, read_as, resumed=True)
    check_outputs(session, execution_rid, pending, unreadable)
    resumed = former.signature is not None or any(file.entry.rid for file in files)
    rids = _leased(session, manifest, files)
    hashed = hash_files(session.connection, files, taken, progress)
    tables = _asset_rows(session, execution_rid, files, rids, hashed)
    for name, rows in _feature_rows(records, manifest, rids).items():
        tables.setdefault(name, []).extend(rows)
    former.give_rids(session, tables)
    seal.discard(folder)
    for (schema, table), rows in tables.items():
        write_json_rows(folder, schema, table, rows)
    write_document(folder, _NOTE, {"signature": _signature(files, records, rids)})
    fetch = [
        FetchEntry(file.path.absolute().as_uri(), file.length, _place(file, rids), content.md5)
        for file, content in zip(files, hashed, strict=True)
    ]
    seal.seal(folder, fetch=fetch, info={"External-Identifier": execution_rid})
    held = {
        _place(file, rids): content.taken
        for file, content in zip(files, hashed, strict=True)
        if content.taken is not None
    }
    return Bundle(folder, rids, records, read_as, resumed, held)


def _place(file: PendingFile, rids: Mapping[str, str]) -> str:
    return layout.asset_file(file.entry.asset_table, rids[file.key], file.name)


@dataclass(frozen=True)
class _Former:
    """The bag that an interrupted commit has left, if it is whole; its rows may have reached the catalog.

    Parameters
    ----------
    signature : str, optional
        What it was made of; None without a whole bag.
    rids : dict
        RIDs by table and content of the row.
    """

    signature: str | None = None
    rids: dict[tuple[TableName, str], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> _Former:
        if not seal.is_sealed(folder):
            return cls()
        try:
            seal.validate(folder, complete=False)
            signature = json.loads((folder / _NOTE).read_text(encoding="utf-8"))["signature"]
        except (DerivaMLDataError, OSError, ValueError, KeyError):
            # A power failure can take parts of it.
            return cls()
        found = cls(signature)
        for name in json_tables(folder):
            for row in read_json_rows(folder, *name):
                if "RID" in row:
                    found.rids.setdefault((name, _content(row)), []).append(row["RID"])
        return found

    def give_rids(self, session: Session, tables: Mapping[TableName, list[Row]]) -> None:
        """Give rows a RID before anything is sent, the one they had before where they were in the former bag.

        What is sent again after an unclear answer is then the same row. Rows that have another key are known by that,
        which saves as many leases as there are links and feature values.
        """
        fresh = []
        for name, rows in tables.items():
            if _has_key(session.table(name)):
                continue
            for row in rows:
                if "RID" not in row and (known := self.rids.get((name, _content(row)))):
                    row["RID"] = known.pop()
            fresh += [row for row in rows if "RID" not in row]
        for row, rid in zip(fresh, lease(session.connection, len(fresh)), strict=True):
            row["RID"] = rid


def _has_key(table: Table) -> bool:
    """Whether every row of a table is known by something else than its RID."""
    return any(
        all(column.name != "RID" and not column.nullok for column in key.unique_columns) for key in table.keys
    )


def _content(row: Row) -> str:
    return json.dumps(
        {name: value for name, value in row.items() if name != "RID"}, sort_keys=True, default=str
    )


def _signature(
    files: Sequence[PendingFile], records: Sequence[StagedRecord], rids: Mapping[str, str] | None = None
) -> str:
    """What the bag is made of; equal for equal files, metadata, RIDs and feature rows."""
    digest = hashlib.sha256()
    for file in files:
        entry = vars(file.entry) | {"rid": (rids or {}).get(file.key, file.entry.rid)}
        for name in ("status", "error", "uploaded_at"):
            del entry[name]
        digest.update(json.dumps([file.key, entry, file.length, file.mtime_ns], sort_keys=True).encode())
    for record in records:
        digest.update(f"{record.stage_id}\0{record.feature_table}\0{record.record_json}\0".encode())
    return digest.hexdigest()


# Rows --------------------------------------------------------------------------------------------------------------


def _leased(session: Session, manifest: AssetManifest, files: Sequence[PendingFile]) -> dict[str, str]:
    """A RID for every file, kept in the manifest before it is used."""
    without = [file.key for file in files if not file.entry.rid]
    fresh = dict(zip(without, lease(session.connection, len(without)), strict=True))
    if fresh:
        manifest.set_asset_rids_batch(fresh)
    return {file.key: file.entry.rid or fresh[file.key] for file in files}


def _asset_rows(
    session: Session,
    execution_rid: str,
    files: Sequence[PendingFile],
    rids: Mapping[str, str],
    hashed: Sequence[Hashed],
) -> dict[TableName, list[Row]]:
    tables: dict[TableName, list[Row]] = {}
    for name in dict.fromkeys(file.table for file in files):
        table = session.table(name)
        roles, role_asset, role_execution = session.model.asset_executions(table)
        types, type_asset, type_column = session.model.asset_types(table)
        rows = tables.setdefault(name, [])
        role_rows = tables.setdefault((roles.schema.name, roles.name), [])
        type_rows = tables.setdefault((types.schema.name, types.name), [])
        for file, content in zip(files, hashed, strict=True):
            if file.table == name:
                rid = rids[file.key]
                rows.append(_asset_row(file, rid, content.md5))
                role = str(AssetRole.output)
                role_rows.append({role_asset: rid, role_execution: execution_rid, "Asset_Role": role})
                tags = dict.fromkeys([*file.entry.asset_types, str(ExecAssetType.output_file)])
                type_rows += [{type_asset: rid, type_column: tag} for tag in tags]
    return tables


def _asset_row(file: PendingFile, rid: str, md5: str) -> Row:
    return {
        "RID": rid,
        "URL": objects.object_url(file.entry.asset_table, f"{md5}.{file.name}"),
        "Filename": file.name,
        "Length": file.length,
        "MD5": md5,
        "Description": file.entry.description,
        **file.entry.metadata,
    }


def _feature_rows(
    records: Sequence[StagedRecord], manifest: AssetManifest, rids: Mapping[str, str]
) -> dict[TableName, list[Row]]:
    tables: dict[TableName, list[Row]] = {}
    uploaded: dict[str, AssetEntry] | None = None
    for record in records:
        row = json.loads(record.record_json)
        for column, value in row.items():
            if isinstance(value, dict) and set(value) == {ASSET_MARK}:
                key = value[ASSET_MARK]
                if key not in rids and uploaded is None:
                    uploaded = manifest.uploaded_assets()
                row[column] = rids[key] if key in rids else (uploaded or {})[key].rid
        schema, _, table = record.feature_table.partition(".")
        tables.setdefault((schema, table), []).append(row)
    return tables
