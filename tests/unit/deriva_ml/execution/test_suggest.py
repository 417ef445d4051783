"""What is suggested for configurations can be pasted, checks clean, and runs."""

import pytest
from hydra_zen import ZenStore, instantiate

from deriva_ml import vocabulary
from deriva_ml.dataset import dataset as datasets
from deriva_ml.errors import DerivaMLInvalidTerm, DerivaMLValidationError
from deriva_ml.execution import suggest
from deriva_ml.execution.suggest import bootstrap_config
from deriva_ml.execution.validate import validate_config_directory
from deriva_ml.workflow import workflow as workflows


@pytest.fixture
def made(session, execute):
    """Makes a dataset."""

    def make(description, types=("Training",), release=True):
        vocabulary.add_term(session, "Dataset_Type", types[0], "a type")
        exe = execute()
        found = datasets.create(
            session, execution_rid=exe.execution_rid, dataset_types=types, description=description
        )
        if not release:
            found.mark_dev("more")
        return found

    return make


@pytest.fixture
def stored(monkeypatch):
    """Runs modules of configurations; gives the options of a group, as Hydra would make them."""

    def run(text):
        mine = ZenStore("mine")
        monkeypatch.setattr("hydra_zen.store", mine)
        exec(compile(text, "pasted", "exec"), {})
        return {
            name: instantiate(entry["node"]) for group in mine for name, entry in [(group["name"], group)]
        }

    return run


def test_what_is_pasted_checks_clean_and_runs(session, made, execute, stored, tmp_path):
    dataset = made("All digits,\n1 to 10")
    with execute() as exe:
        exe.asset_file_path("Image", "newest.png").write_bytes(b"newest")
    exe.commit_output_assets()
    image_rid = exe.uploaded_assets["lab/Image"][0].asset_rid
    suggested = bootstrap_config(session)
    assert list(suggested.texts) == ["datasets", "assets", "workflow"]
    for name, text in suggested.texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    report = validate_config_directory(session, tmp_path)
    assert report.all_valid and not report.unread
    rids = {found.result.spec.rid for found in report.results}
    assert {dataset.dataset_rid, image_rid} <= rids

    choices = stored(str(suggested))
    (spec,) = choices["all_digits_1_to_10"]
    assert (spec.rid, str(spec.version)) == (dataset.dataset_rid, "0.1.0")
    assert choices["all_digits_1_to_10"].description == "All digits, 1 to 10"
    workflow = choices["test"]
    assert (workflow.name, workflow.workflow_type) == ("Test", ["Testing"])
    with execute(datasets=[spec], assets=choices["newest"], workflow=workflow, description="pasted") as exe:
        assert exe.datasets[0].dataset_rid == dataset.dataset_rid


def test_kinds_and_types(session, made):
    one, two = made("first"), made("second", ["Validation"])
    text = str(bootstrap_config(session, kinds="datasets", dataset_type_filter=["Validation"]))
    assert two.dataset_rid in text and one.dataset_rid not in text and "workflow" not in text
    with pytest.raises(DerivaMLInvalidTerm, match="Validatoin"):
        bootstrap_config(session, dataset_type_filter="Validatoin")
    with pytest.raises(DerivaMLValidationError, match="Did you mean 'workflow'"):
        bootstrap_config(session, kinds=["datasets", "workflows"])


def test_descriptions_that_hydra_would_read(session, made, stored):
    texts = ["${oc.env:HOME}", r"a \${b}", "???", "2024", 'say "ä" \\', "null", "default dataset", "x" * 300]
    rids = {text: made(text).dataset_rid for text in texts}
    found = {
        item[0].rid: (name, item.description)
        for name, item in stored(str(bootstrap_config(session, kinds="datasets"))).items()
    }
    for text in [*texts[:2], *texts[3:7]]:
        assert found[rids[text]][1] == text.replace("${", "$ {")
    assert found[rids["???"]][1] == f"Dataset {rids['???']}, Training"
    names = {text: found[rid][0] for text, rid in rids.items()}
    assert names["2024"] == "dataset_2024" and names["null"] == "dataset_null"
    assert names["default dataset"].startswith("default_dataset_")
    assert len(found) == len({name for name, _ in found.values()})


def test_of_a_dataset_that_changes_the_last_release(session, made):
    dataset = made("moving", release=False)
    text = str(bootstrap_config(session, kinds="datasets"))
    line = next(line for line in text.splitlines() if dataset.dataset_rid in line)
    assert 'version="0.1.0"' in line


def test_the_newest_files_of_a_table_and_how_many_more(session, execute, monkeypatch):
    monkeypatch.setattr(suggest, "MOST_ASSETS", 2)
    with execute() as exe:
        for number in range(3):
            exe.asset_file_path("Image", f"many {number}.png").write_bytes(b"%d" % number)
    exe.commit_output_assets()
    text = str(bootstrap_config(session, kinds="assets"))
    assert sum(asset.asset_rid in text for asset in exe.uploaded_assets["lab/Image"]) == 2
    assert 'older ones in Image: ml.list_assets("Image") lists them.' in text
    assert "Execution_Metadata" not in text


def test_of_workflows_of_one_name_the_newest(session):
    for url in ("https://example.org/1", "https://example.org/2"):
        made = workflows.create(session, "Twice", "Testing", f"from {url}")
        workflows.add(session, made.model_copy(update={"url": url, "checksum": url}))
    text = str(bootstrap_config(session, kinds="workflow"))
    assert text.count('"Twice"') == 1 and "example.org/2" in text
    assert "Unknown Provenance" not in text


def test_where_there_is_nothing(session):
    vocabulary.add_term(session, "Dataset_Type", "Simulation", "a type")
    text = str(bootstrap_config(session, kinds="datasets", dataset_type_filter="Simulation"))
    assert "nothing to declare" in text and "import" not in text


def test_how_notebooks_show_it(session):
    found = bootstrap_config(session, kinds="workflow")
    assert repr(found) == str(found) and found._repr_markdown_() == f"```python\n{found}```\n"
