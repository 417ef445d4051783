"""``deriva-ml-storage``: what lies on this disk is listed, chosen on a screen, and removed with care."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.typed import OWN, typed
from tests.interpreter import python

from deriva_ml import DerivaML
from deriva_ml.cli.kept import list_items
from deriva_ml.cli.main import main as front_door
from deriva_ml.cli.storage import main
from deriva_ml.cli.storage_screen import StorageScreen
from deriva_ml.schema.create import create_ml_catalog


class Shelf:
    """A folder of working directories with one of everything in it.

    Parameters
    ----------
    home : Path
    ml : DerivaML
    """

    def __init__(self, home: Path, ml: DerivaML) -> None:
        self.home, self.ml = home, ml
        workflow = ml.create_workflow("Shelf", "Analysis")
        with ml.create_execution(workflow=workflow) as exe:
            exe.asset_file_path("Execution_Asset", "done.txt").write_text("done")
            made = exe.create_dataset(["Complete"], description="Of one file")
        exe.commit_output_assets(clean_folder=False)
        self.done, self.dataset = exe.execution_rid, str(made.dataset_rid)
        (asset,) = exe.uploaded_assets["deriva-ml/Execution_Asset"]
        self.asset = asset.asset_rid
        made.download_dataset_bag(version="0.1.0")
        with ml.create_execution(workflow=workflow, assets=[{"rid": self.asset, "cache": True}]) as waiting:
            waiting.asset_file_path("Execution_Asset", "waits.txt").write_text("waits")
        self.waiting = waiting.execution_rid
        broken = Path(ml.cache_dir) / "bags" / "0000_half" / "Dataset_1-HALF"
        broken.mkdir(parents=True)
        (broken / "bagit.txt").write_text("half")

    def rids(self) -> set[str]:
        return {item.rid for item in list_items(self.home)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage") / "lab"
    create_ml_catalog(folder, "lab")
    return folder


@pytest.fixture
def shelf(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))
    ml = DerivaML(lab, 1, working_dir=tmp_path / "home" / "host" / "1", clean_execution_dir=False)
    return Shelf(tmp_path / "home", ml)


def test_everything_is_listed_and_removed(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    done = typed("deriva-ml-storage", "--list", "--sort", "type")
    assert done.returncode == 0, done.stderr
    head, *lines, total = done.stdout.splitlines()
    assert head.split() == ["RID", "TYPE", "LOCATION", "SIZE", "MODIFIED", "STATE", "CATALOG"]
    assert [line.split()[:3] for line in lines] == [
        [shelf.asset, "asset", "cache"],
        *sorted([["1-HALF", "dataset", "cache"], [shelf.dataset, "dataset", "cache"]]),
        *sorted([[shelf.done, "execution", "executions"], [shelf.waiting, "execution", "executions"]]),
    ]
    assert "damaged or unfinished" in done.stdout and "version 0.1.0, " in done.stdout
    assert "Stopped, 1 output of it is not uploaded yet" in done.stdout
    assert total.startswith("5 items of ")
    assert main(["--list", "cache"]) == 0
    assert "3 items" in capsys.readouterr().out
    assert main(["--sort", "size"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == shelf.dataset
    # Nobody is there to be asked.
    assert main(["--delete", shelf.dataset]) == 1
    assert "say --yes" in capsys.readouterr().err
    every = [shelf.asset, shelf.dataset, shelf.done, shelf.waiting, "1-HALF", "1-NONE"]
    assert front_door(["storage", "--delete", *every, "--yes"]) == 0
    out, err = capsys.readouterr()
    assert "Removed 4 of 5" in out
    assert "nothing of 1-NONE is stored here" in err
    assert f"execution {shelf.waiting} stays" in err and f"--execution {shelf.waiting}" in err
    assert shelf.rids() == {shelf.waiting}
    assert shelf.ml.list_cached_bags() == [] and shelf.ml.list_cached_assets() == []
    assert shelf.ml.commit_pending_executions(execution_rids=[shelf.waiting]).total_failed == 0
    assert main(["--delete", shelf.waiting, "-y"]) == 0
    assert shelf.rids() == set()
    assert main(["--list"]) == 0
    assert "Nothing is stored here" in capsys.readouterr().out


def test_it_asks_and_loses_outputs_only_when_that_is_said(shelf: Shelf) -> None:
    theirs, ours = pty.openpty()
    code = "from deriva_ml.cli.storage import main; main()"
    with subprocess.Popen(
        [python(), "-c", code, "--delete", "1-HALF"],
        stdin=ours,
        stdout=subprocess.PIPE,
        env=os.environ | OWN,
    ) as process:
        os.write(theirs, b"no\n")
        said = process.communicate(timeout=60)[0].decode()
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 0
    assert "for ever?" in said and "Nothing was changed." in said
    assert "1-HALF" in shelf.rids()
    assert main(["--working-dir", str(shelf.home), "--delete", shelf.waiting, "--discard", "--yes"]) == 0
    assert shelf.waiting not in shelf.rids()


def test_what_runs_stays_and_a_damaged_folder_hides_nothing(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with shelf.ml.create_execution(workflow=shelf.ml.create_workflow("Shelf", "Analysis")) as exe:
        assert main(["--delete", exe.execution_rid, "--discard", "--yes"]) == 0
        out, err = capsys.readouterr()
        assert "Removed 0 of 1" in out and f"{os.getpid()}" in err and "works on it" in err
    damaged = shelf.home / "host" / "2" / "catalogs" / "host__2" / "working" / "main.db"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("this is no database" * 100)
    assert len(list_items()) == 6
    assert "host/2 is not listed in full" in caplog.text


def test_the_screen(shelf: Shelf) -> None:
    async def use() -> None:
        app = StorageScreen(lambda: list_items(shelf.home))
        async with app.run_test(size=(140, 40)) as pilot:
            assert "by size" in app.sub_title
            await pilot.press("s", "space", "d")
            await pilot.press("n")
            assert len(shelf.rids()) == 5
            # By location and type, the asset comes first.
            await pilot.press("d", "y")
            await pilot.pause()
            assert shelf.rids() == {"1-HALF", shelf.dataset, shelf.done, shelf.waiting}
            await pilot.press("down", "down", "space", "down", "space", "d", "y")
            await pilot.pause()
            assert shelf.waiting in shelf.rids() and shelf.done not in shelf.rids()
            assert "is not uploaded yet" in str(app.query_one("#said").render())
            await pilot.press("r", "q")

    asyncio.run(use())


def test_without_a_screen_the_list_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--working-dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "Nothing is stored" in out and "no terminal" in err
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["--working-dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "Nothing is stored" in out and "pip install 'deriva-ml[tui]'" in err


def test_a_file_is_no_place_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "file").touch()
    for place in (file, tmp_path / "misspelt"):
        assert main(["--list", "--working-dir", str(place)]) == 1
        assert f"{place} is no folder. Name a working directory" in capsys.readouterr().err
    monkeypatch.setenv("DERIVA_ML_HOME", str(file))
    assert main(["--list"]) == 1
    assert f"{file} is no folder" in capsys.readouterr().err
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "not yet"))
    assert main(["--list"]) == 0


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--list", "everything"], ["--sort", "name"], ["--delete"]):
        with pytest.raises(SystemExit) as done:
            main(words)
        assert done.value.code == 2
    assert "choose from" in capsys.readouterr().err
