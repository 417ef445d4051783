"""The model document that is kept for offline work, and may be pinned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLSchemaPinned
from deriva_ml.workspace.executions import now
from deriva_ml.workspace.whole_files import write_whole


@dataclass(frozen=True)
class SchemaPin:
    """Since when, and why, the kept model may not be replaced."""

    at: str
    reason: str | None = None


@dataclass(frozen=True)
class KeptModel:
    """A model document with where and when it was read."""

    hostname: str
    catalog_id: str
    snapshot_id: str
    ml_schema: str
    schema: dict[str, Any]
    pin: SchemaPin | None = None


class PinnedModel:
    """``schema-cache.json`` of a working directory.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def load(self) -> KeptModel | None:
        """The kept model, or None.

        Raises
        ------
        DerivaMLConfigurationError
            If the file is no model document.
        """
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DerivaMLConfigurationError(
                f"{self.path} cannot be read: {error}. Delete it and connect online once to make it again."
            ) from error
        pin = document.get("pin")
        return KeptModel(
            hostname=document["hostname"],
            catalog_id=str(document["catalog_id"]),
            snapshot_id=document["snapshot_id"],
            ml_schema=document["ml_schema"],
            schema=document["schema"],
            pin=SchemaPin(pin["at"], pin.get("reason")) if pin else None,
        )

    def store(self, model: KeptModel) -> None:
        """Keep a model; readers see the former file or this one, never a part.

        Raises
        ------
        DerivaMLConfigurationError
            If the disk is full or the folder cannot be written.
        """
        document: dict[str, Any] = {
            "snapshot_id": model.snapshot_id,
            "hostname": model.hostname,
            "catalog_id": model.catalog_id,
            "ml_schema": model.ml_schema,
            "schema": model.schema,
        }
        if model.pin:
            document["pin"] = {"at": model.pin.at, "reason": model.pin.reason}
        try:
            write_whole(self.path, json.dumps(document))
        except OSError as error:
            raise DerivaMLConfigurationError(
                f"The working directory cannot hold the model of the catalog in {self.path}: {error.strerror or error}. "
                "Free disk space, or pass working_dir= with a folder that you can write to."
            ) from error

    def require_unpinned(self) -> None:
        """Refuse to go on with a pinned model.

        Raises
        ------
        DerivaMLSchemaPinned
        """
        kept = self.load()
        if kept is not None and kept.pin is not None:
            raise DerivaMLSchemaPinned(
                f"The schema is pinned since {kept.pin.at}; unpin it with ml.unpin_schema()."
            )

    def pin(self, reason: str | None = None) -> SchemaPin:
        """Refuse replacements of the kept model from now on."""
        pin = SchemaPin(now().isoformat(), reason)
        self._replace_pin(pin)
        return pin

    def unpin(self) -> None:
        """Allow replacements again."""
        self._replace_pin(None)

    def _replace_pin(self, pin: SchemaPin | None) -> None:
        model = self.load()
        if model is None:
            raise DerivaMLConfigurationError(f"{self.path} does not exist; connect online once to make it.")
        values = {name: getattr(model, name) for name in KeptModel.__dataclass_fields__}
        self.store(KeptModel(**values | {"pin": pin}))
