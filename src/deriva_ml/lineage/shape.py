"""What drawings and exports see of a lineage, in either direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol


class Workflow(Protocol):
    """A workflow."""

    rid: str
    name: str | None


class Execution(Protocol):
    """An execution."""

    rid: str
    description: str | None
    status: str

    @property
    def workflow(self) -> Workflow | None:
        """Its workflow."""


class Dataset(Protocol):
    """A dataset that was read."""

    rid: str
    description: str | None
    version: str | None


class Asset(Protocol):
    """An asset that was read."""

    rid: str
    filename: str | None
    asset_table: str


class Node(Protocol):
    """An execution in a tree."""

    already_shown: bool

    @property
    def execution(self) -> Execution:
        """The execution."""

    @property
    def consumed_datasets(self) -> Sequence[Dataset]:
        """What it read."""

    @property
    def consumed_assets(self) -> Sequence[Asset]:
        """What it read."""

    @property
    def branches(self) -> Sequence[Node]:
        """What comes next in the tree."""


class Value(Protocol):
    """A record of a feature, as it was read."""

    feature: ClassVar[Any]

    def to_row(self) -> dict[str, Any]:
        """Column to value."""


class File(Protocol):
    """An asset, as it was looked up."""

    @property
    def asset_rid(self) -> str:
        """Its RID."""


class Root(Protocol):
    """What was asked for."""

    @property
    def rid(self) -> str:
        """Its RID."""

    @property
    def type(self) -> str:
        """Its kind."""

    @property
    def description(self) -> str | None:
        """What it is."""


class Result(Protocol):
    """A lineage."""

    executions_visited: int
    walked_complete: bool
    cycle_detected: bool
    depth_capped: bool
    is_upward: ClassVar[bool]

    @property
    def root(self) -> Root:
        """What was asked for."""

    @property
    def branches(self) -> Sequence[Node]:
        """The trees."""


def nodes(result: Result) -> Iterator[tuple[Node | None, Node]]:
    """Every node with the one that it hangs on, the nearest first."""
    queue: list[tuple[Node | None, Node]] = [(None, node) for node in result.branches]
    for above, node in queue:
        yield above, node
        queue.extend((node, branch) for branch in node.branches)
