"""``create-demo-catalog`` and ``deriva-ml-split-dataset``: a catalog to try things on, and a dataset that is divided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.typed import typed

from deriva_ml import DerivaML
from deriva_ml.cli.main import main as front_door
from deriva_ml.cli.split import main
from deriva_ml.demo_catalog import IMAGES

QUALITY = "Execution_Image_Quality"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split")
    done = typed("create-demo-catalog", "--host", "./demo", "--quiet", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Made catalog 1 in ./demo.\nOpen it with: DerivaML('./demo', '1')\n"
    return folder / "demo"


@pytest.fixture(scope="module")
def ml(demo: Path) -> Iterator[DerivaML]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        yield DerivaML(demo, 1, working_dir=demo.parent / "work")


@pytest.fixture(scope="module")
def source(ml: DerivaML) -> str:
    return next(str(each.dataset_rid) for each in ml.find_datasets() if each.dataset_types == ["Complete"])


@pytest.fixture(scope="module")
def words(ml: DerivaML, source: str) -> Callable[..., list[str]]:
    """The words that name the dataset and the working directory, and further ones."""
    where = ["--hostname", str(ml.host_name), "--catalog-id", "1", "--working-dir", str(ml.working_dir)]
    return lambda *more: [*where, "--dataset-rid", source, *more]


def test_the_demonstration_has_something_of_everything(ml: DerivaML, source: str) -> None:
    assert len(ml.list_assets("Image")) == len(list(ml.feature_values("Image", "Brightness"))) == IMAGES
    assert len(ml.find_executions(status="Uploaded")) == 3
    bag = ml.lookup_dataset(source).download_dataset_bag(version="0.2.0")
    assert len(bag.list_dataset_members()["Image"]) == IMAGES
    assert {record.Quality for record in bag.feature_values("Image", "Quality")} == {"Good", "Bad"}


def test_a_split_as_typed(ml: DerivaML, words: Callable[..., list[str]], source: str) -> None:
    before = {each.dataset_rid for each in ml.find_datasets()}
    ml.delete_term("Workflow_Type", "Dataset_Split")  # as catalogs of earlier releases are
    more = ["--element-table", "Image", "--val-size", "2", "--show-urls", "--description", "For the paper"]
    done = typed("deriva-ml-split-dataset", *words(*more, "--testing-types", "Unlabeled, File"))
    assert done.returncode == 0, done.stderr
    title, *inside, bottom = done.stdout.splitlines()[:10]
    assert title.startswith("┌─ Dataset split ─") and bottom.startswith("└") and len({*map(len, inside)}) == 1
    made = {each.dataset_types[-1]: each for each in ml.find_datasets() if each.dataset_rid not in before}
    split = next(each for each in made.values() if each.dataset_types == ["Split"])
    parts = {str(each.dataset_rid): each for each in split.list_dataset_children()}
    counts = {
        frozenset(part.dataset_types): len(part.list_dataset_members()["Image"]) for part in parts.values()
    }
    assert counts == {
        frozenset({"Training", "Split_Partition", "Labeled"}): 4,
        frozenset({"Validation", "Split_Partition", "Labeled"}): 2,
        frozenset({"Testing", "Split_Partition", "Unlabeled", "File"}): 2,
    }
    assert split.description == "For the paper"
    assert all(rid in done.stdout for rid in parts)
    assert done.stdout.count("/id/1/") == 4
    run = next(each for each in ml.find_executions() if each.description == "For the paper")
    assert run.status == "Uploaded"
    assert run.execution_rid in done.stdout
    workflow = ml.lookup_workflow(run.workflow_rid)
    assert workflow.name == f"deriva-ml-split-dataset CLI: {source}"
    assert workflow.workflow_types == ["Dataset_Split"]
    assert ml.list_execution_dirs() == []


def _parameters(ml: DerivaML) -> dict[str, object]:
    """What the last split recorded of how it was made."""
    last = ml.find_executions(workflow_type="Dataset_Split")[-1]
    assets = ml.lookup_execution(last.execution_rid).list_assets("Output")
    (asset,) = [each for each in assets if each.filename.startswith("split_config")]
    with ml.create_execution(workflow=ml.create_workflow("Read", "Analysis")) as exe:
        path = exe.download_asset(asset.asset_rid, ml.working_dir / "read")
        parameters: dict[str, object] = json.loads(Path(path).read_text())
    return parameters


def test_every_option_is_handed_on(
    ml: DerivaML, words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = words(
        *["--domain-schema", "demo-schema", "--test-size", "0.5", "--train-size", "3", "--seed", "7"],
        *[
            "--stratify-by-column",
            f"{QUALITY}.Quality",
            "--stratify-missing",
            "drop",
            "--element-table",
            "Image",
        ],
        *["--include-tables", f"Image,{QUALITY}", "--row-per", QUALITY, "--ignore-unrelated-anchors"],
        *["--partition-by", "row"],
    )
    assert main([*asked, "--dry-run"]) == 0
    dry = capsys.readouterr().out
    assert "nothing was written" in dry and "3 members" in dry and "4 members" in dry
    datasets = len(ml.find_datasets())
    assert front_door(["split-dataset", *asked]) == 0
    assert len(ml.find_datasets()) == datasets + 3
    parameters = _parameters(ml)
    expected = {
        "test_size": 0.5, "train_size": 3, "val_size": None, "seed": 7, "shuffle": True, "partition_by": "row",
        "stratify_by_column": f"{QUALITY}.Quality", "stratify_missing": "drop", "element_table": "Image",
        "include_tables": ["Image", QUALITY], "row_per": QUALITY, "ignore_unrelated_anchors": True,
    }  # fmt: skip
    assert {name: parameters[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "--element-table"),
        (["--element-table", "Image", "--stratify-by-column", "Image.Nothing"], "--include-tables"),
        (["--element-table", "Picture"], "Picture"),
        (
            [
                "--element-table",
                "Image",
                "--include-tables",
                "Image",
                "--stratify-by-column",
                "Image.Filename",
                "--no-shuffle",
            ],
            ": --no-shuffle takes",
        ),
        (["--element-table", "Image", "--training-types", "Good"], "Good"),
        (["--element-table", "Image", "--test-size", "20"], "20 for testing"),
        (["--element-table", "Image", "--workflow-type", "Splitting"], "Splitting"),
        (["--element-table", "Image", "--domain-schema", "nowhere"], "nowhere"),
        (
            ["--dataset-rid", "1-ZZZZ"],
            "no dataset '1-ZZZZ' in this catalog; ml.find_datasets() or `deriva-ml bootstrap-config`",
        ),
        (["--catalog-id", "77"], "77"),
    ],
)
def test_wrong_options_leave_nothing(
    ml: DerivaML,
    words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    before = len(ml.find_executions())
    assert main(words(*more)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deriva-ml-split-dataset: ") and said in line
    assert len(ml.find_executions()) == before


@pytest.mark.parametrize(
    "more", [["--partition-by", "column"], ["--test-size", "half"], ["--stratify-missing", "x"]]
)
def test_what_is_no_option(
    words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        main(words(*more))
    assert done.value.code == 2
    said = capsys.readouterr().err
    assert "_number" not in said
    assert more[1] != "half" or "'half' is neither a fraction below 1 nor a number of members" in said


def test_credentials_of_the_demonstration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "credential.json"
    known.write_text('{"deriva.example.org": {"cookie": "x"}}')
    asked = ["create-demo-catalog", "--host", str(tmp_path / "lab"), "--credential-file", str(known)]
    assert front_door(asked) == 1
    assert "it has some for deriva.example.org" in capsys.readouterr().err
    known.write_text("no json")
    assert front_door(asked) == 1
    assert "cannot be read as JSON" in capsys.readouterr().err
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"host": str(tmp_path / "lab"), "domain_schema": "eyes"}))
    assert front_door(["create-demo-catalog", "--config-file", str(settings), "--empty"]) == 0
    assert DerivaML(tmp_path / "lab", 1).default_schema == "eyes"
