"""How the tables of a model hang together: foreign keys as ways between them, and which of these lead on from a dataset."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from deriva_ml.names import MLTable

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table

TableName = tuple[str, str]
"""Schema and table."""

Columns = tuple[str, ...]
OUTSIDE = frozenset({"public", "www", "WWW"})
"""Schemas that no walk enters."""


def name_of(table: Table) -> TableName:
    """Schema and name of a table."""
    return table.schema.name, table.name


@dataclass(frozen=True)
class Edge:
    """One way to go from rows of a table to rows of another.

    Parameters
    ----------
    source, target : tuple of str
    source_columns, target_columns : tuple of str
        Rows belong together where these are equal.
    inbound : bool
        Whether the target refers to the source.
    """

    source: TableName
    target: TableName
    source_columns: Columns
    target_columns: Columns
    inbound: bool


class ForeignKeyGraph:
    """Tables of a model and the foreign keys between them.

    Parameters
    ----------
    model : CatalogModel
    """

    def __init__(self, model: CatalogModel) -> None:
        self.tables: dict[TableName, Table] = {
            name_of(table): table
            for schema in model.schemas.values()
            if schema.name not in OUTSIDE
            for table in schema.tables.values()
        }

    @cached_property
    def edges(self) -> dict[TableName, list[Edge]]:
        """Edges that leave each table, both ways, in a fixed order."""
        edges: dict[TableName, set[Edge]] = {name: set() for name in self.tables}
        for name, table in self.tables.items():
            for key in table.foreign_keys:
                target = name_of(key.pk_table)
                if target not in self.tables:
                    continue
                here = tuple(column.name for column in key.foreign_key_columns)
                there = tuple(column.name for column in key.referenced_columns)
                edges[name].add(Edge(name, target, here, there, inbound=False))
                edges[target].add(Edge(target, name, there, here, inbound=True))
        order = lambda edge: (edge.inbound, edge.target, edge.source_columns, edge.target_columns)  # noqa: E731
        return {name: sorted(found, key=order) for name, found in edges.items()}


@dataclass(frozen=True)
class Policy:
    """What a walk takes and where it stops.

    Parameters
    ----------
    start : tuple of str
        Table where it starts.
    terminal : frozenset
        Tables whose rows are taken, but from which nothing is entered.
    whole : frozenset
        Tables that are taken with all their rows once anything refers to them (vocabularies).
    excluded : frozenset
        Tables that are left out, with everything reached only through them.
    barred : frozenset
        Pairs of a table and its foreign-key columns through which it is not entered from the table they refer to.
    """

    start: TableName
    terminal: frozenset[TableName] = frozenset()
    whole: frozenset[TableName] = frozenset()
    excluded: frozenset[TableName] = frozenset()
    barred: frozenset[tuple[TableName, Columns]] = frozenset()

    def enters(self, edge: Edge, allowed: Collection[TableName]) -> bool:
        """Whether a walk goes on along an edge, when it may still enter some tables."""
        if edge.target not in allowed or edge.target in self.whole or edge.source in self.terminal:
            return False
        return not (edge.inbound and (edge.target, edge.target_columns) in self.barred)


def dataset_policy(model: CatalogModel, exclude_tables: Collection[str] | None = None) -> Policy:
    """What belongs to a dataset: its members, what hangs on them, and all they refer to.

    Vocabularies are taken as a whole; of executions and workflows only the rows, not what else they made; other
    datasets only where they are nested.

    Parameters
    ----------
    model : CatalogModel
    exclude_tables : collection of str, optional
        Bare names of tables, left out in every schema.
    """
    dataset = model.ml_table(MLTable.dataset)
    names = frozenset(exclude_tables or ())
    return Policy(
        start=name_of(dataset),
        terminal=frozenset(name_of(model.ml_table(name)) for name in (MLTable.execution, MLTable.workflow)),
        whole=frozenset(name_of(table) for table in model.find_vocabularies()),
        excluded=frozenset(
            (schema.name, name)
            for schema in model.schemas.values()
            if schema.name not in OUTSIDE
            for name in schema.tables
            if name in names
        ),
        barred=frozenset(_barred(model, dataset)),
    )


def _barred(model: CatalogModel, dataset: Table) -> Iterator[tuple[TableName, tuple[str, ...]]]:
    """Links to other datasets: memberships are only entered from the dataset, nesting only from the parent."""
    for association in model.find_associations(dataset, pure=False, max_arity=None):
        if model.is_association(association.table, 3, None, unqualified=False, pure=False):
            continue
        for other in association.others:
            yield name_of(association.table), tuple(column.name for column in other.foreign_key_columns)
