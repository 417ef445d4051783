import pytest

from deriva_ml.dataset import dataset as datasets
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLCycleError,
    DerivaMLDatasetNotFound,
    DerivaMLException,
    DerivaMLNotFoundError,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.execution import queries
from deriva_ml.execution.execution import create_execution
from deriva_ml.execution.execution_record import ExecutionRecord
from deriva_ml.execution.validate import validate_execution_configuration
from deriva_ml.names import ExecutionStatus
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.specs import DatasetSpec, ExecutionConfiguration
from deriva_ml.workflow import workflow as workflows
from deriva_ml.workflow.workflow import Workflow


def rids(found):
    return {record.execution_rid for record in found}


@pytest.fixture
def own(session):
    """A workflow that no other test uses."""
    import uuid

    return workflows.add(
        session, Workflow(name="own", workflow_type="Analysis", url=f"https://x/{uuid.uuid4()}")
    )


def test_records_say_what_the_catalog_says(session, execute):
    with execute() as exe:
        pass
    record = queries.lookup_execution(session, exe.execution_rid)
    assert (record.status, record.description, record.workflow_rid) == ("Stopped", "a run", exe.workflow_rid)
    assert record.workflow.name and record.workflow.workflow_rid == exe.workflow_rid
    assert record.start_time == exe.start_time
    assert record.duration.endswith("sec")
    record.description = "changed"
    assert queries.lookup_execution(session, exe.execution_rid).description == "changed"
    record.status = ExecutionStatus.Aborted
    assert queries.lookup_execution(session, exe.execution_rid).status == "Aborted"
    assert exe.status is ExecutionStatus.Aborted


def test_what_is_no_execution_is_not_found(session, image_rid):
    for rid in (image_rid, "1-ZZZZ", ""):
        with pytest.raises(DerivaMLException):
            queries.lookup_execution(session, rid)
    with pytest.raises(DerivaMLException, match="bound to no catalog"):
        ExecutionRecord(None, {"RID": "1-A"}).list_assets()


def test_executions_are_found(session, own, counted):
    made = [create_execution(session, workflow=workflows.lookup(session, own)) for _ in range(3)]
    everyone = rids(made)
    with made[0]:
        pass
    assert rids(queries.find_executions(session, workflow=own)) == everyone
    assert rids(queries.find_executions(session, workflow=own, status="Stopped")) == {made[0].execution_rid}
    assert everyone <= rids(queries.find_executions(session, workflow_type="Analysis"))
    with pytest.raises(
        DerivaMLValidationError, match=r"'own run' is no RID of a workflow; ml\.find_workflows"
    ):
        queries.find_executions(session, workflow="own run")
    with pytest.raises(DerivaMLNotFoundError, match="'9-ZZZZ': no row"):
        queries.find_executions(session, workflow="9-ZZZZ")
    with pytest.raises(DerivaMLTableTypeError, match=f"{made[0].execution_rid}' is not of type Workflow"):
        queries.find_executions(session, workflow=made[0].execution_rid)
    assert rids(queries.find_executions(session, workflow=own, workflow_type="Prediction")) == set()
    newest = [record.execution_rid for record in queries.find_executions(session, workflow=own, sort=True)]
    assert newest == [exe.execution_rid for exe in reversed(made)]
    with counted() as seen:
        found = queries.find_executions(session, workflow=own)
        assert {record.workflow.name for record in found} == {"own"}
    assert len(seen.sent) <= 3
    assert set(queries.list_workflow_executions(session, own)) == everyone
    with pytest.raises(DerivaMLException):
        queries.list_workflow_executions(session, "Nonsense")
    with pytest.raises(ValueError, match="dataset_role"):
        queries.find_executions(session, dataset_role="input")
    with pytest.raises(ValueError, match="dataset_role"):
        queries.find_executions(session, dataset="1-A", dataset_role="both")


def test_executions_workflows_and_datasets_in_an_order_that_is_asked_for(session, own, execute):
    made = [
        create_execution(session, workflow=workflows.lookup(session, own)).execution_rid for _ in range(3)
    ]
    queries.lookup_execution(session, made[1]).status = ExecutionStatus.Aborted

    def found(sort):
        return [each.execution_rid for each in queries.find_executions(session, workflow=own, sort=sort)]

    assert found(lambda path: path.RCT.desc) == made[::-1]
    assert found(lambda path: [path.Status, path.RCT.desc]) == [made[1], made[2], made[0]]
    with execute() as exe:
        first, second = (exe.create_dataset(description=text).dataset_rid for text in ("zz", "aa"))
    order = [each.dataset_rid for each in datasets.find(session, sort=lambda path: path.Description)]
    assert order.index(second) < order.index(first)
    names = [each.name for each in workflows.find(session, sort=lambda path: path.Name.desc)]
    assert names == sorted(names, reverse=True)
    with pytest.raises(DerivaMLValidationError, match=r"sort gave 'RCT'; .* lambda path: path\.RCT\.desc"):
        found(lambda path: "RCT")
    for wrong in (lambda row: row["RCT"], lambda path: path.Nonsense):
        with pytest.raises(DerivaMLValidationError, match="sort failed: .* It is given the path"):
            found(wrong)


