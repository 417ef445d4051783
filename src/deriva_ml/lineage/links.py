"""Paths over the tables that link executions, files and datasets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from deriva_ml.ermrest.rows import escaped, path_of
from deriva_ml.names import AssetRole

if TYPE_CHECKING:
    from deriva_ml.model.graph import Element, FeatureTable, Table

OUTPUT, INPUT = f"Asset_Role={AssetRole.output}", f"Asset_Role={AssetRole.input}"


@dataclass(frozen=True)
class Question:
    """What to read of rows that have one of some values in a column.

    Parameters
    ----------
    table : str
        Escaped, maybe with an alias.
    column : str
    rest : str
        The path from there, ending with outputs of which the first is that column.
    kind : str
        ``attribute`` or ``attributegroup``.
    """

    table: str
    column: str
    rest: str
    kind: str = "attribute"

    @cached_property
    def first(self) -> str:
        """Name of the first output."""
        output = self.rest.rpartition("/")[2].partition(",")[0].partition(";")[0]
        return output.partition(":=")[0]

    @property
    def path(self) -> str:
        """The path over all rows, without leading slash."""
        return f"{self.kind}/{self.table}/{self.rest}"

    @property
    def to_datasets(self) -> Question:
        """The same with no more outputs than the value and the dataset that it leads to."""
        before, _, outputs = self.rest.rpartition("/")
        return replace(self, rest="/".join(filter(None, (before, ",".join(outputs.split(",")[:2])))))


@dataclass(frozen=True)
class Step:
    """A question whose two outputs lead from a value of one place to a value of another."""

    origin: str
    to: str
    question: Question
    counts: bool = False


@dataclass(frozen=True)
class AssetLinks:
    """An asset table and the table that links its rows to executions."""

    table: Table
    link: Table
    asset: str
    execution: str

    @property
    def place(self) -> str:
        """Place of the assets of this table that were read."""
        return f"used {path_of(self.table)}"

    def by(self, column: str, role: str, rest: str) -> Question:
        """A question about links in a role."""
        return Question(f"L:={path_of(self.link)}", column, f"{role}/{rest}")

    @cached_property
    def read(self) -> Question:
        """What executions read."""
        asset = escaped(self.asset)
        return self.by(
            self.execution,
            INPUT,
            f"A:=(L:{asset})=({path_of(self.table)}:RID)/$L/execution:=L:{escaped(self.execution)},"
            "asset:=A:RID,filename:=A:Filename",
        )

    @cached_property
    def makers(self) -> Question:
        """Who wrote assets, and when that was recorded."""
        outputs = f"asset:=L:{escaped(self.asset)},producer:=L:{escaped(self.execution)},made:=L:RCT"
        return self.by(self.asset, OUTPUT, outputs)

    def pairs(self, origin: str, to: str, role: str) -> Question:
        """From one column of links to the other."""
        return self.by(origin, role, f"here:=L:{escaped(origin)},there:=L:{escaped(to)}")

    @cached_property
    def maker_pairs(self) -> Question:
        """From assets to executions that wrote them."""
        return self.pairs(self.asset, self.execution, OUTPUT)

    @cached_property
    def reader_pairs(self) -> Question:
        """From assets to executions that read them."""
        return self.pairs(self.asset, self.execution, INPUT)

    @cached_property
    def readers_of_made(self) -> Question:
        """From executions to those that read what they wrote."""
        asset, execution = escaped(self.asset), escaped(self.execution)
        rest = (
            f"R:=(L:{asset})=({path_of(self.link)}:{asset})/{INPUT}/here:=L:{execution},there:=R:{execution}"
        )
        return Question(f"L:={path_of(self.link)}", self.execution, f"{OUTPUT}/{rest}", "attributegroup")


@dataclass(frozen=True)
class Members:
    """How rows of a table are members of datasets."""

    element: Element
    assets: AssetLinks | None = None

    @property
    def _table(self) -> str:
        return f"M:={path_of(self.element.association)}"

    @property
    def _dataset(self) -> str:
        return escaped(self.element.dataset_column)

    @property
    def _member(self) -> str:
        return escaped(self.element.element_column)

    def _makers(self, assets: AssetLinks) -> str:
        return f"P:=(M:{self._member})=({path_of(assets.link)}:{escaped(assets.asset)})/{OUTPUT}"

    def makers(self, assets: AssetLinks) -> Question:
        """Per dataset and execution that made members of it: since when the first of these is a member."""
        outputs = f"dataset:=M:{self._dataset},producer:=P:{escaped(assets.execution)};first:=min(M:RCT)"
        return Question(
            self._table, self.element.dataset_column, f"{self._makers(assets)}/{outputs}", "attributegroup"
        )

    def maker_pairs(self, assets: AssetLinks) -> Question:
        """From datasets to executions that made members of them."""
        outputs = f"here:=M:{self._dataset},there:=P:{escaped(assets.execution)}"
        return Question(
            self._table, self.element.dataset_column, f"{self._makers(assets)}/{outputs}", "attributegroup"
        )

    def datasets_of_made(self, assets: AssetLinks) -> Question:
        """From executions to datasets that have assets made by them as members."""
        execution = escaped(assets.execution)
        member = f"M:=(L:{escaped(assets.asset)})=({path_of(self.element.association)}:{self._member})"
        rest = f"{OUTPUT}/{member}/here:=L:{execution},there:=M:{self._dataset}"
        return Question(f"L:={path_of(assets.link)}", assets.execution, rest, "attributegroup")

    @cached_property
    def memberships(self) -> Question:
        """Which datasets have rows as members, and since when."""
        outputs = f"root:=M:{self._member},dataset:=M:{self._dataset},since:=M:RCT"
        return Question(self._table, self.element.element_column, outputs)

    def of_values(self, feature: FeatureTable) -> Question:
        """Which datasets have the rows as members that values of a feature are about, and since when."""
        target = (
            f"M:=(F:{escaped(feature.target_column)})=({path_of(self.element.association)}:{self._member})"
        )
        outputs = f"root:=F:RID,dataset:=M:{self._dataset},since:=M:RCT,given:=F:RCT"
        return Question(f"F:={path_of(feature.table)}", "RID", f"{target}/$F/{outputs}")
