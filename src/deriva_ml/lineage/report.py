"""What a lineage consists of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from deriva_ml.lineage import graphs, text
from deriva_ml.lineage.deep import flat, json_text, plain


class _Summary(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WorkflowSummary(_Summary):
    """A workflow in a lineage."""

    rid: str
    name: str | None = None


class ExecutionSummary(_Summary):
    """An execution in a lineage."""

    rid: str
    description: str | None = None
    workflow: WorkflowSummary | None = None
    status: str


class DatasetSummary(_Summary):
    """A dataset in a lineage, at the version that was read."""

    rid: str
    description: str | None = None
    version: str | None = None


class AssetSummary(_Summary):
    """An asset in a lineage."""

    rid: str
    filename: str | None = None
    asset_table: str


class _Node(_Summary):
    """An execution in a tree.

    However deep the tree is, it can be printed, compared and written as a dict or as JSON. Options of `model_dump` other
    than `mode` and `indent` are left to pydantic, which takes no tree of more than about 100 generations; nor can JSON
    of such a one be read again.
    """

    execution: ExecutionSummary
    consumed_datasets: list[DatasetSummary] = Field(default_factory=list)
    consumed_assets: list[AssetSummary] = Field(default_factory=list)
    already_shown: bool = False

    @property
    def branches(self) -> Sequence[Any]:
        """What comes next in the tree."""
        raise NotImplementedError

    def model_dump(self, *, mode: str = "python", **options: Any) -> dict[str, Any]:
        """As of pydantic."""
        return super().model_dump(mode=mode, **options) if options else plain(self)

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """As of pydantic."""
        if options:
            return super().model_dump_json(indent=indent, **options)
        return json_text(plain(self), indent)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, BaseModel) and flat(self) == flat(other)

    __hash__ = None  # type: ignore[assignment]  # as of every pydantic model that can change

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.execution.rid} [{self.execution.status}]>"

    __str__ = __repr__


class LineageNode(_Node):
    """An execution with what it read and the executions that made that.

    `already_shown` marks an execution whose inputs stand elsewhere in the tree.
    """

    parents: list[LineageNode] = Field(default_factory=list)

    @property
    def branches(self) -> list[LineageNode]:
        """What comes next in the tree."""
        return self.parents


class DescendantNode(_Node):
    """An execution with what it read and the executions that read what it made.

    `already_shown` marks an execution whose readers stand elsewhere in the tree.
    """

    children: list[DescendantNode] = Field(default_factory=list)

    @property
    def branches(self) -> list[DescendantNode]:
        """What comes next in the tree."""
        return self.children


class RootDescriptor(_Summary):
    """What a lineage was asked for."""

    rid: str
    type: Literal["Dataset", "Asset", "Feature", "Execution"]
    description: str | None = None
    producing_execution: ExecutionSummary | None = None


class _Result(_Summary):
    is_upward: ClassVar[bool]
    """Whether the trees lead to where the data came from."""

    root: RootDescriptor
    executions_visited: int = 0
    walked_complete: bool = True
    cycle_detected: bool = False
    depth_capped: bool = False

    @property
    def branches(self) -> list[Any]:
        """The trees."""
        raise NotImplementedError

    @property
    def executions(self) -> list[ExecutionSummary]:
        """All executions of the trees, each once, the nearest first."""
        queue = list(self.branches)
        found: dict[str, ExecutionSummary] = {}
        for node in queue:
            found.setdefault(node.execution.rid, node.execution)
            queue.extend(node.branches)
        return list(found.values())

    def model_dump(self, *, mode: str = "python", **options: Any) -> dict[str, Any]:
        """As of pydantic, but for a tree of any depth."""
        return super().model_dump(mode=mode, **options) if options else plain(self)

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """As of pydantic, but for a tree of any depth."""
        if options:
            return super().model_dump_json(indent=indent, **options)
        return json_text(plain(self), indent)

    def to_mermaid(self) -> str:
        """As a flowchart in Mermaid's language, which notebooks, GitHub and GitLab draw in Markdown."""
        return graphs.mermaid(self)

    def to_dot(self) -> str:
        """As a graph in the language of Graphviz."""
        return graphs.dot(self)

    def __str__(self) -> str:
        return text.tree(self)

    def __repr__(self) -> str:
        number = f"{self.executions_visited} execution{'' if self.executions_visited == 1 else 's'}"
        return f"<{type(self).__name__} of {self.root.type} {self.root.rid}: {number}>"

    def _repr_markdown_(self) -> str:
        return text.markdown(self)

    def _repr_html_(self) -> str:
        return text.html(self)


class LineageResult(_Result):
    """How something came to be: the execution that made it, and recursively those that made its inputs.

    Parameters
    ----------
    root : RootDescriptor
    lineage : LineageNode, optional
        None when no producer is recorded.
    executions_visited : int
        Distinct executions in the tree.
    walked_complete : bool
        False when a cap cut the walk.
    cycle_detected, depth_capped : bool

    Examples
    --------
    >>> print(ml.lookup_lineage("1-ABC"))  # doctest: +SKIP
    """

    is_upward: ClassVar[bool] = True
    lineage: LineageNode | None = None

    @property
    def branches(self) -> list[LineageNode]:
        """The tree, if there is one."""
        return [] if self.lineage is None else [self.lineage]


class DescendantsResult(_Result):
    """What came of something: the executions that read it, and recursively those that read what these made.

    Parameters
    ----------
    root : RootDescriptor
    descendants : list of DescendantNode
        Empty when nobody read it.
    executions_visited : int
        Distinct executions in the trees.
    walked_complete : bool
        False when a cap cut the walk.
    cycle_detected, depth_capped : bool

    Examples
    --------
    >>> print(ml.lookup_descendants("1-ABC"))  # doctest: +SKIP
    """

    is_upward: ClassVar[bool] = False
    descendants: list[DescendantNode] = Field(default_factory=list)

    @property
    def branches(self) -> list[DescendantNode]:
        """The trees."""
        return self.descendants
