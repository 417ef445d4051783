import pytest

from deriva_ml.errors import DerivaMLInvalidTerm, DerivaMLValidationError
from deriva_ml.execution.execution import resume_execution
from deriva_ml.feature.feature import create_feature
from deriva_ml.model.define import ColumnDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.names import ExecutionStatus
from deriva_ml.workspace.manifest import AssetManifest


@pytest.fixture
def grade(record_class):
    return record_class("Glaucoma_Grade")


@pytest.fixture
def values(rows_of):
    return lambda exe, feature="Glaucoma_Grade": rows_of(
        f"Execution_Image_{feature}", Execution=exe.execution_rid
    )


def test_records_reach_the_catalog_with_the_commit(session, execute, grade, values, image_rid):
    with execute() as exe:
        assert exe.add_features(features=[grade(Image=image_rid, Grade="Mild")]) == 1
        assert values(exe) == []
        staged = session.workspace.database.fetch_one("SELECT * FROM execution_state__feature_records")
        assert (staged["status"], staged["execution_rid"]) == ("Pending", exe.execution_rid)
    assert values(exe) == []
    report = exe.commit_output_assets()
    assert report.per_table == {"lab/Execution_Image_Glaucoma_Grade": {"uploaded": 1, "failed": 0}}
    assert report.total_uploaded == 0
    [row] = values(exe)
    assert (row["Image"], row["Grade"], row["Feature_Name"]) == (image_rid, "Mild", "Glaucoma_Grade")


def test_bad_records_are_refused_and_nothing_is_staged(execute, grade, record_class, image_rid):
    outline = record_class("Outline")
    with execute() as exe:
        with pytest.raises(ValueError, match="at least one"):
            exe.add_features([])
        with pytest.raises(DerivaMLValidationError, match="several features"):
            exe.add_features([grade(Image=image_rid, Grade="Mild"), outline(Image=image_rid, Scan="1-A")])
        with pytest.raises(DerivaMLValidationError, match="1-ZZZZ"):
            exe.add_features([grade(Image=image_rid, Grade="Mild"), grade(Image="1-ZZZZ", Grade="Mild")])
        with pytest.raises(DerivaMLInvalidTerm, match="Terrible"):
            exe.add_features([grade(Image=image_rid, Grade="Terrible")])
        with pytest.raises(DerivaMLValidationError, match="names execution"):
            exe.add_features([grade(Image=image_rid, Grade="Mild", Execution="1-ZZZZ")])
        with pytest.raises(DerivaMLValidationError, match="asset_file_path"):
            exe.add_features([outline(Image=image_rid, Scan="/tmp/unregistered.dcm")])
        with pytest.raises(DerivaMLValidationError, match="no feature record"):
            exe.add_features([{"Image": image_rid}])
        assert not exe.pending_summary().has_pending


def test_a_synonym_is_replaced_by_the_term(execute, grade, values, image_rid):
    with execute() as exe:
        exe.add_features([grade(Image=image_rid, Grade="None")])
    exe.commit_output_assets()
    assert values(exe)[0]["Grade"] == "Absent"


def test_several_values_for_one_row_count_as_one(execute, grade, values, image_rid, caplog):
    with execute() as exe:
        given = [grade(Image=image_rid, Grade="Mild"), grade(Image=image_rid, Grade="Severe")]
        assert exe.add_features(given) == 1
        said = f"Glaucoma_Grade: 2 of 2 records are for the same rows of Image ({image_rid}). An execution gives one"
        assert said in caplog.text
    exe.commit_output_assets()
    assert [row["Grade"] for row in values(exe)] == ["Severe"]


def test_the_last_value_staged_for_a_row_counts(execute, grade, values, image_rid, caplog):
    with execute() as exe:
        exe.add_features([grade(Image=image_rid, Grade="Mild")])
        exe.add_features([grade(Image=image_rid, Grade="Severe")])
    exe.commit_output_assets()
    assert [row["Grade"] for row in values(exe)] == ["Severe"]
    assert "one value per row" not in caplog.text
    exe.add_features([grade(Image=image_rid, Grade="Severe")])
    assert exe.commit_output_assets().per_table == {}
    with pytest.raises(DerivaMLValidationError, match="already committed"):
        exe.add_features([grade(Image=image_rid, Grade="Mild")])


