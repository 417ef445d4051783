"""Split and subsample: datasets drawn from another one, recorded with what made them and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deriva_ml.dataset import partition
from deriva_ml.dataset.dataset import lookup
from deriva_ml.dataset.draft import Draft
from deriva_ml.dataset.draw import (
    Drawing,
    SelectionFunction,
    Source,
    random_split,
    stratified_split,
)
from deriva_ml.dataset.drawn import DRY_RUN, PartitionInfo, Recorder, extra_types
from deriva_ml.dataset.members import type_names
from deriva_ml.names import optional_list
from deriva_ml.reexport import later
from deriva_ml.session import session_of

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

main = later("deriva_ml.cli.split", "main")


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
    source_dataset_rid : str or Dataset
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
        What becomes of members without a value in that column.
    split_description : str
    training_types, testing_types, validation_types : list of str, optional
        Further types of the parts.
    element_table : str, optional
        Table of the members; may be left out where there is only one with members.
    include_tables : list of str, optional
        Tables and features that are joined, the element table among them: their columns decide, their rows are drawn.
    selection_fn : callable, optional
        Decides instead, given a frame of these columns; see `SelectionFunction`.
    dry_run : bool
        Whether only to count.
    row_per, via, ignore_unrelated_anchors
        How the tables are joined, see `Denormalizer.as_dict`.
    partition_by : {"element", "row"}, optional
        Whether each member is in one part, or each joined row; by default the member. With ``row`` a member can be in
        several parts, of which a warning tells.

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
        include_tables=tuple(optional_list("include_tables", include_tables)),
        via=tuple(optional_list("via", via)),
        row_per=row_per,
        ignore_unrelated_anchors=ignore_unrelated_anchors,
        partition_by=partition_by,
    )
    session = session_of(ml)
    source = Source(session, lookup(session, source_dataset_rid), drawing)
    source_dataset_rid = source.dataset.dataset_rid
    parts = source.draw(
        lambda total: partition.part_sizes(
            total, test_size=test_size, train_size=train_size, val_size=val_size
        )
    )
    types = {
        "Training": extra_types(session, training_types),
        "Validation": extra_types(session, validation_types),
        "Testing": extra_types(session, testing_types),
    }
    asked = {"test_size": test_size, "train_size": train_size, "val_size": val_size}
    made: dict[str, PartitionInfo] = {}
    if dry_run:
        made = {name: PartitionInfo(DRY_RUN, DRY_RUN, len(rids)) for name, rids in parts.items()}
        whole = PartitionInfo(DRY_RUN, DRY_RUN, len(parts))
    else:
        recorder = Recorder(session, source, execution)
        recorder.begin("split_config.json", {**asked, "types": types})
        how = f"dataset {source_dataset_rid} ({drawing.strategy}, seed {drawing.seed})"
        drafts = [
            Draft(
                f"{name} part of {how}",
                type_names(session, [name, "Split_Partition", *types[name]]),
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
        What becomes of members without a value in that column.
    element_table : str, optional
        Table of the members; may be left out where there is only one with members.
    include_tables : list of str, optional
        Tables and features that are joined, the element table among them: their columns decide, their rows are drawn.
    row_per, via, ignore_unrelated_anchors
        How the tables are joined, see `Denormalizer.as_dict`.
    partition_by : {"element", "row"}, optional
        Whether each member is in one part, or each joined row; by default the member. With ``row`` a member can be in
        several parts, of which a warning tells.
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
        include_tables=tuple(optional_list("include_tables", include_tables)),
        via=tuple(optional_list("via", via)),
        row_per=row_per,
        ignore_unrelated_anchors=ignore_unrelated_anchors,
        partition_by=partition_by,
    )
    session = session_of(ml)
    source = Source(session, lookup(session, source_dataset_rid), drawing)
    source_dataset_rid = source.dataset.dataset_rid
    parts = source.draw(lambda total: {"Subsample": partition.count_of(size, total, "size")})
    rids, types = parts["Subsample"], extra_types(session, dataset_types)
    made = PartitionInfo(DRY_RUN, DRY_RUN, len(rids))
    if not dry_run:
        recorder = Recorder(session, source, execution)
        recorder.begin("subsample_config.json", {"size": size, "types": types})
        text = (
            description
            or f"Subsample of dataset {source_dataset_rid} ({drawing.strategy}, seed {drawing.seed})"
        )
        kinds = type_names(session, ["Subsample", *types])
        (made,) = recorder.make([Draft(text, kinds, {source.element.name: rids})])
    return SubsampleResult(
        source_dataset_rid, made, drawing.strategy, source.element.name, drawing.seed, dry_run
    )
