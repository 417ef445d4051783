"""The manifest of outputs under its known import path."""

from deriva_ml.workspace.manifest import AssetEntry, AssetManifest

__all__ = ["AssetEntry", "AssetManifest"]
