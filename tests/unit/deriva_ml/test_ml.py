"""The front door opens, shows and forwards."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from deriva.core.ermrest_model import Column, builtin_types

from deriva_ml import ColumnDefinition, DerivaML, DerivaMLConfig, TableDefinition
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import (
    DerivaMLCatalogNotFound,
    DerivaMLConfigurationError,
    DerivaMLConnectionError,
    DerivaMLException,
    DerivaMLOfflineError,
    DerivaMLReadOnlyError,
    DerivaMLRidsNotFound,
    DerivaMLSchemaError,
    DerivaMLSchemaPinned,
    DerivaMLSchemaRefreshBlocked,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.names import ConnectionMode


@pytest.fixture
def ml(ml_catalog: Connection, tmp_path: Path) -> DerivaML:
    return DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the catalog, as ``get /path``."""
    seen: list[str] = []
    original = Connection._request

    def noted(self: Connection, verb: str, path: str, *args: Any, **options: Any) -> Any:
        seen.append(f"{verb} {path}")
        return original(self, verb, path, *args, **options)

    monkeypatch.setattr(Connection, "_request", noted)
    return seen


def test_what_is_open(ml: DerivaML, ml_catalog: Connection, tmp_path: Path) -> None:
    assert (str(ml.host_name), ml.catalog_id, ml.ml_schema) == (str(ml_catalog.host), "1", "deriva-ml")
    assert (ml.domain_schemas, ml.default_schema, ml.project_name) == (frozenset({"lab"}), "lab", "lab")
    assert (ml.working_dir, ml.cache_dir) == (tmp_path / "work", tmp_path / "work" / "cache")
    assert (ml.mode, ml.s3_bucket, ml.use_minid, ml.clean_execution_dir) == (
        ConnectionMode.online,
        None,
        False,
        True,
    )
    assert (ml.is_snapshot(), ml.is_authenticated(), ml.hydra_runtime_output_dir) == (False, True, None)
    assert ml.whoami()["id"]  # type: ignore[index]
    assert ml.start_time.tzinfo is not None
    assert ml.credential is None
    assert ml.workspace.root == ml.working_dir
    assert ml.catalog.get("/").json()["id"] == ml.catalog_id
    assert repr(ml) == f"<DerivaML catalog 1 on {ml_catalog.host}>"
    assert "lab" in ml._repr_html_()


def test_opening_asks_once(ml: DerivaML, ml_catalog: Connection, tmp_path: Path, requests: list[str]) -> None:
    DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work")
    assert requests == ["get /schema"]


def test_all_that_the_constructor_takes(ml_catalog: Connection, tmp_path: Path) -> None:
    ml = DerivaML(
        ml_catalog.host, ml_catalog.catalog_id, domain_schemas="lab", default_schema="lab", project_name="eyes",
        cache_dir=tmp_path / "cache", working_dir=str(tmp_path / "work"), hydra_runtime_output_dir=tmp_path,
        ml_schema="deriva-ml", logging_level="INFO", deriva_logging_level=10, credential=None, s3_bucket="s3://bucket",
        use_minid=None, clean_execution_dir=False, mode="online", reuse_schema_json=None, check_auth=True,
    )  # fmt: skip
    assert (ml.project_name, ml.cache_dir, ml.hydra_runtime_output_dir) == (
        "eyes",
        tmp_path / "cache",
        tmp_path,
    )
    assert (ml.s3_bucket, ml.use_minid, ml.clean_execution_dir) == ("s3://bucket", True, False)


