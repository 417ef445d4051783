"""A wrong host, folder, catalog or option gives one error of our own, which names it and the way out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from deriva_ml import DerivaML
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLSchemaError,
    DerivaMLValidationError,
)
from deriva_ml.schema import create_ml_catalog

REFUSED_WITHIN = 8.0

# Where the catalog is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("", ["empty", "./demo"]),
        ("  ", ["empty"]),
        ("my lab", ["'my lab'", "./my lab"]),
        ("me@host", ["'me@host'"]),
        (None, ["None"]),
        (3, ["3"]),
        (b"./lab", ["./lab"]),
        ("http://", ["http://HOST"]),
        ("http://host/chaise", ["http://HOST"]),
        ("http://[::1", ["http://[::1"]),
        ("ftp://host", ["ftp", "https://HOST"]),
        ("s3://bucket", ["s3", "https://HOST"]),
        ("file:", ["names no folder"]),
        ("file://elsewhere/lab", ["another machine", "elsewhere"]),
        ("~nosuchuser/lab", ["~nosuchuser/lab"]),
        ("./a\0b", ["null "]),
    ],
)
@pytest.mark.usefixtures("nothing_changes")
def test_what_is_no_hostname(says: Any, host: Any, words: list[str]) -> None:
    for use in (lambda: DerivaML(host, 1), lambda: create_ml_catalog(host, "texts")):
        with pytest.raises(DerivaMLConfigurationError) as caught:
            use()
        says(caught.value, *words)


@pytest.mark.parametrize(
    "host", ["http://localhost:9", "https://127.0.0.1:9", "localhost:9", "nosuchhost.invalid", "host:abc"]
)
@pytest.mark.usefixtures("nothing_changes")
def test_a_host_that_does_not_answer_is_given_up_soon(says: Any, host: str) -> None:
    begin = time.monotonic()
    with pytest.raises(DerivaMLConnectionError) as caught:
        DerivaML(host, 1)
    advice = "Check that the server runs" if host.endswith(":9") else "Check the host name and the network"
    says(caught.value, f"catalog 1 on {host}", advice)
    assert time.monotonic() - begin < REFUSED_WITHIN


def test_a_bare_name_that_is_a_folder_here(says: Any, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.folder.parent)
    for use in (lambda: DerivaML("lab", 1), lambda: create_ml_catalog("lab", "texts")):
        with pytest.raises(DerivaMLConnectionError) as caught:
            use()
        says(caught.value, "'lab' is a folder here", "./lab")
        monkeypatch.chdir("/")
        with pytest.raises(DerivaMLConnectionError) as caught:
            use()
        says(caught.value, "If a folder is meant, say './lab'")
        monkeypatch.chdir(lab.folder.parent)


@pytest.mark.parametrize("host", ["./missing", "./missing/", "file:missing", "a/b/missing"])
@pytest.mark.usefixtures("nothing_changes")
def test_a_missing_folder_is_not_made_by_opening(says: Any, host: str) -> None:
    with pytest.raises(DerivaMLConnectionError) as caught:
        DerivaML(host, 1)
    says(caught.value, "There is no folder", "missing", "deriva-ml init")


def test_the_folder_further_up_is_named(lab: Any, says: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "lab").symlink_to(lab.folder)
    (tmp_path / "my notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "my notebooks")
    with pytest.raises(DerivaMLConnectionError) as caught:
        DerivaML("./lab", 1)
    says(caught.value, "`deriva-ml init '", "There is one at ../lab.")


def test_a_folder_of_something_else_stays_as_it_is(says: Any, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("x")
    for name, words in (("other", ["is not a deployment", "init"]), ("file", ["is a file"])):
        with pytest.raises(DerivaMLConnectionError) as caught:
            DerivaML(tmp_path / name, 1)
        says(caught.value, name, *words)
    for name, words in (
        ("other", ["notes.txt"]),
        ("file", ["is a file"]),
        ("file/sub", ["cannot be written"]),
    ):
        with pytest.raises(DerivaMLConnectionError) as caught:
            create_ml_catalog(tmp_path / name, "texts")
        says(caught.value, name, *words)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["file", "other", "notes.txt"]


@pytest.mark.parametrize("form", ["{}/", "{}//", "file:{}", "file://{}/", "file://localhost{}", "{}/../lab"])
@pytest.mark.parametrize("catalog_id", [1, "1", " 1 ", "texts-alias"])
def test_spellings_of_one_folder(lab: Any, form: str, catalog_id: Any) -> None:
    ml = DerivaML(form.format(lab.folder), catalog_id, working_dir=lab.ml.working_dir)
    assert ml.lookup_execution(lab.exe.execution_rid).execution_rid == lab.exe.execution_rid
    assert ml.catalog.get("/").json()["snaptime"] == lab.ml.catalog.get("/").json()["snaptime"]


def test_home_and_relative_paths(lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(lab.folder.parent)
    monkeypatch.setenv("HOME", str(lab.folder.parent))
    for host in ("~/lab", "./lab", "file:lab", "file:./lab/", Path("lab"), ".//lab"):
        assert DerivaML(host, 1, working_dir=tmp_path).domain_schemas == {"texts"}


@pytest.mark.parametrize(
    "catalog_id", ["2", 99, -1, "nope", "1/schema", "1?x", "a b", "é", "../1", "1@2ZX-8K1T-0Q4G"]
)
@pytest.mark.usefixtures("nothing_changes")
def test_unknown_catalogs(says: Any, lab: Any, catalog_id: Any, tmp_path: Path) -> None:
    with pytest.raises(DerivaMLCatalogNotFound) as caught:
        DerivaML(lab.folder, catalog_id, working_dir=tmp_path / "elsewhere")
    way_out = "prior to any known revision" if "@" in str(catalog_id) else "deriva-ml catalog list "
    says(caught.value, f"There is no catalog {catalog_id} on", way_out)


@pytest.mark.parametrize("catalog_id", ["", " ", "1@", "@2", None, 1.5, True, ["1"]])
@pytest.mark.usefixtures("nothing_changes")
def test_what_is_no_catalog_id(says: Any, lab: Any, catalog_id: Any) -> None:
    with pytest.raises(DerivaMLConfigurationError) as caught:
        DerivaML(lab.folder, catalog_id)
    says(caught.value, repr(catalog_id), "it looks like 1")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"mode": "ofline"}, DerivaMLConfigurationError, ["'ofline'", "'online', 'offline'"]),
        ({"logging_level": "loud"}, DerivaMLConfigurationError, ["'loud'", "'INFO'"]),
        ({"domain_schemas": "nope"}, DerivaMLSchemaError, ["'nope'"]),
        ({"default_schema": "nope"}, DerivaMLSchemaError, ["'nope'"]),
        ({"ml_schema": "nope"}, DerivaMLSchemaError, ["'nope'", "create_ml_catalog()"]),
        ({"mode": "offline"}, DerivaMLConfigurationError, ["connect online once"]),
    ],
)
@pytest.mark.usefixtures("nothing_changes")
def test_wrong_options(
    says: Any,
    lab: Any,
    given: dict[str, Any],
    error: type[DerivaMLException],
    words: list[str],
    tmp_path: Path,
) -> None:
    with pytest.raises(error) as caught:
        DerivaML(lab.folder, 1, working_dir=tmp_path / "none", **given)
    says(caught.value, *words)


@pytest.mark.usefixtures("nothing_changes")
def test_no_catalog_is_left_of_a_wrong_project(says: Any, lab: Any, tmp_path: Path) -> None:
    for place in (lab.folder, tmp_path / "new"):
        with pytest.raises(DerivaMLValidationError) as caught:
            create_ml_catalog(place, "1 x")
        says(caught.value, "'1 x'", "begin with a letter")


def test_no_catalog_is_left_of_a_taken_alias(says: Any, lab: Any) -> None:
    with pytest.raises(DerivaMLConflictError) as caught:
        create_ml_catalog(lab.folder, "texts", "texts-alias")
    says(caught.value, "texts-alias", "in use")
    with pytest.raises(DerivaMLCatalogNotFound):
        DerivaML(lab.folder, 2)
