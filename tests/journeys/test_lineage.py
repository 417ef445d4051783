"""From a result back to the data: who made it, of what, and who made that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from deriva_ml import DatasetSpec, DerivaML, ExecutionConfiguration
from deriva_ml.dataset import VersionPart
from deriva_ml.ermrest import connect
from deriva_ml.errors import DerivaMLException, DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.lineage.report import LineageNode, LineageResult
from deriva_ml.lineage.text import markdown, tree
from deriva_ml.schema import create_ml_catalog


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("lineage")
    catalog = create_ml_catalog(str(folder / "lab"), "lab")
    catalog.getCatalogModel().create_schema({"schema_name": "lab"})
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_asset("Image")
    ml.create_asset("Model")
    ml.create_vocabulary("Grade", "How good")
    ml.add_term("Grade", "good", "good")
    ml.create_feature("Image", "Quality", terms=["Grade"])
    ml.add_dataset_element_type("Image")
    return ml


@pytest.fixture(scope="module")
def run(ml: DerivaML) -> Callable[..., Any]:
    def start(
        name: str,
        work: Callable[[Any], Any] = lambda exe: None,
        datasets: Sequence[Any] = (),
        assets: Sequence[str] = (),
    ) -> Any:
        config = ExecutionConfiguration(
            datasets=list(datasets),
            assets=list(assets),
            description=name,
            workflow=ml.create_workflow(name, "Analysis"),
        )
        with ml.create_execution(config) as exe:
            result = work(exe)
        exe.commit_output_assets()
        return exe.execution_rid, result

    return start


def write(table: str, *names: str) -> Callable[[Any], None]:
    def work(exe: Any) -> None:
        for name in names:
            exe.asset_file_path(table, name, description=f"The file {name}").write_text(name)

    return work


def asset(ml: DerivaML, table: str, name: str) -> str:
    return next(row["RID"] for row in ml.get_table_as_dict(table) if row["Filename"] == name)


@pytest.fixture(scope="module")
def story(ml: DerivaML, run: Callable[..., Any]) -> dict[str, str]:
    """Ingest images, curate a dataset, label one image, train a model on the dataset, predict with both."""
    rids: dict[str, str] = {}
    rids["ingest"], _ = run("Ingest", write("Image", "a.png", "b.png"))
    images = [asset(ml, "Image", name) for name in ("a.png", "b.png")]

    def curate(exe: Any) -> Any:
        dataset = exe.create_dataset(description="The images")
        dataset.add_dataset_members({"Image": images})
        dataset.release(VersionPart.minor, "First")
        return dataset

    rids["curate"], dataset = run("Curate", curate)

    def label(exe: Any) -> None:
        exe.add_features([ml.feature_record_class("Image", "Quality")(Image=images[0], Grade="good")])

    rids["label"], _ = run("Label", label, assets=[images[0]])
    rids["dataset"], rids["image"] = dataset.dataset_rid, images[0]
    spec = DatasetSpec(rid=dataset.dataset_rid, version="0.2.0")
    rids["train"], _ = run("Train", write("Model", "model.pt"), [spec])
    rids["model"] = asset(ml, "Model", "model.pt")
    rids["predict"], _ = run("Predict", write("Execution_Asset", "predictions.csv"), [spec], [rids["model"]])
    rids["predictions"] = asset(ml, "Execution_Asset", "predictions.csv")
    rids["quality"] = next(iter(ml.get_table_as_dict("Execution_Image_Quality")))["RID"]
    return rids


def shape(node: LineageNode | None, names: dict[str, str]) -> Any:
    assert node is not None
    name = names[node.execution.rid] + ("*" if node.already_shown else "")
    return name, [shape(parent, names) for parent in node.parents]


@pytest.fixture
def names(story: dict[str, str]) -> dict[str, str]:
    return {rid: name for name, rid in story.items()}


def test_from_predictions_to_ingest(ml: DerivaML, story: dict[str, str], names: dict[str, str]) -> None:
    found = ml.lookup_lineage(story["predictions"])
    assert isinstance(found, LineageResult)
    assert (found.root.type, found.root.description) == ("Asset", "The file predictions.csv")
    assert found.root.producing_execution is not None
    assert found.root.producing_execution.rid == story["predict"]
    assert shape(found.lineage, names) == (
        "predict",
        [("curate", []), ("ingest", []), ("train", [("curate*", []), ("ingest*", [])])],
    ) or shape(found.lineage, names) == (
        "predict",
        [("curate", [("ingest*", [])]), ("ingest", []), ("train", [("curate*", []), ("ingest*", [])])],
    )
    assert (found.executions_visited, found.walked_complete, found.cycle_detected) == (4, True, False)


def test_nodes_say_what_was_read(ml: DerivaML, story: dict[str, str]) -> None:
    node = ml.lookup_lineage(story["predictions"]).lineage
    assert node is not None
    (dataset,) = node.consumed_datasets
    assert (dataset.rid, dataset.version, dataset.description) == (story["dataset"], "0.2.0", "The images")
    (model,) = node.consumed_assets
    assert (model.rid, model.filename, model.asset_table) == (story["model"], "model.pt", "Model")
    assert node.execution.status == "Uploaded"
    assert node.execution.workflow is not None
    assert node.execution.workflow.name


@pytest.mark.parametrize(
    ("root", "kind", "maker"),
    [
        ("dataset", "Dataset", "curate"),
        ("image", "Asset", "ingest"),
        ("quality", "Feature", "label"),
        ("train", "Execution", "train"),
    ],
)
def test_every_kind_of_root(ml: DerivaML, story: dict[str, str], root: str, kind: str, maker: str) -> None:
    found = ml.lookup_lineage(story[root])
    assert found.root.type == kind
    assert found.root.producing_execution is not None
    assert found.root.producing_execution.rid == story[maker]


def test_a_feature_value_is_given_as_it_was_read(ml: DerivaML, story: dict[str, str]) -> None:
    value = next(iter(ml.feature_values("Image", "Quality", execution_rids=[story["label"]])))
    found = ml.lookup_lineage(value)
    (file,) = [each for each in ml.list_assets("Image") if each.asset_rid == value.Image]
    assert found.root.description == f"Quality of Image {value.Image} {file.filename}: Grade good"
    assert found == ml.lookup_lineage(found.root.rid)
    assert ml.lookup_descendants(value) == ml.lookup_descendants(found.root.rid)
    assert ml.lookup_lineage(file) == ml.lookup_lineage(value.Image)
    assert ml.lookup_descendants(file) == ml.lookup_descendants(value.Image)
    with pytest.raises(DerivaMLNotFoundError, match="it was deleted"):
        ml.lookup_lineage(value.model_copy(update={"Execution": story["train"]}))
    with pytest.raises(DerivaMLValidationError, match="in no catalog yet"):
        ml.lookup_lineage(value.model_copy(update={"Execution": None}))


def test_depth(ml: DerivaML, story: dict[str, str]) -> None:
    nearest = ml.lookup_lineage(story["predictions"], depth=0)
    assert nearest.lineage is not None
    assert nearest.lineage.parents == []
    assert (nearest.executions_visited, nearest.depth_capped, nearest.walked_complete) == (1, True, True)
    assert not ml.lookup_lineage(story["predictions"], depth=9).depth_capped
    assert not ml.lookup_lineage(story["predictions"], max_executions=2).walked_complete


def test_orchestration_is_no_lineage(ml: DerivaML, run: Callable[..., Any], story: dict[str, str]) -> None:
    parent, _ = run("Sweep", lambda exe: exe.add_nested_execution(story["train"]))
    found = ml.lookup_lineage(story["train"])
    assert parent not in found.model_dump_json()


def test_no_recorded_producer(ml: DerivaML) -> None:
    row = {"URL": "/hatrac/loose.txt", "Length": 1, "MD5": "0" * 32, "Filename": "loose.txt"}
    (made,) = ml.catalog.post("/entity/lab:Image", json=[row]).json()
    found = ml.lookup_lineage(made["RID"])
    assert (found.lineage, found.root.producing_execution, found.executions_visited) == (None, None, 0)
    assert "no recorded producer" in tree(found)


def test_cycle_in_the_record(ml: DerivaML, run: Callable[..., Any]) -> None:
    first, _ = run("First", write("Image", "first.png"))
    second, _ = run("Second", write("Image", "second.png"), assets=[asset(ml, "Image", "first.png")])
    link = {"Image": asset(ml, "Image", "second.png"), "Execution": first, "Asset_Role": "Input"}
    ml.catalog.post("/entity/lab:Image_Execution", json=[link])
    found = ml.lookup_lineage(second)
    assert found.cycle_detected
    assert found.executions_visited == 2
    assert "depends on itself" in tree(found)


def test_members_added_later_do_not_count(
    ml: DerivaML, run: Callable[..., Any], story: dict[str, str]
) -> None:
    later, _ = run("Later", write("Image", "later.png"))
    ml.lookup_dataset(story["dataset"]).add_dataset_members(
        [ml.lookup_asset(asset(ml, "Image", "later.png"))]
    )
    assert later not in ml.lookup_lineage(story["predictions"]).model_dump_json()


def test_what_came_of_a_feature_value(ml: DerivaML, run: Callable[..., Any], story: dict[str, str]) -> None:
    """A version counts that was released after the value was given."""
    site = ml._session.connection.site
    known = site.features
    assert ml.lookup_descendants(story["quality"]).descendants == []
    version = ml.lookup_dataset(story["dataset"]).release(VersionPart.minor, "With labels")
    again, _ = run("Train again", datasets=[DatasetSpec(rid=story["dataset"], version=str(version))])
    for features in (known, {}):
        site.features = features
        found = ml.lookup_descendants(story["quality"])
        assert [node.execution.rid for node in found.descendants] == [again]
        assert found.root.producing_execution is not None
        assert found.root.producing_execution.rid == story["label"]
        after = ml.lookup_descendants(story["image"]).descendants
        assert {node.execution.rid for node in after} == {
            again,
            story["label"],
            story["train"],
            story["predict"],
        }
    site.features = known


@pytest.mark.parametrize("wrong", ["", "9-ZZZZ", "not a rid"])
def test_unknown_rids(ml: DerivaML, wrong: str) -> None:
    with pytest.raises(DerivaMLException, match="Invalid RID"):
        ml.lookup_lineage(wrong)


@pytest.mark.parametrize("at", ["mistyped", "9ZZ-ZZZZ-ZZZZ-ZZZZ"])
def test_an_unknown_snapshot(ml: DerivaML, story: dict[str, str], at: str) -> None:
    with pytest.raises(DerivaMLException, match=f"'{at}' in {story['dataset']}@{at} is neither a version"):
        ml.lookup_lineage(f"{story['dataset']}@{at}")


def test_rows_without_lineage(ml: DerivaML) -> None:
    for table in ("Workflow", "Grade"):
        rid = next(iter(ml.get_table_as_dict(table)))["RID"]
        with pytest.raises(DerivaMLException, match=f"is a row of {table}"):
            ml.lookup_lineage(rid)


def test_tree_reads_well(ml: DerivaML, story: dict[str, str]) -> None:
    text = tree(ml.lookup_lineage(story["predictions"]))
    first, second, *rest = text.splitlines()
    assert first == f"Asset {story['predictions']}: The file predictions.csv"
    assert second.startswith(f"└─ Execution {story['predict']} [Uploaded] Predict")
    assert any(line.startswith(f"   ├─ read Dataset {story['dataset']} version 0.2.0") for line in rest)
    assert any("(see above)" in line or "(see below)" in line for line in rest)
    assert markdown(ml.lookup_lineage(story["predictions"])).startswith("**Asset")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    sent: list[str] = []
    plain = connect.Connection._request

    def counted(self: Any, verb: str, path: str, *args: Any, **options: Any) -> Any:
        sent.append(path)
        return plain(self, verb, path, *args, **options)

    monkeypatch.setattr(connect.Connection, "_request", counted)
    yield sent


def test_requests_grow_with_generations_not_with_width(ml: DerivaML, requests: list[str]) -> None:
    def insert(table: str, rows: list[dict[str, Any]]) -> list[str]:
        return [row["RID"] for row in ml.catalog.post(f"/entity/{table}", json=rows).json()]

    def link(image: str, execution: str, role: str) -> dict[str, Any]:
        return {"Image": image, "Execution": execution, "Asset_Role": role}

    counts = []
    for width in (2, 60):
        makers = insert("deriva-ml:Execution", [{"Status": "Uploaded"} for _ in range(width)])
        files = [{"URL": f"/hatrac/{width}/{n}", "Length": 1, "MD5": "0" * 32} for n in range(width)]
        images = insert("lab:Image", files)
        (joined,) = insert("deriva-ml:Execution", [{"Status": "Uploaded"}])
        made = [link(image, maker, "Output") for image, maker in zip(images, makers, strict=True)]
        insert("lab:Image_Execution", made + [link(image, joined, "Input") for image in images])
        requests.clear()
        assert ml.lookup_lineage(joined).executions_visited == width + 1
        counts.append(len(requests))
    assert counts[0] == counts[1]