def test_from_a_configuration_and_a_context(ml_catalog: Connection, tmp_path: Path) -> None:
    class Eyes(DerivaML):
        """A domain library's own front door."""

        def __init__(self, hostname: str, catalog_id: str, **options: Any) -> None:
            super().__init__(hostname, catalog_id, **options)

    config = DerivaMLConfig(
        hostname=str(ml_catalog.host), catalog_id=ml_catalog.catalog_id, working_dir=tmp_path
    )
    opened = Eyes.instantiate(config)
    assert type(opened) is Eyes
    assert opened.working_dir == config.working_dir
    context = {"hostname": str(ml_catalog.host), "catalog_id": "1", "working_dir": str(tmp_path / "w")}
    (tmp_path / ".deriva-context.json").write_text(json.dumps(context))
    assert Eyes.from_context(tmp_path).working_dir == tmp_path / "w"
    with pytest.raises(FileNotFoundError):
        Eyes.from_context(tmp_path.parent)


def test_wrong_places_are_named(ml_catalog: Connection, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(DerivaMLConnectionError, match="nowhere"):
        DerivaML(tmp_path / "nowhere", "1", working_dir=work)
    with pytest.raises(DerivaMLCatalogNotFound, match="catalog 999"):
        DerivaML(ml_catalog.host, "999", working_dir=work)
    with pytest.raises(DerivaMLConnectionError, match="no-such-host"):
        DerivaML("no-such-host.invalid", "1", working_dir=work)
    with pytest.raises(DerivaMLSchemaError, match="attic"):
        DerivaML(ml_catalog.host, "1", working_dir=work, default_schema="attic")
    with pytest.raises(DerivaMLSchemaError, match="cellar"):
        DerivaML(ml_catalog.host, "1", working_dir=work, ml_schema="cellar")
    (tmp_path / "file").write_text("")
    with pytest.raises(DerivaMLConfigurationError, match="working_dir"):
        DerivaML(ml_catalog.host, "1", working_dir=tmp_path / "file")


def test_it_can_be_pickled(ml: DerivaML) -> None:
    again = pickle.loads(pickle.dumps(ml))
    assert repr(again) == repr(ml)
    assert again.working_dir == ml.working_dir
    assert again.list_vocabulary_terms("Workflow_Type")
    assert again._session.resolver is again


def test_a_snapshot_is_kept_and_cannot_be_written(ml: DerivaML, ml_catalog: Connection) -> None:
    at = f"{ml.catalog_id}@{ml_catalog.snaptime()}"
    snapshot = ml.catalog_snapshot(at)
    assert snapshot is ml.catalog_snapshot(at)
    assert snapshot.is_snapshot()
    assert not ml.is_snapshot()
    assert snapshot.list_vocabulary_terms("Asset_Role")
    with pytest.raises(DerivaMLReadOnlyError):
        snapshot.add_term("Workflow_Type", "Dreaming", "")
    with pytest.raises(DerivaMLReadOnlyError):
        snapshot.create_vocabulary("Dreams")


@pytest.mark.parametrize("text", ["x", "1@xyz", "1@", "@33F-K1K0-YXV8", "0.1.0", "", None, 3])
def test_what_is_no_snapshot_is_refused_at_once(ml: DerivaML, text: Any) -> None:
    with pytest.raises(DerivaMLValidationError, match=r"is no snapshot; it looks like 1@33F-ABCD-1234"):
        ml.catalog_snapshot(text)


def test_a_snapshot_of_another_catalog_is_refused(ml: DerivaML, ml_catalog: Connection) -> None:
    snaptime = ml_catalog.snaptime()
    with pytest.raises(DerivaMLValidationError, match="is a snapshot of catalog 77, this is catalog 1"):
        ml.catalog_snapshot(f"77@{snaptime}")
    assert ml.catalog_snapshot(snaptime) is ml.catalog_snapshot(f"1@{snaptime}")


def test_offline_reads_the_kept_schema_only(ml: DerivaML, ml_catalog: Connection, tmp_path: Path) -> None:
    offline = DerivaML(ml_catalog.host, "1", working_dir=tmp_path / "work", mode="offline")
    assert offline.model.is_vocabulary("Asset_Type")
    assert offline.list_executions() == []
    for call in (
        offline.refresh_schema,
        lambda: offline.create_vocabulary("Dreams"),
        offline.create_execution,
    ):
        with pytest.raises((DerivaMLOfflineError, DerivaMLException)):
            call()


def test_refreshing_sees_what_others_made(
    ml: DerivaML, ml_catalog: Connection, tmp_path: Path, fresh: Any
) -> None:
    other = DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "other")
    name = fresh("Colour")
    other.create_vocabulary(name, "Colours")
    with pytest.raises(DerivaMLTableNotFound, match=name):
        ml.list_vocabulary_terms(name)
    ml.refresh_schema()
    assert ml.list_vocabulary_terms(name) == []


