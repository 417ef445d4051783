"""Folders that cannot be written, interruptions at any moment, command lines and what is printed on the way."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.interpreter import python
from tests.interrupting import interrupted_at

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, ExecutionConfiguration
from deriva_ml.cli.main import main
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConflictError,
    DerivaMLException,
    DerivaMLUploadError,
)
from deriva_ml.execution import sync
from deriva_ml.schema import create_ml_catalog

NOBODY = 65534


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))


@pytest.fixture
def lab(tmp_path: Path) -> DerivaML:
    create_ml_catalog(tmp_path / "lab", "texts")
    ml = DerivaML(tmp_path / "lab", 1)
    ml.create_schema("texts")
    ml.create_asset("Document")
    return ml


def _begin(ml: DerivaML) -> Any:
    workflow = ml.create_workflow("Reading", "Analysis")
    return ml.create_execution(ExecutionConfiguration(workflow=workflow, description="a run"))


# Folders that cannot be written --------------------------------------------------------------------------------------

_AS_NOBODY = """
import json, os, sys
from deriva_ml import DerivaML
from deriva_ml.errors import DerivaMLException
from deriva_ml.schema import create_ml_catalog
top, warm, uid = sys.argv[1], sys.argv[2], int(sys.argv[3])
create_ml_catalog(warm, "texts")  # what is imported late is imported now, while this user may read it
DerivaML(warm, 1, working_dir=warm + "-work")
if os.getuid() == 0:
    os.setgid(uid), os.setuid(uid)
mine = top + "/mine"

def attempt(name, use):
    try:
        use()
        said[name] = None
    except DerivaMLException as error:
        said[name] = [type(error).__name__, str(error)]
    except Exception as error:
        said[name] = ["FOREIGN " + type(error).__name__, str(error)]

