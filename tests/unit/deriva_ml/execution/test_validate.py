import pytest

from deriva_ml.dataset import registry
from deriva_ml.execution.queries import multirun_status_summary
from deriva_ml.execution.validate import validate_dataset_specs, validate_execution_configuration
from deriva_ml.names import DatasetVersion
from deriva_ml.specs import AssetSpec, DatasetSpec, ExecutionConfiguration, LocalFile
from deriva_ml.workflow.workflow import Workflow


@pytest.fixture
def dataset_rid(session):
    return registry.create(session, description="all of them")


def test_what_can_be_read(session, dataset_rid):
    report = validate_dataset_specs(session, [dataset_rid, f"{dataset_rid}@0.1.0"])
    assert report.all_valid
    first, second = report.results
    assert (first.resolved_version, second.resolved_version) == (DatasetVersion(0, 1), DatasetVersion(0, 1))
    assert (first.actual_table, first.dataset_name, first.warnings) == ("Dataset", "all of them", [])
    assert str(report).splitlines() == [f"dataset {dataset_rid}: ok", f"dataset {dataset_rid}@0.1.0: ok"]


def test_every_problem_is_named(session, dataset_rid, image_rid):
    specs = [
        DatasetSpec(rid="9-ZZZZ"),
        DatasetSpec(rid=image_rid),
        DatasetSpec(rid=dataset_rid, version="3.0.0"),
    ]
    report = validate_dataset_specs(session, specs)
    assert not report.all_valid
    assert [result.reasons for result in report.results] == [
        ["rid_not_found"],
        ["not_a_dataset"],
        ["version_not_found"],
    ]
    assert [result.actual_table for result in report.results] == [None, "Image", "Dataset"]
    assert report.results[2].available_versions == [DatasetVersion(0, 1)]
    assert f"dataset {dataset_rid}@3.0.0: version_not_found (there are 0.1.0)" in str(report)


def test_a_deleted_dataset_is_a_warning(session, dataset_rid):
    registry.delete(session, dataset_rid)
    [result] = validate_dataset_specs(session, [dataset_rid]).results
    assert result.valid
    assert result.warnings == ["dataset_deleted"]


def test_a_whole_configuration(session, dataset_rid, image_rid, workflow, tmp_path):
    (tmp_path / "here.csv").write_text("a,b\n")
    config = ExecutionConfiguration(
        datasets=[dataset_rid], assets=[image_rid, LocalFile(path=tmp_path / "here.csv")], workflow=workflow
    )
    report = validate_execution_configuration(session, config)
    assert report.all_valid, str(report)
    assert [result.actual_table for result in report.asset_results] == ["Image", None]


def test_problems_of_a_configuration(session, dataset_rid, image_rid, tmp_path):
    config = ExecutionConfiguration(
        datasets=[DatasetSpec(rid=dataset_rid, version="0.1.0"), DatasetSpec(rid=dataset_rid)],
        assets=[
            AssetSpec(rid=image_rid),
            AssetSpec(rid=image_rid),
            AssetSpec(rid=dataset_rid),
            AssetSpec(rid="9-ZZZZ"),
            LocalFile(path=tmp_path / "missing.csv"),
        ],
        workflow=Workflow(
            name="Odd", workflow_type="Testing", workflow_rid=image_rid, url="https://example.org/w"
        ),
    )
    report = validate_execution_configuration(session, config)
    assert not report.all_valid
    assert [result.reasons for result in report.asset_results] == [
        [],
        [],
        ["not_an_asset"],
        ["rid_not_found"],
        ["file_not_found"],
    ]
    assert report.workflow_result.reasons == ["not_a_workflow"]
    assert [(issue.issue, issue.rid) for issue in report.cross_spec_issues] == [
        ("version_conflict", dataset_rid),
        ("duplicate_rid", image_rid),
        ("role_conflict", dataset_rid),
    ]
    assert "missing.csv: file_not_found" in str(report)
    assert f"workflow {image_rid}: not_a_workflow (it is a row of Image)" in str(report)


def test_nothing_declared(session):
    report = validate_execution_configuration(session, ExecutionConfiguration())
    assert report.all_valid
    assert str(report) == "Nothing is declared."


def test_the_number_of_requests_does_not_grow(session, dataset_rid, image_rid, counted):
    def requests_for(count):
        others = [registry.create(session) for _ in range(count)]
        with counted() as seen:
            report = validate_dataset_specs(session, [dataset_rid, *others])
        assert report.all_valid
        return len(seen.sent)

    assert requests_for(1) == requests_for(5)


def test_how_far_a_sweep_is(session, execute):
    with execute() as first:
        pass
    execute()
    rid = first.workflow_rid
    first.commit_output_assets()
    summary = multirun_status_summary(session, rid)
    assert summary.counts["Uploaded"] >= 1 and summary.counts["Created"] >= 1
    assert summary.total == sum(summary.counts.values())
    assert str(summary).startswith(f"Workflow {rid}: {summary.total} executions (")
