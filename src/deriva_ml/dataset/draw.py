"""Which members of a dataset are drawn into which part: at random, by strata, or by a function of the user."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml.dataset import partition
from deriva_ml.dataset.dataset import Dataset
from deriva_ml.dataset.denormalize import Denormalizer, label_of
from deriva_ml.dataset.release import pinned
from deriva_ml.dataset.view import children, member_keys
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.names import did_you_mean, require_number
from deriva_ml.rows import frames

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Row
    from deriva_ml.rows.wide_plan import Plan
    from deriva_ml.session import Session


logger = logging.getLogger(__name__)

_SHOWN = 8
"""How many columns an error names."""


class SelectionFunction(Protocol):
    """Chooses which rows of a frame go into which part."""

    def __call__(self, df: Any, partition_sizes: dict[str, int], seed: int) -> Mapping[str, Sequence[int]]:
        """Return, for each part, positions in the frame."""
        ...


def random_split(df: Any, partition_sizes: dict[str, int], seed: int) -> dict[str, list[int]]:
    """Selection function that draws at random."""
    return partition.random_parts(len(df), partition_sizes, seed=seed)


def stratified_split(column: str, missing: str = "error") -> SelectionFunction:
    """Make a selection function that gives each part its share of every value of a column.

    Parameters
    ----------
    column : str
        A label ``Table.Column`` of the frame.
    missing : {"error", "drop", "include"}
        What becomes of rows without a value.
    """

    def select(df: Any, partition_sizes: dict[str, int], seed: int) -> dict[str, list[int]]:
        values = [None if value != value else value for value in df[column].tolist()]
        positions, classes = partition.class_labels(values, missing, column)
        sizes = _scaled(partition_sizes, len(values), len(classes))
        parts = partition.stratified_parts(classes, sizes, seed=seed)
        return {name: [positions[index] for index in indices] for name, indices in parts.items()}

    return select


def _scaled(sizes: Mapping[str, int], total: int, left: int) -> dict[str, int]:
    """Shrink parts in proportion when items were dropped and they no longer fit."""
    if sum(sizes.values()) <= left:
        return dict(sizes)
    return {name: size * left // total for name, size in sizes.items()}


@dataclass(frozen=True)
class Drawing:
    """How members are drawn.

    Parameters
    ----------
    seed : int
    shuffle : bool
    stratify_by_column : str, optional
    stratify_missing : str
    selection_fn : callable, optional
    element_table : str, optional
    include_tables : tuple of str
    via : tuple of str
    row_per : str, optional
    ignore_unrelated_anchors : bool
    partition_by : str, optional

    Raises
    ------
    ValueError
        If they contradict each other.
    """

    seed: int = 42
    shuffle: bool = True
    stratify_by_column: str | None = None
    stratify_missing: str = "error"
    selection_fn: SelectionFunction | None = None
    element_table: str | None = None
    include_tables: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    row_per: str | None = None
    ignore_unrelated_anchors: bool = False
    partition_by: str | None = None

    @property
    def strategy(self) -> str:
        """In words."""
        if self.selection_fn is not None:
            return "custom selection function"
        return f"stratified by {self.stratify_by_column}" if self.stratify_by_column else "random"

    @property
    def needs_rows(self) -> bool:
        """Whether rows of joined tables are drawn, not members alone."""
        return bool(self.include_tables)

    def __post_init__(self) -> None:
        require_number("seed", self.seed)
        if self.selection_fn is not None and self.stratify_by_column is not None:
            raise DerivaMLValidationError("Give stratify_by_column or selection_fn, not both.")
        if self.selection_fn is not None and not callable(self.selection_fn):
            raise DerivaMLValidationError(
                f"selection_fn cannot be {self.selection_fn!r}; give a function, such as random_split."
            )
        if self.partition_by not in (None, "element", "row"):
            raise DerivaMLValidationError(
                f"partition_by must be 'element' or 'row', not {self.partition_by!r}."
            )
        partition.check_missing(self.stratify_missing)
        if not self.shuffle and (self.selection_fn is not None or self.stratify_by_column is not None):
            raise DerivaMLValidationError(
                "shuffle=False takes members in RID order, which stratify_by_column and selection_fn do not; leave it out."
            )
        if idle := self._idle():
            raise DerivaMLValidationError(f"{idle[0]} needs {idle[1]}.")

    def _idle(self) -> tuple[str, str] | None:
        """What is asked for but would not be heeded, and what it needs; None if there is nothing of the kind."""
        joins = {
            "stratify_by_column": self.stratify_by_column,
            "selection_fn": self.selection_fn,
            "row_per": self.row_per,
            "via": self.via,
            "partition_by='row'": self.partition_by == "row",
        }
        needing = [name for name, given in joins.items() if given]
        if needing and not self.include_tables:
            tables = "include_tables, which names the tables to read, features among them: ['Image', 'Label']"
            return needing[0], tables
        if self.stratify_missing != "error" and self.stratify_by_column is None:
            return f"stratify_missing={self.stratify_missing!r}", "stratify_by_column"
        return None

    def document(self) -> dict[str, Any]:
        """What is recorded of it."""
        fields = asdict(self)
        fields["selection_fn"] = getattr(self.selection_fn, "__qualname__", None)
        return fields


Sizes = Callable[[int], dict[str, int]]


class Source:
    """The dataset that is drawn from, at its current version.

    Parameters
    ----------
    session : Session
    dataset : Dataset
    drawing : Drawing

    Raises
    ------
    DerivaMLValidationError
        If it is not clear which members are meant.
    """

    def __init__(self, session: Session, dataset: Dataset, drawing: Drawing) -> None:
        self.session, self.dataset, self.drawing = session, dataset, drawing
        entry = dataset.dataset_history()[-1]
        self.version, self.version_rid = entry.dataset_version, entry.version_rid
        snapshot = pinned(session, self.version, entry.version_rid, entry.snapshot)
        self.snapshot = snapshot or session.connection.snaptime()
        # A dev version is what is there now.
        reader = session.at(snapshot).reader if snapshot else session.reader
        own = [dataset.dataset_rid, *children(reader, [dataset.dataset_rid], recurse=True)]
        self.members = {
            name: keys for name, keys in member_keys(reader, own).items() if name != "Dataset" and keys
        }
        self.element = self._element()

    def _element(self) -> Table:
        wanted = self.drawing.element_table
        if wanted is not None:
            table = self.session.table(wanted)
            if not self.members.get(table.name):
                raise DerivaMLValidationError(
                    f"Dataset {self.dataset.dataset_rid} has no members in {table.name}."
                )
            return table
        if not self.members:
            raise DerivaMLValidationError(
                f"Dataset {self.dataset.dataset_rid} has no members in its version {self.version}."
            )
        if len(self.members) != 1:
            raise DerivaMLValidationError(
                f"Dataset {self.dataset.dataset_rid} has members in several tables: {', '.join(sorted(self.members))}. "
                "Say with element_table= which of them are meant."
            )
        return self.session.table(next(iter(self.members)))

    def draw(self, sizes: Sizes) -> dict[str, list[str]]:
        """RIDs of the members of each part."""
        if not self.drawing.needs_rows:
            rids = sorted(self.members[self.element.name])
            drawing = self.drawing
            parts = partition.random_parts(
                len(rids), sizes(len(rids)), seed=drawing.seed, shuffle=drawing.shuffle
            )
            return {name: [rids[index] for index in indices] for name, indices in parts.items()}
        return self._draw_by_rows(sizes)

    def _draw_by_rows(self, sizes: Sizes) -> dict[str, list[str]]:
        drawing = self.drawing
        wide = Denormalizer(self.dataset, version=self.version)
        tables = list(drawing.include_tables)
        plan = wide.plan(tables, row_per=drawing.row_per, via=drawing.via)
        element = wide.model.name_to_table((self.element.schema.name, self.element.name))
        rid_label = label_of(plan, element, "RID")
        if rid_label is None:
            raise DerivaMLValidationError(
                f"include_tables {tables} must include the element table {element.name}."
            )
        found = wide.as_dict(
            tables,
            row_per=drawing.row_per,
            via=drawing.via,
            ignore_unrelated_anchors=drawing.ignore_unrelated_anchors,
        )
        members = set(self.members[self.element.name])
        rows = [row for row in found if row[rid_label] in members]
        labels = [column.label for column in plan.columns]
        stratum = _stratum(wide, plan, drawing.stratify_by_column)
        by_row = self._by_row(plan.row_per.name)
        if not by_row:
            rows = self._one_per_element(rows, rid_label, stratum)
        parts = self._select(rows, labels, sizes, stratum)
        drawn = {
            name: list(dict.fromkeys(rows[index][rid_label] for index in indices))
            for name, indices in parts.items()
        }
        self._tell_of_leaks(drawn)
        return drawn

    def _tell_of_leaks(self, drawn: Mapping[str, Sequence[str]]) -> None:
        times = Counter(rid for rids in drawn.values() for rid in rids)
        shared = sorted(rid for rid, number in times.items() if number > 1)
        if shared:
            logger.warning(
                "%s of %s members of %s are in more than one of %s, as partition_by='row' divides rows and not members "
                "(for example %s). A model is then judged on what it was fitted to; pass partition_by='element' to keep "
                "each member in one part.",
                len(shared),
                len(times),
                self.element.name,
                ", ".join(drawn),
                shared[0],
            )

    def _by_row(self, row_per: str) -> bool:
        if self.drawing.partition_by is None and self.drawing.row_per and row_per != self.element.name:
            raise DerivaMLValidationError(
                f"Rows are per {row_per}, members are of {self.element.name}: pass partition_by='element' to keep "
                "each member in one part, or 'row'."
            )
        return self.drawing.partition_by == "row"

    def _one_per_element(self, rows: Iterable[Row], rid_label: str, column: str | None) -> list[Row]:
        """First row of each element; of a stratum column the value that all its rows agree on."""
        first: dict[str, Row] = {}
        for row in rows:
            known = first.setdefault(row[rid_label], dict(row))
            if column is None or row[column] is None:
                continue
            if known[column] is None:
                known[column] = row[column]
            elif known[column] != row[column]:
                raise DerivaMLValidationError(
                    f"{self.element.name} {row[rid_label]} has several values of {column}: {known[column]!r} and "
                    f"{row[column]!r}. Choose one with include_tables, or pass partition_by='row'."
                )
        return [first[rid] for rid in sorted(first)]

    def _select(
        self, rows: Sequence[Row], labels: Sequence[str], sizes: Sizes, column: str | None
    ) -> Mapping[str, Sequence[int]]:
        drawing = self.drawing
        if drawing.selection_fn is not None:
            wanted = sizes(len(rows))
            chosen = drawing.selection_fn(frames.frame(rows, labels), wanted, drawing.seed)
            return _checked(chosen, list(wanted), len(rows))
        if column is None:
            return partition.random_parts(
                len(rows), sizes(len(rows)), seed=drawing.seed, shuffle=drawing.shuffle
            )
        values: list[Hashable] = [_hashable(row[column]) for row in rows]
        positions, classes = partition.class_labels(values, drawing.stratify_missing, column)
        parts = partition.stratified_parts(classes, sizes(len(classes)), seed=drawing.seed)
        return {name: [positions[index] for index in indices] for name, indices in parts.items()}


def _stratum(wide: Denormalizer, plan: Plan, given: str | None) -> str | None:
    """Label of the column that gives the strata; of a feature's table, its name will do as it does in include_tables."""
    labels = [column.label for column in plan.columns]
    if given is None or given in labels:
        return given
    name, dot, column = given.rpartition(".")
    feature = next((each.table for each in wide.model.find_features() if dot and each.name == name), None)
    found = label_of(plan, feature, column) if feature is not None else None
    if found is None:
        raise DerivaMLValidationError(f"There is no column {given!r}.{_likely(given, labels)}")
    return found


def _likely(given: str, labels: Sequence[str]) -> str:
    """Labels that may have been meant, as a feature's are long: those alike, else the first ones."""
    same = [label for label in labels if label.rpartition(".")[2] == given.rpartition(".")[2]]
    if near := did_you_mean(given, same or labels):
        return near
    shown = same or labels
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f" There are: {', '.join(shown[:_SHOWN])}{more}."


def _hashable(value: Any) -> Hashable:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _checked(chosen: Mapping[str, Sequence[int]], wanted: Sequence[str], total: int) -> dict[str, list[int]]:
    """Positions that a selection function gave, if they are possible and disjoint."""
    if not isinstance(chosen, Mapping):
        raise DerivaMLValidationError(
            f"The selection function must return a mapping of {', '.join(wanted)} to positions, not {chosen!r:.50}."
        )
    missing = [name for name in wanted if name not in chosen]
    parts = {name: [int(index) for index in chosen[name]] for name in wanted if name in chosen}
    drawn = [index for indices in parts.values() for index in indices]
    if missing or any(not 0 <= index < total for index in drawn) or len(set(drawn)) < len(drawn):
        raise DerivaMLValidationError(
            f"The selection function must return disjoint positions below {total} for {', '.join(wanted)}."
        )
    return parts