def test_rows_alone_make_a_commit_additive(execute, grade, values, image_rid):
    with execute() as exe:
        pass
    exe.commit_output_assets()
    exe.add_features([grade(Image=image_rid, Grade="Mild")])
    exe.commit_output_assets()
    assert exe.status is ExecutionStatus.Uploaded
    assert len(values(exe)) == 1


def test_values_of_any_kind_reach_the_catalog(session, execute, values, image_rid):
    columns = [ColumnDefinition("Size", BuiltinTypes.int4), ColumnDefinition("Info", BuiltinTypes.jsonb)]
    measured = create_feature(session, "Image", "Taken.2026", metadata=columns)
    found = [(0, {"by": "hand"}), (None, None)]
    for size, info in found:
        with execute() as exe:
            exe.add_features([measured(Image=image_rid, Size=size, Info=info)])
        exe.commit_output_assets()
        [row] = values(exe, "Taken.2026")
        assert (row["Size"], row["Info"]) == (size, info)


def test_paths_of_outputs_become_their_rids(session, execute, record_class, values, image_rid, monkeypatch):
    outline = record_class("Outline")
    from deriva_ml.ermrest import rows

    [subject] = rows.insert(session.connection, session.table("Subject"), [{"Name": "s"}])
    with execute() as exe:
        path = exe.asset_file_path("Scan", "outline.dcm", Day="2026-01-15", Subject=subject["RID"])
        path.write_bytes(b"outline")
        with monkeypatch.context() as patch:
            # Beside many thousand files a record costs as much as beside one.
            patch.delattr(AssetManifest, "assets")
            exe.add_features([outline(Image=image_rid, Scan=path)])
        with pytest.raises(DerivaMLValidationError, match="discard_features"):
            exe.discard_asset_file(path)
    exe.commit_output_assets()
    [scan] = exe.uploaded_assets["lab/Scan"]
    assert [row["Scan"] for row in values(exe, "Outline")] == [scan.asset_rid]
    with execute() as other:
        again = other.asset_file_path("Scan", "outline.dcm", Day="2026-01-15", Subject=subject["RID"])
        again.write_bytes(b"outline")
        other.add_features([outline(Image=image_rid, Scan=str(again))])
    other.commit_output_assets()
    assert [row["Scan"] for row in values(other, "Outline")] == [scan.asset_rid]


def test_a_file_of_an_earlier_commit_can_be_a_value(session, execute, record_class, values, image_rid):
    from deriva_ml.ermrest import rows

    [subject] = rows.insert(session.connection, session.table("Subject"), [{"Name": "s"}])
    with execute() as exe:
        path = exe.asset_file_path("Scan", "earlier.dcm", Day="2026-01-15", Subject=subject["RID"])
        path.write_bytes(b"earlier")
    exe.commit_output_assets(clean_folder=False)
    [scan] = exe.uploaded_assets["lab/Scan"]
    exe.add_features([record_class("Outline")(Image=image_rid, Scan=path)])
    exe.commit_output_assets()
    assert [row["Scan"] for row in values(exe, "Outline")] == [scan.asset_rid]


def test_staged_rows_can_be_discarded(execute, grade, image_rid):
    with execute() as exe:
        exe.add_features([grade(Image=image_rid, Grade="Mild")])
        assert exe.discard_features("Other") == 0
        assert exe.discard_features() == 1
    assert exe.commit_output_assets().per_table == {}


def test_many_rows_cost_few_requests(execute, grade, values, counted):
    with execute() as exe:
        paths = exe.asset_file_paths("Image", [f"many-{number}.png" for number in range(30)])
        for number, path in enumerate(paths):
            path.write_bytes(b"many %d" % number)
    exe.commit_output_assets()
    records = [grade(Image=path.asset_rid, Grade="Mild") for path in exe.uploaded_assets["lab/Image"]]
    with counted() as seen:
        assert exe.add_features(records) == 30
        report = exe.commit_output_assets()
    assert len(seen.sent) <= 6
    assert report.per_table == {"lab/Execution_Image_Glaucoma_Grade": {"uploaded": 30, "failed": 0}}
    assert len(values(exe)) == 30


def test_rows_survive_the_process(session, execute, grade, values, image_rid):
    with pytest.raises(KeyboardInterrupt), execute() as exe:
        exe.add_features([grade(Image=image_rid, Grade="Mild")])
        raise KeyboardInterrupt
    again = resume_execution(session, exe.execution_rid)
    assert again.status is ExecutionStatus.Failed
    again.commit_output_assets()
    assert again.status is ExecutionStatus.Uploaded
    assert len(values(again)) == 1
