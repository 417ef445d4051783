"""What is removed from a working directory after a commit, and what is not."""

import shutil
import time

import pytest

from deriva_ml.execution.commit import remove_folder


def test_cleaning_keeps_what_was_never_registered(execute, caplog):
    with execute() as exe:
        exe.asset_file_path("Image", "c.png").write_bytes(b"c")
        folder = exe.working_dir
    exe.commit_output_assets(clean_folder=True)
    assert not folder.exists()
    with execute() as exe:
        exe.asset_file_path("Image", "d.png").write_bytes(b"d")
        notes, copied, linked = (exe.working_dir / f"{name}.txt" for name in ("notes", "copied", "linked"))
        for mine in (notes, copied, linked):
            mine.write_text(mine.name)
        exe.asset_file_path("Image", copied, copy_file=True)
        exe.asset_file_path("Image", linked)
    exe.commit_output_assets(clean_folder=True)
    assert (notes.read_text(), copied.read_text()) == ("notes.txt", "copied.txt")
    assert {path.name for path in exe.working_dir.rglob("*")} == {
        "asset-manifest.json",
        "copied.txt",
        "notes.txt",
    }
    kept = f"files in {exe.working_dir} were never registered as outputs and are kept:"
    assert f"2 {kept} copied.txt, notes.txt." in caplog.text
    for number in range(4):
        (exe.working_dir / f"more {number}.txt").touch()
    exe.asset_file_path("Image", "later.png").write_bytes(b"later")
    exe.commit_output_assets(clean_folder=True)
    assert f"6 {kept} copied.txt, more 0.txt, more 1.txt, more 2.txt, more 3.txt, …." in caplog.text
    with execute() as exe:
        path = exe.asset_file_path("Image", "e.png")
        path.write_bytes(b"e")
    exe.commit_output_assets(clean_folder=False)
    assert path.exists()


def test_cleaning_removes_copies_of_inputs(execute, image_rid, caplog):
    with execute() as exe:
        exe.download_asset(image_rid, exe.working_dir / "in")
        folder = exe.working_dir
    exe.commit_output_assets(clean_folder=True)
    assert not folder.exists()
    assert "never registered" not in caplog.text


def test_cleaning_keeps_a_link_to_a_folder(execute, tmp_path, caplog):
    (tmp_path / "elsewhere").mkdir()
    with execute() as exe:
        link = exe.working_dir / "data"
        link.symlink_to(tmp_path / "elsewhere")
    exe.commit_output_assets(clean_folder=True)
    assert link.is_symlink()
    assert "never registered as outputs and are kept: data." in caplog.text


@pytest.mark.parametrize("cleans", [True, False])
def test_the_session_says_whether_to_clean(session, execute, cleans):
    session.clean_execution_dir = cleans
    with execute() as exe:
        path = exe.asset_file_path("Image", "f.png")
        path.write_bytes(b"f")
    exe.commit_output_assets()
    assert path.exists() is not cleans


def test_a_folder_that_is_in_use_is_removed_patiently(tmp_path, monkeypatch, caplog):
    plain, refused = shutil.rmtree, []

    def in_use(times):
        folder = tmp_path / f"{times} times"
        folder.mkdir()

        def rmtree(folder):
            if len(refused) < times:
                refused.append(folder)
                raise OSError("it is in use")
            plain(folder)

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", rmtree)
            patch.setattr(time, "sleep", lambda seconds: None)
            remove_folder(folder)
        return folder

    assert not in_use(2).exists()
    assert caplog.text == ""
    refused.clear()
    kept = in_use(9)
    assert (kept.exists(), len(refused)) == (True, 3)
    assert f"{kept} could not be removed: it is in use" in caplog.text
    remove_folder(tmp_path / "never was")


def test_cleaning_removes_what_a_killed_process_left_of_the_manifest(execute, caplog):
    with execute() as exe:
        exe.asset_file_path("Image", "f.png").write_bytes(b"f")
        folder = exe.working_dir
        (folder / ".asset-manifest.json.x1y2").write_text('{"execution_')
    exe.commit_output_assets(clean_folder=True)
    assert not folder.exists()
    assert "never registered" not in caplog.text
