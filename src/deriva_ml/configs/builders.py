"""Hydra-zen declarations of what an execution reads."""

from __future__ import annotations

from hydra_zen import hydrated_dataclass

from deriva_ml.specs import AssetSpec, DatasetSpec, LocalFile


@hydrated_dataclass(DatasetSpec)
class DatasetSpecConfig:
    """Declares a `DatasetSpec`; for its parameters see there."""

    rid: str
    version: str | None = None
    materialize: bool = True
    description: str = ""
    exclude_tables: list[str] | None = None
    timeout: list[int] | None = None
    fetch_concurrency: int = 8
    reachability_concurrency: int = 8


@hydrated_dataclass(AssetSpec)
class AssetSpecConfig:
    """Declares an `AssetSpec`; for its parameters see there."""

    rid: str
    cache: bool = False


@hydrated_dataclass(LocalFile)
class LocalFileConfig:
    """Declares a `LocalFile`; for its parameters see there."""

    path: str
    cache: bool = False
