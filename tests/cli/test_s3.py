"""Deployments whose objects are on S3, from the command line."""

import json
import re
import subprocess
import sys

import pytest
import requests
from tests.buckets import BUCKET
from tests.cli.test_database import made, refused
from tests.interpreter import python


@pytest.fixture
def prefix(s3):
    return s3.prefix()


@pytest.fixture
def address(s3, prefix):
    return s3.address(prefix)


def test_the_life_of_a_deployment(tmp_path, s3, prefix, address):
    lab = tmp_path / "lab"
    words = ["serve", lab, "--port", "0", "--objects", address]
    made("init", lab)
    program = [python(), "-m", "deriva_ml.cli.main", *map(str, words)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().partition(" at ")[2].split()[0]
        answer = requests.put(f"{url}/hatrac/o", data=b"hello" * 1000, timeout=30)
        assert answer.status_code == 201, answer.text
        assert requests.get(f"{url}/hatrac/o", timeout=30).content == b"hello" * 1000
        process.terminate()
        assert process.wait(20) == 0
    assert len(s3.keys(prefix)) == 2
    assert json.dumps(address) in (lab / "server.toml").read_text()
    assert f"objects are kept at {address}" in made("init", lab)
    assert re.search(r"contents +1 +5\.0 kB", made("objects", lab))
    assert f"at {address}" in made("remove", lab, "--yes")
    assert s3.keys(prefix) == []


def test_refusals_are_one_line(tmp_path, address):
    said = refused("init", tmp_path / "lab", "--objects", address.replace("s3://", "s3://key:s-e-c@"))
    assert "holds no credentials" in said and "s-e-c" not in said and said.count("\n") == 1
    said = refused("init", tmp_path / "lab", "--objects", address.replace(BUCKET, "no-such-bucket"))
    assert "make the bucket first" in said and said.count("\n") == 1


def test_without_the_library(tmp_path, address):
    block = "import sys; sys.modules['botocore'] = None\n"
    program = f"{block}from deriva_ml.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "init", str(tmp_path / "lab"), "--objects", address],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "pip install 'deriva-ml[s3]'" in done.stderr, done
    assert "Traceback" not in done.stderr
