"""What a clone will do: everything is read and checked here, before anything is written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_ml.catalog import target as targets
from deriva_ml.catalog.files import StoredFile, target_url
from deriva_ml.catalog.origin import CloneDetails, provenance_in
from deriva_ml.catalog.policy import ClonePolicy
from deriva_ml.catalog.replay import Difference
from deriva_ml.catalog.slice import Extract, Slice, copied_tables, extract, releases, tree_of
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.address import read_address
from deriva_ml.ermrest.connect import Connection, Host
from deriva_ml.ermrest.listing import time_of
from deriva_ml.errors import DerivaMLCatalogNotFound, DerivaMLConfigurationError, DerivaMLConflictError
from deriva_ml.model.graph import CatalogModel
from deriva_ml.model.ways import name_of
from deriva_ml.names import ML_SCHEMA

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A clone that can be made.

    Parameters
    ----------
    source : Connection
    wanted : Slice
    place : Path
        Folder for bags.
    document : dict
        Schema document of the source.
    tree : list of str
        RIDs of the datasets whose releases can be read in the clone.
    final : Extract
        What the clone holds at the end.
    base : Extract, optional
        What the destination holds already.
    done : dict
        Snapshots of the source that the destination went through, to its own.
    steps : list of str
        Snapshots of the source to go through, the one of `final` last.
    lacking : dict
        Schemas that the destination lacks.
    has_seeds : bool
        Whether the destination has the rows of a new catalog, which make way for those of the source.
    is_later : bool
        Whether the destination is a finished clone, which only gets what is new.
    is_shared : bool
        Whether source and destination have one object store.
    copies : bool
        Whether bytes of assets are copied.
    """

    source: Connection
    wanted: Slice
    place: Path
    document: dict[str, Any]
    tree: list[str]
    final: Extract
    base: Extract | None
    done: dict[str, str]
    steps: list[str]
    lacking: dict[str, Any]
    has_seeds: bool
    is_later: bool
    is_shared: bool
    copies: bool

    def details(self, done: Mapping[str, str], complete: bool) -> CloneDetails:
        """What the destination says of its origin."""
        return CloneDetails(
            **_identity(self.source, self.wanted),
            source_snapshot=self.final.snapshot,
            datasets=self.tree,
            orphan_strategy=self.wanted.orphans.value,
            copied_files=self.copies,
            snapshots=dict(done),
            complete=complete,
        )

    def url_of(self, url: str) -> str:
        """Return what the URL of an asset is in the clone."""
        if self.copies:
            return target_url(url, self.source)
        return url if self.is_shared or not url.startswith("/") else self.source.url(url)

    def files(self, base: Extract | None, found: Extract) -> Iterator[StoredFile]:
        """Objects that the rows of an extract refer to, beyond those of a former one."""
        seen = set()
        with closing(Difference(base, found)) as difference:
            for table in found.model.find_assets():
                for some in (difference.inserted(table), difference.changed(table)):
                    for row in some:
                        target = self.url_of(row["URL"])
                        if target.startswith("/") and target not in seen:
                            seen.add(target)
                            yield StoredFile(
                                table.name,
                                row["RID"],
                                row["URL"],
                                target,
                                int(row["Length"] or 0),
                                row["MD5"] or "",
                                row["Filename"],
                            )


def place_of(host: Host) -> str:
    """A host as it is noted, wherever it was called from."""
    address = read_address(host)
    return str(address.folder) if address.folder is not None else f"{address.scheme}://{address.network_name}"


def _identity(source: Connection, wanted: Slice) -> dict[str, Any]:
    """What makes two clones ones of the same."""
    return {
        "source_hostname": place_of(source.host),
        "source_catalog_id": source.catalog_id,
        "anchors": wanted.document,
        "include_tables": sorted(wanted.included),
        "exclude_tables": sorted(wanted.excluded),
    }


