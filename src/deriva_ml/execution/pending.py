"""The output files that wait for a commit, as they are now, and whether the catalog will take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.bag.load import matching_rows
from deriva_ml.errors import DerivaMLUploadError, DerivaMLValidationError
from deriva_ml.workspace import paths
from deriva_ml.workspace.manifest import AssetEntry

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.session import Session


@dataclass(frozen=True)
class PendingFile:
    """One output file, as it is now."""

    key: str
    entry: AssetEntry
    path: Path
    length: int
    mtime_ns: int

    @property
    def name(self) -> str:
        """File name in the catalog."""
        return self.key.partition("/")[2]

    @property
    def table(self) -> tuple[str, str]:
        """Schema and name of its asset table."""
        return self.entry.schema, self.entry.asset_table


def find_pending(
    session: Session, execution_rid: str, pending: Mapping[str, AssetEntry]
) -> tuple[list[PendingFile], dict[str, str]]:
    """The files behind registered outputs, and by key what is wrong with those that cannot be read."""
    files, unreadable = [], {}
    for key, entry in pending.items():
        name = key.partition("/")[2]
        path = paths.staged_file(session.workspace.root, execution_rid, entry.asset_table, name)
        try:
            status = path.stat()
            if not path.is_file():
                raise IsADirectoryError(21, "it is no file; of a folder, register an archive")
        except OSError as error:
            origin = f", linked from {entry.source}" if entry.source else ""
            unreadable[key] = f"{key} ({path}{origin}): {error.strerror}"
            continue
        files.append(PendingFile(key, entry, path, status.st_size, status.st_mtime_ns))
    return files, unreadable


def check_outputs(
    session: Session, execution_rid: str, pending: Mapping[str, AssetEntry], unreadable: Mapping[str, str]
) -> None:
    """Refuse outputs that cannot be committed; all problems are named at once.

    Raises
    ------
    DerivaMLValidationError
        If required metadata is missing, or refers to nothing.
    DerivaMLUploadError
        If all metadata is right, but files cannot be read.
    """
    wrong = list(_wrong_metadata(session, pending))
    if not wrong and not unreadable:
        return
    outputs = f"outputs of execution {execution_rid}"
    said = {
        f"Metadata of {len(wrong)} {outputs} is not as the catalog needs it, so nothing was uploaded:": wrong,
        f"{len(unreadable)} registered {outputs} cannot be read, so nothing was uploaded:": list(
            unreadable.values()
        ),
    }
    ways = ["set metadata with path.metadata = {...}"] if wrong else []
    if unreadable:
        # The program that registered them may be over, so the example is one that works in any other.
        example = f"ml.resume_execution({execution_rid!r}).discard_asset_file({next(iter(unreadable))!r})"
        ways.append(f"write these files, or forget them with discard_asset_file(), as in {example}")
    way = "; ".join(ways)
    parts = ["\n  ".join([head, *lines]) for head, lines in said.items() if lines]
    text = "\n".join([*parts, f"{way[0].upper()}{way[1:]}; then call commit_output_assets() again."])
    raise DerivaMLValidationError(text) if wrong else DerivaMLUploadError(text)


def _wrong_metadata(session: Session, pending: Mapping[str, AssetEntry]) -> Iterator[str]:
    for name in dict.fromkeys((entry.schema, entry.asset_table) for entry in pending.values()):
        table = session.table(name)
        members = {key: entry for key, entry in pending.items() if (entry.schema, entry.asset_table) == name}
        metadata = session.model.asset_metadata(table)
        required = [
            column.name
            for column in table.columns
            if column.name in metadata and not column.nullok and column.default is None
        ]
        for key, entry in members.items():
            missing = [column for column in required if entry.metadata.get(column) is None]
            yield from (f"{key}: column {column} needs a value" for column in missing)
        yield from _dangling(session, table, metadata, members)


def _dangling(
    session: Session, table: Table, metadata: set[str], members: Mapping[str, AssetEntry]
) -> Iterator[str]:
    for reference in table.foreign_keys:
        column = next(iter(reference.foreign_key_columns)).name
        values = {
            key: entry.metadata[column]
            for key, entry in members.items()
            if entry.metadata.get(column) is not None
        }
        if column not in metadata or len(reference.foreign_key_columns) != 1 or not values:
            continue
        referred = next(iter(reference.referenced_columns)).name
        known = matching_rows(
            session.connection, reference.pk_table, referred, set(values.values()), (referred,)
        )
        there = {row[referred] for row in known}
        for key, value in values.items():
            if value not in there:
                yield f"{key}: column {column} names {value!r}, no {referred} of a row of {reference.pk_table.name}"
