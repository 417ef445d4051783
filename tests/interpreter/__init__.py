"""An interpreter that has imported already what the commands need.

`python()` is the path of a program that behaves like the Python of the tests: it runs modules, scripts and code with
the words, the folder, the variables and the streams that it is given, in a process of its own, and ends as that ends,
also by a signal. But the process is forked from one that has imported DerivaML, which otherwise takes a second each
time. `path()` is the folder of that program and of the commands of this project, for shells.

With the variable ``FRESH_INTERPRETERS``, as `make soak` sets it, each is an interpreter of its own.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

_HERE = Path(__file__).parent
_FRESH = "FRESH_INTERPRETERS"
# What an installed program holds, so that tests also find programs that are not installed anew yet.
_PROGRAM = "import sys; from {module} import {name}; sys.argv[0] = {program!r}; sys.exit({name}())"
# Modules, and packages with all that is directly in them.
_PRELOADED = (
    "deriva_ml.ml",
    "deriva_ml.cli.*",
    "deriva_ml.runner.*",
    "deriva_server.sql.*",
    "pandas",
    "psycopg",
)


def python() -> str:
    """Path of the program that behaves like Python."""
    return str(_started() / "python") if _quick() else sys.executable


def path() -> str:
    """``PATH`` with that program and the commands of this project before all others."""
    own = [_started()] if _quick() else []
    return os.pathsep.join(map(str, [*own, Path(sys.executable).parent, os.environ["PATH"]]))


def program(name: str) -> list[str]:
    """The words that start a command of this project."""
    return [python(), *_words(name)]


def _words(name: str) -> list[str]:
    module, _, function = SCRIPTS[name].partition(":")
    return ["-c", _PROGRAM.format(module=module, name=function, program=name)]


def _quick() -> bool:
    return hasattr(os, "fork") and not os.environ.get(_FRESH)


def _preloaded() -> list[str]:
    """Without libraries that this environment lacks."""
    return [name for name in _PRELOADED if find_spec(name.partition(".")[0]) is not None]


@functools.cache
def _started() -> Path:
    """The folder of the programs, once the interpreter listens that they are forked from."""
    folder = Path(tempfile.mkdtemp(prefix="deriva-interpreter-"))
    own = {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",
    }
    server = subprocess.Popen(
        [sys.executable, "-c", (_HERE / "forks.py").read_text(), str(folder / "socket"), *_preloaded()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | own,
        start_new_session=True,
    )
    atexit.register(_end, server, folder)
    assert server.stdout is not None
    assert server.stdout.readline() == b"listening\n"
    for name in ("python", "python3", *SCRIPTS):
        _write(folder / name, folder / "socket", _words(name) if name in SCRIPTS else [])
    return folder


def _write(file: Path, socket: Path, words: list[str]) -> None:
    """Write a program that asks for a fork."""
    text = (_HERE / "asks.py").read_text()
    file.write_text(
        f"#!{sys.executable} -IS\nSOCKET, WORDS, PYTHON = {str(socket)!r}, {words!r}, {sys.executable!r}\n{text}"
    )
    file.chmod(0o755)


def _end(server: subprocess.Popen[bytes], folder: Path) -> None:
    """The interpreter ends when nobody holds its input any more."""
    assert server.stdin is not None
    server.stdin.close()
    server.wait(30)
    shutil.rmtree(folder, ignore_errors=True)
