"""Bring files that asset rows refer to elsewhere into the object store of their catalog."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tqdm import tqdm

from deriva_ml import settings
from deriva_ml.asset.files import file_name_of
from deriva_ml.bag.load import matching_rows
from deriva_ml.catalog.files import StoredFile, copy_file
from deriva_ml.catalog.origin import catalog_connection
from deriva_ml.ermrest import objects, rows
from deriva_ml.ermrest.connect import Connection, Host, connect_site
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLReadOnlyError,
    DerivaMLValidationError,
)
from deriva_ml.model.graph import CatalogModel
from deriva_ml.names import ML_SCHEMA, require_list
from deriva_ml.parallel import run_all

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row

_SHOWN = 10
_ROWS = 200


@dataclass
class LocalizeResult:
    """What became of the assets.

    Parameters
    ----------
    assets_processed, assets_skipped, assets_failed : int
        Brought here (or to be brought, in a dry run), here already, and not to be had.
    errors : list of str
        What went wrong with each that failed.
    localized_assets : list of tuple
        RID, former URL and new URL of each that was processed.
    source_hostnames : list of str
        Where the bytes came from.
    dry_run : bool
    """

    assets_processed: int = 0
    assets_skipped: int = 0
    assets_failed: int = 0
    errors: list[str] = field(default_factory=list)
    localized_assets: list[tuple[str, str, str]] = field(default_factory=list)
    source_hostnames: list[str] = field(default_factory=list)
    dry_run: bool = False

    def __str__(self) -> str:
        verb = "to be brought here" if self.dry_run else "brought here"
        hosts = f" from {', '.join(self.source_hostnames)}" if self.source_hostnames else ""
        lines = [
            f"{self.assets_processed} assets {verb}{hosts}, {self.assets_skipped} here already, "
            f"{self.assets_failed} failed"
        ]
        lines += self.errors[:_SHOWN]
        if len(self.errors) > _SHOWN:
            lines.append(f"… and {len(self.errors) - _SHOWN} more")
        return "\n".join(lines)


def localize_assets(
    catalog: Any,
    asset_table: str,
    asset_rids: Iterable[str] | None = None,
    schema_name: str | None = None,
    hatrac_namespace: str | None = None,
    chunk_size: int | None = None,
    dry_run: bool = False,
    source_hostname: Host | None = None,
) -> LocalizeResult:
    """Copy the bytes of assets that are in other object stores into the one of this catalog, and say so in their rows.

    Bytes are checked by MD5 and length on both sides. An asset that cannot be had is told of in the result, the others
    are brought all the same; calling again goes on with what is missing.

    Parameters
    ----------
    catalog : ErmrestCatalog or DerivaML
    asset_table : str
    asset_rids : iterable of str, optional
        All assets of the table by default.
    schema_name : str, optional
        Schema of the table, where several have one of that name.
    hatrac_namespace : str, optional
        Where the objects go, by default the name of the table.
    chunk_size : int, optional
        Bytes of one request of a large upload over the network.
    dry_run : bool
        Whether it is only told what would be done.
    source_hostname : str or path, optional
        Host (or folder) of the files whose rows name none, but which are not here: as in a catalog that was copied
        without its files.

    Returns
    -------
    LocalizeResult

    Raises
    ------
    DerivaMLTableTypeError
        If it is no asset table.
    DerivaMLException
        If there is no such table or host, or the catalog cannot be changed.

    Examples
    --------
    >>> print(localize_assets(ml, "Image"))  # doctest: +SKIP
    12 assets brought here from deriva.example.org, 0 here already, 0 failed
    """
    connection = catalog_connection(catalog)
    if connection.is_snapshot:
        raise DerivaMLReadOnlyError(f"{connection.name} is a snapshot, whose files cannot be moved.")
    if chunk_size is not None:
        if chunk_size < 1:
            raise DerivaMLValidationError(f"chunk_size cannot be {chunk_size}; give a number of bytes.")
        connection.site.chunk_size = chunk_size
    model = CatalogModel(connection.model(), ML_SCHEMA)
    table = model.require_asset((schema_name, asset_table) if schema_name else asset_table)
    work = _Work(connection, table, hatrac_namespace or table.name, source_hostname, dry_run)
    return work.run(None if asset_rids is None else require_list("asset_rids", asset_rids))


@dataclass(frozen=True)
class _Job:
    """One asset to bring here."""

    row: Row
    source: Connection
    file: StoredFile


class _Work:
    """The assets of one call."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        namespace: str,
        source_hostname: Host | None,
        dry_run: bool,
    ) -> None:
        self._connection, self._table, self._dry_run = connection, table, dry_run
        self._namespace = [part for part in namespace.removeprefix("/hatrac").split("/") if part]
        self._given = None if source_hostname is None else connect_site(source_hostname)
        self._sources: dict[str, Connection] = {}
        self._result = LocalizeResult(dry_run=dry_run)

    def run(self, rids: list[str] | None) -> LocalizeResult:
        """Bring them here, some at a time."""
        jobs = list(self._jobs(rids))
        result = self._result
        result.source_hostnames = sorted({job.source.host for job in jobs})
        if self._dry_run:
            for job in jobs:
                self._note(job)
            return result
        total = sum(job.file.length for job in jobs)
        label = f"Bringing {self._table.name} here"
        with (
            tempfile.TemporaryDirectory(prefix="deriva-ml-") as scratch,
            tqdm(total=total, desc=label, unit="B", unit_scale=True, disable=None, leave=False) as bar,
        ):
            here: list[_Job] = []

            def done(job: _Job, failure: str | None) -> None:
                bar.update(job.file.length)
                if failure is not None:
                    self._fail(job.row["RID"], failure)
                    return
                here.append(job)
                if len(here) == _ROWS:
                    self._point_here(here)
                    here.clear()

            try:
                bring = partial(self._bring, scratch=Path(scratch))
                run_all(bring, jobs, settings.upload_workers() or None, done)
            finally:
                # Also when somebody interrupts: what was copied need not be asked for again.
                self._point_here(here)
        return result

    def _note(self, job: _Job) -> None:
        self._result.assets_processed += 1
        self._result.localized_assets.append((job.row["RID"], job.row["URL"], job.file.target))

    def _fail(self, rid: str, reason: str) -> None:
        self._result.assets_failed += 1
        self._result.errors.append(f"{self._table.name} {rid}: {reason}")

    def _jobs(self, rids: list[str] | None) -> Iterator[_Job]:
        if rids is None:
            found = list(rows.read(self._connection, self._table))
        else:
            found = list(matching_rows(self._connection, self._table, "RID", rids))
            for rid in sorted(set(rids) - {row["RID"] for row in found}):
                self._fail(rid, f"there is no such row in {self._connection.name}")
        for row in found:
            try:
                source = self._source_of(row)
            except DerivaMLException as error:
                self._fail(row["RID"], str(error))
                continue
            if source is None:
                self._result.assets_skipped += 1
            else:
                yield _Job(row, source, self._file(row))

    def _source_of(self, row: Row) -> Connection | None:
        """Where the bytes of a row are; None when they are here, or nowhere to be fetched from."""
        url = row["URL"]
        parts = urlsplit(url)
        if parts.scheme == "tag":
            return None
        if parts.scheme == "file":
            return self._connection
        if not parts.netloc or parts.netloc == self._connection.authority:
            here = self._given is None or objects.has(self._connection, parts.path, row["MD5"])
            return None if here else self._given
        if parts.scheme not in ("http", "https"):
            raise DerivaMLValidationError(f"{url} cannot be fetched: {parts.scheme}: is no address of bytes.")
        if self._given is not None and parts.netloc == self._given.authority:
            return self._given
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._sources:
            self._sources[host] = connect_site(host)
        return self._sources[host]

    def _file(self, row: Row) -> StoredFile:
        name = file_name_of(row)
        target = objects.object_url(*self._namespace, f"{row['MD5']}.{name}")
        if not urlsplit(row["URL"]).netloc and row["URL"].startswith("/hatrac/"):
            # The row says already where the bytes shall be.
            target = row["URL"]
        return StoredFile(
            self._table.name, row["RID"], row["URL"], target, int(row["Length"]), row["MD5"], name
        )

    def _bring(self, job: _Job, scratch: Path) -> str | None:
        """Copy one file; why not, if that fails."""
        try:
            return copy_file(job.source, self._connection, job.file, scratch).reason
        except DerivaMLException as error:
            return str(error)

    def _point_here(self, jobs: list[_Job]) -> None:
        """Change the rows of files that have arrived, unless somebody else did so meanwhile."""
        body = [{"RID": job.row["RID"], "RMT": job.row["RMT"], "URL": job.file.target} for job in jobs]
        try:
            keys = ("RID", "RMT")
            made = rows.update(self._connection, self._table, body, keys=keys, columns=("URL",))
        except DerivaMLException as error:
            if len(jobs) == 1:
                self._fail(jobs[0].row["RID"], str(error))
                return
            # One that is refused must not keep the others back.
            for job in jobs:
                self._point_here([job])
            return
        known = {row["RID"] for row in made}
        for job in jobs:
            if job.row["RID"] in known:
                self._note(job)
            else:
                self._fail(job.row["RID"], "its row was changed by somebody else meanwhile; call again")
