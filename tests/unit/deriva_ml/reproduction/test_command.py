"""The command that runs an execution again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deriva_ml.errors import DerivaMLDataError
from deriva_ml.reproduction import command as commands
from deriva_ml.reproduction.command import Place
from deriva_ml.reproduction.recorded import Code, Recorded

PLACE = Place(Path("/new/code"), Path("/env/bin/python"), "/data/la'b", "1")


def _recorded(*arguments: str, folder: str = "/old/proj/src", **more: Any) -> Recorded:
    code = Code("https://host/proj", Path("/old/proj"), "c0ffee", True)
    given: dict[str, Any] = {"workflow": {}, "code": code, "folder": Path(folder), **more}
    return Recorded("1-AB", "", "Uploaded", arguments=list(arguments), **given)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("/old/bin/python", "train.py", "3"), ["/new/code/src/train.py", "3"]),
        (("python", "-W", "error", "-u", "../train.py"), ["-W", "error", "-u", "/new/code/train.py"]),
        (("python", "-m", "proj.train", "-m"), ["-m", "proj.train", "-m"]),
        (("/old/bin/python", "/old/bin/train", "x"), ["/env/bin/train", "x"]),
        (("python", "/old/proj/tools/a.py"), ["/new/code/tools/a.py"]),
        (("python", "/elsewhere/a.py"), ["/elsewhere/a.py"]),
    ],
)
def test_of_a_script(arguments: tuple[str, ...], expected: list[str]) -> None:
    assert commands.command(_recorded(*arguments), PLACE) == ["/env/bin/python", *expected]


def test_of_a_job_of_hydra() -> None:
    recorded = _recorded(
        "python",
        "/bin/deriva-ml-run",
        "--config-dir=conf",
        "-m",
        "lr=1,2",
        overrides=["lr=1", "hydra.sweep.dir=x"],
        hydra={"job": {"config_name": "main"}},
    )
    assert commands.command(recorded, PLACE) == [
        "/env/bin/deriva-ml-run",
        *("--config-dir", "conf", "--config-name", "main", "lr=1"),
        r"deriva_ml.hostname='/data/la\'b'",
        "deriva_ml.catalog_id=1",
    ]


def test_of_a_program_of_ones_own_that_uses_hydra() -> None:
    recorded = _recorded(
        "python", "train.py", "lr=1", overrides=["lr=1"], hydra={"job": {"config_name": "c"}}
    )
    assert commands.command(recorded, PLACE) == ["/env/bin/python", "/new/code/src/train.py", "lr=1"]


def test_folder_and_search_path() -> None:
    recorded = _recorded(
        "python",
        "train.py",
        search_path=["/old/proj/src", "/usr/lib", "/old/proj/.venv/lib/site-packages", "/old/proj"],
    )
    assert commands.folder(recorded, PLACE) == Path("/new/code/src")
    assert commands.search_path(recorded, PLACE) == ["/new/code/src", "/new/code"]
    outside = _recorded("python", "proj/train.py", folder="/old")
    assert commands.folder(outside, PLACE) == Path("/new/code")
    assert commands.command(outside, PLACE)[1] == "/new/code/train.py"


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (_recorded("python", "a.py", workflow={"is_notebook": True}), "notebook"),
        (_recorded("python", "a.py", code=Code()), "no git repository"),
        (_recorded(), "was not recorded"),
        (_recorded("python", "-c", "print()"), "python -c"),
        (_recorded("python", "a.py", "--token", "(hidden)"), "secret"),
        (
            _recorded("python", "/bin/deriva-ml-run", "-m", "lr=1,2", parts=["1-P", "1-Q"]),
            "jobs can be: 1-P, 1-Q",
        ),
        (_recorded("python", "-m", "deriva_ml.run_model", "-m", "lr=1,2", parts=["1-P"]), "whole of a sweep"),
    ],
)
def test_what_has_none(recorded: Recorded, reason: str) -> None:
    with pytest.raises(DerivaMLDataError, match=reason):
        commands.command(recorded, PLACE)
