"""Datasets that were drawn from another one, written together with what made them and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import vocabulary
from deriva_ml.dataset import registry
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.dataset.draw import Source
from deriva_ml.dataset.members import type_names
from deriva_ml.dataset.release import require_execution
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.names import DRY_RUN_RID, ExecMetadataType, MLAsset, MLVocab, one_or_more

if TYPE_CHECKING:
    from deriva_ml.session import Session

DRY_RUN = "(dry run)"

_TERMS = {
    "Split": "A dataset divided into parts, which are nested in it.",
    "Training": "Data that a model is fitted to.",
    "Validation": "Data that choices during training are made on.",
    "Testing": "Data that a finished model is judged on.",
    "Split_Partition": "One part of a split.",
    "Subsample": "A random part of another dataset.",
}


@dataclass(frozen=True)
class PartitionInfo:
    """One dataset that was drawn.

    Parameters
    ----------
    rid, version : str
        ``(dry run)`` where nothing was written.
    count : int
        Number of members.
    """

    rid: str
    version: str
    count: int


def extra_types(session: Session, given: str | Sequence[str] | None) -> list[str]:
    """Terms for types that a user names; those that a split adds itself may be named before they are there."""
    names = one_or_more("types of datasets", given)
    return [name if name in _TERMS else type_names(session, name)[0] for name in names]


class Recorder:
    """Writes the datasets that were drawn, and how."""

    def __init__(self, session: Session, source: Source, execution: Any) -> None:
        if execution is None:
            raise DerivaMLValidationError("Pass the execution that does this, or dry_run=True.")
        session.require_writable("make datasets")
        self.session, self.source, self.execution = session, source, execution
        self.execution_rid = str(getattr(execution, "execution_rid", execution))
        if isinstance(execution, str):
            require_execution(session, execution)

    def begin(self, file_name: str, asked: Mapping[str, Any]) -> None:
        """Record what is read and how; terms that are missing are added.

        Raises
        ------
        DerivaMLValidationError
            If the execution has read another version of the source: only one can be recorded as its input.
        """
        self._check_input()
        for name, text in _TERMS.items():
            vocabulary.add_term(self.session, MLVocab.dataset_type, name, text)
        rid, version = self.source.dataset.dataset_rid, self.source.version
        registry.add_input(self.session, self.execution_rid, rid, version)
        document = {
            "source": rid,
            "source_version": str(version),
            "source_snapshot": self.source.snapshot,
            "element_table": self.source.element.name,
            "strategy": self.source.drawing.strategy,
            **asked,
            **self.source.drawing.document(),
        }
        self._note(file_name, document)

    def _check_input(self) -> None:
        rid, version_rid = self.source.dataset.dataset_rid, self.source.version_rid
        recorded = registry.recorded_input(self.session, self.execution_rid, rid)
        if recorded not in (None, version_rid):
            raise DerivaMLValidationError(
                f"Execution {self.execution_rid} has read another version of dataset {rid} than {self.source.version}, "
                "which is the current one; draw from it in an execution of its own."
            )

    def _note(self, file_name: str, document: Mapping[str, Any]) -> None:
        """Keep the parameters with the execution: they are uploaded with its outputs."""
        if self.execution_rid == DRY_RUN_RID or not hasattr(self.execution, "asset_file_path"):
            return
        text = json.dumps(document, indent=1, default=str)
        path = Path(self.execution.working_dir) / self._unused_name(file_name, text)
        path.write_text(text, encoding="utf-8")
        self.execution.asset_file_path(
            MLAsset.execution_metadata,
            path,
            asset_types=ExecMetadataType.execution_config.value,
        )

    def _unused_name(self, file_name: str, text: str) -> str:
        """A second split in one execution must not replace the parameters of the first, unless it is the same once more."""
        first = Path(file_name)
        folder = Path(self.execution.working_dir) / "assets" / MLAsset.execution_metadata
        number, name = 1, first.name
        while (folder / name).exists() and (folder / name).read_text(encoding="utf-8") != text:
            number += 1
            name = f"{first.stem}_{number}{first.suffix}"
        return name

    def make(self, drafts: Sequence[Draft]) -> list[PartitionInfo]:
        """Make datasets whose first releases have their members; all of them, or none."""
        return [
            PartitionInfo(
                one.dataset_rid,
                str(one.version),
                sum(map(len, one.draft.members.values())) + len(one.draft.nested),
            )
            for one in create_together(self.session, drafts, self.execution_rid)
        ]
