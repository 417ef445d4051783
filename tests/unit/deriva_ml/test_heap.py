"""When Python looks for garbage."""

from __future__ import annotations

import gc
import gzip
import subprocess
import sys
from pathlib import Path

from deriva_ml import heap

PROGRAM = """
import gc, gzip, sys
from deriva_ml import heap
class Notes:
    def __init__(self, path, mode, text, opens=open):
        self.itself, self.file = self, opens(path, mode)
        self.file.write(text)
with heap.unsearched():
    early = Notes(sys.argv[1], "w", "early")
    heap.searched_again()
    kept = gc.get_freeze_count()
    heap.searched_again()
    assert kept and gc.get_freeze_count() == kept
    late = Notes(sys.argv[2], "wb", b"late", gzip.open)
    print("said", end="")
"""


def test_garbage_is_searched_seldom_until_the_block_ends() -> None:
    usual = gc.get_threshold()
    with heap.unsearched():
        assert gc.isenabled() and gc.get_threshold()[0] > 10 * usual[0]
        with heap.unsearched():
            pass
        assert gc.get_threshold() != usual
    assert gc.get_threshold() == usual
    heap.searched_again()
    assert gc.get_threshold() == usual


def test_files_that_a_model_leaves_open_are_written_when_the_program_ends(tmp_path: Path) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    done = subprocess.run([sys.executable, "-c", PROGRAM, early, late], capture_output=True, text=True)
    assert (early.read_text(), gzip.decompress(late.read_bytes()), done.stdout) == ("early", b"late", "said")
    assert (done.returncode, done.stderr) == (0, "")
