"""Outputs of an execution: files and feature rows, kept on this machine until they are committed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from deriva_ml import vocabulary
from deriva_ml.asset.download import make_folder
from deriva_ml.asset.files import AssetFilePath, as_metadata, type_names
from deriva_ml.checksums import mark_of
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLValidationError,
)
from deriva_ml.execution.staging import Staging, is_staged, stage
from deriva_ml.execution.sync import require_open
from deriva_ml.lasting import let_last
from deriva_ml.model.fields import field_of
from deriva_ml.names import ExecMetadataType, MLAsset, MLVocab
from deriva_ml.workspace import paths
from deriva_ml.workspace.manifest import PENDING, UPLOADED, AssetEntry, AssetManifest

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)

_LONGEST_NAME = 255
"""What common file systems allow, in bytes."""

_SHOWN = 60
_RESERVED_NAMES = {"_implementations.log": "-implementations.log"}


@dataclass(frozen=True)
class Registration:
    """Keeps later changes of one registered file; see `deriva_ml.asset.files.Registration`."""

    session: Session
    execution_rid: str
    key: str

    def update_metadata(self, metadata: dict[str, Any]) -> None:
        """Replace the metadata; raises `DerivaMLValidationError` for unknown columns and values of other types."""
        manifest = self._open_manifest()
        entry = manifest.get_asset(self.key)
        table = self.session.table((entry.schema, entry.asset_table))
        manifest.update_asset_metadata(self.key, checked_metadata(self.session, table, metadata))

    def update_types(self, asset_types: list[str]) -> None:
        """Replace the types; raises `DerivaMLInvalidTerm` for an unknown one."""
        names = vocabulary.require_terms(self.session, MLVocab.asset_type, asset_types)
        self._open_manifest().update_asset_types(self.key, names)

    def _open_manifest(self) -> AssetManifest:
        manifest = self.session.workspace.manifest_of(self.execution_rid)
        if manifest.get_asset(self.key).status == UPLOADED:
            raise DerivaMLValidationError(
                f"{self.key} is committed already; change it in the catalog, or register the file again."
            )
        return manifest


@dataclass(frozen=True)
class OutputFile:
    """What a user says of one output file; see `Execution.asset_file_path`."""

    file_name: str | Path
    asset_types: str | Iterable[str] | None = None
    copy_file: bool = False
    rename_file: str | None = None
    metadata: Mapping[str, Any] | Any = None
    description: str | None = None


def output_files(given: Iterable[str | Path | Mapping[str, Any]]) -> Iterator[OutputFile]:
    """Output files from names, paths, or mappings of what is said of each.

    Raises
    ------
    DerivaMLValidationError
        If they are something else.
    """
    if isinstance(given, str | PurePath | Mapping) or not isinstance(given, Iterable):
        raise DerivaMLValidationError(f"Output files are given as a list, not as {given!r}.")
    known = [field.name for field in fields(OutputFile)]
    for item in given:
        values = item if isinstance(item, Mapping) else {"file_name": item}
        if "file_name" not in values or not set(values) <= set(known):
            raise DerivaMLValidationError(
                f"{item!r} does not describe an output file: file_name is needed, and it may have {', '.join(known[1:])}."
            )
        yield OutputFile(**values)


class Outputs:
    """Output files of one execution.

    Parameters
    ----------
    session : Session
    execution_rid : str
    recorded : bool
        False in a dry run: files are staged, nothing is registered.
    """

    def __init__(self, session: Session, execution_rid: str, recorded: bool = True) -> None:
        self._session = session
        self._execution_rid = execution_rid
        self._recorded = recorded
        # Tables known to have links to executions: a run registers many files of few tables.
        self._linked: list[Table] = []
        self.manifest = session.workspace.manifest_of(execution_rid)

    def register(self, asset_name: str, files: Iterable[OutputFile]) -> list[AssetFilePath]:
        """Register output files of one asset table, all of them or none.

        Parameters
        ----------
        asset_name : str
            An asset table.
        files : iterable of OutputFile

        Returns
        -------
        list of AssetFilePath
            Where each file is, or is to be written.
        """
        self._require_open(f"add a file of {asset_name}")
        table = self._session.model.require_asset(asset_name)
        if table not in self._linked:
            self._session.model.asset_executions(table)
            self._linked.append(table)
        entries: dict[str, AssetEntry] = {}
        made: list[AssetFilePath] = []
        stagings: list[Staging] = []
        for file in files:
            source, name, exists = self._source_and_name(table, file)
            key = f"{table.name}/{name}"
            entry = self._entry(table, file, source)
            staged = paths.staged_file(self._session.workspace.root, self._execution_rid, table.name, name)
            self._check_free(key, entry, entries, None if exists else staged)
            entries[key] = entry
            stagings.append(Staging(source, staged, file.copy_file, exists))
            registration = Registration(self._session, self._execution_rid, key) if self._recorded else None
            path = AssetFilePath(
                staged, table.name, name, entry.metadata, entry.asset_types, registration=registration
            )
            made.append(path)
        for staging in stagings:
            stage(staging)
        if self._recorded and entries:
            self.manifest.add_assets(entries)
        return made

    def metrics_file(self, filename: str) -> AssetFilePath:
        """The metrics file of a name: registered on the first call, the same path on every later one."""
        if _file_name(filename) != filename:
            raise DerivaMLValidationError(
                f"{filename!r} cannot be the name of a metrics file; give one name such as 'metrics.jsonl', no folders."
            )
        self._require_open(f"add {filename}")
        table = self._session.model.require_asset(MLAsset.execution_metadata)
        key = f"{table.name}/{filename}"
        staged = paths.staged_file(self._session.workspace.root, self._execution_rid, table.name, filename)
        types = [ExecMetadataType.metrics_file.value]
        known = self._known(key) if self._recorded else None
        if known is None:
            vocabulary.require_terms(self._session, MLVocab.asset_type, types)
            known = AssetEntry(table.name, table.schema.name, types)
            if self._recorded:
                self.manifest.add_asset(key, known)
        make_folder(staged.parent)
        registration = Registration(self._session, self._execution_rid, key) if self._recorded else None
        return AssetFilePath(
            staged,
            table.name,
            filename,
            known.metadata,
            known.asset_types,
            known.rid,
            registration=registration,
        )

    def discard(self, file: str | Path) -> None:
        """Forget a registered file that was not committed, given by its path or its key ``<Table>/<name>``."""
        key = str(file) if isinstance(file, str) and file.count("/") == 1 else self.key_of(Path(file))
        if key is None or self._known(key) is None:
            raise DerivaMLException(f"{file} is not a registered output of execution {self._execution_rid}.")
        marker = json.dumps({ASSET_MARK: key})
        for record in self._session.workspace.features.pending(self._execution_rid):
            if marker in record.record_json:
                raise DerivaMLValidationError(
                    f"{key} is the value of staged feature {record.feature_name!r}; discard that with discard_features()."
                )
        try:
            self.manifest.remove_asset(key)
        except KeyError:
            raise DerivaMLException(f"{key} is committed already.") from None
        table, _, name = key.partition("/")
        staged = paths.staged_file(self._session.workspace.root, self._execution_rid, table, name)
        # A folder that was written in its place is not ours to empty: an archive of it may become the output.
        if staged.is_symlink() or not staged.is_dir():
            staged.unlink(missing_ok=True)

    def key_of(self, path: Path) -> str | None:
        """Key of a staged file, None for other paths."""
        folder = paths.execution_dir(self._session.workspace.root, self._execution_rid) / "assets"
        try:
            parts = Path(os.path.normpath(path.absolute())).relative_to(folder.absolute()).parts
        except ValueError:
            return None
        return "/".join(parts) if len(parts) == 2 else None

    def uploaded(self) -> dict[str, list[AssetFilePath]]:
        """Committed files by ``schema/Table``; a file itself may have been cleaned away."""
        found: dict[str, list[AssetFilePath]] = {}
        for key, entry in self.manifest.uploaded_assets().items():
            name = key.partition("/")[2]
            label = f"{entry.schema}/{entry.asset_table}"
            staged = paths.staged_file(
                self._session.workspace.root, self._execution_rid, entry.asset_table, name
            )
            path = AssetFilePath(staged, label, name, entry.metadata, entry.asset_types, entry.rid)
            found.setdefault(label, []).append(path)
        return found

    def let_last(self) -> None:
        """See that a power failure takes nothing of the files that wait.

        A run that is over is not run again for them; and what such a failure leaves of a file that was uploaded must not
        be taken for what somebody wrote to it later.
        """
        root = self._session.workspace.root
        staged = [
            paths.staged_file(root, self._execution_rid, entry.asset_table, key.partition("/")[2])
            for key, entry in self.manifest.pending_assets().items()
        ]
        try:
            let_last(staged, root)
        except OSError as error:
            # The commit reads them, and fails if they are damaged; the end of the run is recorded all the same.
            logger.warning(
                "Outputs of execution %s may not survive a power failure before they are committed: %s",
                self._execution_rid,
                error,
            )

    def reopen_rewritten(self) -> list[str]:
        """Let committed files wait again whose staged file was written to since it was read; their keys."""
        again: dict[str, AssetEntry] = {}
        for key, entry in self.manifest.uploaded_assets().items():
            name = key.partition("/")[2]
            staged = paths.staged_file(
                self._session.workspace.root, self._execution_rid, entry.asset_table, name
            )
            try:
                status = staged.stat()
            except OSError:
                continue
            if _rewritten(entry, status):
                again[key] = replace(entry, status=PENDING, rid=None)
        if again:
            self.manifest.add_assets(again)
        return list(again)

    def _require_open(self, doing: str) -> None:
        if self._recorded:
            require_open(self._session, self._execution_rid, doing)

    def _known(self, key: str) -> AssetEntry | None:
        try:
            return self.manifest.get_asset(key)
        except KeyError:
            return None

    def _source_and_name(self, table: Table, file: OutputFile) -> tuple[Path | None, str, bool]:
        """The existing file to be staged, if any, the name under which it is, and whether there is such a file already."""
        new_name = _file_name(file.file_name if file.rename_file is None else file.rename_file)
        try:
            given = Path(os.path.normpath(Path(file.file_name).expanduser().absolute()))
            folder, exists = given.is_dir(), given.exists()
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DerivaMLValidationError(
                f"{str(file.file_name)[:_SHOWN]!r} cannot be an output of {table.name}: {reason}."
            ) from error
        if folder:
            raise DerivaMLValidationError(f"{given} is a folder; an output is a single file.")
        if file.copy_file and not exists:
            raise DerivaMLValidationError(
                f"{given} does not exist, so it cannot be copied as an output of {table.name}."
            )
        name = new_name if exists else _file_name(file.file_name)
        name = _RESERVED_NAMES.get(name, name)
        staged = paths.staged_file(self._session.workspace.root, self._execution_rid, table.name, name)
        elsewhere = Path(file.file_name).name != str(file.file_name) and given.parent != staged.parent
        if not exists and (elsewhere or file.rename_file is not None):
            logger.warning(
                "There is no file %s; %s is a new output of %s, to be written to %s.%s",
                given,
                name,
                table.name,
                staged,
                ""
                if file.rename_file is None
                else f" {file.rename_file} does not become its name: rename_file is for files that exist.",
            )
        source = given if exists and not is_staged(given, staged) else None
        if source is not None and not file.copy_file and str(file.file_name) == source.name:
            # Runs side by side that mean a new file each would write to the same one.
            logger.warning(
                "%s is there already and becomes the output of %s; what is written goes to that file. For a new one "
                "remove or rename it, or pass copy_file=True.",
                source,
                table.name,
            )
        return source, name, exists

    def _entry(self, table: Table, file: OutputFile, source: Path | None) -> AssetEntry:
        if file.description is not None and not isinstance(file.description, str):
            raise DerivaMLValidationError(
                f"The description of an output of {table.name} cannot be {file.description!r}; give text."
            )
        return AssetEntry(
            asset_table=table.name,
            schema=table.schema.name,
            asset_types=self._types(table, file.asset_types),
            metadata=checked_metadata(self._session, table, as_metadata(file.metadata)),
            description=file.description,
            source=str(source) if source else None,
        )

    def _types(self, table: Table, given: str | Iterable[str] | None) -> list[str]:
        types = [table.name] if given is None else type_names(given)
        try:
            return vocabulary.require_terms(self._session, MLVocab.asset_type, types)
        except DerivaMLInvalidTerm as error:
            if given is not None:
                raise
            raise DerivaMLInvalidTerm(
                error.vocabulary,
                error.term,
                f"A file of {table.name} gets the type {table.name!r} when none is named, and {table.name!r} is no term of "
                f'Asset_Type. Add it once with ml.add_term("Asset_Type", "{table.name}", "what it is"), '
                "or name other types with asset_types=[...].",
            ) from None

    def _check_free(
        self, key: str, entry: AssetEntry, batch: Mapping[str, AssetEntry], new: Path | None
    ) -> None:
        """Two different files may not share one name, or the second would silently take the place of the first.

        Nor may what is written to a `new` file go through the link to a file that waits under its name.
        """
        known = batch.get(key) or (self._known(key) if self._recorded else None)
        if known is None or known.status == UPLOADED or known.source is None:
            return
        if entry.source is not None:
            taken, what = entry.source != known.source, entry.source
        else:
            linked = new is not None and (key in batch or new.is_symlink())
            taken, what = linked and Path(known.source).exists(), "A new file"
        if taken:
            raise DerivaMLValidationError(
                f"{what} would take the place of {known.source}: both would be {key}. Pass rename_file=, of which the last "
                "part counts, for one of them, give a new file another name, or forget the first with discard_asset_file()."
            )


def _rewritten(entry: AssetEntry, status: os.stat_result) -> bool:
    if entry.read_as is not None:
        return mark_of(status.st_size, status.st_mtime_ns) != entry.read_as
    # Committed before marks were kept.
    written = status.st_mtime
    return bool(entry.uploaded_at) and written > datetime.fromisoformat(entry.uploaded_at or "").timestamp()


def _file_name(given: Any) -> str:
    """Last part of a path, as a name that every file system and the catalog can keep."""
    if not isinstance(given, str | PurePath):
        raise DerivaMLValidationError(
            f"The file of an output cannot be {given!r}; give the name of a new file, or the path of an existing one."
        )
    text = str(given)
    name = PurePath(text).name
    reason = None
    if "\0" in text:
        reason = "it has a null byte"
    elif name in {"", ".."}:
        reason = "it names no file"
    elif any("\ud800" <= letter <= "\udfff" for letter in name):
        reason = "it is not Unicode"
    elif len(name.encode()) > _LONGEST_NAME:
        reason = f"it is longer than {_LONGEST_NAME} bytes"
    if reason is not None:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise DerivaMLValidationError(
            f"The file name {shown!r} cannot be that of an output: {reason}. An existing file can be given another name "
            "with rename_file=."
        )
    return name


ASSET_MARK = "deriva_ml_asset"
"""Key of the JSON object that stands for the RID of an output file in a staged feature row."""


def checked_metadata(session: Session, table: Table, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of an asset table with values as JSON has them.

    Raises
    ------
    DerivaMLValidationError
        If a column does not exist, or a value is not of its type, or is a path in place of a RID.
    """
    columns = session.model.asset_metadata(table)
    unknown = sorted(set(metadata) - columns)
    if unknown:
        known = ", ".join(sorted(columns)) or "none"
        raise DerivaMLValidationError(
            f"{table.name} has no metadata column {', '.join(map(repr, unknown))}; it has: {known}."
        )
    for name, value in metadata.items():
        if isinstance(value, Path):
            _require_no_reference(table, name, value)
    return {name: _value(table, name, value) for name, value in metadata.items()}


def _require_no_reference(table: Table, name: str, value: Path) -> None:
    """Refuse the path of a file where its RID is needed, before a run has done its work for nothing."""
    for key in table.foreign_keys:
        column, referred = next(iter(key.foreign_key_columns)).name, next(iter(key.referenced_columns)).name
        if (column, referred) == (name, "RID"):
            raise DerivaMLValidationError(
                f"{table.name}.{name} cannot be the path {str(value)!r}: it takes the RID of a row of "
                f"{key.pk_table.name}. A file of this run has one after commit_output_assets(), in uploaded_assets; "
                f"then register the files of {table.name}, and commit again."
            )


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _value(table: Table, name: str, value: Any) -> Any:
    if value is None:
        return None
    kind, _ = field_of(table.columns.elements[name])
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item() if getattr(value, "ndim", 0) == 0 else value.tolist()
    try:
        return _adapter(kind).validate_python(str(value) if isinstance(value, Path) else value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DerivaMLValidationError(f"{table.name}.{name} cannot be {value!r}: {reason}.") from error