said = {}
attempt("folder", lambda: DerivaML(top + "/theirs", 1, working_dir=mine + "/w1"))
attempt("catalog in folder", lambda: create_ml_catalog(top + "/theirs", "texts"))
attempt("new folder", lambda: create_ml_catalog(top + "/new/deep", "texts"))
attempt("working_dir", lambda: DerivaML(mine + "/lab", 1, working_dir=top + "/work"))
attempt("catalog file", lambda: DerivaML(mine + "/lab", 1, working_dir=mine + "/w2").add_term("Asset_Type", "A", "a"))
attempt("registry", lambda: create_ml_catalog(mine + "/other", "texts"))
attempt("hidden registry", lambda: DerivaML(mine + "/hidden", 1, working_dir=mine + "/w3"))
print(json.dumps(said))
"""


@pytest.fixture
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What a user hears who may not write; one process tries it all."""
    top = tmp_path_factory.mktemp("rights")
    create = f"from deriva_ml.schema import create_ml_catalog as c; c({str(top / 'theirs')!r}, 'texts')"
    subprocess.run([python(), "-c", create], check=True)
    for name in ("lab", "other", "hidden"):
        shutil.copytree(top / "theirs", top / "mine" / name)
    if os.getuid() == 0:
        for folder in (top, *top.parents):
            if folder != Path("/") and folder.stat().st_uid == 0:
                folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
        for path in ((top / "mine"), *(top / "mine").rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        for path in (
            top / "mine/lab/catalogs/1.db",
            top / "mine/other/registry.db",
            top / "mine/hidden/registry.db",
        ):
            os.chown(path, 0, 0)
    (top / "mine/lab/catalogs/1.db").chmod(0o444)
    (top / "mine/other/registry.db").chmod(0o444)
    (top / "mine/hidden/registry.db").chmod(0o000)
    (top / "theirs").chmod(0o555)
    before = {path for path in top.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
    mode = top.stat().st_mode
    if os.getuid() != 0:
        top.chmod(0o555)
    run = subprocess.run(
        [
            python(),
            "-c",
            _AS_NOBODY,
            str(top),
            str(tmp_path_factory.mktemp("warm") / "lab"),
            str(NOBODY),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    top.chmod(mode)
    (top / "theirs").chmod(0o755)
    assert run.returncode == 0, run.stderr
    new = {path for path in top.rglob("*") if not path.name.endswith(("-wal", "-shm"))} - before
    assert {path.relative_to(top).parts[:2] for path in new} <= {("mine", "w2")}, (
        "something half-made was left"
    )
    yield top, json.loads(run.stdout.splitlines()[-1])


def test_what_cannot_be_written_is_named(refusals: tuple[Path, dict[str, Any]]) -> None:
    top, said = refusals
    expected = {
        "folder": [f"{top}/theirs", "cannot be written", "permissions"],
        "catalog in folder": [f"{top}/theirs", "cannot be written", "permissions"],
        "new folder": [f"{top}/new", "cannot be written", "permissions"],
        "working_dir": [f"{top}/work", "cannot be written", "another working_dir"],
        "catalog file": ["1.db", "readonly", "permissions"],
        "registry": ["registry.db", "readonly", "permissions"],
        "hidden registry": ["registry.db", "unable to open", "permissions"],
    }
    assert set(said) == set(expected)
    for name, words in expected.items():
        assert said[name] is not None, f"{name} was no error"
        kind, text = said[name]
        assert kind.startswith("DerivaML"), (name, kind, text)
        for word in words:
            assert word in text, (name, text)
        assert "sqlalche" not in text


def test_damaged_files_are_named(tmp_path: Path) -> None:
    create = f"from deriva_ml.schema import create_ml_catalog as c; c({str(tmp_path / 'whole')!r}, 'texts')"
    subprocess.run([python(), "-c", create], check=True)
    for name, file in (("catalog", "catalogs/1.db"), ("registry", "registry.db")):
        shutil.copytree(tmp_path / "whole", tmp_path / name)
        path = tmp_path / name / file
        path.write_bytes(b"no database" * 1000)
        for side in ("-wal", "-shm"):
            Path(f"{path}{side}").unlink(missing_ok=True)
        with pytest.raises(DerivaMLException) as caught:
            DerivaML(tmp_path / name, 1)
        assert str(path) in str(caught.value)
        assert "restore it from a backup" in str(caught.value)


# Outputs that are not there ------------------------------------------------------------------------------------------


def test_outputs_that_were_never_written_or_went_away(lab: DerivaML, tmp_path: Path) -> None:
    gone = tmp_path / "gone.txt"
    gone.write_text("here for now")
    with _begin(lab) as exe:
        exe.asset_file_path("Document", "never.txt")
        exe.asset_file_path("Document", gone)
        exe.asset_file_path("Document", "good.txt").write_text("good")
    gone.unlink()
    with pytest.raises(DerivaMLUploadError) as caught:
        exe.commit_output_assets()
    for word in ("never.txt", "gone.txt", "nothing was uploaded", "discard_asset_file()"):
        assert word in str(caught.value)
    assert "good.txt" not in str(caught.value)
    assert not [asset for asset in exe.list_assets(asset_role="Output") if asset.asset_table == "Document"]
    exe.discard_asset_file("Document/never.txt")
    exe.discard_asset_file("Document/gone.txt")
    assert exe.commit_output_assets().total_uploaded == 1


# Interruptions -------------------------------------------------------------------------------------------------------


# Python swallows an interruption that arrives in a callback of the garbage collector.
LOST = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _interrupted(after: float, work: Callable[[], Any]) -> bool:
    """Press Ctrl-C after some seconds; whether the work was still going on."""
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        work()
        timer.cancel()
        timer.join()
        return False
    except KeyboardInterrupt:
        return True


def _assert_no_catalog(lab: Path) -> None:
    with pytest.raises(DerivaMLException) as caught:
        DerivaML(lab, 1)
    assert isinstance(caught.value, DerivaMLCatalogNotFound) or "init" in str(caught.value)
    made = create_ml_catalog(lab, "texts")
    assert DerivaML(lab, made.catalog_id).list_vocabulary_terms("Workflow_Type")


@LOST
@pytest.mark.parametrize("after", [0.002, 0.1])
def test_interrupted_creation_leaves_no_catalog(tmp_path: Path, after: float) -> None:
    if _interrupted(after, lambda: create_ml_catalog(tmp_path / "lab", "texts")):
        _assert_no_catalog(tmp_path / "lab")


@pytest.mark.parametrize(
    "moments",
    [
        "call create_ermrest_catalog",
        "return create_ermrest_catalog",
        "return create_schemas",
        "call bind_alias",
        "return create_ermrest_catalog, call delete_ermrest_catalog",
    ],
)
def test_a_catalog_is_whole_or_gone_wherever_its_creation_is_interrupted(
    tmp_path: Path, moments: str
) -> None:
    create = partial(create_ml_catalog, tmp_path / "lab", "texts", "alias")
    assert interrupted_at(moments.split(", "), create)
    _assert_no_catalog(tmp_path / "lab")


@pytest.mark.parametrize("moment", ["call change_model", "return _by_name", "call renew_pages"])
def test_an_asset_table_can_be_used_wherever_its_creation_was_interrupted(lab: DerivaML, moment: str) -> None:
    assert interrupted_at([moment], lambda: lab.create_asset("Picture"))
    with suppress(DerivaMLConflictError):
        lab.create_asset("Picture")
    assert lab.model.is_asset("Picture")
    with _begin(lab) as exe:
        exe.asset_file_path("Picture", "a.txt").write_text("a")
    assert exe.commit_output_assets().total_uploaded == 1


def test_an_asset_table_that_is_refused_leaves_no_type(lab: DerivaML) -> None:
    with pytest.raises(DerivaMLException):
        lab.create_asset("Picture", column_defs=[ColumnDefinition("Size", BuiltinTypes.int4)] * 2)
    assert "Picture" not in {term.name for term in lab.list_vocabulary_terms("Asset_Type")}


@LOST
@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_a_catalog_is_whole_or_gone_at_any_moment(tmp_path: Path) -> None:
    chance, pressed = random.Random(7), 0
    for number in range(400):
        folder = tmp_path / str(number)
        if interrupted_at([chance.randrange(1, 300_000)], partial(create_ml_catalog, folder, "texts")):
            _assert_no_catalog(folder)
            pressed += 1
        shutil.rmtree(folder, ignore_errors=True)
    print(f"interrupted {pressed} times")


@LOST
@pytest.mark.parametrize("after", [0.02, 0.05, 0.08, 0.12, 0.2])
def test_an_interrupted_commit_goes_on(lab: DerivaML, after: float) -> None:
    with _begin(lab) as exe:
        for number in range(60):
            exe.asset_file_path("Document", f"{number}.txt").write_text(str(number))
    _interrupted(after, exe.commit_output_assets)
    again = lab.resume_execution(exe.execution_rid)
    again.commit_output_assets()
    outputs = [asset for asset in again.list_assets(asset_role="Output") if asset.asset_table == "Document"]
    assert len(outputs) == 60
    assert lab.lookup_execution(exe.execution_rid).status == "Uploaded"


def test_a_commit_again_tells_what_the_interrupted_one_did_not(
    lab: DerivaML, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _begin(lab) as exe:
        exe.asset_file_path("Document", "a.txt").write_text("a")
    send = sync._sent

    def interrupted(session: Any, state: Any) -> bool:
        if state.status == "Uploaded":
            raise KeyboardInterrupt
        return send(session, state)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sync, "_sent", interrupted)
        exe.commit_output_assets()
    assert (exe.status, lab.lookup_execution(exe.execution_rid).status) == ("Uploaded", "Pending_Upload")
    exe.commit_output_assets()
    assert lab.lookup_execution(exe.execution_rid).status == "Uploaded"


def test_an_interrupted_run_has_failed_and_keeps_its_outputs(lab: DerivaML) -> None:
    with pytest.raises(KeyboardInterrupt), _begin(lab) as exe:
        exe.asset_file_path("Document", "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert lab.lookup_execution(exe.execution_rid).status == "Failed"
    assert exe.commit_output_assets().total_uploaded == 1


# What is printed -----------------------------------------------------------------------------------------------------


def test_a_run_prints_nothing(
    lab: DerivaML, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        with _begin(lab) as exe:
            exe.asset_file_path("Document", "a.txt").write_text("a")
        exe.commit_output_assets()
    noise = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert all("no inputs" in text for text in noise)
    assert capfd.readouterr().out == ""


def test_objects_describe_themselves(lab: DerivaML) -> None:
    with _begin(lab) as exe:
        exe.asset_file_path("Document", "a&b.txt").write_text("a")
    exe.commit_output_assets()
    asset = next(asset for asset in exe.list_assets() if asset.asset_table == "Document")
    for thing in (lab, lab.model, lab.catalog, exe, asset):
        assert "object at 0x" not in repr(thing)
    for thing in (lab, exe, asset):
        page = thing._repr_html_()
        assert page.startswith("<")
        assert "a&b" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "{}/other"], ["not empty", "notes.txt"]),
        (["init", "{}/other/notes.txt"], ["is a file"]),
        (["serve", "{}/missing"], ["There is no folder", "deriva-ml init"]),
        (["serve", "{}/other"], ["is not a deployment"]),
        (["serve", "{}/absent", "--host", "0.0.0.0"], ["no accounts", "127.0.0.1"]),
        (["serve", "{}/lab", "--port", "99999"], ["0 to 65535"]),
        (["catalog", "create", "{}/lab", "1 x"], ["'1 x'", "begin with a letter"]),
        (["catalog", "create", "{}/other", "texts"], ["not empty"]),
        (["catalog", "create", "localhost:9", "texts"], ["Connection refused", "Check that the server runs"]),
    ],
)
def test_wrong_command_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: list[str]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    assert main(["init", str(tmp_path / "lab")]) == 0
    capsys.readouterr()
    begin = time.monotonic()
    assert main([word.format(tmp_path) for word in words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("deriva-ml: ")
    assert printed.err.count("\n") == 1
    for word in said:
        assert word in printed.err
    assert time.monotonic() - begin < 8
    assert not (tmp_path / "missing").exists()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
