"""Files of the user's own that are linked as outputs: never written to, never lost."""

from __future__ import annotations

import pytest

from deriva_ml.errors import DerivaMLValidationError


@pytest.fixture
def scan(tmp_path):
    """A file of the user's own."""
    path = tmp_path / "scans" / "scan.png"
    path.parent.mkdir()
    path.write_text("the user's own")
    return path


def names(exe):
    """Names of the committed images."""
    return [path.file_name for path in exe.uploaded_assets.get("lab/Image", [])]


def test_a_new_file_is_not_written_through_the_link_of_another(execute, scan):
    with execute() as exe:
        linked = exe.asset_file_path("Image", scan)
        with pytest.raises(DerivaMLValidationError, match="take the place of"):
            exe.asset_file_path("Image", "scan.png")
        with pytest.raises(DerivaMLValidationError, match="take the place of"):
            exe.asset_file_paths("Model", [scan, "scan.png"])
        assert exe.asset_file_path("Image", linked) == linked
    exe.commit_output_assets(clean_folder=False)
    assert linked.is_symlink()
    exe.asset_file_path("Image", "scan.png").write_text("made later")
    assert scan.read_text() == "the user's own"
    assert exe.commit_output_assets().total_uploaded == 1
    assert sorted(row.length for row in exe.list_assets("Output") if row.filename == "scan.png") == [10, 14]


def test_the_place_of_a_linked_file_that_is_gone_is_free(execute, scan):
    with execute() as exe:
        exe.asset_file_path("Image", scan)
        scan.unlink()
        exe.asset_file_path("Image", "scan.png").write_text("made anew")
    assert not scan.exists()
    exe.commit_output_assets()
    assert names(exe) == ["scan.png"]


def test_a_dry_run_does_not_write_through_a_link(execute, workflow, scan):
    with execute(workflow=workflow, dry_run=True) as exe:
        exe.asset_file_path("Image", scan)
        exe.asset_file_path("Image", "scan.png").write_text("rehearsed")
    assert scan.read_text() == "the user's own"


def test_a_linked_file_in_the_scratch_directory_is_an_output(execute, caplog):
    with execute() as exe:
        weights = exe.working_dir / "weights.pt"
        weights.write_text("0.5")
        exe.asset_file_path("Model", weights)
        folder = exe.working_dir
    exe.commit_output_assets(clean_folder=True)
    assert "never registered" not in caplog.text
    assert not folder.exists()


def test_an_input_that_is_registered_as_an_output_is_told(execute, image_rid, caplog):
    with execute() as exe:
        exe.asset_file_path("Image", exe.download_asset(image_rid, exe.working_dir / "inputs"))
    exe.commit_output_assets()
    assert f"asset {image_rid}, unchanged, which this execution read" in caplog.text
    assert [asset.asset_rid for asset in exe.list_assets("Input")] == [image_rid]