def test_runs_of_a_workflow_of_another_catalog_are_those_of_its_code(session, own, tmp_path):
    there = create_connected(tmp_path / "other", "other")
    other = Session.open(there.host, there.catalog_id, working_dir=tmp_path / "work")
    mine = workflows.lookup(session, own)
    rival = {"RID": own, "Name": "rival", "URL": "https://x/rival"}
    rows.insert(other.connection, other.ml_table("Workflow"), [rival], with_rids=True)
    with pytest.raises(DerivaMLException, match="not registered"):
        queries.find_executions(other, workflow=mine)
    rehearsed = create_execution(other, workflow=mine, dry_run=True)
    assert rehearsed.workflow_rid is None
    made = create_execution(other, workflow=mine)
    assert made.workflow_rid == workflows.find_rid(other, mine)
    assert rids(queries.find_executions(other, workflow=mine)) == {made.execution_rid}
    assert queries.list_workflow_executions(other, mine) == [made.execution_rid]
    assert create_execution(other, workflow=mine, dry_run=True).workflow_rid == made.workflow_rid
    config = ExecutionConfiguration(workflow=mine)
    assert validate_execution_configuration(other, config).all_valid
    with pytest.raises(DerivaMLNotFoundError, match="9-ZZZZ"):
        create_execution(other, workflow=Workflow(rid="9-ZZZZ"), dry_run=True)


def test_the_record_of_a_run_has_the_status_of_the_moment(execute):
    with execute() as exe:
        assert exe.execution_record.status == "Running"
    assert (exe.execution_record.status, exe.execution_record.duration[-3:]) == ("Stopped", "sec")
    exe.commit_output_assets()
    assert exe.execution_record.status == "Uploaded"


def test_readers_and_makers_of_a_dataset(session, execute, workflow):
    with execute() as maker:
        made = maker.create_dataset(dataset_types="Complete", description="d")
    find = queries.find_executions
    assert find(session, dataset=made.dataset_rid, dataset_role="input") == []
    with pytest.raises(DerivaMLDatasetNotFound, match="no dataset '9-ZZZZ'"):
        find(session, dataset="9-ZZZZ", dataset_role="input")
    with create_execution(session, workflow=workflow, datasets=[DatasetSpec(rid=made.dataset_rid)]) as reader:
        assert [dataset.dataset_rid for dataset in reader.list_input_datasets()] == [made.dataset_rid]
        [spec] = reader.datasets
        assert spec.version == made.current_version
        assert reader.datasets[made.dataset_rid] is reader.datasets[0]
        assert made.dataset_rid in reader.datasets
        with pytest.raises(KeyError, match="declares"):
            reader.datasets["1-ZZZZ"]
        view = reader.database_catalog
        assert [found.dataset_rid for found in view.find_datasets()] == [made.dataset_rid]
        assert view.lookup_dataset(made.dataset_rid).description == "d"
        assert view.lookup_term("Dataset_Type", "Complete").name == "Complete"
    assert maker.database_catalog is None
    assert rids(find(session, dataset=made.dataset_rid, dataset_role="input")) == {reader.execution_rid}
    assert rids(find(session, dataset=made.dataset_rid, dataset_role="output")) == {maker.execution_rid}
    both = {reader.execution_rid, maker.execution_rid}
    assert rids(find(session, dataset=made.dataset_rid)) == both
    assert rids(find(session, dataset=DatasetSpec(rid=made.dataset_rid, version="0.1.0"))) == both
    assert rids(queries.find_executions_consuming(session, made.dataset_rid)) == {reader.execution_rid}
    assert datasets.lookup(session, made.dataset_rid).execution_rid == maker.execution_rid


def test_an_unreleased_version_is_no_firm_input(session, execute, workflow, caplog):
    with execute() as maker:
        made = maker.create_dataset(description="d")
        made.mark_dev("more to come")
    for version, warned in ((None, False), ("0.1.0", False), (made.current_version, True)):
        caplog.clear()
        create_execution(
            session, workflow=workflow, datasets=[DatasetSpec(rid=made.dataset_rid, version=version)]
        )
        said = [record.getMessage() for record in caplog.records if "Release it first" in record.getMessage()]
        assert bool(said) == warned
        assert all(
            f"{made.dataset_rid} is declared in its development version 0.1.0.post1.dev1" in text
            for text in said
        )


