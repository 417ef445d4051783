import pytest

from deriva_ml.asset.filespec import FileSpec
from deriva_ml.checksums import md5_of
from deriva_ml.errors import DerivaMLException, DerivaMLInvalidTerm, DerivaMLTableTypeError
from deriva_ml.execution.execution import create_execution
from deriva_ml.execution.files import add_files, list_files
from deriva_ml.specs import LocalFile


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "raw data"
    for name in ("a/one.txt", "a/b/two.txt", "c/d/three.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_folders_become_nested_datasets(session, execute, tree, rows_of):
    with execute() as exe:
        root = exe.add_files(
            FileSpec.create_filespecs(tree, "raw"), dataset_types="Complete", description="d"
        )
    assert (root.description, root.is_source_root) == ("raw data", True)
    assert set(root.dataset_types) == {"File", "Directory", "Complete"}
    below = {child.source_directory: child for child in root.list_dataset_children(recurse=True)}
    assert set(below) == {"a", "a/b", "c", "c/d"}
    assert [row["Filename"] for row in below["a/b"].list_dataset_members()["File"]] == ["two.txt"]
    assert "File" not in below["c"].list_dataset_members() or not below["c"].list_dataset_members()["File"]
    assert [found.dataset_rid for found in exe.list_input_datasets()] == [root.dataset_rid]
    mine = [
        found for found in list_files(session, "File") if str(tree.name).replace(" ", "%20") in found["URL"]
    ]
    assert len(mine) == 3
    assert all(found["File_Types"] == ["File"] for found in mine)
    with execute() as again:
        again.add_files(FileSpec.create_filespecs(tree, "raw"), root_name="named")
    assert len([found for found in list_files(session) if tree.name.replace(" ", "%20") in found["URL"]]) == 3


def test_bad_files_are_refused(session, execute, tree, image_rid):
    with execute() as exe:
        with pytest.raises(DerivaMLException, match="at least one"):
            exe.add_files([])
        with pytest.raises(DerivaMLInvalidTerm):
            exe.add_files(FileSpec.create_filespecs(tree, "raw", ["Nonsense"]))
        with pytest.raises(DerivaMLInvalidTerm):
            exe.add_files(FileSpec.create_filespecs(tree, "raw"), dataset_types="Nonsense")
        for size in (0, -1, "many"):
            with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1"):
                exe.add_files(files=FileSpec.create_filespecs(tree, "raw"), chunk_size=size)
        for wrong in (
            "a.txt",
            None,
            [str(tree)],
            FileSpec(URL="tag://pc,2026-01-15:file:///a", MD5="0", Length=1),
        ):
            with pytest.raises(ValueError, match="files cannot"):
                exe.add_files(wrong)
    with pytest.raises(DerivaMLTableTypeError):
        add_files(session, FileSpec.create_filespecs(tree, "raw"), image_rid)


def test_declared_local_files_are_inputs(session, workflow, tree):
    path = tree / "a" / "one.txt"
    with create_execution(session, workflow=workflow, assets=[LocalFile(path=path)]) as exe:
        [found] = exe.asset_paths["File"]
        with pytest.raises(KeyError, match="'Image' is not an asset table .* it declares assets of: File"):
            exe.asset_paths["Image"]
        assert found.read_text() == "a/one.txt"
    [asset] = exe.list_assets("Input")
    assert (asset.filename, asset.md5 and asset.length) == ("one.txt", 9)
    with create_execution(session, workflow=workflow, assets=[str(asset.asset_rid)]) as other:
        assert other.asset_paths["File"][0].read_text() == "a/one.txt"


def test_a_file_that_changed_on_the_same_day_is_another_one(session, workflow, execute, tree, row_of):
    path, seen = tree / "a" / "one.txt", []
    for text in ("first", "second", "second"):
        path.write_text(text)
        with create_execution(session, workflow=workflow, assets=[LocalFile(path=path)]) as exe:
            pass
        [asset] = exe.list_assets("Input")
        with execute() as adding:
            root = adding.add_files(FileSpec.create_filespecs(path, "raw"))
        [member] = root.list_dataset_members()["File"]
        assert asset.md5 == member["MD5"] == md5_of(path)
        assert (asset.length, row_of("File", member["RID"])["Length"]) == (len(text), len(text))
        seen.append((asset.asset_rid, member["RID"]))
        with create_execution(session, workflow=workflow, assets=[member["RID"]]) as reading:
            assert reading.asset_paths["File"][0].read_text() == text
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
    assert seen[1] == seen[2]
