"""What a wide table would be, and what is unclear about it, without making it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml.errors import (
    DerivaMLDenormalizeAmbiguousPath,
    DerivaMLDenormalizeDownstreamLeaf,
    DerivaMLDenormalizeError,
    DerivaMLDenormalizeMultiLeaf,
    DerivaMLDenormalizeNoSink,
    DerivaMLDenormalizeUnrelatedAnchor,
    DerivaMLException,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.names import MLTable, require_list
from deriva_ml.rows.wide import WideQuery
from deriva_ml.rows.wide_plan import Plan, Planner

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Table
    from deriva_ml.rows.local import LocalReader


class Rows(Protocol):
    """Rows that wide tables are made of."""

    reader: LocalReader
    model: CatalogModel
    planner: Planner
    anchors: dict[tuple[str, str], list[str]]
    source: str

    @property
    def scope(self) -> dict[tuple[str, str], set[str]] | None:
        """RIDs of the rows that are used, by table."""
        ...

    def unrelated(self, tables: Sequence[Table], joined: Sequence[Table]) -> list[str]:
        """Names of tables with members that have nothing to do with some others."""
        ...


@dataclass
class _Doubts:
    """What is unclear about a wide table."""

    ambiguities: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, error: DerivaMLException, row_per: Sequence[str] = ()) -> None:
        """Add what an error says; `row_per` are tables that would do."""
        if isinstance(error, DerivaMLDenormalizeAmbiguousPath):
            between = error.suggested_intermediates
            self.add("ambiguous_path", error.from_table, error.to_table, error.paths, between, between)
        elif isinstance(error, DerivaMLDenormalizeMultiLeaf):
            bridges = error.bridge_suggestions
            self.add("multi_leaf", error.candidates, None, include=bridges, row_per=row_per)
        elif isinstance(error, DerivaMLDenormalizeDownstreamLeaf):
            self.add("downstream_leaf", error.row_per, error.downstream_tables, row_per=row_per)
        elif isinstance(error, DerivaMLDenormalizeNoSink):
            self.add("no_sink", row_per=row_per)
        self.warnings.append(str(error))

    def add(
        self,
        kind: str,
        here: Any = None,
        there: Any = None,
        paths: Sequence[Any] = (),
        include: Sequence[str] = (),
        via: Sequence[str] = (),
        row_per: Sequence[str] = (),
    ) -> None:
        """Add one thing that is unclear, and what would make it clear."""
        suggestions = {
            "add_to_include_tables": list(include),
            "add_to_via": list(via),
            "row_per": list(row_per),
        }
        self.ambiguities.append(
            {"type": kind, "from": here, "to": there, "paths": list(paths), "suggestions": suggestions}
        )


def describe(
    rows: Rows,
    include_tables: Sequence[Any],
    *,
    row_per: Any = None,
    via: Sequence[Any] | None = None,
    ignore_unrelated_anchors: bool = False,
) -> dict[str, Any]:
    """Say how a wide table would be made, and what is unclear.

    Parameters
    ----------
    rows : Denormalizer
    include_tables : sequence of str
        Tables or features.
    row_per : str, optional
        The table that gives the rows.
    via : sequence of str, optional
        Tables that joins shall lead through.
    ignore_unrelated_anchors : bool
        Whether nothing is said of members that have nothing to do with the included tables.

    Returns
    -------
    dict
        ``row_per`` and ``row_per_source`` (``explicit`` or ``auto-inferred``), ``row_per_candidates``, ``columns``
        (label and type), ``include_tables``, ``via``, ``join_path`` and ``transparent_intermediates`` (tables that are
        joined, and those of them without columns), ``ambiguities``, ``estimated_row_count``, ``anchors``, ``source`` and
        ``warnings``.

    Raises
    ------
    DerivaMLValidationError
        If what is given are no names of tables. Whatever keeps the table from being made raises nothing: it is among the
        ambiguities, with what would help, or the warnings.
    """
    planner, doubts = rows.planner, _Doubts()
    tables = _known(planner, include_tables, "include_tables", doubts)
    others = _known(planner, via or (), "via", doubts)
    asked = next(iter(_known(planner, [] if row_per is None else [row_per], "row_per", doubts)), None)
    leaf = _leaf(planner, tables, asked, doubts)
    if leaf is not None:
        _note_routes(planner, leaf, tables, others, doubts)
    plan = None if doubts.warnings else planner.plan(tables, row_per=asked, via=others)
    joined = plan.joined if plan is not None else tables
    doubts.warnings += [
        f"The rows of {table.name} were left out of the bag (exclude_tables)."
        for table in joined
        if table.name in rows.reader.excluded
    ]
    strangers = [] if ignore_unrelated_anchors or not tables else rows.unrelated(tables, joined)
    if strangers:
        names = [table.name for table in tables]
        doubts.note(DerivaMLDenormalizeUnrelatedAnchor(strangers, names))
    shown = leaf or asked
    return {
        "row_per": shown.name if shown else None,
        "row_per_source": "auto-inferred" if row_per is None else "explicit",
        "row_per_candidates": [table.name for table in planner.candidates(tables)],
        "columns": [(each.label, each.column.type.typename) for each in planner.columns(tables)],
        "include_tables": [table.name for table in tables],
        "via": [table.name for table in others],
        "join_path": [table.name for table in joined] if plan is not None else [],
        "transparent_intermediates": [table.name for table in joined if table not in tables],
        "ambiguities": doubts.ambiguities,
        "estimated_row_count": _counts(rows, plan),
        "anchors": {
            "total": sum(map(len, rows.anchors.values())),
            "by_type": {name: len(rids) for (_, name), rids in sorted(rows.anchors.items())},
        },
        "source": rows.source,
        "warnings": doubts.warnings,
    }


def _known(planner: Planner, names: Sequence[Any], what: str, doubts: _Doubts) -> list[Table]:
    """Those of some tables that there are."""
    found = []
    for name in require_list(what, names):
        try:
            found += planner.tables([name], what)
        except DerivaMLTableNotFound as error:
            doubts.add("unknown_table", str(error.table_name), include=planner.similar(error.table_name))
            doubts.warnings.append(f"{what}: {error}")
    if what == "include_tables" and not found:
        doubts.add("nothing_included")
        doubts.warnings.append("include_tables must name at least one table.")
    return list(dict.fromkeys(found))


def _leaf(planner: Planner, tables: Sequence[Table], asked: Table | None, doubts: _Doubts) -> Table | None:
    if not tables:
        return None
    if asked is not None and asked not in tables:
        doubts.add(
            "row_per_not_included", asked.name, include=[asked.name], row_per=_fitting(planner, tables)
        )
    try:
        return planner.leaf(tables, asked)
    except (DerivaMLDenormalizeError, DerivaMLValidationError) as error:
        doubts.note(error, _fitting(planner, tables))
        return None


def _fitting(planner: Planner, tables: Sequence[Table]) -> list[str]:
    """Names of those tables that could give the rows."""
    found = []
    for table in tables:
        try:
            planner.plan(tables, row_per=table)
        except DerivaMLDenormalizeError:
            continue
        found.append(table.name)
    return found


def _note_routes(
    planner: Planner, leaf: Table, tables: Sequence[Table], via: Sequence[Table], doubts: _Doubts
) -> None:
    wanted = [table for table in (*via, *tables) if table is not leaf]
    for table in wanted:
        try:
            planner.route(leaf, table, wanted)
        except DerivaMLDenormalizeUnrelatedAnchor as error:
            doubts.add("no_path", leaf.name, table.name, row_per=_fitting(planner, tables))
            doubts.note(error)
        except DerivaMLDenormalizeError as error:
            doubts.note(error)


def _counts(rows: Rows, plan: Plan | None) -> dict[str, Any]:
    if plan is None:
        nothing = dict.fromkeys(("in_scope_row_per_rows", "orphan_rows", "total"))
        return {
            **nothing,
            "reason": "It is not clear how the tables are joined; see ambiguities and warnings.",
        }
    leaf, orphans = WideQuery(rows.reader, plan, rows.anchors, rows.scope).count()
    return {"in_scope_row_per_rows": leaf, "orphan_rows": orphans, "total": leaf + orphans}


def list_schema_paths(rows: Rows, tables: Sequence[Any] | None = None) -> dict[str, Any]:
    """List how the tables of a dataset are joined.

    Parameters
    ----------
    rows : Denormalizer
    tables : sequence of str, optional
        Only paths between these; by default between all that members lead to.

    Returns
    -------
    dict
        ``member_types`` (tables whose rows can be members), ``anchor_types`` (those that have members here),
        ``reachable_tables`` (for each of these, the tables it can be joined with), ``association_tables``,
        ``feature_tables``, and ``schema_paths``: for each pair of tables a list of ``path`` (names of tables) and
        ``direct`` (whether one foreign key does it).

    Raises
    ------
    DerivaMLTableNotFound
        If there is no such table.
    """
    model, planner = rows.model, rows.planner
    domain = [
        table for table in model.tables() if model.is_domain(table) and not _is_membership(model, table)
    ]
    paths = {source.name: dict(_paths(planner, source, domain)) for source in domain}
    anchors = [model.name_to_table(name) for name in rows.anchors]
    reachable = {anchor.name: _joinable(paths, anchor.name) for anchor in anchors}
    features = {found.table.name for found in model.find_features()}
    if tables is None:
        chosen = {name for found in reachable.values() for name in found} | set(reachable)
    else:
        chosen = {table.name for table in planner.tables(tables, "tables")}
    return {
        "member_types": sorted(element.table.name for element in model.dataset_elements()),
        "anchor_types": sorted(anchor.name for anchor in anchors),
        "reachable_tables": reachable,
        "association_tables": sorted(
            table.name for table in domain if model.associated(table) and table.name not in features
        ),
        "feature_tables": sorted(features),
        "schema_paths": {
            (source, target): found
            for source, targets in paths.items()
            for target, found in targets.items()
            if source in chosen and target in chosen
        },
    }


def _is_membership(model: CatalogModel, table: Table) -> bool:
    """Whether a table only says what belongs to datasets."""
    return any(key.pk_table is model.ml_table(MLTable.dataset) for key in model.associated(table))


def _paths(
    planner: Planner, source: Table, tables: Iterable[Table]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for target in tables:
        found = [] if source is target else planner.paths(source, target)
        if found:
            names = [[source.name, *(step.target.name for step in path)] for path in found]
            yield target.name, [{"path": path, "direct": len(path) == 2} for path in names]


def _joinable(paths: Mapping[str, Mapping[str, Any]], anchor: str) -> list[str]:
    """Tables that can stand beside another in a wide table, be it with a third one that leads to both."""
    found = {anchor: None}
    for source, targets in paths.items():
        if source == anchor or anchor in targets:
            found |= dict.fromkeys((source, *targets))
    return sorted(set(found) - {anchor})
