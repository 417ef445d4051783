"""Split and subsample: datasets drawn from another one, recorded with what made them and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml import vocabulary
from deriva_ml.dataset import partition, registry
from deriva_ml.dataset.dataset import lookup
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.dataset.draw import Drawing, SelectionFunction, Source, random_split, stratified_split
from deriva_ml.dataset.members import type_names
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.names import DRY_RUN_RID, ExecMetadataType, MLAsset, MLVocab
from deriva_ml.session import session_of

if TYPE_CHECKING:
    from deriva_ml.session import Session

__all__ = [
    "PartitionInfo",
    "SelectionFunction",
    "SplitResult",
    "SubsampleResult",
    "random_split",
    "split_dataset",
    "stratified_split",
    "subsample",
]

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


@dataclass(frozen=True)
class SplitResult:
    """Outcome of `split_dataset`; `split` is the dataset that contains the parts."""

    source: str
    split: PartitionInfo
    training: PartitionInfo
    testing: PartitionInfo
    validation: PartitionInfo | None = None
    strategy: str = "random"
    element_table: str = ""
    seed: int = 42
    dry_run: bool = False


@dataclass(frozen=True)
class SubsampleResult:
    """Outcome of `subsample`."""

    source: str
    subsample: PartitionInfo
    strategy: str = "random"
    element_table: str = ""
    seed: int = 42
    dry_run: bool = False


def split_dataset(
    ml: Any,
    source_dataset_rid: str,
    execution: Any = None,
    *,
    test_size: float = 0.2,
    train_size: float | None = None,
    val_size: float | None = None,
    shuffle: bool = True,
    seed: int = 42,
    stratify_by_column: str | None = None,
    stratify_missing: str = "error",
    split_description: str = "",
    training_types: Sequence[str] | None = None,
    testing_types: Sequence[str] | None = None,
    validation_types: Sequence[str] | None = None,
    element_table: str | None = None,
    include_tables: Sequence[str] | None = None,
    selection_fn: SelectionFunction | None = None,
    dry_run: bool = False,
    row_per: str | None = None,
    via: Sequence[str] | None = None,
    ignore_unrelated_anchors: bool = False,
    partition_by: str | None = None,
) -> SplitResult:
    """Divide the members of a dataset into new datasets for training, testing and validation.

    Parameters
    ----------
    ml : DerivaML
    source_dataset_rid : str
        What is divided, at its current version; members of nested datasets are included, each once.
    execution : Execution, optional
        What makes the split; needed unless `dry_run`.
    test_size, train_size, val_size : float
        Fractions in (0, 1) or counts; training takes the rest by default.
    shuffle : bool
        False takes members in RID order.
    seed : int
        The same seed gives the same parts.
    stratify_by_column : str, optional
        Label ``Table.Column`` of which each part gets its share of every value.
    stratify_missing : {"error", "drop", "include"}
        What becomes of members without a value.
    split_description : str
    training_types, testing_types, validation_types : list of str, optional
        Further types of the parts.
    element_table : str, optional
        Table of the members; may be left out where there is only one with members.
    include_tables : list of str, optional
        Tables and features whose columns decide.
    selection_fn : callable, optional
        Decides instead, given a frame of these columns; see `SelectionFunction`.
    dry_run : bool
        Whether only to count.
    row_per, via, ignore_unrelated_anchors
        How the tables are joined, see `Denormalizer.as_dict`.
    partition_by : {"element", "row"}, optional
        Whether each member is in one part, or each joined row; by default the member.

    Returns
    -------
    SplitResult

    Raises
    ------
    ValueError
        If sizes, columns or tables do not fit.

    Examples
    --------
    >>> split_dataset(ml, "1-ABC", exe, test_size=0.2, stratify_by_column="Digit.Digit_Class",
    ...               include_tables=["Image", "Digit"])  # doctest: +SKIP
    """
    drawing = Drawing(
        seed=seed,
        shuffle=shuffle,
        stratify_by_column=stratify_by_column,
        stratify_missing=stratify_missing,
        selection_fn=selection_fn,
        element_table=element_table,
        include_tables=tuple(include_tables or ()),
        via=tuple(via or ()),
        row_per=row_per,
        ignore_unrelated_anchors=ignore_unrelated_anchors,
        partition_by=partition_by,
    )
    session = session_of(ml)
    source = Source(session, lookup(session, source_dataset_rid), drawing)
    parts = source.draw(
        lambda total: partition.part_sizes(
            total, test_size=test_size, train_size=train_size, val_size=val_size
        )
    )
    types = {"Training": training_types, "Validation": validation_types, "Testing": testing_types}
    asked = {"test_size": test_size, "train_size": train_size, "val_size": val_size}
    made: dict[str, PartitionInfo] = {}
    if dry_run:
        made = {name: PartitionInfo(DRY_RUN, DRY_RUN, len(rids)) for name, rids in parts.items()}
        whole = PartitionInfo(DRY_RUN, DRY_RUN, len(parts))
    else:
        recorder = _Recorder(session, source, execution)
        recorder.begin("split_config.json", {**asked, "types": types})
        how = f"dataset {source_dataset_rid} ({drawing.strategy}, seed {drawing.seed})"
        drafts = [
            Draft(
                f"{name} part of {how}",
                type_names(session, [name, "Split_Partition", *(types[name] or ())]),
                {source.element.name: rids},
            )
            for name, rids in parts.items()
        ]
        nested = tuple(range(len(drafts)))
        drafts.append(Draft(split_description or f"Split of {how}", ("Split",), nested=nested))
        *infos, whole = recorder.make(drafts)
        made = dict(zip(parts, infos, strict=True))
    return SplitResult(
        source=source_dataset_rid,
        split=whole,
        training=made["Training"],
        testing=made["Testing"],
        validation=made.get("Validation"),
        strategy=drawing.strategy,
        element_table=source.element.name,
        seed=drawing.seed,
        dry_run=dry_run,
    )


def subsample(
    ml: Any,
    source_dataset_rid: str,
    execution: Any = None,
    *,
    size: float,
    seed: int = 42,
    stratify_by_column: str | None = None,
    stratify_missing: str = "error",
    element_table: str | None = None,
    include_tables: Sequence[str] | None = None,
    via: Sequence[str] | None = None,
    row_per: str | None = None,
    ignore_unrelated_anchors: bool = False,
    partition_by: str | None = None,
    dataset_types: Sequence[str] | None = None,
    description: str | None = None,
    dry_run: bool = False,
) -> SubsampleResult:
    """Draw a part of the members of a dataset into a new one.

    Parameters
    ----------
    ml : DerivaML
    source_dataset_rid : str
    execution : Execution, optional
        What makes it; needed unless `dry_run`.
    size : float
        A fraction in (0, 1) or a count.
    seed : int
        The same seed gives the same members.
    stratify_by_column : str, optional
        Label ``Table.Column`` of which each part gets its share of every value.
    stratify_missing : {"error", "drop", "include"}
        What becomes of members without a value.
    element_table : str, optional
        Table of the members; may be left out where there is only one with members.
    include_tables : list of str, optional
        Tables and features whose columns decide.
    row_per, via, ignore_unrelated_anchors
        How the tables are joined, see `Denormalizer.as_dict`.
    partition_by : {"element", "row"}, optional
        Whether each member is in one part, or each joined row; by default the member.
    dataset_types : list of str, optional
        Further types.
    description : str, optional
    dry_run : bool
        Whether only to count.

    Returns
    -------
    SubsampleResult

    Raises
    ------
    ValueError
        If size, columns or tables do not fit.
    """
    drawing = Drawing(
        seed=seed,
        stratify_by_column=stratify_by_column,
        stratify_missing=stratify_missing,
        element_table=element_table,
        include_tables=tuple(include_tables or ()),
        via=tuple(via or ()),
        row_per=row_per,
        ignore_unrelated_anchors=ignore_unrelated_anchors,
        partition_by=partition_by,
    )
    session = session_of(ml)
    source = Source(session, lookup(session, source_dataset_rid), drawing)
    parts = source.draw(lambda total: {"Subsample": partition.count_of(size, total, "size")})
    rids = parts["Subsample"]
    made = PartitionInfo(DRY_RUN, DRY_RUN, len(rids))
    if not dry_run:
        recorder = _Recorder(session, source, execution)
        recorder.begin("subsample_config.json", {"size": size, "types": dataset_types})
        text = (
            description
            or f"Subsample of dataset {source_dataset_rid} ({drawing.strategy}, seed {drawing.seed})"
        )
        kinds = type_names(session, ["Subsample", *(dataset_types or ())])
        (made,) = recorder.make([Draft(text, kinds, {source.element.name: rids})])
    return SubsampleResult(
        source_dataset_rid, made, drawing.strategy, source.element.name, drawing.seed, dry_run
    )


class _Recorder:
    """Writes the datasets that were drawn, and how."""

    def __init__(self, session: Session, source: Source, execution: Any) -> None:
        if execution is None:
            raise DerivaMLValidationError("Pass the execution that does this, or dry_run=True.")
        session.require_writable("make datasets")
        self.session, self.source, self.execution = session, source, execution
        self.execution_rid = str(getattr(execution, "execution_rid", execution))

    def begin(self, file_name: str, asked: Mapping[str, Any]) -> None:
        """Record what is read and how; terms that are missing are added."""
        for name, text in _TERMS.items():
            vocabulary.add_term(self.session, MLVocab.dataset_type, name, text)
        types = asked.get("types")
        extra = types.values() if isinstance(types, Mapping) else [types]
        type_names(self.session, [name for names in extra for name in names or ()])
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

    def _note(self, file_name: str, document: Mapping[str, Any]) -> None:
        """Keep the parameters with the execution: they are uploaded with its outputs."""
        if self.execution_rid == DRY_RUN_RID or not hasattr(self.execution, "asset_file_path"):
            return
        path = Path(self.execution.working_dir) / file_name
        path.write_text(json.dumps(document, indent=1, default=str), encoding="utf-8")
        staged = self.execution.asset_file_path(
            MLAsset.execution_metadata,
            path,
            asset_types=ExecMetadataType.execution_config.value,
            copy_file=True,
            rename_file=self._unused_name(file_name),
        )
        if Path(staged) != path:
            path.unlink()

    def _unused_name(self, file_name: str) -> str:
        """A second split in one execution must not replace the parameters of the first."""
        first = Path(file_name)
        folder = Path(self.execution.working_dir) / "assets" / MLAsset.execution_metadata
        number, name = 1, first.name
        while (folder / name).exists():
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