def test_readers_and_makers_of_an_asset(session, execute, image_rid):
    with execute() as exe:
        path = exe.download_asset(image_rid, exe.working_dir / "inputs")
        assert "Input_File" in path.asset_types
        assert (path.asset_rid, path.file_name) == (image_rid, exe.working_dir / "inputs" / "seed.png")
        with pytest.raises(DerivaMLException, match="not an asset"):
            exe.download_asset(exe.execution_rid, exe.working_dir)
    [asset] = exe.list_assets(asset_role="Input")
    assert asset.asset_rid == image_rid
    assert {"Image", "Input_File", "Output_File"} <= set(asset.asset_types)
    assert exe.execution_rid in rids(queries.find_executions_consuming(session, image_rid))
    makers = queries.list_asset_executions(session, image_rid, "Output")
    assert exe.execution_rid not in rids(makers)
    assert len(queries.list_execution_assets(session, exe.execution_rid, "Input")) == 1
    with pytest.raises(DerivaMLException):
        queries.find_executions_consuming(session, exe.execution_rid)


def test_listing_costs_the_same_for_many(execute, counted):
    counts = []
    for number in (1, 12):
        with execute() as exe:
            for place in range(number):
                exe.asset_file_path("Image", f"list-{number}-{place}.png").write_bytes(
                    b"%d %d" % (number, place)
                )
        exe.commit_output_assets()
        with counted() as seen:
            found = exe.list_assets("Output")
            assert all(asset.asset_types for asset in found)
        counts.append(len(seen.sent))
    assert counts[0] == counts[1]


def test_executions_are_nested(session, execute):
    parent, first, second, grandchild = execute(), execute(), execute(), execute()
    parent.add_nested_execution(second, sequence=2)
    parent.add_nested_execution(first.execution_rid, sequence=1)
    second.add_nested_execution(grandchild)
    record = queries.lookup_execution(session, parent.execution_rid)
    assert [child.execution_rid for child in record.list_execution_children()] == [
        first.execution_rid,
        second.execution_rid,
    ]
    assert rids(record.list_execution_children(recurse=True)) == rids([first, second, grandchild])
    assert rids(grandchild.list_execution_parents(recurse=True)) == rids([second, parent])
    assert parent.is_parent() and not parent.is_nested()
    assert first.is_nested() and not first.is_parent()
    with pytest.raises(DerivaMLConflictError):
        parent.add_nested_execution(first)
    with pytest.raises(DerivaMLCycleError):
        grandchild.add_nested_execution(parent)
    # As the record has it: one time each however many ways lead there, lazily, and no further without `recurse`.
    third = execute()
    parent.add_nested_execution(third)
    first.add_nested_execution(third)
    children = record.list_execution_children(recurse=True)
    assert next(children).execution_rid == first.execution_rid
    assert [child.execution_rid for child in children].count(third.execution_rid) == 1
    assert [child.execution_rid for child in record.list_execution_children()][-1] == third.execution_rid
    assert list(third.list_execution_children(recurse=True)) == []
    assert list(record.list_execution_parents()) == []
    for wrong in ("1-ZZZZ", ""):
        with pytest.raises(DerivaMLNotFoundError, match="no execution"):
            parent.add_nested_execution(wrong)
    with pytest.raises(DerivaMLException, match="bound to no catalog"):
        list(ExecutionRecord(None, {"RID": "1-A"}).list_execution_children())


def test_who_consumes_it(session, execute, workflow):
    """Input links only, each reader one time, of every version; of other rows and of nothing an error that names them."""
    find = queries.find_executions_consuming
    with execute() as exe:
        exe.asset_file_path("Image", "unread.png").write_bytes(b"read by nobody")
    exe.commit_output_assets()
    image_rid = exe.uploaded_assets["lab/Image"][0].asset_rid
    assert find(session, image_rid) == []
    with execute() as exe:
        for folder in ("once", "twice"):
            exe.download_asset(image_rid, exe.working_dir / folder)
        made = exe.create_dataset(description="of one version, then another")
    assert [record.execution_rid for record in find(session, image_rid)] == [exe.execution_rid]
    assert find(session, made.dataset_rid) == []
    made.increment_dataset_version("minor", "again")
    readers = [
        create_execution(
            session, workflow=workflow, datasets=[DatasetSpec(rid=made.dataset_rid, version=version)]
        )
        for version in ("0.1.0", "0.2.0")
    ]
    found = find(session, made.dataset_rid)
    assert all(isinstance(record, ExecutionRecord) for record in found)
    assert rids(found) == rids(readers)
    for wrong, word in ((exe.workflow_rid, "Workflow"), ("", "RID"), ("1-ZZZZ", "1-ZZZZ")):
        with pytest.raises(DerivaMLException, match=word):
            find(session, wrong)
