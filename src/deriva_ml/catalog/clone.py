"""Copy a slice of a catalog, or all of it, through bags: its schema, its rows as they are and as they were released."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from deriva_ml import settings
from deriva_ml.bag.lock import exclusive
from deriva_ml.bag.walk import name_of
from deriva_ml.catalog import target as targets
from deriva_ml.catalog.files import Outcome, StoredFile, copy_files
from deriva_ml.catalog.origin import CloneDetails, note_clone, provenance_in
from deriva_ml.catalog.orphans import OrphanStrategy
from deriva_ml.catalog.people import bring_people
from deriva_ml.catalog.replay import CloneReport, Difference, Replay
from deriva_ml.catalog.slice import (
    Extract,
    Slice,
    anchored,
    check_tables,
    copied_tables,
    extract,
    releases,
    tree_of,
)
from deriva_ml.ermrest import connect, rows
from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Connection, Host
from deriva_ml.ermrest.listing import time_of
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLSchemaError,
    DerivaMLValidationError,
)
from deriva_ml.model.graph import CatalogModel, Table
from deriva_ml.names import ML_SCHEMA, MLTable, require_list
from deriva_ml.rows.reader import Row
from deriva_ml.schema.create import initialize_ml_schema
from deriva_ml.workspace.paths import safe_name

logger = logging.getLogger("deriva_ml")

_NOTE = "destination.json"


@dataclass(frozen=True)
class ClonePolicy:
    """How a clone is made.

    Parameters
    ----------
    orphans : OrphanStrategy
        What happens to rows that refer to rows outside of the slice.
    include_tables : sequence of str
        Names of tables that are taken with all their rows.
    exclude_tables : sequence of str
        Names of tables whose rows are left out.
    copy_assets : bool, optional
        Whether bytes of assets are copied into the object store of the destination. By default they are where they
        cannot be reached otherwise: from a folder to another deployment. Else rows refer to the store of the source.
    versions : bool
        Whether releases can be read in the clone as they were released. Without, only what is there now is taken.
    """

    orphans: OrphanStrategy = OrphanStrategy.FAIL
    include_tables: Sequence[str] = ()
    exclude_tables: Sequence[str] = ()
    copy_assets: bool | None = None
    versions: bool = True

    @classmethod
    def of(cls, given: ClonePolicy | OrphanStrategy | str | None) -> ClonePolicy:
        """Read what a user gives as a policy: the name of a strategy for orphans will do.

        Raises
        ------
        DerivaMLValidationError
            If it is none.
        """
        if isinstance(given, ClonePolicy):
            return cls(**{**vars(given), "orphans": _strategy(given.orphans)})
        return cls() if given is None else cls(_strategy(given))


def _strategy(given: Any) -> OrphanStrategy:
    try:
        return OrphanStrategy(given.lower() if isinstance(given, str) else given)
    except ValueError:
        known = ", ".join(strategy.value for strategy in OrphanStrategy)
        raise DerivaMLValidationError(f"{given!r} is no policy for orphans; choose one of {known}.") from None


@dataclass(frozen=True)
class CloneViaBagResult:
    """What a clone made.

    Parameters
    ----------
    source_catalog_id, dest_catalog_id : str
    bag_path : Path
        Bag with the rows that were cloned.
    load_report : CloneReport
        Rows and files that were written.
    dest_hostname : str
        Where the clone is, as `DerivaML` takes it.
    alias : str, optional
        Second id of the clone.
    snapshots : dict
        Snapshot of the source to the snapshot of the clone that shows the same rows.
    """

    source_catalog_id: str
    dest_catalog_id: str
    bag_path: Path
    load_report: CloneReport
    dest_hostname: str = ""
    alias: str | None = None
    snapshots: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"Catalog {self.dest_catalog_id} on {self.dest_hostname} is a clone of catalog {self.source_catalog_id}.\n"
            f"{self.load_report}\n"
            f"Open it with: DerivaML({self.dest_hostname!r}, {self.alias or self.dest_catalog_id!r})"
        )


def clone_via_bag(
    *,
    source_hostname: Host,
    source_catalog_id: str | int,
    dest_hostname: Host | None = None,
    dest_catalog_id: str | int | None = None,
    anchors: Iterable[str] | Mapping[str, Iterable[str]] | None = None,
    root_rid: str | None = None,
    output_dir: Path | str | None = None,
    policy: ClonePolicy | OrphanStrategy | str | None = None,
    source_credential: dict[str, Any] | None = None,
    dest_credential: dict[str, Any] | None = None,
    alias: str | None = None,
) -> CloneViaBagResult:
    """Copy a slice of a catalog, or all of it, into another one.

    The clone has the schema of the source, and the rows with their RIDs and creation times. Released versions of
    datasets read the same as in the source: the clone goes through them, and notes its own snapshots. After an
    interruption the same call goes on where it was; called again later it brings what is new in the source.

    Parameters
    ----------
    source_hostname : str or path
    source_catalog_id : str or int
        ``id@snapshot`` for the catalog as it was.
    dest_hostname : str or path, optional
        The host of the source by default; a folder that is no deployment yet becomes one.
    dest_catalog_id : str or int, optional
        A catalog that is empty, or a clone of the same slice; by default a new one is made.
    anchors : iterable of RID, or mapping of table to RIDs, optional
        Rows that are cloned with what belongs to them. Without anchors and `root_rid` everything is.
    root_rid : str, optional
        One more such row, typically a dataset.
    output_dir : path, optional
        Folder for bags; by default below ``~/.deriva-ml/clones``.
    policy : ClonePolicy, OrphanStrategy or str, optional
    source_credential, dest_credential : dict, optional
        By default those that deriva-auth stored.
    alias : str, optional
        A second id for the clone.

    Returns
    -------
    CloneViaBagResult

    Raises
    ------
    DerivaMLException
        If a host, catalog or RID does not exist, the destination has another schema or rows of its own, rows refer
        out of the slice, or there is no room on disk; nothing is written then.

    Examples
    --------
    >>> print(clone_via_bag(
    ...     source_hostname="deriva.example.org", source_catalog_id=1, dest_hostname="./lab", root_rid="1-ABC"
    ... ))  # doctest: +SKIP
    """
    chosen = ClonePolicy.of(policy)
    asked = connect.connect(source_hostname, source_catalog_id, credential=source_credential)
    source = asked.behind(asked.document().get("alias_target"))
    wanted = _slice(source, anchors, root_rid, chosen)
    host = source_hostname if dest_hostname is None else dest_hostname
    place = _place(source, wanted, output_dir)
    with _room(place), exclusive(place / "lock", f"Another process is cloning into {place}; waiting for it."):
        known = _existing(host, dest_catalog_id, dest_credential, source, place)
        if alias is not None:
            targets.check_alias(host, alias, dest_credential, known.catalog_id if known else None)
        cloning = _Cloning(source, wanted, chosen, place)
        cloning.prepare(host, known)
        result = cloning.run(host, dest_credential, alias)
        (place / _NOTE).unlink(missing_ok=True)
    return result


def _slice(
    source: Connection,
    anchors: Iterable[str] | Mapping[str, Iterable[str]] | None,
    root_rid: str | None,
    policy: ClonePolicy,
) -> Slice:
    model = source.model()
    if ML_SCHEMA not in model.schemas:
        raise DerivaMLSchemaError(
            f"{source.name} has no schema {ML_SCHEMA!r}. ErmrestCatalog.clone_catalog() of deriva-py copies any catalog."
        )
    known = CatalogModel(model, ML_SCHEMA)
    included = tuple(require_list("include_tables", policy.include_tables))
    excluded = tuple(require_list("exclude_tables", policy.exclude_tables))
    check_tables(known, included, "include_tables")
    check_tables(known, excluded, "exclude_tables")
    if anchors is not None and not isinstance(anchors, Mapping):
        anchors = require_list("anchors", anchors)
    if anchors is not None and not anchors and root_rid is None:
        raise DerivaMLValidationError("anchors is empty; leave it out to clone the whole catalog.")
    found = anchored(source, known, anchors)
    for name, rids in anchored(source, known, [root_rid] if root_rid else None).items():
        found[name] = tuple(dict.fromkeys([*found.get(name, ()), *rids]))
    return Slice(found, included, excluded, policy.orphans)


def _place(source: Connection, wanted: Slice, output_dir: Path | str | None) -> Path:
    if output_dir is not None:
        return Path(output_dir).expanduser().absolute()
    name = f"{safe_name(source.authority)}__{safe_name(source.catalog_id)}"
    return settings.home().absolute() / "clones" / name / wanted.digest


@contextmanager
def _room(place: Path) -> Iterator[None]:
    """Say of a folder that is full or cannot be written what it is."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        yield
    except DerivaMLException:
        raise
    except OSError as error:
        raise DerivaMLConfigurationError(
            f"{place} cannot hold what is cloned: {error.strerror or error}. Free disk space, or pass output_dir= with "
            "another folder, and call again."
        ) from error


