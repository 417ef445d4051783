"""Files that stay where they are: registered by address and checksum, one dataset per folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from deriva_ml import vocabulary
from deriva_ml.asset import asset as assets
from deriva_ml.asset.filespec import FileSpec
from deriva_ml.asset.register import register
from deriva_ml.dataset import registry
from deriva_ml.dataset.dataset import Dataset, lookup
from deriva_ml.dataset.draft import Draft, Made, create_together
from deriva_ml.dataset.release import require_execution
from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLValidationError
from deriva_ml.names import MLTable, MLVocab, one_or_more, require_list, require_number

if TYPE_CHECKING:
    from deriva_ml.session import Session

_FILE, _DIRECTORY = "File", "Directory"


def add_files(
    session: Session,
    files: Iterable[FileSpec],
    execution_rid: str,
    dataset_types: str | Iterable[str] | None = None,
    description: str = "",
    chunk_size: int = 500,
    *,
    root_name: str | None = None,
) -> Dataset:
    """Register files where they are, and make datasets that mirror their folders.

    Parameters
    ----------
    session : Session
    files : iterable of FileSpec
    execution_rid : str
        What registers them.
    dataset_types : str or iterable of str, optional
        Types of the datasets, besides File and Directory.
    description : str
        Of the datasets.
    chunk_size : int
        Rows per request.
    root_name : str, optional
        Name of the top folder.

    Returns
    -------
    Dataset
        Of the top folder; the others are nested in it as the folders are.

    Raises
    ------
    DerivaMLException
        If there are no files, or `chunk_size` is no whole number above 0.
    DerivaMLInvalidTerm
        If a type is unknown.
    DerivaMLTableTypeError
        If the RID is not that of an execution.
    """
    given_files = require_list("files", files)
    for spec in given_files:
        if not isinstance(spec, FileSpec):
            raise DerivaMLValidationError(
                f"files cannot have {spec!r:.60} in it; make a list of FileSpec, as FileSpec.create_filespecs() does."
            )
    chunk_size = require_number("chunk_size", chunk_size, least=1)
    specs = list({spec.url: spec for spec in given_files}.values())
    if not specs:
        raise DerivaMLException("add_files() needs at least one file.")
    given = one_or_more("dataset_types", dataset_types)
    types = vocabulary.require_terms(session, MLVocab.dataset_type, [_FILE, _DIRECTORY, *given])
    vocabulary.require_terms(
        session, MLVocab.asset_type, {name for spec in specs for name in [*spec.file_types, _FILE]}
    )
    require_execution(session, execution_rid)
    rids = _insert_files(session, specs, chunk_size)
    root, folders = _folders(specs)
    name = root_name or root.name
    order = list(folders)
    drafts = [
        Draft(
            description=(name or description or "root") if folder == root else description,
            types=types,
            members={MLTable.file.value: [rids[url] for url in members]} if members else {},
            nested=[order.index(other) for other in order if other.parent == folder and other != root],
        )
        for folder, members in folders.items()
    ]
    labels = [(name or "root") if folder == root else str(folder.relative_to(root)) for folder in order]

    def link(made: list[Made]) -> None:
        places = [
            {"Dataset": one.dataset_rid, "Path": label} for one, label in zip(made, labels, strict=True)
        ]
        rows.insert(session.connection, session.ml_table("Directory_Dataset"), places)
        registry.insert_inputs(session, execution_rid, [(made[0].dataset_rid, made[0].version_rid)])

    made = create_together(session, drafts, execution_rid, extend=link)
    return lookup(session, made[0].dataset_rid)


def place_of(spec: FileSpec) -> PurePosixPath:
    """Path of a file, from its tag URL.

    Examples
    --------
    >>> place_of(FileSpec(URL="tag://pc,2026-01-15:file:///data/a%20b.txt", MD5="0", Length=1))
    PurePosixPath('/data/a b.txt')
    """
    _, marker, address = spec.url.rpartition("file:")
    return PurePosixPath(unquote(urlsplit(f"file:{address}").path if marker else spec.url))


def _folders(specs: Sequence[FileSpec]) -> tuple[PurePosixPath, dict[PurePosixPath, list[str]]]:
    """The common folder, and the files of each folder below it, upper folders first."""
    places = {spec.url: place_of(spec) for spec in specs}
    common = [list(place.parent.parts) for place in places.values()]
    depth = 0
    while all(len(parts) > depth and parts[depth] == common[0][depth] for parts in common):
        depth += 1
    root = PurePosixPath(*common[0][:depth])
    folders: dict[PurePosixPath, list[str]] = {root: []}
    for url, place in places.items():
        between = [parent for parent in place.parents if parent != root and root in parent.parents]
        for folder in between:
            folders.setdefault(folder, [])
        folders[place.parent].append(url)
    return root, dict(sorted(folders.items(), key=lambda item: item[0].parts))


def _insert_files(session: Session, specs: Sequence[FileSpec], chunk_size: int) -> dict[str, str]:
    table = session.ml_table(MLTable.file)
    new = {
        spec.url: {
            "Filename": place_of(spec).name,
            "MD5": spec.md5,
            "Length": spec.length,
            "Description": spec.description,
        }
        for spec in specs
    }
    rids = {url: row["RID"] for url, row in register(session, new, chunk_size).items()}
    tags = [(rids[spec.url], name) for spec in specs for name in dict.fromkeys([*spec.file_types, _FILE])]
    assets.add_types(session, table, tags)
    return rids


def list_files(session: Session, file_types: str | Iterable[str] | None = None) -> list[Mapping[str, Any]]:
    """Registered files with their types.

    Parameters
    ----------
    session : Session
    file_types : str or iterable of str, optional
        Only files with one of these types.

    Returns
    -------
    list of dict
        RID, URL, MD5, Length, Description and File_Types.
    """
    wanted = set(one_or_more("file_types", file_types))
    table = session.ml_table(MLTable.file)
    types = assets.types_of(session, table)
    names = ("RID", "URL", "MD5", "Length", "Description")
    return [
        {**{name: row[name] for name in names}, "File_Types": types.get(row["RID"], [])}
        for row in rows.read(session.connection, table)
        if not wanted or wanted & set(types.get(row["RID"], ()))
    ]
