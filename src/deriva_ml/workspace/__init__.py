"""Everything that is kept on the user's disk for one catalog."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.reexport import rooms
from deriva_ml.workspace import changes, executions, features, manifest, paths
from deriva_ml.workspace.changes import ChangeStore
from deriva_ml.workspace.database import Database
from deriva_ml.workspace.executions import ExecutionStateStore
from deriva_ml.workspace.features import FeatureStore
from deriva_ml.workspace.manifest import AssetManifest, ManifestStore
from deriva_ml.workspace.pinned_model import PinnedModel

if TYPE_CHECKING:
    from deriva_ml.workspace import bags, metrics
    from deriva_ml.workspace.bags import BagIndex
    from deriva_ml.workspace.metrics import MetricsStore
else:
    bags, metrics = rooms("deriva_ml.workspace", "bags", "metrics")

__all__ = ["Workspace"]

_MIGRATIONS = (
    f"{executions.MIGRATION};{manifest.MIGRATION};{features.MIGRATION}",
    executions.OWNER_BORN,
    manifest.READ_AS,
    changes.MIGRATION,
)


class Workspace:
    """Local state of one catalog; opens nothing before it is used, and can be pickled.

    Parameters
    ----------
    root : Path
        Working directory.
    authority : str
        What stands for the host in local paths.
    catalog_id : str
    cache_dir : Path, optional
        Where downloads are kept, ``<root>/cache`` by default.
    """

    def __init__(self, root: Path, authority: str, catalog_id: str, cache_dir: Path | None = None) -> None:
        self.root = Path(root)
        self.authority = authority
        self.catalog_id = str(catalog_id)
        self.cache_dir = Path(cache_dir) if cache_dir is not None else self.root / "cache"

    def __repr__(self) -> str:
        return f"<Workspace of catalog {self.catalog_id} of {self.authority} at {self.root}>"

    @cached_property
    def database(self) -> Database:
        """The SQLite file below the stores."""
        return Database(paths.database_path(self.root, self.authority, self.catalog_id), _MIGRATIONS)

    @cached_property
    def executions(self) -> ExecutionStateStore:
        """Executions that this machine knows."""
        return ExecutionStateStore(self.database)

    @cached_property
    def manifest(self) -> ManifestStore:
        """Output files of executions."""
        return ManifestStore(self.database)

    @cached_property
    def features(self) -> FeatureStore:
        """Staged feature rows."""
        return FeatureStore(self.database)

    @cached_property
    def changes(self) -> ChangeStore:
        """Changes of datasets that did not end."""
        return ChangeStore(self.database)

    @cached_property
    def metrics(self) -> MetricsStore:
        """What is known of metrics; a cache in a file of its own, which may be removed at any time."""
        place = paths.metrics_path(self.root, self.authority, self.catalog_id)
        return metrics.MetricsStore(Database(place, (metrics.MIGRATION,)))

    @cached_property
    def bags(self) -> BagIndex:
        """Downloaded bags."""
        return bags.BagIndex(self.cache_dir)

    @cached_property
    def pinned_model(self) -> PinnedModel:
        """Model document for offline work."""
        return PinnedModel(paths.schema_cache_file(self.root))

    def manifest_of(self, execution_rid: str) -> AssetManifest:
        """Output files of one execution."""
        return self.manifest.of(execution_rid, paths.manifest_file(self.root, execution_rid))

    def execution_dir(self, execution_rid: str) -> Path:
        """Scratch directory of an execution."""
        return paths.execution_dir(self.root, execution_rid)

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        if "database" in self.__dict__:
            self.database.close()
        if "metrics" in self.__dict__:
            self.metrics.close()
