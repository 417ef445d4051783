import hashlib
import io

from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.checksums import md5_and_sha256, md5_of


@given(st.binary(max_size=3000))
def test_as_hashlib_says(data):
    md5, sha256 = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
    assert md5_of(io.BytesIO(data)) == md5
    assert md5_and_sha256(io.BytesIO(data)) == (md5, sha256, len(data))


def test_files_and_progress(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * 2_500_000)
    told = []
    assert md5_and_sha256(path, told.append)[2] == 2_500_000 == sum(told)
    assert md5_of(str(path)) == md5_of(path)
