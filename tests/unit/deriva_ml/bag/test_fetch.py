"""Files that are brought into a bag."""

import hashlib
import shutil

import pytest

from deriva_ml.bag import seal, write
from deriva_ml.bag.fetch import fetch
from deriva_ml.bag.write import FetchEntry
from deriva_ml.copies import partial_of
from deriva_ml.errors import DerivaMLChecksumError


def test_what_a_dead_process_left_half_is_no_damage_and_goes(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"whole")
    folder = tmp_path / "bag"
    write.write_json_rows(folder, "s", "T", [{"RID": "1"}])
    md5 = hashlib.md5(b"whole").hexdigest()
    entries = [FetchEntry("/hatrac/x", 5, f"data/assets/Image/{rid}/x.png", md5) for rid in "ab"]
    seal.seal(folder, fetch=entries)
    half = partial_of(folder / entries[0].path)
    half.parent.mkdir(parents=True)
    half.write_bytes(b"who")
    seal.validate(folder, complete=False)
    with pytest.raises(DerivaMLChecksumError, match="part"):
        seal.validate(folder)

    assert fetch(folder, seal.read_fetch(folder), lambda _, path: shutil.copyfile(source, path)) == 2
    assert not half.exists()
    seal.validate(folder)
