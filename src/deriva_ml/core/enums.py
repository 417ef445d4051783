"""Enumerations under their known import path."""

from deriva_ml.model.types import BuiltinTypes
from deriva_ml.names import (
    AssetRole,
    ConnectionMode,
    ExecAssetType,
    ExecMetadataType,
    ExecutionStatus,
    MLAsset,
    MLTable,
    MLVocab,
    UploadState,
    VersionPart,
)

BuiltinType = BuiltinTypes

__all__ = [
    "AssetRole",
    "BuiltinType",
    "BuiltinTypes",
    "ConnectionMode",
    "ExecAssetType",
    "ExecMetadataType",
    "ExecutionStatus",
    "MLAsset",
    "MLTable",
    "MLVocab",
    "UploadState",
    "VersionPart",
]
