"""A lineage for other tools: each form is read again by the library that knows it, or the graph language's rules."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.event_v2 import RunEvent
from openlineage.client.serde import Serde
from prov.model import ProvDocument
from rocrate.rocrate import ROCrate

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.cli.main import main
from deriva_ml.lineage.facts import provenance
from deriva_ml.lineage.openlineage import events
from deriva_ml.schema import create_ml_catalog


class Story:
    """An image is made, then a model from a dataset with it."""

    def __init__(self, folder: Path) -> None:
        catalog = create_ml_catalog(str(folder / "lab"), "lab")
        catalog.getCatalogModel().create_schema({"schema_name": "lab"})
        self.host, self.catalog = str(folder / "lab"), catalog.catalog_id
        self.work = str(folder / "work")
        self.ml = ml = DerivaML(self.host, self.catalog, working_dir=self.work)
        ml.create_asset("Image")
        ml.add_dataset_element_type("Image")
        self.first = self._run('Ingest "raw" <images>', "Image", "a.png")
        (image,) = ml.get_table_as_dict("Image")
        with ml.create_execution(self._config("Curate")) as exe:
            dataset = exe.create_dataset(description="The images")
            dataset.add_dataset_members({"Image": [image["RID"]]})
            dataset.release("minor", "First")
        self.dataset, self.image = dataset.dataset_rid, image["RID"]
        datasets = [{"rid": self.dataset, "version": "0.2.0"}]
        self.last = self._run("Train", "Execution_Asset", "model.pt", datasets=datasets, assets=[self.image])
        found = [row for row in ml.get_table_as_dict("Execution_Asset") if row["Filename"] == "model.pt"]
        self.model = found[0]["RID"]

    def _config(self, name: str, **inputs: Any) -> ExecutionConfiguration:
        workflow = self.ml.create_workflow(name, "Analysis")
        return ExecutionConfiguration(description=name, workflow=workflow, **inputs)

    def _run(self, name: str, table: str, file: str, **inputs: Any) -> str:
        with self.ml.create_execution(self._config(name, **inputs)) as exe:
            exe.asset_file_path(table, file).write_text(file)
        exe.commit_output_assets()
        return exe.execution_rid

    def command(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        where = ("--host", self.host, "--catalog", self.catalog, "--working-dir", self.work)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["lineage", *words, *where])
        return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("exports"))


def test_trees(story: Story) -> None:
    status, text, _ = story.command(story.model)
    assert (status, text) == (0, f"{story.ml.lookup_lineage(story.model)}\n")
    assert "model.pt" in text or story.last in text
    _, down, _ = story.command(story.image, "--down")
    assert down.splitlines()[0].startswith(f"Asset {story.image}")
    assert story.last in down
    assert story.first not in down
    _, nothing, _ = story.command(story.model, "--down")
    assert "no execution is recorded that read it" in nothing
    _, near, _ = story.command(story.model, "--depth", "0")
    assert "cut at the requested depth" in near


def test_json(story: Story) -> None:
    _, text, _ = story.command(story.model, "--format", "json")
    assert json.loads(text) == story.ml.lookup_lineage(story.model).model_dump(mode="json")


def test_graphs(story: Story) -> None:
    _, mermaid, _ = story.command(story.model, "--format", "mermaid")
    assert mermaid.startswith("flowchart TB\n")
    assert "Ingest #quot;raw#quot; #lt;images#gt;" in mermaid
    assert "version 0.2.0" in mermaid
    _, dot, _ = story.command(story.model, "--format", "dot")
    assert dot.startswith("digraph lineage {")
    assert r"Ingest \"raw\" <images>" in dot
    arrows = [line for line in mermaid.splitlines() if "-->" in line]
    assert len(arrows) == sum("->" in line for line in dot.splitlines()) == len(set(arrows))


def test_prov(story: Story, tmp_path: Path) -> None:
    target = tmp_path / "lineage.json"
    status, said, _ = story.command(story.model, "--format", "prov", "--output", str(target))
    assert (status, said) == (0, f"Wrote {target}.\n")
    read = ProvDocument.deserialize(str(target), format="json")
    names = {str(record.identifier) for record in read.get_records() if record.identifier}
    assert {f"row:{rid}" for rid in (story.first, story.last, story.image, f"{story.dataset}@0.2.0")} <= names
    relations = [type(record).__name__ for record in read.get_records()]
    assert {"ProvUsage", "ProvGeneration", "ProvAssociation"} <= set(relations)
    assert ProvDocument.deserialize(content=read.serialize(format="json"), format="json") == read


def test_places_where_nothing_can_be_written(story: Story, tmp_path: Path) -> None:
    status, _, said = story.command(story.model, "--format", "dot", "--output", str(tmp_path))
    assert (status, f"is a folder; name a file in it: --output {tmp_path / story.model}.dot" in said) == (
        1,
        True,
    )
    status, _, said = story.command(story.model, "--output", str(tmp_path / "none/tree.txt"))
    assert (status, "Name another file with --output." in said) == (1, True)


def test_open_lineage(story: Story) -> None:
    _, text, _ = story.command(story.model, "--format", "openlineage")
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 3
    found = provenance(story.ml._session, story.ml.lookup_lineage(story.model))
    assert all(isinstance(event, RunEvent) for event in events(found))
    assert [Serde.to_dict(event) for event in events(found)] == lines
    about = {line["job"]["facets"]["documentation"]["description"]: line for line in lines}
    last = about["Train"]
    assert {each["name"] for each in last["inputs"]} >= {f"Dataset/{story.dataset}", f"Image/{story.image}"}
    assert f"Execution_Asset/{story.model}" in {each["name"] for each in last["outputs"]}
    assert last["eventType"] == "COMPLETE"


@pytest.mark.parametrize("name", ["crate", "crate.zip"])
def test_crates(story: Story, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    options = ("--files",) if name.endswith(".zip") else ()
    status, _, error = story.command(story.model, "--format", "rocrate", "--output", str(target), *options)
    assert status == 0, error
    crate = ROCrate(target)
    actions = {action["identifier"]: action for action in crate.get_by_type("CreateAction")}
    assert set(actions) == set(_executions(story))
    assert crate.mainEntity.type == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert actions[story.last]["instrument"] == crate.mainEntity
    profiles = {entity.id for entity in crate.root_dataset["conformsTo"]}
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in profiles
    read = {entity["identifier"] for entity in actions[story.last]["object"]}
    assert {f"{story.dataset}@0.2.0", story.image} <= read
    if options:
        with zipfile.ZipFile(target) as packed:
            assert packed.read(f"files/Image/{story.image}/a.png") == b"a.png"
    status, _, error = story.command(story.model, "--format", "rocrate", "--output", str(target))
    assert status == 1
    assert "exists already" in error


def _executions(story: Story) -> list[str]:
    return [each.rid for each in story.ml.lookup_lineage(story.model).executions]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("9-ZZZZ",), "9-ZZZZ"),
        (("1-A", "--files"), "--format rocrate"),
        (("1-A", "--format", "rocrate"), "--output"),
        (("1-A", "--depth", "-1"), "depth"),
    ],
)
def test_refusals(story: Story, words: tuple[str, ...], message: str) -> None:
    status, _, error = story.command(*words)
    assert status == 1
    assert message in error


def test_in_notebooks(story: Story) -> None:
    found = story.ml.lookup_lineage(story.model)
    assert found._repr_html_().startswith("<pre>")
    assert "&lt;images&gt;" in found._repr_html_()
    assert repr(found) == f"<LineageResult of Asset {story.model}: 3 executions>"
    after = story.ml.lookup_descendants(story.first)
    assert after.to_mermaid().startswith("flowchart")
    assert repr(after).startswith(f"<DescendantsResult of Execution {story.first}")
