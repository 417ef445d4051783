"""What the web interface puts into the bag of a dataset: annotations of the table of datasets, made from a model.

A template is a fixed list of queries, each a path from the dataset, so it cannot do all that the walk of a bag does. It goes
ways of that walk: from a dataset to what refers to it, from a member to what refers to that, and from all of these to what
they refer to. Each way is a file of rows, in folders that are called like the tables on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from deriva_ml.ermrest.rows import STORED, escaped, path_of
from deriva_ml.model import tags
from deriva_ml.model.ways import Edge, ForeignKeyGraph, dataset_policy, name_of

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, Element, Table
    from deriva_ml.model.ways import Columns, Policy, TableName

Document = dict[str, Any]
Way = tuple[Edge, ...]

FRAGMENT = "dataset_bag"
"""Name of the outputs, by which any template of the table can include them."""

TEMPLATE: Document = {
    "detailed": {
        "templates": [
            {"displayname": "Dataset (BDBag)", "type": "BAG", "outputs": [{"fragment_key": FRAGMENT}]}
        ]
    }
}
"""What the page of a dataset offers where nobody wrote templates of their own."""

NESTED = 2
"""How deep datasets may be nested for their rows to be in the bag; each level repeats all paths."""

_REFERENCES = 4
"""References followed one after the other, where that does not make too many ways."""

_MOST = 100
"""Ways that are not too many: tables that refer to each other a lot would make thousands."""

_FILE = "url:=URL,length:=Length,filename:=Filename,md5:=MD5,asset_rid:=RID"


def dataset_exports(model: CatalogModel, former: Mapping[str, Any] | None = None) -> Document:
    """Annotations of the table of datasets from which the web interface makes bags.

    Parameters
    ----------
    model : CatalogModel
    former : mapping, optional
        Annotations that the table has. Templates and fragments that others wrote stay.

    Returns
    -------
    dict
        Tag to annotation.
    """
    former = former or {}
    fragments = former.get(tags.EXPORT_FRAGMENTS) or {}
    return {
        tags.EXPORT_FRAGMENTS: {**fragments, FRAGMENT: bag_outputs(model)},
        tags.EXPORT: former.get(tags.EXPORT, TEMPLATE),
    }


def bag_outputs(model: CatalogModel) -> list[Document]:
    """The files of a bag: rows of a dataset and of those nested in it, files of assets, and vocabularies as a whole."""
    graph, policy = ForeignKeyGraph(model), dataset_policy(model)
    members = {name_of(element.table): element for element in model.dataset_elements()}
    own = [(), *_ways(graph, policy, members.keys())]
    nesting = members.get(policy.start)
    down: Way = _way_to(policy.start, nesting) if nesting else ()
    # From a nested dataset all ways go on as from the dataset itself.
    ways = [down * level + way for level in range(NESTED + 1 if nesting else 1) for way in own]
    siblings = Counter(_sibling(way) for way in ways if way)
    outputs: list[Document] = []
    for way in ways:
        names = [_name(way[:end], siblings) for end in range(1, len(way) + 1)]
        table = graph.tables[way[-1].target if way else policy.start]
        outputs += _outputs(table, way, [policy.start[1], *names], is_asset=model.is_asset(table))
    reached = {policy.start, *(way[-1].target for way in ways if way)}
    return [*outputs, *map(_vocabulary, sorted(_vocabularies(graph, policy, reached)))]


def _ways(graph: ForeignKeyGraph, policy: Policy, members: Collection[TableName]) -> list[Way]:
    """Ways from a dataset to rows that belong in its bag."""
    of_datasets = {edge.target for edge in graph.edges[policy.start] if edge.inbound}
    # What refers to a dataset is of that dataset, whatever leads to it, so that it need not be there twice.
    ends = (of_datasets - set(members)) | policy.whole | {policy.start}
    own = _as_far_as_sensible(lambda references: _around(graph, policy, (), ends, references), 1)
    # Of what is said of members, the runs are named by their RIDs only: else half of a bag would be runs.
    ends |= policy.terminal
    there = [way for way in own if [edge.inbound for edge in way] == [True, False]]
    said = _as_far_as_sensible(
        lambda references: chain.from_iterable(
            _around(graph, policy, way, ends, references) for way in there
        ),
        0,
    )
    return own + said


def _as_far_as_sensible(ways: Callable[[int], Iterator[Way]], least: int) -> list[Way]:
    """Ways that follow some number of references, at least so many, and fewer than would make too many ways."""
    for references in range(_REFERENCES, least, -1):
        found = list(islice(ways(references), _MOST + 1))
        if len(found) <= _MOST:
            return found
    return list(ways(least))


def _around(
    graph: ForeignKeyGraph, policy: Policy, way: Way, ends: Collection[TableName], references: int
) -> Iterator[Way]:
    """Ways to what refers to the rows that a way leads to, and on to all that this refers to."""
    met = [policy.start, *(edge.target for edge in way)]
    left = graph.tables.keys() - set(met)
    for edge in graph.edges[met[-1]]:
        if edge.inbound and policy.enters(edge, left):
            yield (*way, edge)
            yield from _along_references(graph, (*way, edge), ends, references)


def _along_references(
    graph: ForeignKeyGraph, way: Way, ends: Collection[TableName], references: int
) -> Iterator[Way]:
    met = {edge.target for edge in way}
    for edge in graph.edges[way[-1].target] if references else ():
        if not edge.inbound and edge.target not in met and edge.target not in ends:
            yield (*way, edge)
            yield from _along_references(graph, (*way, edge), ends, references - 1)


def _way_to(dataset: TableName, element: Element) -> Way:
    """The way from a dataset to its members of a table."""
    association, table = name_of(element.association), name_of(element.table)
    return (
        Edge(dataset, association, ("RID",), (element.dataset_column,), inbound=True),
        Edge(association, table, (element.element_column,), (element.element_key,), inbound=False),
    )


def _vocabularies(graph: ForeignKeyGraph, policy: Policy, tables: Collection[TableName]) -> set[TableName]:
    return {
        edge.target
        for name in tables
        for edge in graph.edges[name]
        if not edge.inbound and edge.target in policy.whole
    }


# One file ----------------------------------------------------------------------------------------------------------


def _outputs(table: Table, way: Way, names: Sequence[str], *, is_asset: bool) -> Iterator[Document]:
    """The rows of a table that a way leads to, and their files."""
    path = "/".join(map(_step, way))
    yield {
        "source": {"api": "entity", **({"path": path} if way else {})},
        "destination": {"type": "csv", "name": "/".join(map(_part, names))},
    }
    if is_asset:
        yield {
            "source": {"api": "attribute", "path": f"{path}/{STORED}/{_FILE}"},
            "destination": {
                "type": "fetch",
                "name": f"assets/{_part(table.name)}/{{asset_rid}}",
                # Given here, the name of a file may have braces in it.
                "params": {"output_filename": "{filename}"},
            },
        }


def _vocabulary(name: TableName) -> Document:
    return {
        "source": {"api": "entity", "path": path_of(name), "skip_root_path": True},
        "destination": {"type": "csv", "name": "/".join(map(_part, ("vocabularies", *name)))},
    }


def _step(edge: Edge) -> str:
    return f"({_columns(edge.source_columns)})=({path_of(edge.target)}:{_columns(edge.target_columns)})"


def _columns(names: Columns) -> str:
    return ",".join(map(escaped, names))


def _sibling(way: Way) -> tuple[Way, str]:
    return way[:-1], way[-1].target[1]


def _name(way: Way, siblings: Mapping[tuple[Way, str], int]) -> str:
    """Name of the table that a way leads to, with the column that refers where a sibling is called the same."""
    edge, table = way[-1], way[-1].target[1]
    if siblings[_sibling(way)] == 1:
        return table
    return ".".join([table, *edge.target_columns] if edge.inbound else [*edge.source_columns, table])


def _part(name: str) -> str:
    """A name as one component of the path of a file; braces would be taken for a variable."""
    return quote(name, safe=" ")