def make_plan(
    source: Connection, wanted: Slice, policy: ClonePolicy, place: Path, host: Host, known: Connection | None
) -> Plan:
    """Read what is cloned, and check that the destination can take it; writes nothing but bags.

    Parameters
    ----------
    source : Connection
    wanted : Slice
    policy : ClonePolicy
    place : Path
        Folder for bags.
    host : str or path
        Where the clone goes.
    known : Connection, optional
        The destination, where it exists.

    Raises
    ------
    DerivaMLException
        If it cannot; says why.
    """
    former = _former(source, wanted, known)
    going_on = former is not None and not former.complete
    is_shared = targets.same_site(source, read_address(host))
    copies = _copies_files(source, policy, is_shared)
    now = former.source_snapshot if former is not None and going_on else source.snaptime()
    tree = tree_of(source.at(now), wanted)
    document = source.at(now).schema_document()
    lacking = targets.fitting_schemas(document, known)
    has_seeds = known is not None and former is None and ML_SCHEMA not in lacking
    if known is not None and has_seeds:
        targets.occupied(known, CatalogModel(known.model(), ML_SCHEMA))
    final = extract(source.at(now), wanted, place, tree)
    done = dict(former.snapshots) if former else {}
    base = (
        extract(source.at(max(done, key=time_of)), wanted, place, former.datasets)
        if former and done
        else None
    )
    steps = _steps(source, wanted, policy, final, tree, done)
    is_later = former is not None and former.complete
    plan = Plan(
        source,
        wanted,
        place,
        document,
        tree,
        final,
        base,
        done,
        steps,
        lacking,
        has_seeds,
        is_later,
        is_shared,
        copies,
    )
    if known is not None and base is not None and not going_on:
        _check_free(known, base, final)
    if copies and not going_on:
        targets.check_room(
            host, sum(file.length for file in plan.files(base, final)), "Copying the files of assets"
        )
    return plan


def behind_alias(
    source: Connection, wanted: Slice, host: Host, alias: str, credential: dict[str, Any] | None
) -> Connection | None:
    """The clone of the same slice that an alias leads to already; None where there is no such alias.

    Raises
    ------
    DerivaMLConflictError
        If it leads to something else.
    """
    found = targets.aliased(host, alias, credential)
    if found is None:
        return None
    noted = provenance_in(found.document(), found.name)
    details = noted.clone_details if noted is not None else None
    same = details is not None and all(
        getattr(details, name) == mine for name, mine in _identity(source, wanted).items()
    )
    if not same:
        raise DerivaMLConflictError(f"The id {alias!r} is taken on {host}; choose another alias.")
    return found


def _former(source: Connection, wanted: Slice, known: Connection | None) -> CloneDetails | None:
    """What the destination is a clone of already.

    Raises
    ------
    DerivaMLConflictError
        If that is something else.
    """
    noted = None if known is None else provenance_in(known.document(), known.name)
    details = noted.clone_details if noted is not None else None
    if known is None or details is None:
        return None
    for name, mine in _identity(source, wanted).items():
        theirs = getattr(details, name)
        if theirs != mine:
            raise DerivaMLConflictError(
                f"{known.name} is a clone of something else: its {name} is {theirs!r}, not {mine!r}. "
                "Clone into a new catalog."
            )
    return details


def _copies_files(source: Connection, policy: ClonePolicy, is_shared: bool) -> bool:
    if is_shared:
        return False
    if source.is_embedded and policy.copy_assets is False:
        raise DerivaMLConfigurationError(
            f"Files in {source.host} can only be reached through that folder, so they must be copied. "
            "Leave out copy_assets=False, or clone from the address that `deriva-ml serve` gives."
        )
    return source.is_embedded or bool(policy.copy_assets)


def _steps(
    source: Connection,
    wanted: Slice,
    policy: ClonePolicy,
    final: Extract,
    tree: list[str],
    done: Mapping[str, str],
) -> list[str]:
    """Snapshots to go through, the present one last."""
    datasets = set(tree)
    found = {
        snapshot
        for dataset, snapshot in releases(final)
        if policy.versions and (not wanted.anchors or dataset in datasets)
    }
    end, begin = time_of(final.snapshot), max(map(time_of, done), default=None)
    open_ones = [
        snapshot
        for snapshot in sorted(found, key=time_of)
        if (begin is None or time_of(snapshot) > begin) and time_of(snapshot) < end
    ]
    steps = [snapshot for snapshot in open_ones if _is_readable(source, snapshot)]
    return steps if final.snapshot in done else [*steps, final.snapshot]


def _is_readable(source: Connection, snapshot: str) -> bool:
    try:
        return ML_SCHEMA in source.at(snapshot).schema_document()["schemas"]
    except DerivaMLCatalogNotFound:
        logger.warning(
            "A release in %s is pinned to snapshot %s, which cannot be read there, and so not in the clone either.",
            source.name,
            snapshot,
        )
        return False


def _check_free(known: Connection, base: Extract, final: Extract) -> None:
    """Check that new rows of the source do not have RIDs that rows made in the clone have."""
    with closing(Difference(base, final)) as difference:
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


def count_rows(found: Extract) -> dict[tuple[str, str], int]:
    """How many rows of each table an extract has."""
    reader = found.reader()
    try:
        counts = {name_of(table): reader.count(table) for table in copied_tables(found.model)}
    finally:
        reader.close()
    return {name: number for name, number in counts.items() if number}
