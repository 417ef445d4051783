"""A catalog with everything that can be read from a dataset: composite and circular references, qualifiers, files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deriva_ml import (
    BuiltinTypes,
    ColumnDefinition,
    DerivaML,
    ForeignKeyDefinition,
    KeyDefinition,
    TableDefinition,
)
from deriva_ml.dataset import Dataset, DatasetBag, VersionPart
from deriva_ml.model.build import Reference, association_table
from deriva_ml.schema import create_ml_catalog

IMAGES = 6


@dataclass
class Readable:
    """A catalog, the datasets in it, and where each row of it is.

    Parameters
    ----------
    ml : DerivaML
    folder : Path
    rids : dict
        What the tests call a row (``"Ada"``, ``"image 3"``) to its RID.
    outer, inner : Dataset
        One with subjects as members and the other, which has images, nested; both released as 0.2.0.
    """

    ml: DerivaML
    folder: Path
    rids: dict[str, str] = field(default_factory=dict)
    outer: Dataset = field(init=False)
    inner: Dataset = field(init=False)

    @classmethod
    def made(cls, folder: Path) -> Readable:
        """A new one on SQLite files."""
        catalog = create_ml_catalog(str(folder / "lab"), "lab")
        catalog.getCatalogModel().create_schema({"schema_name": "lab"})
        ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
        made = cls(ml, folder)
        made._define()
        made._fill()
        made._arrange()
        return made

    def run(self, name: str, work: Callable[[Any], Any]) -> str:
        """Do something as an execution of its own; the RID of that."""
        workflow = self.ml.create_workflow(name, "Analysis", description=name)
        with self.ml.create_execution(workflow=workflow, description=name) as exe:
            work(exe)
        exe.commit_output_assets()
        self.rids[name] = exe.execution_rid
        return str(exe.execution_rid)

    def insert(self, table: str, *rows: dict[str, Any]) -> list[str]:
        """Add rows to a table; their RIDs."""
        made = self.ml.pathBuilder().schemas["lab"].tables[table].insert(list(rows))
        return [row["RID"] for row in made]

    def _define(self) -> None:
        ml, text = self.ml, BuiltinTypes.text
        mother = ForeignKeyDefinition(["Mother"], "lab", "Subject", ["RID"])
        name = ColumnDefinition("Name", text)
        ml.create_table(
            TableDefinition("Subject", [name, ColumnDefinition("Mother", text)], foreign_keys=[mother])
        )
        ml.create_table(TableDefinition("Alone", [name]))
        place = [ColumnDefinition(each, text, nullok=False) for each in ("Country", "Number")]
        ml.create_table(TableDefinition("Site", [*place, name], [KeyDefinition(["Country", "Number"])]))
        at = ForeignKeyDefinition(["Country", "Number"], "lab", "Site", ["Country", "Number"])
        seen = ForeignKeyDefinition(["Subject"], "lab", "Subject", ["RID"])
        columns = [ColumnDefinition("Day", BuiltinTypes.date), ColumnDefinition("Subject", text)]
        ml.create_table(
            TableDefinition(
                "Visit",
                [*columns, *(ColumnDefinition(each.name, text) for each in place)],
                foreign_keys=[at, seen],
            )
        )
        for vocabulary, terms in {"Grade": ("Good", "Bad"), "Eye": ("Left", "Right")}.items():
            ml.create_vocabulary(vocabulary, f"Which {vocabulary}")
            for term in terms:
                ml.add_term(vocabulary, term, term.lower())
        kinds = {
            "Sharp": BuiltinTypes.boolean,
            "Exposure": BuiltinTypes.float8,
            "Notes": BuiltinTypes.text_array,
            "Info": BuiltinTypes.jsonb,
        }
        ml.create_asset(
            "Image", [ColumnDefinition(*each) for each in kinds.items()], referenced_tables=["Visit"]
        )
        ml.create_asset("Mask")
        sure = ColumnDefinition("Confidence", BuiltinTypes.float8)
        ml.create_feature("Image", "Quality", terms=["Grade"], metadata=[sure])
        ml.create_feature("Image", "Outline", assets=["Mask"], optional=["Mask"])
        ml.create_feature("Subject", "Weight", metadata=[ColumnDefinition("Grams", BuiltinTypes.int4)])
        self._define_qualified()
        for element in ("Image", "Subject"):
            ml.add_dataset_element_type(element)

    def _define_qualified(self) -> None:
        key = [
            Reference("deriva-ml", "Execution"),
            Reference("lab", "Image"),
            Reference("deriva-ml", "Feature_Name", "Name", default="Side"),
            Reference("lab", "Eye", "Name"),
        ]
        self.ml.add_term("Feature_Name", "Side", "One grade per eye")
        grade = Reference("lab", "Grade", "Name")
        self.ml.create_table(association_table(key, [grade], name="Execution_Image_Side"))

    def _fill(self) -> None:
        rids = self.rids
        (rids["Eve"],) = self.insert("Subject", {"Name": "Eve", "Mother": None})
        rids["Ada"], rids["Bob"], rids["Cyd"] = self.insert(
            "Subject", *({"Name": name, "Mother": rids["Eve"]} for name in ("Ada", "Bob", "Cyd"))
        )
        self.insert("Site", *({"Country": c, "Number": "1", "Name": f"{c} one"} for c in ("AT", "CH")))
        visits = self.insert(
            "Visit",
            {"Subject": rids["Ada"], "Country": "AT", "Number": "1", "Day": "2024-01-01"},
            {"Subject": rids["Bob"], "Country": "CH", "Number": "1", "Day": None},
        )
        rids["first visit"], rids["second visit"] = visits

        def ingest(exe: Any) -> None:
            for n in range(IMAGES):
                about = {"Sharp": [True, False, None][n % 3], "Exposure": n / 3, "Visit": visits[n % 2]}
                about |= {"Notes": ["a,b", 'c"d', ""][:n], "Info": {"n": [n, None, {"ü": "\n"}]}}
                exe.asset_file_path("Image", f"{n}.txt", metadata=about).write_text(f"image {n}")

        self.run("Ingest", ingest)
        for row in self.ml.get_table_as_dict("Image"):
            rids[f"image {row['Filename'][0]}"] = row["RID"]
        self.run("Grade one", lambda exe: self._grade(exe, ["Good"] * IMAGES))
        self.run("Grade two", lambda exe: self._grade(exe, ["Good", "Bad"] * (IMAGES // 2)))
        self.run("Draw", self._draw)

    def _images(self) -> list[str]:
        return [self.rids[f"image {n}"] for n in range(IMAGES)]

    def _grade(self, exe: Any, grades: list[str]) -> None:
        record = self.ml.feature_record_class("Image", "Quality")
        pairs = list(zip(self._images(), grades, strict=True))
        exe.add_features([record(Image=rid, Grade=grade, Confidence=1) for rid, grade in pairs])
        side = self.ml.feature_record_class("Image", "Side")
        exe.add_features(
            [side(Image=rid, Eye=eye, Grade=grade) for rid, grade in pairs[:2] for eye in ("Left", "Right")]
        )

    def _draw(self, exe: Any) -> None:
        outline = self.ml.feature_record_class("Image", "Outline")
        mask = exe.asset_file_path("Mask", "mask.txt")
        mask.write_text("mask")
        images = self._images()
        exe.add_features([outline(Image=images[0], Mask=mask), outline(Image=images[1])])
        weight = self.ml.feature_record_class("Subject", "Weight")
        exe.add_features([weight(Subject=self.rids[name], Grams=n) for n, name in enumerate(("Ada", "Cyd"))])

    def _arrange(self) -> None:
        def arrange(exe: Any) -> None:
            self.inner = exe.create_dataset(dataset_types=["Training"], description="Images")
            self.inner.add_dataset_members({"Image": self._images()[:4]})
            self.inner.release(VersionPart.minor, "Four images")
            self.outer = exe.create_dataset(dataset_types=["Complete", "Labeled"], description="All")
            self.outer.add_dataset_members(
                {"Subject": [self.rids["Ada"], self.rids["Cyd"]], "Dataset": [self.inner.dataset_rid]}
            )
            self.outer.release(VersionPart.minor, "Subjects and images")

        self.run("Arrange", arrange)

    # --- the ways to read it --------------------------------------------------------------------------------------

    def live(self, dataset: Dataset) -> Any:
        """The dataset as the catalog has it now."""
        return self.ml.lookup_dataset(dataset.dataset_rid)

    def at_version(self, dataset: Dataset) -> Any:
        """The dataset in the catalog as it was at the release of the outer one."""
        history = self.outer.dataset_history()
        snapshot = next(entry.snapshot for entry in history if str(entry.dataset_version) == "0.2.0")
        return self.ml.catalog_snapshot(f"{self.ml.catalog_id}@{snapshot}").lookup_dataset(
            dataset.dataset_rid
        )

    def bag(self, dataset: Dataset) -> Any:
        """The dataset in the bag of the outer one."""
        return self.outer.download_dataset_bag(version="0.2.0").catalog.lookup_dataset(dataset.dataset_rid)

    def moved_bag(self, dataset: Dataset) -> Any:
        """The dataset in a copy of that bag, without the catalog."""
        source = self.outer.download_dataset_bag(version="0.2.0").path
        target = self.folder / "elsewhere" / source.name
        if not target.exists():
            shutil.copytree(source, target)
        return DatasetBag(target, dataset.dataset_rid)


WAYS = {
    "live": Readable.live,
    "version": Readable.at_version,
    "bag": Readable.bag,
    "moved bag": Readable.moved_bag,
}
