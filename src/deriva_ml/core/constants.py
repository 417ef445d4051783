"""Constants under their known import path."""

from deriva_ml.names import ASSET_COLUMNS, DRY_RUN_RID, ML_SCHEMA, RID, RID_PATTERN, SYSTEM_COLUMNS

DerivaSystemColumns = list(SYSTEM_COLUMNS)
DerivaAssetColumns = {*ASSET_COLUMNS, *SYSTEM_COLUMNS}

__all__ = ["DRY_RUN_RID", "ML_SCHEMA", "RID", "RID_PATTERN", "DerivaAssetColumns", "DerivaSystemColumns"]
