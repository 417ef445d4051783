"""Where everything lies under a working directory; pure arithmetic on paths."""

from __future__ import annotations

import re
from pathlib import Path

from deriva_ml import settings

MANIFEST_NAME = "asset-manifest.json"
"""Mirror of the asset manifest, beside the staged files of an execution."""

STAGING = "_staging"

SCHEMA_CACHE_NAME = "schema-cache.json"

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def safe_name(text: str) -> str:
    """`text` as one path component: characters that file systems may refuse become ``_``."""
    name = _UNSAFE.sub("_", text)
    return f"_{name}" if name in {"", ".", ".."} else name


def default_working_dir(authority: str, catalog_id: str) -> Path:
    """Working directory of a catalog when the user names none: ``~/.deriva-ml/<host>/<catalog>``."""
    return settings.home() / safe_name(authority) / safe_name(catalog_id)


def database_path(root: Path, authority: str, catalog_id: str) -> Path:
    """SQLite file that holds all local state of one catalog."""
    return root / "catalogs" / f"{safe_name(authority)}__{safe_name(catalog_id)}" / "working" / "main.db"


def metrics_path(root: Path, authority: str, catalog_id: str) -> Path:
    """SQLite file of what is known of the metrics of one catalog."""
    return database_path(root, authority, catalog_id).with_name("metrics.db")


def alias_file(root: Path, authority: str, alias: str) -> Path:
    """File that holds the id of the catalog that an alias last led to."""
    return root / "catalogs" / f"{safe_name(authority)}__{safe_name(alias)}" / "alias-of"


def executions_dir(root: Path) -> Path:
    """Folder of the scratch directories of all executions."""
    return root / "deriva-ml" / "execution"


def execution_dir_rel(execution_rid: str) -> str:
    """Scratch directory of an execution relative to ``<root>/deriva-ml``, as the local store keeps it."""
    return f"execution/{safe_name(execution_rid)}"


def execution_dir(root: Path, execution_rid: str) -> Path:
    """Scratch directory of one execution."""
    return root / "deriva-ml" / execution_dir_rel(execution_rid)


def staged_file(root: Path, execution_rid: str, asset_table: str, file_name: str) -> Path:
    """Where an output is staged until it is committed."""
    return execution_dir(root, execution_rid) / "assets" / safe_name(asset_table) / file_name


def downloaded_dir(root: Path, execution_rid: str, asset_table: str, asset_rid: str) -> Path:
    """Folder that receives the file of one declared input asset."""
    return (
        execution_dir(root, execution_rid)
        / "downloaded-assets"
        / safe_name(asset_table)
        / safe_name(asset_rid)
    )


def manifest_file(root: Path, execution_rid: str) -> Path:
    """JSON mirror of the asset manifest of one execution."""
    return execution_dir(root, execution_rid) / MANIFEST_NAME


def upload_dir(root: Path, execution_rid: str) -> Path:
    """Bag of the commit at hand of one execution."""
    return root / "upload" / safe_name(execution_rid)


def lock_file(root: Path, authority: str, catalog_id: str, execution_rid: str) -> Path:
    """File whose lock is held by the process that works on an execution."""
    return database_path(root, authority, catalog_id).parent / "locks" / f"{safe_name(execution_rid)}.lock"


def table_csv(root: Path, schema: str, table: str) -> Path:
    """CSV file in which a user may collect rows of a domain table."""
    return root / "deriva-ml" / "table" / safe_name(schema) / safe_name(table) / f"{safe_name(table)}.csv"


def schema_cache_file(root: Path) -> Path:
    """Model document kept for offline work."""
    return root / SCHEMA_CACHE_NAME


def cached_bag_dir(cache_dir: Path, checksum: str, dataset_rid: str) -> Path:
    """Folder of a downloaded dataset bag."""
    return cache_dir / "bags" / safe_name(checksum) / f"Dataset_{safe_name(dataset_rid)}"


def bag_lock_file(target: Path) -> Path:
    """File whose lock is held by the process that makes, completes or removes the bag in a folder of the cache."""
    return target.with_name(f"{target.name}.lock")


def bag_staging_dir(target: Path) -> Path:
    """Where a folder of the cache is made and unmade; what an ended process left there is of no use."""
    return target.with_name(f"{target.name}{STAGING}")


def cached_asset_dir(cache_dir: Path, asset_rid: str, md5: str) -> Path:
    """Folder of an asset kept by its MD5."""
    return cache_dir / "assets" / f"{safe_name(asset_rid)}_{safe_name(md5)}"


def cached_table_dir(cache_dir: Path, authority: str, catalog_id: str, schema: str, table: str) -> Path:
    """Folder of the rows of a table that are kept; names that differ may share one."""
    return cache_dir / "tables" / "__".join(map(safe_name, (authority, catalog_id, schema, table)))
