import os
from contextlib import ExitStack

import pytest

from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects
from deriva_ml.errors import DerivaMLUploadError
from deriva_ml.execution import hashing
from deriva_ml.execution.hashing import hash_files
from deriva_ml.execution.pending import find_pending

LARGE = objects.ASK_FIRST + 5


@pytest.fixture
def files_of(session, execute):
    """Registered files of an execution, as they are now."""

    def find(exe):
        manifest = session.workspace.manifest_of(exe.execution_rid)
        files, unreadable = find_pending(session, exe.execution_rid, manifest.pending_assets())
        assert not unreadable
        return {file.name: file for file in files}

    return find


def arriving(session):
    """Names of what a store has taken in and nobody has named."""
    return list((session.connection.site.address.folder / "objects" / "tmp").glob("*.part"))


def test_large_files_are_taken_in_while_they_are_read(session, execute, files_of):
    with execute() as exe:
        exe.asset_file_path("Image", "large.png").write_bytes(os.urandom(LARGE))
        exe.asset_file_path("Image", "small.png").write_bytes(b"small")
    files = files_of(exe)
    seen = []
    with ExitStack() as taken:
        found = dict(
            zip(files, hash_files(session.connection, list(files.values()), taken, seen.append), strict=True)
        )
        assert {name: hashed.md5 for name, hashed in found.items()} == {
            name: md5_of(file.path) for name, file in files.items()
        }
        assert found["small.png"].taken is None
        assert found["large.png"].taken.length == LARGE
        assert len(arriving(session)) == 1
    assert arriving(session) == []
    assert seen[-1].percent_complete == 100.0
    assert {update.phase for update in seen} == {"Staging"}
    assert "Staging Image/large.png" in {update.message for update in seen}


def test_a_large_file_is_read_once(session, execute, monkeypatch):
    with execute() as exe:
        path = exe.asset_file_path("Image", "large.png")
        path.write_bytes(os.urandom(LARGE))
        content = path.read_bytes()

    def never(*arguments, **options):
        raise AssertionError("the file was read again")

    monkeypatch.setattr(hashing, "md5_of", never)
    monkeypatch.setattr(objects, "_put_whole", never)
    exe.commit_output_assets()
    images = [asset for asset in exe.list_assets("Output") if asset.filename == "large.png"]
    assert images[0].download(exe.working_dir / "back").read_bytes() == content
    assert arriving(session) == []


def test_the_same_large_file_again(session, execute):
    content = os.urandom(LARGE)
    rids = []
    for _ in range(2):
        with execute() as exe:
            exe.asset_file_path("Image", "again.png").write_bytes(content)
        exe.commit_output_assets()
        rids.append(exe.uploaded_assets["lab/Image"][0].asset_rid)
    assert rids[0] == rids[1]
    assert arriving(session) == []


def test_a_file_that_is_written_to_meanwhile_is_named(session, execute, files_of, monkeypatch):
    with execute() as exe:
        exe.asset_file_path("Image", "steady.png").write_bytes(os.urandom(LARGE))
        busy = exe.asset_file_path("Image", "busy.png")
        busy.write_bytes(os.urandom(LARGE))
    take_in = objects.take_in

    def slow(connection, path, progress):
        found = take_in(connection, path, progress)
        with busy.open("ab") as file:
            file.write(b"more")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(objects, "take_in", slow)
        with pytest.raises(DerivaMLUploadError, match=r"busy.png .* was written to while it was read"):
            exe.commit_output_assets()
    assert arriving(session) == []
    assert exe.commit_output_assets().total_uploaded == 2


def test_what_cannot_be_taken_in_is_put_as_usual(session, execute, monkeypatch):
    with execute() as exe:
        exe.asset_file_path("Image", "large.png").write_bytes(os.urandom(LARGE))
    monkeypatch.setattr(objects, "take_in", lambda *arguments: None)
    assert exe.commit_output_assets().total_uploaded == 1
