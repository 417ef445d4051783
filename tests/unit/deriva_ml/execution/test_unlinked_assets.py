"""Asset tables of other programs, which have no links to executions and no types."""

import pytest

from deriva_ml.asset import asset as assets
from deriva_ml.ermrest import rows
from deriva_ml.errors import NoAssociationException
from deriva_ml.execution import queries
from deriva_ml.execution.execution import create_execution
from deriva_ml.execution.validate import validate_execution_configuration
from deriva_ml.feature import feature as features
from deriva_ml.lineage.questions import Questions
from deriva_ml.model.build import Reference, association_table
from deriva_ml.model.define import AssetTableDef, ColumnDefinition
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.specs import ExecutionConfiguration
from deriva_ml.workflow import workflow as workflows

FILE = {"URL": "https://example.org/scan", "Filename": "scan", "Length": 3, "MD5": "0" * 32}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A catalog with such a table that has a file, and another in which the files have a feature; one has a link of its own."""
    connection = create_connected(tmp_path_factory.mktemp("deployment") / "lab", "lab", domain_schema="lab")
    session = Session.open(
        connection.host, connection.catalog_id, working_dir=tmp_path_factory.mktemp("setup")
    )
    session.create_tables([AssetTableDef("lab", "Scan"), AssetTableDef("lab", "Rated")])
    link = association_table([Reference("lab", "Scan"), Reference("deriva-ml", "Execution")])
    session.create_tables([link])
    features.create_feature(session, "Rated", "Quality", metadata=[ColumnDefinition("Note")])
    rid = rows.insert(session.connection, session.table("Scan"), [FILE])[0]["RID"]
    return (connection.host, connection.catalog_id), rid


@pytest.fixture
def session(place, tmp_path):
    return Session.open(*place[0], working_dir=tmp_path / "work")


@pytest.fixture
def exe(session):
    return create_execution(session, workflow=workflows.create(session, "Test", "Testing"))


def test_runs_of_such_a_catalog_are_told_of_as_elsewhere(session, exe, caplog):
    with exe:
        exe.metrics_file("metrics.jsonl").write_text('{"loss": 1}\n')
    exe.commit_output_assets()
    assert "Could not check" not in caplog.text
    names = {asset.filename for asset in exe.list_assets()}
    assert "metrics.jsonl" in names
    assert {asset.filename for asset in queries.list_execution_assets(session, exe.execution_rid)} == names


def test_their_files_are_found_without_types_and_makers(session, place):
    [scan] = assets.list_assets(session, "Scan")
    assert (scan.asset_rid, scan.asset_types, scan.execution_rid) == (place[1], [], None)
    assert scan.asset_rid in {asset.asset_rid for asset in assets.find_assets(session)}
    assert scan.asset_rid not in {
        asset.asset_rid for asset in assets.find_assets(session, asset_type="Output_File")
    }
    assert queries.list_asset_executions(session, scan.asset_rid) == []
    assert queries.find_executions_consuming(session, scan.asset_rid) == []


def test_nothing_can_be_written_that_could_not_be_traced(session, place, exe, tmp_path):
    calls = [
        lambda: exe.asset_file_path("Scan", "b.txt"),
        lambda: exe.asset_file_path("Rated", "b.txt"),
        lambda: exe.download_asset(place[1], tmp_path),
        lambda: create_execution(session, workflow=exe.configuration.workflow, assets=[place[1]]),
    ]
    before = len(queries.find_executions(session))
    for call in calls:
        with pytest.raises(
            NoAssociationException, match=r"'(Scan|Rated)' with Execution: .* ml\.create_asset"
        ):
            call()
    config = ExecutionConfiguration(workflow=exe.configuration.workflow, assets=[place[1]])
    assert validate_execution_configuration(session, config).asset_results[0].reasons == ["not_an_asset"]
    with pytest.raises(NoAssociationException, match="'Scan' with Asset_Type"):
        assets.lookup_asset(session, place[1]).add_asset_type("Output_File")
    assert len(queries.find_executions(session)) == before


def test_a_feature_of_files_does_not_say_who_made_them(session):
    linked = {table.name for table, *_ in session.model.linked_assets()}
    assert linked == {"Execution_Asset", "Execution_Metadata", "File"}
    assert {each.table.name for each in Questions(session.model).assets} == linked
