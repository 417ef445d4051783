"""Copy a slice of a catalog, or all of it, through bags: its schema, its rows as they are and as they were released."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from deriva_ml import settings
from deriva_ml.bag.lock import exclusive
from deriva_ml.catalog import target as targets
from deriva_ml.catalog.files import Outcome, StoredFile, copy_files
from deriva_ml.catalog.origin import note_clone
from deriva_ml.catalog.orphans import OrphanStrategy
from deriva_ml.catalog.people import bring_people
from deriva_ml.catalog.plan import Plan, behind_alias, count_rows, make_plan, place_of
from deriva_ml.catalog.policy import ClonePolicy
from deriva_ml.catalog.replay import Change, Difference, Replay
from deriva_ml.catalog.report import CloneReport
from deriva_ml.catalog.slice import Extract, Slice, anchored, check_tables, extract
from deriva_ml.copies import holding
from deriva_ml.ermrest import connect
from deriva_ml.ermrest.connect import Connection, Host
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLSchemaError,
    DerivaMLValidationError,
)
from deriva_ml.model.graph import CatalogModel, Table
from deriva_ml.model.ways import name_of
from deriva_ml.names import ML_SCHEMA, MLTable, require_list
from deriva_ml.rows.reader import Row
from deriva_ml.schema.create import initialize_ml_schema
from deriva_ml.workspace.paths import safe_name

logger = logging.getLogger(__name__)

_NOTE = "destination.json"


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
    dest_hostname: Host | None,
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
    dest_hostname : str or path or None
        None for the host of the source; a folder that is no deployment yet becomes one.
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
            found = behind_alias(source, wanted, host, alias, dest_credential)
            if found is not None and known is not None and found.catalog_id != known.catalog_id:
                raise DerivaMLConflictError(
                    f"The alias {alias!r} leads to {found.name}, not to {known.name}; choose another alias."
                )
            known = known or found
        plan = make_plan(source, wanted, chosen, place, host, known)
        result = _Cloning(plan).run(known or _made(plan, host, dest_credential), alias)
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
    """Folder for the bags of this slice alone."""
    base = settings.home() / "clones" if output_dir is None else Path(output_dir).expanduser()
    return base.absolute() / f"{safe_name(source.authority)}__{safe_name(source.catalog_id)}" / wanted.digest


@contextmanager
def _room(place: Path) -> Iterator[None]:
    way_out = "Free disk space, or pass output_dir= with another folder, and call again."
    with holding(f"{place} cannot hold what is cloned", way_out):
        place.mkdir(parents=True, exist_ok=True)
        yield


def _existing(
    host: Host,
    catalog_id: str | int | None,
    credential: dict[str, Any] | None,
    source: Connection,
    place: Path,
) -> Connection | None:
    """The destination that was named, or that an interrupted call has made."""
    if catalog_id is not None:
        return targets.open_target(host, catalog_id, credential, source)
    note = place / _NOTE
    if not note.is_file():
        return None
    noted = json.loads(note.read_text(encoding="utf-8"))
    if noted["host"] != place_of(host):
        return None
    try:
        found = targets.open_target(host, noted["catalog_id"], credential, source)
    except (DerivaMLCatalogNotFound, DerivaMLConnectionError):
        return None
    logger.warning("Going on with %s, which an interrupted call has begun.", found.name)
    return found


def _made(plan: Plan, host: Host, credential: dict[str, Any] | None) -> Connection:
    """Make the destination, and note it, so that a call after an interruption goes on with it."""
    made = targets.make_catalog(host, plan.source, credential)
    note = {"host": place_of(host), "catalog_id": made.catalog_id}
    (plan.place / _NOTE).write_text(json.dumps(note), encoding="utf-8")
    return made


class _Cloning:
    """Writes what was planned; what an interrupted attempt has written is skipped."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._done = dict(plan.done)
        self._report = CloneReport(orphans=dict(plan.final.orphans))
        if plan.base is not None:
            self._report.existing.update(count_rows(plan.base))

    def run(self, target: Connection, alias: str | None) -> CloneViaBagResult:
        """Go through the releases of the source, and end with what is there now."""
        plan = self._plan
        targets.give_schemas(target, plan.lacking)
        model = CatalogModel(target.model(), ML_SCHEMA)
        if plan.has_seeds:
            targets.clear_seeds(target, model)
        self._note(target)
        base = plan.base
        for number, snapshot in enumerate(plan.steps, 1):
            found = self._extract(snapshot)
            self._step(target, model, base, found, f"Cloning, part {number} of {len(plan.steps)}")
            self._done[snapshot] = target.snaptime()
            self._note(target)
            if base is not None and base.folder != plan.final.folder:
                base.discard()
            base = found
        initialize_ml_schema(target, model=model)
        if not plan.is_later:
            targets.give_annotations(target, plan.source, plan.document)
        if alias is not None:
            connect.bind_alias(target, alias, retarget=True)
        self._note(target, complete=True)
        source_id, folder = plan.source.catalog_id, plan.final.folder
        host = str(target.host)
        return CloneViaBagResult(source_id, target.catalog_id, folder, self._report, host, alias, self._done)

    def _extract(self, snapshot: str) -> Extract:
        plan = self._plan
        if snapshot == plan.final.snapshot:
            return plan.final
        return extract(plan.source.at(snapshot), plan.wanted, plan.place, plan.tree)

    def _note(self, target: Connection, complete: bool = False) -> None:
        note_clone(target, self._plan.details(self._done, complete))

    def _step(
        self, target: Connection, model: CatalogModel, base: Extract | None, found: Extract, label: str
    ) -> None:
        """Make the rows of the destination those of one extract."""
        if self._plan.copies:
            self._copy(target, base, found, label)
        with closing(Difference(base, found)) as difference:
            people = bring_people(self._plan.source, target, model, difference)
            replay = Replay(target, model, self._change(people), self._report)
            total = sum(difference.number(table) for table in difference.tables())
            with tqdm(total=total, desc=label, unit="row", disable=None, leave=False) as bar:
                replay.run(difference, bar.update)

    def _change(self, people: frozenset[str]) -> Change:
        """What makes of a row of the source what it is in the clone."""
        done, plan = dict(self._done), self._plan
        assets = {name_of(table) for table in plan.final.model.find_assets()}
        versions = (ML_SCHEMA, MLTable.dataset_version.value)

        def change(table: Table, row: Row) -> Row:
            name, changed = name_of(table), dict(row)
            if row.get("RCB") not in people:
                changed["RCB"] = None
            if name in assets:
                changed["URL"] = plan.url_of(row["URL"])
            if name == versions:
                changed["Snapshot"] = done.get(row["Snapshot"], row["Snapshot"])
            return changed

        return change

    def _copy(self, target: Connection, base: Extract | None, found: Extract, label: str) -> None:
        """Copy the bytes of assets before their rows."""
        files = list(self._plan.files(base, found))
        total = sum(file.length for file in files)
        with tqdm(
            total=total, desc=f"{label}, files", unit="B", unit_scale=True, disable=None, leave=False
        ) as bar:

            def done(file: StoredFile, outcome: Outcome) -> None:
                bar.update(file.length)
                if outcome.copied:
                    self._report.files += 1
                    self._report.bytes += file.length
                if outcome.reason is not None:
                    self._report.failures[file.table, file.rid] = outcome.reason
                    logger.warning(
                        "The file of %s %s is not in the clone: %s", file.table, file.rid, outcome.reason
                    )

            copy_files(self._plan.source, target, files, self._plan.place / "files", done)
