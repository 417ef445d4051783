"""Which files and folders are synced; that this is enough is told by `tests/machines/test_power.py`."""

import os

import pytest

from deriva_ml import lasting

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="the system does not tell what a descriptor is of"
)


@pytest.fixture
def synced(monkeypatch):
    """Paths of what was synced, in order; a whole disk as its folder and a star."""
    found = []
    fsync, settled = os.fsync, lasting._disk_settled

    def one(descriptor):
        found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def all_of(folder):
        found.append(f"{folder}/*")
        return settled(folder)

    monkeypatch.setattr(lasting.os, "fsync", one)
    monkeypatch.setattr(lasting, "_disk_settled", all_of)
    return found


def made(root, count):
    files = [root / "a" / "b" / str(number) for number in range(count)]
    files[0].parent.mkdir(parents=True)
    for file in files:
        file.write_text("x")
    return files


def test_a_few_files_with_the_folders_they_are_in(tmp_path, synced):
    [file] = made(tmp_path, 1)
    lasting.let_last([file, tmp_path / "gone"], tmp_path)
    assert synced[0] == str(file)
    assert sorted(synced[1:]) == sorted(map(str, [file.parent, tmp_path / "a", tmp_path]))


def test_behind_a_link_is_what_lasts(tmp_path, synced):
    own = tmp_path / "own"
    [file] = made(own, 1)
    link = tmp_path / "root" / "link"
    link.parent.mkdir()
    link.symlink_to(file)
    lasting.let_last([link], link.parent)
    assert synced[0] == str(file)
    assert sorted(synced[1:]) == sorted(map(str, [file.parent, link.parent]))


@pytest.mark.parametrize(("waiting", "at_once"), [(0, True), (10**9, False)])
def test_many_files_at_once_unless_others_wait(tmp_path, synced, monkeypatch, waiting, at_once):
    monkeypatch.setattr(lasting, "_waiting", lambda: waiting)
    files = made(tmp_path, 20)
    lasting.let_last(files, tmp_path)
    assert (synced == [f"{tmp_path}/*"]) is at_once
    assert set(map(str, files)) <= set(synced) or at_once


def test_what_the_disk_refuses_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(lasting, "_waiting", lambda: 0)
    monkeypatch.setattr(lasting, "_syncfs", lambda: lambda descriptor: -1)

    def refuse(descriptor):
        raise OSError(5, "Input/output error")

    files = made(tmp_path, 20)
    monkeypatch.setattr(lasting.os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        lasting.let_last(files, tmp_path)


def test_file_systems_that_sync_no_folders(tmp_path, monkeypatch):
    fsync = os.fsync

    def only_files(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    files = made(tmp_path, 2)
    monkeypatch.setattr(lasting.os, "fsync", only_files)
    lasting.let_last(files, tmp_path)
    lasting.make_lasting_folder(tmp_path / "new")
    assert (tmp_path / "new").is_dir()


def test_a_folder_lasts_with_those_above_it(tmp_path, synced):
    lasting.make_lasting_folder(tmp_path / "a" / "b")
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    lasting.make_lasting_folder(tmp_path / "a" / "b")
    assert len(synced) == 2
