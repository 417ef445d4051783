"""A catalog of one's own to work on a dataset of another catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deriva_ml.catalog.clone import CloneViaBagResult, clone_via_bag
from deriva_ml.catalog.orphans import OrphanStrategy
from deriva_ml.catalog.policy import ClonePolicy
from deriva_ml.ermrest import connect
from deriva_ml.ermrest.connect import Host
from deriva_ml.ermrest.rids import resolve_rid
from deriva_ml.errors import DerivaMLTableTypeError
from deriva_ml.model.graph import CatalogModel
from deriva_ml.names import ML_SCHEMA, MLTable


def create_ml_workspace(
    source_hostname: Host,
    source_catalog_id: str | int,
    root_rid: str,
    *,
    include_tables: Sequence[str] | None = None,
    exclude_tables: Sequence[str] | None = None,
    copy_assets: bool | None = None,
    dest_hostname: Host | None = None,
    dest_catalog_id: str | int | None = None,
    alias: str | None = None,
    output_dir: Path | str | None = None,
    policy: ClonePolicy | OrphanStrategy | str | None = None,
    source_credential: dict[str, Any] | None = None,
    dest_credential: dict[str, Any] | None = None,
) -> CloneViaBagResult:
    """Make a catalog with a dataset, all that belongs to it, and its releases, ready for `DerivaML`.

    Parameters
    ----------
    source_hostname : str or path
    source_catalog_id : str or int
    root_rid : str
        The dataset.
    include_tables : sequence of str, optional
        Names of further tables to take with all their rows.
    exclude_tables : sequence of str, optional
        Names of tables whose rows are left out.
    copy_assets : bool, optional
        As of `ClonePolicy`.
    dest_hostname : str or path, optional
        The host of the source by default; a folder that is no deployment yet becomes one.
    dest_catalog_id, alias, output_dir, policy, source_credential, dest_credential
        As of `clone_via_bag`.

    Returns
    -------
    CloneViaBagResult

    Raises
    ------
    DerivaMLTableTypeError
        If `root_rid` is not that of a dataset.
    DerivaMLException
        As of `clone_via_bag`.

    Examples
    --------
    >>> made = create_ml_workspace("deriva.example.org", 1, "1-ABC", dest_hostname="./mine")  # doctest: +SKIP
    >>> ml = DerivaML("./mine", made.dest_catalog_id)  # doctest: +SKIP
    """
    source = connect.connect(source_hostname, source_catalog_id, credential=source_credential)
    found = resolve_rid(source, CatalogModel(source.model(), ML_SCHEMA), root_rid)
    if found.table_name != MLTable.dataset or found.schema_name != ML_SCHEMA:
        raise DerivaMLTableTypeError(
            "Dataset",
            root_rid,
            f"{root_rid} is a row of {found.table_name}, not a dataset; clone_via_bag takes any row.",
        )
    chosen = ClonePolicy.of(policy)
    chosen = replace(
        chosen,
        include_tables=chosen.include_tables if include_tables is None else include_tables,
        exclude_tables=chosen.exclude_tables if exclude_tables is None else exclude_tables,
        copy_assets=chosen.copy_assets if copy_assets is None else copy_assets,
    )
    return clone_via_bag(
        source_hostname=source_hostname,
        source_catalog_id=source_catalog_id,
        dest_hostname=dest_hostname,
        dest_catalog_id=dest_catalog_id,
        root_rid=root_rid,
        output_dir=output_dir,
        policy=chosen,
        source_credential=source_credential,
        dest_credential=dest_credential,
        alias=alias,
    )