def test_rids_are_resolved(ml: DerivaML, requests: list[str]) -> None:
    terms = ml.list_vocabulary_terms("Asset_Type")
    roles = ml.list_vocabulary_terms("Asset_Role")
    found = ml.resolve_rid(terms[0].rid)
    assert (found.table.name, found.table_name, found.schema_name) == (
        "Asset_Type",
        "Asset_Type",
        "deriva-ml",
    )
    assert found.datapath.entities().fetch()[0]["Name"] == terms[0].name
    requests.clear()
    wanted = [term.rid for term in (*terms, *roles, *terms)]
    many = ml.resolve_rids(wanted)
    assert list(many) == list(dict.fromkeys(wanted))
    assert {found.table_name for found in many.values()} == {"Asset_Type", "Asset_Role"}
    assert len(requests) == 4
    assert (
        ml.resolve_rids([roles[0].rid], candidate_tables=["Asset_Role"])[roles[0].rid].table.name
        == "Asset_Role"
    )


def test_rids_that_are_none(ml: DerivaML) -> None:
    rid = ml.list_vocabulary_terms("Asset_Role")[0].rid
    for wrong in ("", "a b", "ZZ-ZZZZ-ZZZZ"):
        with pytest.raises(DerivaMLException, match="Invalid RID"):
            ml.resolve_rid(wrong)
    with pytest.raises(DerivaMLRidsNotFound) as caught:
        ml.resolve_rids([rid, "ZZ-ZZZ1", "ZZ-ZZZ2"])
    assert caught.value.missing_rids == ["ZZ-ZZZ1", "ZZ-ZZZ2"]
    with pytest.raises(DerivaMLRidsNotFound) as caught:
        ml.resolve_rids([rid], candidate_tables=["Asset_Type"])
    assert caught.value.missing_rids == [rid]


def test_path_builder_is_made_once_per_model(ml: DerivaML) -> None:
    builder = ml.pathBuilder()
    assert builder is ml.pathBuilder()
    assert "Dataset" in builder.schemas["deriva-ml"].tables


def test_path_builder_knows_tables_that_were_made_or_changed_since(ml: DerivaML) -> None:
    ml.pathBuilder()
    table = ml.create_table(TableDefinition("Later", [ColumnDefinition("Name")]))
    assert "Later" in ml.pathBuilder().schemas["lab"].tables
    table.create_column(Column.define("Age", builtin_types.int4))
    assert "Age" in ml.pathBuilder().schemas["lab"].tables["Later"].column_definitions
    assert ml.pathBuilder() is ml.pathBuilder()


def test_path_builder_of_a_snapshot_reads_the_snapshot(ml: DerivaML) -> None:
    ml.pathBuilder()
    then = ml.catalog_snapshot(ml.catalog.latest_snapshot().snaptime)
    assert then.pathBuilder() is not ml.pathBuilder()
    terms = then.pathBuilder().schemas["deriva-ml"].tables["Asset_Role"]
    ml.add_term("Asset_Role", "Later", "made after the snapshot")
    try:
        assert "Later" not in {row["Name"] for row in terms.entities()}
    finally:
        ml.delete_term("Asset_Role", "Later")


