"""What a configuration makes of what it is given."""

from __future__ import annotations

import getpass
import json
import logging
from pathlib import Path

import pytest

from deriva_ml.connection import CONTEXT_NAME, DerivaMLConfig, read_context
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLValidationError
from deriva_ml.names import ConnectionMode
from deriva_server.embed import LocalServer


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DERIVA_ML_HOME")
    config = DerivaMLConfig(hostname="data.example.org")
    assert (config.catalog_id, config.ml_schema, config.mode) == (1, "deriva-ml", ConnectionMode.online)
    assert (config.use_minid, config.clean_execution_dir, config.logging_level) == (
        False,
        True,
        logging.WARNING,
    )
    assert config.working_dir == Path.home() / ".deriva-ml" / "data.example.org" / "1"
    assert config.hydra_runtime_output_dir is None


def test_working_directories(tmp_path: Path) -> None:
    config = DerivaMLConfig(
        hostname="data.example.org", catalog_id=7, working_dir=tmp_path, cache_dir="~/cache"
    )
    assert config.working_dir == tmp_path / getpass.getuser() / "deriva-ml" / "data.example.org" / "7"
    assert config.cache_dir == Path.home() / "cache"
    assert DerivaMLConfig.compute_workdir(tmp_path) == tmp_path / getpass.getuser() / "deriva-ml"
    assert DerivaMLConfig(hostname="./demo").working_dir is None


def test_projects_that_call_their_folder_alike_have_working_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for project in ("eyes", "ears"):
        LocalServer.open(tmp_path / project / "lab", create=True)
        monkeypatch.chdir(tmp_path / project)
        found.append(DerivaMLConfig.compute_workdir(None, 1, "./lab"))
        assert found[-1] == DerivaMLConfig.compute_workdir(None, 1, str(tmp_path / project / "lab"))
        assert (
            DerivaMLConfig(hostname="./lab", working_dir=tmp_path).working_dir.parts[-2:]
            == found[-1].parts[-2:]
        )
    assert found[0] != found[1]
    assert DerivaMLConfig.compute_workdir(None, 1, "./none").parts[-2:] == ("._none", "1")


def test_a_folder_that_is_no_deployment_yet_is_not_made_by_what_would_be_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path / "home"))
    lab = tmp_path / "lab"
    placed = DerivaMLConfig.compute_workdir(lab / "work", 1, str(lab))
    assert placed.is_relative_to(tmp_path / "home")
    LocalServer.open(lab, create=True)
    assert DerivaMLConfig.compute_workdir(lab / "work", 1, str(lab)).is_relative_to(lab / "work")


@pytest.mark.parametrize(
    ("bucket", "asked", "used"),
    [
        (None, None, False),
        (None, True, False),
        ("s3://b", None, True),
        ("s3://b", False, False),
        ("s3://b", True, True),
    ],
)
def test_minids_need_a_bucket(bucket: str | None, asked: bool | None, used: bool) -> None:
    assert DerivaMLConfig(hostname="h", s3_bucket=bucket, use_minid=asked).use_minid is used


def test_keys_of_older_configurations_are_dropped() -> None:
    assert (
        DerivaMLConfig.model_validate({"hostname": "h", "check_auth": True, "zen_meta": {}}).hostname == "h"
    )
    with pytest.raises(DerivaMLValidationError, match="hostnam"):
        DerivaMLConfig.model_validate({"hostname": "h", "hostnam": "h"})


def test_credentials_are_not_shown() -> None:
    assert "secret" not in repr(DerivaMLConfig(hostname="h", credential={"cookie": "secret"}))


def test_context_is_found_above(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "src"
    inner.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=CONTEXT_NAME):
        read_context(inner)
    context = tmp_path / "project" / CONTEXT_NAME
    context.write_text(json.dumps({"hostname": "./demo", "catalog_id": "1", "note": "ours"}))
    assert read_context(inner) == read_context(context) == {"hostname": "./demo", "catalog_id": "1"}


@pytest.mark.parametrize(
    ("text", "complaint"), [("{", "JSON"), ('{"hostname": "h"}', "catalog_id"), ("3", "JSON")]
)
def test_a_wrong_context_says_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / CONTEXT_NAME).write_text(text)
    with pytest.raises(DerivaMLConfigurationError, match=complaint):
        read_context(tmp_path)
