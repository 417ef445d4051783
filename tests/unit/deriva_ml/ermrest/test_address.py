from pathlib import Path

import pytest

from deriva_ml.ermrest.address import read_address
from deriva_ml.errors import DerivaMLConfigurationError


@pytest.mark.parametrize(
    "host", ["./demo", "demo/", "/tmp/demo", ".demo", "..", "a/b", "~/demo", "file:demo", Path("demo")]
)
def test_folders(host):
    address = read_address(host)
    assert address.folder is not None and address.folder.is_absolute()
    assert address.network_name == ""


def test_file_urls(tmp_path):
    assert read_address(f"file://{tmp_path}").folder == tmp_path
    assert read_address(f"file://localhost{tmp_path}/a%20b").folder == tmp_path / "a b"


@pytest.mark.parametrize(
    "host, scheme, name",
    [
        ("www.example.org", "https", "www.example.org"),
        ("localhost", "https", "localhost"),
        ("localhost:8443", "https", "localhost:8443"),
        ("demo", "https", "demo"),
        ("http://127.0.0.1:8080", "http", "127.0.0.1:8080"),
        ("https://www.example.org/", "https", "www.example.org"),
        (" data.example.org ", "https", "data.example.org"),
    ],
)
def test_network_names(host, scheme, name):
    address = read_address(host)
    assert (address.folder, address.scheme, address.network_name) == (None, scheme, name)


@pytest.mark.parametrize(
    "host", ["", "  ", "my folder", "http://", "https://host/chaise", "file:", "file://other/x", "a@b"]
)
def test_what_is_no_address(host):
    with pytest.raises(DerivaMLConfigurationError):
        read_address(host)
