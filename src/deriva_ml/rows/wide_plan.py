"""Which tables to join, along which foreign keys, into one wide table; arithmetic on the model alone.

The wide table has one row per row of one of its tables, `row_per`; the others are joined where it refers to them,
directly, through further tables, or through an association table in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from deriva_ml.errors import (
    DerivaMLDenormalizeAmbiguousPath,
    DerivaMLDenormalizeDownstreamLeaf,
    DerivaMLDenormalizeMultiLeaf,
    DerivaMLDenormalizeNoSink,
    DerivaMLDenormalizeUnrelatedAnchor,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.names import one_or_more, require_list

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Column, Table

_HIDDEN = frozenset({"RCT", "RMT", "RCB", "RMB"})
_LONGEST = 6
"""Foreign keys that one path may have."""


@dataclass(frozen=True)
class Step:
    """One foreign key on a path.

    Parameters
    ----------
    source, target : Table
    pairs : tuple
        Column of the source and equal column of the target.
    inbound : bool
        Whether the target refers to the source.
    """

    source: Table = field(compare=False)
    target: Table = field(compare=False)
    pairs: tuple[tuple[str, str], ...]
    inbound: bool
    key: str


Path = tuple[Step, ...]


@dataclass(frozen=True)
class WideColumn:
    """One column of the wide table."""

    label: str
    table: Table
    column: Column


@dataclass(frozen=True)
class Plan:
    """How to make a wide table.

    Parameters
    ----------
    row_per : Table
        One row per row of this table.
    explicit : bool
        Whether it was asked for.
    tables : tuple of Table
        Those whose columns are shown.
    columns : tuple of WideColumn
    joins : tuple of Step
        In an order in which each source is joined before its targets.
    """

    row_per: Table
    explicit: bool
    tables: tuple[Table, ...]
    columns: tuple[WideColumn, ...]
    joins: tuple[Step, ...]

    @property
    def joined(self) -> list[Table]:
        """All tables that are joined, those without columns included."""
        return [self.row_per, *(step.target for step in self.joins)]

    def below(self, table: Table) -> list[Step]:
        """Joins that start at a table, at any depth."""
        found, reached = [], {_name(table)}
        for step in self.joins:
            if _name(step.source) in reached:
                reached.add(_name(step.target))
                found.append(step)
        return found


def _name(table: Table) -> tuple[str, str]:
    return table.schema.name, table.name


class Planner:
    """Plans wide tables over one model.

    Parameters
    ----------
    model : CatalogModel
    """

    def __init__(self, model: CatalogModel) -> None:
        self.model = model

    def resolve(self, name: str | Table) -> Table:
        """Return a table, given by its name or that of a feature.

        Raises
        ------
        DerivaMLTableNotFound
            If there is neither.
        """
        try:
            return self.model.name_to_table(name)
        except DerivaMLTableNotFound:
            found = [feature.table for feature in self.model.find_features() if feature.name == name]
            if len(found) != 1:
                raise
            return found[0]

    def similar(self, name: str) -> list[str]:
        """Names of tables and features that look like one that there is not."""
        features = {feature.name for feature in self.model.find_features()}
        return get_close_matches(str(name), sorted({table.name for table in self.model.tables()} | features))

    def plan(
        self,
        include_tables: Sequence[str | Table],
        *,
        row_per: str | Table | None = None,
        via: Sequence[str | Table] | None = None,
        system_columns: Collection[str] | bool | None = None,
    ) -> Plan:
        """Plan a wide table.

        Parameters
        ----------
        include_tables : sequence of str
            Tables or features whose columns are shown.
        row_per : str, optional
            The table that gives the rows; by default the one that refers to all others.
        via : sequence of str, optional
            Tables that paths shall lead through, without showing their columns.
        system_columns : collection of str or bool, optional
            Which of RCT, RMT, RCB and RMB are shown; none by default, True for all.

        Raises
        ------
        DerivaMLTableNotFound
            If there is no such table.
        ValueError
            If nothing is included, or `row_per` is not included.
        DerivaMLDenormalizeError
            If no single table gives the rows, or paths are not unique.
        """
        tables = self.tables(include_tables, "include_tables")
        others = self.tables(via or (), "via")
        leaf = self.leaf(tables, None if row_per is None else self.resolve(row_per))
        joins = self._joins(leaf, tables, others)
        columns = tuple(self.columns(tables, system_columns))
        return Plan(leaf, row_per is not None, tuple(tables), columns, tuple(joins))

    def tables(self, names: Sequence[str | Table], what: str) -> list[Table]:
        """Return tables, given by their names or those of features, once each.

        Raises
        ------
        DerivaMLTableNotFound
            If there is no such table.
        ValueError
            If `names` is a single name, or nothing is included.
        """
        found = _unique(self.resolve(name) for name in require_list(what, names))
        if not found and what == "include_tables":
            raise DerivaMLValidationError("include_tables must name at least one table.")
        return found

    def columns(
        self, tables: Iterable[Table], system_columns: Collection[str] | bool | None = None
    ) -> Iterator[WideColumn]:
        """Columns that tables give, labelled ``Table.Column``; who and when only if asked for."""
        tables = list(tables)
        hidden = _HIDDEN - _asked(system_columns)
        schemas = {table.schema.name for table in tables} & set(self.model.domain_schemas)
        for table in tables:
            prefix = f"{table.schema.name}.{table.name}" if len(schemas) > 1 else table.name
            for column in table.columns:
                if column.name not in hidden:
                    yield WideColumn(f"{prefix}.{column.name}", table, column)

    # --- which table gives the rows ---------------------------------------------------------------------------------

    def candidates(self, tables: Sequence[Table]) -> list[Table]:
        """Tables that no other one of `tables` refers to; vocabularies only where there is nothing else."""
        found = [
            table
            for table in tables
            if not any(self._refers(other, table) for other in tables if other is not table)
        ]
        return [table for table in found if not self.model.is_vocabulary(table)] or found

    def leaf(self, tables: Sequence[Table], asked: Table | None = None) -> Table:
        """Return the table that gives the rows; errors as for `plan`."""
        names = [table.name for table in tables]
        if asked is not None:
            if asked not in tables:
                raise DerivaMLValidationError(
                    f"row_per={asked.name!r} must be one of include_tables {names}."
                )
            below = [other.name for other in tables if other is not asked and self._refers(other, asked)]
            if below and not all(self._refers(asked, self.resolve(name)) for name in below):
                raise DerivaMLDenormalizeDownstreamLeaf(asked.name, below)
            return asked
        candidates = self.candidates(tables)
        if not candidates:
            raise DerivaMLDenormalizeNoSink(
                f"{', '.join(names)} refer to each other in a circle; pass row_per= to say which gives the rows."
            )
        if len(candidates) > 1:
            bridges = self._bridges(candidates)
            raise DerivaMLDenormalizeMultiLeaf([table.name for table in candidates], names, bridges)
        return candidates[0]

    def _refers(self, source: Table, target: Table) -> bool:
        """Whether a table refers to another, directly or through further tables."""
        return any(True for _ in self._outward(source, target))

    def _bridges(self, candidates: Sequence[Table]) -> list[str]:
        """Tables that refer to all candidates, and so could give the rows."""
        return sorted(
            table.name
            for table in self.model.tables()
            if table not in candidates
            and all(any(key.pk_table is each for key in table.foreign_keys) for each in candidates)
        )

    # --- how the others are reached ---------------------------------------------------------------------------------

    def _joins(self, leaf: Table, tables: Sequence[Table], via: Sequence[Table]) -> list[Step]:
        joins: list[Step] = []
        reached = {_name(leaf)}
        wanted = [table for table in (*via, *tables) if table is not leaf]
        routes = {_name(table): self.route(leaf, table, wanted) for table in wanted}
        for table in wanted:
            for step in routes[_name(table)]:
                if _name(step.target) not in reached:
                    reached.add(_name(step.target))
                    joins.append(step)
        return joins

    def route(self, source: Table, target: Table, through: Collection[Table]) -> Path:
        """Return the path between two tables that leads through most of some others.

        Raises
        ------
        DerivaMLDenormalizeAmbiguousPath
            If several do.
        DerivaMLDenormalizeUnrelatedAnchor
            If there is no path.
        """
        found = self.paths(source, target, through)
        if not found:
            raise DerivaMLDenormalizeUnrelatedAnchor(
                [source.name],
                [target.name],
                f"No path leads from {source.name!r}, which gives the rows, to {target.name!r}; leave one of them out, or "
                "choose another row_per.",
            )
        score = [sum(step.target in through and step.target is not target for step in path) for path in found]
        best = [path for path, number in zip(found, score, strict=True) if number == max(score)]
        if len(best) > 1:
            between = {step.target.name for path in best for step in path if step.target is not target}
            shown = [[source.name, *(step.target.name for step in path)] for path in best]
            raise DerivaMLDenormalizeAmbiguousPath(source.name, target.name, shown, sorted(between))
        return best[0]

    def paths(self, source: Table, target: Table, through: Collection[Table] = ()) -> list[Path]:
        """Paths by references alone; where there are none, paths with one association table in between.

        They may lead through the tables of `through` where these are the library's own, too.
        """
        return list(self._outward(source, target, through)) or list(self._across(source, target, through))

    def _outward(
        self, source: Table, target: Table, through: Collection[Table] = (), before: tuple[Table, ...] = ()
    ) -> Iterator[Path]:
        if len(before) >= _LONGEST:
            return
        for step in self._references(source):
            if step.target is target:
                yield (step,)
            elif step.target not in (*before, source) and self._is_open(step.target, through):
                for rest in self._outward(step.target, target, through, (*before, source)):
                    yield (step, *rest)

    def _across(self, source: Table, target: Table, through: Collection[Table]) -> Iterator[Path]:
        for lead in (((), source), *self._leads(source)):
            path, place = lead
            for step in self._referring(place):
                if step.target is target:
                    yield (*path, step)
                if (
                    step.target is target
                    or not self.model.associated(step.target)
                    or not self._is_link(step.target)
                ):
                    continue
                for onward in self._references(step.target):
                    if onward.target is place:
                        continue
                    if onward.target is target:
                        yield (*path, step, onward)
                    elif self._is_open(onward.target, through):
                        for rest in self._outward(onward.target, target, through, (source, place)):
                            yield (*path, step, onward, *rest)

    def _leads(self, source: Table) -> Iterator[tuple[Path, Table]]:
        """Tables that a table refers to directly, as places from which an association may lead on."""
        for step in self._references(source):
            if self._is_open(step.target):
                yield (step,), step.target

    def _is_open(self, table: Table, asked: Collection[Table] = ()) -> bool:
        """Whether paths may lead through a table: a user's own, or one that was asked for, and no vocabulary."""
        return (self.model.is_domain(table) or table in asked) and not self.model.is_vocabulary(table)

    def _is_link(self, table: Table) -> bool:
        """Whether an association may be crossed: not those that belong to datasets and executions as such."""
        own = {(self.model.ml_schema, "Dataset")}
        return self.model.is_domain(table) and not any(
            _name(key.pk_table) in own for key in table.foreign_keys
        )

    def _references(self, table: Table) -> Iterator[Step]:
        for key in table.foreign_keys:
            if key.pk_table.schema.name == "public" or key.pk_table is table:
                continue
            pairs = tuple(
                (here.name, there.name)
                for here, there in zip(key.foreign_key_columns, key.referenced_columns, strict=True)
            )
            yield Step(table, key.pk_table, pairs, False, key.constraint_name)

    def _referring(self, table: Table) -> Iterator[Step]:
        for key in table.referenced_by:
            if key.table is table:
                continue
            pairs = tuple(
                (there.name, here.name)
                for here, there in zip(key.foreign_key_columns, key.referenced_columns, strict=True)
            )
            yield Step(table, key.table, pairs, True, key.constraint_name)


def _asked(system_columns: Collection[str] | bool | None) -> frozenset[str]:
    if isinstance(system_columns, bool) or system_columns is None:
        return _HIDDEN if system_columns else frozenset()
    asked = frozenset(map(str, one_or_more("system_columns", system_columns)))
    unknown = sorted(asked - _HIDDEN - {"RID"})
    if unknown:
        raise DerivaMLValidationError(
            f"system_columns may name {', '.join(sorted(_HIDDEN))}, not {', '.join(unknown)}."
        )
    return asked


def _unique(tables: Iterable[Table]) -> list[Table]:
    return list({_name(table): table for table in tables}.values())