def _existing(
    host: Host, catalog_id: str | int | None, credential: dict[str, Any] | None, source: Connection, place: Path
) -> Connection | None:
    """The destination that was named, or that an interrupted call has made."""
    if catalog_id is not None:
        return targets.open_target(host, catalog_id, credential, source)
    note = place / _NOTE
    if not note.is_file():
        return None
    noted = json.loads(note.read_text(encoding="utf-8"))
    if noted["host"] != _noted_host(host):
        return None
    try:
        found = targets.open_target(host, noted["catalog_id"], credential, source)
    except (DerivaMLCatalogNotFound, DerivaMLConnectionError):
        return None
    logger.warning("Going on with %s, which an interrupted call has begun.", found.name)
    return found


def _noted_host(host: Host) -> str:
    address = read_address(host)
    return str(address.folder) if address.folder is not None else f"{address.scheme}://{address.network_name}"


class _Cloning:
    """One clone on its way: first everything is read and checked, then it is written."""

    def __init__(self, source: Connection, wanted: Slice, policy: ClonePolicy, place: Path) -> None:
        self._source, self._wanted, self._policy, self._place = source, wanted, policy, place
        self._report = CloneReport()
        self._target: Connection | None = None
        self._base: Extract | None = None

    # Reading and checking ------------------------------------------------------------------------------------------

    def prepare(self, host: Host, known: Connection | None) -> None:
        """Read what is cloned, and check that the destination can take it; writes nothing but bags."""
        source, wanted = self._source, self._wanted
        self._target = known
        former = self._former(known)
        going_on = former is not None and not former.complete
        now = former.source_snapshot if former and going_on else source.snaptime()
        self._tree = tree_of(source.at(now), wanted)
        self._document = source.at(now).schema_document()
        self._final = extract(source.at(now), wanted, self._place, self._tree)
        self._report.orphans = dict(self._final.orphans)
        self._lacking = targets.fitting_schemas(self._document, known)
        self._shared = targets.same_site(source, read_address(host))
        self._copies = self._copies_files()
        self._done = dict(former.snapshots) if former else {}
        if former and self._done:
            last = max(self._done, key=time_of)
            self._base = extract(source.at(last), wanted, self._place, former.datasets)
            self._count_existing(self._base)
        self._steps = self._plan(former)
        self._has_seeds = known is not None and former is None and ML_SCHEMA not in self._lacking
        if known is not None and self._has_seeds:
            targets.occupied(known, CatalogModel(known.model(), ML_SCHEMA))
        if known is not None and former is not None and former.complete:
            self._check_free(known)
        if self._copies and not going_on:
            targets.check_room(host, sum(file.length for file in self._files(None, self._final)), "Copying files")

    def _former(self, known: Connection | None) -> CloneDetails | None:
        """What the destination is a clone of already."""
        noted = None if known is None else provenance_in(known.document(), known.name)
        details = noted.clone_details if noted is not None else None
        if known is None or details is None:
            return None
        mine = self._details({}, complete=False)
        for name in ("source_hostname", "source_catalog_id", "anchors", "include_tables", "exclude_tables"):
            if getattr(details, name) != getattr(mine, name):
                raise DerivaMLConflictError(
                    f"{known.name} is a clone of something else: its {name} is {getattr(details, name)!r}, not "
                    f"{getattr(mine, name)!r}. Clone into a new catalog."
                )
        return details

    def _details(self, snapshots: Mapping[str, str], complete: bool) -> CloneDetails:
        final = getattr(self, "_final", None)
        return CloneDetails(
            source_hostname=_noted_host(self._source.host),
            source_catalog_id=self._source.catalog_id,
            source_snapshot=final.snapshot if final is not None else "",
            anchors=self._wanted.document,
            datasets=getattr(self, "_tree", []),
            include_tables=sorted(self._wanted.included),
            exclude_tables=sorted(self._wanted.excluded),
            orphan_strategy=self._wanted.orphans.value,
            copied_files=getattr(self, "_copies", False),
            snapshots=dict(snapshots),
            complete=complete,
        )

    def _copies_files(self) -> bool:
        """Whether bytes of assets are copied."""
        if self._shared:
            return False
        if self._source.is_embedded and self._policy.copy_assets is False:
            raise DerivaMLConfigurationError(
                f"Files in {self._source.host} can only be reached through that folder, so they must be copied. "
                "Leave out copy_assets=False, or clone from the address that `deriva-ml serve` gives."
            )
        return self._source.is_embedded or bool(self._policy.copy_assets)

    def _plan(self, former: CloneDetails | None) -> list[str]:
        """Snapshots to go through, the present one last."""
        final = time_of(self._final.snapshot)
        begun = max(map(time_of, self._done), default=None)
        tree = set(self._tree)
        found = {
            snapshot
            for dataset, snapshot in releases(self._final)
            if self._policy.versions and (not self._wanted.anchors or dataset in tree)
        }
        steps = [snapshot for snapshot in found - set(self._done) if time_of(snapshot) < final]
        if begun is not None:
            steps = [snapshot for snapshot in steps if time_of(snapshot) > begun]
        steps = [snapshot for snapshot in sorted(steps, key=time_of) if self._readable(snapshot)]
        return steps if self._final.snapshot in self._done else [*steps, self._final.snapshot]

    def _readable(self, snapshot: str) -> bool:
        try:
            return ML_SCHEMA in self._source.at(snapshot).schema_document()["schemas"]
        except DerivaMLCatalogNotFound:
            logger.warning(
                "A release of the source is pinned to snapshot %s, which the source does not have (any more); it cannot "
                "be read in the clone either.",
                snapshot,
            )
            return False

    def _check_free(self, known: Connection) -> None:
        """Check that new rows of the source do not have RIDs that rows made in the clone have."""
        with closing(Difference(self._base, self._final)) as difference:
            fresh = [row["RID"] for table in difference.tables() for row in difference.inserted(table)]
        if not fresh:
            return
        for table in copied_tables(CatalogModel(known.model(), ML_SCHEMA)):
            taken = sorted(rows.present(known, table, "RID", fresh))
            if taken:
                raise DerivaMLConflictError(
                    f"{known.name} has been worked in: new rows of the source have RIDs that rows of "
                    f"{table.schema.name}:{table.name} have here (first {taken[0]}). Clone into a new catalog."
                )

    def _count_existing(self, base: Extract) -> None:
        reader = base.reader()
        try:
            for table in copied_tables(base.model):
                if number := reader.count(table):
                    self._report.existing[name_of(table)] = number
        finally:
            reader.close()

    # Writing -------------------------------------------------------------------------------------------------------

    def run(self, host: Host, credential: dict[str, Any] | None, alias: str | None) -> CloneViaBagResult:
        """Write what was prepared."""
        target = self._target or self._made(host, credential)
        targets.give_schemas(target, self._lacking)
        model = CatalogModel(target.model(), ML_SCHEMA)
        if self._has_seeds:
            targets.clear_seeds(target, model)
        note_clone(target, self._details(self._done, complete=False))
        base = self._base
        for number, snapshot in enumerate(self._steps, 1):
            last = snapshot == self._final.snapshot
            found = self._final if last else extract(self._source.at(snapshot), self._wanted, self._place, self._tree)
            self._step(target, model, base, found, f"Cloning, part {number} of {len(self._steps)}")
            self._done[snapshot] = target.snaptime()
            note_clone(target, self._details(self._done, complete=False))
            if base is not None and base.folder != self._final.folder:
                base.discard()
            base = found
        self._finish(target, model, alias)
        return CloneViaBagResult(
            self._source.catalog_id,
            target.catalog_id,
            self._final.folder,
            self._report,
            str(target.host),
            alias,
            dict(self._done),
        )

    def _made(self, host: Host, credential: dict[str, Any] | None) -> Connection:
        target = targets.make_catalog(host, self._source, self._source.document(), credential)
        note = {"host": _noted_host(host), "catalog_id": target.catalog_id}
        (self._place / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        return target

    def _step(self, target: Connection, model: CatalogModel, base: Extract | None, found: Extract, label: str) -> None:
        """Make the rows of the destination those of one extract."""
        if self._copies:
            self._copy(target, base, found, label)
        with closing(Difference(base, found)) as difference:
            people = bring_people(self._source, target, model, difference)
            replay = Replay(target, model, self._change(people), ("RCT", "RCB"), self._report)
            total = sum(difference.number(table) for table in difference.tables())
            with tqdm(total=total, desc=label, unit="row", disable=None, leave=False) as bar:
                replay.run(difference, bar.update)

    def _change(self, people: frozenset[str]) -> Any:
        """What makes of a row of the source what it is in the clone."""
        done, url_of = dict(self._done), self._url_of
        final = self._final.model
        assets = {name_of(table) for table in final.find_assets()}

        def change(table: Table, row: Row) -> Row:
            name = name_of(table)
            changed = dict(row)
            if row.get("RCB") not in people:
                changed["RCB"] = None
            if name in assets and row.get("URL"):
                changed["URL"] = url_of(row["URL"])
            if name == (ML_SCHEMA, MLTable.dataset_version.value):
                changed["Snapshot"] = done.get(row["Snapshot"], row["Snapshot"])
            return changed

        return change

    def _url_of(self, url: str) -> str:
        own = self._source.url("")
        if self._copies:
            return url.removeprefix(own) if url.startswith(f"{own}/hatrac/") else url
        return url if self._shared or not url.startswith("/") else self._source.url(url)

    def _files(self, base: Extract | None, found: Extract) -> Iterator[StoredFile]:
        """Objects that the rows of an extract refer to, beyond those of a former one."""
        seen = set()
        with closing(Difference(base, found)) as difference:
            for table in found.model.find_assets():
                for some in (difference.inserted(table), difference.changed(table)):
                    for row in some:
                        target = self._url_of(row["URL"]) if row["URL"] else ""
                        if target.startswith("/") and target not in seen:
                            seen.add(target)
                            length, md5 = int(row["Length"] or 0), row["MD5"] or ""
                            name = row["Filename"]
                            yield StoredFile(table.name, row["RID"], row["URL"], target, length, md5, name)

    def _copy(self, target: Connection, base: Extract | None, found: Extract, label: str) -> None:
        files = list(self._files(base, found))
        total = sum(file.length for file in files)
        with tqdm(total=total, desc=f"{label}, files", unit="B", unit_scale=True, disable=None, leave=False) as bar:

            def done(file: StoredFile, outcome: Outcome) -> None:
                bar.update(file.length)
                if outcome.copied:
                    self._report.files += 1
                    self._report.bytes += file.length
                if outcome.reason is not None:
                    self._report.failures[file.table, file.rid] = outcome.reason
                    logger.warning("The file of %s %s is not in the clone: %s", file.table, file.rid, outcome.reason)

            copy_files(self._source, target, files, self._place / "files", done)

    def _finish(self, target: Connection, model: CatalogModel, alias: str | None) -> None:
        initialize_ml_schema(target, model=model)
        targets.give_annotations(target, self._source, self._document)
        note_clone(target, self._details(self._done, complete=True))
        if alias is not None:
            connect.bind_alias(target, alias, retarget=True)
