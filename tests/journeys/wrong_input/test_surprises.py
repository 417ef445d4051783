"""What a newcomer sees who does nothing wrong, but not what was expected of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deriva_ml import DerivaML, ExecutionConfiguration
from deriva_ml.cli.main import main
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLInvalidTerm
from deriva_ml.records import UploadReport
from deriva_ml.schema import create_ml_catalog, create_or_retarget_ml_catalog


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))


def _begin(ml: DerivaML) -> Any:
    workflow = ml.create_workflow("Reading", "Analysis")
    return ml.create_execution(ExecutionConfiguration(workflow=workflow, description="a run"))


def test_an_asset_table_without_a_type_of_its_name(says: Any, lab: Any) -> None:
    lab.ml.create_asset_table("Plain")
    with pytest.raises(DerivaMLInvalidTerm) as caught:
        lab.output("Plain", "a.txt")
    says(caught.value, 'ml.add_term("Asset_Type", "Plain"', "asset_types=[...]")
    with pytest.raises(DerivaMLInvalidTerm) as caught:
        lab.output("Plain", "a.txt", asset_types=["Plain"])
    says(caught.value, "'Plain'", "add_term")
    made = lab.output("Plain", "a.txt", asset_types=["Document"])
    lab.exe.discard_asset_file(made)


def test_members_that_are_refused_leave_the_version(lab: Any) -> None:
    before = [entry.dataset_version for entry in lab.dataset.dataset_history()]
    with pytest.raises(ValueError, match="Nothing was added"):
        lab.dataset.add_dataset_members({"Document": [lab.workflow_rid]})
    assert [entry.dataset_version for entry in lab.dataset.dataset_history()] == before


def test_what_the_user_made_comes_first(tmp_path: Path) -> None:
    create_ml_catalog(tmp_path / "lab", "texts")
    ml = DerivaML(tmp_path / "lab", 1)
    ml.create_schema("texts")
    for table in ("Zebra", "Document"):
        ml.create_asset(table)
    with _begin(ml) as first:
        first.asset_file_path("Document", "given.txt").write_text("given")
    first.commit_output_assets()
    given = first.list_assets()[0]
    with _begin(ml) as exe:
        exe.download_asset(given.asset_rid, exe.working_dir)
        exe.asset_file_path("Zebra", "a.txt").write_text("a")
    exe.commit_output_assets()
    exe.asset_file_path("Document", "b.txt").write_text("b")
    exe.commit_output_assets()
    assert [asset.filename for asset in exe.list_assets()][:3] == ["a.txt", "b.txt", "given.txt"]
    assert {asset.asset_table for asset in exe.list_assets()[3:]} == {"Execution_Metadata"}
    assert [asset.filename for asset in exe.list_assets("Output")][:2] == ["a.txt", "b.txt"]
    assert [asset.filename for asset in exe.list_assets("Input")] == ["given.txt"]


def test_an_alias_and_the_id_are_one_catalog(tmp_path: Path) -> None:
    create_ml_catalog(tmp_path / "lab", "texts", "main")
    by_alias, by_id = DerivaML(tmp_path / "lab", "main"), DerivaML(tmp_path / "lab", 1)
    assert by_alias.working_dir == by_id.working_dir
    assert "alias main" in repr(by_alias)
    exe = _begin(by_alias)
    assert by_id.resume_execution(exe.execution_rid).execution_rid == exe.execution_rid
    assert DerivaML(tmp_path / "lab", "main", mode="offline").working_dir == by_id.working_dir

    create_or_retarget_ml_catalog(tmp_path / "lab", "texts", alias="main")
    turned = DerivaML(tmp_path / "lab", "main")
    assert turned.catalog_id == "2"
    assert turned.working_dir != by_id.working_dir
    assert not turned.list_executions()
    assert DerivaML(tmp_path / "lab", "main", mode="offline").catalog_id == "2"
    # What was opened before stays with its catalog.
    assert by_alias.resume_execution(exe.execution_rid).execution_rid == exe.execution_rid


def test_an_alias_with_a_folder_of_ones_own(tmp_path: Path) -> None:
    create_ml_catalog(tmp_path / "lab", "texts", "main")
    work = tmp_path / "work"
    with pytest.raises(DerivaMLConfigurationError, match="connect online once"):
        DerivaML(tmp_path / "lab", "main", working_dir=work, mode="offline")
    exe = _begin(DerivaML(tmp_path / "lab", "main", working_dir=work))
    by_id = DerivaML(tmp_path / "lab", 1, working_dir=work)
    assert [known.rid for known in by_id.list_executions()] == [exe.execution_rid]
    assert DerivaML(tmp_path / "lab", "main", working_dir=work, mode="offline").catalog_id == "1"


def test_everything_says_what_it_is(lab: Any) -> None:
    assert repr(lab.ml.workspace).startswith("<Workspace of catalog 1 of")
    assert str(lab.ml.working_dir) in repr(lab.ml.workspace)
    shown = lab.dataset._repr_html_()
    assert f"Dataset {lab.dataset.dataset_rid} version 0.1.0" in shown
    assert "texts" in shown
    found = lab.ml.lookup_lineage(lab.dataset.dataset_rid)
    assert lab.exe.execution_rid in found._repr_html_()
    assert lab.exe.execution_rid in str(found)


def test_a_bag_in_a_notebook(lab: Any) -> None:
    shown = lab.ml.download_dataset_bag(lab.dataset.dataset_rid)._repr_html_()
    assert "version 0.1.0" in shown
    assert ", <" not in shown


def test_help_of_a_group_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog"]) == 0
    shown = capsys.readouterr().out
    assert "usage: deriva-ml catalog COMMAND" in shown
    assert "catalog create" in shown
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    assert "by HTTP." in capsys.readouterr().out


def test_what_came_of_calls_in_a_notebook(lab: Any) -> None:
    rid = lab.dataset.dataset_rid
    shown = lab.ml.create_workflow("<First>", "Analysis", "Counts")._repr_html_()
    assert shown.startswith("<p><b>&lt;First&gt;</b></p><table><tr><th>Types</th><td>Analysis</td></tr>")
    with _begin(lab.ml) as exe:
        exe.asset_file_path("Execution_Asset", "shown.txt").write_text("a")
    table = "<tr><th>Table</th><th>uploaded</th><th>failed</th></tr>"
    done = exe.commit_output_assets()._repr_html_()
    assert f"{table}<tr><td>deriva-ml/Execution_Asset</td><td>1</td>" in done and "Errors" not in done
    failed = UploadReport([exe.execution_rid], total_failed=1, errors=["a < b"])._repr_html_()
    assert failed.startswith("<p><b>0 uploaded, 1 failed</b></p>") and "<td>a &lt; b</td>" in failed
    (first, *_) = lab.dataset.dataset_history()
    assert first._repr_html_().startswith(f"<p><b>Dataset {rid} version 0.1.0</b></p><table>")
    lab.ml.download_dataset_bag(rid)
    (kept,) = [bag for bag in lab.ml.list_cached_bags() if bag.dataset_rid == rid]
    assert f"Dataset {rid} version 0.1.0" in kept._repr_html_() and str(kept.path) in kept._repr_html_()
