"""Metrics of many executions in one table."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.unit.deriva_ml.metrics.conftest import Lab, lab_in, without_index

from deriva_ml import DerivaML
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLNotFoundError,
    DerivaMLOfflineError,
    DerivaMLValidationError,
)
from deriva_ml.execution.queries import lookup_execution
from deriva_ml.metrics import reading
from deriva_server.blobs.metrics import MetricsIndex

Sent = Callable[[], list[str]]

RUNS = [
    ("metrics.jsonl", [{"epoch": 0, "loss": 2.5, "acc": 0.2}, {"epoch": 1, "loss": 0.5, "acc": 0.1}]),
    ("metrics.jsonl", [{"epoch": 0, "loss": 0.25, "name": "b"}, {"epoch": 1, "loss": 1.5}]),
    ("metrics.jsonl", [{"epoch": 0, "loss": 1.0, "val": {"loss": 3}}, {"epoch": 1, "loss": float("nan")}]),
]


def column(frame: pd.DataFrame, name: str) -> list[Any]:
    return [None if isinstance(value, float) and math.isnan(value) else value for value in frame[name]]


def test_every_service_gives_the_same_table(any_lab: Lab, sent: Sent) -> None:
    workflow = any_lab.workflow("Train")
    rids = any_lab.record(RUNS, workflow=workflow)
    csv = any_lab.attach([(rids[0], ("eval.csv", "loss,acc\n7,8\n"))])[0]
    frame = any_lab.ml.find_metrics()
    assert list(frame.columns) == [
        "execution_rid", "workflow", "status", "description", "asset_rid", "file", "epoch", "loss", "acc", "name", "val.loss",
    ]  # fmt: skip
    assert column(frame, "execution_rid") == [*rids, rids[0]]
    assert column(frame, "loss") == [0.5, 1.5, None, 7]
    assert column(frame, "acc") == [0.1, None, None, 8]
    assert column(frame, "name") == [None, "b", None, None]
    assert column(frame, "val.loss") == [None, None, 3, None]
    assert frame["asset_rid"].iloc[3] == csv
    assert frame["file"].iloc[3] == "eval.csv"
    assert set(frame["workflow"]) == {"Train"}
    assert set(frame["status"]) == {"Uploaded"}
    assert frame.attrs["problems"] == []
    assert column(any_lab.ml.find_metrics(values="min"), "loss") == [0.5, 0.25, 1.0, 7]
    assert column(any_lab.ml.find_metrics(values="max"), "loss") == [2.5, 1.5, 1.0, 7]
    curves = any_lab.ml.find_metrics(rids, values="all", file_name="metrics.jsonl")
    assert column(curves, "record") == [0, 1] * 3
    assert column(curves, "loss") == [2.5, 0.5, 0.25, 1.5, 1.0, None]
    assert column(curves, "val.loss") == [None] * 4 + [3, None]
    sent()
    pd.testing.assert_frame_equal(any_lab.ml.find_metrics(), frame)
    assert not [request for request in sent() if "/hatrac" in request]


def test_files_are_ordered_by_a_metric(lab: Lab) -> None:
    first, second, third = lab.record(RUNS)
    find = lab.ml.find_metrics
    assert column(find(sort="loss"), "execution_rid") == [first, second, third]
    assert column(find(sort="loss", descending=True), "execution_rid") == [second, first, third]
    assert column(find(sort="loss", values="min"), "execution_rid") == [second, first, third]
    assert column(find(sort="loss", values="max", descending=True), "execution_rid") == [first, second, third]
    assert column(find(sort="loss", limit=1), "execution_rid") == [first]
    assert column(find(sort="loss", values="all", limit=1), "record") == [0, 1]
    assert column(find(sort="acc", limit=2), "execution_rid") == [first, second]
    assert column(find(limit=2), "execution_rid") == [first, second]
    assert column(find(limit=0), "execution_rid") == []
    assert column(find([third, second], sort="loss"), "execution_rid") == [second, third]


def test_texts_are_kept_but_are_no_numbers(lab: Lab) -> None:
    first, second = lab.record([("m.jsonl", [{"v": "high"}]), ("m.jsonl", [{"v": 3}, {"v": float("inf")}])])
    frame = lab.ml.find_metrics(sort="v")
    assert column(frame, "execution_rid") == [second, first]
    assert column(frame, "v") == [math.inf, "high"]


def test_metrics_that_bear_the_name_of_a_column(lab: Lab) -> None:
    lab.record([("m.jsonl", [{"status": 3, "file": "x", "loss": 1}])])
    frame = lab.ml.find_metrics(metrics=["status", "loss"])
    assert list(frame.columns)[-2:] == ["metrics.status", "loss"]
    assert column(frame, "metrics.status") == [3]
    assert column(frame, "status") == ["Uploaded"]


def test_executions_are_chosen_as_elsewhere(lab: Lab) -> None:
    train, other = lab.workflow("Train", "Training"), lab.workflow("Other", "Testing")
    good = lab.record(RUNS[:2], workflow=train)
    bad = lab.record(RUNS[2:], workflow=train, status="Failed")
    rest = lab.record(RUNS[:1], workflow=other)
    find = lab.ml.find_metrics
    assert set(find(workflow=train)["execution_rid"]) == {*good, *bad}
    assert set(find(workflow_type="Testing")["execution_rid"]) == set(rest)
    assert set(find(status="Failed")["execution_rid"]) == set(bad)
    assert set(find(status="Failed", workflow=other)["execution_rid"]) == set()
    assert set(find(status="Aborted")["execution_rid"]) == set()
    assert set(find(good[0])["execution_rid"]) == {good[0]}
    assert set(find(lookup_execution(lab.ml._session, good[1]))["execution_rid"]) == {good[1]}
    assert set(find(lab.ml.find_executions(workflow=train), status="Failed")["execution_rid"]) == set(bad)
    assert set(find([])["execution_rid"]) == set()
    assert list(find([]).columns) == [
        "execution_rid",
        "workflow",
        "status",
        "description",
        "asset_rid",
        "file",
    ]


def test_only_tagged_outputs_count(lab: Lab) -> None:
    rids = lab.record(RUNS[:2])
    lab.attach([(rids[0], RUNS[2])], tag="Runtime_Env")
    lab.attach([(rids[1], ("read.jsonl", [{"loss": 9}]))], role="Input")
    assert column(lab.ml.find_metrics(), "loss") == [0.5, 1.5]


def test_names_choose_files_and_columns(lab: Lab) -> None:
    rids = lab.record(RUNS[:2])
    lab.attach([(rids[0], ("eval_1.jsonl", [{"loss": 9, "val_a": 1, "val_b": 2}]))])
    assert column(lab.ml.find_metrics(file_name="eval*"), "loss") == [9]
    assert list(lab.ml.find_metrics(metrics="val_*").columns)[6:] == ["val_a", "val_b"]
    assert list(lab.ml.find_metrics(metrics=["loss", "epoch"]).columns)[6:] == ["epoch", "loss"]


def test_the_same_content_is_read_once(lab: Lab, sent: Sent) -> None:
    rids = lab.record([RUNS[0]] * 3)
    assert column(lab.ml.find_metrics(), "loss") == [0.5] * 3
    lab.attach([(rids[2], RUNS[0])])
    sent()
    assert column(lab.ml.find_metrics(), "loss") == [0.5] * 4
    assert not [request for request in sent() if "/hatrac" in request]


def test_runs_that_wrote_the_same_have_one_file(lab: Lab) -> None:
    first, second = lab.record([RUNS[0], ("other.jsonl", [{"loss": 9}])])
    asset = lab.ml.find_metrics(first)["asset_rid"][0]
    lab.insert(
        "Execution_Metadata_Execution",
        [{"Execution_Metadata": asset, "Execution": second, "Asset_Role": "Output"}],
    )
    frame = lab.ml.find_metrics(sort="loss", limit=2)
    assert column(frame, "execution_rid") == [first, second]
    assert column(frame, "loss") == [0.5, 0.5]
    assert len(lab.ml.find_metrics()) == 3


def test_changes_are_seen_at_once(lab: Lab) -> None:
    find = lab.ml.find_metrics
    assert len(find()) == 0
    rids = lab.record(RUNS)
    assert len(find()) == 3
    more = lab.attach([(rids[0], ("more.jsonl", [{"loss": 9}]))])[0]
    assert len(find()) == 4
    session = lab.ml._session
    tags = session.ml_table("Execution_Metadata_Asset_Type")
    rows.delete(session.connection, tags, {"Execution_Metadata": [more]})
    assert len(find()) == 3
    lookup_execution(session, rids[1]).description = "changed"
    assert column(find(), "description")[1] == "changed"


def test_one_goes_while_another_comes(lab: Lab) -> None:
    rids = lab.record(RUNS)
    lab.ml.find_metrics()
    session = lab.ml._session
    links = session.ml_table("Execution_Metadata_Execution")
    rows.delete(session.connection, links, {"Execution": [rids[0]]})
    lab.record([("m.jsonl", [{"loss": 9}])])
    assert column(lab.ml.find_metrics(), "loss") == [1.5, None, 9]


def test_a_snapshot_is_as_it_was(lab: Lab) -> None:
    lab.record(RUNS[:1])
    then = lab.ml.catalog_snapshot(lab.connection.snaptime())
    lab.record(RUNS[1:])
    assert len(lab.ml.find_metrics()) == 3
    assert len(then.find_metrics()) == 1
    assert len(then.find_metrics(sort="loss", limit=5)) == 1


def test_requests_do_not_grow_with_the_answer(lab: Lab, sent: Sent) -> None:
    find = lab.ml.find_metrics
    counts = []
    for _ in range(2):
        lab.record(RUNS * 4)
        sent()
        find(sort="loss", limit=100, status="Uploaded")
        first = len(sent())
        find(values="all")
        counts.append((first, len(sent())))
        find(sort="loss", limit=100)
        assert len(sent()) <= 3
    assert counts[1] <= counts[0]
    assert counts[0][0] <= 7


def test_pieces_add_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ASKED", 2)
    lab.record([("m.jsonl", [{"n": number}]) for number in range(7)])
    assert column(lab.ml.find_metrics(), "n") == list(range(7))
    summaries = MetricsIndex.summaries
    monkeypatch.setattr(MetricsIndex, "summaries", lambda *given: summaries(*given, seconds=0))
    lab.record([("m.jsonl", [{"n": number}]) for number in range(7, 12)])
    assert column(lab.ml.find_metrics(), "n") == list(range(12))


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_a_broken_line_is_told_and_costs_only_itself(either_lab: Lab) -> None:
    rid = either_lab.record([("m.jsonl", '{"loss": 2}\n{"loss": 1}\n{"lo')])[0]
    frame = either_lab.ml.find_metrics()
    assert column(frame, "loss") == [1]
    told = frame.attrs["problems"]
    assert [entry["problem"] for entry in told] == ["line 3, the last, is not complete"]
    assert told[0]["execution_rid"] == rid
    assert told[0]["asset_rid"] == frame["asset_rid"][0]


def test_files_that_are_gone_are_told_and_have_no_values(either_lab: Lab) -> None:
    either_lab.record(RUNS[:2])
    session = either_lab.ml._session
    table = session.ml_table("Execution_Metadata")
    asset = next(iter(rows.read(session.connection, table)))
    session.connection.store.delete(asset["URL"])
    for values, rows_left in (("last", 2), ("all", 2)):
        frame = either_lab.ml.find_metrics(values=values)
        assert len(frame) == rows_left
        told = frame.attrs["problems"]
        assert [entry["asset_rid"] for entry in told] == [asset["RID"]]
        assert "cannot be read" in told[0]["problem"]


def test_a_file_that_is_not_what_the_catalog_says(either_lab: Lab) -> None:
    either_lab.record(RUNS[:1])
    session = either_lab.ml._session
    table = session.ml_table("Execution_Metadata")
    asset = next(iter(rows.read(session.connection, table)))
    rows.update_one(session.connection, table, asset["RID"], MD5="0" * 32)
    frame = either_lab.ml.find_metrics()
    assert "MD5" in frame.attrs["problems"][0]["problem"]
    assert len(frame.columns) == 6


def test_files_elsewhere_are_fetched(lab: Lab, tmp_path: Path) -> None:
    rids = lab.record(RUNS[:2])
    session = lab.ml._session
    table = session.ml_table("Execution_Metadata")
    asset = next(iter(rows.read(session.connection, table)))
    outside = tmp_path / "outside.jsonl"
    outside.write_bytes(b'{"loss": 42}\n')
    md5 = hashlib.md5(outside.read_bytes()).hexdigest()
    rows.update_one(
        session.connection, table, asset["RID"], URL=outside.as_uri(), MD5=md5, Length=outside.stat().st_size
    )
    frame = lab.ml.find_metrics()
    assert 42 in column(frame, "loss")
    assert set(frame["execution_rid"]) == set(rids)


def test_the_cache_may_be_removed_at_any_time(lab: Lab) -> None:
    lab.record(RUNS)
    frame = lab.ml.find_metrics()
    lab.ml.workspace.close()
    for file in lab.ml.working_dir.rglob("metrics.db*"):
        file.unlink()
    pd.testing.assert_frame_equal(lab.ml.find_metrics(), frame)


def test_a_fresh_working_directory_reads_no_bytes_that_the_index_knows(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.record(RUNS)
    frame = lab.ml.find_metrics()
    monkeypatch.setattr(MetricsIndex, "_text", lambda *_: pytest.fail("it was read again"))
    again = DerivaML(lab.ml.host_name, lab.ml.catalog_id, working_dir=tmp_path / "other")
    pd.testing.assert_frame_equal(again.find_metrics(), frame)


def test_fetching_goes_on_where_it_broke_off(lab: Lab, monkeypatch: pytest.MonkeyPatch, sent: Sent) -> None:
    without_index(monkeypatch)
    monkeypatch.setattr(reading, "_FETCHED", 2)
    lab.record([("m.jsonl", [{"n": number}]) for number in range(6)])
    add, calls = type(lab.ml.workspace.metrics).add, []

    def broken(self: Any, read: Any) -> None:
        calls.append(read)
        if len(calls) == 3:
            raise KeyboardInterrupt
        add(self, read)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(lab.ml.workspace.metrics), "add", broken)
        lab.ml.find_metrics()
    sent()
    assert column(lab.ml.find_metrics(), "n") == list(range(6))
    assert len([request for request in sent() if "/hatrac" in request]) == 2
    assert not list(lab.ml.cache_dir.glob(".metrics-*"))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"sort": "los"}, DerivaMLNotFoundError, "a metric 'los'. Did you mean 'loss'"),
        ({"sort": "zzz"}, DerivaMLNotFoundError, "There are: epoch"),
        ({"metrics": ["loss", "ac"]}, DerivaMLNotFoundError, "'ac'. Did you mean 'acc'"),
        ({"workflow": "9-ZZZZ"}, DerivaMLNotFoundError, "'9-ZZZZ': no row of this catalog"),
        ({"executions": "9-ZZZZ"}, DerivaMLNotFoundError, "'9-ZZZZ' in catalog"),
        (
            {"file_name": "metric.jsonl"},
            DerivaMLNotFoundError,
            "called 'metric.jsonl'. Did you mean 'metrics",
        ),
        ({"file_name": "*.csv"}, DerivaMLNotFoundError, "There are: metrics.jsonl."),
        (
            {"dataset": "9-ZZZZ"},
            DerivaMLNotFoundError,
            "no dataset '9-ZZZZ' in this catalog; ml.find_datasets",
        ),
        (
            {"dataset": "my data"},
            DerivaMLValidationError,
            "'my data' is no RID of a dataset; ml.find_datasets",
        ),
        ({"executions": [f"9-ZZZ{n}" for n in range(8)]}, DerivaMLNotFoundError, "and 3 more"),
        ({"values": "best"}, DerivaMLValidationError, "'last', 'min', 'max', 'all', not 'best'"),
        ({"limit": -1}, DerivaMLValidationError, "limit"),
        ({"status": "Done"}, ValueError, "Done"),
        ({"workflow_type": "Nothing"}, DerivaMLException, "Nothing"),
    ],
)
def test_wrong_questions_are_answered_helpfully(
    shared: Lab, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        shared.ml.find_metrics(**given)


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(template, folder / "lab")
    made = lab_in(folder)
    made.record(RUNS)
    return made


def test_a_metric_is_no_matter_where_there_are_no_files(lab: Lab) -> None:
    assert len(lab.ml.find_metrics(sort="loss", metrics="loss")) == 0


def test_offline_it_is_said(shared: Lab) -> None:
    offline = DerivaML(
        shared.ml.host_name, shared.ml.catalog_id, working_dir=shared.ml.working_dir, mode="offline"
    )
    with pytest.raises(DerivaMLOfflineError, match="find metrics"):
        offline.find_metrics()
