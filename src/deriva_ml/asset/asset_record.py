"""Asset records under their known import path."""

from deriva_ml.asset.record import AssetRecord, asset_record_class

__all__ = ["AssetRecord", "asset_record_class"]
