"""When Python looks for garbage."""

from __future__ import annotations

import gc
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from deriva_ml import heap

PROGRAM = """
import atexit, gc, sys

def tell():
    before = gc.get_freeze_count()
    print("frozen", before > 1000, "left", len(gc.get_objects()) > 0)

atexit.register(tell)
from pathlib import Path
from deriva_ml import heap

class Notes:
    "Kept by itself, so that only a search gives it back."
    def __init__(self, path, mode, text, opens=open):
        self.itself, self.file = self, opens(path, mode)
        self.file.write(text)

class Late:
    def __init__(self, path):
        self.itself, self.path = self, path
    def __del__(self, open=open):
        with open(self.path, "w") as file:
            file.write("late")

def waits(path):
    try:
        yield path
    finally:
        path.write_text("late")

with heap.unsearched():
    with heap.users_code():
        class Model:
            kept = None
        {early}
    heap.searched_again()
    kept = gc.get_freeze_count()
    heap.searched_again()
    assert kept and gc.get_freeze_count() == kept
    {late}
"""


def _left(folder: Path, early: str, late: str) -> list[str]:
    """What a program says at its end, whose user's code and model are these statements."""
    program = PROGRAM.format(early=early, late=late)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_garbage_is_searched_seldom_until_the_block_ends() -> None:
    usual = gc.get_threshold()
    with heap.unsearched():
        assert gc.isenabled() and gc.get_threshold()[0] > 10 * usual[0]
        with heap.unsearched():
            pass
        assert gc.get_threshold() != usual
    frozen = gc.get_freeze_count()
    with heap.users_code():
        heap.searched_again()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, frozen)


def test_files_that_a_model_leaves_open_are_written_when_the_program_ends(tmp_path: Path) -> None:
    early = 'early = Notes("early", "w", "early")'
    late = 'import gzip; late = Notes("late", "wb", b"late", gzip.open); print("said", end=" ")'
    assert _left(tmp_path, early, late) == ["said", "frozen", "False", "left", "True"]
    assert (tmp_path / "early").read_text() == "early"
    assert gzip.decompress((tmp_path / "late").read_bytes()) == b"late"


@pytest.mark.parametrize(
    "late",
    [
        'Model.kept = open("late", "w"); Model.kept.write("late")',
        'Path.kept = open("late", "w"); Path.kept.write("late")',
        'Path.kept = Late("late")',
        'Path.kept = waits(Path("late")); next(Path.kept)',
    ],
    ids=[
        "on a class of the user",
        "on a class of a library",
        "finished by a method",
        "finished by a generator",
    ],
)
def test_what_hangs_on_a_class_is_finished_when_the_program_ends(tmp_path: Path, late: str) -> None:
    assert _left(tmp_path, "", late)[:2] == ["frozen", "False"]
    assert (tmp_path / "late").read_text() == "late"


def test_the_last_search_is_left_out_where_there_is_nothing_to_finish(tmp_path: Path) -> None:
    closed = 'Path.kept = open("late", "w"); Path.kept.close()'
    assert _left(tmp_path, "", closed) == ["frozen", "True", "left", "False"]


@pytest.mark.parametrize(("early", "late"), [("import _elementtree", ""), ("", "import _elementtree")])
def test_what_came_with_modules_in_c_is_searched_for_what_they_do_not_tell(
    tmp_path: Path, early: str, late: str
) -> None:
    assert _left(tmp_path, early, late) == ["frozen", "True", "left", "True"]
