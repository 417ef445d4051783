"""What is asked of a catalog about the flow of data, as paths over its tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from deriva_ml.ermrest.rows import path_of
from deriva_ml.lineage.links import INPUT, AssetLinks, Members, Question, Step
from deriva_ml.names import MLTable

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel, FeatureTable, Table

EXECUTION, READ, CONTAINER = "execution", "read", "container"
"""Places: executions; datasets that were read, with those nested in them; datasets that contain something."""


@dataclass(frozen=True)
class Plan:
    """What a walk in one direction consists of.

    Parameters
    ----------
    steps : list of Step
    looks : list of (place, Question)
    """

    steps: list[Step]
    looks: list[tuple[str, Question]]

    @cached_property
    def document(self) -> dict[str, Any]:
        """Both as the service takes them."""
        return {
            "steps": [
                {"from": step.origin, "to": step.to, "path": step.question.path, "counts": step.counts}
                for step in self.steps
            ],
            "read": [{"of": place, "path": question.path} for place, question in self.looks],
        }


@dataclass
class Questions:
    """All that can be asked of a catalog with a model.

    Parameters
    ----------
    model : CatalogModel
    """

    model: CatalogModel
    assets: list[AssetLinks] = field(init=False)
    members: list[Members] = field(init=False)
    made_members: list[tuple[Members, AssetLinks]] = field(init=False)
    plans: dict[str, Plan] = field(init=False, default_factory=dict)
    """By direction, once they were made."""

    def __post_init__(self) -> None:
        model = self.model
        self.assets = [AssetLinks(*linked) for linked in model.linked_assets()]
        linked = {path_of(assets.table): assets for assets in self.assets}
        dataset = model.ml_table(MLTable.dataset)
        elements = [element for element in model.dataset_elements() if element.table is not dataset]
        self.members = [Members(element, linked.get(path_of(element.table))) for element in elements]
        self.made_members = [(each, each.assets) for each in self.members if each.assets is not None]

    @cached_property
    def features(self) -> list[FeatureTable]:
        """The features of the catalog."""
        return self.model.find_features()

    def links(self, table: Table) -> AssetLinks:
        """How the rows of an asset table are linked to executions."""
        return next(assets for assets in self.assets if assets.table is table)

    def ml(self, name: str) -> str:
        """A table of the ML schema, escaped."""
        return path_of(self.model.ml_table(name))

    # --- facts ----------------------------------------------------------------------------------------------------

    @cached_property
    def summaries(self) -> Question:
        """What executions are."""
        outputs = "rid:=E:RID,description:=E:Description,status:=E:Status,workflow:=W:RID,name:=W:Name"
        rest = f"W:=left(E:Workflow)=({self.ml(MLTable.workflow)}:RID)/$E/{outputs}"
        return Question(f"E:={self.ml(MLTable.execution)}", "RID", rest)

    @cached_property
    def read_datasets(self) -> Question:
        """Which datasets executions read, and in which version."""
        dataset, versions = self.ml(MLTable.dataset), self.ml(MLTable.dataset_version)
        outputs = (
            "execution:=L:Execution,dataset:=D:RID,description:=D:Description,"
            "version:=V:Version,producer:=V:Execution,snapshot:=V:Snapshot"
        )
        rest = f"D:=(L:Dataset)=({dataset}:RID)/V:=left(L:Dataset_Version)=({versions}:RID)/$L/{outputs}"
        return Question(f"L:={self.ml('Dataset_Execution')}", "Execution", rest)

    @cached_property
    def versions(self) -> Question:
        """All versions of datasets."""
        outputs = "dataset:=Dataset,version:=Version,producer:=Execution,snapshot:=Snapshot"
        return Question(self.ml(MLTable.dataset_version), "Dataset", outputs)

    @cached_property
    def nested(self) -> Question:
        """Datasets in datasets."""
        return Question(self.ml("Dataset_Dataset"), "Dataset", "here:=Dataset,there:=Nested_Dataset")

    @cached_property
    def containers(self) -> Question:
        """Datasets around datasets."""
        return Question(self.ml("Dataset_Dataset"), "Nested_Dataset", "here:=Nested_Dataset,there:=Dataset")

    @cached_property
    def readers(self) -> Question:
        """From datasets to executions that read them."""
        return Question(self.ml("Dataset_Execution"), "Dataset", "here:=Dataset,there:=Execution")

    @cached_property
    def made_datasets(self) -> Question:
        """From executions to datasets of which they made a version."""
        return Question(self.ml(MLTable.dataset_version), "Execution", "here:=Execution,there:=Dataset")

    @cached_property
    def facts(self) -> list[tuple[str, Question]]:
        """All that is asked about executions, by the place whose values it is asked of."""
        return [
            (EXECUTION, self.summaries),
            (EXECUTION, self.read_datasets),
            (READ, self.versions),
            (READ, self.nested),
            *((READ, members.makers(assets)) for members, assets in self.made_members),
            *((EXECUTION, assets.read) for assets in self.assets),
            *((assets.place, assets.makers) for assets in self.assets),
        ]

    @cached_property
    def to_facts(self) -> list[Step]:
        """From executions to what they read."""
        read = Question(self.ml("Dataset_Execution"), "Execution", "here:=Execution,there:=Dataset")
        return [
            Step(EXECUTION, READ, read),
            Step(READ, READ, self.nested),
            *(
                Step(EXECUTION, each.place, each.pairs(each.execution, each.asset, INPUT))
                for each in self.assets
            ),
        ]

    # --- directions -----------------------------------------------------------------------------------------------

    @cached_property
    def up(self) -> list[Step]:
        """From what was read to the executions that made it, and perhaps some more."""
        links, versions = self.ml("Dataset_Execution"), self.ml(MLTable.dataset_version)
        outputs = "here:=L:Execution,there:=V:Execution"
        named = f"V:=(L:Dataset_Version)=({versions}:RID)/{outputs}"
        unnamed = f"Dataset_Version::null::/V:=(L:Dataset)=({versions}:Dataset)/{outputs}"
        return [
            *(
                Step(EXECUTION, EXECUTION, Question(f"L:={links}", "Execution", rest, "attributegroup"), True)
                for rest in (named, unnamed)
            ),
            *(
                Step(READ, EXECUTION, members.maker_pairs(links), True)
                for members, links in self.made_members
            ),
            *(Step(each.place, EXECUTION, each.maker_pairs, True) for each in self.assets),
        ]

    @cached_property
    def down(self) -> list[Step]:
        """From executions to those that read what they made, and perhaps some more."""
        return [
            *(Step(EXECUTION, EXECUTION, each.readers_of_made, True) for each in self.assets),
            Step(EXECUTION, CONTAINER, self.made_datasets),
            *(
                Step(EXECUTION, CONTAINER, members.datasets_of_made(links))
                for members, links in self.made_members
            ),
            Step(CONTAINER, CONTAINER, self.containers),
            Step(CONTAINER, EXECUTION, self.readers, True),
        ]


_known: WeakKeyDictionary[CatalogModel, tuple[object, Questions]] = WeakKeyDictionary()


def questions_of(model: CatalogModel) -> Questions:
    """The questions of a model, made anew only when tables or their columns or keys changed."""
    shape = [(id(table), len(table.columns), len(table.foreign_keys)) for table in model.tables()]
    known = _known.get(model)
    if known is None or known[0] != shape:
        known = _known[model] = (shape, Questions(model))
    return known[1]