def test_a_pinned_schema_stays_until_it_is_unpinned(
    ml: DerivaML, ml_catalog: Connection, tmp_path: Path
) -> None:
    assert not ml.pin_status().pinned
    assert not ml.diff_schema()
    assert ml.pin_schema("for the paper") is None
    status = ml.pin_status()
    assert (status.pinned, status.reason) == (True, "for the paper")
    assert status.at is not None
    other = DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "other")
    made = other.create_table(TableDefinition("Young", [ColumnDefinition("Name")]))
    try:
        assert {"lab.Young", "lab.Young.Name", "lab.Young (Young_RIDkey1)"} <= set(ml.diff_schema().added)
        assert (ml.diff_schema().removed, ml.diff_schema().changed) == ((), ())
        assert ml.pin_schema() == ml.diff_schema()
        for force in (False, True):
            with pytest.raises(DerivaMLSchemaPinned, match="unpin_schema"):
                ml.refresh_schema(force=force)
        offline = DerivaML(
            ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work", mode="offline"
        )
        assert offline.pin_schema() is None
        with pytest.raises(DerivaMLOfflineError):
            offline.diff_schema()
        ml.unpin_schema()
        ml.refresh_schema()
        assert "Young" in ml.model.schemas["lab"].tables
        assert not ml.diff_schema()
        made.create_column(Column.define("Age", builtin_types.int4))
        made.column_definitions["Name"].alter(nullok=False)
        found = ml.diff_schema()
        assert ("lab.Young.Age" in found.added, found.changed) == (True, ("lab.Young.Name",))
    finally:
        made.drop()
    assert "lab.Young" in ml.diff_schema().removed


def test_outputs_that_wait_keep_the_model_unless_their_run_was_given_up(
    ml: DerivaML, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    with ml.create_execution(workflow=ml.create_workflow("w", "Training")) as exe:
        exe.metrics_file("metrics.jsonl").write_text("{}\n")
    with pytest.raises(DerivaMLSchemaRefreshBlocked, match="1 executions have outputs"):
        ml.refresh_schema()
    ml.refresh_schema(force=True)
    ml.pin_schema()
    with pytest.raises(DerivaMLSchemaPinned):
        ml.refresh_schema()
    ml.unpin_schema()
    exe.abort()
    ml.refresh_schema()


def test_a_pinned_schema_has_what_was_made_before_in_the_same_session(
    ml: DerivaML, ml_catalog: Connection, tmp_path: Path
) -> None:
    made = ml.create_table(TableDefinition("Own", [ColumnDefinition("Name")]))
    place: dict[str, Any] = {"catalog_id": ml_catalog.catalog_id, "working_dir": ml.working_dir}
    try:
        offline = DerivaML(ml_catalog.host, mode="offline", **place)
        with pytest.raises(
            DerivaMLTableNotFound, match=r"'Own' in this catalog\. If it was made.* connect online once"
        ):
            offline.get_table_as_dict("Own")
        assert ml.pin_schema() is None
        assert "Own" in DerivaML(ml_catalog.host, **place).model.schemas["lab"].tables
        assert (
            "Own" in DerivaML(ml_catalog.host, mode="offline", **place)._session.model.schemas["lab"].tables
        )
    finally:
        ml.unpin_schema()
        made.drop()


def test_former_names_still_work(ml: DerivaML) -> None:
    with pytest.warns(DeprecationWarning, match=r"ml\.default_schema"):
        assert ml.domain_schema == "lab"
    with pytest.warns(DeprecationWarning):
        assert ml.domain_path("deriva-ml").tables["Dataset"] is not None
    with pytest.warns(DeprecationWarning):
        assert ml.domain_path.tables is not None
    assert "Dataset" in ml._domain_path("deriva-ml").tables
    rid = ml.list_vocabulary_terms("Asset_Role")[0].rid
    with pytest.warns(DeprecationWarning):
        assert ml.retrieve_rid(rid)["RID"] == rid
    with pytest.warns(DeprecationWarning, match="commit_pending_executions"):
        assert ml.upload_pending().execution_rids == []
    with pytest.raises(AttributeError, match="no attribute 'no_such_thing'"):
        _ = ml.no_such_thing
